//! The verdict on verified evidence: bound to this conversation, and judged by a policy.

use crate::{
    Check, Document, Evaluator, Explanation, Failure, Judgement, Kind, Outcome, Output, Policy, References, Tier,
    Trust, TrustVector, reference::Data,
};
use sealwright_verify::{AnchorId, AnchorKind, Facts};
use sealwright_wire::{Digest, Tee, time::UnixTime};
use std::{borrow::Cow, fmt, sync::Arc};

/// What the evidence must have been made over to be fresh: the report data that this conversation demands, and the name of the
/// recipe by which it was computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    recipe: Cow<'static, str>,
    expected: Digest<64>,
}

impl Binding {
    /// The report data that the named recipe gives.
    pub fn new(recipe: impl Into<Cow<'static, str>>, expected: [u8; 64]) -> Self {
        Self { recipe: recipe.into(), expected: Digest(expected) }
    }

    fn holds_for(&self, facts: &Facts) -> bool {
        facts.report_data() == self.expected.0
    }

    fn check(&self, facts: &Facts) -> Check {
        let actual = hex::encode(facts.report_data());
        let check = |outcome, code| {
            Check::new(outcome, code, "report_data").expected(self.expected).actual(actual).source(&self.recipe)
        };
        if self.holds_for(facts) {
            return check(Outcome::Passed, "report-data-matches");
        }
        check(Outcome::Failed, "report-data-differs").remedy(
            "make new evidence for this very request: evidence made for another nonce, key or connection is not accepted",
        )
    }
}

/// An attestation policy with what it holds environments against, checked and kept ready.
pub struct Appraiser {
    policy: Policy,
    evaluator: Arc<dyn Evaluator>,
    data: Data,
}

impl fmt::Debug for Appraiser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Appraiser").field("policy", &self.policy.id()).field("data", &self.data).finish_non_exhaustive()
    }
}

impl Appraiser {
    /// Checks the policy with the evaluator that will evaluate it.
    ///
    /// # Errors
    /// When the policy is not sound or no attestation policy.
    pub fn new(
        evaluator: Arc<dyn Evaluator>,
        policy: Policy,
        references: References,
        trust: Trust,
    ) -> Result<Self, Failure> {
        if policy.kind() != Kind::Attestation {
            return Err(Failure::PolicyInvalid { detail: format!("{} is no attestation policy", policy.id()) });
        }
        evaluator.check(&policy)?;
        Ok(Self { policy, evaluator, data: Data::new(references, trust)? })
    }

    /// The policy.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Judges facts at the time at which they were verified.
    pub fn appraise(&self, facts: &Facts, binding: &Binding) -> Verdict {
        let (input, references, output) = self.evaluate(facts);
        let (vector, judged) = match output {
            Ok(output) => self.judged(output),
            Err(failure) => (TrustVector::malfunction(), vec![failure.check(&self.policy)]),
        };
        let mut checks = vec![verified(facts), binding.check(facts)];
        checks.extend(judged);
        let anchor = facts.anchor();
        let tcb = facts.tcb().map_or_else(String::new, |tcb| format!(", TCB {}", tcb.status));
        let affirmed = format!(
            "policy {} affirms this {} environment (root {}{tcb})",
            self.policy.id(),
            facts.tee().name(),
            anchor.name,
        );
        let explanation = Explanation::new(checks, &affirmed, Some(anchor));
        let status = match vector.status() {
            // The claims are the policy's; a check that failed beside them lowers what they amount to.
            Tier::Affirming if !explanation.is_yes() => Tier::Contraindicated,
            status => status,
        };
        Verdict {
            explanation,
            status,
            vector,
            bound: binding.holds_for(facts),
            tee: facts.tee(),
            at: facts.at(),
            anchor: anchor.clone(),
            evidence_sha384: facts.evidence_sha384(),
            policy: self.policy.clone(),
            references,
            facts: input,
        }
    }

    fn evaluate(&self, facts: &Facts) -> (Document, Vec<String>, Result<Output, Failure>) {
        let input = match Document::of(facts) {
            Ok(input) => input,
            Err(failure) => return (Document::from_json("{}".to_owned()), Vec::new(), Err(failure)),
        };
        match self.data.at(facts.at()) {
            Ok(data) => {
                let output = self.evaluator.evaluate(&self.policy, &input, data.document());
                (input, data.names().to_vec(), output)
            }
            Err(failure) => (input, Vec::new(), Err(failure)),
        }
    }

    /// The policy's claims and checks. Claims that do not affirm are never without a failed check, and the other way round.
    fn judged(&self, output: Output) -> (TrustVector, Vec<Check>) {
        let Judgement::TrustClaims(vector) = output.judgement else {
            let failure = Failure::PolicyWrongType {
                rule: Kind::Attestation.rule().to_owned(),
                expected: "trustworthiness claims".to_owned(),
                found: "another decision".to_owned(),
            };
            return (TrustVector::malfunction(), vec![failure.check(&self.policy)]);
        };
        let mut checks = output.checks;
        let affirming = vector.status() == Tier::Affirming;
        if checks.is_empty() || (!affirming && checks.iter().all(|check| check.outcome == Outcome::Passed)) {
            checks.extend(self.claims_as_checks(&vector));
        }
        (vector, checks)
    }

    /// What a policy claims, for policies that do not name their checks.
    fn claims_as_checks(&self, vector: &TrustVector) -> Vec<Check> {
        let source = format!("policy {}", self.policy.id());
        let checks: Vec<_> = vector
            .iter()
            .map(|(claim, value)| {
                let (outcome, code) = match Tier::of(value) {
                    Tier::Affirming => (Outcome::Passed, "claim-affirming"),
                    _ => (Outcome::Failed, "claim-not-affirming"),
                };
                let actual = format!("{value} ({})", claim.meaning(value));
                Check::new(outcome, code, claim.name()).expected("an affirming value").actual(actual).source(&source)
            })
            .collect();
        if !checks.is_empty() {
            return checks;
        }
        let nothing = Check::new(Outcome::Failed, "nothing-claimed", Kind::Attestation.rule());
        vec![nothing.expected("at least one affirming claim").actual("no claim").source(source)]
    }
}

fn verified(facts: &Facts) -> Check {
    Check::new(Outcome::Passed, "evidence-verified", "evidence")
        .expected("signatures, certificates, revocation lists and event log that verify")
        .actual(format_args!("verified under {} at {}", facts.anchor().name, facts.at()))
        .source("verification of the evidence")
}

/// The verdict on one piece of evidence. Only an [`Appraiser`] makes one.
#[derive(Debug)]
pub struct Verdict {
    explanation: Explanation,
    status: Tier,
    vector: TrustVector,
    bound: bool,
    tee: Tee,
    at: UnixTime,
    anchor: AnchorId,
    evidence_sha384: Digest<48>,
    policy: Policy,
    references: Vec<String>,
    facts: Document,
}

impl Verdict {
    /// Whether the environment is trusted: every check passed, freshness included, and the policy affirms it.
    pub fn is_affirming(&self) -> bool {
        self.bound && self.status == Tier::Affirming && self.explanation.is_yes()
    }

    /// Whether the evidence was made for this conversation. If it was not, it may be somebody else's.
    pub const fn is_bound(&self) -> bool {
        self.bound
    }

    /// The reasons.
    pub const fn explanation(&self) -> &Explanation {
        &self.explanation
    }

    /// The overall status, as in `ear.status`.
    pub const fn status(&self) -> Tier {
        self.status
    }

    /// What the policy claims of the environment.
    pub const fn vector(&self) -> &TrustVector {
        &self.vector
    }

    /// The kind of environment.
    pub const fn tee(&self) -> Tee {
        self.tee
    }

    /// The time at which the evidence was verified and judged.
    pub const fn at(&self) -> UnixTime {
        self.at
    }

    /// The root that vouches for the evidence.
    pub const fn anchor(&self) -> &AnchorId {
        &self.anchor
    }

    /// Whether that root is a simulation's.
    pub fn is_simulated(&self) -> bool {
        self.anchor.kind == AnchorKind::Simulated
    }

    /// The name of the evidence: SHA-384 of the quote.
    pub const fn evidence_sha384(&self) -> Digest<48> {
        self.evidence_sha384
    }

    /// The policy that judged.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Names of the sets of reference values that were in force.
    pub fn references(&self) -> &[String] {
        &self.references
    }

    /// The facts as the policy saw them, as JSON.
    pub fn facts_json(&self) -> &str {
        self.facts.json()
    }
}
