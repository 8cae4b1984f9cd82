//! What becomes of a client that comes, or comes again.
//!
//! The answer is always one of six, each says what to do next, and none is silence: a client that was given up and gets no
//! answer tries for ever, and one whose absence is guessed from two numbers that differ is taken for healthy although
//! its locks were given away. So the decision is made from what is *known* of the client, not from what it says.

use std::time::Duration;

use tidelock_format::{Fsid, Incarnation, Term};

/// What a client says that was told where a service is and not what it is called. It learns the name from the welcome, and
/// means that one from then on.
pub const ANY_SERVICE: Fsid = Fsid(0);

/// What a client says first on a connection. On whose behalf it comes was proved by the connection itself, before this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hello {
    /// The oldest and the newest version that it speaks.
    pub versions: (u8, u8),
    /// The service that it means to talk to, or [`ANY_SERVICE`].
    pub service: Fsid,
    /// Which of its principal's clients it is: it can only name clients of the [`Principal`](crate::Principal) that the
    /// connection proved.
    pub instance: u128,
    /// Its session, or zero if it has none.
    pub incarnation: Incarnation,
    /// The last term that it knew, or zero.
    pub term: Term,
    /// Whether it only wants to say farewell.
    pub is_leaving: bool,
}

/// Who is greeted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// The versions that it speaks, oldest and newest.
    pub versions: (u8, u8),
    /// What it is called.
    pub service: Fsid,
    /// Its term.
    pub term: Term,
    /// Set while it can take nobody in, and how long that may last.
    pub busy_for: Option<Duration>,
}

/// What the service knows of a client: its record, and what of its session is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    /// Nothing: it never came, or said farewell and is forgotten.
    Nothing,
    /// It has a record under this incarnation, and its session is in memory.
    Live(Incarnation),
    /// It has a record under this incarnation from an earlier term, and has not come back yet.
    Unheard(Incarnation),
    /// It said farewell under this incarnation, and some of what it held is still being taken back.
    Leaving(Incarnation),
    /// It was expelled, up to this incarnation.
    Expelled(Incarnation),
}

impl Known {
    /// The last session that is known.
    pub fn incarnation(self) -> Option<Incarnation> {
        match self {
            Known::Nothing => None,
            Known::Live(mine) | Known::Unheard(mine) | Known::Leaving(mine) | Known::Expelled(mine) => {
                Some(mine)
            }
        }
    }
}

/// What becomes of the client. Each ends the greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A new session, with this incarnation or a greater one: its record has to be durable before this is said. It takes the
    /// place of any that the client had, whose locks are taken back as those of an expelled client are.
    New {
        /// The least incarnation that the session may have.
        least: Incarnation,
    },
    /// The session goes on where it was.
    Resumed,
    /// The session goes on under a new server: the client tells it what it holds. Its messages begin anew, also where that
    /// was said before and did not arrive.
    Recover,
    /// The session is over, and what it held is or will be given away. Terminal for this incarnation: the client has to give
    /// up all that it holds, and may then ask for a new session.
    Expelled {
        /// Up to which incarnation.
        upto: Incarnation,
    },
    /// They cannot talk. Terminal until somebody changes something.
    Mismatch(Mismatch),
    /// Not now. The client tries again after this time.
    Busy(Duration),
    /// The client wants to leave, and there is nothing left of it: it has left.
    Left,
}

/// Why a client and a service cannot talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// They have no version in common.
    #[error("it speaks versions {} to {}, here are {} to {}: one of the two is too old", theirs.0, theirs.1, ours.0, ours.1)]
    Version {
        /// What the client speaks.
        theirs: (u8, u8),
        /// What is spoken here.
        ours: (u8, u8),
    },
    /// Another service was meant.
    #[error("it means service {theirs:?}, and this is {ours:?}: check the address")]
    Service {
        /// Which the client means.
        theirs: Fsid,
        /// Which this is.
        ours: Fsid,
    },
    /// It knows a later term than this server has: this server was deposed, or its state was set back.
    #[error("it knows term {theirs}, and this server has {ours}: another server is newer")]
    Deposed {
        /// The term that the client knows.
        theirs: Term,
        /// The server's.
        ours: Term,
    },
    /// It names a session that nobody ever opened.
    #[error("it names session {theirs}, and none later than {known} was ever opened")]
    Session {
        /// The session that it names.
        theirs: Incarnation,
        /// The last one that is known.
        known: Incarnation,
    },
}

/// Decides what becomes of a client of whom this much is `known`. Pure: whoever calls it carries it out.
pub fn greet(service: &Service, hello: &Hello, known: Known) -> Outcome {
    if let Err(mismatch) = agree(service, hello) {
        return Outcome::Mismatch(mismatch);
    }
    if let Some(wait) = service.busy_for {
        return Outcome::Busy(wait);
    }
    // A client that knows an earlier term has not heard that it was to recover, whatever was answered before: its messages
    // are still the last server's.
    let known = match known {
        Known::Live(mine) if hello.term != service.term => Known::Unheard(mine),
        known => known,
    };
    if hello.is_leaving {
        return greet_leaver(hello.incarnation, known);
    }
    let theirs = hello.incarnation;
    let Some(mine) = known.incarnation() else {
        // Of a session that nobody remembers, everything was taken back long ago.
        let is_first = theirs == Incarnation(0);
        let first = Outcome::New { least: Incarnation(1) };
        return if is_first { first } else { Outcome::Expelled { upto: theirs } };
    };
    match known {
        // It has given up all that it held, or is another life of the same client.
        _ if theirs == Incarnation(0) => Outcome::New { least: mine.next() },
        // How long an expulsion is remembered is a matter of the time of day, and a later one may be forgotten first.
        Known::Expelled(_) if theirs > mine => Outcome::Expelled { upto: theirs },
        _ if theirs > mine => Outcome::Mismatch(Mismatch::Session { theirs, known: mine }),
        Known::Live(_) if theirs == mine => Outcome::Resumed,
        Known::Unheard(_) if theirs == mine => Outcome::Recover,
        // An earlier life: a later one is there, and may be well.
        Known::Live(_) | Known::Unheard(_) => Outcome::Expelled { upto: theirs },
        Known::Nothing | Known::Leaving(_) | Known::Expelled(_) => Outcome::Expelled { upto: mine },
    }
}

/// For a client that only wants to leave: whether there is anything to leave.
fn greet_leaver(theirs: Incarnation, known: Known) -> Outcome {
    match known {
        Known::Live(mine) | Known::Leaving(mine) if mine == theirs => Outcome::Resumed,
        Known::Unheard(mine) if mine == theirs => Outcome::Recover,
        _ => Outcome::Left,
    }
}

fn agree(service: &Service, hello: &Hello) -> Result<(), Mismatch> {
    let (ours, theirs) = (service.versions, hello.versions);
    if theirs.1 < ours.0 || ours.1 < theirs.0 || theirs.0 > theirs.1 {
        return Err(Mismatch::Version { theirs, ours });
    }
    if hello.service != service.service && hello.service != ANY_SERVICE {
        return Err(Mismatch::Service { theirs: hello.service, ours: service.service });
    }
    if hello.term > service.term {
        return Err(Mismatch::Deposed { theirs: hello.term, ours: service.term });
    }
    Ok(())
}
