//! Who leads Tidelock's lock service, and the few records that must outlive every leader.
//!
//! A server [campaigns](Authority::campaign). Who wins gets a [`Leader`] with a [`Term`](tidelock_format::Term) greater
//! than all before, and changes the records through it: which clients have a session, in which incarnation, who may reclaim
//! what it held after a restart, who is fenced. Each change is one transaction and holds only while nobody has campaigned
//! since: a term is a fence, so a leader that slept through its own succession changes nothing.
//!
//! ```
//! use tidelock_authority::{Authority, Campaign, Candidate, MemAuthority, OpenSession, OperationId};
//! use tidelock_format::{ClientId, Incarnation};
//!
//! let authority = MemAuthority::new();
//! let Campaign::Won(leader) = authority.campaign(&Candidate::new("a", "10.0.0.1:7400"))? else { panic!("somebody leads") };
//! let client = ClientId::new(7).unwrap();
//! let greeting = OpenSession { client, operation: OperationId(1), label: "web-1".into(), now_ms: 0 };
//! assert_eq!(leader.open_session(greeting.clone())?, Incarnation(1));
//! assert_eq!(leader.open_session(greeting)?, Incarnation(1), "the same greeting, sent again");
//! # Ok::<(), tidelock_authority::AuthorityError>(())
//! ```
//!
//! There is no consensus here and there will be none: [`SqliteAuthority`] trusts one file, `MemAuthority` one process, and
//! an authority for many machines is to be an adapter for a service that exists. One implements [`Authority`] and [`Seat`].
//! Nothing here reads a clock, either; times come from the caller.
//!
//! # Invariants
//! - R1: A term is durable before its leader knows of it, and greater than every term before.
//! - R2: A change is made only in the newest term, and never after that term's leader has resigned.
//! - R3: A call that returned is durable.
//! - R4: No incarnation of a client is given out twice, whatever was deleted in between.
//! - R5: A session is in a list of who may reclaim, or it is expelled, or a restart in the middle of a recovery took it off;
//!   then it can only be opened anew. Outside a recovery the list is the current one and the third kind is gone.
//! - R6: A tombstone stands only for an incarnation that is fenced.
//! - R7: Fences, epochs and terms never go back.
#![forbid(unsafe_code)]

mod authority;
mod change;
mod error;
mod leader;
mod mem;
mod record;
mod rows;
mod rules;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use authority::{Authority, Campaign, Candidate};
pub use change::{Change, OpenSession, OperationId, Outcome};
pub use error::AuthorityError;
pub use leader::{Leader, Seat};
pub use mem::{MemAuthority, MemStorage};
pub use record::{ClientRecord, ClientState, Leadership, Meta, Tombstone};
#[cfg(feature = "sqlite")]
pub use sqlite::{OpenError, SqliteAuthority};
