//! Lock servers as processes, and clients of them in this one.
#![allow(dead_code, reason = "each test program uses its part")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tidelock_format::{Key, KeyRange};
use tidelock_lock_client::{Cause, Invalidate, Invalidation, LockClient, Options};
use tidelock_net::transport::Address;

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// A server's folder.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("locks.db")
    }

    pub(crate) fn socket(&self) -> Address {
        Address::Unix(self.folder.path().join("socket"))
    }

    /// Starts a server at the socket, and waits until it serves.
    pub(crate) fn serve(&self) -> Serving {
        self.start(&["--create", "--listen", &self.socket().to_string()])
    }

    pub(crate) fn start(&self, args: &[&str]) -> Serving {
        let serving = self.begin(args);
        serving.expect("listening on ");
        serving
    }

    /// Starts a server that may not come to serve.
    pub(crate) fn begin(&self, args: &[&str]) -> Serving {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidelock"));
        command.arg("serve").arg("--state").arg(self.state()).args(args);
        Serving::start(command)
    }

    /// Runs a command about the server, with --state.
    pub(crate) fn ask(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidelock"));
        command.args(args).arg("--state").arg(self.state()).output().unwrap()
    }

    /// What such a command prints; it has to succeed.
    pub(crate) fn told(&self, args: &[&str]) -> String {
        let output = self.ask(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn told_json(&self, args: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.told(&[args, &["--json"]].concat())).unwrap()
    }

    pub(crate) fn client(&self, instance: u128) -> LockClient {
        client(&self.socket(), instance)
    }
}

/// A server that runs. Dropped, it is killed.
pub(crate) struct Serving {
    child: Child,
    lines: Receiver<String>,
}

impl Serving {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (say, lines) = channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
        Self { child, lines }
    }

    /// Waits for its next line, which begins so.
    pub(crate) fn expect(&self, beginning: &str) -> String {
        let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("never said {beginning:?}"));
        assert!(line.starts_with(beginning), "{line}");
        line
    }

    /// As SIGTERM from a service manager.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(since.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// As kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// It has cached nothing, so it gives up everything at once.
pub(crate) struct NoCache;

impl Invalidate for NoCache {
    fn invalidate(&self, invalidation: Invalidation) {
        invalidation.done();
    }

    fn lost(&self, why: Cause) {
        eprintln!("lost: {why:?}");
    }
}

pub(crate) fn client(address: &Address, instance: u128) -> LockClient {
    let options = Options { instance, ..Options::new(address.clone()) };
    LockClient::start(options, Arc::new(NoCache)).unwrap()
}

/// The lock with this number: one key.
pub(crate) fn range(number: u64) -> KeyRange {
    KeyRange::of(Key::from_u64(number))
}

/// Whether a path is there.
pub(crate) fn exists(path: &Path) -> bool {
    path.exists()
}
