//! Opening a file or block device: which backend, whether past the page cache, in which unit, and for whom alone.
//!
//! `Auto` takes the best that works here and says in one line what it had to do without, and what that means. What was
//! asked for by name is had or is an error.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::file::LockedFile;
use crate::gate::Gate;
use crate::probe;
use crate::threads::ThreadsDevice;
use crate::{BlockDevice, OpenError};

/// How requests reach the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// io_uring where it can be had, threads otherwise.
    #[default]
    Auto,
    /// io_uring or nothing.
    Uring,
    /// pread and pwrite on a few threads.
    Threads,
}

/// Whether transfers go past the page cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direct {
    /// Past it where the file system can.
    #[default]
    Auto,
    /// Past it or not at all.
    Required,
    /// Through it.
    Off,
}

/// What is opened how.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    backend: Backend,
    direct: Direct,
    read_only: bool,
    create: Option<u64>,
    unit: u64,
    queue_depth: u32,
}

/// An open device.
#[derive(Debug)]
pub struct Opened {
    /// The device.
    pub device: Arc<dyn BlockDevice>,
    /// One line for each thing that `Auto` had to do without, and what that means. They were logged as warnings too.
    pub notes: Vec<String>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl OpenOptions {
    /// Read and write, the best backend, past the page cache if possible, 128 requests at a time.
    pub fn new() -> Self {
        Self {
            backend: Backend::Auto,
            direct: Direct::Auto,
            read_only: false,
            create: None,
            unit: 0,
            queue_depth: 128,
        }
    }

    /// Chooses the backend.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// Chooses whether transfers go past the page cache.
    #[must_use]
    pub fn direct(mut self, direct: Direct) -> Self {
        self.direct = direct;
        self
    }

    /// Opens for reading only: others may read at the same time, and writes are refused.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Makes a new file of `size` bytes, with its space allocated.
    #[must_use]
    pub fn create(mut self, size: u64) -> Self {
        self.create = Some(size);
        self
    }

    /// Refuses a size that is not a multiple of `unit` bytes (a volume's block size, say).
    #[must_use]
    pub fn unit(mut self, unit: u64) -> Self {
        self.unit = unit;
        self
    }

    /// Requests in the kernel at a time: 1 to 16384. More than that wait inside the device.
    #[must_use]
    pub fn queue_depth(mut self, requests: u32) -> Self {
        self.queue_depth = requests;
        self
    }

    /// Opens `path`.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with it and what to do.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Opened, OpenError> {
        Opening { options: self, path: path.as_ref(), notes: Vec::new() }.open()
    }
}

/// Largest queue depth: the kernel allows rings of 32768 entries, and one is for us.
const QUEUE_DEPTH_MAX: u32 = 16384;

/// Threads of the threads backend at most; more of them than this only wait for the medium in line.
const THREADS_MAX: u32 = 32;

/// One call to `open`.
struct Opening<'a> {
    options: &'a OpenOptions,
    path: &'a Path,
    notes: Vec<String>,
}

impl Opening<'_> {
    fn open(mut self) -> Result<Opened, OpenError> {
        if !(1..=QUEUE_DEPTH_MAX).contains(&self.options.queue_depth) {
            return Err(OpenError::QueueDepth { got: self.options.queue_depth, max: QUEUE_DEPTH_MAX });
        }
        let (file, kind, is_direct) = self.open_file()?;
        let file = self.lock(file)?;
        if let Some(size) = self.options.create {
            self.allocate(&file, size)?;
        }
        let align = self.align(&file, kind, is_direct);
        let size = self.size(&file, align)?;
        let gate = Gate::new(size, align, self.options.read_only);
        let device = self.device(file, gate, is_direct)?;
        for note in &self.notes {
            tracing::warn!(path = %self.path.display(), "{note}");
        }
        Ok(Opened { device, notes: self.notes })
    }

    fn open_file(&mut self) -> Result<(File, FileType, bool), OpenError> {
        // Looked at before it is opened: opening some special files has side effects, or blocks.
        if self.options.create.is_none() {
            let stat = rustix::fs::stat(self.path).map_err(|errno| self.system(errno))?;
            self.check_kind(FileType::from_raw_mode(stat.st_mode))?;
        }
        let (file, is_direct) = self.open_direct_or_not()?;
        let stat = rustix::fs::fstat(&file).map_err(|errno| self.system(errno))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        self.check_kind(kind)?;
        Ok((file, kind, is_direct))
    }

    fn check_kind(&self, kind: FileType) -> Result<(), OpenError> {
        match kind {
            FileType::RegularFile | FileType::BlockDevice => Ok(()),
            FileType::Directory => Err(OpenError::Directory(self.path.into())),
            _ => Err(OpenError::Kind(self.path.into())),
        }
    }

    fn open_direct_or_not(&mut self) -> Result<(File, bool), OpenError> {
        if self.options.direct == Direct::Off {
            return Ok((self.open_with(OFlags::empty(), true)?, false));
        }
        let file = self.open_with(OFlags::empty(), true)?;
        match probe::set_direct(&file) {
            Ok(()) => Ok((file, true)),
            Err(_) if self.options.direct == Direct::Required => {
                self.remove_created();
                Err(OpenError::NoDirect(self.path.into()))
            }
            Err(errno) => {
                self.notes.push(format!(
                    "no direct I/O: {errno}; transfers go through the page cache, so blocks are held in memory \
                     twice and times are those of memory, not of the medium"
                ));
                Ok((file, false))
            }
        }
    }

    fn open_with(&self, extra: OFlags, may_create: bool) -> Result<File, OpenError> {
        let mut flags = OFlags::CLOEXEC | extra;
        flags |= if self.options.read_only { OFlags::RDONLY } else { OFlags::RDWR };
        if may_create && self.options.create.is_some() {
            flags |= OFlags::CREATE | OFlags::EXCL;
        }
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
        let file = rustix::io::retry_on_intr(|| rustix::fs::open(self.path, flags, mode));
        file.map(File::from).map_err(|errno| self.system(errno))
    }

    fn lock(&self, file: File) -> Result<LockedFile, OpenError> {
        match LockedFile::lock(file, self.options.read_only) {
            Ok(Some(file)) => Ok(file),
            Ok(None) => Err(OpenError::InUse(self.path.into())),
            Err(errno) => Err(self.system(errno)),
        }
    }

    fn allocate(&self, file: &LockedFile, size: u64) -> Result<(), OpenError> {
        let allocated =
            rustix::io::retry_on_intr(|| rustix::fs::fallocate(&**file, FallocateFlags::empty(), 0, size));
        let sized = match allocated {
            // Not every file system can; there a write may still find the disk full.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => rustix::fs::ftruncate(&**file, size),
            other => other,
        };
        sized.map_err(|errno| {
            self.remove_created();
            self.system(errno)
        })
    }

    /// A file that was made by this call and could not be used is not left behind.
    fn remove_created(&self) {
        if self.options.create.is_some() {
            // Nothing better can be done when that fails too; the error that led here is reported.
            let _ = rustix::fs::unlink(self.path);
        }
    }

    fn align(&self, file: &LockedFile, kind: FileType, is_direct: bool) -> usize {
        match is_direct {
            true => probe::direct_align(file, kind),
            false => probe::SECTOR,
        }
    }

    fn size(&self, file: &LockedFile, align: usize) -> Result<u64, OpenError> {
        // Works for a block device too, whose stat says 0.
        let end = rustix::fs::seek(&**file, rustix::fs::SeekFrom::End(0));
        let size = end.map_err(|errno| self.system(errno))?;
        let unit = self.options.unit.max(align as u64);
        if size < unit {
            return Err(OpenError::TooSmall { path: self.path.into(), size, unit });
        }
        if !size.is_multiple_of(unit) {
            return Err(OpenError::Unit { path: self.path.into(), size, unit });
        }
        Ok(size)
    }

    fn device(
        &mut self,
        file: LockedFile,
        gate: Gate,
        is_direct: bool,
    ) -> Result<Arc<dyn BlockDevice>, OpenError> {
        #[cfg(target_os = "linux")]
        if self.options.backend != Backend::Threads {
            match probe::uring() {
                Ok(()) => return self.uring(file, gate, is_direct),
                Err(why) if self.options.backend == Backend::Uring => return Err(OpenError::NoUring(why)),
                Err(why) => self.note_no_uring(&why),
            }
        }
        #[cfg(not(target_os = "linux"))]
        if self.options.backend == Backend::Uring {
            return Err(OpenError::NoUring("this system has none".into()));
        }
        let label = self.label(&gate, is_direct, "threads");
        let threads = self.options.queue_depth.min(THREADS_MAX);
        let device = ThreadsDevice::new(file, gate, threads, label).map_err(|error| self.io(error))?;
        Ok(Arc::new(device))
    }

    #[cfg(target_os = "linux")]
    fn uring(
        &self,
        file: LockedFile,
        gate: Gate,
        is_direct: bool,
    ) -> Result<Arc<dyn BlockDevice>, OpenError> {
        let label = self.label(&gate, is_direct, "io_uring");
        // What comes through the page cache was copied already.
        let may_bounce = is_direct;
        let device = crate::uring::UringDevice::new(file, gate, self.options.queue_depth, may_bounce, label);
        Ok(Arc::new(device.map_err(|error| self.io(error))?))
    }

    #[cfg(target_os = "linux")]
    fn note_no_uring(&mut self, why: &str) {
        self.notes.push(format!(
            "no io_uring: {why}; transfers are made by threads with pread and pwrite, which costs more processor \
             time for each"
        ));
    }

    fn label(&self, gate: &Gate, is_direct: bool, backend: &str) -> String {
        let cache = if is_direct { "direct" } else { "through the page cache" };
        let access = if gate.is_read_only() { ", read only" } else { "" };
        let (path, size, align) = (self.path.display(), gate.size(), gate.align());
        format!("{path}: {backend}, {cache}, {size} bytes in units of {align}{access}")
    }

    fn system(&self, errno: Errno) -> OpenError {
        let path = PathBuf::from(self.path);
        match errno {
            Errno::NOENT if self.options.create.is_some() => OpenError::NoParent(path),
            Errno::NOENT => OpenError::Missing(path),
            Errno::EXIST => OpenError::Exists(path),
            Errno::ISDIR => OpenError::Directory(path),
            Errno::ACCESS | Errno::PERM => OpenError::Permission(path),
            Errno::ROFS => OpenError::ReadOnlyFileSystem(path),
            Errno::BUSY => OpenError::InUse(path),
            Errno::NOSPC | Errno::DQUOT | Errno::FBIG => OpenError::NoSpace(path),
            errno => OpenError::System { path, error: errno.into() },
        }
    }

    fn io(&self, error: std::io::Error) -> OpenError {
        OpenError::System { path: self.path.into(), error }
    }
}
