//! Threads that stay on their processors and start together.
//!
//! Each thread is bound to one of the processors this process may use; more threads than processors share them in
//! turn. The time of a race is from the first start to the last end by the racers' own clocks: the thread that
//! waits for them may itself be late on a full machine.

use std::{
    hint, io,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The processors that this process may use.
#[derive(Clone, Debug)]
pub struct Processors(Vec<usize>);

/// What a race came to.
#[derive(Debug)]
pub struct Race<T> {
    /// From the first start to the last end.
    pub wall: Duration,
    /// What each thread returned.
    pub results: Vec<T>,
}

impl Processors {
    /// Those the kernel allows us now; a container may have fewer than the machine.
    pub fn allowed() -> io::Result<Self> {
        let set = sched_getaffinity(None)?;
        Ok(Self((0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect()))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Runs `warm` and then, all together, `work` on `threads` threads; both are given the thread's index.
    ///
    /// A lone thread is accompanied by a spinning one on another processor: the clock speed is then that of a
    /// busy machine for every row, and other processes are kept from sharing the core's resources.
    pub fn race<T: Send>(
        &self,
        threads: usize,
        warm: impl Fn(usize) + Sync,
        work: impl Fn(usize) -> T + Sync,
    ) -> Race<T> {
        let start = Barrier::new(threads);
        let is_over = AtomicBool::new(false);
        let run = |index: usize| {
            self.bind(index);
            warm(index);
            start.wait();
            let began = Instant::now();
            let result = work(index);
            (began, Instant::now(), result)
        };
        let finished = thread::scope(|scope| {
            if threads == 1 && self.count() > 1 {
                scope.spawn(|| self.spin_until(&is_over));
            }
            let racers: Vec<_> = (0..threads).map(|index| scope.spawn(move || run(index))).collect();
            let finished: Vec<_> = racers.into_iter().map(thread::ScopedJoinHandle::join).collect();
            // Relaxed: only ends the companion's loop; nothing is read because of it.
            is_over.store(true, Ordering::Relaxed);
            finished
        });
        Race::of(finished)
    }

    fn spin_until(&self, is_over: &AtomicBool) {
        self.bind(1);
        // Relaxed: see the store in race(); a late sight costs a few more spins.
        while !is_over.load(Ordering::Relaxed) {
            hint::spin_loop();
        }
    }

    /// Binds the calling thread to the processor of racer `index`.
    fn bind(&self, index: usize) {
        let mut set = CpuSet::new();
        set.set(self.0[index % self.count()]);
        sched_setaffinity(None, &set).expect("the kernel allowed us this processor when we started");
    }
}

impl<T> Race<T> {
    fn of(finished: Vec<thread::Result<(Instant, Instant, T)>>) -> Self {
        let (mut first, mut last): (Option<Instant>, Option<Instant>) = (None, None);
        let mut results = Vec::with_capacity(finished.len());
        for racer in finished {
            let (began, ended, result) = racer.expect("a racer panicked; its message is above");
            first = Some(first.map_or(began, |first| first.min(began)));
            last = last.max(Some(ended));
            results.push(result);
        }
        let wall = first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first);
        Self { wall, results }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_racer_warms_up_before_any_starts() {
        use std::sync::atomic::AtomicUsize;
        let warmed = AtomicUsize::new(0);
        let processors = Processors::allowed().unwrap();
        let race = processors.race(
            4,
            |_| {
                // SeqCst: a test; pairs with the load below.
                warmed.fetch_add(1, Ordering::SeqCst);
            },
            // SeqCst: a test; pairs with the addition above.
            |index| (index, warmed.load(Ordering::SeqCst)),
        );
        assert_eq!(race.results, [(0, 4), (1, 4), (2, 4), (3, 4)]);
    }

    #[test]
    fn a_race_lasts_as_long_as_its_slowest_racer() {
        let nap = Duration::from_millis(20);
        let race = Processors::allowed().unwrap().race(2, |_| (), |index| thread::sleep(nap * index as u32));
        assert!(race.wall >= nap, "{:?}", race.wall);
    }
}
