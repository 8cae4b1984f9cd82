//! One greeting, of anybody: what it may come to.

use std::time::Duration;

use arbitrary::{Arbitrary, Result, Unstructured};
use tidelock_format::{Fsid, Incarnation, Term};
use tidelock_net::{ANY_SERVICE, Hello, Known, Outcome, Service, greet};

use crate::figure::Figure;

const SERVICE: Fsid = Fsid(7);
const TERM: Term = Term(5);

/// Who greets, and what is known of them.
#[derive(Clone, Copy, Debug)]
pub struct Greeting {
    hello: Hello,
    known: Known,
    is_busy: bool,
}

impl<'a> Arbitrary<'a> for Greeting {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let mine = Incarnation(u64::from(u8::arbitrary(bytes)?) + 1);
        let known = match u8::arbitrary(bytes)? % 5 {
            0 => Known::Nothing,
            1 => Known::Live(mine),
            2 => Known::Unheard(mine),
            3 => Known::Leaving(mine),
            _ => Known::Expelled(mine),
        };
        let service = Fsid(Figure::arbitrary(bytes)?.of(SERVICE.0));
        let hello = Hello {
            versions: (u8::arbitrary(bytes)? % 4, u8::arbitrary(bytes)? % 4),
            service: if bool::arbitrary(bytes)? { service } else { ANY_SERVICE },
            instance: 1,
            incarnation: Incarnation(Figure::arbitrary(bytes)?.of(mine.0)),
            term: Term(Figure::arbitrary(bytes)?.of(TERM.0)),
            is_leaving: bool::arbitrary(bytes)?,
        };
        Ok(Self { hello, known, is_busy: u8::arbitrary(bytes)? == 0 })
    }
}

impl Greeting {
    /// Greets.
    ///
    /// # Panics
    /// If it comes to what it must not.
    pub fn check(&self) {
        let Self { hello, known, is_busy } = *self;
        let busy_for = is_busy.then_some(Duration::from_secs(1));
        let service = Service { versions: (1, 2), service: SERVICE, term: TERM, busy_for };
        let theirs = hello.incarnation;
        let is_theirs = known.incarnation() == Some(theirs);
        match greet(&service, &hello, known) {
            Outcome::New { least } => {
                assert!(!hello.is_leaving && theirs == Incarnation(0), "who has a session keeps it");
                assert!(known.incarnation().is_none_or(|mine| least > mine), "R4");
            }
            Outcome::Resumed => {
                let is_there = matches!(known, Known::Live(_)) || hello.is_leaving;
                let is_same = hello.term == TERM || matches!(known, Known::Leaving(_));
                assert!(is_theirs && is_there && is_same, "{self:?}");
            }
            Outcome::Recover => assert!(
                is_theirs && matches!(known, Known::Live(_) | Known::Unheard(_)),
                "nobody recovers another's: {self:?}"
            ),
            Outcome::Expelled { upto } => assert!(upto >= theirs && theirs > Incarnation(0), "{self:?}"),
            Outcome::Busy(_) => assert!(is_busy),
            Outcome::Left => assert!(hello.is_leaving, "nobody leaves who does not want to"),
            Outcome::Mismatch(_) => {}
        }
    }
}
