//! Links in an event loop that does nothing but what an event asks for.

use std::thread;
use std::time::Duration;

use mio::{Events, Poll, Token};
use proptest::prelude::*;

use super::rig::{KINDS, Kind, Place, ends, hear, message};
use crate::FRAME_BYTES_MAX;
use crate::transport::{Flushed, Heard, Link, LinkError};

const LISTENER: Token = Token(2);

/// One end: it says all that it has to say at once, and hears what the other end says.
struct End {
    link: Link,
    to_say: Vec<u8>,
    has_said: bool,
    heard: Vec<u8>,
    has_heard: bool,
}

impl End {
    fn new(mut link: Link, token: Token, poll: &Poll, to_say: &[Vec<u8>]) -> Self {
        link.register(poll.registry(), token).expect("a link");
        let to_say = to_say.concat();
        let mut end = Self { link, to_say, has_said: false, heard: Vec::new(), has_heard: false };
        // What a link can do before its first event is not told by one.
        end.go_on();
        end
    }

    fn go_on(&mut self) {
        self.say();
        let is_open = self.link.is_open();
        while !self.has_heard && self.hear() == Heard::More {}
        if self.link.is_open() && !is_open {
            self.say();
        }
    }

    fn say(&mut self) {
        self.link.flush().expect("a sound connection");
        if self.link.is_open() {
            let said = std::mem::take(&mut self.to_say);
            self.link.queue(&said);
            self.has_said = self.link.finish().expect("a sound connection") == Flushed::All;
        }
    }

    fn hear(&mut self) -> Heard {
        let heard = match self.link.read() {
            Ok(heard) => heard,
            Err(LinkError::Closed { rest: 0 }) => {
                self.has_heard = true;
                Heard::All
            }
            Err(error) => panic!("{error}"),
        };
        while let Some(frame) = self.link.next_frame(FRAME_BYTES_MAX).expect("frames") {
            self.heard.extend_from_slice(frame);
        }
        heard
    }

    fn is_over(&self) -> bool {
        self.has_said && self.has_heard
    }
}

fn talk(kind: Kind, sayings: [&[Vec<u8>]; 2]) -> [Vec<u8>; 2] {
    let mut poll = Poll::new().expect("a poll");
    let mut ends: [Option<End>; 2] = [None, None];
    let mut place = None;
    if kind == Kind::Pair {
        let (one, other) = Link::pair().expect("two files");
        ends[0] = Some(End::new(one, Token(0), &poll, sayings[0]));
        ends[1] = Some(End::new(other, Token(1), &poll, sayings[1]));
    } else {
        let place = place.insert(Place::new(kind));
        place.listener.register(poll.registry(), LISTENER).expect("a listener");
        ends[0] = Some(End::new(place.connect(), Token(0), &poll, sayings[0]));
    }
    let mut events = Events::with_capacity(8);
    let is_over = |ends: &[Option<End>; 2]| ends.iter().flatten().filter(|end| end.is_over()).count() == 2;
    while !is_over(&ends) {
        poll.poll(&mut events, Some(Duration::from_secs(20))).expect("a poll");
        assert!(!events.is_empty(), "{kind:?}: an event is missing, or asked for where none is due");
        for event in &events {
            match (event.token(), &mut place) {
                (LISTENER, Some(place)) => {
                    while let Some(link) = place.listener.accept().expect("a listener") {
                        ends[1] = Some(End::new(link, Token(1), &poll, sayings[1]));
                    }
                }
                (token, _) => {
                    let end = ends[token.0].as_mut().expect("it is registered");
                    end.link.ready(event);
                    end.go_on();
                }
            }
        }
    }
    ends.map(|end| end.expect("both were there").heard)
}

/// One event tells of both, and the frame is shorter than the room for it: nothing else tells of the end.
#[test]
fn an_end_that_comes_together_with_the_last_frame_is_not_missed() {
    for kind in KINDS {
        let (mut client, mut server, _place) = ends(kind);
        let (mut poll, mut events) = (Poll::new().unwrap(), Events::with_capacity(8));
        server.register(poll.registry(), Token(1)).unwrap();
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        while hear(&mut server, &mut Vec::new()).unwrap() == Heard::More {}
        client.queue(&message(1, 100));
        client.flush().unwrap();
        drop(client);
        thread::sleep(Duration::from_millis(10));
        poll.poll(&mut events, Some(Duration::from_secs(20))).unwrap();
        events.iter().for_each(|event| server.ready(event));
        let mut frames = Vec::new();
        let end = loop {
            match hear(&mut server, &mut frames) {
                Ok(heard) => assert_eq!(heard, Heard::More, "{kind:?}: nothing will tell of the end"),
                Err(end) => break end,
            }
        };
        assert_eq!(frames, [message(1, 100)], "{kind:?}");
        assert!(matches!(end, LinkError::Closed { rest: 0 }), "{kind:?}: {end:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Everything arrives, and the end behind it, with no call but those that events ask for.
    #[test]
    fn events_alone_carry_a_talk_to_its_end(
        kind in prop::sample::select(KINDS.as_slice()),
        lens in prop::array::uniform2(prop::collection::vec(prop_oneof![0usize..300, 0usize..=64 << 10], 0..40)),
    ) {
        let sayings = lens.map(|lens| lens.into_iter().map(|len| message(1, len)).collect::<Vec<_>>());
        let heard = talk(kind, [&sayings[0], &sayings[1]]);
        prop_assert!(heard == [sayings[1].concat(), sayings[0].concat()]);
    }
}
