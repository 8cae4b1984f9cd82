//! Why the authority did not do what it was asked, and what to do about it.

use std::path::PathBuf;

use tidelock_format::{ClientId, Incarnation, Term};

/// Why the authority did not do what it was asked, and what to do about it.
///
/// Nothing was changed, except after [`Unknown`](AuthorityError::Unknown). Every change can be asked for again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// Another campaign was won since.
    #[error(
        "deposed: somebody leads in term {by}; stop serving, and campaign again if this server is to lead"
    )]
    Deposed {
        /// The newest term.
        by: Term,
    },
    /// This leader resigned.
    #[error("this leader has resigned from term {term}; campaign again")]
    Resigned {
        /// Its term.
        term: Term,
    },
    /// The client has no session.
    #[error("client {client} has no session; it has to open one")]
    NoSession {
        /// The client.
        client: ClientId,
    },
    /// The session named is not the client's present one, or a restart in the middle of a recovery ended it (R5).
    #[error("session {incarnation} of client {client} is over; it has to open a new one, as a new operation")]
    SessionOver {
        /// The client.
        client: ClientId,
        /// The session that was named.
        incarnation: Incarnation,
    },
    /// The session is expelled.
    #[error("session {incarnation} of client {client} is expelled ({reason}); fence and bury it first")]
    Expelled {
        /// The client.
        client: ClientId,
        /// Its session.
        incarnation: Incarnation,
        /// Why, for people.
        reason: String,
    },
    /// To be buried, and not expelled.
    #[error("session {incarnation} of client {client} is not expelled; expel it first")]
    NotExpelled {
        /// The client.
        client: ClientId,
        /// Its session.
        incarnation: Incarnation,
    },
    /// To be buried, and not fenced (R6).
    #[error("session {incarnation} of client {client} is fenced to {fenced_to} only; raise its fence first")]
    NotFenced {
        /// The client.
        client: ClientId,
        /// Its session.
        incarnation: Incarnation,
        /// The last incarnation that is fenced.
        fenced_to: Incarnation,
    },
    /// To be fenced, and not opened yet: the client's next session would be fenced from its beginning.
    #[error("client {client} has had no session {incarnation} yet; fence it up to a session that it had")]
    NeverOpened {
        /// The client.
        client: ClientId,
        /// The session that was named.
        incarnation: Incarnation,
    },
    /// Nothing is being recovered.
    #[error("nothing is being recovered; what was held before has to be acquired anew")]
    NoGrace,
    /// The client is not among those that may reclaim.
    #[error("client {client} may not reclaim in this recovery; it has to open a new session")]
    NotListed {
        /// The client.
        client: ClientId,
    },
    /// The recovery cannot end: there are sessions that neither reclaimed nor were closed, expelled or opened anew (R5).
    #[error("{left} sessions have not reclaimed, first that of {first}; wait for them, or expel them")]
    StillRecovering {
        /// How many.
        left: u64,
        /// The first of them.
        first: ClientId,
    },
    /// A text that cannot be kept.
    #[error("the {what} has {bytes} bytes; give it at most 1024, and no NUL among them")]
    BadText {
        /// Which text.
        what: &'static str,
        /// Its bytes.
        bytes: usize,
    },
    /// The disk is full.
    #[error("no space left to write {}; free some, nothing was changed", .0.display())]
    Full(PathBuf),
    /// The file cannot be written.
    #[error("{} cannot be written; check the owner and mode of the file and of its folder, and whether the file system \
        is mounted read-only", .0.display())]
    ReadOnly(PathBuf),
    /// It was opened for reading.
    #[error("{} was opened for reading only; open it for writing to lead", .0.display())]
    OpenedForReading(PathBuf),
    /// Another process is in the way.
    #[error("{} is locked by another process, for longer than five seconds; see who has it open (fuser, lsof), and try \
        again", .0.display())]
    Busy(PathBuf),
    /// The file's bytes make no sense.
    #[error("{} is damaged: {why}; stop, keep a copy, and restore it from a backup", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// The change may be durable or not. Nothing more is written until the file was opened again.
    #[error("whether the change reached {} is unknown: {why}; open the file again, campaign, and ask again", .path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What failed.
        why: String,
    },
    /// An earlier write came to an unknown end.
    #[error("an earlier write to {} failed; open the file again, and campaign", .0.display())]
    Stopped(PathBuf),
    /// Anything else that the storage said.
    #[error("{}: {why}", .path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// What it said.
        why: String,
    },
}
