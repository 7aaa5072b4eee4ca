//! When dated parts are valid.

use crate::{Error, Part};
use sealwright_wire::time::UnixTime;

/// A span of time, both ends included, and the parts that set its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    from: (UnixTime, Part),
    until: (UnixTime, Part),
}

impl Window {
    pub(crate) const fn new(part: Part, from: UnixTime, until: UnixTime) -> Self {
        Self { from: (from, part), until: (until, part) }
    }

    /// The time in which both are valid.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            from: if other.from.0 > self.from.0 { other.from } else { self.from },
            until: if other.until.0 < self.until.0 { other.until } else { self.until },
        }
    }

    pub(crate) const fn from(&self) -> UnixTime {
        self.from.0
    }

    pub(crate) const fn until(&self) -> UnixTime {
        self.until.0
    }

    /// Refuses a time outside, naming the part that sets the end.
    pub(crate) fn check(&self, at: UnixTime) -> Result<(), Error> {
        let ((from, first), (until, last)) = (self.from, self.until);
        if at > until {
            return Err(Error::Expired { part: last, until, at });
        }
        if at < from {
            return Err(Error::NotYetValid { part: first, from, at });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_parts_set_the_ends() {
        let window = Window::new(Part::RootCa, UnixTime(10), UnixTime(100))
            .and(Window::new(Part::TcbInfo, UnixTime(20), UnixTime(90)))
            .and(Window::new(Part::PckCrl, UnixTime(15), UnixTime(95)));
        assert_eq!(window.check(UnixTime(20)), Ok(()));
        assert_eq!(window.check(UnixTime(90)), Ok(()));
        let (from, until) = (UnixTime(20), UnixTime(90));
        let early = Error::NotYetValid { part: Part::TcbInfo, from, at: UnixTime(19) };
        assert_eq!(window.check(UnixTime(19)), Err(early));
        assert_eq!(window.check(UnixTime(91)), Err(Error::Expired { part: Part::TcbInfo, until, at: UnixTime(91) }));
    }
}
