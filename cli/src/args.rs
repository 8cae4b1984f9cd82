//! What can be asked for on the command line.
//!
//! Values that can be judged by themselves are refused here, by clap, with the flag's name and exit code 2. What depends
//! on a file or a device is refused where that is opened.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use tidelock_format::BlockSize;

use crate::lock::LockArgs;
use crate::locks_bench::{LocksArgs, WorkerArgs};
use crate::quantity::{self, Capacity};
use crate::server::args::{Grace, Locks, ServeArgs, Session, TopArgs};

/// Measures and inspects Tidelock's storage engine, and runs its lock servers
#[derive(Debug, Parser)]
#[command(name = "tidelock", version, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure a part of the storage engine on this machine
    #[command(arg_required_else_help = true)]
    Bench {
        #[command(subcommand)]
        bench: Bench,
    },
    /// Print one block's header, and whether the block checks
    Inspect(InspectArgs),
    /// Run a lock server
    #[command(arg_required_else_help = true)]
    Serve(Box<ServeArgs>),
    /// Look at the clients of a lock server
    #[command(arg_required_else_help = true)]
    Session {
        #[command(subcommand)]
        session: Session,
    },
    /// Look at the locks of a lock server
    #[command(arg_required_else_help = true)]
    Locks {
        #[command(subcommand)]
        locks: Locks,
    },
    /// Look at how a lock server gets on after a change of servers
    #[command(arg_required_else_help = true)]
    Grace {
        #[command(subcommand)]
        grace: Grace,
    },
    /// Watch a lock server: sessions, waiters, grants a second
    #[command(arg_required_else_help = true)]
    Top(TopArgs),
    /// Hold a cluster lock while a command runs
    Lock(Box<LockArgs>),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Real blocks on a real file, read through the block cache under memory pressure
    Cache(Box<CacheArgs>),
    /// Cluster locks: cached ones, round trips, the server's decisions, many processes
    Locks(LocksArgs),
    /// One of the processes that `bench locks` starts
    #[command(hide = true)]
    LocksWorker(WorkerArgs),
}

const CACHE_EXAMPLES: &str = "\
Examples:
  tidelock bench cache                                      everything, in less than two minutes
  tidelock bench cache --workload zipf,pressure --threads 4
  tidelock bench cache --workload cold-read --block-size 64K --depth 1 --depth 32
  tidelock bench cache --dir /mnt/nvme --blocks 1000000 --capacity 10%
  tidelock bench cache --device /dev/nvme1n1 --yes          ALL ITS CONTENT IS LOST
  tidelock bench cache --trace blocks.txt.zst               hit ratio beside the optimum, LRU and S3-FIFO
  tidelock bench cache --html report.html                   charts, in one file

Times are for one operation of one thread. The scratch file has no name while it is in use, so nothing is left behind
whatever ends the run.";

#[derive(Debug, clap::Args)]
#[command(after_help = CACHE_EXAMPLES)]
pub(crate) struct CacheArgs {
    /// What to run; may be repeated or given as a list [default: all of them]
    #[arg(long, value_enum, value_name = "NAME", value_delimiter = ',', conflicts_with = "trace")]
    pub(crate) workload: Vec<Workload>,

    /// Threads that work at the same time [default: one for each processor, at most 8]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZero<u16>>,

    /// What the cache may hold: bytes (64M, 1GiB), a share of the data (25%) or blocks (4096b) [default: 25%]; with
    /// --trace a share is one of its unique blocks [default: 1%, 5% and 20%]
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) capacity: Option<Capacity>,

    /// Blocks on the volume [default: 32768, or as many as --device holds if that is less]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(BLOCKS_MIN..=BLOCKS_MAX))]
    pub(crate) blocks: Option<u64>,

    /// Bytes of a block: 4K, 8K, 16K, 32K or 64K [default: 16K; with --trace 4K]
    #[arg(long, value_name = "BYTES", value_parser = quantity::block_size)]
    pub(crate) block_size: Option<BlockSize>,

    /// How requests reach the medium
    #[arg(long, value_enum, value_name = "NAME", default_value_t)]
    pub(crate) backend: BackendArg,

    /// How long each workload is measured
    #[arg(
        long,
        value_name = "SECONDS",
        value_parser = quantity::seconds,
        default_value = "3",
        allow_negative_numbers = true
    )]
    pub(crate) seconds: Duration,

    /// Which blocks are read in which order follows from this
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Cold reads that each thread keeps in flight; may be repeated or given as a list [default: 1, 8, 32, 128]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) depth: Vec<u32>,

    /// Work on this file or block device instead of a scratch file; it is refused unless it is empty, or holds a volume
    /// that this command made
    #[arg(long, value_name = "PATH", conflicts_with_all = ["dir", "trace"])]
    pub(crate) device: Option<PathBuf>,

    /// With --device: overwrite it, whatever it holds
    #[arg(long, requires = "device")]
    pub(crate) yes: bool,

    /// Folder for the scratch file; it should be on a disk, not in memory [default: the current folder]
    #[arg(long, value_name = "DIR", conflicts_with = "trace")]
    pub(crate) dir: Option<PathBuf>,

    /// Replay these accesses instead of the workloads: one block number a line, plain, .gz or .zst
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,

    /// One JSON object for each workload and line, instead of a table
    #[arg(long)]
    pub(crate) json: bool,

    /// Also write a page with charts; it is one file and needs no network
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// Fewer than this, and a capacity of a share of them is below what a cache can work with.
pub(crate) const BLOCKS_MIN: u64 = 64;
/// A block and its version are packed into 64 bits here.
const BLOCKS_MAX: u64 = 1 << 31;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// Every block as often as every other
    Uniform,
    /// Few blocks often, many rarely (Zipf, 0.99)
    Zipf,
    /// All threads one block, under a guard
    Hot,
    /// One read in four goes through all blocks in order, beside Zipf 0.9
    Scan,
    /// The capacity is cut and raised while writers replace the blocks that readers read
    Pressure,
    /// From empty to all blocks: the longest insertion
    Growth,
    /// Blocks that are not cached, several in flight
    ColdRead,
    /// A thousand dirty blocks, written and flushed
    Commit,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendArg {
    /// io_uring where it can be had, threads otherwise
    #[default]
    Auto,
    /// io_uring or nothing
    Uring,
    /// pread and pwrite on a few threads
    Threads,
    /// Memory: no medium at all
    Mem,
}

const INSPECT_EXAMPLES: &str = "\
Examples:
  tidelock inspect /dev/nvme1n1 --block 17
  tidelock inspect image.bin --block 0 --block-size 4K --json

Exit code: 0 if the block checks, 1 if it does not, 2 if it cannot be looked at.";

#[derive(Debug, clap::Args)]
#[command(after_help = INSPECT_EXAMPLES)]
pub(crate) struct InspectArgs {
    /// The file or block device
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Number of the block
    #[arg(long, value_name = "N")]
    pub(crate) block: u64,

    /// Bytes of a block [default: what the volume says of itself]
    #[arg(long, value_name = "BYTES", value_parser = quantity::block_size)]
    pub(crate) block_size: Option<BlockSize>,

    /// A JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
