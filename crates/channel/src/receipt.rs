//! Inference receipts: signed by the workload that answered, checked offline by anybody who has the evidence.
//!
//! # What a receipt proves
//! Given evidence that the verifier's own anchors, collateral, reference values and policy accept at the receipt's time:
//! a key that was generated inside that measured environment signed that a model, whose sealed file with this digest was
//! measured into the environment's runtime register before its key was released, answered this request with this response.
//!
//! # What it does not prove
//! - That the answer is right, or that the model is a good one.
//! - *When* it happened, beyond the collateral's window: `iat` is the workload's clock, which its host can set.
//! - That no other answer was given to the same request: a receipt is about one answer.
//! - Which policy released the model's key: `policy_sha384` is the workload's word, bound by its measurement alone. It is absent
//!   where the broker named no policy, and then no policy is the expected one.
//! - Anything, where the anchor is a simulated one; the explanation then says so in its first line.

use crate::{
    judge::{Appraisal, Judge, Judged},
    ratls::{Attested, BindingError, Opened, names, open_answer, sha256},
    seal,
};
use sealwright_appraise::{Binding, Check, ES256, Explanation, KeyError, Outcome, SigningKey, VerifyingKey};
use sealwright_verify::{AnchorId, Facts};
use sealwright_wire::{
    Digest,
    jws::{Compact, EncodedHeader, Header, assemble},
    kbs::Message,
    quote::Quote,
    ratls::{AttestResponse, Claims},
    receipt::{Model, Receipt, TYPE, VERSION},
    sealed::LoadModel,
    time::UnixTime,
};

const SOURCE: &str = "receipt";

/// Why a receipt was not made, or is not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The receipt is malformed.
    #[error(transparent)]
    Format(#[from] sealwright_wire::Error),
    /// The receipt key could not be made or used.
    #[error("receipt key: {0}")]
    Key(#[from] KeyError),
    /// The receipt does not hold.
    #[error("{}", .0.headline)]
    Refused(Box<Explanation>),
}

impl Error {
    /// The reasons, when the receipt was checked and does not hold.
    pub fn explanation(&self) -> Option<&Explanation> {
        match self {
            Self::Refused(explanation) => Some(explanation),
            Self::Format(_) | Self::Key(_) => None,
        }
    }
}

/// The key that signs receipts. It is made in the workload and never leaves it, and all evidence of the workload's channel
/// names it.
pub struct Signer {
    key: SigningKey,
    header: EncodedHeader,
    thumbprint: String,
}

/// What a receipt is about.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// The request: the body's bytes over HTTP, the message's bytes over gRPC.
    pub request: &'a [u8],
    /// The response: the body's bytes over HTTP, the message's bytes over gRPC.
    pub response: &'a [u8],
    /// The model that answered.
    pub model: &'a Model,
    /// Digest of the policy under which the broker released the model's key, if it named one.
    pub policy_sha384: Option<Digest<48>>,
    /// When.
    pub at: UnixTime,
}

impl Signer {
    /// A fresh key of P-256.
    ///
    /// # Errors
    /// When the cryptographic library makes none.
    pub fn generate() -> Result<Self, Error> {
        let key = SigningKey::generate()?;
        let jwk = Some(key.public().to_jwk());
        let header = Header { typ: Some(TYPE.to_owned()), jwk, ..Header::new(ES256) }.encode()?;
        Ok(Self { thumbprint: key.public().thumbprint(), header, key })
    }

    /// SHA-256 of the key's `SubjectPublicKeyInfo`: what [`Server::new`](crate::ratls::Server::new) puts into evidence.
    pub fn spki_sha256(&self) -> [u8; 32] {
        sha256(&self.key.public().to_spki_der())
    }

    /// The key's thumbprint (RFC 7638).
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// Signs a receipt for an answer on a connection that finished the exchange: a compact JWS.
    ///
    /// # Errors
    /// When the claims are over their limits, or the cryptographic library does not sign.
    pub fn sign(&self, answered: &Answered<'_>, connection: &Attested) -> Result<String, Error> {
        let receipt = Receipt {
            evidence_sha384: *connection.evidence_sha384(),
            iat: answered.at.0,
            jkt: self.thumbprint.clone(),
            model: answered.model.clone(),
            policy_sha384: answered.policy_sha384,
            request_sha384: seal::sha384(answered.request),
            response_sha384: seal::sha384(answered.response),
            version: VERSION,
        };
        let input = self.header.signing_input(&receipt.to_json()?);
        let signature = self.key.sign(input.as_bytes())?;
        Ok(assemble(input, &signature))
    }
}

/// What the verifier knows about the answer beside the receipt. What is `None` is not compared, and the explanation says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected<'a> {
    /// The request that was sent.
    pub request: Option<&'a [u8]>,
    /// The response that came.
    pub response: Option<&'a [u8]>,
    /// The policy under which the broker is known to release the model's key.
    pub policy_sha384: Option<Digest<48>>,
    /// The models whose answers are accepted; any when empty.
    pub models: &'a [Model],
}

impl Expected<'_> {
    /// What a yes means.
    fn affirmed(&self) -> String {
        let not_compared = match (self.request, self.response) {
            (Some(_), Some(_)) => return "a measured workload gave this answer".to_owned(),
            (None, None) => "request and response were",
            (None, Some(_)) => "the request was",
            (Some(_), None) => "the response was",
        };
        format!("signed by a measured workload; {not_compared} not compared")
    }

    /// What the receipt states, and nobody held against anything.
    fn not_compared(&self) -> impl Iterator<Item = Check> {
        let left_out = [
            (self.request.is_none(), "receipt-request", "request_sha384", "the request that was sent"),
            (self.response.is_none(), "receipt-response", "response_sha384", "the response that came"),
            (
                self.policy_sha384.is_none(),
                "receipt-policy",
                "policy_sha384",
                "the policy that must have been in force",
            ),
            (self.models.is_empty(), "receipt-named-model", "model", "the models whose answers are accepted"),
        ];
        left_out.into_iter().filter(|(left_out, ..)| *left_out).map(|(_, code, claim, what)| {
            let remedy = format!("not compared: to have it compared, give {what}");
            Check::new(Outcome::NotReached, code, claim).source(SOURCE).remedy(remedy)
        })
    }
}

/// Reads the evidence of a receipt, as the server sent it and clients keep it: JSON.
///
/// # Errors
/// [`Error::Refused`] when it is none.
pub fn evidence(json: &[u8]) -> Result<AttestResponse, Error> {
    AttestResponse::from_json(json).map_err(|error| refused(vec![malformed_evidence(&error)], None))
}

/// A receipt that was read, and that nobody has believed yet.
pub struct Unverified<'a> {
    compact: Compact<'a>,
    key: VerifyingKey,
    receipt: Receipt,
}

/// A receipt that holds.
pub struct Verified {
    /// What it states.
    pub receipt: Receipt,
    /// Why the evidence was accepted.
    pub appraisal: Appraisal,
    /// Each check, for people.
    pub explanation: Explanation,
}

impl<'a> Unverified<'a> {
    /// Reads a receipt.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is no compact JWS of this type, or its claims are not those of this version.
    pub fn parse(jws: &'a str) -> Result<Self, Error> {
        Self::read(jws).map_err(|error| refused(vec![malformed(&error)], None))
    }

    fn read(jws: &'a str) -> Result<Self, Error> {
        let compact = Compact::parse(jws.trim_ascii())?;
        let header = compact.header();
        expect_header("alg", ES256, &header.alg)?;
        expect_header("typ", TYPE, header.typ.as_deref().unwrap_or("none"))?;
        let key = VerifyingKey::from_jwk(&header.jwk.clone().unwrap_or_default())?;
        let receipt = Receipt::from_json(compact.payload())?;
        Ok(Self { compact, key, receipt })
    }

    /// When the receipt says that it was made: the time for which collateral is needed. Not verified.
    pub const fn issued_at(&self) -> UnixTime {
        UnixTime(self.receipt.iat)
    }

    /// SHA-384 of the evidence that binds the receipt's key, by which that can be found. Not verified.
    pub const fn evidence_sha384(&self) -> Digest<48> {
        self.receipt.evidence_sha384
    }

    /// Checks the receipt against the evidence of its workload, which a judge must accept at the receipt's time. What the verifier did
    /// not give to compare with stands in nobody's way: it is among the checks as not reached.
    ///
    /// # Errors
    /// [`Error::Refused`] with each check when something does not hold.
    pub fn verify(self, evidence: &AttestResponse, judge: &Judge, expected: &Expected<'_>) -> Result<Verified, Error> {
        let Opened { evidence, claims, report_data } =
            open_answer(evidence).map_err(|error| refused(vec![unbound(&error)], None))?;
        let mut checks = self.about_key(&evidence.quote, &claims);
        checks.extend(self.about_answer(expected));
        if checks.iter().any(|check| check.outcome == Outcome::Failed) {
            checks.extend(expected.not_compared());
            return Err(refused(checks, judge.anchor_of(&evidence.quote).as_ref()));
        }
        let binding = Binding::new("RA-TLS claims", report_data);
        let judged = judge.judge(&evidence, &binding, self.issued_at()).and_then(Judged::accepted);
        let appraisal = judged.map_err(Error::Refused)?;
        checks.push(self.model_was_measured(appraisal.facts()));
        checks.extend(appraisal.verdict().explanation().checks.iter().cloned());
        let anchor = Some(appraisal.facts().anchor());
        let mut explanation = Explanation::new(checks, &expected.affirmed(), anchor);
        explanation.checks.extend(expected.not_compared());
        if !explanation.is_yes() {
            return Err(Error::Refused(Box::new(explanation)));
        }
        Ok(Verified { receipt: self.receipt, appraisal, explanation })
    }

    /// Whether the receipt was signed, by the key that the evidence names, and is about this evidence.
    fn about_key(&self, quote: &Quote<'_>, claims: &Claims<'_>) -> Vec<Check> {
        let signed = self.key.verifies(self.compact.signing_input(), self.compact.signature());
        let named = claims.receipt_key.is_some_and(|claim| names(&claim, &self.key.to_spki_der()));
        let (thumbprint, jkt) = (self.key.thumbprint(), &self.receipt.jkt);
        let (evidence, stated) = (seal::sha384(quote.without_trailing()), self.receipt.evidence_sha384);
        let other_evidence = "use the evidence that the server showed on the connection of this receipt";
        vec![
            check(signed, "receipt-signature", "signature", "the receipt was altered: ask for the original"),
            check(*jkt == thumbprint, "receipt-thumbprint", "jkt", "the receipt is inconsistent: do not trust it")
                .expected(thumbprint)
                .actual(jkt),
            check(named, "receipt-key", "receipt-key", other_evidence),
            check(evidence == stated, "receipt-evidence", "evidence_sha384", other_evidence)
                .expected(evidence)
                .actual(stated),
        ]
    }

    /// Whether the receipt is about the request, response, policy and model that the verifier has.
    fn about_answer(&self, expected: &Expected<'_>) -> Vec<Check> {
        const OTHER_EXCHANGE: &str = "the receipt is about another exchange, or something was changed on the way";
        const OTHER_POLICY: &str =
            "ask the broker's administrator which policy was in force then; do not trust the receipt under any other";
        let receipt = &self.receipt;
        let digest = |code, claim, remedy, wanted: Option<Digest<48>>, stated: Option<Digest<48>>| {
            let wanted = wanted?;
            let actual = stated.map_or_else(|| "none".to_owned(), |stated| stated.to_string());
            Some(check(stated == Some(wanted), code, claim, remedy).expected(wanted).actual(actual))
        };
        let (request, response) = (expected.request.map(seal::sha384), expected.response.map(seal::sha384));
        let (of_request, of_response) = (Some(receipt.request_sha384), Some(receipt.response_sha384));
        let compared = [
            digest("receipt-request", "request_sha384", OTHER_EXCHANGE, request, of_request),
            digest("receipt-response", "response_sha384", OTHER_EXCHANGE, response, of_response),
            digest("receipt-policy", "policy_sha384", OTHER_POLICY, expected.policy_sha384, receipt.policy_sha384),
            self.model_is_named(expected.models),
        ];
        compared.into_iter().flatten().collect()
    }

    /// Whether the model of the receipt is one of those that the verifier names, where any are.
    fn model_is_named(&self, named: &[Model]) -> Option<Check> {
        let expected: Vec<_> = named.iter().map(described).collect();
        let remedy = "another model gave this answer: ask for one of yours, or name this one too if you trust it";
        (!named.is_empty()).then(|| {
            check(named.contains(&self.receipt.model), "receipt-named-model", "model", remedy)
                .expected(expected.join(", or "))
                .actual(described(&self.receipt.model))
        })
    }

    /// Whether the environment measured the model of the receipt.
    fn model_was_measured(&self, facts: &Facts) -> Check {
        let Model { name, sha384, version } = &self.receipt.model;
        let wanted = LoadModel { digest: *sha384, name: name.clone(), version: *version };
        let events = facts.log().map(|log| log.runtime()).unwrap_or_default();
        let measured = events.iter().filter_map(LoadModel::from_event).any(|event| event.is_ok_and(|it| it == wanted));
        let remedy = "the workload names a model that it did not measure: do not trust it";
        check(measured, "receipt-model", "model", remedy)
            .expected("an event LoadModel in the runtime log with this name, version and digest")
            .actual(described(&self.receipt.model))
    }
}

/// A model, for people.
fn described(Model { name, sha384, version }: &Model) -> String {
    format!("{name} version {version}, {sha384}")
}

fn expect_header(field: &'static str, expected: &'static str, found: &str) -> Result<(), sealwright_wire::Error> {
    if expected == found {
        return Ok(());
    }
    Err(sealwright_wire::Error::unexpected(field, 0, expected, found))
}

/// A check of the receipt itself: `-mismatch` when it failed, with what to do about it.
fn check(passed: bool, code: &str, claim: &str, remedy: &str) -> Check {
    if passed {
        return Check::new(Outcome::Passed, code, claim).source(SOURCE);
    }
    Check::new(Outcome::Failed, format!("{code}-mismatch"), claim).source(SOURCE).remedy(remedy)
}

fn refused(checks: Vec<Check>, anchor: Option<&AnchorId>) -> Error {
    Error::Refused(Box::new(Explanation::new(checks, "", anchor)))
}

fn malformed(error: &Error) -> Check {
    Check::new(Outcome::Failed, "receipt-malformed", "receipt")
        .expected("a receipt: a compact JWS, as the server sent it")
        .actual(error)
        .source(SOURCE)
        .remedy("keep the answer's Sealwright-Receipt header, or the file that `query --receipt` writes, as it came")
}

fn malformed_evidence(error: &sealwright_wire::Error) -> Check {
    Check::new(Outcome::Failed, "receipt-evidence-malformed", "evidence")
        .expected("the answer to the exchange, as the server sent it")
        .actual(error)
        .source(SOURCE)
        .remedy("keep what the server showed on the connection of this receipt, or the file that `query --receipt` writes, as it came")
}

fn unbound(error: &BindingError) -> Check {
    if let BindingError::Format(error) = error {
        return malformed_evidence(error);
    }
    Check::new(Outcome::Failed, "receipt-evidence-unbound", "evidence")
        .expected("evidence whose report data is the hash of its claims, which name the event log")
        .actual(error)
        .source(SOURCE)
        .remedy("use the evidence that the server showed on the connection of this receipt")
}
