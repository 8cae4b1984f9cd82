//! A block-access trace, and how it is read from a file.
//!
//! The format is the one traces travel in: text, one decimal block number a line, as is or compressed. What the
//! compression is, the file's first bytes say; its name is not asked. Blank lines and lines that begin with `#` carry
//! no access. Anything else is an error that names the line: a trace that is half garbage would give a hit ratio that
//! looks as good as any other.
//!
//! The simulations index by block, so each block also gets a dense id in order of first access.

use flate2::read::MultiGzDecoder;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// A line longer than this is neither a block number nor a comment a person wrote: most likely not a text file.
const LINE_LEN_MAX: usize = 4096;
/// As much of a bad line as an error shows.
const SHOWN_LEN_MAX: usize = 40;

/// The accesses of a trace, in order.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    blocks: Vec<u64>,
    ids: Vec<u32>,
    unique: usize,
}

/// Why a trace cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TraceError {
    #[error("cannot open trace {}: {source}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot read trace {} after line {line}: {source}", path.display())]
    Read { path: PathBuf, line: u64, source: io::Error },
    #[error(
        "{}:{line}: expected one decimal block number (0 to {}), found \"{found}\"; \
         a trace is one number a line, plain, gzip or zstd, with blank lines and # comments allowed",
        path.display(), u64::MAX
    )]
    NotABlockNumber { path: PathBuf, line: u64, found: String },
    #[error("trace {} has no accesses: it needs at least one line with a block number", path.display())]
    Empty { path: PathBuf },
}

impl Trace {
    /// Reads a trace file: plain, gzip or zstd text, one block number a line.
    pub(crate) fn read(path: &Path) -> Result<Trace, TraceError> {
        let file = File::open(path).map_err(|source| TraceError::Open { path: path.to_owned(), source })?;
        let text = decompressed(file).map_err(|source| TraceError::Read {
            path: path.to_owned(),
            line: 0,
            source,
        })?;
        let blocks = parse(text, path)?;
        if blocks.is_empty() {
            return Err(TraceError::Empty { path: path.to_owned() });
        }
        Ok(Trace::from_blocks(blocks))
    }

    /// A trace of the given block numbers.
    ///
    /// # Panics
    /// If there are more than 2^32 different ones: the simulations' tables would not fit a machine that has the
    /// trace in memory.
    pub(crate) fn from_blocks(blocks: Vec<u64>) -> Trace {
        let mut id_of: HashMap<u64, u32> = HashMap::new();
        let mut ids = Vec::with_capacity(blocks.len());
        for &block in &blocks {
            let new_id = id_of.len();
            ids.push(
                *id_of.entry(block).or_insert_with(|| u32::try_from(new_id).expect("at most 2^32 blocks")),
            );
        }
        Trace { blocks, ids, unique: id_of.len() }
    }

    /// The accessed block numbers, as recorded.
    #[cfg(test)]
    pub(crate) fn blocks(&self) -> &[u64] {
        &self.blocks
    }

    /// The accessed blocks by dense id: below [`unique`](Self::unique), in order of first access.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// How many different blocks are accessed.
    pub(crate) fn unique(&self) -> usize {
        self.unique
    }

    /// How many accesses there are.
    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }
}

/// The text behind whatever compression the first bytes announce.
fn decompressed(mut file: impl Read + 'static) -> io::Result<Box<dyn BufRead>> {
    let mut head = Vec::new();
    file.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut head)?;
    let is = |magic| head.starts_with(magic);
    let (is_gzip, is_zstd) = (is(GZIP_MAGIC), is(ZSTD_MAGIC));
    let whole = BufReader::new(io::Cursor::new(head).chain(file));
    Ok(match (is_gzip, is_zstd) {
        (true, _) => Box::new(BufReader::new(MultiGzDecoder::new(whole))),
        (_, true) => Box::new(BufReader::new(zstd::Decoder::with_buffer(whole)?)),
        _ => Box::new(whole),
    })
}

fn parse(mut text: impl BufRead, path: &Path) -> Result<Vec<u64>, TraceError> {
    let mut blocks = Vec::new();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let len = text
            .by_ref()
            .take(LINE_LEN_MAX as u64)
            .read_until(b'\n', &mut line)
            .map_err(|source| TraceError::Read { path: path.to_owned(), line: number - 1, source })?;
        if len == 0 {
            break;
        }
        let bad = |found: &[u8]| TraceError::NotABlockNumber {
            path: path.to_owned(),
            line: number,
            found: shown(found),
        };
        if len == LINE_LEN_MAX && line.last() != Some(&b'\n') {
            return Err(bad(&line));
        }
        match line.trim_ascii() {
            [] | [b'#', ..] => {}
            entry => blocks.push(block_number(entry).ok_or_else(|| bad(entry))?),
        }
    }
    Ok(blocks)
}

/// Digits only: a sign is as much a mistake here as a letter.
fn block_number(entry: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(entry).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok()
}

/// What was found, fit for a terminal: escaped, and cut where nobody would read on.
fn shown(found: &[u8]) -> String {
    let cut = &found[..found.len().min(SHOWN_LEN_MAX)];
    let dots = if cut.len() < found.len() { ".." } else { "" };
    format!("{}{dots}", cut.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const TEXT: &str = "# blocks of one morning\n7\n\n 9 \r\n7\n18446744073709551615";

    /// Reads `bytes` as a file whose name tells nothing.
    fn read(bytes: &[u8]) -> Result<Trace, TraceError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        Trace::read(file.path())
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &str) -> Vec<u8> {
        zstd::encode_all(text.as_bytes(), 1).unwrap()
    }

    /// The error's text from the line number on: what comes before it is a temporary file's name.
    fn message(bytes: &[u8]) -> String {
        let text = read(bytes).unwrap_err().to_string();
        text.split_once(':').map_or(text.clone(), |(_, rest)| rest.to_owned())
    }

    #[test]
    fn plain_gzip_and_zstd_are_told_apart_by_their_first_bytes() {
        for bytes in [TEXT.as_bytes().to_vec(), gzip(TEXT), zstd(TEXT)] {
            let trace = read(&bytes).unwrap();
            assert_eq!(trace.blocks(), [7, 9, 7, u64::MAX]);
            assert_eq!(trace.ids(), [0, 1, 0, 2]);
            assert_eq!((trace.len(), trace.unique()), (4, 3));
        }
    }

    #[test]
    fn compressed_files_joined_end_to_end_are_read_to_the_end() {
        assert_eq!(read(&[gzip("1\n"), gzip("2\n")].concat()).unwrap().blocks(), [1, 2]);
        assert_eq!(read(&[zstd("1\n"), zstd("2\n")].concat()).unwrap().blocks(), [1, 2]);
    }

    #[test]
    fn a_bad_line_is_named_with_what_was_found_in_it() {
        assert!(message(b"1\n2\n3 W\n").starts_with("3: expected one decimal block number"));
        assert!(message(b"1\n2\n3 W\n").contains("found \"3 W\""));
        assert!(message(&gzip("# x\n1\n-5\n")).starts_with("3: ") && message(b"-5\n").contains("\"-5\""));
        for garbage in ["+1", "0x10", "1.5", "18446744073709551616", "1 # one", "\u{feff}1"] {
            assert!(
                matches!(read(garbage.as_bytes()), Err(TraceError::NotABlockNumber { line: 1, .. })),
                "{garbage}"
            );
        }
    }

    #[test]
    fn a_file_that_is_no_text_is_refused_without_flooding_the_terminal() {
        let binary = vec![0x1b; 1 << 20];
        let text = message(&binary);
        assert!(text.starts_with("1: ") && text.contains("..\"") && text.len() < 500, "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_trace_without_accesses_is_an_error() {
        for nothing in ["", "\n\n", "# only a comment\n"] {
            assert!(matches!(read(nothing.as_bytes()), Err(TraceError::Empty { .. })), "{nothing:?}");
        }
        assert!(matches!(read(&gzip("")), Err(TraceError::Empty { .. })));
    }

    #[test]
    fn a_damaged_archive_is_an_error_and_not_a_shorter_trace() {
        let text: String =
            (0..20_000u64).map(|i| format!("{}\n", i.wrapping_mul(0x9e37_79b9) % 100_003)).collect();
        for mut archive in [gzip(&text), zstd(&text)] {
            archive.truncate(archive.len() / 2);
            assert!(matches!(
                read(&archive),
                Err(TraceError::Read { .. } | TraceError::NotABlockNumber { .. })
            ));
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Trace::read(Path::new("/nowhere/at-all.txt")).unwrap_err();
        assert!(error.to_string().starts_with("cannot open trace /nowhere/at-all.txt: "), "{error}");
    }
}
