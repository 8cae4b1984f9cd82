//! The devices that the suite runs against.

use std::fs::OpenOptions as FileOptions;
use std::sync::Arc;

use tempfile::TempDir;

use crate::{Backend, BlockDevice, Counted, Direct, Faulty, MemDevice, OpenOptions, Torn};

/// What a test needs.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) size: u64,
    pub(crate) depth: u32,
}

/// A device under test.
pub(crate) struct Subject {
    pub(crate) device: Arc<dyn BlockDevice>,
    /// Cuts the medium off while the device is open.
    pub(crate) truncate: Box<dyn Fn(u64)>,
    /// Dropped after the device.
    _directory: Option<TempDir>,
}

pub(crate) fn mem(shape: Shape) -> Subject {
    let device = Arc::new(MemDevice::new(shape.size));
    let truncate = Box::new({
        let device = device.clone();
        move |end| device.truncate(end)
    });
    Subject { device, truncate, _directory: None }
}

pub(crate) fn threads_direct(shape: Shape) -> Subject {
    file(shape, Backend::Threads, Direct::Auto)
}

pub(crate) fn threads_cached(shape: Shape) -> Subject {
    file(shape, Backend::Threads, Direct::Off)
}

#[cfg(target_os = "linux")]
pub(crate) fn uring_direct(shape: Shape) -> Subject {
    file(shape, Backend::Uring, Direct::Auto)
}

#[cfg(target_os = "linux")]
pub(crate) fn uring_cached(shape: Shape) -> Subject {
    file(shape, Backend::Uring, Direct::Off)
}

pub(crate) fn counted(shape: Shape) -> Subject {
    decorated(threads_cached(shape), |device| Arc::new(Counted::new(device)))
}

pub(crate) fn torn(shape: Shape) -> Subject {
    decorated(mem(shape), |device| Arc::new(Torn::new(device)))
}

pub(crate) fn faulty_without_rules(shape: Shape) -> Subject {
    decorated(mem(shape), |device| Arc::new(Faulty::new(device, 1)))
}

#[cfg(target_os = "linux")]
pub(crate) fn everything_over_uring(shape: Shape) -> Subject {
    decorated(uring_direct(shape), |device| {
        Arc::new(Faulty::new(Arc::new(Torn::new(Arc::new(Counted::new(device)))), 1))
    })
}

fn decorated(subject: Subject, decorate: fn(Arc<dyn BlockDevice>) -> Arc<dyn BlockDevice>) -> Subject {
    Subject { device: decorate(subject.device), ..subject }
}

/// The file is where `TMPDIR` says; where that has no direct I/O the `direct` subjects go through the page cache.
fn file(shape: Shape, backend: Backend, direct: Direct) -> Subject {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("device");
    let options = OpenOptions::new().backend(backend).direct(direct).queue_depth(shape.depth);
    let device = options.create(shape.size).open(&path).unwrap().device;
    let truncate =
        Box::new(move |end| FileOptions::new().write(true).open(&path).unwrap().set_len(end).unwrap());
    Subject { device, truncate, _directory: Some(directory) }
}
