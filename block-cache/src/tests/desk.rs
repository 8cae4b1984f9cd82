//! A device whose completions are delivered by a thread of the model's choice: requests lie on a desk until somebody
//! serves them.

use std::collections::VecDeque;
use std::panic::Location;
use std::sync::Arc;
use std::time::Instant;

use tidelock_dev::{BlockDevice, Done, Fault, Request};
use tidelock_format::{BlockHeader, BlockSize, Checksum, Fsid};
use tidelock_sync::{Event, Mutex};

use super::model;
use crate::read::Read;
use crate::references::References;
use crate::shared::{SeqSource, Shared};

const FSID: Fsid = Fsid(1);

#[derive(Debug, Default)]
pub(crate) struct Desk {
    state: Mutex<State>,
    came: Event,
    ended: Event,
}

#[derive(Debug, Default)]
struct State {
    requests: VecDeque<Request>,
    /// Callers who will submit nothing more.
    gone: usize,
}

impl Desk {
    /// The caller submits nothing more.
    pub(crate) fn go(&self) {
        self.state.lock().expect("nothing panics with it").gone += 1;
        self.came.notify_all();
    }

    /// Ends every request with `result`, until `callers` are gone.
    pub(crate) fn serve(&self, callers: usize, result: Result<(), Fault>) {
        loop {
            let came = self.came.listen();
            let mut state = self.state.lock().expect("nothing panics with it");
            let request = state.requests.pop_front();
            let is_over = state.gone == callers;
            drop(state);
            match request {
                Some(mut request) => {
                    if result.is_ok() {
                        fill(request.bytes_mut());
                    }
                    request.end(result);
                    self.ended.notify_all();
                }
                None if is_over => return,
                None => came.wait(),
            }
        }
    }
}

impl BlockDevice for Desk {
    fn size(&self) -> u64 {
        64 * BlockSize::MIN.bytes() as u64
    }

    fn align(&self) -> usize {
        BlockSize::MIN.bytes()
    }

    fn submit(&self, batch: &mut Vec<Request>) {
        self.state.lock().expect("nothing panics with it").requests.extend(batch.drain(..));
        self.came.notify_all();
    }

    fn drive(&self, done: Done<'_>, deadline: Option<Instant>) -> bool {
        loop {
            let ended = self.ended.listen();
            if done() {
                return true;
            }
            if deadline.is_some() {
                // A model has no clock: every deadline is over.
                return false;
            }
            ended.wait();
        }
    }

    fn attend(&self) {}

    fn describe(&self) -> String {
        "a model's desk".into()
    }
}

/// The whole of image 1 of block 1.
fn fill(bytes: &mut [u8]) {
    let image = model::image(1, 1);
    let header =
        BlockHeader { crc: Checksum(0), magic: model::MAGIC, fsid: FSID, seq: image.seq, blkno: image.blkno };
    header.write(bytes);
    BlockHeader::seal(bytes);
}

/// A cache of `frames` frames over a desk.
pub(crate) fn shared(frames: usize) -> (Arc<Shared>, Arc<Desk>) {
    let desk = Arc::new(Desk::default());
    let core = model::bare_core(frames);
    let seqs = SeqSource::Given(Box::new(|| 1));
    let references = References::new(false);
    let shared = Shared::new(core, desk.clone(), FSID, "model".into(), seqs, references, Arc::default());
    (Arc::new(shared), desk)
}

/// A read of image 1 of block 1.
#[track_caller]
pub(crate) fn read(shared: &Arc<Shared>) -> Read {
    Read::new(shared, model::image(1, 1), model::MAGIC, Location::caller())
}
