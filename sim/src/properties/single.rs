//! **Z-10** Whoever leads no longer changes no record. (That it changes nothing that a client believes shows in Z-1.)

use super::{Verdict, Watch};
use crate::facts::{Fact, Scene};

pub(super) struct Single;

impl Watch for Single {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>) -> Verdict {
        match fact {
            Fact::Changed { term, change, result: Ok(_) } if *term < scene.newest_term => {
                Err(format!("term {term} is over since {}, and {change:?} was made in it", scene.newest_term))
            }
            _ => Ok(()),
        }
    }
}
