//! Every block as often as every other: what a cache smaller than its data cannot help much with.

use super::keys::{Keys, seed_of};
use super::measure::{Run, Samples};
use super::progress::Progress;
use super::row::Row;
use super::setting::Setting;
use super::slots::Volume;
use super::zipf::{read, warm};
use crate::error::CliError;

const NAME: &str = "uniform";

pub(crate) fn run(setting: &Setting, volume: &Volume, progress: &Progress) -> Result<Row, CliError> {
    progress.says(NAME);
    let cache = volume.cache(setting.capacity).build()?;
    let keys = |thread| Keys::uniform(volume.slots(), seed_of(setting.seed, thread));
    warm(setting, volume, &cache, keys(setting.threads))?;
    let measured = Run { setting, cache: &cache, progress }.measure(|thread, clock| {
        let mut keys = keys(thread);
        Samples::of(clock, || read(&cache, volume.block_ref(keys.next())))
    });
    Ok(Row::new(NAME, setting, measured))
}
