//! A simulated site, a judge that trusts it, and an HTTP server over RA-TLS whose handler a test chooses.
#![allow(dead_code)] // each test file uses a part of it

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sealwright_appraise::{Appraiser, InProcess, Policy, References, Trust};
use sealwright_channel::{
    Judge,
    ratls::{Connection, Connector, Server, Tap},
    receipt::Signer,
};
use sealwright_collateral::Library;
use sealwright_evidence::Backend;
use sealwright_sim::{Site, Td, TdConfig, files, system_clock};
use sealwright_verify::{Anchor, Anchors};
use sealwright_wire::{
    Tee,
    ratls::ATTEST_PATH,
    reference::{Parts, ReferenceValues, Value},
    time::UnixTime,
};
use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::SystemTime,
};
use tempfile::TempDir;
use tokio::io::DuplexStream;

/// What a client asks for after the exchange, and must never send before.
pub(crate) const TENSOR: &str = "a tensor that nobody but the model may see";
/// The name under which the simulated root is configured.
pub(crate) const ROOT: &str = "desk";

pub(crate) fn now() -> UnixTime {
    UnixTime(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs())
}

/// A site with one machine, and where its collateral lies.
pub(crate) struct World {
    pub(crate) site: Site,
    pub(crate) td: Td,
    pub(crate) folder: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let site = Site::found(system_clock()).unwrap();
        let td = site.boot(&TdConfig::new("model-server", files::generate("production"))).unwrap();
        let world = Self { site, td, folder: TempDir::new().unwrap() };
        world.publish();
        world
    }

    pub(crate) fn publish(&self) {
        let bundle = self.site.collateral(Tee::Tdx).unwrap().to_json().unwrap();
        std::fs::write(self.folder.path().join("collateral.json"), bundle).unwrap();
    }

    /// Another machine at the same site.
    pub(crate) fn boot(&self, name: &str, kernel: &str, debug: bool) -> Td {
        self.site.boot(&TdConfig { debug, ..TdConfig::new(name, files::generate(kernel)) }).unwrap()
    }

    /// Trusts the site's root by name, and the measurements of the site's first machine.
    pub(crate) fn judge(&self) -> Arc<Judge> {
        let root = Anchor::from_certificate(ROOT, self.site.root()).unwrap();
        let trust = Trust { accepted_anchors: [ROOT.to_owned()].into(), ..Trust::default() };
        self.judge_with(Anchors::none().with(root), trust, now())
    }

    pub(crate) fn judge_with(&self, anchors: Anchors, trust: Trust, at: UnixTime) -> Arc<Judge> {
        let (library, _) = Library::open(self.folder.path(), anchors, at).unwrap();
        let references = References::none().with("production", measured(&self.td));
        let evaluator = Arc::new(InProcess::new().unwrap());
        let appraiser = Appraiser::new(evaluator, Policy::default_attestation(), references, trust).unwrap();
        Arc::new(Judge::new(Arc::new(library), appraiser))
    }

    pub(crate) fn connector(&self) -> Connector {
        Connector::new(self.judge()).unwrap()
    }
}

/// Reference values from what a machine shows: good enough where prediction is not what is tested.
pub(crate) fn measured(td: &Td) -> ReferenceValues {
    let mut parts = Parts::empty(Tee::Tdx);
    for measurement in td.measurements().unwrap().iter().filter(|measurement| measurement.name != "rtmr3") {
        parts.values.insert(measurement.name.to_owned(), vec![Value::from(&measurement.value[..])]);
    }
    ReferenceValues::new(parts).unwrap()
}

pub(crate) async fn server(backend: impl Backend + 'static, signer: &Signer) -> Arc<Server> {
    Arc::new(Server::new(Arc::new(backend), signer.spki_sha256()).await.unwrap())
}

pub(crate) async fn plain_server(td: &Td) -> Arc<Server> {
    server(td.clone(), &Signer::generate().unwrap()).await
}

/// A whole request.
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) body: Bytes,
}

pub(crate) type Answer = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>;

/// What a server does with a request on a connection.
pub(crate) type Handler = Arc<dyn Fn(Connection, Asked) -> Answer + Send + Sync>;

pub(crate) fn handler<F, A>(answer: F) -> Handler
where
    F: Fn(Connection, Asked) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    Arc::new(move |connection, asked| Box::pin(answer(connection, asked)))
}

pub(crate) fn answer(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::new(body.into())).unwrap()
}

/// The honest server: evidence on request, and everything else only for who asked for evidence.
pub(crate) async fn honest(connection: Connection, asked: Asked) -> Response<Full<Bytes>> {
    if asked.path == ATTEST_PATH {
        return connection.respond(&asked.body).await.map(Full::new);
    }
    match connection.attested() {
        Some(_) => answer(StatusCode::OK, [b"echo: ", &asked.body[..]].concat()),
        None => answer(StatusCode::FORBIDDEN, "attest first"),
    }
}

/// Serves one connection over memory; the other end is for a client.
pub(crate) fn serve(server: &Arc<Server>, handler: Handler) -> DuplexStream {
    let (near, far) = tokio::io::duplex(1 << 16);
    let server = Arc::clone(server);
    tokio::spawn(async move {
        let Ok((stream, connection)) = server.accept(far).await else { return };
        let http2 = connection.is_http2();
        let service = service_fn(move |request: Request<Incoming>| {
            let (connection, handler) = (connection.clone(), Arc::clone(&handler));
            async move {
                let (head, body) = request.into_parts();
                let Ok(body) = body.collect().await else { return Ok(answer(StatusCode::BAD_REQUEST, "")) };
                let asked = Asked { path: head.uri.path().to_owned(), body: body.to_bytes() };
                Ok::<_, Infallible>(handler(connection, asked).await)
            }
        });
        let io = TokioIo::new(stream);
        if http2 {
            let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
        } else {
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
        }
    });
    near
}

/// Remembers all cleartext that a client sent.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<u8>>>);

impl Recorder {
    pub(crate) fn sent(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn saw(&self, needle: &str) -> bool {
        self.sent().windows(needle.len()).any(|window| window == needle.as_bytes())
    }

    /// That nothing but one attestation message over HTTP/1.1 was sent.
    pub(crate) fn assert_only_attestation(&self) {
        let sent = self.sent();
        let text = String::from_utf8(sent).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("POST {ATTEST_PATH} HTTP/1.1\r\n")), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
        assert_eq!(body["nonce"].as_str().unwrap().len(), 44, "{body}");
    }
}

impl Tap for Recorder {
    fn sent(&mut self, cleartext: &[u8]) {
        self.0.lock().unwrap().extend_from_slice(cleartext);
    }

    fn received(&mut self, _cleartext: &[u8]) {}
}
