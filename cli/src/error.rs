//! How a command can end badly, and the exit code that each way has. This is the only place that knows them.
//!
//! | code | means |
//! |---|---|
//! | 0 | it worked; for `inspect`: the block checks; for `sim`: everything held |
//! | 1 | it was tried and failed; for `inspect`: the block does not check; for `sim`: something did not hold |
//! | 2 | what was asked for cannot be done, or what was given cannot be used: nothing was overwritten |
//! | 75 | `lock`: the lock was not to be had in time |
//! | 76 | `lock`: it was lost while the command ran |
//! | 130 | interrupted |

use std::fmt;
use std::io;
use std::process::ExitCode;

use tidelock_block_cache::{BuildError, CacheError, DirtyError, WriteError};
use tidelock_dev::{DeviceError, Fault, OpenError};

use crate::trace::read::TraceError;

/// What `inspect` answers for a block that does not check.
pub(crate) const FAILED: u8 = 1;
const BAD_INPUT: u8 = 2;
/// What `lock` answers when the lock was not to be had in time: `EX_TEMPFAIL`, as of flock(1).
pub(crate) const TIMED_OUT: u8 = 75;
/// What `lock` answers when the lock was lost.
pub(crate) const LOST: u8 = 76;
/// As shells have it: 128 and the number of SIGINT.
pub(crate) const INTERRUPTED: i32 = 130;

/// Why a command ended without doing what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// Somebody has to give something else. Says what, and names the flag.
    #[error("{0}")]
    Input(String),
    /// The system did not do its part.
    #[error("{0}")]
    Failed(String),
}

impl CliError {
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::Input(message.into())
    }

    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self::Failed(message.to_string())
    }

    /// A file that was named with `flag` cannot be opened.
    pub(crate) fn open(flag: &str, error: &OpenError) -> Self {
        let advice = match error {
            OpenError::NoSpace(_) => "; choose another --dir, or fewer --blocks",
            OpenError::NoUring(_) => "; choose --backend auto or threads",
            _ => "",
        };
        Self::Input(format!("{flag}: {error}{advice}"))
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            CliError::Input(_) => BAD_INPUT,
            CliError::Failed(_) => FAILED,
        })
    }
}

impl From<BuildError> for CliError {
    fn from(error: BuildError) -> Self {
        let flag = match &error {
            BuildError::CapacityTooSmall { .. } | BuildError::CapacityTooLarge { .. } => "--capacity",
            BuildError::BlockTooSmall { .. } => "--block-size",
            BuildError::DeviceTooSmall { .. } => "--blocks",
            _ => "the cache",
        };
        Self::Input(format!("{flag}: {error}"))
    }
}

impl From<DeviceError> for CliError {
    fn from(error: DeviceError) -> Self {
        match &error.fault {
            Fault::Short { .. } => Self::Input(format!(
                "--device: {error}; make it as large as it was and run again, and let nobody else change it meanwhile"
            )),
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<CacheError> for CliError {
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::Device(error) => error.into(),
            CacheError::NoFrame { .. } => {
                Self::Input(format!("--capacity: {error}; give more, or lower --threads or --depth"))
            }
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<DirtyError> for CliError {
    fn from(error: DirtyError) -> Self {
        match error {
            DirtyError::Cache(error) => error.into(),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<WriteError> for CliError {
    fn from(error: WriteError) -> Self {
        error.first.into()
    }
}

impl From<TraceError> for CliError {
    fn from(error: TraceError) -> Self {
        Self::Input(format!("--trace: {error}"))
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
