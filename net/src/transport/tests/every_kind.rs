//! What holds for every kind of connection.

use std::time::Duration;

use rustix::net::sockopt;

use super::rig::{KINDS, Kind, Place, ends, hear, hear_frames, hear_out, message, until};
use crate::transport::{Flushed, Heard, LinkError};
use crate::{FRAME_BYTES_MAX, Frame, FrameError, HELLO_BYTES_MAX, Principal};

#[test]
fn a_frame_arrives_however_small_the_parts_it_comes_in() {
    for kind in KINDS {
        let (mut client, mut server, _place) = ends(kind);
        let sent = [message(1, 40), message(2, 0), message(3, 300)];
        let mut frames = Vec::new();
        for byte in sent.concat() {
            client.queue(&[byte]);
            assert_eq!(client.flush().unwrap(), Flushed::All, "{kind:?}");
            until("byte", || (hear(&mut server, &mut frames).unwrap() == Heard::All).then_some(()));
        }
        frames.extend(hear_frames(&mut server, sent.len() - frames.len()));
        assert_eq!(frames, sent, "{kind:?}");
    }
}

#[test]
fn many_frames_may_be_one_write() {
    for kind in KINDS {
        let (mut client, mut server, _place) = ends(kind);
        let sent: Vec<Vec<u8>> = (1..600).map(|number| message(number, number as usize % 90)).collect();
        sent.iter().for_each(|frame| client.queue(frame));
        assert_eq!(client.queued(), sent.concat().len(), "{kind:?}");
        assert_eq!(client.flush().unwrap(), Flushed::All, "{kind:?}");
        assert_eq!(client.queued(), 0, "{kind:?}");
        assert_eq!(hear_frames(&mut server, sent.len()), sent, "{kind:?}");
    }
}

#[test]
fn the_longest_frames_pass_in_both_directions() {
    for kind in KINDS {
        let (mut client, mut server, _place) = ends(kind);
        let sent: Vec<Vec<u8>> = (1..5).map(|number| message(number, 64 << 10)).collect();
        assert_eq!(sent[0].len(), FRAME_BYTES_MAX);
        for (from, to) in [(0, 1), (1, 0)] {
            let mut links = [&mut client, &mut server];
            sent.iter().for_each(|frame| links[from].queue(frame));
            let mut frames = Vec::new();
            until("long frame", || {
                links[from].flush().unwrap();
                let _ = hear(links[to], &mut frames).unwrap();
                (frames.len() == sent.len()).then_some(())
            });
            assert_eq!(frames, sent, "{kind:?}");
        }
    }
}

/// What does not fit the socket waits, and its memory is told.
#[test]
fn an_outbox_may_be_larger_than_the_sockets_buffer() {
    for kind in KINDS {
        let (mut client, mut server, _place) = ends(kind);
        let sent: Vec<Vec<u8>> = (1..400).map(|number| message(number, 60_000)).collect();
        sent.iter().for_each(|frame| client.queue(frame));
        assert_eq!(client.flush().unwrap(), Flushed::Blocked, "{kind:?}");
        let waiting = client.queued();
        assert!(waiting > 1 << 20, "{kind:?}: {waiting}");
        let mut frames = Vec::new();
        until("frame", || {
            let _ = hear(&mut server, &mut frames).unwrap();
            (client.flush().unwrap() == Flushed::All).then_some(())
        });
        frames.extend(hear_frames(&mut server, sent.len() - frames.len()));
        assert!(frames == sent, "{kind:?}");
    }
}

#[test]
fn an_end_in_the_middle_of_a_frame_is_told_as_such() {
    for kind in KINDS {
        let (mut client, mut server, _place) = ends(kind);
        let (whole, part) = (message(1, 10), message(2, 100));
        client.queue(&whole);
        client.queue(&part[..50]);
        client.flush().unwrap();
        drop(client);
        let (frames, end) = hear_out(&mut server);
        assert_eq!(frames, [whole], "{kind:?}");
        assert!(matches!(end, LinkError::Closed { rest: 50 }), "{kind:?}: {end:?}");
        assert!(matches!(server.read(), Err(LinkError::Closed { rest: 50 })), "{kind:?}: and stays so");
    }
}

/// nobody gets memory for a frame that is longer than it may be.
#[test]
fn a_frame_that_is_too_long_here_is_refused_by_its_first_bytes() {
    for kind in KINDS {
        let (mut client, mut server, _place) = ends(kind);
        client.queue(&message(1, 300)[..4]);
        client.flush().unwrap();
        let error = until("refusal", || {
            let _ = server.read().unwrap();
            server.next_frame(HELLO_BYTES_MAX).map(|frame| assert_eq!(frame, None)).err()
        });
        let expected = FrameError::TooLong { said: 324, max: HELLO_BYTES_MAX };
        assert!(matches!(error, LinkError::Frame(found) if found == expected), "{kind:?}: {error:?}");
    }
}

/// Whoever is refused learns why, also if it goes on talking meanwhile.
#[test]
fn what_was_said_last_is_read_before_the_end() {
    for kind in KINDS {
        let (mut client, mut server, _place) = ends(kind);
        server.queue_frame(&Frame::Goodbye);
        assert_eq!(server.finish().unwrap(), Flushed::All, "{kind:?}");
        // It has not read that yet.
        client.queue(&message(1, 1000));
        client.flush().unwrap();
        let mut heard = Vec::new();
        hear_until_frames(&mut server, &mut heard);
        drop(server);
        for _ in 0..3 {
            client.queue(&message(2, 1000));
            client.flush().expect("that it is broken is told by reading");
        }
        let (frames, end) = hear_out(&mut client);
        assert_eq!(frames.len(), 1, "{kind:?}: {end:?}");
        assert_eq!(Frame::decode(&frames[0]), Ok(Frame::Goodbye), "{kind:?}");
    }
}

fn hear_until_frames(link: &mut crate::transport::Link, frames: &mut Vec<Vec<u8>>) {
    until("frame", || {
        let _ = hear(link, frames).unwrap();
        (!frames.is_empty()).then_some(())
    });
}

/// The goal of it all: what comes in as a whole is read by one call, and that it was all is known without another.
#[test]
fn a_message_that_fits_takes_one_read() {
    for kind in KINDS {
        let (mut client, mut server, _place) = ends(kind);
        let mut frames = Vec::new();
        for number in 1..20 {
            client.queue(&message(number, 200));
            client.flush().unwrap();
            until("frame", || {
                let before = frames.len();
                // The first of them asks for more room than a greeting has.
                let is_first = number == 1;
                let heard = hear(&mut server, &mut frames).unwrap();
                assert!(heard == Heard::All || is_first, "{kind:?}");
                (frames.len() > before).then_some(())
            });
        }
    }
}

/// who somebody is is what the connection proves.
#[test]
fn a_link_tells_who_is_at_its_other_end() {
    let own = Principal::User(rustix::process::getuid().as_raw());
    for kind in KINDS {
        let (client, server, _place) = ends(kind);
        let found = [client.principal().unwrap(), server.principal().unwrap()];
        match kind {
            Kind::Pair | Kind::Unix => assert_eq!(found, [own, own]),
            Kind::Tcp => assert_eq!(found, [Principal::Anonymous; 2]),
            Kind::UnixTls | Kind::TcpTls => {
                assert!(matches!(found, [Principal::Certificate(_), Principal::Certificate(_)]), "{found:?}");
                assert_ne!(found[0], found[1], "the server's key and the client's");
            }
        }
        let has_address = matches!(kind, Kind::Tcp | Kind::TcpTls);
        assert_eq!(server.peer_address().is_some(), has_address, "{kind:?}");
    }
}

/// both options, or one of the two cases goes unnoticed for many minutes.
#[test]
fn a_silent_peer_is_noticed_with_data_under_way_and_without() {
    let mut place = Place::new(Kind::Tcp);
    place.connect.silence = Duration::from_secs(11);
    let (client, server) = (place.connect(), place.accept());
    for link in [client, server] {
        assert!(sockopt::socket_keepalive(&link).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&link).unwrap(), Duration::from_secs(6));
        assert_eq!(sockopt::tcp_keepintvl(&link).unwrap(), Duration::from_secs(3));
        assert_eq!(sockopt::tcp_keepcnt(&link).unwrap(), 2);
        assert_eq!(sockopt::tcp_user_timeout(&link).unwrap(), 11_000);
        assert!(sockopt::tcp_nodelay(&link).unwrap());
    }
    for silence in [Duration::ZERO, Duration::MAX] {
        place.connect.silence = silence;
        let _ = place.connect();
    }
}

#[test]
fn where_nobody_listens_connecting_fails() {
    for kind in KINDS.into_iter().filter(|kind| *kind != Kind::Pair) {
        let place = Place::new(kind);
        let (address, connect) = (place.address(), place.connect.clone());
        let folder = place.folder;
        drop(place.listener);
        let error = match crate::transport::Link::connect(&address, &connect, 1) {
            Err(error) => error.into(),
            Ok(mut link) => until("refusal", || link.flush().err()),
        };
        assert!(matches!(error, LinkError::Io(_)), "{kind:?}: {error:?}");
        drop(folder);
    }
}
