//! The server's side of the exchange, per connection.

use super::{server::Shared, sha256, stream::Exporter};
use aws_lc_rs::digest::{SHA384, digest};
use bytes::Bytes;
use http::{Response, StatusCode, header::CONTENT_TYPE};
use sealwright_evidence::{Collected, Error as EvidenceError, SNAPSHOT_ATTEMPTS};
use sealwright_wire::{
    Digest,
    kbs::{ErrorInformation, Message},
    quote::Quote,
    ratls::{
        AttestRequest, AttestResponse, Claims, EXPORTER_LEN, EvidenceKind, HashEntry, NONCE_LEN, TaggedEvidence,
        report_data,
    },
};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

/// How often one connection may ask for evidence: a quote is the most expensive thing a stranger can ask for.
pub const MAX_EXCHANGES: u32 = 16;

/// Why the exchange gave no evidence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The request is malformed.
    #[error(transparent)]
    Request(#[from] sealwright_wire::Error),
    /// The connection asked [`MAX_EXCHANGES`] times already.
    #[error("this connection asked for evidence {MAX_EXCHANGES} times: open another one")]
    TooMany,
    /// The TLS session has ended.
    #[error("the TLS session has ended")]
    SessionEnded,
    /// The environment gave no evidence.
    #[error("no evidence: {0}")]
    Evidence(#[from] sealwright_evidence::Error),
    /// Collecting evidence was interrupted.
    #[error("collecting evidence was interrupted")]
    Interrupted,
}

impl ExchangeError {
    /// The HTTP status that says whose fault it is.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Request(_) => StatusCode::BAD_REQUEST,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::SessionEnded | Self::Evidence(_) | Self::Interrupted => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn error_type(&self) -> &'static str {
        match self {
            Self::Request(_) => "malformed-request",
            Self::TooMany => "too-many-exchanges",
            Self::SessionEnded => "session-ended",
            Self::Evidence(_) | Self::Interrupted => "no-evidence",
        }
    }
}

/// That a connection finished the exchange. Only [`Connection`] makes one; a workload that asks for one before it answers
/// cannot forget to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attested {
    evidence_sha384: Digest<48>,
}

impl Attested {
    /// SHA-384 of the quote that this connection's client was shown last, from its header to the end of its signature
    /// data: what receipts refer to.
    pub const fn evidence_sha384(&self) -> &Digest<48> {
        &self.evidence_sha384
    }
}

/// The state of one connection on the server's side. Clones are the same connection.
#[derive(Clone)]
pub struct Connection(Arc<State>);

struct State {
    shared: Arc<Shared>,
    exporter: Arc<dyn Exporter>,
    http2: bool,
    exchanges: AtomicU32,
    attested: Mutex<Option<Attested>>,
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>, exporter: Arc<dyn Exporter>, http2: bool) -> Self {
        let (exchanges, attested) = (AtomicU32::new(0), Mutex::new(None));
        Self(Arc::new(State { shared, exporter, http2, exchanges, attested }))
    }

    /// Whether the client chose HTTP/2.
    pub fn is_http2(&self) -> bool {
        self.0.http2
    }

    /// Whether this connection finished the exchange: the guard that every other route stands behind.
    pub fn attested(&self) -> Option<Attested> {
        self.0.attested.lock().map_or(None, |attested| attested.clone())
    }

    /// Answers `POST` [`ATTEST_PATH`](sealwright_wire::ratls::ATTEST_PATH): evidence over the client's nonce and this
    /// session's exporter. From then on the connection is attested.
    ///
    /// # Errors
    /// When the request is malformed, came too often, or the environment gives no evidence.
    pub async fn attest(&self, request: &[u8]) -> Result<AttestResponse, ExchangeError> {
        let request = AttestRequest::from_json(request)?;
        let nonce = *request.nonce()?;
        if self.0.exchanges.fetch_add(1, Ordering::Relaxed) >= MAX_EXCHANGES {
            self.0.exchanges.store(MAX_EXCHANGES, Ordering::Relaxed);
            return Err(ExchangeError::TooMany);
        }
        let exporter = self.0.exporter.export(&nonce).ok_or(ExchangeError::SessionEnded)?;
        let (claims, collected) = self.collect(nonce, exporter).await?;
        let evidence_sha384 = evidence_sha384(&collected.quote)?;
        let tagged = TaggedEvidence { kind: EvidenceKind::Quote, evidence: &collected.quote, claims: &claims };
        let response = AttestResponse { evidence: tagged.encode()?, event_log: collected.event_log };
        if let Ok(mut attested) = self.0.attested.lock() {
            *attested = Some(Attested { evidence_sha384 });
        }
        Ok(response)
    }

    /// [`Connection::attest`] as an HTTP answer: JSON, or the protocol's error information.
    pub async fn respond(&self, request: &[u8]) -> Response<Bytes> {
        let answered = self.attest(request).await.and_then(|response| Ok(response.to_json()?));
        let (status, body) = match answered {
            Ok(body) => (StatusCode::OK, body),
            Err(error) => {
                let (error_type, detail) = (error.error_type().to_owned(), error.to_string());
                let information = ErrorInformation { error_type, detail, explanation: None };
                (error.status(), information.to_json().unwrap_or_default())
            }
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        response
    }

    async fn collect(
        &self,
        nonce: [u8; NONCE_LEN],
        exporter: [u8; EXPORTER_LEN],
    ) -> Result<(Vec<u8>, Collected), ExchangeError> {
        let place = Arc::clone(&self.0.shared.quotes).acquire_owned().await.map_err(|_| ExchangeError::Interrupted)?;
        let shared = Arc::clone(&self.0.shared);
        let collecting = tokio::task::spawn_blocking(move || {
            // It belongs to the work, which goes on when its client hangs up and nobody waits here any more.
            let _place = place;
            shared.evidence(&nonce, &exporter)
        });
        collecting.await.map_err(|_| ExchangeError::Interrupted)?
    }
}

impl Shared {
    /// Claims of a session that name the event log as it is now, and evidence over them with that log. When an event is measured in
    /// between, the log is another one, and both are made again.
    fn evidence(
        &self,
        nonce: &[u8; NONCE_LEN],
        exporter: &[u8; EXPORTER_LEN],
    ) -> Result<(Vec<u8>, Collected), ExchangeError> {
        for _ in 0..SNAPSHOT_ATTEMPTS {
            let log = self.backend.event_log()?.map(|log| sha256(&log));
            let claims = Claims {
                pubkey_hash: HashEntry::sha256(&self.spki_sha256),
                nonce: Some(nonce),
                tls_exporter: Some(exporter),
                receipt_key: Some(HashEntry::sha256(&self.receipt_key_sha256)),
                event_log: log.as_ref().map(HashEntry::sha256),
            };
            let claims = claims.encode()?;
            let collected = self.backend.evidence(&report_data(&sha256(&claims)))?;
            if collected.event_log.as_deref().map(sha256) == log {
                return Ok((claims, collected));
            }
        }
        Err(EvidenceError::Unstable { attempts: SNAPSHOT_ATTEMPTS }.into())
    }
}

/// The digest by which a quote is known: of everything but what hosts put behind it.
pub(crate) fn evidence_sha384(quote: &[u8]) -> Result<Digest<48>, sealwright_wire::Error> {
    let mut sha384 = Digest([0; 48]);
    sha384.0.copy_from_slice(digest(&SHA384, Quote::parse(quote)?.without_trailing()).as_ref());
    Ok(sha384)
}
