//! `tidelock inspect` from the outside.

mod common;

use std::fs::{self, File};
use std::process::Output;

use common::{bench, expect_code, stderr, stdout, tidelock};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with a file `volume` that holds one of ours: 200 blocks of 8 KiB.
fn volume() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    File::create(folder.path().join("volume")).unwrap().set_len(201 * 8192).unwrap();
    let args = "--device volume --blocks 200 --block-size 8K --workload hot --seconds 0.05 --threads 1";
    expect_code(&bench(folder.path(), args), 0);
    folder
}

fn inspect(folder: &TempDir, args: &str) -> Output {
    let args = ["inspect"].into_iter().chain(args.split_whitespace());
    tidelock(args).current_dir(folder.path()).output().unwrap()
}

fn flip(folder: &TempDir, byte: usize) {
    let path = folder.path().join("volume");
    let mut bytes = fs::read(&path).unwrap();
    bytes[byte] ^= 1;
    fs::write(&path, bytes).unwrap();
}

#[test]
fn a_good_block_is_printed_and_checks() {
    let folder = volume();
    let output = inspect(&folder, "volume --block 17");
    expect_code(&output, 0);
    let text = stdout(&output);
    for word in ["block  17 (8192 bytes)", "blkno  17", "magic", "fsid", "seq", "good: the checksum is right"]
    {
        assert!(text.contains(word), "no \"{word}\" in {text}");
    }
    let description = inspect(&folder, "volume --block 0");
    expect_code(&description, 0);
    assert!(stdout(&description).contains("description of a benchmark's volume"));
}

#[test]
fn json_is_one_object() {
    let output = inspect(&volume(), "volume --block 3 --json");
    let found: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((found["block"].as_u64(), found["blkno"].as_u64()), (Some(3), Some(3)));
    assert_eq!((found["checks"].as_bool(), found["block_size"].as_u64()), (Some(true), Some(8192)));
}

#[test]
fn a_damaged_block_does_not_check() {
    let folder = volume();
    flip(&folder, 17 * 8192 + 5000);
    let output = inspect(&folder, "volume --block 17");
    expect_code(&output, 1);
    assert!(stdout(&output).contains("BAD: checksum"), "{}", stdout(&output));
    expect_code(&inspect(&folder, "volume --block 18"), 0);
}

#[test]
fn a_block_in_the_wrong_place_does_not_check() {
    let folder = volume();
    let path = folder.path().join("volume");
    let mut bytes = fs::read(&path).unwrap();
    bytes.copy_within(5 * 8192..6 * 8192, 9 * 8192);
    fs::write(&path, bytes).unwrap();
    let output = inspect(&folder, "volume --block 9");
    expect_code(&output, 1);
    assert!(stdout(&output).contains("block 5 in the place of 9"), "{}", stdout(&output));
}

#[test]
fn what_cannot_be_looked_at_is_refused() {
    let folder = volume();
    let cases = [
        ("volume --block 201", "0 to 200"),
        ("volume --block 18446744073709551615", "--block"),
        ("volume --block 1 --block-size 3K", "--block-size"),
        ("nowhere --block 1", "does not exist"),
        (". --block 1", "is a directory"),
        ("volume", "--block"),
    ];
    for (args, word) in cases {
        let output = inspect(&folder, args);
        expect_code(&output, 2);
        assert!(stderr(&output).contains(word), "no \"{word}\" in {}", stderr(&output));
    }
}
