//! The mistakes that other brokers make, each as a test that would show it here.

use crate::desk::{Answer, Desk, Guest, attestation, jwk, message, path, report_data};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{Method, StatusCode, header};
use kbs_types::TeePubKey;
use p256::SecretKey;
use p256::elliptic_curve::Generate;
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use sealwright_appraise::SigningKey;
use sealwright_broker::{Requires, admin::load_key};
use sealwright_evidence::Backend;
use sealwright_wire::jws::{self, Header, decode_base64url, encode_base64url};
use serde_json::{Value, json};
use std::fs;

/// A broker with one secret, and a guest that has not attested.
async fn with_secret() -> (Desk, Guest) {
    let desk = Desk::new().await;
    desk.admin().put_secret(&path("a/b/c"), b"secret", &Requires::default(), None).await.unwrap();
    let guest = desk.guest();
    (desk, guest)
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&decode_base64url("payload", token.split('.').nth(1).unwrap(), 1 << 20).unwrap()).unwrap()
}

/// A token of these claims, signed by `key` under this header.
fn signed(header: &Header, claims: &Value, key: &SigningKey) -> String {
    let input = header.encode().unwrap().signing_input(&serde_json::to_vec(claims).unwrap());
    let signature = key.sign(input.as_bytes()).unwrap();
    jws::assemble(input, &signature)
}

fn assert_attest_first(answer: &Answer) {
    assert_eq!((answer.status, answer.kind().as_str()), (StatusCode::UNAUTHORIZED, "attest-first"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pitfall_01_parallel_attests_on_one_cookie_get_exactly_one_token_and_never_a_5xx() {
    let desk = Desk::new().await;
    for _round in 0..4 {
        let mut first = desk.guest();
        let nonce = first.nonce().await;
        let body = attestation(&desk.td, &nonce, &first.public_key());
        let attempts: Vec<_> = (0..16)
            .map(|_| {
                let (mut guest, body) = (desk.guest(), body.clone());
                guest.cookie.clone_from(&first.cookie);
                tokio::spawn(async move { guest.post("/kbs/v0/attest", &body).await })
            })
            .collect();
        let mut tokens = 0;
        for attempt in attempts {
            let answer = attempt.await.unwrap();
            match answer.status {
                StatusCode::OK => tokens += 1,
                _ => assert_attest_first(&answer),
            }
        }
        assert_eq!(tokens, 1);
    }
}

#[tokio::test]
async fn pitfall_02_the_session_changes_its_name_and_secrets_go_to_the_attested_key() {
    let (desk, mut guest) = with_secret().await;
    guest.nonce().await;
    let before = guest.cookie.clone().unwrap();
    guest.attested(&desk.td).await;
    let after = guest.cookie.clone().unwrap();
    assert_ne!(before, after);
    guest.cookie = Some(before);
    assert_attest_first(&guest.resource("a/b/c").await);
    // Whoever steals the cookie receives what they cannot read.
    let mut thief = desk.guest();
    thief.cookie = Some(after);
    let stolen = thief.resource("a/b/c").await;
    assert_eq!(stolen.status, StatusCode::OK);
    assert_eq!(guest.decrypt(&stolen), b"secret");
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| thief.decrypt(&stolen))).is_err());
}

#[tokio::test]
async fn pitfall_03_a_failed_attest_uses_the_nonce_up() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    let nonce = guest.nonce().await;
    let good = attestation(&desk.td, &nonce, &guest.public_key());
    let mut bad = good.clone();
    bad["runtime-data"]["nonce"] = json!(STANDARD.encode([0; 32]));
    assert_eq!(guest.post("/kbs/v0/attest", &bad).await.reason(), "nonce-differs");
    assert_attest_first(&guest.post("/kbs/v0/attest", &good).await);
}

#[tokio::test]
async fn pitfall_03_an_attested_session_gives_its_token_to_nobody_again() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    let nonce = guest.nonce().await;
    let good = attestation(&desk.td, &nonce, &guest.public_key());
    assert_eq!(guest.post("/kbs/v0/attest", &good).await.status, StatusCode::OK);
    assert_attest_first(&guest.post("/kbs/v0/attest", &good).await);
    assert_attest_first(&guest.post("/kbs/v0/attest", &json!({})).await);
}

#[tokio::test]
async fn pitfall_03_evidence_of_yesterday_is_refused() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    let old = guest.nonce().await;
    let stale = attestation(&desk.td, &old, &guest.public_key());
    let fresh = guest.nonce().await;
    assert_eq!(guest.post("/kbs/v0/attest", &stale).await.reason(), "nonce-differs");
    // The same evidence with the new nonce written over the old one.
    let nonce = guest.nonce().await;
    assert_ne!(nonce, fresh);
    let mut patched = stale.clone();
    patched["runtime-data"]["nonce"] = json!(nonce);
    assert_eq!(guest.post("/kbs/v0/attest", &patched).await.reason(), "report-data-differs");
}

#[tokio::test]
async fn pitfall_04_a_flood_of_challenges_is_held_off_for_each_peer() {
    let desk = Desk::with(|config| (config.limits.auth_per_second, config.limits.auth_burst) = (1, 20)).await;
    let mut guest = desk.guest();
    let mut turned_away = 0;
    for _ in 0..2_000 {
        let answer = guest.auth().await;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::TOO_MANY_REQUESTS => {
                assert_eq!(answer.kind(), "rate-limited");
                assert!(answer.headers[header::RETRY_AFTER].to_str().unwrap().parse::<u64>().unwrap() >= 1);
                turned_away += 1;
            }
            other => panic!("{other}"),
        }
        if turned_away == 20 {
            return;
        }
    }
    panic!("only {turned_away} of 2000 were turned away");
}

#[tokio::test]
async fn pitfall_04_a_flood_of_challenges_is_bounded_and_pushes_out_no_attested_session() {
    let desk = Desk::with(|config| (config.limits.auth_per_second, config.limits.sessions) = (0, 50)).await;
    desk.admin().put_secret(&path("a/b/c"), b"secret", &Requires::default(), None).await.unwrap();
    let mut guest = desk.guest();
    guest.attested(&desk.td).await;
    let mut flood = desk.guest();
    for _ in 0..500 {
        assert_eq!(flood.auth().await.status, StatusCode::OK);
    }
    let metrics = String::from_utf8(flood.get("/metrics").await.body).unwrap();
    assert!(metrics.contains("sealwright_broker_sessions{state=\"challenged\"} 50\n"), "{metrics}");
    assert!(metrics.contains("sealwright_broker_sessions{state=\"attested\"} 1\n"), "{metrics}");
    let answer = guest.resource("a/b/c").await;
    assert_eq!(guest.decrypt(&answer), b"secret");
}

#[tokio::test]
async fn pitfall_05_a_token_that_does_not_affirm_gets_nothing_by_default() {
    let (desk, mut guest) = with_secret().await;
    let token = guest.attested(&desk.td).await;
    let key = load_key(&desk.broker_folder().join("token.key")).unwrap();
    let mut header = Header::new("ES256");
    header.kid = Some(key.public().thumbprint());
    let mut claims = claims(&token);
    let as_it_was = signed(&header, &claims, &key);
    assert_eq!(guest.resource_with("a/b/c", &as_it_was).await.status, StatusCode::OK);
    for status in ["contraindicated", "warning", "none"] {
        claims["submods"]["cpu0"]["ear.status"] = json!(status);
        claims["submods"]["cpu0"]["ear.trustworthiness-vector"] = json!({});
        let answer = guest.resource_with("a/b/c", &signed(&header, &claims, &key)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{status}");
        assert_eq!(answer.reason(), "token-not-affirming", "{status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pitfall_06_concurrent_puts_keep_all_secrets() {
    let desk = Desk::new().await;
    let puts: Vec<_> = (0..24)
        .map(|n| {
            let admin = desk.admin();
            tokio::spawn(async move {
                let name = path(&format!("repo/key/{n}"));
                admin.put_secret(&name, format!("secret {n}").as_bytes(), &Requires::default(), Some(0)).await.unwrap()
            })
        })
        .collect();
    for put in puts {
        assert_eq!(put.await.unwrap(), 1);
    }
    let secrets = desk.admin().list_secrets("repo/").await.unwrap();
    assert_eq!(secrets.len(), 24);
    for secret in secrets {
        let bytes = desk.admin().get_secret(&secret.path).await.unwrap();
        assert_eq!(*bytes, format!("secret {}", secret.path.tag()).into_bytes());
    }
}

#[tokio::test]
async fn pitfall_07_an_administrators_signature_is_good_for_one_request_exactly() {
    let (desk, mut guest) = with_secret().await;
    let target = "/kbs/v0/resource/a/b/c";
    for (method, path) in [
        (Method::GET, "/kbs/v0/resource/a/b/d"),
        (Method::GET, "/kbs/v0/resource/a/b/c?x=1"),
        (Method::GET, "/kbs/v0/resource"),
        (Method::DELETE, target),
        (Method::POST, target),
    ] {
        let signed = desk.signed("GET", target, b"");
        let answer = guest.send(method.clone(), path, &[signed], Vec::new()).await;
        assert_eq!(
            (answer.status, answer.kind().as_str()),
            (StatusCode::FORBIDDEN, "administrator-required"),
            "{method} {path}"
        );
    }
    let signed = desk.signed("GET", target, b"");
    let answer = guest.send(Method::GET, target, std::slice::from_ref(&signed), Vec::new()).await;
    assert_eq!((answer.status, answer.body.as_slice()), (StatusCode::OK, b"secret".as_slice()));
    let replayed = guest.send(Method::GET, target, &[signed], Vec::new()).await;
    assert_eq!(replayed.status, StatusCode::FORBIDDEN);
    assert!(replayed.error().detail.contains("used before"));
}

#[tokio::test]
async fn pitfall_08_no_other_key_signs_tokens_whatever_its_header_says() {
    let (desk, mut guest) = with_secret().await;
    let token = guest.attested(&desk.td).await;
    let claims = claims(&token);
    let pem = fs::read(desk.broker_folder().join("tls/server.key")).unwrap();
    let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).unwrap();
    let tls_key = SigningKey::from_pkcs8_der(der.secret_pkcs8_der()).unwrap();
    let own = SigningKey::generate().unwrap();
    let certificate = fs::read(desk.broker_folder().join("tls/server.pem")).unwrap();
    let certificate = rustls_pki_types::CertificateDer::from_pem_slice(&certificate).unwrap();
    let issuer_kid = load_key(&desk.broker_folder().join("token.key")).unwrap().public().thumbprint();
    for key in [&tls_key, &own] {
        let mut with_jwk = Header::new("ES256");
        with_jwk.jwk = Some(key.public().to_jwk());
        let mut with_chain = with_jwk.clone();
        with_chain.x5c = Some(vec![STANDARD.encode(&certificate)]);
        let mut with_kid = with_jwk.clone();
        with_kid.kid = Some(issuer_kid.clone());
        for header in [with_jwk, with_chain, with_kid] {
            assert_attest_first(&guest.resource_with("a/b/c", &signed(&header, &claims, key)).await);
        }
    }
}

#[tokio::test]
async fn pitfall_09_the_algorithm_is_never_taken_from_the_token() {
    let (desk, mut guest) = with_secret().await;
    let token = guest.attested(&desk.td).await;
    let payload = token.split('.').nth(1).unwrap();
    let public = fs::read(desk.broker_folder().join("token.pub")).unwrap();
    for alg in ["none", "HS256", "HS384", "ES384", "RS256", "PS256", ""] {
        let header = encode_base64url(json!({ "alg": alg, "typ": "JWT" }).to_string().as_bytes());
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &public);
        let tag = aws_lc_rs::hmac::sign(&key, format!("{header}.{payload}").as_bytes());
        for signature in ["", "AA", &encode_base64url(tag.as_ref())] {
            let forged = format!("{header}.{payload}.{signature}");
            assert_attest_first(&guest.resource_with("a/b/c", &forged).await);
        }
    }
}

#[tokio::test]
async fn pitfall_11_metrics_name_no_resource() {
    let (desk, mut guest) = with_secret().await;
    guest.attested(&desk.td).await;
    guest.resource("a/b/c").await;
    guest.resource("very-secret-name/b/c").await;
    guest.get("/very-secret-name").await;
    guest.send(Method::from_bytes(b"SECRETMETHOD").unwrap(), "/healthz", &[], Vec::new()).await;
    let answer = guest.get("/metrics").await;
    let metrics = String::from_utf8(answer.body).unwrap();
    assert!(metrics.contains("route=\"/kbs/v0/resource/{*path}\""), "{metrics}");
    for part in ["very-secret-name", "a/b/c", "SECRETMETHOD", "127.0.0.1"] {
        assert!(!metrics.contains(part), "{part} in {metrics}");
    }
}

#[tokio::test]
async fn pitfall_12_rsa_1_5_is_refused_and_rsa_oaep_needs_a_sound_key() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    for alg in ["RSA1_5", "RSA-OAEP", "RSA-OAEP-256", "none"] {
        let nonce = guest.nonce().await;
        // 1024 bits: too few.
        let (k_mod, k_exp) = (encode_base64url(&[0xff; 128]), encode_base64url(&[1, 0, 1]));
        let key = TeePubKey::RSA { alg: alg.to_owned(), k_mod, k_exp };
        let answer = guest.post("/kbs/v0/attest", &attestation(&desk.td, &nonce, &key)).await;
        assert_eq!((answer.status, answer.kind().as_str()), (StatusCode::BAD_REQUEST, "malformed"), "{alg}");
    }
}

/// A release is on record as made only if it was: whether such keys are refused at once or found out when a secret is to be sealed.
#[tokio::test]
async fn a_key_that_encrypts_nothing_leaves_no_release_on_record() {
    let (desk, mut guest) = with_secret().await;
    for (k_mod, k_exp) in [(&[0xfe; 256], "AQAB"), (&[0xff; 256], "Ag"), (&[0xff; 256], "AQ")] {
        let nonce = guest.nonce().await;
        let key =
            TeePubKey::RSA { alg: "RSA-OAEP-256".to_owned(), k_mod: encode_base64url(k_mod), k_exp: k_exp.to_owned() };
        guest.post("/kbs/v0/attest", &attestation(&desk.td, &nonce, &key)).await;
        let status = guest.resource("a/b/c").await.status;
        let released = desk.audit().iter().any(|line| line["event"] == "release" && line["verdict"] == "yes");
        assert_eq!(released, status == StatusCode::OK, "{status}");
    }
}

#[tokio::test]
async fn a_key_off_its_curve_is_refused_before_anybody_has_a_token_for_it() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    let TeePubKey::EC { crv, alg, x, .. } = guest.public_key() else { panic!() };
    for y in [encode_base64url(&[1; 32]), encode_base64url(&[0; 32]), encode_base64url(&[0xff; 32]), String::new()] {
        let nonce = guest.nonce().await;
        let key = TeePubKey::EC { crv: crv.clone(), alg: alg.clone(), x: x.clone(), y };
        let answer = guest.post("/kbs/v0/attest", &attestation(&desk.td, &nonce, &key)).await;
        assert_eq!((answer.status, answer.kind().as_str()), (StatusCode::BAD_REQUEST, "malformed"));
    }
}

#[tokio::test]
async fn pitfall_14_somebody_elses_evidence_gives_no_token_for_ones_own_key() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    let nonce = guest.nonce().await;
    // A relay passes the nonce to a genuine machine, and its own key to the broker.
    let mut relayed = attestation(&desk.td, &nonce, &guest.public_key());
    let own = jwk(&SecretKey::generate().public_key());
    relayed["runtime-data"]["tee-pubkey"] = serde_json::to_value(own).unwrap();
    assert_eq!(guest.post("/kbs/v0/attest", &relayed).await.reason(), "report-data-differs");
}

#[tokio::test]
async fn pitfall_15_names_that_are_no_names_reach_nothing() {
    let (desk, mut guest) = with_secret().await;
    guest.attested(&desk.td).await;
    for name in [
        "..",
        "../a/b/c",
        "a/../a/b/c",
        "a/b/../c",
        "a/b/..",
        "a/b/%2e%2e",
        "%2e%2e/%2e%2e/c",
        "a%2fb%2fc",
        "a/b%2fc",
        "a/b/c%00",
        "a/b/%63",
        ".a/b/c",
        "a/.b/c",
        "a/b/.c",
        "a/b",
        "a/b/c/d",
        "a/b/c/",
        "/a/b/c",
        "a//c",
        "a/b/%C3%A9",
        "a/b/c;x=1",
        "a/b/c+d",
        "a/b/c%20",
        &"x/".repeat(200),
    ] {
        for method in [Method::GET, Method::DELETE] {
            let target = format!("/kbs/v0/resource/{name}");
            let headers = if method == Method::DELETE { vec![desk.signed("DELETE", &target, b"")] } else { Vec::new() };
            let answer = guest.send(method.clone(), &target, &headers, Vec::new()).await;
            let refused = matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND);
            assert!(refused, "{method} {name}: {}", answer.status);
            answer.error();
        }
    }
    let answer = guest.resource("a/b/c").await;
    assert_eq!(guest.decrypt(&answer), b"secret");
}

#[tokio::test]
async fn pitfall_16_evidence_over_nothing_is_refused() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    for data in [[0; 64], [0xff; 64]] {
        let nonce = guest.nonce().await;
        let evidence = desk.td.evidence(&data).unwrap();
        let primary = json!({
            "quote": STANDARD.encode(evidence.quote),
            "cc_eventlog": evidence.event_log.map(|log| STANDARD.encode(log)),
        });
        let answer = guest.post("/kbs/v0/attest", &message(primary, &nonce, &guest.public_key())).await;
        assert_eq!(answer.reason(), "report-data-differs");
    }
}

#[tokio::test]
async fn every_flipped_bit_of_the_quote_and_every_cut_is_refused_with_a_reason() {
    let desk = Desk::with(|config| config.limits.auth_per_second = 0).await;
    let mut guest = desk.guest();
    let nonce = guest.nonce().await;
    let evidence = desk.td.evidence(&report_data(&nonce, &guest.public_key())).unwrap();
    let log = STANDARD.encode(evidence.event_log.unwrap());
    // Every byte is the verifier's own test; here it is the way through the broker.
    let places = (0..evidence.quote.len()).step_by(97);
    for at in places {
        let mut flipped = evidence.quote.clone();
        flipped[at] ^= 0x10;
        for quote in [flipped, evidence.quote[..at].to_vec()] {
            let nonce = guest.nonce().await;
            let primary = json!({ "quote": STANDARD.encode(quote), "cc_eventlog": log });
            let answer = guest.post("/kbs/v0/attest", &message(primary, &nonce, &guest.public_key())).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "byte {at}");
            assert!(!answer.reason().is_empty());
        }
    }
}

#[tokio::test]
async fn pitfall_18_every_denial_names_the_claim_the_value_and_what_to_do() {
    let (desk, mut guest) = with_secret().await;
    desk.site.age_tcb().unwrap();
    desk.publish_collateral();
    desk.broker.as_ref().unwrap().reload().await.unwrap();
    let answer = guest.attest(&desk.td).await;
    let explanation = &answer.json()["explanation"];
    let checks = explanation["checks"].as_array().unwrap();
    let failed = checks.iter().find(|check| check["outcome"] == "failed").unwrap();
    assert_eq!((&failed["claim"], &failed["actual"]), (&json!("tcb.status"), &json!("OutOfDate")));
    for member in ["expected", "remedy", "source"] {
        assert!(!failed[member].as_str().unwrap().is_empty(), "{member}");
    }
    assert!(answer.error().detail.contains("OutOfDate"), "{}", answer.error().detail);
    assert!(explanation["headline"].as_str().unwrap().contains("SIMULATED"));
}
