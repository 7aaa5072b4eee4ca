//! A small HTTP/1.1 client: one connection, one request at a time, bounded answers.

use crate::BoxFuture;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// A segment of a path, or a value of a query, of a URL: everything but unreserved characters (RFC 3986, section 2.3) as `%XX`.
pub fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL is none that this client asks.
    #[error("URL {url}: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nobody answers there.
    #[error("connecting to {address}: {source}")]
    Connect {
        /// Host and port.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The TLS handshake failed: most often because the certificate is not the trusted one.
    #[error("TLS with {address}: {source}")]
    Tls {
        /// Host and port.
        address: String,
        /// What the TLS library says.
        source: io::Error,
    },
    /// The peer broke the protocol or the connection.
    #[error("HTTP with {address}: {source}")]
    Http {
        /// Host and port.
        address: String,
        /// What the HTTP library says.
        source: hyper::Error,
    },
    /// The answer is longer than is accepted.
    #[error("the answer of {address} is longer than {limit} bytes")]
    TooLong {
        /// Host and port.
        address: String,
        /// What is accepted.
        limit: usize,
    },
    /// There was no answer in time.
    #[error("no answer from {address} within {after:?}")]
    Timeout {
        /// Host and port.
        address: String,
        /// How long was waited.
        after: Duration,
    },
    /// A request could not be written.
    #[error("a request cannot be written: {0}")]
    Request(#[from] http::Error),
}

/// Where an HTTPS server is.
#[derive(Clone, Debug)]
pub struct Endpoint {
    host: String,
    port: u16,
    prefix: String,
    name: ServerName<'static>,
}

impl Endpoint {
    /// Reads `https://host[:port][/prefix]`.
    ///
    /// # Errors
    /// When the text is no such URL.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let wrong = |reason| Error::Url { url: url.to_owned(), reason };
        let uri: Uri = url.parse().map_err(|_| wrong("no URL"))?;
        if uri.scheme_str() != Some("https") {
            return Err(wrong("the scheme must be https"));
        }
        if uri.query().is_some() {
            return Err(wrong("it must not have a query"));
        }
        let host = uri.host().ok_or_else(|| wrong("it names no host"))?;
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self {
            port: uri.port_u16().unwrap_or(443),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            name: ServerName::try_from(name.clone()).map_err(|_| wrong("the host is no name or address"))?,
            host: name,
        })
    }

    /// Host and port, as they are written.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            return format!("[{}]:{}", self.host, self.port);
        }
        format!("{}:{}", self.host, self.port)
    }
}

/// A whole answer.
pub struct Reply {
    /// The status code.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A client of one server. The connection is opened when it is needed, and again when the server closed it.
pub struct Client {
    endpoint: Endpoint,
    address: String,
    tls: Arc<ClientConfig>,
    timeout: Duration,
    open: Option<Open>,
}

/// An open connection, and who is at its other end.
struct Open {
    sender: SendRequest<Full<Bytes>>,
    certificate: CertificateDer<'static>,
}

impl Client {
    /// A client of this server, which waits so long for each answer.
    pub fn new(endpoint: Endpoint, tls: Arc<ClientConfig>, timeout: Duration) -> Self {
        Self { address: endpoint.address(), endpoint, tls, timeout, open: None }
    }

    /// The server's certificate, as it was verified for the connection that is open; one is opened when there is none.
    ///
    /// # Errors
    /// When there is no connection in time.
    pub async fn server_certificate(&mut self) -> Result<CertificateDer<'static>, Error> {
        let after = self.timeout;
        let opened = tokio::time::timeout(after, self.opened()).await;
        let open = opened.map_err(|_| Error::Timeout { address: self.address.clone(), after })??;
        Ok(self.open.insert(open).certificate.clone())
    }

    /// Sends a request and reads the answer, of at most `limit` bytes.
    ///
    /// # Errors
    /// When there is no answer, or none of this length in time.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(header::HeaderName, HeaderValue)],
        body: impl Into<Bytes>,
        limit: usize,
    ) -> Result<Reply, Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint.prefix))
            .header(header::HOST, &self.address)
            .body(Full::new(body.into()))?;
        request.headers_mut().extend(headers.iter().cloned());
        let after = self.timeout;
        match tokio::time::timeout(after, self.exchange(request, limit)).await {
            Ok(reply) => reply,
            Err(_) => {
                self.open = None;
                Err(Error::Timeout { address: self.address.clone(), after })
            }
        }
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>, limit: usize) -> Result<Reply, Error> {
        let mut open = self.opened().await?;
        let broken = |source| Error::Http { address: self.address.clone(), source };
        let (head, body) = open.sender.send_request(request).await.map_err(broken)?.into_parts();
        let body = Limited::new(body, limit).collect().await.map_err(|error| self.unreadable(error, limit))?;
        self.open = Some(open);
        Ok(Reply { status: head.status, headers: head.headers, body: body.to_bytes() })
    }

    async fn opened(&mut self) -> Result<Open, Error> {
        if let Some(mut open) = self.open.take()
            && open.sender.ready().await.is_ok()
        {
            return Ok(open);
        }
        self.connect().await
    }

    /// Boxed, so that TLS and HTTP are compiled here, once.
    fn connect(&self) -> BoxFuture<'_, Result<Open, Error>> {
        Box::pin(async move {
            let address = || self.address.clone();
            let tcp = TcpStream::connect((self.endpoint.host.as_str(), self.endpoint.port))
                .await
                .map_err(|source| Error::Connect { address: address(), source })?;
            tcp.set_nodelay(true).map_err(|source| Error::Connect { address: address(), source })?;
            let unknown = |source| Error::Tls { address: address(), source };
            let tls = TlsConnector::from(Arc::clone(&self.tls));
            let tls = tls.connect(self.endpoint.name.clone(), Attentive::new(tcp)).await.map_err(unknown)?;
            let certificate = tls.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
            let certificate =
                certificate.ok_or_else(|| unknown(io::Error::other("the server showed no certificate")))?;
            let (sender, connection) = http1::handshake(TokioIo::new(tls))
                .await
                .map_err(|source| Error::Http { address: address(), source })?;
            // The task ends with the connection, which ends when the sender is dropped.
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "connection ended");
                }
            });
            Ok(Open { sender, certificate })
        })
    }

    fn unreadable(&self, error: Box<dyn std::error::Error + Send + Sync>, limit: usize) -> Error {
        let address = self.address.clone();
        if error.is::<LengthLimitError>() {
            return Error::TooLong { address, limit };
        }
        match error.downcast::<hyper::Error>() {
            Ok(source) => Error::Http { address, source: *source },
            Err(error) => Error::Connect { address, source: io::Error::other(error) },
        }
    }
}

/// A connection that still listens when the peer takes nothing more. A server that refuses a request before it has read all of
/// it answers and closes: writing the rest fails, and the answer that says why is there to be read.
struct Attentive<IO> {
    io: IO,
    refused: bool,
}

impl<IO> Attentive<IO> {
    const fn new(io: IO) -> Self {
        Self { io, refused: false }
    }

    /// What writing `len` bytes came to: bytes that nobody takes are thrown away. If there is no answer, reading will say so.
    fn written(&mut self, result: Poll<io::Result<usize>>, len: usize) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Err(error)) if is_closed(&error) => {
                self.refused = true;
                Poll::Ready(Ok(len))
            }
            other => other,
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

impl<IO: AsyncRead + Unpin> AsyncRead for Attentive<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Attentive<IO> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.refused {
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = Pin::new(&mut self.io).poll_write(context, bytes);
        self.written(result, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = slices.iter().map(|slice| slice.len()).sum();
        if self.refused {
            return Poll::Ready(Ok(len));
        }
        let result = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.written(result, len)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.refused {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_end_a_part_of_a_url_is_escaped() {
        assert_eq!(escaped("aZ09-._~"), "aZ09-._~");
        assert_eq!(escaped("a/b c?d&e=f#%+"), "a%2Fb%20c%3Fd%26e%3Df%23%25%2B");
        assert_eq!(escaped("\u{e9}"), "%C3%A9");
    }

    /// A peer that has answered and closed before it took a byte of the request's body.
    struct AnsweredAndClosed {
        answer: &'static [u8],
        head_taken: bool,
        reader: Option<std::task::Waker>,
    }

    impl AsyncRead for AnsweredAndClosed {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if !self.head_taken {
                self.reader = Some(context.waker().clone());
                return Poll::Pending;
            }
            buffer.put_slice(self.answer);
            self.answer = b"";
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for AnsweredAndClosed {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            if self.head_taken {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            self.head_taken = true;
            self.reader.take().into_iter().for_each(|reader| reader.wake());
            Poll::Ready(Ok(bytes.len().min(100)))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn asked(answer: &'static [u8]) -> Result<StatusCode, hyper::Error> {
        let peer = AnsweredAndClosed { answer, head_taken: false, reader: None };
        let (mut sender, connection) = http1::handshake(TokioIo::new(Attentive::new(peer))).await.unwrap();
        tokio::spawn(connection);
        let body = Full::new(Bytes::from(vec![0; 8 << 20]));
        let request = Request::post("/").header(header::HOST, "test").body(body).unwrap();
        sender.send_request(request).await.map(|response| response.status())
    }

    #[tokio::test]
    async fn the_answer_of_a_server_that_closed_early_is_read() {
        let answer = b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        assert_eq!(asked(answer).await.unwrap(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(asked(b"").await.is_err(), "a server that closed without an answer");
    }

    #[test]
    fn urls() {
        for (url, address, prefix) in [
            ("https://broker.example", "broker.example:443", ""),
            ("https://127.0.0.1:8080/", "127.0.0.1:8080", ""),
            ("https://[::1]:8080/a/b/", "[::1]:8080", "/a/b"),
        ] {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!((endpoint.address().as_str(), endpoint.prefix.as_str()), (address, prefix), "{url}");
        }
        for url in ["http://broker", "broker:80", "https://", "https://a?b", "https://a b", "", "file:///x"] {
            assert!(Endpoint::parse(url).is_err(), "{url}");
        }
    }
}
