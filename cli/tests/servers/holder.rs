//! A process that holds locks under guards and takes others without pause: what servers change under.
//!
//! It looks after itself: the test fails where one of its guards is bad, a token has changed, another process is found in a
//! lock that it has for writing, or a counter tells of a loss. Whoever starts it says what it does next, a word a line.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tidelock_format::{KeyRange, Token};
use tidelock_lock_client::{Counters, Guard, Locks};
use tidelock_lock_proto::Mode;
use tidelock_net::transport::Address;

use crate::serving::{PATIENCE, client, range};

/// How long to leave a process alone between two questions.
const PAUSE: Duration = Duration::from_millis(20);
const TASK: &str = "TIDELOCK_TEST_HOLDER";
/// Locks that all processes hold for reading, and those that they take from each other for writing.
const READ: u64 = 1 << 40;
const READ_COUNT: u64 = 8;
const TAKEN: u64 = 2 << 40;
const TAKEN_COUNT: u64 = 16;
/// Locks that nobody has had before.
const FRESH: u64 = 3 << 40;

/// What a process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) address: String,
    /// Which of the processes it is.
    pub(crate) number: u64,
    /// Locks that it holds for writing, its own: those from `number * locks` on.
    pub(crate) locks: u64,
    /// Where whoever has one of the locks that all take leaves a mark.
    pub(crate) marks: PathBuf,
}

/// What a process tells of itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Told {
    /// The longest that it waited for a lock, and how many it took, since it was asked last.
    pub(crate) longest: Duration,
    pub(crate) taken: u64,
    pub(crate) sessions: u64,
    pub(crate) recoveries: u64,
    pub(crate) lost: u64,
    pub(crate) given_back: u64,
}

/// Not a test: what the processes do.
#[test]
#[ignore = "run by other tests, in processes of its own"]
fn holding_process() {
    let Ok(task) = std::env::var(TASK) else { return };
    let task: Task = serde_json::from_str(&task).unwrap();
    let address: Address = task.address.parse().unwrap();
    let client = client(&address, task.number.into());
    let locks = client.locks();
    let mut held = hold(&locks, task.number * task.locks..(task.number + 1) * task.locks, Mode::Write);
    let read = hold(&locks, READ..READ + READ_COUNT, Mode::Read);
    let taker =
        Taker { task: &task, locks: &locks, is_over: AtomicBool::new(false), record: Record::default() };
    say("holds");
    std::thread::scope(|scope| {
        let taking = scope.spawn(|| taker.take_without_pause());
        for line in std::io::stdin().lines() {
            match line.unwrap().as_str() {
                "tell" => {
                    held.iter().chain(&read).for_each(check);
                    say(&serde_json::to_string(&taker.record.tell(locks.counters())).unwrap());
                }
                "give up the first" => drop(held.remove(0)),
                word => panic!("what is {word:?}?"),
            }
        }
        taker.is_over.store(true, Ordering::Relaxed);
        taking.join().unwrap();
    });
    held.iter().chain(&read).for_each(check);
    drop((held, read));
    assert!(client.shutdown(PATIENCE).destroy(PATIENCE).has_left);
}

fn say(line: &str) {
    println!("{line}");
    std::io::stdout().flush().unwrap();
}

/// A lock, and its token when it was taken.
type Held<'a> = (Guard<'a>, Token);

fn hold(locks: &Locks, numbers: std::ops::Range<u64>, mode: Mode) -> Vec<Held<'_>> {
    let waiting: Vec<_> = numbers.map(|number| locks.lock(range(number), mode)).collect();
    let held = waiting.into_iter().map(|waiting| {
        let guard = waiting.wait_timeout(PATIENCE).expect("in time").expect("a lock");
        let token = guard.token();
        (guard, token)
    });
    held.collect()
}

fn check((guard, token): &Held<'_>) {
    guard.check().unwrap_or_else(|error| panic!("{:?}: {error}", guard.range()));
    assert_eq!(guard.token(), *token, "{:?} was granted anew", guard.range());
}

/// How long taking took, for two threads.
#[derive(Default)]
struct Record {
    longest_ns: AtomicU64,
    taken: AtomicU64,
}

impl Record {
    fn add(&self, took: Duration) {
        self.longest_ns.fetch_max(took.as_nanos() as u64, Ordering::Relaxed);
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    fn tell(&self, counters: Counters) -> Told {
        Told {
            longest: Duration::from_nanos(self.longest_ns.swap(0, Ordering::Relaxed)),
            taken: self.taken.swap(0, Ordering::Relaxed),
            sessions: counters.sessions,
            recoveries: counters.recoveries,
            lost: counters.losses + counters.locks_lost,
            given_back: counters.given_back,
        }
    }
}

/// Takes one lock after the other and gives it up again.
struct Taker<'a> {
    task: &'a Task,
    locks: &'a Locks,
    is_over: AtomicBool,
    record: Record,
}

impl Taker<'_> {
    fn take_without_pause(&self) {
        for turn in 0.. {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            // Now and then one that others have, or want.
            if turn % 8 == 0 {
                self.take_from_others(TAKEN + (turn / 8 + self.task.number) % TAKEN_COUNT);
            } else {
                drop(self.take(range(FRESH + (self.task.number << 32) + turn)));
            }
        }
    }

    fn take(&self, range: KeyRange) -> Guard<'_> {
        let since = Instant::now();
        let guard = self.locks.lock(range, Mode::Write).wait_timeout(PATIENCE);
        let guard = guard.expect("in time").expect("a lock");
        self.record.add(since.elapsed());
        guard.check().expect("it was granted just now");
        guard
    }

    /// INV-1, as files see it: who has the lock finds no mark of another.
    fn take_from_others(&self, number: u64) {
        let guard = self.take(range(number));
        let mark = self.task.marks.join(number.to_string());
        File::create_new(&mark).expect("nobody else has the lock");
        guard.check().expect("it is held");
        fs::remove_file(&mark).unwrap();
    }
}

// --- the other side --------------------------------------------------------------------------------------------------------

/// A process that holds locks. Dropped, it is killed.
pub(crate) struct Holder {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<std::process::ChildStdout>,
}

impl Holder {
    /// So many processes, each with so many locks, when they have them.
    pub(crate) fn start_all(address: &Address, marks: &Path, count: u64, locks: u64) -> Vec<Self> {
        let task = |number| Task { address: address.to_string(), number, locks, marks: marks.into() };
        let mut holders: Vec<Self> = (0..count).map(|number| Self::start(&task(number))).collect();
        holders.iter_mut().for_each(|holder| holder.says(|line| (line == "holds").then_some(())));
        holders
    }

    fn start(task: &Task) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "holder::holding_process", "--ignored", "--nocapture"])
            .env(TASK, serde_json::to_string(task).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { input: child.stdin.take(), child, output }
    }

    /// What it says next that is something.
    fn says<T>(&mut self, read: impl Fn(&str) -> Option<T>) -> T {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if let Some(said) = read(line.trim()) {
                return said;
            }
            line.clear();
        }
        panic!("the process has ended");
    }

    fn order(&mut self, word: &str) {
        writeln!(self.input.as_mut().expect("it was not ended"), "{word}").unwrap();
    }

    /// It looks at all that it holds, and tells what happened since it was asked last.
    pub(crate) fn tell(&mut self) -> Told {
        self.order("tell");
        self.says(|line| serde_json::from_str(line).ok())
    }

    /// Waits until it goes on under the server after so many changes, and has lost nothing. The longest that it waited for a
    /// lock since it was asked last.
    pub(crate) fn goes_on(&mut self, changes: u64) -> Duration {
        let (mut longest, mut is_back) = (Duration::ZERO, false);
        loop {
            let told = self.tell();
            assert_eq!((told.sessions, told.lost), (1, 0), "{told:?}");
            longest = longest.max(told.longest);
            // What it took since it was seen to be back is what it waited for, or came after it.
            if is_back && told.taken > 0 {
                return longest;
            }
            assert!(told.recoveries <= changes, "one for each change: {told:?}");
            is_back = told.recoveries == changes;
            std::thread::sleep(PAUSE);
        }
    }

    pub(crate) fn give_up_the_first(&mut self) {
        self.order("give up the first");
    }

    /// All give everything up and leave.
    pub(crate) fn end_all(mut holders: Vec<Self>) {
        holders.iter_mut().for_each(|holder| drop(holder.input.take()));
        for mut holder in holders {
            assert!(holder.child.wait().unwrap().success(), "it found something wrong");
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
