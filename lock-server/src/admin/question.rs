//! What can be asked.

use serde::{Deserialize, Serialize};

/// A question. Where a `limit` is left out, it is a thousand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Question {
    /// What the server is, and what it is at.
    About {},
    /// Sessions.
    Sessions {
        /// How many at the most.
        #[serde(default)]
        limit: Option<usize>,
    },
    /// Sessions of the clients whose names begin so, and their locks.
    Session {
        /// The beginning of a client's name, in hexadecimal digits.
        client: String,
        /// How many locks at the most.
        #[serde(default)]
        limit: Option<usize>,
    },
    /// Locks.
    Locks {
        /// From the lock that begins at this key on, in hexadecimal digits.
        #[serde(default)]
        from: Option<String>,
        /// Only those that somebody waits for.
        #[serde(default)]
        waiting: bool,
        /// How many at the most.
        #[serde(default)]
        limit: Option<usize>,
        /// How many are looked at, at the most; all of them where it is left out.
        #[serde(default)]
        scan: Option<usize>,
    },
    /// The recovery.
    Grace {},
    /// Everything that is counted.
    Counters {},
}

/// How many are told where no limit is given.
pub(super) const LIMIT: usize = 1000;
