//! Two clients that share a number under a cluster lock, and a server, all in one process.
//!
//!     cargo run --example two_clients -p tidelock-cli

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidelock_authority::{Authority, Campaign, Candidate, MemAuthority};
use tidelock_format::{Key, KeyRange};
use tidelock_lock_client::{Cause, Invalidate, Invalidation, LockClient, Options};
use tidelock_lock_proto::Mode;
use tidelock_lock_server::{Daemon, DaemonOptions, ServerConfig};
use tidelock_net::transport::{Address, ListenOptions, Listener};

/// What both share: a disk, say.
static DISK: AtomicU64 = AtomicU64::new(0);

/// What one client has cached of it. `None` is: not at all.
#[derive(Default)]
struct Cache(Mutex<Option<u64>>);

impl Invalidate for Cache {
    fn invalidate(&self, invalidation: Invalidation) {
        let mut cached = self.0.lock().expect("nobody panics");
        if let Some(value) = *cached {
            DISK.store(value, Ordering::SeqCst);
        }
        if !invalidation.to().may_read() {
            *cached = None;
        }
        drop(cached);
        invalidation.done();
    }

    fn lost(&self, _: Cause) {
        *self.0.lock().expect("nobody panics") = None;
    }
}

impl Cache {
    fn add_one(&self) {
        let mut cached = self.0.lock().expect("nobody panics");
        let value = cached.unwrap_or_else(|| DISK.load(Ordering::SeqCst));
        *cached = Some(value + 1);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let address = Address::Unix(folder.path().join("locks.sock"));
    let daemon = serve(&address)?;
    let range = KeyRange::new(Key::from_u64(0), Key::from_u64(1023)).ok_or("out of order")?;
    let limit = Duration::from_secs(5);

    let clients: Vec<_> = (0..2)
        .map(|_| {
            let cache = Arc::new(Cache::default());
            LockClient::start(Options::new(address.clone()), cache.clone()).map(|client| (client, cache))
        })
        .collect::<Result<_, _>>()?;
    std::thread::scope(|scope| {
        for (client, cache) in &clients {
            scope.spawn(move || {
                let locks = client.locks();
                for _ in 0..1000 {
                    let guard = locks.lock(range, Mode::Write).wait().expect("there is a server");
                    guard.check().expect("within its lease");
                    cache.add_one();
                }
            });
        }
    });
    for (client, _) in clients {
        let counters = client.locks().counters();
        println!("{} times called back, {} grants", counters.revokes, counters.grants);
        // Whoever reads takes the lock, and so has the other write back what it has cached.
        drop(client.locks().lock(range, Mode::Read).wait()?);
        println!("on disk: {}", DISK.load(Ordering::SeqCst));
        println!("{}", client.shutdown(limit).destroy(limit));
    }
    daemon.stop();
    Ok(())
}

fn serve(address: &Address) -> Result<Daemon, Box<dyn Error>> {
    let listener = Listener::bind(address, &ListenOptions::default())?;
    let authority = MemAuthority::new();
    let Campaign::Won(leader) = authority.campaign(&Candidate::new("example", address.to_string()))? else {
        return Err("somebody else leads".into());
    };
    let options = DaemonOptions::new(ServerConfig::new(authority.service()?));
    Ok(Daemon::start(leader, &authority, vec![listener], options)?)
}
