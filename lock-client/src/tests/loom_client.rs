//! A whole client: shutting down, and taking a lock.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidelock_format::{Fsid, Key, KeyRange};
use tidelock_lock_proto::{Mode, ToServer};
use tidelock_net::{ClientConfig, Connection, Frame, TimeoutPlan, Verdict, Welcome};
use tidelock_sync::{Arc, model, thread};

use crate::{Carrier, Client, Config, Invalidation, LockError, Loss, ManualClock};

/// Counts what is asked of the server.
#[derive(Clone, Default)]
struct Wire(std::sync::Arc<(AtomicU64, Mutex<Option<Connection>>)>);

impl Carrier for Wire {
    fn connect(&mut self, connection: Connection) {
        *self.0.1.lock().unwrap() = Some(connection);
    }

    fn write(&mut self, _: Connection, bytes: &[u8]) {
        if let Ok(Frame::Message { content, .. }) = Frame::decode(bytes)
            && let Ok((_, ToServer::Acquire(_))) = ToServer::decode(content)
        {
            self.0.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn close(&mut self, _: Connection) {}

    fn invalidate(&mut self, _: Invalidation) {}

    fn lose(&mut self, _: Loss) {}

    fn set_timer(&mut self, _: Option<Duration>) {}

    fn draw(&mut self) -> u128 {
        1
    }
}

impl Wire {
    fn asked(&self) -> u64 {
        self.0.0.load(Ordering::SeqCst)
    }
}

fn client(wire: &Wire) -> Client {
    let plan = TimeoutPlan::DEFAULT;
    let session = ClientConfig { versions: (1, 1), service: Fsid(7), instance: 1, plan, window: 8, seed: 1 };
    let client = Client::new(Config::new(session), ManualClock::default(), wire.clone());
    client.tick();
    let connection = wire.0.1.lock().unwrap().expect("it connects");
    client.connected(connection);
    let verdict = Verdict::New { incarnation: tidelock_format::Incarnation(1), lease: plan.lease };
    let welcome = Welcome { service: Fsid(7), term: tidelock_format::Term(1), verdict };
    client.heard(connection, &Frame::Welcome(welcome));
    client
}

/// After `close` has returned nothing is asked any more, and who waits is refused.
#[test]
fn closing_and_taking_a_lock() {
    model(|| {
        let wire = Wire::default();
        let client = Arc::new(client(&wire));
        let locks = client.locks();
        let taker = thread::spawn(move || {
            let range = KeyRange::of(Key::from_u64(1));
            locks.lock(range, Mode::Read).wait().map(drop)
        });
        client.close();
        let asked = wire.asked();
        assert_eq!(taker.join().unwrap(), Err(LockError::Closed));
        assert_eq!(wire.asked(), asked, "asked after the end");
    });
}
