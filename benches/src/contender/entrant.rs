//! The seam between the tournament, which knows contenders by name, and the measuring loops, which are compiled
//! for each of them. One dynamic call a measurement crosses it; none a lookup.

use std::cell::Cell;

use super::Contender;
use crate::{
    rig::Rig,
    sample::Sample,
    workload::{Turn, Workload},
};

/// A contender that can be built for a workload.
#[derive(Clone, Copy, Debug)]
pub struct Entrant {
    /// [`Contender::NAME`].
    pub name: &'static str,
    /// [`Contender::ABOUT`].
    pub about: &'static str,
    prepare: fn(&Workload) -> Box<dyn Prepared>,
}

impl Entrant {
    /// The entrant that stands for `C`.
    pub fn of<C: Contender>() -> Self {
        let prepare = |workload: &Workload| -> Box<dyn Prepared> {
            Box::new(Ready { cache: workload.prepare::<C>(), turns: Cell::new(0) })
        };
        Self { name: C::NAME, about: C::ABOUT, prepare }
    }

    /// Builds its cache and fills it as the workload begins.
    pub fn prepare(&self, workload: &Workload) -> Box<dyn Prepared> {
        (self.prepare)(workload)
    }
}

/// A cache that is ready to be measured.
pub trait Prepared {
    /// Runs the workload on it once.
    fn measure(&self, workload: &Workload, rig: &Rig, threads: usize) -> Sample;
}

struct Ready<C> {
    cache: C,
    turns: Cell<u64>,
}

impl<C: Contender> Prepared for Ready<C> {
    fn measure(&self, workload: &Workload, rig: &Rig, threads: usize) -> Sample {
        let number = self.turns.get();
        self.turns.set(number + 1);
        workload.measure(&self.cache, rig, Turn { number, threads })
    }
}
