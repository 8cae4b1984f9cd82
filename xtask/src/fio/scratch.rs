//! The places that a comparison writes to. Files are removed when it ends, on Ctrl-C too.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::{COMMIT_BLOCK_SIZE, COMMIT_BLOCKS};
use crate::process::{Prerequisite, target};

/// A volume, and a place on the same disk for fio's writes.
#[derive(Debug)]
pub(super) struct Scratch {
    volume: PathBuf,
    writes: Place,
    /// Removed with all that is in it.
    _folder: Option<TempDir>,
}

/// A file or device, and where in it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) offset: u64,
}

impl Scratch {
    /// Makes an empty volume of `bytes` in `folder`, or in the target folder.
    pub(super) fn in_folder(folder: Option<PathBuf>, bytes: u64) -> Result<Scratch> {
        let parent = folder.unwrap_or_else(|| target(""));
        fs::create_dir_all(&parent).with_context(|| format!("--dir {}", parent.display()))?;
        let folder = tempfile::Builder::new().prefix("tidelock-fio-").tempdir_in(&parent)?;
        remove_on_interrupt(folder.path())?;
        let volume = folder.path().join("volume");
        allocate(&File::create(&volume)?, bytes).with_context(|| format!("--dir {}", parent.display()))?;
        let writes = Place { path: folder.path().join("writes"), offset: 0 };
        Ok(Scratch { volume, writes, _folder: Some(folder) })
    }

    /// Takes a device: its first `bytes` are the volume, and fio writes behind it.
    pub(super) fn on_device(device: &Path, bytes: u64) -> Result<Scratch> {
        let shown = device.display();
        let size = File::open(device).and_then(|mut file| file.seek(SeekFrom::End(0)));
        let size = size.with_context(|| format!("--device {shown}"))?;
        let needed = bytes + u64::from(COMMIT_BLOCKS) * u64::from(COMMIT_BLOCK_SIZE);
        if size < needed {
            bail!(Prerequisite(format!("--device {shown}: it has {size} bytes, this run needs {needed}")));
        }
        let writes = Place { path: device.to_owned(), offset: bytes };
        Ok(Scratch { volume: device.to_owned(), writes, _folder: None })
    }

    /// Our volume: fio only reads it.
    pub(super) fn volume(&self) -> &Path {
        &self.volume
    }

    /// Where fio writes.
    pub(super) fn place_for_writes(&self) -> &Place {
        &self.writes
    }
}

/// Gives a file its room in one go. In a file with holes a block lies where the system found room when it was first written,
/// and several threads fill a volume: neighbours in the volume would not be neighbours on the disk, as those in fio's file are.
fn allocate(file: &File, bytes: u64) -> std::io::Result<()> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(bytes),
        answer => Ok(answer?),
    }
}

/// Destructors do not run on Ctrl-C, and gigabytes would stay behind.
fn remove_on_interrupt(folder: &Path) -> Result<()> {
    let folder = folder.to_owned();
    ctrlc::set_handler(move || {
        if let Err(error) = fs::remove_dir_all(&folder) {
            eprintln!("{} could not be removed: {error}", folder.display());
        }
        std::process::exit(130);
    })
    .context("cannot watch for Ctrl-C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_has_its_room_before_it_is_filled() {
        use std::os::unix::fs::MetadataExt;

        let file = tempfile::tempfile().unwrap();
        allocate(&file, 1 << 20).unwrap();
        let about = file.metadata().unwrap();
        assert_eq!(about.len(), 1 << 20);
        assert!(about.blocks() * 512 >= 1 << 20, "{} blocks", about.blocks());
    }

    #[test]
    fn a_device_without_room_for_volume_and_writes_is_refused() {
        let device = tempfile::NamedTempFile::new().unwrap();
        device.as_file().set_len(1 << 20).unwrap();
        let error = Scratch::on_device(device.path(), 1 << 20).unwrap_err();
        assert!(error.is::<Prerequisite>() && error.to_string().contains("needs 17432576"), "{error}");
        device.as_file().set_len(64 << 20).unwrap();
        let scratch = Scratch::on_device(device.path(), 1 << 20).unwrap();
        assert_eq!(scratch.place_for_writes().offset, 1 << 20);
    }
}
