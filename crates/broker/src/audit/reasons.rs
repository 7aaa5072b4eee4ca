//! What of an explanation goes into a line.

use super::{Entry, Reason};
use sealwright_appraise::{Check, Explanation, Outcome};

/// The most failed checks that an entry repeats.
const MAX_REASONS: usize = 16;
/// The longest text of a reason, in characters.
const MAX_TEXT: usize = 512;

impl Entry {
    /// The same decision with the failed checks of `explanation`.
    #[must_use]
    pub fn explained(mut self, explanation: &Explanation) -> Self {
        let failed = explanation.checks.iter().filter(|check| check.outcome == Outcome::Failed);
        self.reasons = failed.take(MAX_REASONS).map(Reason::from).collect();
        self.headline = shortened(&explanation.headline);
        self.simulated = Some(explanation.simulated);
        self
    }
}

impl From<&Check> for Reason {
    fn from(check: &Check) -> Self {
        let [actual, aside] = [&check.actual, &check.aside];
        let found = if aside.is_empty() { actual } else { &format!("{actual}; {aside}") };
        Self { code: shortened(&check.code), expected: shortened(&check.expected), actual: shortened(found) }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
