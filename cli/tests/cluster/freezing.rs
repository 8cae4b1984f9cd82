//! A process that is stopped for longer than its lease, and goes on (SIGSTOP, SIGCONT).

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tidelock_lock_client::{Clock, GuardError, LockClient, Options};
use tidelock_lock_proto::Mode;

use crate::ground::{Cache, Ground, plan, range};

const ADDRESS: &str = "TIDELOCK_TEST_ADDRESS";
const LOCK: &str = "TIDELOCK_TEST_LOCK";
/// Freezes in all, and how many at a time.
const RUNS: u64 = 100;
const AT_A_TIME: u64 = 10;

/// Not a test: what the processes do that are frozen. It takes a lock, and looks at its guard all the time, until it is bad.
#[test]
#[ignore = "run by the test below, in processes of its own"]
fn frozen_process() {
    let (Ok(address), Ok(lock)) = (std::env::var(ADDRESS), std::env::var(LOCK)) else { return };
    let options = Options { plan: plan(), ..Options::new(address.parse().unwrap()) };
    let client = LockClient::start(options, Arc::new(Cache::default())).unwrap();
    let locks = client.locks();
    let losses = locks.counters().losses;
    let guard = locks.lock(range(lock.parse().unwrap()), Mode::Write).wait().unwrap();
    println!("held");
    std::io::stdout().flush().unwrap();
    let mut last_good = Duration::ZERO;
    loop {
        // Before the look: that it is good is said of a moment after this.
        let before = tidelock_lock_client::BootClock.now();
        if guard.check().is_err() {
            break;
        }
        last_good = before;
        std::thread::sleep(Duration::from_micros(50));
    }
    // It learns of it, and from then on the lock is lost for good.
    locks.lost(losses).wait_timeout(Duration::from_secs(20)).expect("it is told");
    assert_eq!(guard.check(), Err(GuardError::Lost));
    println!("lost {}", last_good.as_nanos());
}

struct Frozen {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Frozen {
    fn start(ground: &Ground, lock: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "freezing::frozen_process", "--ignored", "--nocapture"])
            .env(ADDRESS, ground.address.to_string())
            .env(LOCK, lock.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it says something that begins like this: the rest of the line.
    fn says(&mut self, word: &str) -> String {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if let Some(rest) = line.trim().strip_prefix(word) {
                return rest.trim().to_owned();
            }
            line.clear();
        }
        panic!("the process ended without saying {word:?}");
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Q3, Y2: whenever it is frozen, its guard is bad before another client has the lock, and it finds out.
#[test]
fn a_process_that_sleeps_past_its_lease_finds_its_guards_bad_before_others_have_its_locks() {
    let ground = Ground::new();
    let taker = ground.client();
    let locks = taker.locks();
    for batch in 0..RUNS / AT_A_TIME {
        std::thread::scope(|scope| {
            for place in 0..AT_A_TIME {
                let (ground, locks) = (&ground, &locks);
                let run = batch * AT_A_TIME + place;
                scope.spawn(move || freeze(ground, locks, run));
            }
        });
    }
}

fn freeze(ground: &Ground, locks: &tidelock_lock_client::Locks, run: u64) {
    let mut frozen = Frozen::start(ground, run);
    frozen.says("held");
    // Anywhere between two renewals.
    std::thread::sleep(Duration::from_micros(run * 7919 % 400_000));
    frozen.signal(Signal::STOP);
    let begin = Instant::now();
    let guard = locks.lock(range(run), Mode::Write).wait_timeout(Duration::from_secs(30));
    let guard = guard.expect("when the lease is over").expect("it is granted");
    let granted = tidelock_lock_client::BootClock.now();
    assert!(begin.elapsed() > plan().lease / 2, "it was not given away early");
    std::thread::sleep(Duration::from_micros(run * 104_729 % 300_000));
    frozen.signal(Signal::CONT);
    let last_good: u128 = frozen.says("lost").parse().unwrap();
    assert!(last_good <= granted.as_nanos(), "run {run}: good at {last_good}, granted at {granted:?}");
    assert!(guard.is_valid());
}
