//! Waiting by a bell, with a link and without.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::rig::{KINDS, Kind, Place, ends, hear, message};
use crate::transport::{Bell, Flushed, Heard, Watch};

const LONG: Duration = Duration::from_secs(20);

/// What this takes at the most when nobody has to wait for `LONG`.
fn soon(what: &str, act: impl FnOnce()) {
    let since = Instant::now();
    act();
    assert!(since.elapsed() < LONG / 2, "{what} took {:?}", since.elapsed());
}

#[test]
fn a_bell_that_was_rung_ends_the_next_wait_and_no_other() {
    let bell = Bell::new().unwrap();
    bell.ring();
    bell.ring();
    soon("a bell that was rung", || assert!(bell.wait(None, Some(LONG)).unwrap()));
    let since = Instant::now();
    assert!(!bell.wait(None, Some(Duration::from_millis(20))).unwrap());
    assert!(since.elapsed() >= Duration::from_millis(20));
}

#[test]
fn a_bell_is_heard_from_another_thread_beside_a_link() {
    let (client, _server, _place) = ends(Kind::Unix);
    let bell = Arc::new(Bell::new().unwrap());
    let other = Arc::clone(&bell);
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        other.ring();
    });
    soon("a bell from elsewhere", || assert!(bell.wait(Some(&client), None).unwrap()));
    thread.join().unwrap();
}

/// One thread sleeps at the gate while another waits for the link in its place; what comes in wakes that one alone.
#[test]
fn a_gate_that_is_shut_lets_nobody_know_and_one_that_is_opened_tells_of_what_was_not_read() {
    let (mut client, mut server, _place) = ends(Kind::Unix);
    let (bell, brief) = (Bell::new().unwrap(), Some(Duration::from_millis(20)));
    let watch = Watch::new(&client).unwrap();
    let gate = watch.gate();
    server.queue(&message(1, 100));
    server.flush().unwrap();
    assert!(!bell.wait_at(Some(&gate), brief).unwrap(), "it is shut at first");
    assert!(bell.wait_on(&watch, Some(LONG)).unwrap(), "beside the gate");
    watch.open_gate().unwrap();
    assert!(bell.wait_at(Some(&gate), Some(LONG)).unwrap(), "what came in before it was opened");
    watch.open_gate().unwrap();
    watch.shut_gate().unwrap();
    assert!(!bell.wait_at(Some(&gate), brief).unwrap(), "it is shut again");
    watch.open_gate().unwrap();
    let mut frames = Vec::new();
    while hear(&mut client, &mut frames).unwrap() == Heard::More {}
    assert_eq!(frames.len(), 1);
    assert!(!bell.wait_at(Some(&gate), brief).unwrap(), "all was read");
    drop(server);
    assert!(bell.wait_at(Some(&gate), Some(LONG)).unwrap(), "the end");
}

/// From connecting to the last byte of a long talk, with nothing but bells to wait by.
#[test]
fn a_link_wakes_whoever_waits_by_a_bell_as_often_as_it_can_go_on() {
    for kind in KINDS.into_iter().filter(|kind| *kind != Kind::Pair) {
        let mut place = Place::new(kind);
        let sent: Vec<Vec<u8>> = (1..40).map(|number| message(number, 60_000)).collect();
        let mut client = place.connect();
        let said = sent.concat();
        soon("a long talk", || {
            thread::scope(|scope| {
                scope.spawn(|| {
                    let bell = Bell::new().unwrap();
                    client.queue(&said);
                    while client.flush().unwrap() == Flushed::Blocked {
                        while client.read().unwrap() == Heard::More {}
                        // Reading may have opened it, and then there is something to flush.
                        if client.flush().unwrap() == Flushed::Blocked {
                            bell.wait(Some(&client), Some(LONG)).unwrap();
                        }
                    }
                });
                let (bell, mut server, mut frames) = (Bell::new().unwrap(), place.accept(), Vec::new());
                while frames.len() < sent.len() {
                    server.flush().unwrap();
                    if hear(&mut server, &mut frames).unwrap() == Heard::All && frames.len() < sent.len() {
                        bell.wait(Some(&server), Some(LONG)).unwrap();
                    }
                }
                assert!(frames == sent, "{kind:?}");
            });
        });
    }
}
