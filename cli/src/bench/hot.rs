//! All threads one block, as the root of a tree is read: borrowed under a guard, which writes nothing that another thread
//! would notice. It scales as if each thread had a block of its own, or something is wrong.

use std::hint::black_box;

use tidelock_format::HEADER_BYTES;

use super::measure::{Run, Samples};
use super::progress::Progress;
use super::row::Row;
use super::setting::Setting;
use super::slots::Volume;
use super::zipf::read;
use crate::error::CliError;
use crate::volume::DATA;

const NAME: &str = "hot";

pub(crate) fn run(setting: &Setting, volume: &Volume, progress: &Progress) -> Result<Row, CliError> {
    progress.says(NAME);
    let cache = volume.cache(setting.capacity).build()?;
    let root = volume.block_ref(0);
    read(&cache, root)?;
    let measured = Run { setting, cache: &cache, progress }.measure(|_, clock| {
        Samples::of(clock, || {
            let guard = cache.guard();
            let Some(bytes) = guard.peek(root, DATA) else {
                drop(guard);
                return read(&cache, root);
            };
            black_box(bytes[HEADER_BYTES]);
            Ok(())
        })
    });
    Ok(Row::new(NAME, setting, measured))
}
