//! Amounts as people write them on a command line: `64M`, `25%`, `4096b`.
//!
//! Suffixes are powers of two, whether written `K`, `KB` or `KiB`: that is what blocks and memory come in.

use std::str::FromStr;
use std::time::Duration;

use tidelock_format::BlockSize;

/// Parses a number of bytes with an optional suffix.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let advice = || format!("\"{text}\" is not a number of bytes: write 1048576, 64K, 512MiB or 1G");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = text.split_at(digits);
    let shift = match suffix.trim().to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(advice()),
    };
    let number: u64 = number.parse().map_err(|_| advice())?;
    number.checked_mul(1 << shift).ok_or_else(advice)
}

/// Parses a block size.
pub(crate) fn block_size(text: &str) -> Result<BlockSize, String> {
    let bytes = usize::try_from(bytes(text)?).unwrap_or(usize::MAX);
    BlockSize::new(bytes).map_err(|error| format!("{error} (4K, 8K, 16K, 32K or 64K)"))
}

/// Parses a time above zero.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let advice = "choose a number of seconds above 0 and up to 86400, for example 3 or 0.5";
    let seconds: f64 = text.parse().map_err(|_| format!("\"{text}\" is not a number: {advice}"))?;
    match seconds > 0.0 && seconds <= 86_400.0 {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(advice.into()),
    }
}

/// Parses a time that may be none.
pub(crate) fn seconds_or_zero(text: &str) -> Result<Duration, String> {
    if text.parse() == Ok(0.0) { Ok(Duration::ZERO) } else { seconds(text) }
}

/// How much a cache may hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Capacity {
    Bytes(u64),
    /// Of the data; of a trace: of its unique blocks.
    Percent(f64),
    Blocks(u64),
}

impl Capacity {
    /// In whole blocks, of data that has `blocks` of them.
    pub(crate) fn blocks_of(self, blocks: u64, size: BlockSize) -> u64 {
        match self {
            Capacity::Bytes(bytes) => bytes / size.bytes() as u64,
            Capacity::Percent(percent) => (blocks as f64 * percent / 100.0).round() as u64,
            Capacity::Blocks(blocks) => blocks,
        }
    }
}

impl FromStr for Capacity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let advice = || {
            format!(
                "\"{text}\" is not a capacity: write bytes (64M, 1GiB), a share of the data (25%) or blocks (4096b)"
            )
        };
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().map_err(|_| advice())?;
            return (percent > 0.0 && percent <= 1000.0)
                .then_some(Capacity::Percent(percent))
                .ok_or_else(advice);
        }
        let blocks = text.strip_suffix("blocks").or_else(|| text.strip_suffix('b')).map(str::trim);
        match blocks.map(str::parse) {
            Some(Ok(blocks)) => Ok(Capacity::Blocks(blocks)),
            _ => bytes(text).map(Capacity::Bytes).map_err(|_| advice()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_every_usual_suffix() {
        let same = ["65536", "64K", "64k", "64KB", "64KiB", "64 KiB"];
        assert!(same.iter().all(|text| bytes(text) == Ok(65536)));
        assert_eq!((bytes("1M"), bytes("2GiB"), bytes("1T")), (Ok(1 << 20), Ok(2 << 30), Ok(1 << 40)));
        for bad in ["", "K", "-1", "1.5M", "12x", "99999999999T"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_capacity_is_bytes_a_share_or_blocks() {
        let blocks = |text: &str| text.parse::<Capacity>().unwrap().blocks_of(1000, BlockSize::MIN);
        assert_eq!([blocks("64K"), blocks("5%"), blocks("12b"), blocks("12 blocks")], [16, 50, 12, 12]);
        for bad in ["", "%", "0%", "-5%", "x", "b"] {
            assert!(bad.parse::<Capacity>().is_err(), "{bad}");
        }
    }

    #[test]
    fn no_time_at_all_is_refused() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(["0", "-1", "nan", "inf", "soon"].iter().all(|text| seconds(text).is_err()));
    }

    #[test]
    fn a_block_size_out_of_range_is_told_what_is_in_range() {
        assert_eq!(block_size("4K"), Ok(BlockSize::MIN));
        for bad in ["5000", "2K", "128K", "0"] {
            assert!(block_size(bad).unwrap_err().contains("4096"), "{bad}");
        }
    }
}
