//! How old is too old, and when to ask again. Time and chance are arguments.

use sealwright_wire::time::UnixTime;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// How good kept collateral still is. Each is worse than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Freshness {
    /// Nothing to do.
    Fresh,
    /// It holds, and it is time to ask for a newer one.
    Due,
    /// It holds, and nobody has been able to get a newer one for so long that revocations and TCB recoveries may have passed by.
    Stale,
    /// It holds no longer.
    Expired,
}

impl Freshness {
    /// The verdict in one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Due => "due",
            Self::Stale => "stale",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// When collateral is fetched anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// Collateral that was fetched longer ago than this is due. Intel issues TCB info and lists for thirty days, and anew every day.
    pub max_age: Duration,
    /// Collateral that was fetched longer ago than this is stale.
    pub stale_after: Duration,
    /// Collateral that expires sooner than this is due, however young.
    pub before_expiry: Duration,
    /// How long to leave a service alone that gave nothing.
    pub back_off: BackOff,
}

impl Default for Upkeep {
    /// Anew every day, stale after a week, a week before it expires.
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self { max_age: DAY, stale_after: DAY * 7, before_expiry: DAY * 7, back_off: BackOff::default() }
    }
}

impl Upkeep {
    /// The verdict at `at` on collateral that was fetched at one time and holds until another.
    pub fn verdict(&self, fetched: UnixTime, expires: UnixTime, at: UnixTime) -> Freshness {
        let age = at.0.saturating_sub(fetched.0);
        if at > expires {
            Freshness::Expired
        } else if age > self.stale_after.as_secs() {
            Freshness::Stale
        } else if age > self.max_age.as_secs() || expires.0.saturating_sub(at.0) < self.before_expiry.as_secs() {
            Freshness::Due
        } else {
            Freshness::Fresh
        }
    }
}

/// How long to wait after failures: twice as long after each, up to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOff {
    /// After the first failure.
    pub first: Duration,
    /// At most.
    pub most: Duration,
}

impl Default for BackOff {
    /// A minute at first, six hours at most.
    fn default() -> Self {
        Self { first: Duration::from_secs(60), most: Duration::from_secs(6 * 3_600) }
    }
}

impl BackOff {
    /// How long to wait after so many failures in a row. `jitter`, between 0 and 1, is the caller's die: it decides over the second half of the time,
    /// so that machines which failed together do not come back together.
    pub fn wait(&self, failures: u32, jitter: f64) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let whole = self.first.saturating_mul(factor).min(self.most);
        let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 1.0 };
        (whole / 2).saturating_add((whole / 2).mul_f64(jitter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600;
    const DAY: u64 = 24 * HOUR;

    #[test]
    fn every_verdict_has_its_time() {
        let upkeep = Upkeep::default();
        let fetched = UnixTime(1_000_000_000);
        let expires = fetched.plus(30 * DAY);
        for (after, verdict) in [
            (0, Freshness::Fresh),
            (DAY, Freshness::Fresh),
            (DAY + 1, Freshness::Due),
            (7 * DAY, Freshness::Due),
            (7 * DAY + 1, Freshness::Stale),
            (30 * DAY, Freshness::Stale),
            (30 * DAY + 1, Freshness::Expired),
        ] {
            assert_eq!(upkeep.verdict(fetched, expires, fetched.plus(after)), verdict, "after {after} s");
        }
        // However young it is: what ends soon is due. A clock that went back makes nothing stale.
        assert_eq!(upkeep.verdict(fetched, fetched.plus(7 * DAY), fetched), Freshness::Fresh);
        assert_eq!(upkeep.verdict(fetched, fetched.plus(7 * DAY - 1), fetched), Freshness::Due);
        assert_eq!(upkeep.verdict(fetched, expires, UnixTime(0)), Freshness::Fresh);
        assert!(Freshness::Fresh < Freshness::Due && Freshness::Stale < Freshness::Expired);
    }

    #[test]
    fn the_wait_doubles_up_to_its_limit_and_chance_takes_half_of_it_at_most() {
        let back_off = BackOff::default();
        let seconds = |failures, jitter| back_off.wait(failures, jitter).as_secs();
        assert_eq!([0, 1, 2, 3, 9].map(|failures| seconds(failures, 1.0)), [0, 60, 120, 240, 15_360]);
        assert_eq!([10, 33, 34, u32::MAX].map(|failures| seconds(failures, 1.0)), [6 * HOUR; 4]);
        assert_eq!([0.0, 0.5, 1.0, 7.0, f64::NAN].map(|jitter| seconds(2, jitter)), [60, 90, 120, 120, 120]);
    }
}
