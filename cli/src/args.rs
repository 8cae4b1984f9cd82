//! What can be asked for on the command line.
//!
//! Values that can be judged by themselves are refused here, by clap, with the flag's name and exit code 2. What depends
//! on a file or a device is refused where that is opened.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use tidelock_format::BlockSize;
use tidelock_sim::{Canary, Faults, Property};

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
    /// Run a cluster's locks in a simulated world in which everything goes wrong
    #[command(arg_required_else_help = true)]
    Sim {
        #[command(subcommand)]
        sim: Sim,
    },
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

#[derive(Debug, Subcommand)]
pub(crate) enum Sim {
    /// Run many seeds, and stop at the first in which something does not hold
    Run(SimRunArgs),
    /// Run one seed again, exactly as it was
    Replay(SimReplayArgs),
    /// Make a failing seed small: fewer faults, less time, fewer of everything
    Shrink(SimShrinkArgs),
}

const SIM_RUN_EXAMPLES: &str = "\
Examples:
  tidelock sim run                                   2000 seeds, every kind of fault
  tidelock sim run --seeds 100000 --start 2000
  tidelock sim run --faults partition,client-freeze --every-fault
  tidelock sim run --canary no-gate                  a planted bug: it has to be found

A seed is a whole run: two to four clients, two or three servers that campaign for leadership, a network, a store, and what
goes wrong between them, all drawn from that number. The lock clients and servers are the real ones. Twice the same seed is
twice the same run; a seed in which something does not hold is printed with the command that repeats it.

Kinds of faults: cut, half-open, partition, delay, late-data, client-crash, client-freeze, client-leave, client-abandon,
slow-invalidation, server-crash, crash-point, server-freeze, usurp, hand-over, records-refuse, records-unknown,
records-slow, drift, wall-clock, slow-store, impatience.

Exit code: 0 if everything held, 1 if something did not.";

/// What every run of a seed can be told.
#[derive(Debug, clap::Args)]
pub(crate) struct SimArgs {
    /// Kinds of faults that may happen, with commas between them; all, none
    #[arg(long, value_name = "LIST", default_value = "all")]
    pub(crate) faults: Faults,

    /// Have each seed take all of these kinds, instead of those that it draws
    #[arg(long)]
    pub(crate) every_fault: bool,

    /// Plant a bug, to see that it is found
    #[arg(long, value_name = "NAME", value_parser = canary)]
    pub(crate) canary: Option<Canary>,

    /// Look at one property alone, Z-1 to Z-16
    #[arg(long, value_name = "ID", value_parser = property)]
    pub(crate) only: Option<Property>,

    /// Clients [default: drawn, 2 to 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=8))]
    pub(crate) clients: Option<u8>,

    /// Users of each client [default: drawn, 1 to 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=8))]
    pub(crate) users: Option<u8>,

    /// Locks [default: drawn, 1 to 6]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) locks: Option<u8>,

    /// Servers [default: drawn, 2 or 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=4))]
    pub(crate) servers: Option<u8>,

    /// For how long faults happen, in simulated seconds [default: drawn]
    #[arg(long, value_name = "SECONDS", value_parser = quantity::seconds)]
    pub(crate) chaos: Option<Duration>,

    /// Faults that do not happen, by their numbers in the log
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) without: Vec<u32>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = SIM_RUN_EXAMPLES)]
pub(crate) struct SimRunArgs {
    /// How many seeds
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub(crate) seeds: u64,

    /// The first of them
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) start: u64,

    /// Threads, each with a seed of its own at a time [default: one for each processor]
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZero<u16>>,

    /// Go on when something did not hold
    #[arg(long)]
    pub(crate) keep_going: bool,

    /// A JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) sim: SimArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SimReplayArgs {
    /// Which seed
    #[arg(value_name = "SEED")]
    pub(crate) seed: u64,

    /// Print everything that happens, a line each
    #[arg(long)]
    pub(crate) log: bool,

    /// A JSON object instead of text
    #[arg(long, conflicts_with = "log")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) sim: SimArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SimShrinkArgs {
    /// Which seed
    #[arg(value_name = "SEED")]
    pub(crate) seed: u64,

    /// A JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) sim: SimArgs,
}

fn property(id: &str) -> Result<Property, String> {
    Property::from_id(id).ok_or_else(|| "there are Z-1 to Z-16: see docs/invariants.md".into())
}

fn canary(name: &str) -> Result<Canary, String> {
    let names = || Canary::ALL.map(Canary::name).join(", ");
    Canary::from_name(name).ok_or_else(|| format!("no such bug can be planted; there are {}", names()))
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
