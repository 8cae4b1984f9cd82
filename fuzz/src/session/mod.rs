//! Sessions, with somebody at the other end who says anything.

mod event;
mod greeting;
mod ledger;
mod scene;

use arbitrary::{Arbitrary, Unstructured};

pub use event::{Event, Turn};
pub use greeting::Greeting;
pub use ledger::Ledger;
pub use scene::Scene;

/// Things that one input is good for.
const EVENTS_MAX: usize = 400;

/// What one input is about.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Subject {
    Client,
    ClientToo,
    Stream,
    Greeting,
}

/// Takes `data` for what happens to a client's session, to the end of a stream, or for greetings.
pub fn session_ops(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    match Subject::arbitrary(&mut bytes) {
        Ok(Subject::Client | Subject::ClientToo) => {
            let mut scene = Scene::default();
            each(&mut bytes, |event| scene.happen(event));
            scene.end_well();
        }
        Ok(Subject::Stream) => {
            let mut ledger = Ledger::default();
            each(&mut bytes, |turn| ledger.take(turn));
        }
        Ok(Subject::Greeting) => each(&mut bytes, |greeting: Greeting| greeting.check()),
        Err(_) => {}
    }
}

/// Takes as many as the bytes are good for.
pub(crate) fn each<'a, T: Arbitrary<'a>>(bytes: &mut Unstructured<'a>, mut take: impl FnMut(T)) {
    for _ in 0..EVENTS_MAX {
        if bytes.is_empty() {
            return;
        }
        match bytes.arbitrary() {
            Ok(one) => take(one),
            Err(_) => return,
        }
    }
}
