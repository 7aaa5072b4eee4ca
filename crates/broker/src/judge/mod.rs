//! From an attestation message to a verdict.

mod remembered;

use crate::{policies::Policies, references::References, session::Challenge};
use aws_lc_rs::digest;
use remembered::Remembering;
use sealwright_appraise::{Appraiser, Binding, Check, Evaluator, Explanation, Failure, Outcome, Trust, Verdict};
use sealwright_channel::{self as channel, jwe::RecipientKey};
use sealwright_collateral::Library;
use sealwright_verify::Error as EvidenceError;
use sealwright_wire::{
    Digest, Error as WireError, Evidence,
    kbs::{self, Attestation, PrimaryEvidence},
    quote::Quote,
    time::UnixTime,
};
use std::sync::{Arc, PoisonError, RwLock};

/// The recipe of the report data, as verdicts name it.
const RECIPE: &str = "the key protocol: SHA-384 of the canonical JSON of additional-evidence, nonce and tee-pubkey";
/// The largest message that is judged on the thread that serves requests. A quote with a boot log is far below it.
const SMALL: usize = 512 << 10;

/// What an attestation message came to.
pub(crate) enum Judged {
    /// Evidence that was verified and appraised; the verdict may still be no.
    Appraised(Box<Verdict>),
    /// Evidence that was refused before that.
    Refused(Box<Explanation>),
    /// No evidence at all: a message that is not one of the protocol.
    Malformed(WireError),
}

impl Judged {
    fn refused(check: Check) -> Self {
        Self::Refused(Box::new(Explanation::refused(check, None)))
    }
}

/// Judges evidence by the policy and reference values in force.
pub(crate) struct Judge {
    library: Arc<Library>,
    policies: Arc<Policies>,
    references: Arc<References>,
    trust: Trust,
    evaluator: Arc<dyn Evaluator>,
    ready: RwLock<Arc<Ready>>,
}

/// A policy together with what it holds evidence against.
pub(crate) struct Ready {
    judge: channel::Judge,
    /// Names the reference values, for the audit log.
    pub(crate) references_sha384: Digest<48>,
}

impl Judge {
    pub(crate) fn new(
        library: Library,
        policies: Arc<Policies>,
        references: Arc<References>,
        trust: Trust,
        evaluator: Arc<dyn Evaluator>,
    ) -> Result<Self, Failure> {
        let library = Arc::new(library);
        let ready = make_ready(&library, &policies, &references, &trust, &evaluator)?;
        Ok(Self { library, policies, references, trust, evaluator, ready: RwLock::new(Arc::new(ready)) })
    }

    /// Takes up a policy or reference values that were changed.
    pub(crate) fn refresh(&self) -> Result<(), Failure> {
        let fresh = make_ready(&self.library, &self.policies, &self.references, &self.trust, &self.evaluator)?;
        *self.ready.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        Ok(())
    }

    /// What evidence is judged by now.
    pub(crate) fn ready(&self) -> Arc<Ready> {
        Arc::clone(&self.ready.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The collateral.
    pub(crate) fn library(&self) -> &Library {
        &self.library
    }
}

impl Ready {
    /// Whether judging a message of so many bytes may take longer than a thread that serves requests has time for.
    pub(crate) fn may_wait(&self, bytes: usize) -> bool {
        bytes > SMALL || !self.judge.policy().is_built_in()
    }

    /// Judges the answer to a challenge.
    pub(crate) fn judge(&self, challenge: &Challenge, message: &Attestation, at: UnixTime) -> Judged {
        // Whoever cannot receive a secret need not attest: a key off its curve, or of an algorithm that is not offered.
        if let Err(error) = RecipientKey::new(&message.runtime_data.tee_pubkey) {
            let wanted = "a key that secrets can be sealed to";
            return Judged::Malformed(WireError::unexpected("tee-pubkey", 0, wanted, error));
        }
        if let Some(check) = nonce_differs(challenge, message) {
            return Judged::refused(check);
        }
        let evidence = PrimaryEvidence::from_json(challenge.tee, &message.tee_evidence.primary_evidence);
        match (evidence, message.report_data_preimage()) {
            (Ok(evidence), Ok(preimage)) => self.appraise(challenge, &evidence, &preimage, at),
            (Err(error), _) | (_, Err(error)) => Judged::Malformed(error),
        }
    }

    fn appraise(&self, challenge: &Challenge, evidence: &PrimaryEvidence, preimage: &[u8], at: UnixTime) -> Judged {
        let quote = match Quote::parse(&evidence.quote) {
            Ok(quote) if quote.tee() == challenge.tee => quote,
            Ok(quote) => return Judged::refused(tee_differs(challenge, &quote)),
            Err(error) => {
                let error = EvidenceError::malformed_quote(error);
                return Judged::Refused(Box::new(Explanation::of_evidence_error(&error, None)));
            }
        };
        let evidence = Evidence { quote, event_log: evidence.event_log.as_deref() };
        let binding = Binding::new(RECIPE, kbs::report_data(&sha384(preimage)));
        match self.judge.judge(&evidence, &binding, at) {
            Ok(judged) => Judged::Appraised(Box::new(judged.verdict)),
            Err(explanation) => Judged::Refused(explanation),
        }
    }
}

fn make_ready(
    library: &Arc<Library>,
    policies: &Policies,
    references: &References,
    trust: &Trust,
    evaluator: &Arc<dyn Evaluator>,
) -> Result<Ready, Failure> {
    let snapshot = references.current();
    let policy = policies.attestation();
    let evaluator = Arc::new(Remembering::new(Arc::clone(evaluator)));
    let appraiser = Appraiser::new(evaluator, policy, snapshot.references(), trust.clone())?;
    let judge = channel::Judge::new(Arc::clone(library), appraiser);
    Ok(Ready { judge, references_sha384: snapshot.sha384 })
}

/// The nonce must be the one of this challenge, as it was written: the text itself is what the evidence binds.
fn nonce_differs(challenge: &Challenge, message: &Attestation) -> Option<Check> {
    if kbs::Challenge::new(&challenge.nonce).nonce == message.runtime_data.nonce {
        return None;
    }
    let check = Check::new(Outcome::Failed, "nonce-differs", "runtime-data.nonce")
        .expected("the nonce of this session's challenge")
        .actual("another nonce")
        .source("the key protocol")
        .remedy("make new evidence for this very challenge: evidence made for an earlier one is not accepted");
    Some(check)
}

fn tee_differs(challenge: &Challenge, quote: &Quote<'_>) -> Check {
    Check::new(Outcome::Failed, "tee-differs", "tee")
        .expected(challenge.tee.name())
        .actual(quote.tee().name())
        .source("the request for the challenge")
        .remedy("ask for a challenge with the kind of environment that the evidence is of")
}

fn sha384(bytes: &[u8]) -> Digest<48> {
    let mut out = Digest([0; 48]);
    out.0.copy_from_slice(digest::digest(&digest::SHA384, bytes).as_ref());
    out
}
