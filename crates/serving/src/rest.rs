//! What the REST protocols share: reading a body, and answering in JSON.

use std::{io::Read as _, sync::Arc};

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use flate2::bufread::{GzDecoder, ZlibDecoder};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;

use crate::{
    engine::Engine,
    error::{Error, Result},
    limits::Limits,
    registry::Servable,
};

/// The body of a request, inflated if it is compressed, at most [`Limits::body_bytes`].
///
/// # Errors
/// [`Error::TooLarge`], [`Error::Invalid`] if it breaks off or does not inflate, or [`Error::Encoding`].
pub(crate) async fn body(request: Request, limits: &Limits) -> Result<Bytes> {
    let limit = limits.body_bytes;
    let inflate = Inflate::of(request.headers())?;
    let body = collect(request.into_body(), limit).await?;
    match inflate {
        Some(inflate) => inflate.all(&body, limit),
        None => Ok(body),
    }
}

/// How bodies may be compressed (RFC 9110, section 8.4.1).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Inflate {
    Gzip,
    /// The zlib format (RFC 1950), whatever the name says.
    Deflate,
}

impl Inflate {
    /// What a request says of its body.
    fn of(headers: &HeaderMap) -> Result<Option<Self>> {
        let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
        match (encodings.next().map(HeaderValue::as_bytes), encodings.next()) {
            (None | Some(b"identity"), None) => Ok(None),
            (Some(b"gzip" | b"x-gzip"), None) => Ok(Some(Self::Gzip)),
            (Some(b"deflate"), None) => Ok(Some(Self::Deflate)),
            (Some(found), None) => Err(Error::Encoding(format!("`{}`", found.escape_ascii()))),
            (_, Some(_)) => Err(Error::Encoding("several".into())),
        }
    }

    /// All that a body holds, if that is no more than `limit` bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`], or [`Error::Invalid`] if it is not in this format from its first byte to its last.
    pub(crate) fn all(self, mut body: &[u8], limit: usize) -> Result<Bytes> {
        let (mut inflated, most) = (Vec::new(), limit as u64 + 1);
        let read = match self {
            Self::Gzip => GzDecoder::new(&mut body).take(most).read_to_end(&mut inflated),
            Self::Deflate => ZlibDecoder::new(&mut body).take(most).read_to_end(&mut inflated),
        };
        match read {
            Ok(length) if length > limit => Err(too_large(limit, most)),
            Ok(_) if body.is_empty() => Ok(inflated.into()),
            Ok(_) | Err(_) => Err(Error::invalid("body", format!("{self:?} from first to last byte"), "other bytes")),
        }
    }
}

/// All bytes of a body.
///
/// # Errors
/// As [`body`].
pub(crate) async fn collect(body: Body, limit: usize) -> Result<Bytes> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(broken(&*error, limit)),
    }
}

/// Why a body did not come whole.
pub(crate) fn broken(error: &(dyn std::error::Error + Send + Sync + 'static), limit: usize) -> Error {
    if error.is::<LengthLimitError>() {
        return too_large(limit, limit as u64 + 1);
    }
    Error::invalid("body", "as many bytes as announced", "a connection that broke off")
}

/// That a body is not announced to be too long: nobody waits for one that is.
///
/// # Errors
/// [`Error::TooLarge`].
pub(crate) fn check_announced(body: &Body, limit: usize) -> Result<()> {
    let least = body.size_hint().lower();
    if least > limit as u64 { Err(too_large(limit, least)) } else { Ok(()) }
}

fn too_large(limit: usize, found: u64) -> Error {
    Error::TooLarge { what: "bytes of the body", limit: limit as u64, found }
}

/// An answer in JSON.
pub(crate) fn json(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer or its error; errors are counted.
pub(crate) fn reply(engine: &Engine, answer: Result<Response>) -> Response {
    answer.unwrap_or_else(|error| {
        engine.metrics().refused(error.reason());
        error.into_response()
    })
}

/// Marks an answer with the model it came from, for its receipt.
pub(crate) fn served(mut response: Response, servable: &Arc<Servable>) -> Response {
    response.extensions_mut().insert(Arc::clone(servable));
    response
}

impl IntoResponse for Error {
    /// `{"error": "..."}`, which is what both REST protocols say.
    fn into_response(self) -> Response {
        let mut response = json(serde_json::json!({ "error": self.to_string() }).to_string());
        *response.status_mut() = self.http_status();
        if matches!(self, Self::Overloaded { .. } | Self::Share { .. } | Self::NotAvailable { .. }) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
