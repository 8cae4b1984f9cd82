//! A daemon with real sockets: what its clients get, and what becomes of those that are none.
#![cfg(feature = "daemon")]

mod common;

use std::time::Duration;

use common::client::Client;
use common::{Place, range};
use tidelock_lock_proto::Mode;
use tidelock_lock_server::StopReason;

#[test]
fn two_clients_take_one_lock_in_turn() {
    let place = Place::new();
    let (daemon, port) = place.serve();
    for address in [place.socket(), port] {
        let (mut one, mut other) = (Client::new(&address, 1), Client::new(&address, 2));
        one.take(range(7), Mode::Write);
        one.is_stubborn = true;
        other.want(range(7), Mode::Write);
        one.until("call to come down", |client| !client.revoked.is_empty());
        other.go_on(Duration::from_millis(20));
        assert!(!other.has(range(7), Mode::Write), "K1");
        one.give_in();
        other.until("grant", |client| client.has(range(7), Mode::Write));
        one.leave();
        other.leave();
    }
    let stopped = daemon.stop();
    assert_eq!(stopped.reason, StopReason::Asked);
    assert!(stopped.has_handed_over);
}
