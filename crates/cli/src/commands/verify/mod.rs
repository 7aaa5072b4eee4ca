//! `sealwright verify`: is this evidence genuine, and at what level?

mod evidence;
mod supplied;

use crate::args;
use crate::fields::Fields;
use crate::inspect::MAX_FILE;
use crate::kind::Kind;
use crate::output::{Outcome, Output};
use anyhow::Result;
use evidence::Request;
use sealwright_verify::{AnchorId, AnchorKind, Error, Facts, TcbStatus};
use sealwright_wire::time::UnixTime;
use serde::Serialize;
use std::fmt::{self, Display};

/// The first line of every verdict under a simulated root.
const SIMULATED: &str = "SIMULATED: this evidence comes from a simulator; it proves nothing about any hardware";

/// What is printed as JSON.
#[derive(Serialize)]
struct Verified<'a> {
    genuine: bool,
    accepted: bool,
    /// Whether the quote comes from a simulator, once its root is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    simulated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<&'a Facts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Fields>,
}

/// `sealwright verify EVIDENCE`.
pub(crate) fn run(args: &args::Verify, output: Output) -> Result<Outcome> {
    // Without a demand: the worst status at which a platform's signatures still mean something.
    let required = args.require.unwrap_or(TcbStatus::OutOfDateConfigurationNeeded);
    let bytes = crate::files::read(&args.evidence, MAX_FILE)?;
    let at = args.at.map_or_else(crate::clock::now, UnixTime);
    let (kind, evidence) = Kind::read(bytes);
    match Request::new(args, at)?.verify(kind, &evidence)? {
        Ok(facts) => {
            // Whoever demands a status is not content with evidence that has none.
            let accepted = facts.tcb().map_or(args.require.is_none(), |tcb| accepts(tcb.status, required));
            let simulated = Some(is_simulated(facts.anchor()));
            let printed = Verified { genuine: true, accepted, simulated, facts: Some(&facts), reason: None };
            output.result(&printed, Genuine { kind, facts: &facts, accepted, required })?;
            Ok(if accepted { Outcome::Yes } else { Outcome::No })
        }
        Err(refused) => {
            let Refused { error, simulated } = &refused;
            let printed = Verified {
                genuine: false,
                accepted: false,
                simulated: *simulated,
                facts: None,
                reason: Some(reason(error)),
            };
            output.result(&printed, &refused)?;
            Ok(Outcome::No)
        }
    }
}

/// Whether a status is good enough. What a revoked platform signs is nobody's word, whatever is asked for.
fn accepts(status: TcbStatus, required: TcbStatus) -> bool {
    status <= required && status != TcbStatus::Revoked
}

/// Whether a root speaks for simulated machines.
fn is_simulated(root: &AnchorId) -> bool {
    root.kind == AnchorKind::Simulated
}

/// A refusal's parts, as JSON.
fn reason(error: &Error) -> Fields {
    Fields::new()
        .with("code", error.code())
        .with("claim", error.claim())
        .with_some("expected", error.expected())
        .with_some("actual", error.actual())
        .with("message", error.to_string())
        .with("remedy", error.remedy())
}

struct Genuine<'a> {
    kind: Kind,
    facts: &'a Facts,
    accepted: bool,
    required: TcbStatus,
}

impl Display for Genuine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = self.facts;
        if is_simulated(facts.anchor()) {
            writeln!(f, "{SIMULATED}")?;
        }
        let verdict = if self.accepted { "yes" } else { "no" };
        match facts.tcb() {
            Some(tcb) => {
                writeln!(f, "{verdict}: a genuine {} quote, {}", facts.tee().name().to_uppercase(), tcb.status)?;
            }
            None => writeln!(f, "{verdict}: a genuine {}", self.kind.name())?,
        }
        if !self.accepted {
            writeln!(f, "the worst status accepted is {}", self.required)?;
        }
        let mut fields = Fields::new().with("root", facts.anchor().name.as_str());
        if let Some(tcb) = facts.tcb() {
            fields = fields
                .with("status", tcb.status.to_string())
                .with("advisories", tcb.advisories.clone())
                .with("tcb_date", tcb.date.to_string())
                .with("fmspc", tcb.fmspc.to_string());
        }
        let fields = fields
            .with("debug", facts.debug())
            .with("verified_at", facts.at().to_string())
            .with("collateral_expires", facts.collateral_expires().to_string())
            .with("trailing_bytes", facts.trailing_bytes())
            .hex("report_data", facts.report_data());
        write!(f, "\n{fields}")?;
        if facts.tcb().is_none() {
            // What there is instead of a vendor's verdict.
            let claims = serde_json::to_value(facts.claims()).map_err(|_| fmt::Error)?;
            let members = claims.as_object().into_iter().flatten();
            write!(
                f,
                "{}",
                members.fold(Fields::new(), |fields, (name, claims)| fields.with(name.clone(), claims.clone()))
            )?;
        }
        match facts.log() {
            Some(log) => writeln!(
                f,
                "event log: {} records explain {}",
                log.events(),
                log.enforced().collect::<Vec<_>>().join(", ")
            ),
            None => Ok(()),
        }
    }
}

/// Evidence that is not believed.
struct Refused {
    error: Error,
    /// Whether the root that the evidence names is a simulator's, where that root is trusted.
    simulated: Option<bool>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, simulated: None }
    }
}

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.simulated == Some(true) {
            writeln!(f, "{SIMULATED}")?;
        }
        writeln!(f, "no: {}\n", self.error)?;
        write!(f, "{}", reason(&self.error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revoked_platform_is_refused_whatever_is_asked_for() {
        for required in TcbStatus::ALL {
            assert!(!accepts(TcbStatus::Revoked, required), "{required}");
            assert!(accepts(TcbStatus::UpToDate, required), "{required}");
        }
        assert!(!accepts(TcbStatus::OutOfDate, TcbStatus::TDRelaunchAdvised));
    }
}
