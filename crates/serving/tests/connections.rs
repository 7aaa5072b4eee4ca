//! Connections on which nothing comes of anything: silent, dribbling, or never read. Each ends, and none holds a place for
//! longer than it is open.

mod support;

use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::http::{Request, StatusCode, Version};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use sealwright_serving::{
    ATTEST_PATH, Accepted, DataType, Dimension, Limits, Peer, Protocol, TensorSpec, router, serve_connection,
};
use serde_json::json;
use support::{Echo, Server, servable};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

const IDLE: Duration = Duration::from_millis(200);
/// How long a test waits for what must happen: only a test that fails takes so long.
const PATIENCE: Duration = Duration::from_secs(20);
const INFER: &str = "/v2/models/echo/infer";

fn limits() -> Limits {
    Limits { idle_time: IDLE, ..Limits::default() }
}

fn echo(limits: Limits) -> Server {
    let shape = vec![Dimension::Any("n".into())];
    let spec = TensorSpec { name: "x".into(), data_type: DataType::F32, shape };
    Server::new([servable("echo", 1, Box::new(Echo(vec![spec])))], limits)
}

/// A connection to a server, and the server's side of it.
fn connect(server: &Server, protocol: Protocol) -> (DuplexStream, JoinHandle<()>) {
    connect_as(1, server, protocol)
}

/// The same for the client of this number.
fn connect_as(number: u8, server: &Server, protocol: Protocol) -> (DuplexStream, JoinHandle<()>) {
    let (client, stream) = duplex(4096);
    let (engine, session) = (Arc::clone(&server.engine), server.handle());
    let peer = Peer::from(IpAddr::from([10, 0, 0, number]));
    let accepted = Accepted { protocol, session, peer, since: Instant::now() };
    let serving = async move {
        let router = router(Arc::clone(&engine));
        let _ = serve_connection(stream, accepted, &engine, router, std::future::pending()).await;
    };
    (client, tokio::spawn(serving))
}

async fn ends(serving: JoinHandle<()>) {
    timeout(PATIENCE, serving).await.expect("the connection ends").unwrap();
}

type Sender = http2::SendRequest<Full<Bytes>>;

/// A client of HTTP/2 that takes `window` bytes of each answer, and asks again and again whether the server is alive.
async fn http2(stream: DuplexStream, window: u32) -> Sender {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).initial_stream_window_size(window);
    builder.keep_alive_interval(IDLE / 10).keep_alive_while_idle(true);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn infer(elements: usize) -> Request<Full<Bytes>> {
    let data = vec![0.5; elements];
    let body = json!({ "inputs": [{ "name": "x", "datatype": "FP32", "shape": [elements], "data": data }] });
    let request = Request::post(format!("http://x{INFER}")).version(Version::HTTP_2);
    request.body(Full::new(body.to_string().into())).unwrap()
}

#[tokio::test]
async fn a_client_that_says_nothing_is_closed_in_either_protocol() {
    let server = Server::new([], limits());
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let (_client, serving) = connect(&server, protocol);
        ends(serving).await;
    }
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_keeps_no_connection_open() {
    let server = Server::new([], limits());
    let (mut client, serving) = connect(&server, Protocol::Http1);
    let dribbling = async {
        client.write_all(b"GET /v2 HTTP/1.1\r\n").await?;
        loop {
            client.write_all(b"a: b\r\n").await?;
            sleep(IDLE / 10).await;
        }
    };
    let broken: std::io::Result<()> = timeout(PATIENCE, dribbling).await.expect("the connection ends");
    broken.unwrap_err();
    ends(serving).await;
}

#[tokio::test]
async fn an_http_2_client_without_requests_is_closed_however_often_it_asks_whether_the_server_is_alive() {
    let server = Server::new([], limits());
    let (client, serving) = connect(&server, Protocol::Http2);
    let _sender = http2(client, 1 << 16).await;
    ends(serving).await;
}

#[tokio::test]
async fn a_client_that_takes_none_of_its_answer_is_closed() {
    let server = echo(limits());
    let (client, serving) = connect(&server, Protocol::Http2);
    let mut sender = http2(client, 0).await;
    let unread = sender.send_request(infer(1)).await.unwrap();
    assert_eq!(unread.status(), StatusCode::OK);
    ends(serving).await;

    let (mut client, serving) = connect(&server, Protocol::Http1);
    let ask = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n";
    // As many as the server takes before it waits for its answers to be read.
    let asking = async { while client.write_all(ask.as_bytes()).await.is_ok() {} };
    timeout(PATIENCE, asking).await.expect("the connection ends");
    ends(serving).await;
}

#[tokio::test]
async fn an_answer_that_is_not_taken_ends_a_connection_that_is_busy_otherwise() {
    let server = echo(limits());
    let (client, serving) = connect(&server, Protocol::Http2);
    let mut sender = http2(client, 0).await;
    let _unread = sender.send_request(infer(1)).await.unwrap();
    let asking = async {
        while sender.send_request(infer(1)).await.is_ok() {
            sleep(IDLE / 10).await;
        }
    };
    timeout(PATIENCE, asking).await.expect("the connection ends");
    ends(serving).await;
}

#[tokio::test]
async fn a_connection_that_is_used_or_waited_for_stays_open() {
    let latch = Arc::new(support::Latch::default());
    let waits = servable("slow", 1, Box::new(support::Bad::Waits(Arc::clone(&latch))));
    let server = Server::new([waits], Limits { idle_time: IDLE / 4, ..Limits::default() });
    let (client, _serving) = connect(&server, Protocol::Http2);
    let mut sender = http2(client, 1 << 16).await;
    let request = Request::post("http://x/v2/models/slow/infer").version(Version::HTTP_2);
    let answer = tokio::spawn(sender.send_request(request.body(Full::new(Bytes::from("{}"))).unwrap()));
    latch.entered.acquire().await.unwrap().forget();
    // Not for the test's result: it gives a connection that is closed too early the time to be so.
    sleep(IDLE).await;
    latch.open();
    assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
}

/// A connection on which the server reads the body of a request to this path, and waits for its rest.
async fn half_a_request(server: &Server, path: &str) -> DuplexStream {
    let (mut client, _serving) = connect(server, Protocol::Http1);
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 60\r\nexpect: 100-continue\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let mut goes_on = [0; 25];
    client.read_exact(&mut goes_on).await.unwrap();
    assert_eq!(&goes_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"{").await.unwrap();
    client
}

#[tokio::test]
async fn a_body_that_does_not_come_keeps_nobody_from_a_prediction() {
    let server = echo(Limits { requests: 1, ..Limits::default() });
    let _half = (half_a_request(&server, INFER).await, half_a_request(&server, INFER).await);
    let (client, _serving) = connect(&server, Protocol::Http2);
    let mut other = http2(client, 1 << 16).await;
    assert_eq!(other.send_request(infer(1)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_exchange_that_does_not_come_keeps_nobody_from_one() {
    let server = echo(Limits { exchanges: 1, ..Limits::default() });
    let _half = (half_a_request(&server, ATTEST_PATH).await, half_a_request(&server, ATTEST_PATH).await);
    let (client, _serving) = connect(&server, Protocol::Http2);
    let mut other = http2(client, 1 << 16).await;
    for request in [Request::post(format!("http://x{ATTEST_PATH}")), Request::get("http://x/v2/health/live")] {
        let request = request.version(Version::HTTP_2).body(Full::new(Bytes::from("{}"))).unwrap();
        assert_eq!(other.send_request(request).await.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_taken_keeps_nobody_from_a_prediction() {
    let server = echo(Limits { requests: 1, idle_time: PATIENCE * 2, ..Limits::default() });
    let (client, _serving) = connect(&server, Protocol::Http2);
    let mut slow = http2(client, 0).await;
    let unread = slow.send_request(infer(1)).await.unwrap();
    assert_eq!(unread.status(), StatusCode::OK);
    let (client, _serving) = connect(&server, Protocol::Http2);
    let mut other = http2(client, 1 << 16).await;
    assert_eq!(other.send_request(infer(1)).await.unwrap().status(), StatusCode::OK);
    drop(unread);
}

#[tokio::test]
async fn a_connection_without_the_exchange_ends_soon() {
    let server = Server::new([], Limits { handshake_time: IDLE, ..Limits::default() });
    server.session.attested.store(false, Ordering::SeqCst);
    let (_silent, serving) = connect(&server, Protocol::Http1);
    ends(serving).await;
    let (client, serving) = connect(&server, Protocol::Http2);
    let _asks_nothing = http2(client, 1 << 16).await;
    ends(serving).await;
}

#[tokio::test]
async fn a_connection_on_which_health_is_read_may_stay_and_few_do() {
    let server = Server::new([], Limits { handshake_time: IDLE, visits: 1, ..Limits::default() });
    server.session.attested.store(false, Ordering::SeqCst);
    let reads = |client| async {
        let mut sender = http2(client, 1 << 16).await;
        let request = Request::get("http://x/v2/health/live").version(Version::HTTP_2);
        let answer = sender.send_request(request.body(Full::default()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        sender
    };
    let (client, mut stays) = connect_as(1, &server, Protocol::Http2);
    let _reader = reads(client).await;
    // Not for the test's result: the first one's time is over first.
    sleep(IDLE / 4).await;
    let (client, serving) = connect_as(2, &server, Protocol::Http2);
    let _other = reads(client).await;
    ends(serving).await;
    assert!(timeout(IDLE, &mut stays).await.is_err(), "it is open");
}

#[tokio::test]
async fn a_connection_whose_evidence_is_being_made_is_waited_for() {
    let server = Server::waiting([], Limits { handshake_time: IDLE, ..Limits::default() });
    server.session.attested.store(false, Ordering::SeqCst);
    let (client, mut serving) = connect(&server, Protocol::Http2);
    let mut sender = http2(client, 1 << 16).await;
    let request = Request::post(format!("http://x{ATTEST_PATH}")).version(Version::HTTP_2);
    let answer = sender.send_request(request.body(Full::new(Bytes::from("{}"))).unwrap());
    let answer = tokio::spawn(answer);
    assert!(timeout(IDLE * 2, &mut serving).await.is_err(), "it is open");
    server.session.waiting.as_ref().unwrap().leave.add_permits(1);
    assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
    assert!(timeout(IDLE * 2, &mut serving).await.is_err(), "it is open, and attested");
}

/// What a client of this number gets for a prediction.
async fn asked_by(number: u8, server: &Server) -> StatusCode {
    let (client, _serving) = connect_as(number, server, Protocol::Http2);
    http2(client, 1 << 16).await.send_request(infer(1)).await.unwrap().status()
}

#[tokio::test]
async fn one_address_has_its_share_of_the_places_for_work() {
    let latch = Arc::new(support::Latch::default());
    let server = echo(Limits { requests: 2, share: 50, ..Limits::default() });
    server.engine.registry().insert(servable("slow", 1, Box::new(support::Bad::Waits(Arc::clone(&latch)))));
    let (client, _serving) = connect_as(1, &server, Protocol::Http2);
    let mut sender = http2(client, 1 << 16).await;
    let request = Request::post("http://x/v2/models/slow/infer").version(Version::HTTP_2);
    let answer = tokio::spawn(sender.send_request(request.body(Full::new(Bytes::from("{}"))).unwrap()));
    latch.entered.acquire().await.unwrap().forget();
    assert_eq!(asked_by(1, &server).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(asked_by(2, &server).await, StatusCode::OK);
    latch.open();
    assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(asked_by(1, &server).await, StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_has_left_keeps_its_place_until_its_work_is_done() {
    let latch = Arc::new(support::Latch::default());
    let server = echo(Limits { requests: 2, share: 50, ..Limits::default() });
    server.engine.registry().insert(servable("slow", 1, Box::new(support::Bad::Waits(Arc::clone(&latch)))));
    let (client, serving) = connect_as(1, &server, Protocol::Http2);
    let mut sender = http2(client, 1 << 16).await;
    let request = Request::post("http://x/v2/models/slow/infer").version(Version::HTTP_2);
    let answer = tokio::spawn(sender.send_request(request.body(Full::new(Bytes::from("{}"))).unwrap()));
    latch.entered.acquire().await.unwrap().forget();
    answer.abort();
    drop(sender);
    ends(serving).await;
    assert_eq!(asked_by(1, &server).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(asked_by(2, &server).await, StatusCode::OK);
    latch.open();
    let done = async { while asked_by(1, &server).await != StatusCode::OK {} };
    timeout(PATIENCE, done).await.expect("the place becomes free");
}

#[tokio::test]
async fn one_address_has_its_share_of_the_bytes_that_are_waited_for() {
    let server = echo(Limits { body_bytes: 16 << 10, held_bytes: 128 << 10, share: 50, ..Limits::default() });
    let mut halves = Vec::new();
    for path in [INFER, ATTEST_PATH, INFER, ATTEST_PATH] {
        halves.push(half_a_request(&server, path).await);
    }
    assert_eq!(asked_by(1, &server).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(asked_by(2, &server).await, StatusCode::OK);
    let halves_end = async {
        drop(halves);
        while asked_by(1, &server).await != StatusCode::OK {}
    };
    timeout(PATIENCE, halves_end).await.expect("they give their bytes back");
}

#[tokio::test]
async fn one_address_has_its_share_of_the_bytes_of_answers_that_are_not_taken() {
    const ELEMENTS: usize = 10_000;
    let limits = Limits {
        body_bytes: 90_000,
        held_bytes: 200_000,
        share: 50,
        idle_time: PATIENCE * 2,
        batch: ELEMENTS,
        ..limits()
    };
    let server = echo(limits);
    let (client, serving) = connect_as(1, &server, Protocol::Http2);
    let mut slow = http2(client, 0).await;
    let mut unread = Vec::new();
    loop {
        let answer = slow.send_request(infer(ELEMENTS)).await.unwrap();
        if answer.status() != StatusCode::OK {
            assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
            break;
        }
        unread.push(answer);
    }
    assert!((1..=3).contains(&unread.len()), "{} answers of some 40 kB in 100 kB", unread.len());
    assert_eq!(asked_by(2, &server).await, StatusCode::OK);
    serving.abort();
    let given_back = async { while asked_by(1, &server).await != StatusCode::OK {} };
    timeout(PATIENCE, given_back).await.expect("the bytes are given back");
}

#[tokio::test]
async fn a_long_answer_arrives_whole_with_its_length() {
    const ELEMENTS: usize = 100_000;
    let server = echo(Limits { batch: ELEMENTS, ..limits() });
    for (protocol, version) in [(Protocol::Http1, "HTTP/1.1"), (Protocol::Http2, "HTTP/2.0")] {
        let (client, _serving) = connect(&server, protocol);
        let response = match protocol {
            Protocol::Http2 => http2(client, 1 << 16).await.send_request(infer(ELEMENTS)).await.unwrap(),
            Protocol::Http1 => {
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(TokioIo::new(client)).await.unwrap();
                tokio::spawn(connection);
                let mut request = infer(ELEMENTS);
                *request.version_mut() = Version::HTTP_11;
                request.headers_mut().insert("host", "x".parse().unwrap());
                sender.send_request(request).await.unwrap()
            }
        };
        assert_eq!(format!("{:?}", response.version()), version);
        let announced: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
        let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
        assert_eq!(body.len(), announced);
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["outputs"][0]["data"].as_array().unwrap().len(), ELEMENTS);
    }
}
