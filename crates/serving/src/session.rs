//! What the model server asks of the connection that a request came on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use http::Response;
use sealwright_channel::BoxFuture;
use tokio::sync::watch;

use crate::registry::Servable;

/// One connection, as its transport knows it. A request without one is treated as unattested.
pub trait Session: Send + Sync {
    /// Whether this connection's client has got evidence that is bound to this very connection.
    fn is_attested(&self) -> bool;

    /// Answers the attestation exchange: the body of a `POST` to [`crate::ATTEST_PATH`] in, its answer out.
    fn attest(&self, request: Bytes) -> BoxFuture<'_, Response<Bytes>>;

    /// Signs a receipt for an answer on this connection. The error is a message for the client.
    ///
    /// # Errors
    /// When there is no evidence yet for the receipt key, or the signature fails.
    fn receipt(&self, exchange: &Exchange<'_>) -> Result<String, String>;
}

/// The session of a connection, as an extension of each of its requests.
#[derive(Clone)]
pub struct SessionHandle(pub Arc<dyn Session>);

/// What is seen of a connection besides its session. Clones are the same connection.
#[derive(Clone)]
pub(crate) struct Visit(Arc<Seen>);

struct Seen {
    /// Exchanges of evidence in work.
    exchanging: watch::Sender<usize>,
    /// Whether something was read that needs no attestation.
    has_read: AtomicBool,
}

impl Visit {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Seen { exchanging: watch::Sender::new(0), has_read: AtomicBool::new(false) }))
    }

    /// Something is read.
    pub(crate) fn reads(&self) {
        self.0.has_read.store(true, Ordering::Relaxed);
    }

    /// Whether something was read that needs no attestation.
    pub(crate) fn has_read(&self) -> bool {
        self.0.has_read.load(Ordering::Relaxed)
    }

    /// An exchange is in work until this is dropped.
    pub(crate) fn exchanges(&self) -> Exchanging {
        self.0.exchanging.send_modify(|exchanges| *exchanges += 1);
        Exchanging(self.clone())
    }

    /// Until no exchange is in work.
    pub(crate) async fn exchanged(&self) {
        // The sender lives as long as this does.
        let _ = self.0.exchanging.subscribe().wait_for(|&exchanges| exchanges == 0).await;
    }
}

/// An exchange in work.
pub(crate) struct Exchanging(Visit);

impl Drop for Exchanging {
    fn drop(&mut self) {
        self.0.0.exchanging.send_modify(|exchanges| *exchanges -= 1);
    }
}

/// What a receipt is about.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The bytes of the request: its body, or its message over gRPC.
    pub request: &'a [u8],
    /// The bytes of the answer: its body, or its message over gRPC.
    pub response: &'a [u8],
    /// The model that answered.
    pub model: &'a Servable,
}
