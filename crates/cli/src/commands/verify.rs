//! `sealwright verify`: is this quote genuine, and at what level?

use crate::args;
use crate::fields::Fields;
use crate::inspect::MAX_FILE;
use crate::output::{Outcome, Output};
use anyhow::{Context, Result};
use sealwright_verify::{AnchorId, AnchorKind, Anchors, Collateral, Error, Facts, TcbStatus};
use sealwright_wire::Evidence;
use sealwright_wire::collateral::Bundle;
use sealwright_wire::quote::{CertificationData, Quote};
use sealwright_wire::time::UnixTime;
use serde::Serialize;
use std::fmt::{self, Display};

/// The first line of every verdict under a simulated root.
const SIMULATED: &str = "SIMULATED: this quote comes from a simulator; it proves nothing about any hardware";

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

/// `sealwright verify QUOTE --collateral FILE`.
pub(crate) fn run(args: &args::Verify, output: Output) -> Result<Outcome> {
    // Without a demand: the worst status at which a platform's signatures still mean something.
    let required = args.require.unwrap_or(TcbStatus::OutOfDateConfigurationNeeded);
    let quote = crate::files::read(&args.quote, MAX_FILE)?;
    let bundle = Bundle::from_json(&crate::files::read(&args.collateral, MAX_FILE)?)
        .with_context(|| format!("{} is no collateral", args.collateral.display()))?;
    let log = args.event_log.as_deref().map(|path| crate::files::read(path, MAX_FILE)).transpose()?;
    let anchors = match &args.anchor {
        Some(root) => Anchors::none().with(crate::trust::anchor(root)?),
        None => Anchors::vendor(),
    };
    let at = args.at.map_or_else(crate::clock::now, UnixTime);
    match verify(&quote, log.as_deref(), &bundle, &anchors, at) {
        Ok(facts) => {
            let accepted = facts.tcb().is_none_or(|tcb| accepts(tcb.status, required));
            let simulated = Some(is_simulated(facts.anchor()));
            let printed = Verified { genuine: true, accepted, simulated, facts: Some(&facts), reason: None };
            output.result(&printed, Genuine { facts: &facts, accepted, required })?;
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

fn verify(
    quote: &[u8],
    event_log: Option<&[u8]>,
    bundle: &Bundle,
    anchors: &Anchors,
    at: UnixTime,
) -> std::result::Result<Facts, Refused> {
    let quote =
        Quote::parse(quote).map_err(|error| Refused { error: Error::malformed_quote(error), simulated: None })?;
    let simulated = match &quote.certification {
        CertificationData::PckChain(pem) => anchors.above(pem).ok().as_ref().map(is_simulated),
        _ => None,
    };
    Collateral::verify(bundle, anchors, at)
        .and_then(|collateral| sealwright_verify::verify(&Evidence { quote, event_log }, &collateral, at))
        .map_err(|error| Refused { error, simulated })
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
        let status =
            facts.tcb().map_or_else(|| "which its vendor does not rate".to_owned(), |tcb| tcb.status.to_string());
        writeln!(f, "{verdict}: a genuine {} quote, {status}", facts.tee().name().to_uppercase())?;
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
            .with("trailing_bytes", facts.trailing_bytes());
        write!(f, "\n{fields}")?;
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

/// A quote that is not believed.
struct Refused {
    error: Error,
    /// Whether the root that the quote names is a simulator's, where that root is trusted.
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
