//! What an operator needs: limits that hold, health, metrics, TLS and HTTP of both versions, an orderly end.

use crate::{
    desk::{Answer, Desk, Guest, path},
    raw::{HERE, connect, raw, read_until_quiet},
};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::version;
use sealwright_broker::{Requires, config::Metrics};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn tls_1_2_and_1_3_and_both_versions_of_http_are_served() {
    let desk = Desk::new().await;
    for versions in [&[&version::TLS12], &[&version::TLS13]] {
        let mut stream = connect(&desk, HERE, versions, &[]).await;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
        assert!(read_until_quiet(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
    }
    let stream = connect(&desk, HERE, &[&version::TLS13], &[b"h2"]).await;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let body = crate::desk::auth_request("0.4.0", kbs_types::Tee::Tdx).to_string();
    let request = Request::post("https://localhost/kbs/v0/auth").body(Full::new(Bytes::from(body))).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, http::Version::HTTP_2));
    assert!(answer.headers().contains_key(header::SET_COOKIE));
    assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn plain_http_is_not_served() {
    let desk = Desk::new().await;
    let mut stream = TcpStream::connect(desk.broker.as_ref().unwrap().local_addr()).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/"));
}

#[tokio::test]
async fn bodies_over_their_limit_are_refused_in_json() {
    let desk = Desk::with(|config| {
        config.limits.attestation_bytes = 100_000;
        config.limits.secret_bytes = 10_000;
    })
    .await;
    let mut guest = desk.guest();
    let too_large = |answer: &Answer| {
        assert_eq!((answer.status, answer.kind().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "too-large"));
    };
    too_large(&guest.send(Method::POST, "/kbs/v0/auth", &[], vec![b' '; 20_000]).await);
    guest.nonce().await;
    too_large(&guest.send(Method::POST, "/kbs/v0/attest", &[], vec![b' '; 100_001]).await);
    let body = vec![0; 10_001];
    let target = "/kbs/v0/resource/a/b/c";
    let signed = desk.signed("POST", target, &body);
    too_large(&guest.send(Method::POST, target, &[signed], body).await);
    desk.admin().put_secret(&path("a/b/c"), &[7; 10_000], &Requires::default(), None).await.unwrap();
    // One that does not say its length is cut off while it is read.
    let head = "POST /kbs/v0/auth HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("4e20\r\n{}\r\n", " ".repeat(20_000));
    assert!(raw(&desk, format!("{head}{chunk}").as_bytes()).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn malformed_http_costs_a_connection_and_nothing_else() {
    let desk = Desk::new().await;
    for bytes in [
        &b"\r\n\r\n\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"\x00\x01\x02\x03\x04\x05\x06\x07\x08",
        b"POST /kbs/v0/auth HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /kbs/v0/auth HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST /kbs/v0/auth HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n",
        b"POST /kbs/v0/auth HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        &[b"GET /".as_slice(), &b"a".repeat(100_000), b" HTTP/1.1\r\n\r\n"].concat(),
        &[b"GET / HTTP/1.1\r\nx: ".as_slice(), &b"a".repeat(100_000), b"\r\n\r\n"].concat(),
        &[b"GET / HTTP/1.1\r\n".as_slice(), &b"x: y\r\n".repeat(5_000), b"\r\n"].concat(),
    ] {
        let answer = raw(&desk, bytes).await;
        let first = answer.lines().next().unwrap_or_default();
        assert!(first.is_empty() || first.starts_with("HTTP/1.1 4"), "{first}");
    }
    assert_eq!(desk.guest().get("/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn slow_clients_are_given_up() {
    let desk = Desk::with(|config| {
        config.limits.head_timeout = Duration::from_secs(1);
        config.limits.body_timeout = Duration::from_secs(1);
    })
    .await;
    // Nothing at all instead of a TLS handshake.
    let mut silent = TcpStream::connect(desk.broker.as_ref().unwrap().local_addr()).await.unwrap();
    let mut buffer = [0; 16];
    let gone = tokio::time::timeout(Duration::from_secs(30), silent.read(&mut buffer)).await.unwrap();
    assert!(matches!(gone, Ok(0) | Err(_)));
    // Half a head.
    let mut half = connect(&desk, HERE, &[&version::TLS13], &[b"http/1.1"]).await;
    half.write_all(b"GET /healthz HTTP/1.1\r\nhost:").await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(30), half.read_to_end(&mut answer)).await.unwrap();
    // Half a body.
    let answer = raw(&desk, b"POST /kbs/v0/auth HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("urn:sealwright:error:timeout"));
}

#[tokio::test]
async fn one_address_has_so_many_connections() {
    let desk = Desk::with(|config| config.limits.connections_per_peer = 4).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(connect(&desk, HERE, &[&version::TLS13], &[]).await);
    }
    let address = desk.broker.as_ref().unwrap().local_addr();
    let mut fifth = TcpStream::connect(address).await.unwrap();
    let mut buffer = [0; 16];
    let closed = tokio::time::timeout(Duration::from_secs(5), fifth.read(&mut buffer)).await.unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)));
    held.pop();
    // The place is free as soon as the broker has seen the end of the connection.
    for _ in 0..100 {
        let stream = TcpStream::connect(address).await.unwrap();
        if stream.peek(&mut buffer).now_or_never_or_pending().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place was not given back");
}

trait NowOrPending {
    /// Whether the broker keeps the connection open for a moment.
    async fn now_or_never_or_pending(self) -> bool;
}

impl<F: Future<Output = std::io::Result<usize>>> NowOrPending for F {
    async fn now_or_never_or_pending(self) -> bool {
        tokio::time::timeout(Duration::from_millis(200), self).await.is_err()
    }
}

#[tokio::test]
async fn one_address_has_so_many_requests_under_way_and_the_rest_wait_for_a_place() {
    let desk = Desk::with(|config| (config.limits.requests, config.limits.requests_per_peer) = (2, 2)).await;
    // Two requests that never send their body.
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(&desk, HERE, &[&version::TLS13], &[b"http/1.1"]).await;
        stream.write_all(b"POST /kbs/v0/auth HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n").await.unwrap();
        held.push(stream);
    }
    let mut guest = desk.guest();
    let mut refused = None;
    for _ in 0..100 {
        let answer = guest.auth().await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer);
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(refused.unwrap().kind(), "rate-limited");
    // Health is answered whatever is under way.
    assert_eq!(guest.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(guest.get("/readyz").await.status, StatusCode::OK);
    drop(held);
    for _ in 0..200 {
        if guest.auth().await.status == StatusCode::OK {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the places were not given back");
}

#[tokio::test]
async fn health_readiness_and_metrics() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    assert_eq!(guest.get("/healthz").await.body, b"ok\n");
    assert_eq!(guest.get("/readyz").await.body, b"ready\n");
    guest.attested(&desk.td).await;
    guest.resource("a/b/c").await;
    let answer = guest.get("/metrics").await;
    assert!(answer.headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("application/openmetrics-text"));
    let metrics = String::from_utf8(answer.body).unwrap();
    for line in [
        "sealwright_broker_decisions_total{decision=\"attest\",verdict=\"yes\"} 1",
        "sealwright_broker_decisions_total{decision=\"release\",verdict=\"no\"} 1",
        "sealwright_broker_requests_total{route=\"/kbs/v0/attest\",method=\"POST\",status=\"200\"} 1",
        "sealwright_broker_connections 1",
        "# EOF",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn metrics_are_shown_to_whom_the_configuration_says() {
    let desk = Desk::with(|config| config.metrics = Metrics::Off).await;
    assert_eq!(desk.guest().get("/metrics").await.status, StatusCode::NOT_FOUND);
    let desk = Desk::with(|config| config.metrics = Metrics::Admin).await;
    let mut guest = desk.guest();
    assert_eq!(guest.get("/metrics").await.status, StatusCode::FORBIDDEN);
    let signed = desk.signed("GET", "/metrics", b"");
    assert_eq!(guest.send(Method::GET, "/metrics", &[signed], Vec::new()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_request_has_a_name_that_the_client_does_not_choose() {
    let desk = Desk::new().await;
    let mut guest = desk.guest();
    let chosen = (http::HeaderName::from_static("x-request-id"), "chosen".parse().unwrap());
    let one = guest.send(Method::GET, "/healthz", &[chosen], Vec::new()).await;
    let two = guest.get("/healthz").await;
    let id = |answer: &Answer| answer.headers["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(id(&one).len(), 16);
    assert!(id(&one) != "chosen" && id(&one) != id(&two));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stopping_broker_lets_requests_finish_and_takes_no_new_ones() {
    let mut desk = Desk::new().await;
    let address = desk.broker.as_ref().unwrap().local_addr();
    // A request under way: its head is there, its body is not.
    let mut stream = connect(&desk, HERE, &[&version::TLS13], &[b"http/1.1"]).await;
    let body = crate::desk::auth_request("0.4.0", kbs_types::Tee::Tdx).to_string();
    let head = format!("POST /kbs/v0/auth HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let broker = desk.broker.take().unwrap();
    let stopping = tokio::spawn(broker.stop());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(TcpStream::connect(address).await.is_err());
    stream.write_all(body.as_bytes()).await.unwrap();
    assert!(read_until_quiet(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
    stopping.await.unwrap().unwrap();
    assert_eq!(desk.last_audit("closed")["verdict"], "yes");
}

#[tokio::test]
async fn an_idle_connection_does_not_keep_a_broker_from_stopping() {
    let mut desk = Desk::with(|config| config.limits.shutdown_timeout = Duration::from_secs(30)).await;
    let mut guest: Guest = desk.guest();
    guest.get("/healthz").await;
    let started = Instant::now();
    desk.stop().await;
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn nothing_secret_is_in_the_log() {
    let lines = Lines::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(lines.clone()).json().finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let desk = Desk::new().await;
    let secret = b"a-secret-that-no-log-may-have";
    desk.admin().put_secret(&path("repository-of-the-log-test/b/c"), secret, &Requires::default(), None).await.unwrap();
    let mut guest = desk.guest();
    let token = guest.attested(&desk.td).await;
    let cookie = guest.cookie.clone().unwrap();
    let answer = guest.resource("repository-of-the-log-test/b/c").await;
    assert_eq!(guest.decrypt(&answer), secret);
    guest.post("/kbs/v0/attest", &json!({})).await;
    let log = lines.text();
    assert!(log.contains("answered"), "{log}");
    let of_broker = log.lines().filter(|line| line.contains("sealwright")).collect::<Vec<_>>().join("\n");
    let signature = token.rsplit('.').next().unwrap();
    for text in ["a-secret-that-no-log-may-have", cookie.as_str(), signature, "repository-of-the-log-test"] {
        assert!(!of_broker.contains(text), "{text}");
    }
}

/// What a subscriber wrote.
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
