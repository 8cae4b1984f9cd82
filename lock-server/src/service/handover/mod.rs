//! A planned change of servers: the table goes from one to the next, and nobody waits for anybody.
//!
//! A server that is to stop decides nothing more, waits for the changes of records that are under way, and then hands over
//! who holds what. The next one grants at once. What it was not handed, it asks its clients for: wants, and how far each has
//! got in coming down. So clients recover as always, each when it comes, and none waits for another's doing so.
//!
//! **Y9: the table says at least what each client believes.** A grant is in the table before the client hears of it; what a
//! client gives up leaves the table after it has done so (K1). So when a table was taken after the last decision, each client
//! holds what it says, or less: a grant that never arrived, a release that did not. Where a client says less, the client is
//! right, and the difference is given free. Where it says more, the table is right: there was no such grant, and the
//! client is told that it is void.
//!
//! Until a client has told of a lock, the table's word stands, which is safe for everybody else; a revocation of that lock
//! is decided as always, and told only after the client has told of the lock and as far as it is still needed. For a client
//! that does not know a grant would have to answer for it.
//!
//! **The successor is the next leader, and no other.** A table is good for the term after the one it was taken in: had
//! anybody led in between, it would tell of what was. Terms that a campaign gives follow each other, so comparing is enough.
//!
//! A record of which the table knows no session is one whose opening was under way: nothing was granted in it.
//!
//! Wants are not handed over. They come from the clients, in the order in which these come; those that waited may lose their
//! places to each other, once.

mod bytes;
mod layout;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tidelock_format::{ClientId, Fsid, Incarnation, Key, Term};
use tidelock_lock_proto::Held;

pub use bytes::HandoverError;

use super::session::Stage;
use super::{Phase, Records, Seat, Server, ServerConfig, StopReason};
use crate::{Holder, RestoreError};

/// What one server leaves to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    service: Fsid,
    term: Term,
    /// By client and incarnation.
    sessions: Vec<Handed>,
}

/// A session, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Handed {
    client: ClientId,
    incarnation: Incarnation,
    /// In order of their first keys.
    held: Vec<Held>,
}

/// Sessions that were handed over and not taken in yet.
pub(super) type HandedSessions = BTreeMap<(ClientId, Incarnation), Vec<Held>>;

/// A server cannot go on from a table. It has to recover, as after a crash: begin the grace, and [`Server::new`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TakeOverError {
    /// It is another service's.
    #[error("the table is of service {theirs:?}, and this is {ours:?}: check which file was given")]
    Service {
        /// Whose table it is.
        theirs: Fsid,
        /// Who takes over.
        ours: Fsid,
    },
    /// Somebody led in between, or nobody has campaigned since.
    #[error("the table is of term {theirs}, and term {ours} is not the next: recover instead")]
    Term {
        /// When it was taken.
        theirs: Term,
        /// When it is to be used.
        ours: Term,
    },
    /// A recovery has begun, so what clients hold is theirs to tell.
    #[error("a recovery has begun: go on with it, without the table")]
    Recovering,
    /// The records are not about the same sessions.
    #[error(
        "the table and the records disagree about session {incarnation} of client {client}: recover instead"
    )]
    Sessions {
        /// Whose.
        client: ClientId,
        /// Which.
        incarnation: Incarnation,
    },
    /// What it says cannot be.
    #[error("the table contradicts itself ({0}): recover instead")]
    Locks(#[from] RestoreError),
}

impl Server {
    /// What the next server needs to go on where this one stopped, after [`StopReason::Asked`]. `None` if the server did not
    /// stop that way, or was recovering: then the next one recovers.
    ///
    /// It is void as soon as anybody else has led, and who takes it over campaigns only after this server has closed its
    /// connections.
    pub fn hand_over(self) -> Option<Handover> {
        let is_whole = self.stopped == Some(StopReason::Asked) && self.grants.is_open();
        is_whole.then(|| Handover { service: self.config.service, term: self.term, sessions: self.handed() })
    }

    fn handed(&self) -> Vec<Handed> {
        let mut sessions: HandedSessions = self
            .sessions
            .iter()
            .map(|(_, session)| ((session.client, session.incarnation), vec![]))
            .collect();
        for lock in self.grants.locks_from(Key::MIN) {
            for Holder { client, mode, token, .. } in lock.holders() {
                let party = self.party(Seat::of(client));
                let held = sessions.entry((party.client, party.incarnation)).or_default();
                held.push(Held { range: lock.range(), mode, token });
            }
        }
        let handed = |((client, incarnation), held)| Handed { client, incarnation, held };
        sessions.into_iter().map(handed).collect()
    }

    /// A server that leads in `term`, goes on from `handover`, and grants at once. The records are as they are after the
    /// campaign, which is over by `now`: no grace has been begun.
    ///
    /// # Errors
    /// If this table is not what the records and the term ask for. Nothing was changed then.
    pub fn taking_over(
        config: ServerConfig,
        term: Term,
        records: Records,
        handover: Handover,
        now: Duration,
    ) -> Result<Self, TakeOverError> {
        if handover.service != config.service {
            return Err(TakeOverError::Service { theirs: handover.service, ours: config.service });
        }
        if handover.term.0.checked_add(1) != Some(term.0) {
            return Err(TakeOverError::Term { theirs: handover.term, ours: term });
        }
        if records.meta.recovering.is_some() {
            return Err(TakeOverError::Recovering);
        }
        let mut server = Self::empty(config, term, &records, now);
        let handed = handover.sessions.into_iter().map(|it| ((it.client, it.incarnation), it.held)).collect();
        server.load_handed(records, handed)?;
        Ok(server)
    }

    fn load_handed(&mut self, records: Records, mut handed: HandedSessions) -> Result<(), TakeOverError> {
        self.load_tombstones(records.tombstones);
        self.grants.reserve(handed.values().map(Vec::len).sum());
        for record in records.clients {
            let (client, present) = (record.client, record.incarnation);
            let lives = (client, Incarnation(0))..=(client, present);
            let names: Vec<_> = handed.range(lives).map(|(name, _)| *name).collect();
            let mine = names.into_iter().filter_map(|name| handed.remove_entry(&name)).collect();
            self.load_client(record, mine)?;
        }
        // Without locks it may have been closed while the answer was lost.
        handed.retain(|_, held| !held.is_empty());
        if let Some(((client, incarnation), _)) = handed.pop_first() {
            return Err(TakeOverError::Sessions { client, incarnation });
        }
        self.go_on();
        Ok(())
    }

    /// Nobody is waited for: the table says the most that anybody may hold (Y9).
    fn go_on(&mut self) {
        self.phase = Phase::Serving;
        self.missing.clear();
        let mut answers = std::mem::take(&mut self.answers);
        self.grants.open(self.now, &mut answers);
        self.pass_on(answers);
        let seats: Vec<Seat> = self.sessions.iter().map(|(seat, _)| seat).collect();
        // Whoever does not come is silent, and counts as heard until now.
        seats.into_iter().for_each(|seat| self.arm_lease(seat));
    }

    /// A session's locks, as they were handed over.
    pub(super) fn take_in(&mut self, seat: Seat, held: Vec<Held>) -> Result<(), RestoreError> {
        for held in &held {
            self.grants.restore(seat.holder(), *held, self.now)?;
        }
        if let Some(session) = self.sessions.get_mut(seat)
            && session.stage == Stage::Unheard
        {
            session.handed = held.iter().map(|held| held.range.start()).collect::<VecDeque<Key>>();
        }
        Ok(())
    }
}
