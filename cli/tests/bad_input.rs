//! Bad input: a message that names the flag and says what to do, exit code 2, nothing overwritten, no panic.

mod common;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::thread;
use std::time::Duration;

use common::{bench, expect_code, stderr, tidelock};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// The command refused, and its message has every one of `words`.
fn expect_refusal(output: &Output, words: &[&str]) {
    expect_code(output, 2);
    let message = stderr(output);
    for word in words {
        assert!(message.contains(word), "no \"{word}\" in: {message}");
    }
    assert!(!message.contains("panicked") && !message.contains("backtrace"), "{message}");
    assert!(output.stdout.is_empty(), "{}", common::stdout(output));
}

/// These arguments are refused, with a message that has `words`.
fn refuses(args: &str, words: &[&str]) {
    let folder = folder();
    expect_refusal(&bench(folder.path(), args), words);
    assert!(common::is_empty(folder.path()), "{args} left something behind");
}

/// A file named `device` that holds `bytes`.
fn device(folder: &TempDir, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join("device");
    fs::write(&path, bytes).unwrap();
    path
}

/// An empty file of `len` bytes, named `device`.
fn empty_device(folder: &TempDir, len: u64) -> PathBuf {
    let path = folder.path().join("device");
    File::create(&path).unwrap().set_len(len).unwrap();
    path
}

/// A quick run on the file `device`.
fn on_device(folder: &TempDir, more: &str) -> Output {
    let args = "--workload uniform --seconds 0.05 --threads 1 --blocks 256 --block-size 4K --device device";
    bench(folder.path(), &format!("{args} {more}"))
}

#[test]
fn a_block_size_that_is_none_is_refused() {
    for bad in ["5000", "2K", "128K", "0", "big"] {
        refuses(&format!("--block-size {bad}"), &["--block-size", "4K"]);
    }
}

#[test]
fn a_capacity_below_one_reserve_is_refused() {
    refuses("--capacity 1K", &["--capacity", "below one reserve of 8 blocks", "at least 8b"]);
    refuses("--capacity 0%", &["--capacity", "25%"]);
    refuses("--capacity lots", &["--capacity", "64M"]);
    refuses("--capacity 9b --threads 4", &["--capacity", "--threads"]);
}

#[test]
fn numbers_that_mean_nothing_are_refused() {
    refuses("--threads 0", &["--threads"]);
    refuses("--depth 0", &["--depth"]);
    refuses("--seconds 0", &["--seconds", "above 0"]);
    refuses("--seconds -1", &["--seconds"]);
    refuses("--blocks 3", &["--blocks", "64"]);
}

#[test]
fn an_unknown_workload_is_answered_with_those_there_are() {
    let all = ["uniform", "zipf", "hot", "scan", "pressure", "growth", "cold-read", "commit"];
    refuses("--workload tide", &all);
    refuses("--workload zipf,tide", &["tide", "--workload"]);
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    refuses("--yes", &["--device"]);
    refuses("--trace x --device y", &["--trace", "--device"]);
    refuses("--trace x --workload zipf", &["--trace", "--workload"]);
}

#[test]
fn a_device_that_is_not_there_is_refused() {
    refuses("--device nowhere", &["--device", "nowhere"]);
    refuses("--device nowhere --blocks 256", &["--device", "does not exist"]);
}

#[test]
fn a_folder_is_no_device() {
    let folder = folder();
    fs::create_dir(folder.path().join("device")).unwrap();
    expect_refusal(&on_device(&folder, "--yes"), &["--device", "is a directory"]);
}

#[test]
fn a_device_that_is_too_small_is_refused() {
    let folder = folder();
    empty_device(&folder, 64 << 10);
    expect_refusal(&on_device(&folder, ""), &["--device", "too small", "--blocks"]);
    expect_refusal(&bench(folder.path(), "--device device"), &["--device", "too small", "--block-size"]);
}

#[test]
fn a_device_that_is_no_whole_number_of_blocks_is_refused() {
    let folder = folder();
    empty_device(&folder, (4 << 20) + 100);
    expect_refusal(&on_device(&folder, "--yes"), &["--device", "multiple of 4096", "truncate it to"]);
}

#[test]
fn a_read_only_device_is_refused_even_for_root() {
    let folder = folder();
    let path = empty_device(&folder, 4 << 20);
    fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
    expect_refusal(&on_device(&folder, "--yes"), &["--device", "read-only", "chmod u+w"]);
}

#[test]
fn another_programs_data_is_refused_and_stays() {
    let mut bytes = vec![0; 4 << 20];
    bytes[0x438..0x43a].copy_from_slice(&[0x53, 0xef]);
    let folder = folder();
    let path = device(&folder, &bytes);
    expect_refusal(&on_device(&folder, ""), &["--device", "ext4", "nothing was overwritten", "--yes"]);
    assert!(fs::read(&path).unwrap() == bytes, "the data was changed");
}

#[test]
fn a_block_of_unknown_kind_is_another_programs_data() {
    // A volume of ours whose description was changed: header and checksum do not match any more.
    let folder = folder();
    let path = empty_device(&folder, 4 << 20);
    expect_code(&on_device(&folder, ""), 0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[4..8].copy_from_slice(b"what");
    fs::write(&path, &bytes).unwrap();
    expect_refusal(&on_device(&folder, ""), &["--device", "another program", "--yes"]);
    assert!(fs::read(&path).unwrap() == bytes, "the data was changed");
    expect_code(&on_device(&folder, "--yes"), 0);
}

#[test]
fn an_empty_device_and_our_own_volume_need_no_yes() {
    let folder = folder();
    empty_device(&folder, 4 << 20);
    for _ in 0..2 {
        expect_code(&on_device(&folder, "--json"), 0);
    }
}

#[test]
fn a_device_that_is_truncated_while_open_is_an_error_that_says_so() {
    let folder = folder();
    let path = empty_device(&folder, 4 << 20);
    let args = "bench cache --device device --blocks 1000 --block-size 4K --threads 1 --workload cold-read --depth 1";
    let child = tidelock(args.split(' ').chain(["--seconds", "30"]))
        .current_dir(folder.path())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until_filled(&path);
    OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 20).unwrap();
    expect_refusal(&child.wait_with_output().unwrap(), &["--device", "truncated while open"]);
}

/// Waits until the volume's description says that it is filled: its fifth word after the header.
fn wait_until_filled(path: &Path) {
    for _ in 0..500 {
        let mut head = [0; 64];
        File::open(path).and_then(|mut file| file.read_exact(&mut head)).unwrap();
        if head[48] == 1 {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("the volume was not filled in ten seconds");
}

#[test]
fn a_trace_with_garbage_names_the_line() {
    let folder = folder();
    let mut file = File::create(folder.path().join("trace.txt")).unwrap();
    write!(file, "1\n2\nthree\n4\n").unwrap();
    let output = bench(folder.path(), "--trace trace.txt");
    expect_refusal(&output, &["--trace", "trace.txt:3", "\"three\"", "one decimal block number"]);
    expect_refusal(&bench(folder.path(), "--trace missing.txt"), &["--trace", "missing.txt"]);
}

#[test]
fn a_capacity_too_small_for_a_trace_is_refused() {
    let folder = folder();
    fs::write(folder.path().join("trace.txt"), "1\n2\n1\n").unwrap();
    expect_refusal(&bench(folder.path(), "--trace trace.txt --capacity 2b"), &["--capacity", "at least 8b"]);
}

#[test]
fn a_scratch_folder_or_a_page_that_cannot_be_written_is_refused_before_anything_runs() {
    refuses("--dir /nowhere/at/all", &["--dir", "directory does not exist"]);
    refuses("--html /nowhere/page.html", &["--html", "/nowhere/page.html"]);
}

#[test]
fn a_refused_run_leaves_the_page_of_the_last_one() {
    let folder = folder();
    fs::write(folder.path().join("page.html"), "last time").unwrap();
    expect_refusal(&bench(folder.path(), "--html page.html --capacity 1K"), &["--capacity"]);
    assert_eq!(fs::read_to_string(folder.path().join("page.html")).unwrap(), "last time");
    refuses("--html page.html --capacity 1K", &["--capacity"]);
}

#[test]
fn a_scratch_file_that_no_disk_has_room_for_is_refused() {
    refuses("--blocks 2147483648 --block-size 64K --capacity 64M --workload zipf", &["--dir"]);
}
