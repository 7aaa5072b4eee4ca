//! Receipts on request: an answer's header holds a signed statement of what was asked, what was answered, and by which
//! model on which evidence.
//!
//! A client asks with the header (or gRPC metadata) `Sealwright-Receipt: request`. The digests are over the exact bytes of
//! the bodies, or of the messages inside gRPC's frames, so both are held in memory; without the header nothing is.

use axum::{body::Body, extract::Request, middleware::Next, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use std::sync::Arc;

use crate::{
    engine::Engine,
    error::{Error, Result},
    registry::Servable,
    rest,
    session::{Exchange, SessionHandle},
};

/// The header of requests that want a receipt, and of answers that have one.
pub const RECEIPT_HEADER: HeaderName = HeaderName::from_static("sealwright-receipt");
/// The value with which a request asks.
pub const RECEIPT_REQUEST: HeaderValue = HeaderValue::from_static("request");
/// A compression flag and a length come before each message of gRPC.
pub(crate) const FRAME_HEADER: usize = 5;

pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    headers.get(RECEIPT_HEADER).is_some_and(|value| value == RECEIPT_REQUEST)
}

/// Answers a request and puts a receipt beside the answer of a model. Errors get none: nothing was predicted. A request that no receipt
/// can be over is refused first.
pub(crate) async fn answer(
    engine: &Engine,
    session: &SessionHandle,
    grpc: bool,
    request: Request,
    next: Next,
) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let asked = rest::collect(body, engine.limits().body_bytes + FRAME_HEADER).await?;
    let expected = "one gRPC message that is not compressed, because a receipt is asked for";
    let said = if grpc { message(&asked) } else { Some(&asked[..]) };
    let said = said.ok_or_else(|| Error::invalid("body", expected, "other bytes"))?;
    let response = next.run(Request::from_parts(parts, Body::from(asked.clone()))).await;
    let Some(servable) = response.extensions().get::<Arc<Servable>>().cloned() else { return Ok(response) };

    let (mut parts, body) = response.into_parts();
    let answered = body.collect().await.map_err(|error| Error::Receipt(error.to_string()))?;
    let trailers = answered.trailers().cloned();
    let answered = answered.to_bytes();
    let answer = if grpc { message(&answered) } else { Some(&answered[..]) };
    let answer = answer.ok_or_else(|| Error::Receipt("the answer is not one uncompressed gRPC message".into()))?;
    let exchange = Exchange { request: said, response: answer, model: &servable };
    let receipt = session.0.receipt(&exchange).map_err(Error::Receipt)?;
    let receipt = HeaderValue::try_from(receipt).map_err(|error| Error::Receipt(error.to_string()))?;
    parts.headers.insert(RECEIPT_HEADER, receipt);
    engine.metrics().receipt();
    Ok(Response::from_parts(parts, with_trailers(answered, trailers)))
}

/// The message in gRPC's frame, if there is exactly one, as in every call that this server answers, and nothing is compressed.
fn message(body: &[u8]) -> Option<&[u8]> {
    let (header, message) = body.split_first_chunk::<FRAME_HEADER>()?;
    let [0, length @ ..] = header else { return None };
    let whole = usize::try_from(u32::from_be_bytes(*length)) == Ok(message.len());
    whole.then_some(message)
}

/// A body of these bytes, and what comes after it.
pub(crate) fn with_trailers(body: Bytes, trailers: Option<HeaderMap>) -> Body {
    match trailers {
        Some(trailers) => Body::new(Full::new(body).with_trailers(std::future::ready(Some(Ok(trailers))))),
        None => Body::from(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_single_plain_frame_is_a_message() {
        assert_eq!(message(&[0, 0, 0, 0, 2, 7, 8]).unwrap(), [7, 8]);
        assert_eq!(message(&[0, 0, 0, 0, 0]).unwrap(), [0; 0]);
        for bad in [&[][..], &[0, 0, 0, 0], &[1, 0, 0, 0, 0], &[0, 0, 0, 0, 1], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            assert!(message(bad).is_none(), "{bad:?}");
        }
    }
}
