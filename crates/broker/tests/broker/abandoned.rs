//! Requests whose client goes away, or never sends what it announced: the limits hold all the same, and what was begun is finished.

use crate::{
    desk::{Answer, Desk, attestation, auth_request},
    raw::{HERE, THERE, raw, request, sent, status},
};
use http::{Method, StatusCode};
use kbs_types::Tee;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use sealwright_broker::Config;
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

/// Affirms everything. It is evaluated in a process of its own, like every policy that is not built in.
const AFFIRMS: &str = "package policy\ntrust_claims := {\"hardware\": 2, \"configuration\": 2, \"executables\": 3}\n";
/// How long a test waits for what must come. Nothing is decided by it.
const LONG: Duration = Duration::from_secs(60);

/// A policy worker that waits at a gate when that is shut.
struct Gate {
    folder: PathBuf,
}

impl Gate {
    fn of(desk: &Desk) -> Self {
        let folder = desk.folder.path().join("gate");
        fs::create_dir(&folder).unwrap();
        for name in ["arrived", "way"] {
            mknodat(CWD, folder.join(name), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }
        let (at, worker) = (folder.display(), crate::desk::worker_program());
        let script = format!(
            "#!/bin/sh\nif [ -e {at}/shut ]; then echo > {at}/arrived; read way < {at}/way; [ $way = on ] || exit 1; fi\nexec {}\n",
            worker.display()
        );
        fs::write(folder.join("worker"), script).unwrap();
        fs::set_permissions(folder.join("worker"), fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn configure(&self, config: &mut Config) {
        config.worker.program = Some(self.folder.join("worker"));
        config.worker.wall = LONG;
    }

    fn shut(&self) {
        fs::write(self.folder.join("shut"), "").unwrap();
    }

    /// Waits until a worker stands at the gate.
    async fn arrived(&self) {
        let pipe = self.folder.join("arrived");
        apart(move || fs::read(pipe).unwrap()).await;
    }

    /// Lets it go `on`, or end.
    async fn send(&self, way: &'static str) {
        fs::remove_file(self.folder.join("shut")).unwrap();
        let pipe = self.folder.join("way");
        apart(move || fs::write(pipe, format!("{way}\n")).unwrap()).await;
    }
}

/// Does what may wait on a thread that keeps nobody from ending when it waits in vain.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, answer) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || done.send(work()));
    tokio::time::timeout(LONG, answer).await.expect("it came to nothing").unwrap()
}

/// Waits until this is so.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = tokio::time::Instant::now() + LONG;
    while !holds().await {
        assert!(tokio::time::Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the broker has seen that every connection but that of the one who asks is closed.
async fn until_alone(desk: &Desk) {
    let mut guest = desk.guest();
    until("the broker sees the end of a connection", async || {
        metrics(&guest.get("/metrics").await).contains("sealwright_broker_connections 1\n")
    })
    .await;
}

fn metrics(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// A broker whose policy for evidence is evaluated at a gate.
async fn gated(change: impl FnOnce(&mut Config)) -> (Desk, Gate) {
    let mut desk = Desk::prepared();
    let gate = Gate::of(&desk);
    let policy = desk.folder.path().join("affirms.rego");
    fs::write(&policy, AFFIRMS).unwrap();
    desk.start(|config| {
        gate.configure(config);
        config.attestation.policy = Some(policy);
        change(config);
    })
    .await;
    (desk, gate)
}

/// Has evidence judged, up to the gate, and goes away.
async fn attest_and_go_away(desk: &Desk, gate: &Gate) {
    let mut guest = desk.guest();
    let nonce = guest.nonce().await;
    let body = attestation(&desk.td, &nonce, &guest.public_key()).to_string();
    let cookie = format!("kbs-session-id={}", guest.cookie.clone().unwrap());
    drop(guest);
    gate.shut();
    let message = request("POST", "/kbs/v0/attest", &[("cookie", &cookie)], body.as_bytes());
    let stream = sent(desk, HERE, &message).await;
    gate.arrived().await;
    drop(stream);
    until_alone(desk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_keeps_its_place_until_it_is_done_though_its_client_is_gone() {
    for (all, of_peer, refused) in [(1, 64, StatusCode::SERVICE_UNAVAILABLE), (64, 1, StatusCode::TOO_MANY_REQUESTS)] {
        let (desk, gate) = gated(|config| {
            (config.limits.requests, config.limits.requests_per_peer) = (all, of_peer);
        })
        .await;
        attest_and_go_away(&desk, &gate).await;
        let mut guest = desk.guest();
        for _ in 0..3 {
            assert_eq!(guest.auth().await.status, refused);
        }
        gate.send("on").await;
        until("the place is given back", async || guest.auth().await.status == StatusCode::OK).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_whose_client_is_gone_is_decided_about_recorded_and_given_its_session() {
    let (desk, gate) = gated(|_| ()).await;
    attest_and_go_away(&desk, &gate).await;
    gate.send("on").await;
    let mut guest = desk.guest();
    until("the session is made", async || {
        metrics(&guest.get("/metrics").await).contains("sealwright_broker_sessions{state=\"attested\"} 1\n")
    })
    .await;
    assert_eq!(desk.last_audit("attest")["verdict"], "yes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_administrator_began_and_could_not_be_done_is_on_record_though_they_are_gone() {
    let (desk, gate) = gated(|_| ()).await;
    let body = serde_json::json!({ "policy_id": "default", "policy": encoded("package policy\ntrust_claims := {}\n") });
    let (body, target) = (body.to_string(), "/kbs/v0/attestation-policy");
    let (_, signed) = desk.signed("POST", target, body.as_bytes());
    gate.shut();
    let message = request("POST", target, &[("authorization", signed.to_str().unwrap())], body.as_bytes());
    let stream = sent(&desk, HERE, &message).await;
    gate.arrived().await;
    drop(stream);
    until_alone(&desk).await;
    assert_eq!(desk.last_audit("policy-set")["verdict"], "yes");
    gate.send("nowhere").await;
    until("the log says what became of it", async || desk.last_audit("policy-set")["verdict"] == "no").await;
    assert_eq!(desk.admin().attestation_policy().await.unwrap().source, "file");
}

fn encoded(text: &str) -> String {
    sealwright_wire::jws::encode_base64url(text.as_bytes())
}

/// A request for a challenge whose body was announced and does not come.
const STALLED: &[u8] = b"POST /kbs/v0/auth HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n";

fn asks() -> Vec<u8> {
    request("POST", "/kbs/v0/auth", &[], auth_request("0.4.0", Tee::Tdx).to_string().as_bytes())
}

/// An administrator's request that puts a secret.
fn puts(desk: &Desk, name: &str) -> Vec<u8> {
    let target = format!("/kbs/v0/resource/{name}");
    let (_, signed) = desk.signed("POST", &target, b"secret");
    request("POST", &target, &[("authorization", signed.to_str().unwrap())], b"secret")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_takes_nobody_elses_place() {
    let desk = Desk::with(|config| {
        (config.limits.requests, config.limits.requests_per_peer) = (1, 1);
        config.limits.body_timeout = LONG;
    })
    .await;
    let _held = sent(&desk, HERE, STALLED).await;
    until("one address has one request", async || status(&desk, HERE, &asks()).await == 429).await;
    assert_eq!(status(&desk, THERE, &asks()).await, 200);
    assert_eq!(status(&desk, THERE, &puts(&desk, "a/b/c")).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_have_so_much_room_and_administrators_have_their_own() {
    let desk = Desk::with(|config| {
        (config.limits.body_bytes, config.limits.body_bytes_per_peer) = (40_000, 20_000);
        config.limits.body_timeout = LONG;
    })
    .await;
    let mut held = vec![sent(&desk, HERE, STALLED).await];
    until("one address has so much room", async || status(&desk, HERE, &asks()).await == 429).await;
    assert_eq!(status(&desk, THERE, &asks()).await, 200);
    held.push(sent(&desk, THERE, STALLED).await);
    until("the other's is full too", async || status(&desk, THERE, &asks()).await == 429).await;
    let third = "127.0.0.3".parse().unwrap();
    assert_eq!(status(&desk, third, &asks()).await, 503);
    assert_eq!(status(&desk, third, &puts(&desk, "a/b/c")).await, 200);
    held.clear();
    until("the room is given back", async || status(&desk, third, &asks()).await == 200).await;
}

#[tokio::test]
async fn what_has_come_of_a_body_takes_room() {
    let desk = Desk::with(|config| {
        (config.limits.body_bytes, config.limits.body_bytes_per_peer) = (1 << 20, 100_000);
    })
    .await;
    let mut guest = desk.guest();
    guest.nonce().await;
    let answer = guest.send(Method::POST, "/kbs/v0/attest", &[], vec![b' '; 120_000]).await;
    assert_eq!((answer.status, answer.kind().as_str()), (StatusCode::TOO_MANY_REQUESTS, "rate-limited"));
    // The challenge is still open: nothing was judged.
    let answer = guest.send(Method::POST, "/kbs/v0/attest", &[], vec![b' '; 80_000]).await;
    assert_eq!(answer.kind(), "malformed");
}

#[tokio::test]
async fn a_session_without_a_challenge_is_refused_before_its_body_is_asked_for() {
    let desk = Desk::with(|config| config.limits.body_timeout = LONG).await;
    let head = |cookie: &str| {
        format!(
            "POST /kbs/v0/attest HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\n\
             content-length: 2\r\ncookie: kbs-session-id={cookie}\r\n\r\n"
        )
    };
    assert!(raw(&desk, head(&"0".repeat(64)).as_bytes()).await.starts_with("HTTP/1.1 401"));
    let mut guest = desk.guest();
    guest.nonce().await;
    let cookie = guest.cookie.clone().unwrap();
    // Asking takes nothing away.
    for _ in 0..2 {
        let mut stream = sent(&desk, HERE, head(&cookie).as_bytes()).await;
        let mut begin = [0; 12];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut begin).await.unwrap();
        assert_eq!(&begin, b"HTTP/1.1 100");
    }
    assert_eq!(guest.post("/kbs/v0/attest", &serde_json::json!({})).await.kind(), "malformed");
}
