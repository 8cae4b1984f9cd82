//! A server that is replaced on purpose while eight processes take locks without pause.

use std::time::Instant;

use tidelock_net::TimeoutPlan;

use crate::alone;
use crate::holder::Holder;
use crate::serving::{Place, Serving};

const CLIENTS: u64 = 8;
const LOCKS: u64 = 12_500;
/// How often it is replaced, each way.
const TIMES: u64 = 3;

/// Y9: nobody is asked before others go on, and nobody waits for a lease.
#[test]
fn a_server_is_replaced_under_processes_that_take_locks_and_none_of_them_waits_for_long() {
    let _alone = alone();
    for locks in [0, LOCKS] {
        let place = Place::new();
        let mut server = place.serve();
        let mut holders = Holder::start_all(&place.socket(), place.folder.path(), CLIENTS, locks);
        let mut changes = 0;
        for (way, replace) in [("one stands by", stands_by as Replace), ("one is started", is_started)] {
            let mut waits = Vec::new();
            for _ in 0..TIMES {
                for holder in &mut holders {
                    holder.tell();
                }
                server = replace(&place, server);
                changes += 1;
                waits.push(holders.iter_mut().map(|holder| holder.goes_on(changes)).max().unwrap());
            }
            println!("{} locks are held, {way}: longest waits {waits:.0?}", CLIENTS * locks);
            // Whoever is not answered for as long greets anew.
            assert!(waits.iter().all(|wait| *wait < TimeoutPlan::DEFAULT.greeting), "{waits:?}");
        }
        Holder::end_all(holders);
    }
}

/// Ends a server, and has another in its place.
type Replace = fn(&Place, Serving) -> Serving;

fn stands_by(place: &Place, mut server: Serving) -> Serving {
    let next = place.begin(&["--listen", &place.socket().to_string()]);
    next.expect("standing by: ");
    let since = Instant::now();
    server.terminate();
    went_on(&next);
    println!("  the next one went on after {:.0?}", since.elapsed());
    assert!(server.wait().success());
    next
}

fn is_started(place: &Place, mut server: Serving) -> Serving {
    let since = Instant::now();
    server.terminate();
    assert!(server.wait().success());
    let ended = since.elapsed();
    let next = place.begin(&["--listen", &place.socket().to_string()]);
    went_on(&next);
    println!("  it ended after {ended:.0?}, the next one went on after {:.0?}", since.elapsed());
    next
}

fn went_on(server: &Serving) {
    assert!(server.expect("listening on ").contains("going on where"), "it takes over");
}
