//! What a cache must answer: the medium, every image ever made, who has what dirty, and which copies may be cached.
//!
//! The model does not say what is evicted. It knows what *may* be cached: an answer from the cache must be one of these
//! copies, and an answer from the medium must be what is there. `Stale` is right only if neither is the image that was
//! asked for.

use std::collections::{BTreeMap, BTreeSet};

use tidelock_format::{BlockNo, BlockRef, Seq};

/// The bytes of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Image {
    /// A sound image.
    Sound(u64),
    /// Bytes that no reference can mean.
    Damaged,
}

/// How a lookup of a reference must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// With the block.
    Block,
    /// With the block if a copy of it is still cached, else with `Stale`.
    BlockIfCached,
    /// With `Stale`.
    Stale,
    /// With `Dirty`.
    Dirty,
}

/// A dirty block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirty {
    /// Number of its writer.
    pub writer: usize,
    /// Its image.
    pub seq: u64,
}

/// The model.
#[derive(Debug, Default)]
pub struct Model {
    /// What the medium holds, where anything was ever written.
    media: BTreeMap<u64, Image>,
    /// The payload of every image.
    payloads: BTreeMap<(u64, u64), u8>,
    /// Copies one of which may be cached.
    cached: BTreeMap<u64, BTreeSet<Image>>,
    dirty: BTreeMap<u64, Dirty>,
}

impl Model {
    /// An image that was made, or changed by its writer.
    pub fn note(&mut self, image: BlockRef, payload: u8) -> BlockRef {
        self.payloads.insert((image.blkno.0, image.seq.0), payload);
        image
    }

    /// What an image consists of, if it was ever made.
    pub fn payload_of(&self, image: BlockRef) -> Option<u8> {
        self.payloads.get(&(image.blkno.0, image.seq.0)).copied()
    }

    /// Every image of `blkno` so far.
    pub fn made(&self, blkno: u64) -> Vec<u64> {
        self.payloads.range((blkno, 0)..=(blkno, u64::MAX)).map(|((_, seq), _)| *seq).collect()
    }

    /// What the medium holds at `blkno`.
    pub fn on_media(&self, blkno: u64) -> Image {
        self.media.get(&blkno).copied().unwrap_or(Image::Damaged)
    }

    /// The medium holds this from now on.
    pub fn put(&mut self, blkno: u64, image: Image) {
        self.media.insert(blkno, image);
    }

    /// Who has `blkno` dirty.
    pub fn dirty(&self, blkno: u64) -> Option<Dirty> {
        self.dirty.get(&blkno).copied()
    }

    /// The dirty blocks of a writer, or of all.
    pub fn dirty_of(&self, writer: Option<usize>) -> Vec<BlockRef> {
        let mine = self.dirty.iter().filter(|(_, dirty)| writer.is_none_or(|writer| writer == dirty.writer));
        mine.map(|(blkno, dirty)| BlockRef::new(BlockNo(*blkno), Seq(dirty.seq))).collect()
    }

    /// How a read of `wanted` must end.
    pub fn expect(&self, wanted: BlockRef) -> Expected {
        let (blkno, seq) = (wanted.blkno.0, wanted.seq.0);
        match self.dirty(blkno) {
            Some(dirty) if dirty.seq == seq => Expected::Dirty,
            Some(_) => Expected::Stale,
            None if self.on_media(blkno) == Image::Sound(seq) => Expected::Block,
            None if self.may_be_cached(wanted) => Expected::BlockIfCached,
            None => Expected::Stale,
        }
    }

    /// Whether a copy of this image may be cached.
    pub fn may_be_cached(&self, image: BlockRef) -> bool {
        let copies = self.cached.get(&image.blkno.0);
        copies.is_some_and(|copies| copies.contains(&Image::Sound(image.seq.0)))
    }

    /// Whether any copy of `blkno` may be cached.
    pub fn may_cache_any(&self, blkno: u64) -> bool {
        self.cached.get(&blkno).is_some_and(|copies| !copies.is_empty())
    }

    /// A read gave this image: if any copy is cached now, it is this one.
    pub fn found(&mut self, image: BlockRef) {
        self.cached.insert(image.blkno.0, BTreeSet::from([Image::Sound(image.seq.0)]));
    }

    /// A read of a clean block was stale: what is cached now was read from the medium, and only if it is sound.
    pub fn was_stale(&mut self, blkno: u64) {
        let sound = Some(self.on_media(blkno)).filter(|image| *image != Image::Damaged);
        self.cached.insert(blkno, sound.into_iter().collect());
    }

    /// A read was started, unless a copy was cached.
    pub fn prefetched(&mut self, blkno: u64) {
        let image = self.on_media(blkno);
        self.cached.entry(blkno).or_default().insert(image);
    }

    /// `image` is dirty from now on, in place of what was cached.
    pub fn dirtied(&mut self, writer: usize, image: BlockRef) {
        self.cached.remove(&image.blkno.0);
        self.dirty.insert(image.blkno.0, Dirty { writer, seq: image.seq.0 });
    }

    /// A dirty block is gone.
    pub fn forgot(&mut self, blkno: u64) {
        self.dirty.remove(&blkno);
    }

    /// A dirty block is a clean one like any other.
    pub fn wrote(&mut self, image: BlockRef) {
        self.forgot(image.blkno.0);
        self.put(image.blkno.0, Image::Sound(image.seq.0));
        self.found(image);
    }
}
