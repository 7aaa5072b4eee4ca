//! HTTP/2 frame by frame (RFC 9113), for what a client library would hide.

use crate::{
    desk::Desk,
    raw::{HERE, connect},
};
use rustls::version;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
/// `END_STREAM` of DATA and HEADERS, `ACK` of SETTINGS and PING.
const LAST: u8 = 1;
const END_HEADERS: u8 = 4;

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
}

struct Connection(TlsStream<TcpStream>);

impl Connection {
    async fn open(desk: &Desk) -> Self {
        let mut connection = Self(connect(desk, HERE, &[&version::TLS13], &[b"h2"]).await);
        connection.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        connection.write(SETTINGS, 0, 0, &[]).await;
        connection
    }

    async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let frame = [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat();
        self.0.write_all(&frame).await.unwrap();
    }

    async fn read(&mut self) -> Frame {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.unwrap();
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = head;
        let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, l0, l1, l2])).unwrap()];
        self.0.read_exact(&mut payload).await.unwrap();
        Frame { kind, flags, stream: u32::from_be_bytes([s0, s1, s2, s3]) }
    }

    /// The frames up to one of this kind with this flag.
    async fn read_up_to(&mut self, kind: u8, flag: u8) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            frames.push(self.read().await);
            if frames.last().is_some_and(|frame| frame.kind == kind && frame.flags & flag != 0) {
                return frames;
            }
        }
    }

    /// Whatever the broker sends before it answers a ping: it has read all that was written before.
    async fn ping(&mut self) -> Vec<Frame> {
        self.write(PING, 0, 0, &[7; 8]).await;
        self.read_up_to(PING, LAST).await
    }
}

/// A header block (RFC 7541) of a request with a body, by the static table and literals.
fn post(path: &str) -> Vec<u8> {
    let literal = |index: u8, value: &str| [&[index, u8::try_from(value.len()).unwrap()], value.as_bytes()].concat();
    // :method POST, :scheme https, :authority, :path
    [vec![0x83, 0x87], literal(0x01, "localhost"), literal(0x04, path)].concat()
}

/// curl 7.88 shows no answer whose stream is reset after it.
#[tokio::test]
async fn an_answer_that_needs_no_body_waits_for_a_little_one_and_resets_no_stream() {
    let desk = Desk::new().await;
    for path in ["/kbs/v0/attest", "/kbs/v0/resource/a/b/c", "/nowhere", "/healthz"] {
        let mut connection = Connection::open(&desk).await;
        connection.write(HEADERS, END_HEADERS, 1, &post(path)).await;
        let mut frames = connection.ping().await;
        frames.extend(connection.ping().await);
        connection.write(DATA, LAST, 1, b"{}").await;
        if !frames.iter().any(|frame| frame.kind == DATA && frame.flags & LAST != 0) {
            frames.extend(connection.read_up_to(DATA, LAST).await);
        }
        frames.extend(connection.ping().await);
        let of_stream = |kind| frames.iter().filter(|frame| frame.kind == kind && frame.stream == 1).count();
        assert_eq!((of_stream(HEADERS), of_stream(RST_STREAM)), (1, 0), "{path}");
    }
}
