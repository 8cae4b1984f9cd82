//! Time that tasks lost waiting for memory: pressure stall information (PSI).
//!
//! The kernel adds up the time in which at least one task waited for memory that had to be reclaimed or read back. The sum
//! never goes back, so two readings give the share of any interval. Where the file may be written, the kernel also wakes
//! whoever asked as soon as a threshold within a window is crossed: the source's alarm. Elsewhere it is read at intervals,
//! which is later, and as true.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::source::read_file;
use super::{BudgetSource, CgroupSource, Reading, SourceError};

/// The machine's, when the cgroup has none.
const MACHINE: &str = "/proc/pressure/memory";

/// The unit of windows that a process without privileges may ask for.
const WINDOW_UNIT: Duration = Duration::from_secs(2);

/// Memory pressure of this process's cgroup, or of the machine.
#[derive(Debug)]
pub struct PressureSource {
    path: PathBuf,
    /// Has a trigger of its own, as long as it is open.
    trigger: Option<File>,
}

impl PressureSource {
    /// The pressure of this process's own cgroup (version 2), or else of the machine.
    ///
    /// # Errors
    /// [`SourceError`] when the kernel keeps no such information: it was built without it, or started with `psi=0`.
    pub fn own() -> Result<Self, SourceError> {
        let own = CgroupSource::own().ok();
        let file = own.as_ref().and_then(CgroupSource::folder).map(|folder| folder.join("memory.pressure"));
        match file.map(Self::at) {
            Some(Ok(source)) => Ok(source),
            _ => Self::at(MACHINE.into()),
        }
    }

    /// The pressure that the file at `path` tells of: any cgroup's `memory.pressure`.
    ///
    /// # Errors
    /// [`SourceError`] when it cannot be read, or is no such file.
    pub fn at(path: PathBuf) -> Result<Self, SourceError> {
        let source = Self { path, trigger: None };
        source.stalled()?;
        Ok(source)
    }

    /// Asks the kernel to raise an alarm when tasks lost `stall` within any `windows` times 2 seconds. Where that is not
    /// allowed, the source stays without an alarm and is read at intervals: see [`alarm`](BudgetSource::alarm).
    pub fn with_alarm(mut self, stall: Duration, windows: u32) -> Self {
        let armed = arm(&self.path, stall, WINDOW_UNIT * windows.max(1));
        if let Err(why) = &armed {
            tracing::debug!(path = %self.path.display(), %why, "no alarm for memory pressure: it is read at intervals");
        }
        self.trigger = armed.ok();
        self
    }

    fn stalled(&self) -> Result<Duration, SourceError> {
        let text = read_file(&self.path)?;
        parse(&text).ok_or_else(|| SourceError::garbage(&self.path, "line of pressure totals", &text))
    }
}

impl BudgetSource for PressureSource {
    fn read(&mut self, reading: &mut Reading) -> Result<(), SourceError> {
        reading.lose(self.stalled()?);
        Ok(())
    }

    fn alarm(&self) -> Option<BorrowedFd<'_>> {
        self.trigger.as_ref().map(AsFd::as_fd)
    }
}

/// Sets a trigger up. It lasts as long as the file is open.
fn arm(path: &Path, stall: Duration, window: Duration) -> std::io::Result<File> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut file = OpenOptions::new().read(true).write(true).custom_flags(nonblocking).open(path)?;
    // The kernel takes the last byte for the end of the text.
    let trigger = format!("some {} {}\0", stall.as_micros(), window.as_micros());
    file.write_all(trigger.as_bytes())?;
    Ok(file)
}

/// The time that some task lost, of the text of a pressure file.
fn parse(text: &str) -> Option<Duration> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let total = some.split_whitespace().find_map(|field| field.strip_prefix("total="))?;
    total.parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "\
some avg10=1.53 avg60=0.87 avg300=0.21 total=1234567
full avg10=0.00 avg60=0.00 avg300=0.00 total=89
";

    fn source(text: &str) -> Result<(tempfile::NamedTempFile, PressureSource), SourceError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let source = PressureSource::at(file.path().into())?;
        Ok((file, source))
    }

    #[test]
    fn the_total_of_some_task_counts() {
        let (_file, mut source) = source(SAMPLE).unwrap();
        let mut reading = Reading::default();
        source.read(&mut reading).unwrap();
        assert_eq!(reading.stalled, Some(Duration::from_micros(1_234_567)));
    }

    #[test]
    fn garbage_is_an_error() {
        for garbage in ["", "some", "some total=", "some total=-1", "full total=3", "some avg10=0.00", "\0"] {
            assert!(matches!(source(garbage), Err(SourceError::Garbage { .. })), "{garbage:?}");
        }
        assert!(matches!(PressureSource::at("/no/such/file".into()), Err(SourceError::Io { .. })));
    }

    #[test]
    fn an_alarm_that_cannot_be_armed_leaves_a_source_that_can_be_read() {
        let (file, quiet) = source(SAMPLE).unwrap();
        std::fs::remove_file(file.path()).unwrap();
        let quiet = quiet.with_alarm(Duration::from_millis(100), 1);
        assert!(quiet.alarm().is_none());
    }

    /// Where the machine keeps this information, the kernel accepts the trigger as it is written.
    #[test]
    fn the_machines_own_pressure_can_be_read_and_armed() {
        let Ok(source) = PressureSource::own() else {
            eprintln!("skipped: this kernel keeps no pressure stall information");
            return;
        };
        let mut source = source.with_alarm(Duration::from_millis(100), 1);
        let mut reading = Reading::default();
        source.read(&mut reading).unwrap();
        assert!(reading.stalled.is_some());
        if source.alarm().is_none() {
            eprintln!("no alarm: {} may not be written here", source.path.display());
        }
    }
}
