//! `sealwright verify`: is this evidence genuine, and at what level?

mod request;

use crate::args;
use crate::fields::Fields;
use crate::inspect::{MAX_FILE, instead_of_evidence};
use crate::output::{Outcome, Output};
use anyhow::Result;
use request::Files;
pub(super) use request::unusable;
use sealwright_verify::any::{Kind, Reason, UNDEMANDING, Verdict};
use sealwright_verify::replay::CelCheck;
use sealwright_verify::{Error, Facts, TcbStatus};
use sealwright_wire::time::UnixTime;
use std::fmt::{self, Display};

/// The first line of every verdict under a simulated root.
const SIMULATED: &str = "SIMULATED: this evidence comes from a simulator; it proves nothing about any hardware";

/// What nobody may overlook of evidence that is genuine all the same.
const DEBUG: &str = "DEBUG: whoever runs this environment can read all that is in it";

/// `sealwright verify EVIDENCE`.
pub(crate) fn run(args: &args::Verify, output: Output) -> Result<Outcome> {
    let bytes = crate::files::read(&args.evidence, MAX_FILE)?;
    let at = args.at.map_or_else(crate::clock::now, UnixTime);
    let evidence = Kind::of_text(&bytes);
    let facts = match &evidence {
        Some((kind, evidence)) => {
            request::check_settings(args, *kind)?;
            Files::read(args, *kind, evidence, at)?.request(args, at).verify_as(*kind, evidence)
        }
        None => Err(Error::NotEvidence { found: instead_of_evidence(&bytes) }.into()),
    };
    let verdict = Verdict::of(facts, args.require).map_err(unusable)?;
    let required = args.require.unwrap_or(UNDEMANDING);
    output.result(&verdict, Told { verdict: &verdict, kind: evidence.map(|(kind, _)| kind), required })?;
    Ok(if verdict.accepted { Outcome::Yes } else { Outcome::No })
}

/// A verdict for people.
struct Told<'a> {
    verdict: &'a Verdict,
    /// What the evidence is, if it is any.
    kind: Option<Kind>,
    required: TcbStatus,
}

impl Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.verdict.simulated == Some(true) {
            writeln!(f, "{SIMULATED}")?;
        }
        match (&self.verdict.facts, self.kind, &self.verdict.reason) {
            (Some(facts), Some(kind), _) => self.genuine(f, kind, facts),
            (_, _, Some(reason)) => refused(f, reason),
            _ => Ok(()),
        }
    }
}

impl Told<'_> {
    fn genuine(&self, f: &mut fmt::Formatter<'_>, kind: Kind, facts: &Facts) -> fmt::Result {
        let accepted = self.verdict.accepted;
        let verdict = if accepted { "yes" } else { "no" };
        match facts.tcb() {
            Some(tcb) => {
                let quote = format!("a genuine {} quote", facts.tee().name().to_uppercase());
                let what = match kind {
                    Kind::Ratls => format!("an RA-TLS certificate whose key is vouched for by {quote}"),
                    _ => quote,
                };
                writeln!(f, "{verdict}: {what}, {}", tcb.status)?;
            }
            None => {
                let article = if matches!(kind, Kind::TpmJson | Kind::AzVtpm) { "" } else { "a " };
                writeln!(f, "{verdict}: {article}genuine {kind}")?;
            }
        }
        if !accepted && facts.tcb().is_none() {
            writeln!(
                f,
                "its vendor rates no security versions, so that it has no status, and {} is demanded",
                self.required
            )?;
        } else if !accepted {
            writeln!(f, "the worst status accepted is {}", self.required)?;
        }
        if facts.debug() == Some(true) {
            writeln!(f, "{DEBUG}")?;
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
        logs(f, facts)
    }
}

/// What the logs explain, and how far they are covered.
fn logs(f: &mut fmt::Formatter<'_>, facts: &Facts) -> fmt::Result {
    let join = |names: &mut dyn Iterator<Item = &'static str>| names.collect::<Vec<_>>().join(", ");
    let (explained, events, cel) = match (facts.log(), facts.pcr_log()) {
        (Some(log), _) => (join(&mut log.enforced()), log.events(), log.cel()),
        (None, Some(log)) => (join(&mut log.enforced()), log.events(), log.cel()),
        (None, None) => return Ok(()),
    };
    let explained = if explained.is_empty() { "nothing" } else { &explained };
    match cel {
        Some(CelCheck { records, records_behind, .. }) => writeln!(
            f,
            "logs: {events} records of the event log and {records} of the canonical log explain {explained}; \
             {records_behind} of the latter are behind the evidence"
        ),
        None => writeln!(f, "event log: {events} records explain {explained}"),
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
