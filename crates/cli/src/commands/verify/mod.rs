//! `sealwright verify`: is this evidence genuine, and at what level?

mod request;

use crate::args;
use crate::fields::Fields;
use crate::inspect::MAX_FILE;
use crate::output::{Outcome, Output};
use anyhow::Result;
use request::Files;
use sealwright_verify::any::{Kind, Reason, UNDEMANDING, Verdict};
use sealwright_verify::{Facts, TcbStatus};
use sealwright_wire::time::UnixTime;
use std::fmt::{self, Display};

/// The first line of every verdict under a simulated root.
const SIMULATED: &str = "SIMULATED: this evidence comes from a simulator; it proves nothing about any hardware";

/// `sealwright verify EVIDENCE`.
pub(crate) fn run(args: &args::Verify, output: Output) -> Result<Outcome> {
    let (kind, evidence) = Kind::read(&crate::files::read(&args.evidence, MAX_FILE)?);
    let at = args.at.map_or_else(crate::clock::now, UnixTime);
    let files = Files::read(args, kind, &evidence, at)?;
    let facts = files.request(args, at).verify_as(kind, &evidence);
    let verdict = Verdict::of(facts, args.require).map_err(request::unusable)?;
    output.result(&verdict, Told { verdict: &verdict, kind, required: args.require.unwrap_or(UNDEMANDING) })?;
    Ok(if verdict.accepted { Outcome::Yes } else { Outcome::No })
}

/// A verdict for people.
struct Told<'a> {
    verdict: &'a Verdict,
    kind: Kind,
    required: TcbStatus,
}

impl Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.verdict.simulated == Some(true) {
            writeln!(f, "{SIMULATED}")?;
        }
        match (&self.verdict.facts, &self.verdict.reason) {
            (Some(facts), _) => self.genuine(f, facts),
            (None, Some(reason)) => refused(f, reason),
            (None, None) => Ok(()),
        }
    }
}

impl Told<'_> {
    fn genuine(&self, f: &mut fmt::Formatter<'_>, facts: &Facts) -> fmt::Result {
        let accepted = self.verdict.accepted;
        let verdict = if accepted { "yes" } else { "no" };
        match facts.tcb() {
            Some(tcb) => {
                let quote = format!("a genuine {} quote", facts.tee().name().to_uppercase());
                let what = match self.kind {
                    Kind::Ratls => format!("an RA-TLS certificate whose key is vouched for by {quote}"),
                    _ => quote,
                };
                writeln!(f, "{verdict}: {what}, {}", tcb.status)?;
            }
            None => {
                let article = if matches!(self.kind, Kind::TpmJson | Kind::AzVtpm) { "" } else { "a " };
                writeln!(f, "{verdict}: {article}genuine {}", self.kind)?;
            }
        }
        if !accepted {
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
            .with_some("debug", facts.debug())
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

fn refused(f: &mut fmt::Formatter<'_>, reason: &Reason) -> fmt::Result {
    let fields = Fields::new()
        .with("code", reason.code)
        .with("claim", reason.claim)
        .with_some("expected", reason.expected.as_deref())
        .with_some("actual", reason.actual.as_deref())
        .with("message", reason.message.as_str())
        .with("remedy", reason.remedy);
    write!(f, "no: {}\n\n{fields}", reason.message)
}
