//! Points in time as evidence and collateral state them. Nothing here reads a clock.

use crate::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Seconds since 1970-01-01T00:00:00Z. Text form: RFC 3339 in UTC with whole seconds, as vendors' collateral writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(pub u64);

const DAY: u64 = 86_400;
/// 9999-12-31T23:59:59Z, the last second that RFC 3339 and X.509 can write.
const LAST: u64 = 253_402_300_799;

impl UnixTime {
    /// The last second that RFC 3339 and X.509 can write: of what has no end.
    pub const LAST: Self = Self(LAST);

    /// Parses `YYYY-MM-DDThh:mm:ssZ`.
    ///
    /// # Errors
    /// When the text has another shape or is no date at or after 1970.
    pub fn parse_rfc3339(text: &str) -> Result<Self, Error> {
        Self::from_text(text).ok_or_else(|| Error::unexpected("time", 0, "a UTC time like 2026-11-20T16:00:00Z", text))
    }

    /// This time plus `seconds`, or the last representable time.
    #[must_use]
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    fn from_text(text: &str) -> Option<Self> {
        let bytes: &[u8; 20] = text.as_bytes().try_into().ok()?;
        let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1, b'Z'] = *bytes
        else {
            return None;
        };
        let number = |digits: &[u8]| {
            digits.iter().try_fold(0u64, |sum, digit| {
                let value = u64::from(digit.checked_sub(b'0').filter(|value| *value <= 9)?);
                sum.checked_mul(10)?.checked_add(value)
            })
        };
        let (year, month, day) = (number(&[y0, y1, y2, y3])?, number(&[m0, m1])?, number(&[d0, d1])?);
        let (hour, minute, second) = (number(&[h0, h1])?, number(&[n0, n1])?, number(&[s0, s1])?);
        if year < 1970 || hour > 23 || minute > 59 || second > 59 || day == 0 || day > days_in(year, month)? {
            return None;
        }
        let days = days_before_year(year)?
            .checked_add((1..month).try_fold(0u64, |sum, month| sum.checked_add(days_in(year, month)?))?)?
            .checked_add(day.checked_sub(1)?)?;
        let seconds = hour.checked_mul(3_600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
        days.checked_mul(DAY)?.checked_add(seconds).map(Self)
    }
}

/// Days from 1970-01-01 to the first day of `year`.
fn days_before_year(year: u64) -> Option<u64> {
    let leap_days = |year: u64| Some((year / 4).checked_sub(year / 100)?.checked_add(year / 400));
    let before = year.checked_sub(1)?;
    year.checked_sub(1970)?.checked_mul(365)?.checked_add(leap_days(before)??)?.checked_sub(leap_days(1969)??)
}

fn days_in(year: u64, month: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if leap { 29 } else { 28 }),
        _ => None,
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.0.min(LAST);
        let (mut days, seconds) = (at / DAY, at % DAY);
        let mut year = 1970u64;
        while let Some(left) = days.checked_sub(if days_in(year, 2) == Some(29) { 366 } else { 365 }) {
            days = left;
            year = year.saturating_add(1);
        }
        let mut month = 1u64;
        while let Some(left) = days_in(year, month).and_then(|length| days.checked_sub(length)) {
            days = left;
            month = month.saturating_add(1);
        }
        let day = days.saturating_add(1);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl Serialize for UnixTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UnixTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse_rfc3339(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_750_414_560, "2025-06-20T10:16:00Z"),
            (LAST, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(UnixTime(seconds).to_string(), text);
            assert_eq!(UnixTime::parse_rfc3339(text), Ok(UnixTime(seconds)));
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "2025-06-20",
            "2025-02-29T00:00:00Z",
            "2025-13-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2025-06-20T24:00:00Z",
            "2025-06-20T10:16:00+",
            "2025-06-20t10:16:00Z",
            "2025-00-20T10:16:00Z",
            "²025-06-20T10:16:00",
        ] {
            assert!(UnixTime::parse_rfc3339(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(seconds in 0..=LAST) {
            let time = UnixTime(seconds);
            prop_assert_eq!(UnixTime::parse_rfc3339(&time.to_string()), Ok(time));
        }
    }
}
