//! Opening says what is wrong and what to do, and what it had to do without.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::{TempDir, tempdir};

use super::collector::range;
use crate::{AlignedBuffer, Backend, Direct, Fault, OpenError, OpenOptions, blocking};

fn made(size: u64) -> (TempDir, PathBuf) {
    let directory = tempdir().unwrap();
    let path = directory.path().join("device");
    OpenOptions::new().create(size).open(&path).unwrap();
    (directory, path)
}

fn refused(options: &OpenOptions, path: &Path) -> String {
    options.open(path).expect_err("this cannot be opened").to_string()
}

#[test]
fn each_mistake_has_its_message() {
    let (directory, path) = made(1 << 20);
    let options = OpenOptions::new();
    let missing = directory.path().join("missing");
    assert!(
        refused(&options, &missing).ends_with("missing does not exist; create it first, or check the path")
    );
    assert!(refused(&options, directory.path()).contains("is a directory"));
    assert!(refused(&options, Path::new("/dev/null")).contains("neither a file nor a block device"));
    assert!(refused(&options.clone().create(1 << 20), &path).contains("exists already"));
    assert!(refused(&options.clone().create(1 << 20), &missing.join("x")).contains("its directory does not"));
    assert!(refused(&options.clone().queue_depth(0), &path).contains("not between 1 and 16384"));
    assert!(refused(&options.clone().unit(1 << 21), &path).contains("less than one unit of 2097152"));
}

#[test]
fn a_size_off_the_unit_is_refused_with_the_sizes_that_would_do() {
    let (_directory, path) = made(1 << 20);
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(10_000).unwrap();
    let message = refused(&OpenOptions::new().unit(4096), &path);
    assert!(
        message.ends_with("not a multiple of 4096; truncate it to 8192 or extend it to 12288"),
        "{message}"
    );
}

#[test]
fn a_device_in_use_is_refused_until_it_is_dropped() {
    for backend in [Backend::Auto, Backend::Threads] {
        let (_directory, path) = made(1 << 20);
        for _ in 0..20 {
            let opened = OpenOptions::new().backend(backend).open(&path).unwrap();
            blocking::read(&*opened.device, range(0, 4096)).unwrap();
            assert!(matches!(OpenOptions::new().open(&path), Err(OpenError::InUse(_))));
            let reader = OpenOptions::new().read_only(true);
            assert!(matches!(reader.open(&path), Err(OpenError::InUse(_))));
        }
    }
}

#[test]
fn readers_share_a_device_and_cannot_write() {
    let (_directory, path) = made(1 << 20);
    let reader = OpenOptions::new().read_only(true);
    let (one, other) = (reader.open(&path).unwrap().device, reader.open(&path).unwrap().device);
    blocking::read(&*one, range(0, 4096)).unwrap();
    let error = blocking::write(&*other, range(0, 4096), AlignedBuffer::zeroed(4096, 4096)).unwrap_err();
    assert_eq!(error.fault, Fault::ReadOnly);
    assert!(matches!(OpenOptions::new().open(&path), Err(OpenError::InUse(_))));
}

#[test]
fn what_was_written_is_there_after_reopening_by_another_way() {
    let (_directory, path) = made(1 << 20);
    let ways =
        [(Backend::Auto, Direct::Auto), (Backend::Threads, Direct::Off), (Backend::Threads, Direct::Auto)];
    for (round, (backend, direct)) in ways.into_iter().enumerate() {
        let device = OpenOptions::new().backend(backend).direct(direct).open(&path).unwrap().device;
        let read = blocking::read(&*device, range(8192, 4096)).unwrap();
        assert!(read.iter().all(|byte| *byte == round as u8));
        let mut buffer = AlignedBuffer::zeroed(4096, device.align());
        buffer.fill(round as u8 + 1);
        blocking::write(&*device, range(8192, 4096), buffer).unwrap();
        blocking::flush(&*device).unwrap();
    }
}

#[test]
fn a_file_that_could_not_be_allocated_is_not_left_behind() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("device");
    assert!(OpenOptions::new().create(1 << 62).open(&path).is_err());
    assert!(!path.exists());
}

#[test]
fn a_description_names_path_backend_and_cache() {
    let (_directory, path) = made(1 << 20);
    let device = OpenOptions::new().backend(Backend::Threads).direct(Direct::Off).open(&path).unwrap().device;
    let text = device.describe();
    assert!(
        text.ends_with("device: threads, through the page cache, 1048576 bytes in units of 512"),
        "{text}"
    );
    assert_eq!(Arc::strong_count(&device), 1);
}
