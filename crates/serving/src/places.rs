//! Places for what there is a bounded amount of. Of each, one address has its share at most, and nobody keeps a place while the server
//! waits for them: a body that comes slowly and an answer that is not taken hold their bytes and nothing else.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Body as _;
use sealwright_channel::peers::{Full, Peer, Share, Shared};

use crate::{
    body::Held,
    error::{Error, Result},
    limits::Limits,
    receipts::{FRAME_HEADER, with_trailers},
    rest,
};

/// What a request whose body is waited for takes of the bytes at least: its task and its buffers are not free either.
const LEAST: usize = 16 << 10;

/// What requests and answers count by.
const BYTES: &str = "bytes of requests and answers";

tokio::task_local! {
    /// The place of the request that this task answers.
    static PLACE: Arc<Share>;
}

/// Answers a request in its place. Work that goes on elsewhere takes it along ([`taken`]), and so keeps it when the client leaves.
pub(crate) async fn within<T>(place: Share, answer: impl Future<Output = T>) -> T {
    PLACE.scope(Arc::new(place), answer).await
}

/// The place of the request that is being answered here.
pub(crate) fn taken() -> Option<Arc<Share>> {
    PLACE.try_with(Arc::clone).ok()
}

/// The places of one server.
pub(crate) struct Places {
    requests: Bounded,
    exchanges: Bounded,
    bytes: Bounded,
    visits: Bounded,
}

impl Places {
    pub(crate) fn new(limits: &Limits) -> Self {
        let bounded = |what, most| Bounded::new(what, most, limits.of_peer(most));
        // However small the limits are, the longest request fits in.
        let least = limits.body_bytes.saturating_add(FRAME_HEADER).max(LEAST);
        Self {
            requests: bounded("requests in work", limits.requests),
            exchanges: bounded("exchanges of evidence in work", limits.exchanges),
            bytes: Bounded::new(BYTES, limits.held_bytes.max(least), limits.of_peer(limits.held_bytes).max(least)),
            visits: bounded("connections without attestation", limits.visits),
        }
    }

    /// A place for a request that has come whole, for as long as it is in work.
    ///
    /// # Errors
    /// [`Error::Overloaded`], or [`Error::Share`] if this peer has all of its own.
    pub(crate) fn request(&self, peer: Peer) -> Result<Share> {
        self.requests.take(peer, 1)
    }

    /// A place for an exchange of evidence that has come whole, for as long as it is in work. These have places of their own: whoever takes
    /// them all keeps nobody from a prediction.
    ///
    /// # Errors
    /// As [`Places::request`].
    pub(crate) fn exchange(&self, peer: Peer) -> Result<Share> {
        self.exchanges.take(peer, 1)
    }

    /// A place for a connection that stays without the exchange.
    ///
    /// # Errors
    /// As [`Places::request`].
    pub(crate) fn visit(&self, peer: Peer) -> Result<Share> {
        self.visits.take(peer, 1)
    }

    /// All bytes of a body, and the room that they take.
    ///
    /// # Errors
    /// As [`Bounded::whole`].
    pub(crate) async fn whole(&self, peer: Peer, body: Body, limit: usize) -> Result<(Bytes, Share)> {
        self.bytes.whole(peer, body, limit).await
    }

    /// An answer with the room that it takes until it was sent, or nobody wants it any more.
    ///
    /// # Errors
    /// As [`Places::request`] if there is no room for it; [`Error::Answer`] if it breaks off.
    pub(crate) async fn sending(&self, peer: Peer, response: Response) -> Result<Response> {
        let (parts, body) = response.into_parts();
        // That of a gRPC call is written while it is asked for.
        let body = if body.size_hint().exact().is_some() { body } else { written(body).await? };
        let length = body.size_hint().exact().and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
        // Waiting would change nothing.
        if length > self.bytes.most_of_peer {
            let most = self.bytes.most_of_peer;
            return Err(Error::Answer(format!(
                "it has {length} bytes, of which one address may be sent {most} at once"
            )));
        }
        let room = self.bytes.take(peer, length)?;
        Ok(Response::from_parts(parts, Body::new(Held::new(body, room))))
    }
}

/// The next piece of a body.
async fn piece(body: &mut Limited<Body>, limit: usize) -> Result<Option<Bytes>> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|error| rest::broken(&*error, limit))?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

async fn written(body: Body) -> Result<Body> {
    let collected = body.collect().await.map_err(|error| Error::Answer(error.to_string()))?;
    let trailers = collected.trailers().cloned();
    Ok(with_trailers(collected.to_bytes(), trailers))
}

/// Something bounded, and its name for errors.
pub(crate) struct Bounded {
    what: &'static str,
    most: usize,
    most_of_peer: usize,
    shared: Shared,
}

impl Bounded {
    pub(crate) fn new(what: &'static str, most: usize, most_of_peer: usize) -> Self {
        Self { what, most, most_of_peer, shared: Shared::new(most, most_of_peer) }
    }

    fn take(&self, peer: Peer, amount: usize) -> Result<Share> {
        self.shared.take(peer, amount).map_err(|full| self.error(full))
    }

    /// All bytes of a body, and the room that they take.
    ///
    /// # Errors
    /// [`Error::Overloaded`] or [`Error::Share`] if there is no room for them; as [`rest::collect`].
    pub(crate) async fn whole(&self, peer: Peer, body: Body, limit: usize) -> Result<(Bytes, Share)> {
        rest::check_announced(&body, limit)?;
        let mut room = self.take(peer, LEAST)?;
        let mut body = Limited::new(body, limit);
        let Some(first) = piece(&mut body, limit).await? else { return Ok((Bytes::new(), room)) };
        self.hold(&mut room, first.len())?;
        if body.is_end_stream() {
            return Ok((first, room));
        }
        let mut whole = BytesMut::from(&first[..]);
        while let Some(piece) = piece(&mut body, limit).await? {
            whole.extend_from_slice(&piece);
            self.hold(&mut room, whole.len())?;
        }
        Ok((whole.freeze(), room))
    }

    /// Takes what is missing for so much.
    fn hold(&self, share: &mut Share, amount: usize) -> Result<()> {
        share.grow(amount.saturating_sub(share.amount())).map_err(|full| self.error(full))
    }

    const fn error(&self, full: Full) -> Error {
        match full {
            Full::OfPeer if self.most_of_peer < self.most => Error::Share { what: self.what, most: self.most_of_peer },
            Full::OfPeer | Full::OfAll => Error::Overloaded { what: self.what, most: self.most },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_longest_request_fits_in_however_small_the_limits_are() {
        for body_bytes in [1, 4096, LEAST, 1 << 20] {
            let limits = Limits { body_bytes, held_bytes: 1, share: 1, ..Limits::default() };
            let places = Places::new(&limits);
            let limit = body_bytes + FRAME_HEADER;
            let whole = places.whole(Peer::default(), Body::from(vec![0; limit]), limit).await;
            assert_eq!(whole.unwrap().0.len(), limit);
        }
    }

    #[tokio::test]
    async fn an_answer_for_which_there_is_never_room_is_no_overload() {
        let places = Places::new(&Limits { body_bytes: 1, held_bytes: 1 << 20, share: 50, ..Limits::default() });
        let answer = |bytes: usize| Response::new(Body::from(vec![0; bytes]));
        let held = places.sending(Peer::default(), answer(1 << 19)).await.unwrap();
        let waits = places.sending(Peer::default(), answer(1)).await.unwrap_err();
        assert!(matches!(waits, Error::Share { .. }), "{waits}");
        drop(held);
        let never = places.sending(Peer::default(), answer((1 << 19) + 1)).await.unwrap_err();
        assert!(matches!(never, Error::Answer(_)), "{never}");
    }
}
