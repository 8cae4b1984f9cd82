//! What one process did, operation by operation, as JSON lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tidelock_lock_proto::Mode;

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Operation {
    pub(super) client: u32,
    pub(super) lock: u64,
    pub(super) mode: char,
    pub(super) op: Op,
    /// When it was begun and when it ended, as nanoseconds of `CLOCK_MONOTONIC`; one that was cut off has no end.
    pub(super) call: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) ret: Option<u64>,
    pub(super) ok: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Op {
    Acquire,
    Release,
    /// A guard was found to be void.
    Lost,
}

/// The time, as nanoseconds of a clock that all processes of this machine share.
pub(super) fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

pub(super) fn letter(mode: Mode) -> char {
    if mode.may_write() { 'W' } else { 'R' }
}

/// Writes one process's operations: each twice, when it begins and when it has ended, so that a crash loses nothing.
#[derive(Debug)]
pub(super) struct Writer(Option<BufWriter<File>>);

impl Writer {
    pub(super) fn at(path: Option<&Path>) -> io::Result<Self> {
        Ok(Self(path.map(File::create).transpose()?.map(BufWriter::new)))
    }

    /// An operation begins: written at once, without an end.
    pub(super) fn begins(&mut self, operation: &Operation) -> io::Result<()> {
        self.write(operation)?;
        self.0.as_mut().map_or(Ok(()), Write::flush)
    }

    pub(super) fn write(&mut self, operation: &Operation) -> io::Result<()> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        serde_json::to_writer(&mut *file, operation)?;
        file.write_all(b"\n")
    }
}

/// Joins what the processes wrote, in the order of their beginnings. A line that a crash cut off is passed over.
pub(super) fn join(parts: &[PathBuf], to: &Path) -> io::Result<()> {
    let mut operations = Vec::new();
    for part in parts {
        operations.extend(read(part)?);
    }
    operations.sort_by_key(|operation| (operation.call, operation.client));
    let mut file = BufWriter::new(File::create(to)?);
    for operation in &operations {
        serde_json::to_writer(&mut file, operation)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

/// One process's operations: where one is there with its end and without, only that with.
fn read(part: &Path) -> io::Result<Vec<Operation>> {
    let mut operations: Vec<Operation> = Vec::new();
    for line in BufReader::new(File::open(part)?).lines() {
        let Ok(operation) = serde_json::from_str::<Operation>(&line?) else { continue };
        match operations.last_mut() {
            Some(last) if last.call == operation.call && last.ret.is_none() => *last = operation,
            _ => operations.push(operation),
        }
    }
    Ok(operations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_that_was_cut_off_has_no_end_and_others_are_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let (part, whole) = (folder.path().join("part"), folder.path().join("whole"));
        let begun =
            |call| Operation { client: 1, lock: 7, mode: 'W', op: Op::Acquire, call, ret: None, ok: false };
        let mut writer = Writer::at(Some(&part)).unwrap();
        writer.begins(&begun(5)).unwrap();
        writer.write(&Operation { ret: Some(6), ok: true, ..begun(5) }).unwrap();
        writer.begins(&begun(8)).unwrap();
        drop(writer);
        join(&[part], &whole).unwrap();
        let text = std::fs::read_to_string(whole).unwrap();
        assert_eq!(
            text,
            "{\"client\":1,\"lock\":7,\"mode\":\"W\",\"op\":\"acquire\",\"call\":5,\"ret\":6,\"ok\":true}\n\
             {\"client\":1,\"lock\":7,\"mode\":\"W\",\"op\":\"acquire\",\"call\":8,\"ok\":false}\n"
        );
    }
}
