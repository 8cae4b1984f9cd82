//! The device's own thread: it drives when somebody waits in a future and so no thread may be driving. Started by the
//! first call to `attend`, asleep while nothing is in flight, ended with the device.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use tidelock_sync::{Event, Mutex};

use super::Core;
use crate::driver::Source;

/// The thread, once there is one.
#[derive(Debug, Default)]
pub(super) struct Attendant {
    shared: Arc<Shared>,
    thread: OnceLock<Mutex<Option<JoinHandle<()>>>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Requests were submitted, or the device is being dropped.
    look: Event,
    is_dismissed: AtomicBool,
}

impl Attendant {
    /// Starts the thread unless there is one.
    pub(super) fn begin(&self, core: &Arc<Core>) {
        self.thread.get_or_init(|| {
            let (core, shared) = (core.clone(), self.shared.clone());
            let thread = std::thread::Builder::new()
                .name("tidelock-uring".into())
                .spawn(move || shared.attend(&core))
                .expect("the system can start one more thread, for the futures that wait for a device");
            Mutex::new(Some(thread))
        });
    }

    /// There may be something to attend to.
    pub(super) fn look(&self) {
        if self.thread.get().is_some() {
            self.shared.look.notify_all();
        }
    }

    /// Ends the thread and waits for that, unless we are on it: then it ends by itself.
    pub(super) fn dismiss(&self, core: &Core) {
        let Some(thread) = self.thread.get() else { return };
        // Release: pairs with the Acquire in `is_dismissed`.
        self.shared.is_dismissed.store(true, Ordering::Release);
        self.shared.look.notify_all();
        core.driver.call_done();
        core.knock();
        let thread = thread.lock().expect("nothing panics with the handle in hand").take();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            // An error is the panic of a completer, which was reported on that thread.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn attend(&self, core: &Core) {
        while !self.is_dismissed() {
            let listener = self.look.listen();
            if core.is_idle() && !self.is_dismissed() {
                listener.wait();
                continue;
            }
            core.driver.drive(core, &|| core.is_idle() || self.is_dismissed(), None);
        }
    }

    fn is_dismissed(&self) -> bool {
        // Acquire: pairs with the Release in `dismiss`.
        self.is_dismissed.load(Ordering::Acquire)
    }
}
