//! What a client still sends when the answer to its request is known.
//!
//! Over HTTP/2 a server that answers before it has read the whole request, and then wants no more of it, resets the stream (RFC 9113, section
//! 8.1). Clients have been seen to lose the answer then, and with it the reason of a refusal (curl 7.88 with nghttp2 1.52). So the rest of the
//! request is read first and thrown away, as long as it is short and comes soon. Over HTTP/1.1 that is the business of
//! [`Accepted`](crate::listener::Accepted) connections when they end.

use http::{Request, Version};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

/// The most bytes that are thrown away of one request.
const MOST: usize = 1 << 20;
/// How long they may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// A request's body, which leaves behind what nobody reads of it.
#[derive(Debug)]
pub struct Requested {
    /// Until this is dropped.
    body: Option<Incoming>,
    unread: Option<Unread>,
}

type Unread = Arc<Mutex<Option<Incoming>>>;

/// What nobody reads of one request.
#[derive(Debug)]
pub struct Leftover(Option<Unread>);

/// The request for whoever answers it, and what will be left of it then.
pub fn split(request: Request<Incoming>) -> (Request<Requested>, Leftover) {
    let unread = (request.version() == Version::HTTP_2).then(Unread::default);
    let leftover = Leftover(unread.clone());
    (request.map(|body| Requested { body: Some(body), unread }), leftover)
}

impl Leftover {
    /// Reads it, once there is an answer and before that leaves.
    pub async fn throw_away(self) {
        let body = self.0.and_then(|unread| unread.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(body) = body {
            // Whoever sends more, or slowly, has to bear what its client makes of a reset.
            let _ = tokio::time::timeout(PATIENCE, throw_away(body)).await;
        }
    }
}

async fn throw_away(mut body: Incoming) {
    let mut left = MOST;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length) {
            Some(less) => left = less,
            None => return,
        }
    }
}

impl Drop for Requested {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Some(unread)) = (rest, &self.unread) {
            *unread.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}

impl Body for Requested {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Response;
    use http_body_util::Full;
    use hyper::{server::conn::http2, service::service_fn};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use std::convert::Infallible;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;
    /// `:method: POST`, `:scheme: https`, `:path: /` of HPACK's static table, and an authority of one letter.
    const HEAD: [u8; 6] = [0x83, 0x87, 0x84, 0x41, 0x01, b'h'];

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    /// A client's end of a connection to a server that refuses every request unread.
    fn refusing() -> DuplexStream {
        let (client, server) = tokio::io::duplex(1 << 16);
        let service = service_fn(|request| async {
            let (request, leftover) = split(request);
            drop(request);
            leftover.throw_away().await;
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"no"))))
        });
        tokio::spawn(http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(server), service));
        client
    }

    /// Kind and flags of the frames about stream 1, up to the next silence.
    async fn frames(client: &mut DuplexStream) -> Vec<(u8, u8)> {
        let mut frames = Vec::new();
        let mut head = [0; 9];
        while let Ok(read) = tokio::time::timeout(Duration::from_secs(10), client.read_exact(&mut head)).await {
            read.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            client.read_exact(&mut payload).await.unwrap();
            if head[8] == 1 {
                frames.push((head[3], head[4]));
            }
        }
        frames
    }

    async fn begin(client: &mut DuplexStream) {
        let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(SETTINGS, 0, 0, &[])].concat();
        client.write_all(&preface).await.unwrap();
        client.write_all(&frame(HEADERS, END_HEADERS, 1, &HEAD)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_waits_for_the_rest_of_its_request_and_no_reset_follows() {
        let mut client = refusing();
        begin(&mut client).await;
        tokio::time::sleep(PATIENCE / 2).await;
        client.write_all(&frame(DATA, END_STREAM, 1, &[7; 300])).await.unwrap();
        assert_eq!(frames(&mut client).await, [(HEADERS, END_HEADERS), (DATA, END_STREAM)]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_never_ends_is_not_waited_for_for_long() {
        let mut client = refusing();
        let since = tokio::time::Instant::now();
        begin(&mut client).await;
        let frames = frames(&mut client).await;
        assert!(frames.contains(&(HEADERS, END_HEADERS)) && frames.contains(&(RST_STREAM, 0)), "{frames:?}");
        assert!(since.elapsed() >= PATIENCE);
    }
}
