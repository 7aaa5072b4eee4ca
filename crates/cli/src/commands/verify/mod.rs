//! `sealwright verify`: is this evidence genuine, and at what level?

mod request;

use crate::args;
use crate::fields::Fields;
use crate::inspect::MAX_FILE;
use crate::output::{Outcome, Output};
use anyhow::Result;
use request::Files;
use sealwright_verify::any::{self, Verified};
use sealwright_verify::{Error, Facts, TcbStatus};
use sealwright_wire::time::UnixTime;
use serde::Serialize;
use std::fmt::{self, Display};

/// The first line of every verdict under a simulated root.
const SIMULATED: &str = "SIMULATED: this evidence comes from a simulator; it proves nothing about any hardware";

/// What is printed as JSON.
#[derive(Serialize)]
struct Printed<'a> {
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
    let evidence = crate::files::read(&args.evidence, MAX_FILE)?;
    let at = args.at.map_or_else(crate::clock::now, UnixTime);
    let files = Files::read(args)?;
    match files.request(args, at).verify(&evidence) {
        Ok(verified) => {
            let facts = &verified.facts;
            // Whoever demands a status is not content with evidence that has none.
            let accepted = facts.tcb().map_or(args.require.is_none(), |tcb| accepts(tcb.status, required));
            let simulated = Some(verified.simulated());
            let printed = Printed { genuine: true, accepted, simulated, facts: Some(facts), reason: None };
            output.result(&printed, Genuine { verified: &verified, accepted, required })?;
            Ok(if accepted { Outcome::Yes } else { Outcome::No })
        }
        Err(any::Error::Refused { error, simulated }) => {
            let reason = Some(reason(&error));
            let printed = Printed { genuine: false, accepted: false, simulated, facts: None, reason };
            output.result(&printed, Refused { error, simulated })?;
            Ok(Outcome::No)
        }
        Err(unusable) => Err(request::unusable(unusable)),
    }
}

/// Whether a status is good enough. What a revoked platform signs is nobody's word, whatever is asked for.
fn accepts(status: TcbStatus, required: TcbStatus) -> bool {
    status <= required && status != TcbStatus::Revoked
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
    verified: &'a Verified,
    accepted: bool,
    required: TcbStatus,
}

impl Display for Genuine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verified { kind, facts, .. } = self.verified;
        if self.verified.simulated() {
            writeln!(f, "{SIMULATED}")?;
        }
        let verdict = if self.accepted { "yes" } else { "no" };
        match facts.tcb() {
            Some(tcb) => {
                writeln!(f, "{verdict}: a genuine {} quote, {}", facts.tee().name().to_uppercase(), tcb.status)?;
            }
            None => writeln!(f, "{verdict}: a genuine {}", kind)?,
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
    simulated: Option<bool>,
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
