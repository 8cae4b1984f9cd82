//! What proves that a grant is the newest: a fencing token.
//!
//! The idea is old (Lampson's sequencers; Burrows, "The Chubby lock service", OSDI 2006): a process that was stopped for
//! longer than its lease wakes up and writes, and nothing but the storage itself can refuse it. So each grant carries a
//! token, each write may carry it on, and a store that remembers the greatest token it has seen refuses a smaller one.

use std::fmt;

use crate::Term;
use crate::ids::counter;

counter! {
    /// A grant's number within its term, from one on.
    GrantSeq
}

/// Orders grants: the greater one came later, in whatever term.
///
/// The term comes first. So a new server need not know how far the last one had counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// The term in which it was granted.
    pub term: Term,
    /// Which grant of that term it is.
    pub seq: GrantSeq,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.term, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_of_a_later_term_outranks_every_earlier_one() {
        let old = Token { term: Term(3), seq: GrantSeq(u64::MAX) };
        let new = Token { term: Term(4), seq: GrantSeq(1) };
        assert!(new > old);
        assert_eq!(new.to_string(), "4.1");
    }
}
