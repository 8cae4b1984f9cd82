//! Time limits from the one that people choose.

use std::time::Duration;

use tidelock_net::TimeoutPlan;

use crate::error::CliError;

const LEASE_MIN: Duration = Duration::from_secs(3);
const LEASE_MAX: Duration = Duration::from_secs(600);

/// The default plan, with nearly everything as much longer or shorter as the lease is.
pub(super) fn of_lease(lease: Duration) -> Result<TimeoutPlan, CliError> {
    if !(LEASE_MIN..=LEASE_MAX).contains(&lease) {
        return Err(CliError::input(format!(
            "--lease: {} seconds: give {} to {}",
            lease.as_secs_f64(),
            LEASE_MIN.as_secs(),
            LEASE_MAX.as_secs()
        )));
    }
    let plan = TimeoutPlan::DEFAULT;
    let scaled = |time: Duration| time.mul_f64(lease.as_secs_f64() / plan.lease.as_secs_f64());
    let plan = TimeoutPlan {
        lease,
        renewal: scaled(plan.renewal),
        margin: scaled(plan.margin),
        silence: scaled(plan.silence),
        greeting: scaled(plan.greeting),
        // However long a lease is, a server that is back is to be found soon.
        backoff: scaled(plan.backoff).min(plan.backoff),
        grace: scaled(plan.grace),
        grace_max: scaled(plan.grace_max),
        ..plan
    };
    plan.checked().map_err(|error| CliError::input(format!("--lease: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    ///
    #[test]
    fn every_lease_that_is_taken_gives_a_sound_plan() {
        for ms in (3000..600_000).step_by(777) {
            let plan = of_lease(Duration::from_millis(ms)).unwrap();
            assert!(plan.backoff <= TimeoutPlan::DEFAULT.backoff, "a server that is back is found soon");
        }
        assert_eq!(of_lease(Duration::from_secs(30)).unwrap(), TimeoutPlan::DEFAULT);
        for seconds in [0, 2, 601] {
            assert!(of_lease(Duration::from_secs(seconds)).unwrap_err().to_string().starts_with("--lease: "));
        }
    }
}
