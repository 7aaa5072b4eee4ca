//! Connections on which nothing comes of anything: silent, dribbling, or never read. Each ends, and none holds a place for
//! longer than it is open.

mod support;

use std::{sync::Arc, time::Duration};

use axum::http::{Request, StatusCode, Version};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use sealwright_serving::{DataType, Dimension, Limits, Protocol, TensorSpec, router, serve_connection};
use serde_json::json;
use support::{Echo, Server, servable};
use tokio::{
    io::{AsyncWriteExt as _, DuplexStream, duplex},
    task::JoinHandle,
    time::{sleep, timeout},
};

const IDLE: Duration = Duration::from_millis(200);
/// How long a test waits for what must happen: only a test that fails takes so long.
const PATIENCE: Duration = Duration::from_secs(60);
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
    let (client, stream) = duplex(4096);
    let (engine, session) = (Arc::clone(&server.engine), server.handle());
    let serving = async move {
        let router = router(Arc::clone(&engine));
        let _ = serve_connection(stream, protocol, session, &engine, router, std::future::pending()).await;
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

/// Sends a request until it gets this status.
async fn eventually(sender: &mut Sender, status: StatusCode) {
    let trying = async {
        while sender.send_request(infer(1)).await.unwrap().status() != status {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, trying).await.expect("the status comes");
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

#[tokio::test]
async fn a_place_is_held_until_the_answer_was_taken() {
    let server = echo(Limits { requests: 1, idle_time: PATIENCE * 2, ..Limits::default() });
    let (client, serving) = connect(&server, Protocol::Http2);
    let mut slow = http2(client, 0).await;
    let unread = slow.send_request(infer(1)).await.unwrap();
    assert_eq!(unread.status(), StatusCode::OK);

    let (client, _serving) = connect(&server, Protocol::Http2);
    let mut other = http2(client, 1 << 16).await;
    assert_eq!(other.send_request(infer(1)).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    drop((unread, slow));
    eventually(&mut other, StatusCode::OK).await;
    serving.abort();
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
