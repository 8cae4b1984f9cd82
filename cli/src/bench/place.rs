//! Where the volume is: a scratch file, a device, or memory. And how it gets filled.
//!
//! Nothing is written to a `--device` before [`Place::may_overwrite`] said yes. Opening it takes its lock, so what was
//! looked at is what is overwritten.

use std::fs::{self, OpenOptions as FileOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;
use tidelock_dev::{Backend, BlockDevice, MemDevice, OpenOptions, Opened};
use tidelock_format::{BlockSize, Fsid};

use super::progress::Progress;
use super::setting::Setting;
use super::slots::Volume;
use crate::args::{BackendArg, CacheArgs};
use crate::error::CliError;
use crate::volume::Description;
use crate::{scratch, signature};

/// More than any depth asked for, times the threads that there may be; the rest waits inside the device.
const QUEUE_DEPTH: u32 = 512;

/// A place for the volume, which is made when the first workload needs it.
pub(crate) struct Place {
    backend: BackendArg,
    dir: PathBuf,
    opened: Option<Arc<dyn BlockDevice>>,
    volume: Option<Volume>,
}

impl Place {
    /// A device is opened and checked at once, so that a run that cannot end well does not begin.
    pub(crate) fn new(args: &CacheArgs, setting: &Setting) -> Result<Self, CliError> {
        let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from("."));
        let mut place = Place { backend: args.backend, dir, opened: None, volume: None };
        if let Some(path) = &args.device {
            if args.backend == BackendArg::Mem {
                return Err(CliError::input("--device: --backend mem uses none; leave one of them out"));
            }
            let device = place.open_device(path, setting)?;
            place.may_overwrite(path, &*device, args.yes)?;
            place.opened = Some(device);
        }
        Ok(place)
    }

    /// The volume, filled.
    pub(crate) fn volume(&mut self, setting: &Setting, progress: &Progress) -> Result<&Volume, CliError> {
        let volume = match self.volume.take() {
            Some(volume) => volume,
            None => self.make_volume(setting, progress)?,
        };
        Ok(self.volume.insert(volume))
    }

    /// One line for people.
    pub(crate) fn describe(&self) -> Option<String> {
        self.opened.as_ref().map(|device| device.describe())
    }

    fn make_volume(&mut self, setting: &Setting, progress: &Progress) -> Result<Volume, CliError> {
        let mut wanted = Description {
            fsid: Fsid(getrandom::u64().map_err(CliError::failed)?),
            block_size: setting.block_size,
            blocks: setting.blocks,
            is_filled: false,
        };
        let device = match &self.opened {
            Some(device) => device.clone(),
            None => self.scratch(wanted.bytes())?,
        };
        self.opened = Some(device.clone());
        let there = Description::read(&*device)?;
        if let Some(there) = there.filter(|there| there.is_filled && *there == like(there, &wanted)) {
            return Ok(Volume::new(device, there));
        }
        wanted.write(&*device)?;
        Volume::new(device.clone(), wanted).fill(setting, progress)?;
        wanted.is_filled = true;
        wanted.write(&*device)?;
        Ok(Volume::new(device, wanted))
    }

    fn scratch(&self, bytes: u64) -> Result<Arc<dyn BlockDevice>, CliError> {
        if self.backend == BackendArg::Mem {
            return Ok(Arc::new(MemDevice::with_align(bytes, BlockSize::MIN.bytes())));
        }
        Ok(noted(scratch::create(&self.dir, bytes, &self.options())?))
    }

    fn open_device(&self, path: &Path, setting: &Setting) -> Result<Arc<dyn BlockDevice>, CliError> {
        check_writable(path)?;
        let unit = setting.block_size.bytes() as u64;
        let opened =
            self.options().unit(unit).open(path).map_err(|error| CliError::open("--device", &error))?;
        let (has, needs) = (opened.device.size(), (setting.blocks + 1) * unit);
        if has < needs {
            return Err(CliError::input(format!(
                "--device: {} has {has} bytes, too small for {} blocks of {} and a description, which take {needs}: \
                 choose at most {} --blocks",
                path.display(),
                setting.blocks,
                setting.block_size,
                (has / unit).saturating_sub(1)
            )));
        }
        Ok(noted(opened))
    }

    /// Refuses a device that holds something, unless it is a volume of ours or `yes` was said.
    fn may_overwrite(&self, path: &Path, device: &dyn BlockDevice, yes: bool) -> Result<(), CliError> {
        if yes || Description::read(device)?.is_some() {
            return Ok(());
        }
        match signature::found_on(device)? {
            None => Ok(()),
            Some(found) => Err(CliError::input(format!(
                "--device: {} holds {found}; nothing was overwritten. Choose another one, or say --yes to lose what it holds",
                path.display()
            ))),
        }
    }

    fn options(&self) -> OpenOptions {
        let backend = match self.backend {
            BackendArg::Uring => Backend::Uring,
            BackendArg::Threads => Backend::Threads,
            BackendArg::Auto | BackendArg::Mem => Backend::Auto,
        };
        OpenOptions::new().backend(backend).queue_depth(QUEUE_DEPTH)
    }
}

/// `wanted`, as it would be on a volume that was filled with the fsid of `there`.
fn like(there: &Description, wanted: &Description) -> Description {
    Description { fsid: there.fsid, is_filled: true, ..*wanted }
}

/// The device; what it had to do without is said once.
fn noted(opened: Opened) -> Arc<dyn BlockDevice> {
    for note in &opened.notes {
        eprintln!("note: {note}");
    }
    opened.device
}

/// How many blocks of data `device` has room for.
pub(crate) fn blocks_that_fit(device: &Path, size: BlockSize) -> Result<u64, CliError> {
    check_writable(device)?;
    let end = fs::File::open(device).and_then(|mut file| file.seek(SeekFrom::End(0)));
    let bytes = end.map_err(|error| CliError::input(format!("--device: {}: {error}", device.display())))?;
    let blocks = (bytes / size.bytes() as u64).saturating_sub(1);
    if blocks < crate::args::BLOCKS_MIN {
        return Err(CliError::input(format!(
            "--device: {} has {bytes} bytes, too small for {} blocks of {size}: choose a larger one, or a smaller --block-size",
            device.display(),
            crate::args::BLOCKS_MIN
        )));
    }
    Ok(blocks)
}

/// Refuses what is not meant to be written, even by those whom the system lets write everything, and devices that are
/// mounted.
fn check_writable(path: &Path) -> Result<(), CliError> {
    // Whatever else is wrong with it is said better by who opens it.
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    if metadata.is_file() && metadata.permissions().readonly() {
        return Err(CliError::input(format!(
            "--device: {} is read-only; make it writable (chmod u+w), or choose another one",
            path.display()
        )));
    }
    let exclusive = OFlags::EXCL.bits().cast_signed();
    let is_free = !metadata.file_type().is_block_device()
        || FileOptions::new().read(true).custom_flags(exclusive).open(path).is_ok();
    if !is_free {
        return Err(CliError::input(format!(
            "--device: {} is in use by the system, mounted perhaps; unmount it, or choose another one",
            path.display()
        )));
    }
    Ok(())
}
