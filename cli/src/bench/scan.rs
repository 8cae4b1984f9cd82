//! A scan beside Zipf reads: somebody makes a backup while others work. The scan touches every block once and would empty a
//! cache that lets it.

use super::keys::{Keys, seed_of};
use super::measure::{Run, Samples};
use super::progress::Progress;
use super::row::Row;
use super::setting::Setting;
use super::slots::Volume;
use super::zipf::{read, warm};
use crate::error::CliError;

const NAME: &str = "scan";
const EXPONENT: f64 = 0.9;
/// One read in so many is the scan's.
const SCAN_ONE_IN: u32 = 4;

pub(crate) fn run(setting: &Setting, volume: &Volume, progress: &Progress) -> Result<Row, CliError> {
    progress.says(NAME);
    let cache = volume.cache(setting.capacity).build()?;
    let keys = |thread| Keys::zipf(volume.slots(), EXPONENT, seed_of(setting.seed, thread));
    warm(setting, volume, &cache, keys(setting.threads))?;
    let measured = Run { setting, cache: &cache, progress }.measure(|thread, clock| {
        let mut keys = keys(thread);
        // Each thread scans from a place of its own.
        let mut scanned = (thread as u64 * u64::from(volume.slots()) / setting.threads as u64) as u32;
        let mut turn = 0;
        Samples::of(clock, || {
            turn = (turn + 1) % SCAN_ONE_IN;
            if turn > 0 {
                return read(&cache, volume.block_ref(keys.next()));
            }
            scanned = (scanned + 1) % volume.slots();
            read(&cache, volume.block_ref(scanned))
        })
    });
    Ok(Row::new(NAME, setting, measured))
}
