//! A range of keys as a person writes it.

use tidelock_format::{Key, KeyRange};

/// `A..B` without B, `A..=B` with it, or `A` alone; decimal, or hexadecimal after `0x`, up to 256 bits there.
pub(crate) fn parse(text: &str) -> Result<KeyRange, String> {
    let help =
        "write A..B (without B), A..=B (with B) or A, as decimal numbers or after 0x as hexadecimal ones";
    let fail = |why: String| format!("{why}; {help}");
    if let Some((start, end)) = text.split_once("..=") {
        let (start, end) = (key(start).map_err(fail)?, key(end).map_err(fail)?);
        return KeyRange::new(start, end).ok_or_else(|| fail("the end comes before the start".into()));
    }
    let Some((start, end)) = text.split_once("..") else { return Ok(KeyRange::of(key(text).map_err(fail)?)) };
    let (start, end) = (key(start).map_err(fail)?, key(end).map_err(fail)?);
    let last = before(end).filter(|last| start <= *last);
    let range = last.and_then(|last| KeyRange::new(start, last));
    range.ok_or_else(|| fail("there is nothing from the start to the end".into()))
}

fn key(text: &str) -> Result<Key, String> {
    let text = text.trim();
    let bad = || format!("{text:?} is no key");
    let Some(digits) = text.strip_prefix("0x") else {
        return text.parse().map(Key::from_u64).map_err(|_| bad());
    };
    let is_key = !digits.is_empty()
        && digits.len() <= 2 * Key::BYTES
        && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_key {
        return Err(bad());
    }
    let digits = format!("{digits:0>64}");
    let mut key = Key::MIN;
    for (byte, pair) in key.0.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| bad())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
    }
    Ok(key)
}

/// The key before this one.
fn before(key: Key) -> Option<Key> {
    let mut bytes = key.0;
    let place = bytes.iter().rposition(|byte| *byte != 0)?;
    bytes[place] -= 1;
    bytes[place + 1..].fill(0xff);
    Some(Key(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_they_are_written() {
        let range = |first, last| KeyRange::new(Key::from_u64(first), Key::from_u64(last)).unwrap();
        assert_eq!(parse("0..1024"), Ok(range(0, 1023)));
        assert_eq!(parse("0..=1024"), Ok(range(0, 1024)));
        assert_eq!(parse("7"), Ok(range(7, 7)));
        assert_eq!(parse("0x10..0x20"), Ok(range(16, 31)));
        assert_eq!(parse(&format!("0..=0x{}", "f".repeat(64))), Ok(KeyRange::ALL));
    }

    #[test]
    fn what_is_no_range_is_refused_with_what_to_write() {
        for text in
            ["", "..", "5..5", "6..5", "9..=8", "-1", "x", "0x", "0xg", &format!("0x{}", "f".repeat(65))]
        {
            let error = parse(text).unwrap_err();
            assert!(error.contains("write A..B"), "{text}: {error}");
        }
    }
}
