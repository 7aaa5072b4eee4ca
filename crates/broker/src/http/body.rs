//! Bodies, read within bounds.

use super::{layer::peer, refusal::Refusal};
use crate::service::Service;
use axum::{body::Body, http::request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use sealwright_channel::peers::{Full, Share};
use std::ops::Deref;
use zeroize::Zeroizing;

/// What a request whose body is waited for takes of the room at least: its task and its buffers are not free either.
const LEAST: usize = 16 << 10;

/// A whole body, wiped when it is dropped, and the room that it takes until then.
pub(super) struct Content {
    bytes: Zeroizing<Vec<u8>>,
    /// None for an administrator's.
    room: Option<Share>,
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The whole body of whoever it is, at most `limit` bytes, while there is room for what has come of it.
pub(super) async fn read(service: &Service, head: &Parts, body: Body, limit: usize) -> Result<Content, Refusal> {
    let room = service.bodies.take(peer(&head.extensions), LEAST).map_err(|full| no_room(service, full))?;
    let content = Content { bytes: Zeroizing::default(), room: Some(room) };
    content.filled(service, body, limit).await
}

/// The whole body of an administrator, at most `limit` bytes. It may be a secret: its memory is taken at once, because bytes that outgrow
/// their memory leave a copy behind. Nobody else's bytes come here, so they take nobody's room.
pub(super) async fn read_secret(service: &Service, body: Body, limit: usize) -> Result<Content, Refusal> {
    let announced = body.size_hint().upper().and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = Vec::with_capacity(announced.unwrap_or(limit).min(limit));
    Content { bytes: Zeroizing::new(bytes), room: None }.filled(service, body, limit).await
}

impl Content {
    async fn filled(mut self, service: &Service, body: Body, limit: usize) -> Result<Self, Refusal> {
        // What is announced to be too long is not waited for.
        if body.size_hint().lower() > limit as u64 {
            return Err(Refusal::too_large(limit));
        }
        let filled = tokio::time::timeout(service.limits.body_timeout, self.fill(service, body, limit));
        filled.await.unwrap_or_else(|_| Err(Refusal::slow()))?;
        Ok(self)
    }

    async fn fill(&mut self, service: &Service, body: Body, limit: usize) -> Result<(), Refusal> {
        let mut body = Limited::new(body, limit);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| match error.is::<LengthLimitError>() {
                true => Refusal::too_large(limit),
                false => Refusal::malformed("the request's body broke off"),
            })?;
            let Ok(data) = frame.into_data() else { continue };
            self.bytes.extend_from_slice(&data);
            self.grow().map_err(|full| no_room(service, full))?;
        }
        Ok(())
    }

    /// Takes room for what has come beyond what has some already.
    fn grow(&mut self) -> Result<(), Full> {
        let Some(room) = &mut self.room else { return Ok(()) };
        room.grow(self.bytes.len().saturating_sub(room.amount()))
    }
}

fn no_room(service: &Service, full: Full) -> Refusal {
    service.metrics.turned_away("bodies");
    match full {
        Full::OfPeer => Refusal::too_often(1),
        Full::OfAll => Refusal::busy(),
    }
}
