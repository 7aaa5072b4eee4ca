//! The judge: what a relying party holds a peer's evidence against, brokers and clients alike.

use sealwright_appraise::{Appraiser, Binding, Check, Explanation, Outcome, Policy, Verdict};
use sealwright_collateral::{Error as CollateralError, Library};
use sealwright_verify::{AnchorId, Facts, replay::Replayed};
use sealwright_wire::{Evidence, aael::RuntimeEvent, quote::Quote, time::UnixTime};
use std::sync::Arc;

/// Collateral under configured anchors, and a policy with its reference values. Evidence goes in, a verdict comes out.
///
/// Nothing here waits: no network, no clock. Verified platforms are kept by the [`Library`], so that the next quote of the
/// same machine costs its own two signatures. (An evaluator that runs policies in a process of their own does block; call
/// from a thread that may.)
#[derive(Debug)]
pub struct Judge {
    library: Arc<Library>,
    appraiser: Appraiser,
    workloads: Vec<RuntimeEvent>,
}

/// Evidence that verified, and the verdict on it: yes or no.
#[derive(Debug)]
pub struct Judged {
    /// What the hardware says.
    pub facts: Facts,
    /// What the policy makes of it.
    pub verdict: Verdict,
    workload: Option<Check>,
}

/// Evidence that was accepted. Only [`Judged::accepted`] makes one.
#[derive(Debug)]
pub struct Appraisal {
    facts: Facts,
    verdict: Verdict,
    channel: Vec<Check>,
    workload: Option<Check>,
}

impl Judge {
    /// A judge with this collateral and policy.
    pub const fn new(library: Arc<Library>, appraiser: Appraiser) -> Self {
        Self { library, appraiser, workloads: Vec::new() }
    }

    /// The same judge for those who care what runs on the machine: the environment must have measured one of these events at run
    /// time, and no other of their kind (domain and operation), which could answer in its place; that its log explains its runtime
    /// register as a whole is part of it, whatever the policy asks. Without any, nothing is required.
    #[must_use]
    pub fn running_only(mut self, workloads: Vec<RuntimeEvent>) -> Self {
        self.workloads = workloads;
        self
    }

    /// The collateral, for reloading and for its age.
    pub const fn library(&self) -> &Arc<Library> {
        &self.library
    }

    /// The policy that judges.
    pub const fn policy(&self) -> &Policy {
        self.appraiser.policy()
    }

    /// The root above the collateral for a quote's platform. The quote itself is not looked at further, so this is for refusals that come
    /// before anything was verified: they too must say when the root is a simulated one.
    pub fn anchor_of(&self, quote: &Quote<'_>) -> Option<AnchorId> {
        self.library.collateral(quote).ok().map(|collateral| collateral.anchor().clone())
    }

    /// Verifies evidence at a time, and judges it.
    ///
    /// # Errors
    /// The reasons, when the evidence does not verify: then there are no facts, and no verdict on them.
    pub fn judge(&self, evidence: &Evidence<'_>, binding: &Binding, at: UnixTime) -> Result<Judged, Box<Explanation>> {
        let facts = self.library.verify(evidence, at);
        let facts = facts.map_err(|error| Box::new(self.unverified(&error, &evidence.quote)))?;
        let verdict = self.appraiser.appraise(&facts, binding);
        let workload = self.workload(&facts);
        Ok(Judged { facts, verdict, workload })
    }

    /// Whether the environment measured one of the events that are asked for, and none beside them.
    fn workload(&self, facts: &Facts) -> Option<Check> {
        if self.workloads.is_empty() {
            return None;
        }
        let of_kind = |event: &&RuntimeEvent| {
            self.workloads.iter().any(|it| (it.domain(), it.operation()) == (event.domain(), event.operation()))
        };
        // A record's type is not measured, so that a log can hide an event by giving it another; and a register may hold what no record
        // tells. Only a log that explains the register says that there is nothing else.
        let explained = facts.log().is_some_and(|log| log.enforced().any(|register| register == "rtmr3"));
        let measured = facts.log().map(Replayed::runtime).unwrap_or_default().iter().filter(of_kind);
        let (named, others): (Vec<_>, Vec<_>) = measured.partition(|event| self.workloads.contains(event));
        let check = if named.is_empty() {
            Check::new(Outcome::Failed, "workload-not-measured", "log.runtime")
                .actual(contents(others))
                .remedy("ask a server that serves this model, or expect the model that this one serves")
        } else if !others.is_empty() {
            Check::new(Outcome::Failed, "workload-not-named", "log.runtime")
                .actual(contents(others))
                .remedy("ask a server that serves no other model, or name every model whose answers you accept")
        } else if !explained {
            Check::new(Outcome::Failed, "workload-unexplained", "log.enforced")
                .actual("a log that does not explain rtmr3")
                .remedy(
                    "log every extension of RTMR3 as a runtime event: what it does not explain may be another model",
                )
        } else {
            Check::new(Outcome::Passed, "workload-measured", "log.runtime").actual(contents(named))
        };
        Some(check.expected(contents(&self.workloads)).source("what the client asks for"))
    }

    /// Why there are no facts.
    fn unverified(&self, error: &CollateralError, quote: &Quote<'_>) -> Explanation {
        match error {
            CollateralError::Verify(error) => Explanation::of_evidence_error(error, self.anchor_of(quote).as_ref()),
            other => {
                let check = Check::new(Outcome::Failed, other.code(), "collateral");
                let check = check.expected("collateral for this platform").actual(other).remedy(other.remedy());
                let held = if let CollateralError::Missing { held, .. } = other { held } else { "" };
                tracing::debug!(error = %other, held, "evidence cannot be verified");
                Explanation::refused(check.aside(held), None)
            }
        }
    }
}

/// What events say, for people.
fn contents<'a>(events: impl IntoIterator<Item = &'a RuntimeEvent>) -> String {
    let contents: Vec<_> = events.into_iter().map(RuntimeEvent::content).collect();
    if contents.is_empty() { "none".to_owned() } else { contents.join(", ") }
}

impl Judged {
    /// The evidence as accepted.
    ///
    /// # Errors
    /// The reasons, when the verdict is no.
    pub fn accepted(self) -> Result<Appraisal, Box<Explanation>> {
        if !self.verdict.is_affirming() {
            return Err(Box::new(self.verdict.explanation().clone()));
        }
        if let Some(failed) = self.workload.as_ref().filter(|check| check.outcome != Outcome::Passed) {
            let checks = self.verdict.explanation().checks.iter().chain([failed]).cloned().collect();
            return Err(Box::new(Explanation::new(checks, "", Some(self.facts.anchor()))));
        }
        Ok(Appraisal { facts: self.facts, verdict: self.verdict, channel: Vec::new(), workload: self.workload })
    }
}

impl Appraisal {
    /// What the hardware says.
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What the policy makes of it: always a yes.
    pub const fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The whole explanation: what ties the evidence to its channel, what the policy checked, and the workload that was asked for.
    pub fn explanation(&self) -> Explanation {
        let of_verdict = self.verdict.explanation();
        let checks = self.channel.iter().chain(&of_verdict.checks).chain(&self.workload).cloned().collect();
        Explanation { checks, ..of_verdict.clone() }
    }

    /// The same, with checks that were made before the evidence was judged.
    #[must_use]
    pub(crate) fn after(mut self, channel: Vec<Check>) -> Self {
        self.channel = channel;
        self
    }
}
