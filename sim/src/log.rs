//! What happened, as a text that people read and as a number that tells two runs apart.

use std::fmt;

use crate::clock::Time;
use crate::random::nanos;

/// A readable line for each thing that happened, if it was asked for; and in any case a digest of everything.
#[derive(Debug)]
pub(crate) struct Log {
    lines: Option<String>,
    digest: u64,
}

impl Log {
    pub(crate) fn new(is_kept: bool) -> Self {
        Self { lines: is_kept.then(String::new), digest: 0xcbf2_9ce4_8422_2325 }
    }

    /// Takes a number into the digest.
    pub(crate) fn mix(&mut self, number: u64) {
        let mixed = (self.digest ^ number).wrapping_mul(0x9fb2_1c65_1e98_df25);
        self.digest = mixed ^ (mixed >> 32);
    }

    pub(crate) fn mix_bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
        self.mix(bytes.len() as u64);
    }

    /// Adds a line. What it says is only put together if lines are kept.
    pub(crate) fn line(&mut self, now: Time, says: fmt::Arguments<'_>) {
        use fmt::Write;
        if let Some(lines) = &mut self.lines {
            let millis = nanos(now) / 1_000;
            // Writing to a string does not fail.
            let _ = writeln!(lines, "{:>6}.{:06} {says}", millis / 1_000_000, millis % 1_000_000);
        }
    }

    pub(crate) fn finish(self) -> (Option<String>, u64) {
        (self.lines, self.digest)
    }
}
