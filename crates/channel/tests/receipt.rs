//! Receipts: what holds, what does not, and that each refusal names its reason.

mod world;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use sealwright_appraise::{Explanation, Outcome, Trust};
use sealwright_channel::{
    ratls::{AttestedConnection, Connection, Protocol, body},
    receipt::{Answered, Error, Expected, Signer, Unverified},
    seal,
};
use sealwright_evidence::Backend;
use sealwright_verify::{Anchor, Anchors};
use sealwright_wire::{
    Digest,
    jws::{Compact, assemble, encode_base64url},
    ratls::{ATTEST_PATH, AttestResponse},
    receipt::Model,
    sealed::LoadModel,
    time::UnixTime,
};
use std::sync::Arc;
use world::{Asked, ROOT, TENSOR, World, answer, handler, now, serve, server};

const POLICY: Digest<48> = Digest([7; 48]);

fn model() -> Model {
    Model { name: "wine".into(), sha384: Digest([0xab; 48]), version: 3 }
}

fn measure(backend: &dyn Backend, model: &Model) {
    let event = LoadModel { digest: model.sha384, name: model.name.clone(), version: model.version };
    backend.extend(&event.event().unwrap()).unwrap();
}

/// A receipt, with everything that is needed to check it.
struct Given {
    world: World,
    receipt: String,
    evidence: AttestResponse,
    response: Bytes,
}

/// Asks a server that gives receipts, over a real connection.
async fn given_for(measured: &[Model], claimed: &Model, policy_sha384: Option<Digest<48>>) -> Given {
    let world = World::new();
    measured.iter().for_each(|model| measure(&world.td, model));
    let signer = Arc::new(Signer::generate().unwrap());
    let server = server(world.td.clone(), &signer).await;
    let claimed = claimed.clone();
    let receipting = handler(move |connection: Connection, asked: Asked| {
        let (signer, model) = (Arc::clone(&signer), claimed.clone());
        async move {
            if asked.path == ATTEST_PATH {
                return connection.respond(&asked.body).await.map(Full::new);
            }
            let attested = connection.attested().unwrap();
            let response = b"class 2";
            let answered = Answered { request: &asked.body, response, model: &model, policy_sha384, at: now() };
            let receipt = signer.sign(&answered, &attested).unwrap();
            let mut answer = answer(StatusCode::OK, &response[..]);
            answer.headers_mut().insert("receipt", receipt.parse().unwrap());
            answer
        }
    });
    let io = serve(&server, receipting);
    let connecting = world.connector().connect_over(io, "model.test", Protocol::Http1, ()).await;
    let AttestedConnection { mut sender, evidence, .. } = connecting.unwrap();
    let request = Request::post("/infer").body(body(TENSOR)).unwrap();
    let answered = sender.send(request).await.unwrap();
    let receipt = answered.headers()["receipt"].to_str().unwrap().to_owned();
    let response = answered.into_body().collect().await.unwrap().to_bytes();
    Given { world, receipt, evidence, response }
}

async fn given() -> Given {
    given_for(&[model()], &model(), Some(POLICY)).await
}

impl Given {
    fn expected(&self) -> Expected<'_> {
        let (request, response) = (Some(TENSOR.as_bytes()), Some(&self.response[..]));
        Expected { request, response, policy_sha384: Some(POLICY), models: &[] }
    }

    fn refusal_of(&self, receipt: &str, evidence: &AttestResponse, expected: &Expected<'_>) -> Explanation {
        let verified = Unverified::parse(receipt).unwrap().verify(evidence, &self.world.judge(), expected);
        let Err(Error::Refused(explanation)) = verified else { panic!("it holds, or is malformed") };
        assert!(!explanation.is_yes());
        *explanation
    }
}

fn failed(explanation: &Explanation) -> Vec<&str> {
    codes(explanation, Outcome::Failed)
}

#[tokio::test]
async fn a_receipt_is_checked_offline() {
    let given = given().await;
    let unverified = Unverified::parse(&given.receipt).unwrap();
    assert!(now().0 - unverified.issued_at().0 < 60);
    let verified = unverified.verify(&given.evidence, &given.world.judge(), &given.expected()).unwrap();
    assert_eq!(verified.receipt.model, model());
    assert_eq!(verified.receipt.request_sha384, seal::sha384(TENSOR.as_bytes()));
    assert_eq!(verified.receipt.evidence_sha384, verified.appraisal.facts().evidence_sha384());
    let text = verified.explanation.to_string();
    assert!(text.contains("SIMULATED") && text.contains("receipt-model"), "{text}");
    assert!(codes(&verified.explanation, Outcome::Failed).is_empty(), "{text}");
}

#[tokio::test]
async fn another_request_response_or_policy_is_refused() {
    let given = given().await;
    let good = given.expected();
    for (expected, code) in [
        (Expected { request: Some(b"another"), ..good }, "receipt-request-mismatch"),
        (Expected { response: Some(b"class 1"), ..good }, "receipt-response-mismatch"),
        (Expected { policy_sha384: Some(Digest([8; 48])), ..good }, "receipt-policy-mismatch"),
    ] {
        let explanation = given.refusal_of(&given.receipt, &given.evidence, &expected);
        assert_eq!(failed(&explanation), [code]);
        assert!(explanation.simulated && explanation.headline.contains("SIMULATED"), "{}", explanation.headline);
    }
}

/// The codes of an explanation's checks with an outcome.
fn codes(explanation: &Explanation, outcome: Outcome) -> Vec<&str> {
    let checks = explanation.checks.iter().filter(|check| check.outcome == outcome);
    checks.map(|check| check.code.as_str()).collect()
}

#[tokio::test]
async fn what_was_not_compared_is_named_and_no_yes_says_more() {
    let given = given().await;
    let models = [model()];
    let all = Expected { models: &models, ..given.expected() };
    let verified = |expected: &Expected<'_>| {
        let unverified = Unverified::parse(&given.receipt).unwrap();
        unverified.verify(&given.evidence, &given.world.judge(), expected).unwrap().explanation
    };
    for (expected, left_out, said) in [
        (all, vec![], "a measured workload gave this answer"),
        (Expected { models: &[], ..all }, vec!["receipt-named-model"], "a measured workload gave this answer"),
        (Expected { policy_sha384: None, ..all }, vec!["receipt-policy"], "a measured workload gave this answer"),
        (
            Expected { request: None, ..all },
            vec!["receipt-request"],
            "signed by a measured workload; the request was not compared",
        ),
        (
            Expected { response: None, ..all },
            vec!["receipt-response"],
            "signed by a measured workload; the response was not compared",
        ),
        (
            Expected::default(),
            vec!["receipt-request", "receipt-response", "receipt-policy", "receipt-named-model"],
            "signed by a measured workload; request and response were not compared",
        ),
    ] {
        let explanation = verified(&expected);
        assert!(explanation.is_yes(), "{explanation}");
        assert!(explanation.headline.ends_with(&format!(": {said}")), "{}", explanation.headline);
        assert_eq!(codes(&explanation, Outcome::NotReached), left_out);
        assert!(codes(&explanation, Outcome::Failed).is_empty());
    }
    let expected = Expected { response: Some(b"another"), ..Expected::default() };
    let refused = given.refusal_of(&given.receipt, &given.evidence, &expected);
    assert_eq!(failed(&refused), ["receipt-response-mismatch"]);
    assert_eq!(
        codes(&refused, Outcome::NotReached),
        ["receipt-request", "receipt-policy", "receipt-named-model"],
        "a no says it as well"
    );
}

#[tokio::test]
async fn an_altered_receipt_is_refused() {
    let given = given().await;
    let compact = Compact::parse(&given.receipt).unwrap();
    let header = given.receipt.split('.').next().unwrap();
    let payload = String::from_utf8(compact.payload().to_vec()).unwrap();
    let forged = payload.replace(r#""version":3"#, r#""version":4"#);
    assert_ne!(forged, payload);
    let forged = assemble(format!("{header}.{}", encode_base64url(forged.as_bytes())), compact.signature());
    assert_eq!(failed(&given.refusal_of(&forged, &given.evidence, &given.expected())), ["receipt-signature-mismatch"]);
    for at in 0..given.receipt.len() {
        let mut altered = given.receipt.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        let Ok(unverified) = Unverified::parse(&altered) else { continue };
        let verified = unverified.verify(&given.evidence, &given.world.judge(), &given.expected());
        assert!(verified.is_err(), "character {at}");
    }
}

#[tokio::test]
async fn a_receipt_under_another_key_is_refused() {
    let given = given().await;
    let stranger = Signer::generate().unwrap();
    let server = server(given.world.td.clone(), &stranger).await;
    let io = serve(&server, handler(world::honest));
    let other = given.world.connector().connect_over(io, "model.test", Protocol::Http1, ()).await.unwrap();
    let explanation = given.refusal_of(&given.receipt, &other.evidence, &given.expected());
    assert_eq!(failed(&explanation), ["receipt-key-mismatch", "receipt-evidence-mismatch"]);
}

#[tokio::test]
async fn a_model_that_was_not_measured_is_refused() {
    let other = Model { sha384: Digest([0xcd; 48]), ..model() };
    let given = given_for(&[other], &model(), Some(POLICY)).await;
    let explanation = given.refusal_of(&given.receipt, &given.evidence, &given.expected());
    assert_eq!(failed(&explanation), ["receipt-model-mismatch"]);
}

#[tokio::test]
async fn a_receipt_of_another_version_than_the_named_is_refused() {
    let later = Model { version: 4, sha384: Digest([0xcd; 48]), ..model() };
    // The server has measured both versions, and the later one answered.
    let given = given_for(&[model(), later.clone()], &later, Some(POLICY)).await;
    let named = [model()];
    let expected = Expected { models: &named, ..given.expected() };
    let explanation = given.refusal_of(&given.receipt, &given.evidence, &expected);
    assert_eq!(failed(&explanation), ["receipt-named-model-mismatch"]);
    let check = explanation.checks.iter().find(|check| check.outcome == Outcome::Failed).unwrap();
    assert!(check.expected.starts_with("wine version 3"), "{check:?}");
    assert!(check.actual.starts_with("wine version 4"), "{check:?}");
    assert!(!check.remedy.is_empty());

    let both = [model(), later];
    let expected = Expected { models: &both, ..given.expected() };
    let verified = Unverified::parse(&given.receipt).unwrap();
    assert!(verified.verify(&given.evidence, &given.world.judge(), &expected).is_ok());
}

#[tokio::test]
async fn a_receipt_without_a_policy_is_not_one_for_an_expected_policy() {
    let given = given_for(&[model()], &model(), None).await;
    let explanation = given.refusal_of(&given.receipt, &given.evidence, &given.expected());
    assert_eq!(failed(&explanation), ["receipt-policy-mismatch"]);
    let expected = Expected { policy_sha384: None, ..given.expected() };
    let verified = Unverified::parse(&given.receipt).unwrap();
    assert_eq!(verified.verify(&given.evidence, &given.world.judge(), &expected).unwrap().receipt.policy_sha384, None);
}

#[tokio::test]
async fn altered_evidence_is_refused() {
    let given = given().await;
    for at in (0..16).chain((16..given.evidence.evidence.len()).step_by(37)) {
        let mut evidence = given.evidence.clone();
        evidence.evidence[at] ^= 0x20;
        assert!(!failed(&given.refusal_of(&given.receipt, &evidence, &given.expected())).is_empty(), "byte {at}");
    }
    let unlogged = AttestResponse { event_log: None, ..given.evidence.clone() };
    assert!(!failed(&given.refusal_of(&given.receipt, &unlogged, &given.expected())).is_empty());
}

#[tokio::test]
async fn a_verifier_that_trusts_vendors_only_refuses_a_simulated_receipt() {
    let given = given().await;
    let root = Anchor::from_certificate(ROOT, given.world.site.root()).unwrap();
    let judge = given.world.judge_with(Anchors::vendor().with(root), Trust::default(), now());
    let verified = Unverified::parse(&given.receipt).unwrap().verify(&given.evidence, &judge, &given.expected());
    let Err(error) = verified else { panic!("a simulated machine was accepted") };
    assert_eq!(failed(error.explanation().unwrap()), ["anchor-not-accepted"]);
}

#[test]
fn malformed_receipts_are_refused_with_a_reason() {
    let world_signer = Signer::generate().unwrap();
    assert_eq!(world_signer.thumbprint().len(), 43);
    let header = |json: &str| encode_base64url(json.as_bytes());
    for (case, receipt) in [
        ("empty", String::new()),
        ("no dots", "abc".into()),
        ("alg none", format!("{}.e30.AA", header(r#"{"alg":"none"}"#))),
        ("HS256", format!("{}.e30.AA", header(r#"{"alg":"HS256","typ":"sealwright-receipt+jwt"}"#))),
        ("another type", format!("{}.e30.AA", header(r#"{"alg":"ES256","typ":"JWT"}"#))),
        ("no key", format!("{}.e30.AA", header(r#"{"alg":"ES256","typ":"sealwright-receipt+jwt"}"#))),
    ] {
        let Err(error) = Unverified::parse(&receipt) else { panic!("{case}") };
        assert_eq!(failed(error.explanation().unwrap()), ["receipt-malformed"], "{case}");
    }
}

#[tokio::test]
async fn a_receipt_of_a_time_without_collateral_is_refused() {
    let world = World::new();
    measure(&world.td, &model());
    let signer = Arc::new(Signer::generate().unwrap());
    let server = server(world.td.clone(), &signer).await;
    let dating = handler(move |connection: Connection, asked: Asked| {
        let signer = Arc::clone(&signer);
        async move {
            if asked.path == ATTEST_PATH {
                return connection.respond(&asked.body).await.map(Full::new);
            }
            let at = UnixTime(now().0 + 100 * 365 * 86_400);
            let model = model();
            let answered =
                Answered { request: &asked.body, response: b"", model: &model, policy_sha384: Some(POLICY), at };
            answer(StatusCode::OK, signer.sign(&answered, &connection.attested().unwrap()).unwrap())
        }
    });
    let io = serve(&server, dating);
    let mut connection = world.connector().connect_over(io, "model.test", Protocol::Http1, ()).await.unwrap();
    let response = connection.sender.send(Request::post("/infer").body(body(TENSOR)).unwrap()).await.unwrap();
    let receipt = response.into_body().collect().await.unwrap().to_bytes();
    let receipt = std::str::from_utf8(&receipt).unwrap();
    let unverified = Unverified::parse(receipt).unwrap();
    assert!(unverified.verify(&connection.evidence, &world.judge(), &Expected::default()).is_err());
}
