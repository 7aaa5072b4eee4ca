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

/// A whole body, and the room that it takes until it is dropped.
pub(super) struct Content {
    bytes: Vec<u8>,
    room: Share,
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The whole body of whoever it is, at most `limit` bytes, while there is room for what has come of it. The key protocol's messages hold no
/// secret, so their memory is not wiped.
pub(super) async fn read(service: &Service, head: &Parts, body: Body, limit: usize) -> Result<Content, Refusal> {
    let room = service.bodies.take(peer(&head.extensions), LEAST).map_err(|full| no_room(service, full))?;
    let mut content = Content { bytes: Vec::with_capacity(announced(&body).min(LEAST)), room };
    fill(service, body, limit, &mut content.bytes, Some(&mut content.room)).await?;
    Ok(content)
}

/// The whole body of an administrator, at most `limit` bytes, wiped when it is dropped. It may be a secret: its memory is taken at once, because
/// bytes that outgrow their memory leave a copy behind. Nobody else's bytes come here, so they take nobody's room.
pub(super) async fn read_secret(service: &Service, body: Body, limit: usize) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(announced(&body).min(limit)));
    fill(service, body, limit, &mut bytes, None).await?;
    Ok(bytes)
}

/// How long the body says that it is at most.
fn announced(body: &Body) -> usize {
    body.size_hint().upper().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX)
}

/// Appends the body to `bytes` in good time, taking `room` as it comes.
async fn fill(
    service: &Service,
    body: Body,
    limit: usize,
    bytes: &mut Vec<u8>,
    room: Option<&mut Share>,
) -> Result<(), Refusal> {
    // What is announced to be too long is not waited for.
    if body.size_hint().lower() > limit as u64 {
        return Err(Refusal::too_large(limit));
    }
    let filled = tokio::time::timeout(service.limits.body_timeout, append(service, body, limit, bytes, room));
    filled.await.unwrap_or_else(|_| Err(Refusal::slow()))
}

async fn append(
    service: &Service,
    body: Body,
    limit: usize,
    bytes: &mut Vec<u8>,
    mut room: Option<&mut Share>,
) -> Result<(), Refusal> {
    let mut body = Limited::new(body, limit);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error.is::<LengthLimitError>() {
            true => Refusal::too_large(limit),
            false => Refusal::malformed("the request's body broke off"),
        })?;
        let Ok(data) = frame.into_data() else { continue };
        bytes.extend_from_slice(&data);
        if let Some(room) = &mut room {
            // What has come beyond what has room already.
            room.grow(bytes.len().saturating_sub(room.amount())).map_err(|full| no_room(service, full))?;
        }
    }
    Ok(())
}

fn no_room(service: &Service, full: Full) -> Refusal {
    service.metrics.turned_away("bodies");
    match full {
        Full::OfPeer => Refusal::too_often(1),
        Full::OfAll => Refusal::busy(),
    }
}
