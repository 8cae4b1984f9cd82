//! **Z-9** Each operation that a user began ends exactly once: with the lock, with an error, by being dropped, or together
//! with its process.

use super::{Verdict, Watch};
use crate::facts::{Fact, Scene};

#[derive(Default)]
pub(super) struct Ended {
    began: u64,
    ended: u64,
}

impl Watch for Ended {
    fn see(&mut self, fact: &Fact<'_>, _: &Scene<'_>) -> Verdict {
        match fact {
            Fact::Began => self.began += 1,
            Fact::Ended | Fact::Died => self.ended += 1,
            Fact::Over { operations, .. } if *operations > 0 || self.began != self.ended => {
                let Self { began, ended } = self;
                return Err(format!("{began} operations began, {ended} ended, {operations} were never told"));
            }
            _ => {}
        }
        if self.ended > self.began { Err("an operation ended twice".into()) } else { Ok(()) }
    }
}
