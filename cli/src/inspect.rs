//! `tidelock inspect`: one block's header, and whether the block checks.
//!
//! What can be checked without a reference to the block: its checksum, that it says it belongs where it is, and, when the
//! volume describes itself, that it belongs to this volume. Which image of it is the right one, only a reference knows.

use std::process::ExitCode;

use serde::Serialize;
use tidelock_dev::{Direct, OpenOptions, blocking};
use tidelock_format::{BlockHeader, BlockNo, BlockSize, DeviceRange, Fsid, Mismatch, verify};

use crate::args::InspectArgs;
use crate::error::{CliError, FAILED};
use crate::volume::{DATA, DESCRIPTION, Description};

/// What is known of a block.
#[derive(Debug, Serialize)]
struct Finding {
    block: u64,
    block_size: usize,
    crc: String,
    magic: String,
    kind: &'static str,
    fsid: String,
    seq: String,
    blkno: u64,
    checks: bool,
    explanation: String,
}

pub(crate) fn run(args: &InspectArgs) -> Result<ExitCode, CliError> {
    let options = OpenOptions::new().read_only(true).direct(Direct::Off);
    let device = options.open(&args.file).map_err(|error| CliError::open("FILE", &error))?.device;
    let volume = Description::read(&*device)?;
    let size = args.block_size.or(volume.map(|volume| volume.block_size)).unwrap_or_default();
    let range = DeviceRange::of_block(BlockNo(args.block), size)
        .filter(|range| range.end() <= device.size())
        .ok_or_else(|| beyond(args.block, size, device.size()))?;
    let image = blocking::read(&*device, range)?;
    let finding = finding(&image, args.block, size, volume.map(|volume| volume.fsid));
    if args.json {
        println!("{}", serde_json::to_string(&finding).map_err(CliError::failed)?);
    } else {
        print(&finding);
    }
    Ok(if finding.checks { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn beyond(block: u64, size: BlockSize, bytes: u64) -> CliError {
    let message = match bytes / size.bytes() as u64 {
        0 => format!("--block-size: the file has {bytes} bytes, less than one block of {size}"),
        blocks => format!(
            "--block: {block} is beyond the end: the file has {blocks} blocks of {size}, 0 to {}",
            blocks - 1
        ),
    };
    CliError::Input(message)
}

fn finding(image: &[u8], block: u64, size: BlockSize, fsid: Option<Fsid>) -> Finding {
    let header = BlockHeader::read(image);
    let checked = check(image, &header, BlockNo(block), fsid);
    Finding {
        block,
        block_size: size.bytes(),
        crc: header.crc.to_string(),
        magic: header.magic.to_string(),
        kind: kind(&header),
        fsid: header.fsid.to_string(),
        seq: header.seq.to_string(),
        blkno: header.blkno.0,
        checks: checked.is_ok(),
        explanation: match checked {
            Ok(()) => "the checksum is right, and the block is where it belongs".into(),
            Err(why) => why,
        },
    }
}

/// As a cache would check it, with everything that only a reference knows taken from the block itself.
fn check(image: &[u8], header: &BlockHeader, place: BlockNo, fsid: Option<Fsid>) -> Result<(), String> {
    if image.iter().all(|byte| *byte == 0) {
        return Err("all zeroes: nothing was ever written here".into());
    }
    let mut wanted = header.block_ref();
    wanted.blkno = place;
    verify(image, fsid.unwrap_or(header.fsid), wanted, header.magic).map_err(|mismatch| {
        let means = match mismatch {
            Mismatch::Checksum { .. } => {
                "the bytes are not those that were written, or this is no block of this size"
            }
            Mismatch::Blkno { .. } => {
                "a block that belongs elsewhere: it was written or copied to the wrong place"
            }
            Mismatch::Fsid { .. } => "left over from another volume",
            _ => "not what was expected",
        };
        format!("{mismatch}: {means}")
    })
}

fn kind(header: &BlockHeader) -> &'static str {
    match header.magic {
        DESCRIPTION => "description of a benchmark's volume",
        DATA => "data of a benchmark",
        _ => "unknown",
    }
}

fn print(finding: &Finding) {
    let verdict = if finding.checks { "good" } else { "BAD" };
    println!(
        "block  {} ({} bytes)\ncrc    {}\nmagic  {} ({})\nfsid   {}\nseq    {}\nblkno  {}\n{verdict}: {}",
        finding.block,
        finding.block_size,
        finding.crc,
        finding.magic,
        finding.kind,
        finding.fsid,
        finding.seq,
        finding.blkno,
        finding.explanation
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidelock_format::{Checksum, Seq};

    fn block() -> Vec<u8> {
        let mut image = vec![0; 4096];
        BlockHeader { crc: Checksum(0), magic: DATA, fsid: Fsid(5), seq: Seq(6), blkno: BlockNo(7) }
            .write(&mut image);
        BlockHeader::seal(&mut image);
        image
    }

    #[test]
    fn each_way_to_be_bad_is_explained_in_its_own_words() {
        let explain = |image: &[u8], place, fsid| finding(image, place, BlockSize::MIN, fsid).explanation;
        assert!(finding(&block(), 7, BlockSize::MIN, None).checks);
        assert!(finding(&block(), 7, BlockSize::MIN, Some(Fsid(5))).checks);
        let mut flipped = block();
        flipped[4000] ^= 4;
        assert!(explain(&flipped, 7, None).contains("not those that were written"));
        assert!(explain(&block(), 8, None).contains("belongs elsewhere"));
        assert!(explain(&block(), 7, Some(Fsid(9))).contains("another volume"));
        assert!(explain(&[0; 4096], 7, None).contains("all zeroes"));
    }
}
