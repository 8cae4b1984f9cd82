//! A decorator with a volatile write cache that can lose its power.
//!
//! A write stays in the cache until a flush moves it to the device below. When the power goes, each unflushed sector
//! (512 bytes) has reached the medium or not, independently of all others: so writes are lost, survive whole, or are
//! torn, and a later one may survive an earlier one. Two writes to one sector leave the old bytes, the first's or the
//! second's; a sector never goes back from the second's to the first's, which no cache does either. What was flushed
//! survives.
//!
//! Three ways to cut:
//! - [`Torn::power_cut`]: now, with what survives drawn from a seed;
//! - [`Torn::cut_after`]: right after the n-th write or flush from now on. A crash test runs its workload once for each
//!   n, until one run was not cut any more;
//! - [`Torn::cuts`] and [`Torn::after`]: every outcome that is possible now, one after the other, each on a copy.
//!
//! It is a tool for tests: a flush happens on the thread that submits it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tidelock_format::DeviceRange;

use crate::gate::Gate;
use crate::hook::{delegate, hooked, nudge};
use crate::random::Random;
use crate::{AlignedBuffer, BlockDevice, DeviceError, Done, Fault, MemDevice, Operation, Request, blocking};

/// What the medium writes all of or nothing of.
const SECTOR: usize = 512;

/// Unflushed sectors up to which every outcome can be tried: a million outcomes.
const CUTS_SECTORS_MAX: usize = 20;

/// A device with a volatile write cache.
#[derive(Debug)]
pub struct Torn {
    inner: Arc<dyn BlockDevice>,
    gate: Gate,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    /// In the order in which they completed.
    unflushed: Vec<Arc<Unflushed>>,
    is_off: bool,
    countdown: Option<Countdown>,
}

/// A write that has completed and was not flushed.
#[derive(Debug)]
struct Unflushed {
    range: DeviceRange,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Countdown {
    left: u64,
    seed: u64,
}

/// What a power cut left of the unflushed writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survivors {
    /// Writes that survived whole.
    pub whole: usize,
    /// Writes of which some sectors survived.
    pub torn: usize,
    /// Writes of which nothing survived.
    pub lost: usize,
}

/// One outcome of a power cut: which unflushed sectors survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut(Vec<bool>);

impl Torn {
    /// A volatile cache in front of `inner`.
    pub fn new(inner: Arc<dyn BlockDevice>) -> Self {
        let gate = Gate::new(inner.size(), inner.align(), false);
        Self { inner, gate, cache: Mutex::default() }
    }

    /// Cuts the power: what survives is drawn from `seed`. Everything is refused until [`power_on`](Torn::power_on).
    ///
    /// # Errors
    /// What the device below says when survivors are written to it.
    pub fn power_cut(&self, seed: u64) -> Result<Survivors, DeviceError> {
        self.cut_now(&mut self.lock(), seed)
    }

    /// Cuts the power right after the `writes`-th write or flush from now on, as [`power_cut`](Torn::power_cut) would
    /// with `seed`; after 0 at once.
    ///
    /// # Errors
    /// As for [`power_cut`](Torn::power_cut).
    pub fn cut_after(&self, writes: u64, seed: u64) -> Result<(), DeviceError> {
        let mut cache = self.lock();
        if writes == 0 {
            return self.cut_now(&mut cache, seed).map(|_| ());
        }
        cache.countdown = Some(Countdown { left: writes, seed });
        Ok(())
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.lock().is_off
    }

    /// Turns the power on again, with an empty cache, and calls a pending cut off.
    pub fn power_on(&self) {
        let mut cache = self.lock();
        cache.is_off = false;
        cache.countdown = None;
    }

    /// Every outcome that a power cut could have now.
    ///
    /// # Panics
    /// If more than 20 sectors are unflushed: nobody could try them all.
    pub fn cuts(&self) -> impl Iterator<Item = Cut> + use<> {
        let sectors: usize = self.lock().unflushed.iter().map(|write| write.sectors()).sum();
        assert!(
            sectors <= CUTS_SECTORS_MAX,
            "{sectors} unflushed sectors have too many outcomes; draw from seeds"
        );
        (0..1_u32 << sectors)
            .map(move |bits| Cut((0..sectors).map(|sector| bits >> sector & 1 == 1).collect()))
    }

    /// A copy of the whole device as `cut` would leave it. `cut` must have been made since the last write or flush.
    ///
    /// # Errors
    /// What the device below says when it is read.
    pub fn after(&self, cut: &Cut) -> Result<MemDevice, DeviceError> {
        let cache = self.lock();
        let copy = MemDevice::with_align(self.gate.size(), SECTOR.min(self.gate.align()));
        copy_all(&*self.inner, &copy)?;
        cache.survive(&copy, cut)?;
        Ok(copy)
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().expect("nothing panics with the cache in hand")
    }

    fn cut_now(&self, cache: &mut Cache, seed: u64) -> Result<Survivors, DeviceError> {
        cache.is_off = true;
        cache.countdown = None;
        let cut = cache.draw(&mut Random::new(seed));
        let survivors = cache.survive(&*self.inner, &cut)?;
        cache.unflushed.clear();
        Ok(survivors)
    }

    /// Serves what the cache serves by itself; gives back what the device below must read.
    fn serve(&self, request: Request) -> Option<Request> {
        let mut cache = self.lock();
        let admitted = if cache.is_off { Err(Fault::Refused("the power is off")) } else { Ok(()) };
        let result = match admitted.and_then(|()| self.gate.check(&request)) {
            Err(fault) => Err(fault),
            Ok(()) => match request.operation {
                Operation::Read => return Some(cache.overlay(request)),
                Operation::Write => {
                    cache.keep(&request);
                    self.count_down(&mut cache)
                }
                Operation::Flush => {
                    let result = self.gate.flushed(cache.flush(&*self.inner));
                    result.and(self.count_down(&mut cache))
                }
            },
        };
        drop(cache);
        request.end(result);
        None
    }

    fn count_down(&self, cache: &mut Cache) -> Result<(), Fault> {
        let Some(countdown) = &mut cache.countdown else { return Ok(()) };
        countdown.left -= 1;
        if countdown.left > 0 {
            return Ok(());
        }
        let seed = countdown.seed;
        self.cut_now(cache, seed).map(|_| ()).map_err(|error| error.fault)
    }
}

impl BlockDevice for Torn {
    delegate!(size, align, drive, attend);

    fn submit(&self, batch: &mut Vec<Request>) {
        let count = batch.len();
        let mut reads: Vec<Request> = batch.drain(..).filter_map(|request| self.serve(request)).collect();
        let has_delivered = reads.len() < count;
        self.inner.submit(&mut reads);
        if has_delivered {
            nudge(&*self.inner);
        }
    }

    fn submit_and_drive(&self, batch: &mut Vec<Request>, done: Done<'_>, deadline: Option<Instant>) -> bool {
        self.submit(batch);
        self.drive(done, deadline)
    }

    fn describe(&self) -> String {
        format!("{}, behind a volatile cache", self.inner.describe())
    }
}

impl Cache {
    fn keep(&mut self, request: &Request) {
        self.unflushed.push(Arc::new(Unflushed { range: request.range, bytes: request.bytes().to_vec() }));
    }

    /// A read that shows what is in the cache now over what is on the medium.
    fn overlay(&self, request: Request) -> Request {
        let range = request.range;
        let over: Vec<Arc<Unflushed>> =
            self.unflushed.iter().filter(|write| write.range.overlaps(&range)).cloned().collect();
        hooked(request, move |mut request, result| {
            if result.is_ok() {
                over.iter().for_each(|write| write.show(&mut request));
            }
            request.end(result);
        })
    }

    /// Moves all to the medium. What could not be moved is lost, as in a device whose flush fails.
    fn flush(&mut self, inner: &dyn BlockDevice) -> Result<(), Fault> {
        let unflushed = std::mem::take(&mut self.unflushed);
        let moved = unflushed.iter().try_for_each(|write| write.put(inner, |_| true).map(|_| ()));
        moved.and_then(|()| blocking::flush(inner)).map_err(|error| error.fault)
    }

    /// Each write survives, is torn or is lost; a torn one's sectors each by the toss of a coin.
    fn draw(&self, random: &mut Random) -> Cut {
        let mut survives = Vec::new();
        for write in &self.unflushed {
            let fate = random.below(3);
            survives.extend((0..write.sectors()).map(|_| match fate {
                0 => false,
                1 => true,
                _ => random.is_hit(0.5),
            }));
        }
        Cut(survives)
    }

    fn survive(&self, medium: &dyn BlockDevice, cut: &Cut) -> Result<Survivors, DeviceError> {
        let mut survivors = Survivors::default();
        let mut first = 0;
        for write in &self.unflushed {
            let fates = &cut.0[first..first + write.sectors()];
            first += write.sectors();
            match write.put(medium, |sector| fates[sector])? {
                0 => survivors.lost += 1,
                all if all == write.sectors() => survivors.whole += 1,
                _ => survivors.torn += 1,
            }
        }
        assert_eq!(first, cut.0.len(), "this cut was made for other writes");
        Ok(survivors)
    }
}

impl Unflushed {
    fn sectors(&self) -> usize {
        self.bytes.len().div_ceil(SECTOR)
    }

    /// Puts the bytes that `request` reads and this write wrote over what was read.
    fn show(&self, request: &mut Request) {
        let start = self.range.offset().max(request.range.offset());
        let end = self.range.end().min(request.range.end());
        let from = (start - self.range.offset()) as usize..(end - self.range.offset()) as usize;
        let into = (start - request.range.offset()) as usize..(end - request.range.offset()) as usize;
        request.bytes_mut()[into].copy_from_slice(&self.bytes[from]);
    }

    /// Writes the sectors that survive to `medium`; tells how many they are.
    fn put(&self, medium: &dyn BlockDevice, survives: impl Fn(usize) -> bool) -> Result<usize, DeviceError> {
        let mut survivors = 0;
        let mut image: Option<AlignedBuffer> = None;
        for (sector, bytes) in self.bytes.chunks(SECTOR).enumerate().filter(|(sector, _)| survives(*sector)) {
            let image = match &mut image {
                Some(image) => image,
                None => image.insert(blocking::read(medium, self.range)?),
            };
            let at = sector * SECTOR;
            image[at..at + bytes.len()].copy_from_slice(bytes);
            survivors += 1;
        }
        if let Some(image) = image {
            blocking::write(medium, self.range, image)?;
        }
        Ok(survivors)
    }
}

fn copy_all(from: &dyn BlockDevice, to: &dyn BlockDevice) -> Result<(), DeviceError> {
    const CHUNK: u64 = 1 << 20;
    for offset in (0..from.size()).step_by(CHUNK as usize) {
        let len = CHUNK.min(from.size() - offset);
        let range = DeviceRange::new(offset, len).expect("inside the device");
        let bytes = blocking::read(from, range)?;
        if bytes.iter().any(|byte| *byte != 0) {
            blocking::write(to, range, bytes)?;
        }
    }
    Ok(())
}
