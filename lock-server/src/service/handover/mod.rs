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
mod locks;

use std::collections::BTreeMap;
use std::time::Duration;

use tidelock_format::{ClientId, Fsid, Incarnation, Key, Term};

pub use bytes::{Handover, HandoverError};

use self::bytes::SessionName;
use self::locks::{HandedHolder, LockWriter};
use super::{Phase, Records, Seat, Server, ServerConfig, StopReason};
use crate::{Holder, RestoreError};

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
    /// Its locks are none.
    #[error(transparent)]
    Bytes(#[from] HandoverError),
    /// What it says cannot be.
    #[error("the table contradicts itself ({0}): recover instead")]
    Locks(#[from] RestoreError),
}

impl Server {
    /// What the next server needs to go on where this one stopped, after [`StopReason::Asked`]. `None` if the server did not
    /// stop that way, or was recovering: then the next one recovers.
    ///
    /// It is void as soon as anybody else has led, and who takes it over campaigns only when nothing is said on the connections
    /// of this one any more.
    pub fn hand_over(&self) -> Option<Handover> {
        let is_whole = self.stopped == Some(StopReason::Asked) && self.grants.is_open();
        is_whole.then(|| {
            let mut seats: Vec<(SessionName, Seat)> = self
                .sessions
                .iter()
                .map(|(seat, session)| ((session.client, session.incarnation), seat))
                .collect();
            seats.sort_unstable();
            let names = seats.iter().map(|(name, _)| *name).collect();
            let seats = seats.into_iter().map(|(_, seat)| seat).collect();
            Handover::encode(self.config.service, self.term, names, |writer| self.put_locks(seats, writer))
        })
    }

    /// Appends all locks. `seats` are those of the sessions, as these are numbered.
    fn put_locks(&self, seats: Vec<Seat>, writer: &mut LockWriter<'_>) {
        let mut numbers = vec![0; seats.iter().map(|seat| seat.place() + 1).max().unwrap_or(0)];
        for (number, seat) in (0..).zip(seats) {
            numbers[seat.place()] = number;
        }
        let handed = |Holder { client, mode, token, .. }| HandedHolder {
            // Y3: who holds a lock is a session.
            session: numbers[Seat::of(client).place()],
            mode,
            token,
        };
        let mut holders = Vec::new();
        for lock in self.grants.locks_from(Key::MIN) {
            holders.clear();
            holders.extend(lock.holders().map(handed));
            holders.sort_unstable_by_key(|holder| holder.session);
            // Who only wants it comes and says so.
            if !holders.is_empty() {
                writer.put(&lock.range(), &holders);
            }
        }
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
        handover: &Handover,
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
        server.load_tombstones(records.tombstones);
        for record in &records.clients {
            let lives = (record.client, Incarnation(0))..=(record.client, record.incarnation);
            let first = handover.sessions.partition_point(|name| name < lives.start());
            let mine = handover.sessions[first..].iter().take_while(|name| lives.contains(name));
            server.load_client(record, mine.map(|(_, incarnation)| *incarnation).collect());
        }
        server.enter_handed(handover)?;
        records.clients.into_iter().for_each(|record| server.load_state(record));
        server.go_on();
        Ok(server)
    }

    /// Enters the locks that were handed over, in order of their keys.
    fn enter_handed(&mut self, handover: &Handover) -> Result<(), TakeOverError> {
        let known: BTreeMap<SessionName, Seat> = self
            .sessions
            .iter()
            .map(|(seat, session)| ((session.client, session.incarnation), seat))
            .collect();
        // A session that nobody knows may have been closed while the answer was lost; but not one that holds anything.
        let seats: Vec<Option<Seat>> =
            handover.sessions.iter().map(|name| known.get(name).copied()).collect();
        self.grants.reserve(handover.locks as usize);
        let mut locks = handover.locks();
        while let Some(range) = locks.next()? {
            let holders = locks.holders();
            let seat_of = |holder: &HandedHolder| seats[holder.session as usize];
            if let Some(stranger) = holders.iter().find(|holder| seat_of(holder).is_none()) {
                let (client, incarnation) = handover.sessions[stranger.session as usize];
                return Err(TakeOverError::Sessions { client, incarnation });
            }
            let seated = || holders.iter().filter_map(|holder| Some((seat_of(holder)?, holder)));
            let grants = seated().map(|(seat, holder)| (seat.holder(), holder.mode, holder.token));
            self.grants.enter(range, grants, self.now)?;
            for (seat, _) in seated() {
                if let Some(session) = self.sessions.get_mut(seat) {
                    session.handed += 1;
                }
            }
        }
        Ok(())
    }

    /// Nobody is waited for: the table says the most that anybody may hold (Y9).
    fn go_on(&mut self) {
        self.phase = Phase::Serving;
        self.missing.clear();
        self.grants.open_entered();
        let seats: Vec<Seat> = self.sessions.iter().map(|(seat, _)| seat).collect();
        // Whoever does not come is silent, and counts as heard until now.
        seats.into_iter().for_each(|seat| self.arm_lease(seat));
    }
}
