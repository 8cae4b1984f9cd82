//! What this system and this file can do, found by trying.

use std::fs::File;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use crate::AlignedBuffer;

/// The smallest unit of any device.
pub(crate) const SECTOR: usize = 512;

/// The unit that every device with direct I/O can do.
const PAGE: usize = 4096;

/// Makes transfers of `file` go past the page cache, or says why that cannot be.
#[cfg(target_os = "linux")]
pub(crate) fn set_direct(file: &File) -> Result<(), Errno> {
    let flags = rustix::fs::fcntl_getfl(file)?;
    rustix::fs::fcntl_setfl(file, flags | OFlags::DIRECT)?;
    if try_read(file, PAGE) || try_read(file, SECTOR) {
        return Ok(());
    }
    rustix::fs::fcntl_setfl(file, flags)?;
    Err(Errno::INVAL)
}

/// Makes transfers of `file` go past the page cache, or says why that cannot be.
#[cfg(not(target_os = "linux"))]
pub(crate) fn set_direct(_file: &File) -> Result<(), Errno> {
    Err(Errno::NOTSUP)
}

/// The unit of direct transfers of `file`.
pub(crate) fn direct_align(file: &File, kind: FileType) -> usize {
    if let Some(align) = declared_align(file, kind) {
        return align.clamp(SECTOR, 1 << 20).next_power_of_two();
    }
    if try_read(file, SECTOR) { SECTOR } else { PAGE }
}

#[cfg(target_os = "linux")]
fn declared_align(file: &File, kind: FileType) -> Option<usize> {
    use rustix::fs::{AtFlags, StatxFlags};
    if kind == FileType::BlockDevice {
        return rustix::fs::ioctl_blksszget(file).ok().map(|bytes| bytes as usize);
    }
    // Linux 6.1 and later, and not every file system.
    let stat = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN).ok()?;
    let is_told = stat.stx_mask & StatxFlags::DIOALIGN.bits() != 0 && stat.stx_dio_offset_align != 0;
    is_told.then(|| stat.stx_dio_offset_align.max(stat.stx_dio_mem_align) as usize)
}

#[cfg(not(target_os = "linux"))]
fn declared_align(_file: &File, _kind: FileType) -> Option<usize> {
    None
}

/// Whether a read of one unit of `align` bytes is accepted. An empty file accepts it too: it is the unit that is checked.
fn try_read(file: &File, align: usize) -> bool {
    let mut buffer = AlignedBuffer::zeroed(align, align);
    rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut buffer[..], 0)).is_ok()
}

/// Whether io_uring can be used here; if not, why.
#[cfg(target_os = "linux")]
pub(crate) fn uring() -> Result<(), String> {
    let ring = io_uring::IoUring::new(2).map_err(|error| explain(&error))?;
    let parameters = ring.params();
    if !parameters.is_feature_ext_arg() || !parameters.is_feature_nodrop() {
        return Err("the kernel's is too old; Linux 5.11 is needed".into());
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn explain(error: &std::io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOSYS) => "the kernel has none".into(),
        Some(Errno::PERM | Errno::ACCESS) => {
            "not permitted here (a container's seccomp filter, or sysctl kernel.io_uring_disabled)".into()
        }
        Some(Errno::NOMEM) => "not enough memory may be locked (see ulimit -l)".into(),
        _ => error.to_string(),
    }
}
