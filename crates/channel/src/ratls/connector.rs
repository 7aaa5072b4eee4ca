//! The client's end: connects, looks, judges, and only then hands out something that can send a request.

use super::{
    names,
    sender::{Protocol, Sender, body},
    stream::{Stream, Tap, Tapped},
    verifier::{BindingError, Opened, open_answer, verifier},
};
use crate::{
    BoxFuture,
    http::Endpoint,
    judge::{Appraisal, Judge, Judged},
    tls,
};
use aws_lc_rs::rand;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use sealwright_appraise::{Binding, Check, Explanation, Outcome};
use sealwright_wire::{
    kbs::{ErrorInformation, Message},
    ratls::{ATTEST_PATH, AttestRequest, AttestResponse, Certificate, EXPORTER_LABEL, EXPORTER_LEN, NONCE_LEN},
    time::UnixTime,
};
use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};
use subtle::ConstantTimeEq;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// How long connecting, the exchange and the judgement may take together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no attested connection. Nothing but attestation messages was sent to the server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody answers there.
    #[error("connecting to {address}: {source}")]
    Connect {
        /// Host and port.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The address is none.
    #[error(transparent)]
    Address(#[from] crate::http::Error),
    /// The TLS handshake failed.
    #[error("TLS: {0}")]
    Tls(#[source] io::Error),
    /// The TLS library refused its configuration.
    #[error(transparent)]
    Configuration(#[from] tls::Error),
    /// The server does not speak the asked-for HTTP version.
    #[error("the server did not agree to {0:?}")]
    Protocol(Protocol),
    /// The server broke HTTP off.
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    /// The server gave no evidence.
    #[error("the server gives no evidence ({status}): {detail}")]
    NoEvidence {
        /// The status of its answer.
        status: StatusCode,
        /// What it says.
        detail: String,
    },
    /// The server's answer is not of this protocol.
    #[error("the server's answer to the exchange: {0}")]
    Answer(String),
    /// The server was not attested in time.
    #[error("no attested connection within {0:?}")]
    Timeout(Duration),
    /// The cryptographic library or the clock refused.
    #[error("{0}")]
    Local(&'static str),
    /// The server is not what the policy demands.
    #[error("{}", .0.headline)]
    Refused(Box<Explanation>),
}

impl ConnectError {
    /// The reasons, when the server was judged and refused.
    pub fn explanation(&self) -> Option<&Explanation> {
        match self {
            Self::Refused(explanation) => Some(explanation),
            _ => None,
        }
    }
}

/// Makes attested connections under one judge.
#[derive(Clone)]
pub struct Connector {
    judge: Arc<Judge>,
    http1: TlsConnector,
    http2: TlsConnector,
    timeout: Duration,
}

/// A connection whose server was judged and accepted.
pub struct AttestedConnection {
    /// What sends requests.
    pub sender: Sender,
    /// Why the server was accepted.
    pub appraisal: Appraisal,
    /// The evidence that was judged: keep it with the receipts that the server gives.
    pub evidence: AttestResponse,
}

/// What this session is known by on the client's side.
struct Session {
    spki: Vec<u8>,
    nonce: [u8; NONCE_LEN],
    exporter: [u8; EXPORTER_LEN],
}

impl Connector {
    /// A connector whose connections are accepted by this judge or not at all.
    ///
    /// # Errors
    /// When the TLS library refuses its configuration.
    pub fn new(judge: Arc<Judge>) -> Result<Self, ConnectError> {
        let (http1, http2) = (connector(b"http/1.1")?, connector(b"h2")?);
        Ok(Self { judge, http1, http2, timeout: CONNECT_TIMEOUT })
    }

    /// The same connector with another limit on the time until a connection is attested.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Connects to `host:port`, attests and judges the server.
    ///
    /// # Errors
    /// When the server is not reached, or refused; then nothing but attestation messages was sent.
    pub async fn connect(&self, address: &str, protocol: Protocol) -> Result<AttestedConnection, ConnectError> {
        self.connect_tapped(address, protocol, ()).await
    }

    /// [`Connector::connect`], with someone who is shown the cleartext.
    ///
    /// # Errors
    /// As [`Connector::connect`].
    pub async fn connect_tapped(
        &self,
        address: &str,
        protocol: Protocol,
        tap: impl Tap,
    ) -> Result<AttestedConnection, ConnectError> {
        let address = Endpoint::parse(&format!("https://{address}"))?.address();
        let connecting = async {
            let failed = |source| ConnectError::Connect { address: address.clone(), source };
            let tcp = TcpStream::connect(&address).await.map_err(failed)?;
            tcp.set_nodelay(true).map_err(failed)?;
            self.attest(Box::new(tcp), &address, protocol, Box::new(tap)).await
        };
        self.bounded(connecting).await
    }

    /// Attests and judges a server over a stream that is connected already. `authority` goes into requests as the host.
    ///
    /// # Errors
    /// As [`Connector::connect`].
    pub async fn connect_over<IO>(
        &self,
        io: IO,
        authority: &str,
        protocol: Protocol,
        tap: impl Tap,
    ) -> Result<AttestedConnection, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.bounded(self.attest(Box::new(io), authority, protocol, Box::new(tap))).await
    }

    async fn bounded<T>(&self, attesting: impl Future<Output = Result<T, ConnectError>>) -> Result<T, ConnectError> {
        tokio::time::timeout(self.timeout, attesting).await.unwrap_or(Err(ConnectError::Timeout(self.timeout)))
    }

    /// Boxed and not generic, so that TLS and both versions of HTTP are compiled here, once.
    fn attest<'a>(
        &'a self,
        io: Box<dyn Stream>,
        authority: &'a str,
        protocol: Protocol,
        tap: Box<dyn Tap>,
    ) -> BoxFuture<'a, Result<AttestedConnection, ConnectError>> {
        Box::pin(async move {
            let tls = match protocol {
                Protocol::Http1 => &self.http1,
                Protocol::Http2 => &self.http2,
            };
            // The name goes nowhere: RA-TLS certificates are not known by names, and SNI is off.
            let name = ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into());
            let stream = tls.connect(name, io).await.map_err(refused_handshake)?;
            let session = Session::of(&stream, protocol)?;
            let mut sender = Sender::over(Tapped::new(stream, tap), authority, protocol).await?;
            let evidence = exchange(&mut sender, &session.nonce).await?;
            let (judge, at) = (Arc::clone(&self.judge), now()?);
            // Signatures and policy are a millisecond of work, or a wait for the process that evaluates the policy.
            let judging = tokio::task::spawn_blocking(move || {
                let appraisal = session.judge(&judge, &evidence, at)?;
                Ok((appraisal, evidence))
            });
            let judged = judging.await.map_err(|_| ConnectError::Local("the judgement was interrupted"))?;
            let (appraisal, evidence) = judged.map_err(ConnectError::Refused)?;
            Ok(AttestedConnection { sender, appraisal, evidence })
        })
    }
}

fn connector(protocol: &[u8]) -> Result<TlsConnector, ConnectError> {
    let mut config: ClientConfig = tls::client_config(Arc::new(verifier()))?;
    config.alpn_protocols = vec![protocol.to_vec()];
    config.enable_sni = false;
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A handshake that [`verifier()`] refused is a refusal with reasons, not a broken connection.
fn refused_handshake(error: io::Error) -> ConnectError {
    let binding = error.get_ref().and_then(|inner| match inner.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) => {
            other.0.downcast_ref::<BindingError>()
        }
        _ => None,
    });
    match binding {
        Some(binding) => ConnectError::Refused(Box::new(Explanation::refused(unbound(binding), None))),
        None => ConnectError::Tls(error),
    }
}

fn unbound(error: &BindingError) -> Check {
    Check::new(Outcome::Failed, "ratls-unbound", "certificate")
        .expected("evidence whose claims name the key of the connection and the event log")
        .actual(error)
        .source("interoperable RA-TLS profile")
        .remedy("ask for the server's own address: something in between answers, or the server's evidence was altered")
}

fn now() -> Result<UnixTime, ConnectError> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map(|since| UnixTime(since.as_secs())).map_err(|_| ConnectError::Local("the clock is before 1970"))
}

/// The one request that is sent before the server has been judged.
async fn exchange(sender: &mut Sender, nonce: &[u8; NONCE_LEN]) -> Result<AttestResponse, ConnectError> {
    let question = AttestRequest { nonce: nonce.to_vec() };
    let question = question.to_json().map_err(|error| ConnectError::Answer(error.to_string()))?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(ATTEST_PATH)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body(question))
        .map_err(|_| ConnectError::Local("the exchange's request cannot be written"))?;
    let (head, incoming) = sender.send(request).await?.into_parts();
    let collected = Limited::new(incoming, AttestResponse::LIMIT).collect().await;
    let answer = collected.map_err(|error| ConnectError::Answer(error.to_string()))?.to_bytes();
    if head.status != StatusCode::OK {
        let said = ErrorInformation::from_json(&answer).map_or_else(|_| "no reason".to_owned(), |said| said.detail);
        return Err(ConnectError::NoEvidence { status: head.status, detail: said });
    }
    AttestResponse::from_json(&answer).map_err(|error| ConnectError::Answer(error.to_string()))
}

impl Session {
    fn of<IO>(stream: &TlsStream<IO>, protocol: Protocol) -> Result<Self, ConnectError> {
        let connection = stream.get_ref().1;
        let agreed = match protocol {
            Protocol::Http1 => connection.alpn_protocol() == Some(b"http/1.1"),
            Protocol::Http2 => connection.alpn_protocol() == Some(b"h2"),
        };
        if !agreed {
            return Err(ConnectError::Protocol(protocol));
        }
        let certificate = connection.peer_certificates().and_then(|chain| chain.first());
        let certificate = certificate.ok_or(ConnectError::Local("a TLS session without a certificate"))?;
        let spki = Certificate::parse(certificate).map_err(|error| ConnectError::Answer(error.to_string()))?.spki;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| ConnectError::Local("the system has no random bytes"))?;
        let exporter = connection
            .export_keying_material([0; EXPORTER_LEN], EXPORTER_LABEL, Some(&nonce))
            .map_err(|_| ConnectError::Local("the TLS session has no exporter"))?;
        Ok(Self { spki: spki.to_vec(), nonce, exporter })
    }

    /// First whether the evidence is about this session, then whether it is good enough.
    fn judge(&self, judge: &Judge, response: &AttestResponse, at: UnixTime) -> Result<Appraisal, Box<Explanation>> {
        let unbound = |error: BindingError| Box::new(Explanation::refused(unbound(&error), None));
        let Opened { evidence, claims, report_data } = open_answer(response).map_err(unbound)?;
        let nonce = claims.nonce.is_some_and(|nonce| nonce.ct_eq(&self.nonce).into());
        let exporter = claims.tls_exporter.is_some_and(|exporter| exporter.ct_eq(&self.exporter).into());
        let channel = vec![
            session_check(names(&claims.pubkey_hash, &self.spki), "channel-key", "pubkey-hash"),
            session_check(nonce, "channel-nonce", "nonce"),
            session_check(exporter, "channel-exporter", "tls-exporter"),
        ];
        if channel.iter().any(|check| check.outcome != Outcome::Passed) {
            return Err(Box::new(Explanation::new(channel, "", judge.anchor_of(&evidence.quote).as_ref())));
        }
        let binding = Binding::new("post-handshake exchange", report_data);
        let appraisal = judge.judge(&evidence, &binding, at).and_then(Judged::accepted)?;
        Ok(appraisal.after(channel))
    }
}

/// A check that the evidence was made for this session.
fn session_check(passed: bool, code: &str, claim: &str) -> Check {
    if passed {
        return Check::new(Outcome::Passed, code, claim).source("post-handshake exchange");
    }
    Check::new(Outcome::Failed, format!("{code}-mismatch"), claim)
        .expected("the value of this TLS session")
        .actual("another session's, or none")
        .source("post-handshake exchange")
        .remedy("ask for the server's own address: this evidence was made for another connection, or is replayed")
}
