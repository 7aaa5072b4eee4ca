//! What administrators do, through the client that the command line uses.

use crate::desk::{self, Desk, auth_request, load_model, path, reference_values};
use http::{Method, StatusCode, header};
use kbs_types::Tee;
use sealwright_appraise::SigningKey;
use sealwright_broker::{
    Broker, Clock, Config, Requires,
    admin::{Client, ClientError, Failure, load_key},
    audit,
    config::Metrics,
};
use sealwright_evidence::Backend;
use sealwright_sim::{TdConfig, files};
use sealwright_wire::time::UnixTime;
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt, process::Command};

fn refused(error: ClientError) -> Failure {
    match error {
        ClientError::Refused(failure) => *failure,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn secrets_are_put_got_listed_and_deleted() {
    let desk = Desk::new().await;
    let admin = desk.admin();
    let requires = Requires::event("sealwright/LoadModel", ["sha384:00".to_owned()]);
    assert_eq!(admin.put_secret(&path("a/b/c"), b"one", &Requires::default(), None).await.unwrap(), 1);
    assert_eq!(admin.put_secret(&path("a/b/c"), b"two!", &requires, None).await.unwrap(), 2);
    assert_eq!(admin.put_secret(&path("z/b/c"), b"", &Requires::default(), Some(0)).await.unwrap(), 1);
    assert_eq!(*admin.get_secret(&path("a/b/c")).await.unwrap(), b"two!");
    let listed = admin.list_secrets("").await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!((listed[0].path.to_string().as_str(), listed[0].version, listed[0].bytes), ("a/b/c", 2, 4));
    assert_eq!(listed[0].requires, requires);
    assert_eq!(admin.list_secrets("z/").await.unwrap().len(), 1);
    admin.delete_secret(&path("a/b/c")).await.unwrap();
    assert_eq!(refused(admin.delete_secret(&path("a/b/c")).await.unwrap_err()).status, StatusCode::NOT_FOUND);
    assert_eq!(refused(admin.get_secret(&path("a/b/c")).await.unwrap_err()).status, StatusCode::NOT_FOUND);
    // A version never means two secrets.
    assert_eq!(admin.put_secret(&path("a/b/c"), b"three", &Requires::default(), None).await.unwrap(), 4);
}

#[tokio::test]
async fn a_list_longer_than_a_page_is_whole() {
    let desk = Desk::new().await;
    let admin = desk.admin();
    for n in 0..230 {
        admin.put_secret(&path(&format!("repo/key/{n:03}")), b"x", &Requires::default(), None).await.unwrap();
    }
    let names: Vec<_> = admin.list_secrets("repo/").await.unwrap().iter().map(|info| info.path.to_string()).collect();
    assert_eq!(names, (0..230).map(|n| format!("repo/key/{n:03}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_put_over_another_version_than_expected_changes_nothing() {
    let desk = Desk::new().await;
    let admin = desk.admin();
    admin.put_secret(&path("a/b/c"), b"one", &Requires::default(), Some(0)).await.unwrap();
    for expect in [0, 2, u64::MAX] {
        let error = admin.put_secret(&path("a/b/c"), b"two", &Requires::default(), Some(expect)).await.unwrap_err();
        assert_eq!(refused(error).status, StatusCode::CONFLICT);
    }
    assert_eq!(*admin.get_secret(&path("a/b/c")).await.unwrap(), b"one");
    assert_eq!(admin.put_secret(&path("a/b/c"), b"two", &Requires::default(), Some(1)).await.unwrap(), 2);
    // The log has both: that it was asked for, and that it was not done.
    let line = desk.audit().into_iter().rfind(|line| line["verdict"] == "no").unwrap();
    assert_eq!((&line["event"], &line["resource"]), (&json!("secret-put"), &json!("a/b/c")));
}

#[tokio::test]
async fn nobody_but_an_administrator_changes_or_sees_anything() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    let token = guest.attested(&desk.td).await;
    let stranger = Client::new(&desk.url, &desk.trust(), SigningKey::generate().unwrap()).unwrap();
    let failure = refused(stranger.put_secret(&path("a/b/c"), b"x", &Requires::default(), None).await.unwrap_err());
    assert_eq!(failure.status, StatusCode::FORBIDDEN);
    let bearer = (header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    for (method, target) in [
        (Method::POST, "/kbs/v0/resource/a/b/c"),
        (Method::DELETE, "/kbs/v0/resource/a/b/c"),
        (Method::GET, "/kbs/v0/resource"),
        (Method::GET, "/kbs/v0/attestation-policy"),
        (Method::POST, "/kbs/v0/attestation-policy"),
        (Method::DELETE, "/kbs/v0/attestation-policy"),
        (Method::GET, "/kbs/v0/resource-policy"),
        (Method::POST, "/kbs/v0/resource-policy"),
        (Method::DELETE, "/kbs/v0/resource-policy"),
        (Method::GET, "/kbs/v0/reference-value"),
        (Method::GET, "/kbs/v0/reference-value/desk"),
        (Method::POST, "/kbs/v0/reference-value/desk"),
        (Method::DELETE, "/kbs/v0/reference-value/desk"),
        (Method::GET, "/sealwright/v0/audit"),
    ] {
        for headers in [vec![], vec![bearer.clone()]] {
            let answer = guest.send(method.clone(), target, &headers, b"{}".to_vec()).await;
            assert_eq!(
                (answer.status, answer.kind().as_str()),
                (StatusCode::FORBIDDEN, "administrator-required"),
                "{method} {target}"
            );
        }
    }
}

#[tokio::test]
async fn another_certificate_authority_is_not_trusted_by_the_client() {
    let desk = Desk::new().await;
    let other = Desk::new().await;
    let key = load_key(&desk.made.administrator_key).unwrap();
    let client = Client::new(&desk.url, &other.trust(), key).unwrap();
    assert!(matches!(client.list_secrets("").await, Err(ClientError::Http(_))));
}

#[tokio::test]
async fn a_request_that_another_broker_was_meant_by_is_refused_though_it_knows_the_key() {
    let (staging, mut production) = (Desk::new().await, Desk::prepared());
    let ada = Config::load(&staging.made.config).unwrap().administrators;
    production.start(|config| config.administrators.extend(ada)).await;
    let target = "/kbs/v0/resource/a/b/c";
    let signed = staging.signed("POST", target, b"secret");
    let mut relay = production.guest();
    let answer = relay.send(Method::POST, target, std::slice::from_ref(&signed), b"secret".to_vec()).await;
    assert_eq!((answer.status, answer.kind().as_str()), (StatusCode::FORBIDDEN, "administrator-required"));
    assert_eq!(answer.reason(), "signed-for-another-broker");
    assert!(answer.error().detail.contains("sign it for this broker"), "{}", answer.error().detail);
    assert!(production.admin().list_secrets("").await.unwrap().is_empty());
    // The one that was meant takes it, and the key is good at the other for what is signed for it.
    assert_eq!(staging.guest().send(Method::POST, target, &[signed], b"secret".to_vec()).await.status, StatusCode::OK);
    let key = load_key(&staging.made.administrator_key).unwrap();
    let client = Client::new(&production.url, &production.trust(), key).unwrap();
    assert_eq!(client.put_secret(&path("a/b/c"), b"secret", &Requires::default(), None).await.unwrap(), 1);
}

#[tokio::test]
async fn a_request_of_a_clock_that_is_ahead_is_used_once_whatever_is_restarted() {
    let mut desk = Desk::new().await;
    let target = "/kbs/v0/resource/a/b/c";
    let ahead = UnixTime(desk::now().0 + 50);
    let signed = desk.signed_at(ahead, "POST", target, b"secret");
    let put = async |desk: &Desk, at: UnixTime| {
        let signed = if at == ahead { signed.clone() } else { desk.signed_at(at, "POST", target, b"secret") };
        desk.guest().send(Method::POST, target, &[signed], b"secret".to_vec()).await
    };
    assert_eq!(put(&desk, ahead).await.status, StatusCode::OK);
    // Soon after a restart, and when its time has come.
    for later in [1, 50, 55] {
        desk.stop().await;
        let now = UnixTime(ahead.0 - 50 + later);
        desk.start(|config| config.clock = Clock::new(move || now)).await;
        assert_eq!(put(&desk, ahead).await.reason(), "signed-before-start");
        assert_eq!(put(&desk, UnixTime(ahead.0 + 1 + later)).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_request_is_used_once_whatever_is_restarted_within_its_second() {
    let mut desk = Desk::prepared();
    let (target, second) = ("/kbs/v0/resource/a/b/c", desk::now());
    let standing = |config: &mut Config| config.clock = Clock::new(move || second);
    let signed = desk.signed_at(second, "POST", target, b"secret");
    let put = async |desk: &Desk| {
        desk.guest().send(Method::POST, target, std::slice::from_ref(&signed), b"secret".to_vec()).await
    };
    desk.start(standing).await;
    assert_eq!(put(&desk).await.status, StatusCode::OK, "a broker that never ran before has taken no request before");
    desk.stop().await;
    desk.start(standing).await;
    assert_eq!(put(&desk).await.reason(), "signed-before-start");
    assert_eq!(desk.last_audit("administration")["reasons"][0]["code"], "signed-before-start");
}

/// Requests of the second in which the broker started are refused, so it begins to answer in the next one.
#[tokio::test]
async fn an_administrator_may_ask_as_soon_as_a_restarted_broker_answers() {
    let mut desk = Desk::new().await;
    for version in 1..4 {
        desk.stop().await;
        desk.start(|_| ()).await;
        let put = desk.admin().put_secret(&path("a/b/c"), b"secret", &Requires::default(), None).await;
        assert_eq!(put.unwrap(), version);
    }
}

#[tokio::test]
async fn reference_values_are_in_force_at_once_and_gone_at_once() {
    let desk = Desk::new().await;
    let admin = desk.admin();
    let other = desk.site.boot(&TdConfig::new("other", files::generate("another kernel"))).unwrap();
    let mut guest = desk.guest();
    assert_eq!(guest.attest(&other).await.reason(), "measurement-differs");
    assert_eq!(admin.set_reference_values("other", &reference_values(&other)).await.unwrap(), 1);
    guest.attested(&other).await;
    let names: Vec<_> = admin.reference_values().await.unwrap().into_iter().map(|set| (set.name, set.source)).collect();
    assert_eq!(names, [("desk".to_owned(), "file".to_owned()), ("other".to_owned(), "administrator".to_owned())]);
    admin.delete_reference_values("other").await.unwrap();
    assert_eq!(guest.attest(&other).await.reason(), "measurement-differs");
    assert_eq!(refused(admin.delete_reference_values("other").await.unwrap_err()).status, StatusCode::NOT_FOUND);
    assert!(matches!(admin.delete_reference_values("../x").await, Err(ClientError::Name { .. })));
}

#[tokio::test]
async fn what_an_administrator_did_is_there_after_a_restart() {
    let mut desk = Desk::new().await;
    let other = desk.site.boot(&TdConfig::new("other", files::generate("another kernel"))).unwrap();
    let requires = Requires::event("sealwright/LoadModel", ["sha384:00ff".to_owned()]);
    desk.admin().put_secret(&path("a/b/c"), b"secret", &requires, None).await.unwrap();
    desk.admin().set_reference_values("other", &reference_values(&other)).await.unwrap();
    let mut guest = desk.guest();
    other.extend(&load_model("sha384:00ff")).unwrap();
    let token = guest.attested(&other).await;
    desk.stop().await;
    desk.start(|_| ()).await;
    let mut again = desk.guest();
    again.key = guest.key.clone();
    // The session is gone, the token is not.
    again.cookie = guest.cookie;
    assert_eq!(again.resource("a/b/c").await.kind(), "attest-first");
    let answer = again.resource_with("a/b/c", &token).await;
    assert_eq!(again.decrypt(&answer), b"secret");
}

#[tokio::test]
async fn a_folder_of_reference_values_is_looked_at_again() {
    let desk = Desk::new().await;
    let other = desk.site.boot(&TdConfig::new("other", files::generate("another kernel"))).unwrap();
    let broker = desk.broker.as_ref().unwrap();
    let file = desk.broker_folder().join("references/other.json");
    fs::write(&file, serde_json::to_vec(&reference_values(&other)).unwrap()).unwrap();
    broker.reload().await.unwrap();
    let mut guest = desk.guest();
    guest.attested(&other).await;
    fs::remove_file(&file).unwrap();
    broker.reload().await.unwrap();
    assert_eq!(guest.attest(&other).await.reason(), "measurement-differs");
}

#[tokio::test]
async fn a_file_of_reference_values_that_cannot_be_used_costs_itself_alone() {
    let desk = Desk::new().await;
    let boot = |name: &str| desk.site.boot(&TdConfig::new(name, files::generate(name))).unwrap();
    let [lab, plant] = ["lab", "plant"].map(boot);
    let (broker, admin, mut guest) = (desk.broker.as_ref().unwrap(), desk.admin(), desk.guest());
    let folder = desk.broker_folder().join("references");
    let write = |name: &str, text: &[u8]| fs::write(folder.join(name), text).unwrap();
    let of_plant = serde_json::to_vec(&reference_values(&plant)).unwrap();
    admin.set_reference_values("lab", &reference_values(&lab)).await.unwrap();
    // Half written, badly named, a folder, and a pipe that nobody writes to.
    write("half.json", &of_plant[..of_plant.len() / 2]);
    write("bad name.json", &of_plant);
    fs::create_dir(folder.join("folder.json")).unwrap();
    for folder in [&folder, &desk.broker_folder().join("collateral")] {
        assert!(Command::new("mkfifo").arg(folder.join("pipe.json")).status().unwrap().success());
    }
    write("plant.json", &of_plant);
    broker.reload().await.unwrap();
    guest.attested(&plant).await;
    guest.attested(&desk.td).await;
    let metrics = String::from_utf8(guest.get("/metrics").await.body).unwrap();
    for refused in ["{folder=\"references\"} 4\n", "{folder=\"collateral\"} 1\n"] {
        assert!(metrics.contains(&format!("sealwright_broker_refused_files{refused}")), "{metrics}");
    }
    // What is withdrawn is withdrawn, by the administrator and by removing the file.
    admin.delete_reference_values("lab").await.unwrap();
    assert_eq!(guest.attest(&lab).await.reason(), "measurement-differs");
    fs::remove_file(folder.join("plant.json")).unwrap();
    broker.reload().await.unwrap();
    assert_eq!(guest.attest(&plant).await.reason(), "measurement-differs");
    // One that was good and is broken now is out of force.
    write("desk.json", b"{");
    broker.reload().await.unwrap();
    assert_eq!(guest.attest(&desk.td).await.reason(), "reference-missing");
    let mut desk = desk;
    desk.stop().await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_read_keeps_nobody_from_withdrawing_values() {
    let desk = Desk::new().await;
    let lab = desk.site.boot(&TdConfig::new("lab", files::generate("lab"))).unwrap();
    let (broker, admin, mut guest) = (desk.broker.as_ref().unwrap(), desk.admin(), desk.guest());
    let [references, collateral] = ["references", "collateral"].map(|name| desk.broker_folder().join(name));
    let [no_references, no_collateral] = [&references, &collateral].map(|folder| folder.with_extension("away"));
    admin.set_reference_values("lab", &reference_values(&lab)).await.unwrap();
    fs::rename(&references, &no_references).unwrap();
    admin.delete_reference_values("lab").await.unwrap();
    assert_eq!(guest.attest(&lab).await.reason(), "measurement-differs");
    // What the folder held last stays.
    guest.attested(&desk.td).await;
    fs::rename(&collateral, &no_collateral).unwrap();
    let error = broker.reload().await.unwrap_err().to_string();
    for folder in [&references, &collateral] {
        assert!(error.contains(&folder.display().to_string()), "{error}");
    }
    // The folder of collateral has nothing to do with what is in the one of reference values.
    fs::rename(&no_references, &references).unwrap();
    fs::remove_file(references.join("desk.json")).unwrap();
    assert!(broker.reload().await.is_err());
    assert_eq!(guest.attest(&desk.td).await.reason(), "reference-missing");
}

#[tokio::test]
async fn every_decision_is_one_line_of_a_chain() {
    let mut desk = Desk::new().await;
    let admin = desk.admin();
    admin.put_secret(&path("a/b/c"), b"secret", &Requires::default(), None).await.unwrap();
    let mut guest = desk.guest();
    guest.attested(&desk.td).await;
    let released = guest.resource("a/b/c").await;
    guest.resource("a/b/missing").await;
    guest.nonce().await;
    guest.post("/kbs/v0/attest", &json!({})).await;
    guest.post("/kbs/v0/auth", &auth_request("0.4.0", Tee::Sample)).await;
    guest.post("/kbs/v0/resource/a/b/c", &json!({})).await;
    let events: Vec<_> = desk.audit().iter().map(|line| (line["event"].clone(), line["verdict"].clone())).collect();
    assert_eq!(
        events,
        [
            ("opened", "yes"),
            ("secret-put", "yes"),
            ("attest", "yes"),
            ("release", "yes"),
            ("release", "no"),
            ("attest", "no"),
            ("challenge", "no"),
            ("administration", "no"),
        ]
        .map(|(event, verdict)| (json!(event), json!(verdict)))
    );
    let reasons: Vec<_> = desk.audit()[5..].iter().map(|line| line["reasons"][0]["code"].clone()).collect();
    assert_eq!(reasons, ["malformed", "tee-unsupported", "signature-missing"]);
    assert_eq!(desk.audit()[7]["resource"], "POST /kbs/v0/resource/a/b/c");
    let line = &desk.audit()[3];
    assert_eq!(line["request"], released.headers["x-request-id"].to_str().unwrap());
    assert_eq!((&line["resource"], &line["version"]), (&json!("a/b/c"), &json!(1)));
    let attest = &desk.audit()[2];
    assert_eq!(line["evidence_sha384"], attest["evidence_sha384"]);
    assert_eq!(line["key"], attest["key"]);
    for member in ["policy", "references_sha384", "tee"] {
        assert!(!attest[member].is_null(), "{member}");
    }
    assert_eq!(admin.audit(2).await.unwrap().lines().count(), 2);
    let log = desk.broker_folder().join("audit.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains("secret-bytes") && !text.contains(guest.cookie.as_ref().unwrap()));
    desk.stop().await;
    assert_eq!(audit::verify(&log).unwrap().head.seq, 10);
    // The end was cut off: the broker notices, and says what to do.
    let text = fs::read_to_string(&log).unwrap();
    let cut = &text[..=text.trim_end().rfind('\n').unwrap()];
    fs::write(&log, cut).unwrap();
    assert!(audit::verify(&log).is_ok());
    let error = Broker::start(Config::load(&desk.made.config).unwrap()).await.err().unwrap();
    assert!(error.to_string().contains("entries were removed"), "{error}");
    // Moved away, the chain goes on in a new file.
    fs::rename(&log, log.with_extension("old")).unwrap();
    desk.start(|_| ()).await;
    desk.stop().await;
    assert_eq!(audit::verify(&log).unwrap().first, 11);
}

#[tokio::test]
async fn whatever_an_administrator_reads_is_one_line() {
    let desk = Desk::with(|config| config.metrics = Metrics::Admin).await;
    desk.admin().put_secret(&path("a/b/c"), b"secret", &Requires::default(), None).await.unwrap();
    let mut guest = desk.guest();
    for (target, status, event, resource) in [
        ("/kbs/v0/resource/a/b/c", StatusCode::OK, "secret-get", Some("a/b/c")),
        ("/kbs/v0/resource/a/b/none", StatusCode::NOT_FOUND, "secret-get", Some("a/b/none")),
        ("/kbs/v0/resource?prefix=a/", StatusCode::OK, "secret-list", None),
        ("/kbs/v0/attestation-policy", StatusCode::OK, "policy-get", Some("attestation")),
        ("/kbs/v0/resource-policy", StatusCode::OK, "policy-get", Some("release")),
        ("/kbs/v0/reference-value", StatusCode::OK, "reference-list", None),
        ("/kbs/v0/reference-value/desk", StatusCode::OK, "reference-get", Some("desk")),
        ("/kbs/v0/reference-value/none", StatusCode::NOT_FOUND, "reference-get", Some("none")),
        ("/sealwright/v0/audit?limit=3", StatusCode::OK, "audit-get", None),
        ("/metrics", StatusCode::OK, "metrics-get", None),
    ] {
        let before = desk.audit().len();
        let signed = desk.signed("GET", target, b"");
        let answer = guest.send(Method::GET, target, &[signed], Vec::new()).await;
        assert_eq!(answer.status, status, "{target}");
        let lines = desk.audit().split_off(before);
        assert_eq!(lines.len(), 1, "{target}: {lines:?}");
        let line = &lines[0];
        let verdict = if status == StatusCode::OK { "yes" } else { "no" };
        assert_eq!((&line["event"], &line["verdict"]), (&json!(event), &json!(verdict)), "{target}");
        assert_eq!((&line["resource"], &line["administrator"]), (&json!(resource), &json!("ada")), "{target}");
        assert_eq!(line["request"], answer.headers["x-request-id"].to_str().unwrap(), "{target}");
        // The bytes that left are those of this version.
        let version = (event, verdict) == ("secret-get", "yes");
        assert_eq!(line["version"], if version { json!(1) } else { json!(null) }, "{target}");
    }
}

#[tokio::test]
async fn refusals_of_whoever_it_is_do_not_fill_the_log() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    let (mut refused, mut turned_away) = (0, 0);
    let long = format!("/kbs/v0/resource/{}", "x".repeat(20_000));
    while turned_away < 20 {
        let answer = guest.send(Method::DELETE, &long, &[], Vec::new()).await;
        match answer.status {
            StatusCode::FORBIDDEN => refused += 1,
            StatusCode::TOO_MANY_REQUESTS => turned_away += 1,
            other => panic!("{other}"),
        }
        assert!(refused < 2_000, "nothing was turned away");
    }
    // Each refusal has its line, and a line has its length.
    let lines = fs::read_to_string(desk.broker_folder().join("audit.jsonl")).unwrap();
    let lines: Vec<_> = lines.lines().filter(|line| line.contains("\"administration\"")).collect();
    assert_eq!(lines.len(), refused);
    assert!(lines.iter().all(|line| line.len() < 2_000));
    // Whoever signs is let in from the same address.
    assert_eq!(desk.admin().list_secrets("").await.unwrap(), []);
}

#[tokio::test]
async fn a_broker_that_cannot_record_its_decisions_does_not_start() {
    let mut desk = Desk::new().await;
    desk.stop().await;
    let mut config = Config::load(&desk.made.config).unwrap();
    config.audit = "/dev/full".into();
    let error = Broker::start(config).await.err().unwrap();
    assert!(error.to_string().contains("audit log"), "{error}");
}

#[tokio::test]
async fn files_that_were_tampered_with_or_do_not_belong_together_keep_the_broker_from_starting() {
    let mut desk = Desk::new().await;
    desk.stop().await;
    let folder = desk.broker_folder();
    let refused = async |what: &str| {
        let error = Broker::start(Config::load(&desk.made.config).unwrap()).await.err();
        error.unwrap_or_else(|| panic!("{what}")).to_string()
    };
    let other = Desk::new().await;
    let keep = fs::read(folder.join("root.key")).unwrap();
    fs::copy(other.broker_folder().join("root.key"), folder.join("root.key")).unwrap();
    assert!(refused("another root key").await.contains("root key"));
    fs::write(folder.join("root.key"), "not hex").unwrap();
    assert!(refused("no root key").await.contains("64 hex digits"));
    fs::write(folder.join("root.key"), keep).unwrap();
    fs::set_permissions(folder.join("token.key"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refused("a key for all to read").await.contains("lets others read it"));
    fs::set_permissions(folder.join("token.key"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::copy(other.broker_folder().join("tls/server.key"), folder.join("tls/server.key")).unwrap();
    assert!(refused("another certificate's key").await.contains("TLS"));
}

#[tokio::test]
async fn two_brokers_do_not_share_a_folder() {
    let desk = Desk::new().await;
    let error = Broker::start(Config::load(&desk.made.config).unwrap()).await.err().unwrap();
    assert!(error.to_string().contains("database"), "{error}");
}
