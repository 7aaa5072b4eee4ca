//! The key protocol, driven over HTTPS with messages of `kbs-types` as the real client builds them.

use crate::desk::{self, Desk, Guest, attestation, auth_request, path};
use http::{Method, StatusCode, header};
use kbs_types::Tee;
use sealwright_broker::Requires;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn the_real_clients_sequence_gets_a_secret() {
    let desk = Desk::new().await;
    let secret = b"a key that only the workload may have";
    desk.admin().put_secret(&path("models/key/classifier"), secret, &Requires::default(), None).await.unwrap();
    let mut guest = desk.guest();
    // It asks for the resource first, and attests when it is told to by a 401 with an error that it can read.
    let first = guest.resource("models/key/classifier").await;
    assert_eq!(first.status, StatusCode::UNAUTHORIZED);
    assert_eq!(first.kind(), "attest-first");
    guest.attested(&desk.td).await;
    let answer = guest.resource("models/key/classifier").await;
    assert_eq!(guest.decrypt(&answer), secret);
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
}

#[tokio::test]
async fn the_challenge_has_what_the_real_client_demands() {
    let desk = Desk::new().await;
    let answer = desk.guest().auth().await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
    assert!(answer.json()["extra-params"].is_string());
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict", "Max-Age=300"] {
        assert!(cookie.split("; ").any(|part| part == attribute), "{attribute} in {cookie}");
    }
}

#[tokio::test]
async fn versions_0_4_x_are_accepted_and_no_other() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    for (version, accepted) in [
        ("0.4.0", true),
        ("0.4.1", true),
        ("0.4.0+build", true),
        ("0.1.1", false),
        ("0.3.0", false),
        ("0.5.0", false),
        ("1.0.0", false),
        ("0.4", false),
        ("", false),
        ("0.4.x", false),
    ] {
        let answer = guest.post("/kbs/v0/auth", &auth_request(version, Tee::Tdx)).await;
        let expected = if accepted { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        assert_eq!(answer.status, expected, "{version:?}");
        if !accepted {
            assert_eq!(answer.kind(), "unsupported-version");
        }
    }
}

#[tokio::test]
async fn an_environment_that_is_not_verified_here_is_refused_with_the_reason() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    for tee in [Tee::Sample, Tee::Snp, Tee::AzTdxVtpm, Tee::Se] {
        let answer = guest.post("/kbs/v0/auth", &auth_request("0.4.0", tee)).await;
        assert_eq!((answer.status, answer.kind().as_str()), (StatusCode::FORBIDDEN, "denied"));
        assert_eq!(answer.reason(), "tee-unsupported");
    }
}

#[tokio::test]
async fn a_token_serves_as_bearer_without_the_cookie() {
    let desk = Desk::new().await;
    desk.admin().put_secret(&path("a/b/c"), b"secret", &Requires::default(), None).await.unwrap();
    let mut guest = desk.guest();
    let token = guest.attested(&desk.td).await;
    guest.cookie = None;
    let answer = guest.resource_with("a/b/c", &token).await;
    assert_eq!(guest.decrypt(&answer), b"secret");
}

#[tokio::test]
async fn the_token_is_an_ear_where_trustees_relying_parties_look() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    let token = guest.attested(&desk.td).await;
    let payload = token.split('.').nth(1).unwrap();
    let claims: serde_json::Value =
        serde_json::from_slice(&sealwright_wire::jws::decode_base64url("payload", payload, 1 << 20).unwrap()).unwrap();
    let key = "/submods/cpu0/ear.veraison.annotated-evidence/runtime_data_claims/tee-pubkey";
    assert_eq!(claims.pointer(key).unwrap(), &serde_json::to_value(guest.public_key()).unwrap());
    assert_eq!(claims["submods"]["cpu0"]["ear.status"], "affirming");
    assert_eq!(claims["submods"]["cpu0"]["ear.sealwright.anchor"]["name"], "desk");
    assert_eq!(claims["submods"]["cpu0"]["ear.sealwright.simulated"], true);
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 300);
}

#[tokio::test]
async fn a_missing_secret_and_a_denied_one_are_told_apart_by_nobody_but_the_administrator() {
    let desk = Desk::new().await;
    let requires = Requires::event("sealwright/LoadModel", ["sha384:of-another-model".to_owned()]);
    desk.admin().put_secret(&path("a/b/denied"), b"secret", &requires, None).await.unwrap();
    let mut guest = desk.guest();
    guest.attested(&desk.td).await;
    let denied = guest.resource("a/b/denied").await;
    let missing = guest.resource("a/b/missing").await;
    for answer in [&denied, &missing] {
        assert_eq!((answer.status, answer.kind().as_str()), (StatusCode::FORBIDDEN, "denied"));
        assert_eq!(answer.reason(), "not-released");
    }
    let same =
        |answer: &desk::Answer| String::from_utf8_lossy(&answer.body).replace("denied", "X").replace("missing", "X");
    assert_eq!(same(&denied), same(&missing));
    let not_found = desk.admin().get_secret(&path("a/b/missing")).await.unwrap_err();
    assert!(
        matches!(&not_found, sealwright_broker::admin::ClientError::Refused(failure) if failure.status == StatusCode::NOT_FOUND)
    );
    // The operator finds the reason under the request's name.
    let id = missing.headers["x-request-id"].to_str().unwrap();
    let line = desk.audit().into_iter().find(|line| line["request"] == id).unwrap();
    assert_eq!(line["reasons"][0]["code"], "secret-missing");
    let id = denied.headers["x-request-id"].to_str().unwrap();
    let line = desk.audit().into_iter().find(|line| line["request"] == id).unwrap();
    assert_eq!(line["reasons"][0]["code"], "runtime-event-not-accepted");
}

#[tokio::test]
async fn a_secret_goes_to_the_workload_that_measured_what_it_requires() {
    let desk = Desk::new().await;
    let requires = Requires::event("sealwright/LoadModel", ["sha384:00ff".to_owned()]);
    desk.admin().put_secret(&path("models/key/one"), b"secret", &requires, None).await.unwrap();
    let mut guest = desk.guest();
    guest.attested(&desk.td).await;
    assert_eq!(guest.resource("models/key/one").await.reason(), "not-released");
    use sealwright_evidence::Backend;
    desk.td.extend(&desk::load_model("sha384:00ff")).unwrap();
    guest.attested(&desk.td).await;
    let answer = guest.resource("models/key/one").await;
    assert_eq!(guest.decrypt(&answer), b"secret");
}

/// Events of CoCo's agent have a domain with a slash in it.
#[tokio::test]
async fn a_secret_may_require_an_event_of_a_domain_with_a_slash() {
    use sealwright_evidence::Backend;
    let desk = Desk::new().await;
    let domain = "github.com/confidential-containers";
    let image = "docker.io/library/busybox@sha256:00ff";
    let requires = Requires::event(&format!("{domain}/PullImage"), [image.to_owned()]);
    desk.admin().put_secret(&path("images/key/one"), b"secret", &requires, None).await.unwrap();
    let mut guest = desk.guest();
    guest.attested(&desk.td).await;
    assert_eq!(guest.resource("images/key/one").await.reason(), "not-released");
    desk.td.extend(&sealwright_wire::aael::RuntimeEvent::new(domain, "PullImage", image).unwrap()).unwrap();
    guest.attested(&desk.td).await;
    let answer = guest.resource("images/key/one").await;
    assert_eq!(guest.decrypt(&answer), b"secret");
}

#[tokio::test]
async fn evidence_that_no_token_can_hold_is_refused_with_the_reason_and_on_record() {
    use sealwright_evidence::Backend;
    let desk = Desk::new().await;
    for n in 0..500 {
        desk.td.extend(&desk::load_model(&format!("sha384:{n:096x}"))).unwrap();
    }
    let answer = desk.guest().attest(&desk.td).await;
    assert_eq!((answer.status, answer.kind().as_str()), (StatusCode::FORBIDDEN, "denied"));
    assert_eq!(answer.reason(), "token-too-long");
    let json = answer.json();
    let check = json["explanation"]["checks"].as_array().unwrap().last().unwrap();
    assert_eq!(check["expected"], "at most 65536 bytes of claims");
    assert!(check["actual"].as_str().unwrap().ends_with(" bytes, with 500 runtime events"), "{check}");
    assert!(!check["remedy"].as_str().unwrap().is_empty());
    let line = desk.last_audit("attest");
    assert_eq!((&line["verdict"], &line["reasons"][0]["code"]), (&json!("no"), &json!("token-too-long")));
    assert_eq!(line["request"], answer.headers["x-request-id"].to_str().unwrap());
    assert!(!line["evidence_sha384"].is_null() && !line["policy"].is_null(), "{line}");
}

#[tokio::test]
async fn evidence_that_does_not_hold_gets_no_token_and_the_reason() {
    let desk = Desk::new().await;
    use sealwright_sim::{TdConfig, files};
    let other_kernel = desk.site.boot(&TdConfig::new("other", files::generate("another kernel"))).unwrap();
    let mut debug = TdConfig::new("debug", files::generate("a kernel"));
    debug.debug = true;
    let debug = desk.site.boot(&debug).unwrap();
    let mut guest = desk.guest();
    for (td, reason) in [(&other_kernel, "measurement-differs"), (&debug, "debug-on")] {
        let answer = guest.attest(td).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert_eq!(answer.reason(), reason);
        assert!(answer.json().get("token").is_none());
        let line = desk.last_audit("attest");
        assert_eq!((&line["verdict"], &line["reasons"][0]["code"]), (&json!("no"), &json!(reason)));
        assert_eq!(line["simulated"], true);
    }
}

#[tokio::test]
async fn an_outdated_tcb_and_a_revoked_platform_are_refused_once_the_broker_knows() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    guest.attested(&desk.td).await;
    desk.site.age_tcb().unwrap();
    desk.publish_collateral();
    desk.broker.as_ref().unwrap().reload().await.unwrap();
    assert_eq!(guest.attest(&desk.td).await.reason(), "tcb-not-accepted");
    desk.site.revoke_pck().unwrap();
    desk.publish_collateral();
    desk.broker.as_ref().unwrap().reload().await.unwrap();
    assert_eq!(guest.attest(&desk.td).await.reason(), "certificate-revoked");
}

/// Attests until the answer is this one: a refusal for a reason, or a token.
async fn until(desk: &Desk, guest: &mut Guest, reason: Option<&str>) {
    for _ in 0..150 {
        let answer = guest.attest(&desk.td).await;
        let refused = (answer.status == StatusCode::FORBIDDEN).then(|| answer.reason());
        if refused.as_deref() == reason {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not {reason:?} but {:?}", guest.attest(&desk.td).await.reason());
}

/// Well before the minute is over after which it would read them anyway.
#[tokio::test]
async fn a_broker_notices_by_itself_what_was_copied_into_its_folders() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    guest.attested(&desk.td).await;
    let references = desk.broker_folder().join("references/desk.json");
    let values = std::fs::read(&references).unwrap();
    std::fs::remove_file(&references).unwrap();
    until(&desk, &mut guest, Some("reference-missing")).await;
    std::fs::write(&references, values).unwrap();
    until(&desk, &mut guest, None).await;
    desk.site.revoke_pck().unwrap();
    desk.publish_collateral();
    until(&desk, &mut guest, Some("certificate-revoked")).await;
}

/// Nobody has attested yet who reads this answer: it says nothing about other machines.
#[tokio::test]
async fn who_has_no_collateral_here_is_not_told_what_there_is_instead() {
    let mut desk = Desk::prepared();
    let folder = desk.broker_folder().join("collateral");
    std::fs::rename(folder.join("collateral.json"), folder.join("machines-of-acme.json")).unwrap();
    std::fs::write(folder.join("machines-of-acme.json"), "{").unwrap();
    desk.start(|_| ()).await;
    let answer = desk.guest().attest(&desk.td).await;
    assert_eq!((answer.status, answer.reason().as_str()), (StatusCode::FORBIDDEN, "collateral-missing"));
    let (body, line) = (answer.json().to_string(), desk.last_audit("attest").to_string());
    assert!(body.contains("tdx on FMSPC"), "{body}");
    for part in ["machines-of-acme.json", "sgx on FMSPC"] {
        assert!(line.contains(part) && !body.contains(part), "{part} in {line}, {body}");
    }
}

/// Whoever fills the folder of collateral cannot take a revocation back, not even while the broker is stopped.
#[tokio::test]
async fn a_revocation_that_a_broker_knew_of_is_not_taken_back_by_a_restart() {
    let mut desk = Desk::new().await;
    let files =
        ["collateral.json", "collateral-sgx.json"].map(|name| desk.broker_folder().join("collateral").join(name));
    let before = files.each_ref().map(|file| std::fs::read(file).unwrap());
    desk.site.revoke_pck().unwrap();
    desk.publish_collateral();
    desk.broker.as_ref().unwrap().reload().await.unwrap();
    desk.stop().await;
    // The list of the enclaves' bundle is that of the machines' too.
    std::fs::write(&files[0], &before[0]).unwrap();
    desk.start(|_| ()).await;
    assert_eq!(desk.guest().attest(&desk.td).await.reason(), "certificate-revoked");
    desk.stop().await;
    std::fs::write(&files[1], &before[1]).unwrap();
    desk.start(|_| ()).await;
    assert_eq!(desk.guest().attest(&desk.td).await.reason(), "collateral-missing");
    desk.publish_collateral();
    desk.broker.as_ref().unwrap().reload().await.unwrap();
    assert_eq!(desk.guest().attest(&desk.td).await.reason(), "certificate-revoked");
}

#[tokio::test]
async fn a_broker_that_trusts_vendors_only_refuses_the_same_evidence() {
    let desk = Desk::with(|config| {
        config.attestation.anchors = sealwright_verify::Anchors::vendor();
        config.attestation.accepted_anchors.clear();
    })
    .await;
    let answer = desk.guest().attest(&desk.td).await;
    assert_eq!((answer.status, answer.reason().as_str()), (StatusCode::FORBIDDEN, "untrusted-root"));
    assert_eq!(answer.json()["explanation"]["checks"][0]["expected"], "intel-sgx-root");
}

/// Whoever is refused is told by which names the roots go that are trusted, and nothing else of the configuration.
#[tokio::test]
async fn an_untrusted_root_is_refused_with_the_names_of_the_trusted_ones_but_not_their_files() {
    let (mut desk, other) = (Desk::new().await, Desk::prepared());
    // With collateral for a machine of this kind, it is that collateral's root. Its certificate's name is that of the other one too, so its
    // key is told.
    let anchor = sealwright_verify::Anchor::from_certificate("desk", desk.site.root()).unwrap();
    let root = format!("desk with key SHA-256 {}", anchor.id().sha256);
    for names in [root.as_str(), "intel-sgx-root, desk"] {
        let answer = desk.guest().attest(&other.td).await;
        assert_eq!((answer.status, answer.reason().as_str()), (StatusCode::FORBIDDEN, "untrusted-root"));
        assert_eq!(answer.json()["explanation"]["checks"][0]["expected"], names);
        let said = String::from_utf8(answer.body).unwrap();
        for private in [desk.folder.path().to_str().unwrap(), "root.der"] {
            assert!(!said.contains(private), "{said}");
        }
        desk.stop().await;
        let nothing = desk.folder.path().join("nothing");
        std::fs::create_dir_all(&nothing).unwrap();
        desk.start(|config| config.attestation.collateral = nothing).await;
    }
}

#[tokio::test]
async fn evidence_of_an_anchor_that_no_policy_accepts_is_refused() {
    let desk = Desk::with(|config| config.attestation.accepted_anchors.clear()).await;
    assert_eq!(desk.guest().attest(&desk.td).await.reason(), "anchor-not-accepted");
}

#[tokio::test]
async fn messages_that_are_none_of_the_protocol_are_refused_with_400() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    for body in ["", "{", "null", "[]", "{}", r#"{"version":1}"#, "\u{0}\u{1}", &"[".repeat(5_000)] {
        let answer = guest.send(Method::POST, "/kbs/v0/auth", &[], body.as_bytes().to_vec()).await;
        assert_eq!((answer.status, answer.kind().as_str()), (StatusCode::BAD_REQUEST, "malformed"), "{body:?}");
        guest.nonce().await;
        let answer = guest.send(Method::POST, "/kbs/v0/attest", &[], body.as_bytes().to_vec()).await;
        assert_eq!((answer.status, answer.kind().as_str()), (StatusCode::BAD_REQUEST, "malformed"), "{body:?}");
    }
}

#[tokio::test]
async fn malformed_members_of_an_attestation_are_refused_and_use_the_challenge_up() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    let changes: [(&str, serde_json::Value); 9] = [
        ("/tee-evidence/primary_evidence", json!(null)),
        ("/tee-evidence/primary_evidence/quote", json!("!!!")),
        ("/tee-evidence/primary_evidence/quote", json!("AAAA")),
        ("/tee-evidence/primary_evidence/cc_eventlog", json!("AAAA")),
        ("/tee-evidence/primary_evidence/cc_eventlog", json!(7)),
        ("/runtime-data/nonce", json!(7)),
        ("/runtime-data/tee-pubkey", json!({})),
        ("/runtime-data/tee-pubkey/crv", json!("P-384")),
        ("/runtime-data/tee-pubkey/x", json!("AA==")),
    ];
    for (pointer, value) in changes {
        let nonce = guest.nonce().await;
        let good = attestation(&desk.td, &nonce, &guest.public_key());
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value.clone();
        let answer = guest.post("/kbs/v0/attest", &bad).await;
        assert!(
            answer.status == StatusCode::BAD_REQUEST || answer.status == StatusCode::FORBIDDEN,
            "{pointer} = {value}: {}",
            answer.status
        );
        let again = guest.post("/kbs/v0/attest", &good).await;
        assert_eq!((again.status, again.kind().as_str()), (StatusCode::UNAUTHORIZED, "attest-first"), "{pointer}");
    }
}

#[tokio::test]
async fn unknown_members_are_ignored() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    let nonce = guest.nonce().await;
    let mut message = attestation(&desk.td, &nonce, &guest.public_key());
    message["ours"] = json!({ "anything": true });
    message["tee-evidence"]["primary_evidence"]["ours"] = json!("too");
    assert_eq!(guest.post("/kbs/v0/attest", &message).await.status, StatusCode::OK);
}

/// Whoever brings them counts on their being looked at.
#[tokio::test]
async fn what_is_not_verified_is_not_passed_over() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    for (pointer, value, reason) in [
        ("/init-data", json!({ "format": "toml", "body": "version = '0.1.0'" }), "init-data-unsupported"),
        ("/tee-evidence/additional_evidence", json!("{\"nvidia\":[]}"), "additional-evidence-unsupported"),
    ] {
        let nonce = guest.nonce().await;
        let mut message = attestation(&desk.td, &nonce, &guest.public_key());
        *message.pointer_mut(pointer).unwrap() = value;
        let answer = guest.post("/kbs/v0/attest", &message).await;
        assert_eq!((answer.status, answer.reason().as_str()), (StatusCode::FORBIDDEN, reason));
        assert_eq!(desk.last_audit("attest")["reasons"][0]["code"], reason);
    }
}

#[tokio::test]
async fn routes_and_methods_that_are_none_answer_in_json() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    for (method, path, status) in [
        (Method::GET, "/", StatusCode::NOT_FOUND),
        (Method::GET, "/kbs/v0", StatusCode::NOT_FOUND),
        (Method::GET, "/kbs/v0/pkcs11/wrap-key", StatusCode::NOT_FOUND),
        (Method::GET, "/kbs/v1/auth", StatusCode::NOT_FOUND),
        (Method::GET, "/kbs/v0/auth", StatusCode::METHOD_NOT_ALLOWED),
        (Method::DELETE, "/kbs/v0/attest", StatusCode::METHOD_NOT_ALLOWED),
        (Method::PATCH, "/kbs/v0/resource/a/b/c", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let answer = guest.send(method.clone(), path, &[], Vec::new()).await;
        assert_eq!(answer.status, status, "{method} {path}");
        answer.error();
        assert!(answer.headers.contains_key("x-request-id"));
    }
}
