//! Panics inside of a run: found, told, and not printed.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// What the last panic of this thread said, while it is being listened for.
    static HEARD: RefCell<Option<String>> = const { RefCell::new(None) };
    static IS_LISTENING: RefCell<bool> = const { RefCell::new(false) };
}

static HOOK: Once = Once::new();

/// Runs something that may panic: what it said then, and where.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if IS_LISTENING.with_borrow(|it| *it) {
                let place = info.location().map(ToString::to_string).unwrap_or_default();
                let said = info.payload_as_str().unwrap_or("a panic without words");
                HEARD.set(Some(format!("{said} ({place})")));
            } else {
                before(info);
            }
        }));
    });
    IS_LISTENING.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    IS_LISTENING.set(false);
    result.map_err(|_| HEARD.take().unwrap_or_else(|| "a panic".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_with_its_place() {
        let said = catch(|| panic!("K1: {}", 7)).unwrap_err();
        assert!(said.starts_with("K1: 7 (") && said.contains("quiet.rs"), "{said}");
        assert_eq!(catch(|| 7), Ok(7));
    }
}
