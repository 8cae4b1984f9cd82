//! Waiting to lead.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tidelock_authority::{Authority, AuthorityError, Campaign, Candidate, Leader};

/// How often a server that waits looks whether it can lead. A lock that is free is found that late, and every client waits
/// for it; a look costs some hundredths of a millisecond.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until this candidate leads: until whoever leads now has handed over, or has died. `None` if it was called off.
///
/// # Errors
/// If the authority cannot be asked.
pub fn wait_to_lead(
    authority: &dyn Authority,
    candidate: &Candidate,
    is_called_off: &AtomicBool,
) -> Result<Option<Leader>, AuthorityError> {
    // Relaxed: a wish, and whoever has it waits for the thread that sees it.
    while !is_called_off.load(Ordering::Relaxed) {
        match authority.campaign(candidate) {
            Ok(Campaign::Won(leader)) => return Ok(Some(leader)),
            Ok(Campaign::Lost(_)) | Err(AuthorityError::Busy(_)) => thread::sleep(LOOK),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
