//! The attackers of the story. They use the same libraries as everybody else; no verb of the program does what they do.

use super::refusals::{Attempt, EXPLANATION, Ending};
use super::scene::{Scene, collected};
use super::story::Story;
use crate::backend::Passing;
use crate::kept::{self, Witness};
use anyhow::{Context, Result, bail, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use sealwright_appraise::Explanation;
use sealwright_channel::kbs;
use sealwright_channel::ratls::{self, ConnectError, Connector, Protocol, Sender, Server, Tap};
use sealwright_channel::tls::Trust;
use sealwright_evidence::{Backend, Collected};
use sealwright_wire::kbs::Message;
use sealwright_wire::ratls::{ATTEST_PATH, AttestResponse};
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// A trust domain whose host meddles with what comes out of it.
fn meddling<F>(scene: &Scene, td: &str, meddle: F) -> Result<Arc<dyn Backend>>
where
    F: Fn(Collected) -> Collected + Send + Sync + 'static,
{
    Ok(Arc::new(Passing::new(machine(scene, td)?, meddle)))
}

/// A trust domain as it is.
fn machine(scene: &Scene, td: &str) -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(sealwright_sim::Client::connect(scene.socket(td))?))
}

/// Keeps the evidence that a victim was shown.
fn keep(scene: &Scene, attempt: &str, witness: &Witness) -> Result<()> {
    let shown = witness.last().context("no evidence was shown")?;
    kept::evidence(&scene.attempt(attempt)?, &shown)
}

/// What a client sends in cleartext, before TLS.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<u8>>>);

impl Tap for Sent {
    fn sent(&mut self, cleartext: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(cleartext);
    }

    fn received(&mut self, _cleartext: &[u8]) {}
}

impl Sent {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// A server that ends with its handle.
struct HostileServer {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Drop for HostileServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl HostileServer {
    /// Serves what `routes` makes of each connection.
    async fn start(server: Server, routes: impl Fn(ratls::Connection) -> Router + Send + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let Ok((stream, connection)) = server.accept(tcp).await else { continue };
                let service = hyper_util::service::TowerToHyperService::new(routes(connection));
                let io = hyper_util::rt::TokioIo::new(stream);
                connections.spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
            }
        });
        Ok(Self { address, accepting })
    }

    /// A client that judges this server as it should; returns why it refused, and what it had sent by then.
    async fn visited(&self, scene: &Scene) -> Result<(Option<Box<Explanation>>, Sent)> {
        let connector = Connector::new(Arc::new(scene.judge()?))?;
        let sent = Sent::default();
        let visit = connector.connect_tapped(&self.address.to_string(), Protocol::Http1, sent.clone()).await;
        match visit {
            Ok(_) => Ok((None, sent)),
            Err(ConnectError::Refused(explanation)) => Ok((Some(explanation), sent)),
            Err(other) => Err(other).context("the client neither accepted nor refused"),
        }
    }
}

/// One byte of the evidence changed on its way out of the trust domain: the client sends the exchange and nothing else.
pub(super) async fn tampered_evidence(scene: &Scene, story: &mut Story) -> Result<()> {
    let backend = meddling(scene, "td", |mut collected| {
        if let Some(byte) = collected.quote.get_mut(TAMPERED_BYTE) {
            *byte ^= 1;
        }
        collected
    })?;
    let witness = Witness::default();
    let server = Server::new(witness.beside(backend), [0; 32]).await?;
    let exchange = |connection: ratls::Connection| {
        let answer = move |body: Bytes| {
            let connection = connection.clone();
            async move { connection.respond(&body).await.map(axum::body::Body::from) }
        };
        Router::new().route(ATTEST_PATH, post(answer))
    };
    let server = HostileServer::start(server, exchange).await?;
    let (refused, sent) = server.visited(scene).await?;
    let Some(explanation) = refused else { bail!("evidence with a changed byte was accepted") };
    let sent = sent.text();
    let requests: Vec<_> = sent.lines().filter(|line| line.ends_with(" HTTP/1.1")).collect();
    ensure!(requests == [format!("POST {ATTEST_PATH} HTTP/1.1")], "the client sent {requests:?}");
    story.say(format!(
        "one byte of the evidence changed: the client sent {} bytes, all of them the exchange",
        sent.len()
    ))?;
    keep(scene, TAMPERED, &witness)?;
    let explanation = serde_json::to_value(explanation)?;
    fs::write(scene.attempt(TAMPERED)?.join(EXPLANATION), serde_json::to_vec_pretty(&explanation)?)?;
    story.explain("why it stopped", explanation)
}

/// What the files of that are called.
const TAMPERED: &str = "tampered-evidence";
/// In the quote's body: a byte of MRSEAM.
const TAMPERED_BYTE: usize = 80;

/// Evidence that was good yesterday, offered for today's nonce.
pub(super) async fn yesterdays_evidence(scene: &Scene, story: &mut Story) -> Result<()> {
    let broker = scene.main_broker()?;
    let attempt = Attempt { name: "yesterday", what: "evidence of yesterday, for another nonce", broker };
    let recorded: Arc<OnceLock<Collected>> = Arc::default();
    let recorder = Arc::clone(&recorded);
    let backend = meddling(scene, "td", move |collected| recorder.get_or_init(|| collected).clone())?;
    let witness = Witness::default();
    let backend = witness.beside(backend);
    let ca = fs::read(scene.path("broker").join("tls").join("ca.pem"))?;
    let trust = Trust::issuers_from_pem(&ca)?;
    let config = kbs::Config { url: broker.url.clone(), trust, timeout: kbs::DEFAULT_TIMEOUT };
    // The first handshake is honest, and its evidence is what the second one repeats.
    kbs::Client::new(&config, Arc::clone(&backend))?.attest().await.context("the evidence was not good yesterday")?;
    let repeated = kbs::Client::new(&config, backend)?.attest().await;
    keep(scene, attempt.name, &witness)?;
    let ending = match repeated {
        Ok(_) => Ending::Accepted("the broker affirmed it and gave it a token"),
        Err(error) => match error.refusal().and_then(kbs::Refusal::reasons) {
            Some(explanation) => Ending::Refused(explanation),
            None => Ending::Broken(error.to_string()),
        },
    };
    attempt.conclude(scene, story, ending).await
}

/// A relay with a TLS key of its own, in front of the genuine server. It even has evidence for its key, from a machine that it
/// controls, and passes the client's nonce on.
pub(super) async fn relay(scene: &Scene, story: &mut Story) -> Result<()> {
    let what = "a relay with its own TLS key before the genuine server";
    let attempt = Attempt { name: "relay", what, broker: scene.main_broker()? };
    let connector = Connector::new(Arc::new(scene.judge()?))?;
    let genuine = connector.connect(scene.server_address(), Protocol::Http2).await.context("the genuine server")?;
    let genuine = Arc::new(Mutex::new(genuine.sender));
    let server = Server::new(machine(scene, "debug")?, [0; 32]).await?;
    let witness = Witness::default();
    let shown = witness.clone();
    let routes = move |_: ratls::Connection| {
        let (genuine, shown) = (Arc::clone(&genuine), shown.clone());
        Router::new().route(ATTEST_PATH, post(move |body: Bytes| forward(Arc::clone(&genuine), shown.clone(), body)))
    };
    let server = HostileServer::start(server, routes).await?;
    let refused = server.visited(scene).await?.0;
    keep(scene, attempt.name, &witness)?;
    let ending = match refused {
        Some(explanation) => Ending::Refused(*explanation),
        None => Ending::Accepted("the client took the relay for the server"),
    };
    attempt.conclude(scene, story, ending).await
}

/// Asks the genuine server for evidence over the victim's nonce, and hands it on.
async fn forward(
    genuine: Arc<Mutex<Sender>>,
    shown: Witness,
    body: Bytes,
) -> axum::response::Result<axum::response::Response> {
    let shared = genuine.lock().unwrap_or_else(PoisonError::into_inner).share();
    let mut genuine = shared.ok_or("the connection cannot be shared")?;
    let request = http::Request::post(ATTEST_PATH).body(ratls::body(body)).map_err(|error| error.to_string())?;
    let answer = genuine.send(request).await.map_err(|error| error.to_string())?;
    let (head, body) = answer.map(axum::body::Body::new).into_parts();
    let body = axum::body::to_bytes(body, AttestResponse::LIMIT).await.map_err(|error| error.to_string())?;
    if let Ok(evidence) = AttestResponse::from_json(&body).map_err(anyhow::Error::from).and_then(|it| collected(&it)) {
        shown.see(&evidence);
    }
    Ok(axum::response::Response::from_parts(head, body.into()))
}
