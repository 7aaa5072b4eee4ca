//! Why the answer is yes or no: one object for the terminal, `--json`, HTTP error bodies, the audit log and the token.

use crate::Plain;
use sealwright_verify::{AnchorId, AnchorKind, Error as EvidenceError};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest text of a check's member, in characters. What is longer is cut, with an ellipsis.
pub const MAX_TEXT: usize = 400;
/// The longest value in a headline, in characters.
const MAX_HEADLINE_VALUE: usize = 48;

/// Yes or no. Text form: `yes`, `no`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Every check passed.
    Yes,
    /// Something did not pass, or could not be checked.
    No,
}

/// How a check ended. Text form: kebab-case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// What was found is what was wanted.
    Passed,
    /// It is not.
    Failed,
    /// An earlier failure left nothing to check.
    NotReached,
}

/// One thing that was checked. Every member is plain text for people; programs go by `code` and `outcome`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The reason as a stable word: kebab-case, never reused for another meaning. It names what holds when the check passed
    /// (`debug-off`), and what is wrong when it failed (`debug-on`).
    pub code: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What was looked at, for instance `tcb.status`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub claim: String,
    /// What was wanted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub expected: String,
    /// What was found.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub actual: String,
    /// Where the expectation comes from: a policy, a set of reference values, a protocol.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// What to do about a failure.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
    /// What was found besides, for those who judge and their audit log: it is in no JSON, and so reaches nobody who was judged.
    #[serde(skip)]
    pub aside: String,
}

impl Check {
    /// A check that ended so; the other members are empty.
    pub fn new(outcome: Outcome, code: impl Into<String>, claim: impl Into<String>) -> Self {
        let (code, claim) = (code.into(), claim.into());
        Self {
            code,
            outcome,
            claim,
            expected: String::new(),
            actual: String::new(),
            source: String::new(),
            remedy: String::new(),
            aside: String::new(),
        }
    }

    /// The same check, saying what was wanted.
    #[must_use]
    pub fn expected(mut self, expected: impl fmt::Display) -> Self {
        self.expected = shorten(&expected.to_string(), MAX_TEXT);
        self
    }

    /// The same check, saying what was found.
    #[must_use]
    pub fn actual(mut self, actual: impl fmt::Display) -> Self {
        self.actual = shorten(&actual.to_string(), MAX_TEXT);
        self
    }

    /// The same check, saying where the expectation comes from.
    #[must_use]
    pub fn source(mut self, source: impl fmt::Display) -> Self {
        self.source = shorten(&source.to_string(), MAX_TEXT);
        self
    }

    /// The same check, saying what to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl fmt::Display) -> Self {
        self.remedy = shorten(&remedy.to_string(), MAX_TEXT);
        self
    }

    /// The same check, saying what is not for those who are judged.
    #[must_use]
    pub fn aside(mut self, aside: impl fmt::Display) -> Self {
        self.aside = shorten(&aside.to_string(), MAX_TEXT);
        self
    }

    /// The check in one line: what was found, what was wanted, and the code.
    fn sentence(&self) -> String {
        let found = shorten(&self.actual, MAX_HEADLINE_VALUE);
        let wanted = shorten(&self.expected, MAX_HEADLINE_VALUE);
        let [claim, code] = [&self.claim, &self.code];
        match (claim.is_empty() || found.is_empty(), wanted.is_empty()) {
            (false, false) => format!("{claim} is {found}, expected {wanted} [{code}]"),
            (false, true) => format!("{claim} is {found} [{code}]"),
            (true, false) => format!("expected {wanted} [{code}]"),
            (true, true) => format!("[{code}]"),
        }
    }
}

/// The answer with its reasons. As JSON: `{"verdict", "headline", "simulated", "checks": [..]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The answer.
    pub verdict: Answer,
    /// The answer in one line. Under a simulated root it says so.
    pub headline: String,
    /// Whether the evidence comes from a simulated machine, about which it proves nothing.
    pub simulated: bool,
    /// What was checked, in order.
    pub checks: Vec<Check>,
}

impl Explanation {
    /// The answer to these checks: yes when there are any and all passed. `affirmed` says in plain words what a yes means;
    /// `anchor` is the root that vouches for the evidence, when one was found.
    pub fn new(checks: Vec<Check>, affirmed: &str, anchor: Option<&AnchorId>) -> Self {
        let simulated = anchor.filter(|anchor| anchor.kind == AnchorKind::Simulated);
        let verdict = if checks.is_empty() || reason(&checks).is_some() { Answer::No } else { Answer::Yes };
        let root = match (simulated, verdict) {
            (None, _) => String::new(),
            (Some(anchor), Answer::Yes) => format!(", but under a SIMULATED root only ({})", anchor.name),
            (Some(anchor), Answer::No) => format!(", under a SIMULATED root ({})", anchor.name),
        };
        let failures = checks.iter().filter(|check| check.outcome == Outcome::Failed).count();
        let headline = match (verdict, reason(&checks)) {
            (Answer::Yes, _) => format!("YES{root}: {affirmed}"),
            (Answer::No, None) => format!("NO{root}: nothing was checked"),
            (Answer::No, Some(check)) if failures > 1 => {
                format!("NO{root}: {}, and {} more", check.sentence(), failures.saturating_sub(1))
            }
            (Answer::No, Some(check)) => format!("NO{root}: {}", check.sentence()),
        };
        Self { verdict, headline, simulated: simulated.is_some(), checks }
    }

    /// No, for one reason.
    pub fn refused(check: Check, anchor: Option<&AnchorId>) -> Self {
        let check = Check { outcome: Outcome::Failed, ..check };
        Self::new(vec![check], "", anchor)
    }

    /// No, because the evidence does not verify; whoever asked has no facts to appraise. `anchor` is the root under which the
    /// collateral verified, when it did.
    pub fn of_evidence_error(error: &EvidenceError, anchor: Option<&AnchorId>) -> Self {
        let check = Check::new(Outcome::Failed, error.code(), error.claim())
            .expected(error.expected().unwrap_or_else(|| "evidence that verifies".to_owned()))
            .actual(error.actual().unwrap_or_else(|| error.to_string()))
            .source("verification of the evidence")
            .remedy(error.remedy());
        let mut explanation = Self::refused(check, anchor);
        for (code, claim) in [("binding-unchecked", "report_data"), ("policy-unchecked", "policy")] {
            explanation.checks.push(Check::new(Outcome::NotReached, code, claim));
        }
        explanation
    }

    /// Whether the answer is yes.
    pub fn is_yes(&self) -> bool {
        self.verdict == Answer::Yes
    }

    /// The first check that failed, which is the reason of a no.
    pub fn reason(&self) -> Option<&Check> {
        reason(&self.checks)
    }
}

fn reason(checks: &[Check]) -> Option<&Check> {
    let failed = checks.iter().find(|check| check.outcome == Outcome::Failed);
    failed.or_else(|| checks.iter().find(|check| check.outcome != Outcome::Passed))
}

/// For a terminal: the headline, then a line per check, then what is behind each failure.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline)?;
        for check in &self.checks {
            let outcome = match check.outcome {
                Outcome::Passed => "ok",
                Outcome::Failed => "FAILED",
                Outcome::NotReached => "not reached",
            };
            write!(f, "\n  {outcome:<11}  {:<24}  {}", check.code, check.claim)?;
            if check.outcome != Outcome::Failed {
                continue;
            }
            for (name, text) in [
                ("found", &check.actual),
                ("besides", &check.aside),
                ("expected", &check.expected),
                ("from", &check.source),
                ("to do", &check.remedy),
            ] {
                if !text.is_empty() {
                    write!(f, "\n               {name:<8}  {text}")?;
                }
            }
        }
        Ok(())
    }
}

/// At most `limit` characters of a text as it may be shown: what an environment chose must not steer a terminal.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    if text.len() <= limit && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut characters = Plain(text).characters();
    let mut short: String = characters.by_ref().take(limit).collect();
    if characters.next().is_some() {
        short.pop();
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealwright_wire::Digest;

    fn anchor(kind: AnchorKind) -> AnchorId {
        AnchorId { name: "sim-root".into(), kind, sha256: Digest([7; 32]) }
    }

    fn failed() -> Check {
        Check::new(Outcome::Failed, "tcb-not-accepted", "tcb.status")
            .expected("UpToDate")
            .actual("OutOfDate")
            .source("policy default")
            .remedy("update the platform")
    }

    fn passed() -> Check {
        Check::new(Outcome::Passed, "debug-off", "debug").expected("false").actual("false")
    }

    #[test]
    fn yes_needs_a_check_and_no_failure() {
        assert!(Explanation::new(vec![passed()], "fine", None).is_yes());
        assert!(!Explanation::new(vec![], "fine", None).is_yes());
        assert!(!Explanation::new(vec![passed(), failed()], "fine", None).is_yes());
        let unreached = Check::new(Outcome::NotReached, "policy-unchecked", "policy");
        assert!(!Explanation::new(vec![passed(), unreached], "fine", None).is_yes());
        assert!(!Explanation::refused(passed(), None).is_yes(), "a refusal is a no, whatever the check says");
    }

    #[test]
    fn the_first_line_says_that_a_root_is_simulated() {
        let simulated = anchor(AnchorKind::Simulated);
        let yes = Explanation::new(vec![passed()], "a genuine tdx environment", Some(&simulated));
        assert!(yes.simulated);
        assert_eq!(yes.headline, "YES, but under a SIMULATED root only (sim-root): a genuine tdx environment");
        let no = Explanation::new(vec![failed(), failed()], "", Some(&simulated));
        assert_eq!(
            no.headline,
            "NO, under a SIMULATED root (sim-root): tcb.status is OutOfDate, expected UpToDate [tcb-not-accepted], and 1 more"
        );
        let vendor = Explanation::new(vec![passed()], "fine", Some(&anchor(AnchorKind::Vendor)));
        assert!(!vendor.simulated && vendor.headline == "YES: fine");
    }

    #[test]
    fn a_terminal_sees_each_check_and_what_to_do_about_failures() {
        let text = Explanation::new(vec![passed(), failed()], "", None).to_string();
        assert_eq!(
            text,
            "NO: tcb.status is OutOfDate, expected UpToDate [tcb-not-accepted]\n  \
             ok           debug-off                 debug\n  \
             FAILED       tcb-not-accepted          tcb.status\n               \
             found     OutOfDate\n               \
             expected  UpToDate\n               \
             from      policy default\n               \
             to do     update the platform"
        );
    }

    #[test]
    fn values_are_cut_and_cannot_steer_a_terminal() {
        let check = failed().actual("a\u{1b}[2Jb\n".repeat(200));
        assert_eq!(check.actual.chars().count(), MAX_TEXT);
        assert!(!check.actual.chars().any(char::is_control) && check.actual.ends_with('…'));
        assert_eq!(shorten("äöü", 3), "äöü");
        assert_eq!(shorten("äöü", 2), "ä…");
    }

    /// What turns the direction of writing or takes no room shows another text than the one that was judged.
    #[test]
    fn characters_that_nobody_sees_are_shown_as_what_they_are() {
        let check = failed().actual("model\u{202e}xnno.\u{200b}\u{2028}\u{1b}[2J").aside("\u{feff}");
        assert_eq!(check.actual, "model\\u{202e}xnno.\\u{200b}\\u{2028}\\u{1b}[2J");
        assert_eq!(check.aside, "\\u{feff}");
        assert_eq!(shorten(&"\u{202e}".repeat(9), 10), "\\u{202e}\\…");
    }

    #[test]
    fn an_aside_is_on_the_terminal_of_whoever_judges_and_in_no_json() {
        let explanation = Explanation::refused(failed().aside("another's.json"), None);
        assert!(explanation.to_string().contains("\n               besides   another's.json\n"));
        assert!(!serde_json::to_string(&explanation).unwrap().contains("another"));
    }

    #[test]
    fn json_round_trip_leaves_out_what_is_empty() {
        let explanation = Explanation::refused(Check::new(Outcome::Failed, "nonce-replayed", "nonce"), None);
        let json = serde_json::to_value(&explanation).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"verdict": "no", "headline": "NO: [nonce-replayed]", "simulated": false,
                "checks": [{"code": "nonce-replayed", "outcome": "failed", "claim": "nonce"}]})
        );
        assert_eq!(serde_json::from_value::<Explanation>(json).unwrap(), explanation);
    }
}
