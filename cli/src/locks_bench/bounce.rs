//! One lock that two clients take from each other for writing: a question, a revocation, its answer, a grant. Beside four
//! messages that are only sent.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tidelock_lock_proto::Mode;

use super::ground::{Ground, hold, range};
use super::row::{Row, Rows};
use super::turns::{duel, pace};
use crate::error::CliError;

const BATCH: u64 = 16;
const BYTES: usize = 160;

pub(super) fn run(time: Duration, rows: &mut Rows) -> Result<(), CliError> {
    let ground = Ground::unix()?;
    let clients = [ground.client()?, ground.client()?];
    let locks = clients.each_ref().map(|client| client.locks());
    let (mut near, mut far) = UnixStream::pair().map_err(CliError::failed)?;
    let mut failed = None;
    let duel = std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut bytes = [0; BYTES];
            while far.read_exact(&mut bytes).is_ok() && far.write_all(&bytes).is_ok() {}
        });
        let mut turn_of = [0, 1].into_iter().cycle();
        let ours = |turn| {
            pace(turn, BATCH, || {
                let locks = &locks[turn_of.next().expect("it goes round")];
                failed = hold(locks, range(1), Mode::Write).err().or(failed.take());
            })
        };
        let theirs = |turn| {
            let mut bytes = [0; BYTES];
            pace(turn, BATCH, || {
                for _ in 0..2 {
                    near.write_all(&bytes).expect("the other end listens");
                    near.read_exact(&mut bytes).expect("the other end answers");
                }
            })
        };
        let duel = duel(time, ours, theirs);
        drop(near);
        duel
    });
    if let Some(error) = failed {
        return Err(error);
    }
    rows.add(Row::new("bounce", "one write lock, two clients").beside("four bare messages", &duel));
    Ok(())
}
