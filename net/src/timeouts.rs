//! Every time limit of a cluster in one place, checked together.
//!
//! Time limits that were chosen one by one have fenced healthy clients in real clusters: a connection that was given up later
//! than the recovery window closed, a lease that ran out before a reconnect could be tried twice. Here each is a
//! field, each relation that safety or liveness needs is a line of [`TimeoutPlan::check`], and nothing starts with a plan
//! that breaks one.

use std::time::Duration;

/// The time limits of one cluster. All its members have to have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutPlan {
    /// How long a client may use its locks after it sent the last message that the server answered.
    pub lease: Duration,
    /// How often a client says that it is there when it has nothing else to say.
    pub renewal: Duration,
    /// How long before the end of its lease a client stops using its locks: for what is under way, and for clocks.
    pub margin: Duration,
    /// How far two clocks may drift apart: one part in so many.
    pub drift: u32,
    /// How long a connection may be silent before it is given up.
    pub silence: Duration,
    /// How long making a connection and greeting may take.
    pub greeting: Duration,
    /// The longest pause between two attempts to connect.
    pub backoff: Duration,
    /// How long a new server waits for the clients of the last one, counted anew whenever one of them gets on.
    pub grace: Duration,
    /// How long it waits at the most.
    pub grace_max: Duration,
}

impl Default for TimeoutPlan {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Two time limits that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{less} is {less_is:?}, and has to be less than {more}, which is {more_is:?}: {reason}")]
pub struct PlanError {
    /// What is too long.
    pub less: &'static str,
    /// How long it is.
    pub less_is: Duration,
    /// What is too short.
    pub more: &'static str,
    /// How long it is.
    pub more_is: Duration,
    /// What would go wrong.
    pub reason: &'static str,
}

impl TimeoutPlan {
    /// A lease of half a minute; a server that died is missed for as long at the most.
    pub const DEFAULT: Self = Self {
        lease: Duration::from_secs(30),
        renewal: Duration::from_secs(7),
        margin: Duration::from_secs(5),
        drift: 100,
        silence: Duration::from_secs(11),
        greeting: Duration::from_secs(2),
        backoff: Duration::from_secs(1),
        grace: Duration::from_secs(31),
        grace_max: Duration::from_secs(62),
    };

    /// This plan, if its parts go together.
    ///
    /// # Errors
    /// The first relation that does not hold, and what would go wrong.
    pub fn checked(self) -> Result<Self, PlanError> {
        self.check().map(|()| self)
    }

    fn check(&self) -> Result<(), PlanError> {
        let zero = Duration::ZERO;
        less(("nothing", zero), ("the renewal", self.renewal), "a client would do nothing but renew")?;
        less(("nothing", zero), ("the greeting", self.greeting), "no connection would ever be made")?;
        less(
            ("nothing", zero),
            ("the pause between attempts", self.backoff),
            "a dead server would be stormed",
        )?;
        less(
            ("the drift of clocks over a lease", self.drift_over(self.lease)),
            ("the margin", self.margin),
            "a slow clock would use locks that a fast one has given away",
        )?;
        less(
            ("three renewals", self.renewal * 3),
            ("the lease without its margin", self.lease.saturating_sub(self.margin)),
            "two lost messages would cost a client its locks",
        )?;
        less(
            ("the renewal", self.renewal),
            ("the silence that ends a connection", self.silence),
            "connections with nothing to say would be given up",
        )?;
        less(
            ("giving up a connection and making another", self.takeover()),
            ("the lease without its margin", self.lease.saturating_sub(self.margin)),
            "a client would lose its locks whenever a connection breaks",
        )?;
        less(
            ("giving up a connection and making another", self.takeover()),
            ("the grace", self.grace),
            "healthy clients of a dead server would be expelled by the next",
        )?;
        less(
            ("the lease", self.lease),
            ("the grace", self.grace),
            "a client could still write under locks that the next server has given away",
        )?;
        less(
            ("the grace", self.grace),
            ("the longest grace", self.grace_max),
            "no recovery could take its time",
        )
    }

    /// From a server's death until a client greets the next one, if that is there.
    pub fn takeover(&self) -> Duration {
        self.silence + self.backoff + self.greeting
    }

    /// From when on a client stops using its locks, counted from when it sent what was answered last.
    pub fn client_stops_after(&self) -> Duration {
        self.lease.saturating_sub(self.margin)
    }

    /// From when on the server may give a silent client's locks away, counted from when it heard of it last: when even
    /// the slowest of clocks says that the lease is over.
    pub fn server_waits_for(&self) -> Duration {
        self.lease + self.drift_over(self.lease)
    }

    fn drift_over(&self, time: Duration) -> Duration {
        time / self.drift.max(1)
    }
}

fn less(
    (less, less_is): (&'static str, Duration),
    (more, more_is): (&'static str, Duration),
    reason: &'static str,
) -> Result<(), PlanError> {
    if less_is < more_is { Ok(()) } else { Err(PlanError { less, less_is, more, more_is, reason }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_default_plan_holds() {
        TimeoutPlan::default().checked().unwrap();
    }

    /// each part of the plan, too long or too short for one other.
    #[test]
    fn every_relation_is_checked_and_says_what_would_go_wrong() {
        let seconds = Duration::from_secs;
        let broken = |change: fn(&mut TimeoutPlan)| {
            let mut plan = TimeoutPlan::default();
            change(&mut plan);
            plan.checked().unwrap_err().reason
        };
        assert!(broken(|plan| plan.renewal = Duration::ZERO).contains("but renew"));
        assert!(broken(|plan| plan.greeting = Duration::ZERO).contains("ever be made"));
        assert!(broken(|plan| plan.backoff = Duration::ZERO).contains("stormed"));
        assert!(broken(|plan| plan.drift = 2).contains("slow clock"));
        assert!(broken(|plan| plan.renewal = Duration::from_secs(9)).contains("lost messages"));
        assert!(broken(|plan| plan.silence = Duration::from_secs(6)).contains("nothing to say"));
        assert!(broken(|plan| plan.silence = Duration::from_secs(40)).contains("a connection breaks"));
        assert!(broken(|plan| plan.grace = Duration::from_secs(12)).contains("expelled by the next"));
        assert!(broken(|plan| plan.grace = Duration::from_secs(25)).contains("still write"));
        assert!(broken(|plan| plan.grace_max = Duration::from_secs(31)).contains("take its time"));
        let plan = TimeoutPlan { lease: seconds(3), ..TimeoutPlan::default() };
        let said = plan.checked().unwrap_err().to_string();
        assert!(said.starts_with("three renewals is 21s, and has to be less than the lease"), "{said}");
    }

    /// Plans around the default: of any others hardly one in a million is accepted.
    fn plans() -> impl Strategy<Value = TimeoutPlan> {
        let plan = TimeoutPlan::default();
        let about = |time: Duration| (88u32..118).prop_map(move |percent| time * percent / 100);
        let lives = (about(plan.lease), about(plan.renewal), about(plan.margin), 10u32..1000);
        let links = (about(plan.silence), about(plan.greeting), about(plan.backoff));
        (lives, links, about(plan.grace), about(plan.grace_max)).prop_map(
            |((lease, renewal, margin, drift), (silence, greeting, backoff), grace, grace_max)| TimeoutPlan {
                lease,
                renewal,
                margin,
                drift,
                silence,
                greeting,
                backoff,
                grace,
                grace_max,
            },
        )
    }

    proptest! {
        /// Whatever plan is accepted: with clocks that differ as far as they may, and a message that took no time at all, a
        /// client has stopped before its locks can be given away; and a client whose server dies is back in time.
        #[test]
        fn an_accepted_plan_is_safe_and_lets_healthy_clients_come_back(plan in plans()) {
            prop_assume!(plan.check().is_ok());
            let slowest = plan.client_stops_after() + plan.drift_over(plan.client_stops_after());
            prop_assert!(slowest < plan.server_waits_for());
            prop_assert!(plan.takeover() < plan.grace && plan.takeover() < plan.client_stops_after());
        }
    }
}
