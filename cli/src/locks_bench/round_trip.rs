//! Taking a lock that nobody has: a question, a decision, an answer. Beside as many bytes that are only sent back.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tidelock_format::{FenceEpoch, Incarnation, Key, Term, Token};
use tidelock_lock_proto::{Acquire, Change, Envelope, Granted, Mode, ToClient, ToServer};
use tidelock_net::{Frame, Number};

use super::ground::{Ground, hold, range};
use super::row::{Row, Rows};
use super::turns::{duel, pace};
use crate::error::CliError;

const BATCH: u64 = 16;

pub(super) fn run(time: Duration, rows: &mut Rows) -> Result<(), CliError> {
    let unix = UnixStream::pair().map_err(CliError::failed)?;
    rows.add(beside(time, "Unix socket", &Ground::unix()?, unix)?);
    rows.add(beside(time, "TCP loopback", &Ground::tcp()?, tcp_pair().map_err(CliError::failed)?)?);
    Ok(())
}

fn tcp_pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let one = TcpStream::connect(listener.local_addr()?)?;
    let (other, _) = listener.accept()?;
    one.set_nodelay(true)?;
    other.set_nodelay(true)?;
    Ok((one, other))
}

fn beside<S: Read + Write + Send>(
    time: Duration,
    carrier: &str,
    ground: &Ground,
    (mut near, mut far): (S, S),
) -> Result<Row, CliError> {
    let client = ground.client()?;
    let locks = client.locks();
    let (question, answer) = sizes();
    let mut number = 0;
    let mut failed = None;
    let duel = std::thread::scope(|scope| {
        scope.spawn(move || while exchange(&mut far, question, answer).is_ok() {});
        let ours = |turn| {
            pace(turn, BATCH, || {
                number += 1;
                failed = hold(&locks, range(number), Mode::Read).err().or(failed.take());
            })
        };
        let theirs = |turn| {
            pace(turn, BATCH, || {
                near.write_all(&vec![0; question]).expect("the other end listens");
                near.read_exact(&mut vec![0; answer]).expect("the other end answers");
            })
        };
        let duel = duel(time, ours, theirs);
        drop(near);
        duel
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let is_met = duel.ratio[0] <= 1.6;
    Ok(Row::new("round-trip", carrier).beside("bare ping-pong", &duel).goal("at most 1.6", is_met))
}

/// The far end of the bare ping-pong.
fn exchange(far: &mut (impl Read + Write), question: usize, answer: usize) -> io::Result<()> {
    far.read_exact(&mut vec![0; question])?;
    far.write_all(&vec![0; answer])
}

/// Bytes of a question and of its answer, as they go over the wire.
fn sizes() -> (usize, usize) {
    let envelope = Envelope { incarnation: Incarnation(1), term: Term(1), barrier: FenceEpoch(0) };
    let change = Change { from: Mode::Null, to: Mode::Read };
    let range = tidelock_format::KeyRange::of(Key::MIN);
    let (mut question, mut answer) = (Vec::new(), Vec::new());
    ToServer::Acquire(Acquire { range, change }).encode(envelope, &mut question);
    ToClient::Granted(Granted { range, change, token: Token::default() }).encode(envelope, &mut answer);
    let framed = |content: &[u8]| {
        let mut bytes = Vec::new();
        Frame::Message { number: Number(1), done: Number(1), content }.encode(&mut bytes);
        bytes.len()
    };
    (framed(&question), framed(&answer))
}
