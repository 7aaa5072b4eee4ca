//! Streams between TLS and HTTP.

use sealwright_wire::ratls::{EXPORTER_LABEL, EXPORTER_LEN, NONCE_LEN};
use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, Weak},
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{client, server::TlsStream};

/// The server's side of a TLS session. HTTP reads and writes it, and the exchange asks it for the TLS exporter, which needs
/// the nonce that arrives with the first request; so both hold it, under a lock that is never held across a wait.
pub struct ServerStream<IO>(Arc<Mutex<TlsStream<IO>>>);

impl<IO> ServerStream<IO> {
    pub(crate) fn new(stream: TlsStream<IO>) -> Self {
        Self(Arc::new(Mutex::new(stream)))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin + Send + 'static> ServerStream<IO> {
    /// A handle on the session that does not keep it open.
    pub(crate) fn exporter(&self) -> Arc<dyn Exporter> {
        Arc::new(Arc::downgrade(&self.0))
    }

    fn with<R>(&self, act: impl FnOnce(Pin<&mut TlsStream<IO>>) -> Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        match self.0.lock() {
            Ok(mut stream) => act(Pin::new(&mut *stream)),
            Err(_) => Poll::Ready(Err(io::Error::other("the TLS session is broken"))),
        }
    }
}

/// Whatever can derive the exporter of a TLS session.
pub(crate) trait Exporter: Send + Sync {
    /// The exporter for this nonce (RFC 8446, section 7.5); `None` when the session is gone.
    fn export(&self, nonce: &[u8; NONCE_LEN]) -> Option<[u8; EXPORTER_LEN]>;
}

impl<IO: Send> Exporter for Weak<Mutex<TlsStream<IO>>> {
    fn export(&self, nonce: &[u8; NONCE_LEN]) -> Option<[u8; EXPORTER_LEN]> {
        let stream = self.upgrade()?;
        let stream = stream.lock().ok()?;
        stream.get_ref().1.export_keying_material([0; EXPORTER_LEN], EXPORTER_LABEL, Some(nonce)).ok()
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncRead for ServerStream<IO> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_read(context, buffer))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncWrite for ServerStream<IO> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write_vectored(context, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.0.lock().is_ok_and(|stream| stream.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(context))
    }
}

/// Someone who is shown the cleartext that passes through a client's TLS session: a test, or a demonstration, that nothing
/// but attestation messages leaves before the server was judged. `()` looks at nothing and costs nothing.
pub trait Tap: Send + Unpin + 'static {
    /// Cleartext that is about to be encrypted and sent.
    fn sent(&mut self, cleartext: &[u8]);
    /// Cleartext that was received and decrypted.
    fn received(&mut self, cleartext: &[u8]);
}

impl Tap for () {
    fn sent(&mut self, _cleartext: &[u8]) {}
    fn received(&mut self, _cleartext: &[u8]) {}
}

/// Whatever carries a client's TLS session.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The client's side of a TLS session, with a [`Tap`] on it.
pub(super) struct Tapped {
    stream: client::TlsStream<Box<dyn Stream>>,
    tap: Box<dyn Tap>,
}

impl Tapped {
    pub(super) fn new(stream: client::TlsStream<Box<dyn Stream>>, tap: Box<dyn Tap>) -> Self {
        Self { stream, tap }
    }
}

impl AsyncRead for Tapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(new) = buffer.filled().get(before..).filter(|new| !new.is_empty()) {
            self.tap.received(new);
        }
        polled
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(accepted)) = polled
            && let Some(sent) = bytes.get(..accepted)
        {
            self.tap.sent(sent);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
