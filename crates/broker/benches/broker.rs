//! What a workload costs its broker: `/auth` and `/attest` on one kept-alive connection, as processor time of the server's process, beside
//!
//! - *its cryptography*, done alone: everything that the server does of it in one handshake. The signature of the quoting enclave's report is
//!   not part of it, because a broker that has seen the enclave remembers it. No server can be faster.
//! - *a bare server*: the same runtime, TLS, HTTP and router, which read the same requests, make as long a line durable, give the same answers,
//!   and do nothing else. What it costs is the system's and the libraries': a broker that is made of them costs this and the rest of its
//!   cryptography, and whatever is above that is our own.
//!
//! The servers are this program again, in processes of their own, so that nothing of the client or of the simulated machine is counted. All
//! figures are taken in turns, under the same load and with the same caches. One connection needs one worker thread: with more, each event
//! wakes several of them, which is the runtime's work and not the broker's.

#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/broker/desk.rs"]
mod desk;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement::{self, ECDH_P256},
    digest::{SHA256, SHA384, digest},
    rand,
    signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey},
};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use criterion::Criterion;
use desk::{Answer, Desk, Guest, attestation, report_data};
use http::{HeaderMap, StatusCode, header};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use rustix::{
    fs::OFlags,
    time::{ClockId, clock_gettime},
};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use sealwright_appraise::SigningKey;
use sealwright_broker::{Broker, Config};
use sealwright_evidence::Backend;
use sealwright_wire::{quote::Quote, tcg2::Log};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    hint::black_box,
    io::{Read, Write},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
};
use tokio_rustls::TlsAcceptor;

/// Names the folder of the broker that this program runs instead of measuring.
const SERVER: &str = "SEALWRIGHT_BENCH_BROKER";
/// Names the folder of the bare server, in place of [`SERVER`].
const BARE: &str = "SEALWRIGHT_BENCH_BARE";
/// Bytes of a line in the audit log.
const LINE: usize = 762;
/// What HTTP/1.1 writes around a body, in bytes: about this much, both ways.
const HEAD: usize = 350;
/// The most bytes of one TLS record.
const RECORD: usize = 16 << 10;

fn main() {
    let of = |name| std::env::var_os(name).map(PathBuf::from);
    match (of(SERVER), of(BARE)) {
        (Some(folder), _) => serve(&folder),
        (None, Some(folder)) => serve_bare(&folder),
        (None, None) => measure(),
    }
}

/// Runs a broker until whoever started this process is gone.
fn serve(folder: &Path) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut config = Config::load(&folder.join("broker.toml")).unwrap();
    config.limits.auth_per_second = 0;
    let broker = runtime.block_on(Broker::start(config)).unwrap();
    announce(folder, broker.local_addr());
    let _ = std::io::stdin().read(&mut [0]);
    runtime.block_on(broker.stop()).unwrap();
}

fn announce(folder: &Path, address: SocketAddr) {
    fs::write(folder.join("address.new"), address.to_string()).unwrap();
    fs::rename(folder.join("address.new"), folder.join("address")).unwrap();
}

/// Answers the requests of a handshake with what a broker answered once, until whoever started this process is gone.
fn serve_bare(folder: &Path) {
    let (certificate, key) = (folder.join("tls/server.pem"), folder.join("tls/server.key"));
    let chain = CertificateDer::pem_file_iter(certificate).unwrap().collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let tls = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let tls = TlsAcceptor::from(Arc::new(tls));
    let [challenge, token] = serde_json::from_slice(&fs::read(folder.join("answers.json")).unwrap()).unwrap();
    let answers = Arc::new((challenge, token, Mutex::new(durable_log(&folder.join("lines")))));
    let auth = post(|State(answers): State<Arc<Answers>>, _: Bytes| async move { answers.0.response() });
    let attest = post(|State(answers): State<Arc<Answers>>, _: Bytes| async move {
        answers.2.lock().unwrap().write_all(&[b'x'; LINE]).unwrap();
        answers.1.response()
    });
    let router = Router::new().route("/kbs/v0/auth", auth).route("/kbs/v0/attest", attest).with_state(answers);

    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    announce(folder, listener.local_addr().unwrap());
    runtime.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let stream = TokioIo::new(tls.accept(stream).await.unwrap());
        http1::Builder::new().serve_connection(stream, TowerToHyperService::new(router)).await.unwrap();
    });
    let _ = std::io::stdin().read(&mut [0]);
}

/// A file in which a line is durable when it has been written.
fn durable_log(path: &Path) -> File {
    let durably = OFlags::DSYNC.bits().try_into().unwrap();
    OpenOptions::new().append(true).create(true).custom_flags(durably).open(path).unwrap()
}

/// What the bare server gives, and the file that it writes to.
type Answers = (Recorded, Recorded, Mutex<File>);

/// An answer of the broker.
#[derive(Serialize, Deserialize)]
struct Recorded {
    headers: Vec<(String, String)>,
    body: String,
}

impl Recorded {
    fn of(answer: &Answer) -> Self {
        let written_anew = [header::CONTENT_LENGTH, header::DATE];
        let headers = answer.headers.iter().filter(|(name, _)| !written_anew.contains(name));
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        Self { headers, body: String::from_utf8(answer.body.clone()).unwrap() }
    }

    fn response(&self) -> Response {
        let mut response = self.body.clone().into_response();
        let headers = self.headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        response.headers_mut().extend(headers.collect::<HeaderMap>());
        response
    }
}

/// A server in a process of its own, the processor time that it has used, and its client.
struct Server {
    process: Child,
    threads: HashMap<String, u64>,
    guest: Guest,
}

impl Server {
    /// Starts this program as the server that `role` names, and waits for its address.
    fn start(role: &str, desk: &Desk) -> Self {
        let folder = desk.broker_folder();
        let program = std::env::current_exe().unwrap();
        let process = Command::new(program).env(role, &folder).stdin(Stdio::piped()).spawn().unwrap();
        let address = folder.join("address");
        while !address.exists() {
            std::thread::sleep(Duration::from_millis(20));
        }
        let url = format!("https://{}", fs::read_to_string(&address).unwrap());
        fs::remove_file(address).unwrap();
        Self { process, threads: HashMap::new(), guest: Guest::new(&url, &desk.trust()) }
    }

    /// Of all threads, those that have ended included.
    fn cpu(&mut self) -> Duration {
        let tasks = format!("/proc/{}/task", self.process.id());
        for task in fs::read_dir(tasks).unwrap().flatten() {
            let Ok(stat) = fs::read_to_string(task.path().join("schedstat")) else { continue };
            let nanoseconds = stat.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0);
            self.threads.insert(task.file_name().to_string_lossy().into_owned(), nanoseconds);
        }
        Duration::from_nanos(self.threads.values().sum())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// The processor time of this thread, up to this moment.
fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// Returns what was sent as evidence, and the answers.
fn handshake(runtime: &Runtime, guest: &mut Guest, desk: &Desk) -> (Value, [Answer; 2]) {
    runtime.block_on(async {
        let challenge = guest.auth().await;
        let nonce = challenge.json()["nonce"].as_str().unwrap().to_owned();
        let message = attestation(&desk.td, &nonce, &guest.public_key());
        let answer = guest.post("/kbs/v0/attest", &message).await;
        assert_eq!(answer.status, StatusCode::OK);
        (message, [challenge, answer])
    })
}

fn measure() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let desk = Desk::prepared();
    desk.td.extend(&desk::load_model("sha384:00ff")).unwrap();
    let mut broker = Server::start(SERVER, &desk);
    let (message, answers) = handshake(&runtime, &mut broker.guest, &desk);
    let cryptography = Cryptography::new(&desk, &broker.guest, message.to_string().len(), answers[1].body.len());
    let recorded = answers.each_ref().map(Recorded::of);
    fs::write(desk.broker_folder().join("answers.json"), serde_json::to_vec(&recorded).unwrap()).unwrap();
    let mut bare = Server::start(BARE, &desk);

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("handshake");
    group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    for (name, server) in [("server cpu", &mut broker), ("a bare server", &mut bare)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let before = server.cpu();
                for _ in 0..times {
                    handshake(&runtime, &mut server.guest, &desk);
                    cryptography.run();
                }
                server.cpu().saturating_sub(before)
            });
        });
    }
    let parts: [(_, fn(&Cryptography)); 2] =
        [("its cryptography", Cryptography::run), ("its cryptography, but for TLS", Cryptography::but_for_tls)];
    for (name, part) in parts {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let mut alone = Duration::ZERO;
                for _ in 0..times {
                    handshake(&runtime, &mut broker.guest, &desk);
                    let before = own_cpu();
                    part(&cryptography);
                    alone += own_cpu().saturating_sub(before);
                }
                alone
            });
        });
    }
    group.finish();
    criterion.final_summary();
}

/// Everything cryptographic that the server does in one handshake, over the same bytes.
struct Cryptography {
    quote: Vec<u8>,
    /// Decoded once for all quotes of an enclave.
    attestation_key: ParsedPublicKey,
    /// How often the event log extends a register.
    extends: usize,
    tee_key: Vec<u8>,
    token_key: SigningKey,
    token: Vec<u8>,
    record_key: LessSafeKey,
    /// Bytes of application data in each of the two requests and answers.
    exchanged: [usize; 4],
}

impl Cryptography {
    fn new(desk: &Desk, guest: &Guest, evidence_bytes: usize, token_bytes: usize) -> Self {
        let evidence = desk.td.evidence(&report_data("nonce", &guest.public_key())).unwrap();
        let log = evidence.event_log.unwrap();
        let log = Log::parse(&log).unwrap();
        let token_key = SigningKey::generate().unwrap();
        Self {
            attestation_key: attestation_key(&evidence.quote),
            quote: evidence.quote,
            extends: log.events().count(),
            tee_key: guest.key.public_key().to_sec1_bytes().to_vec(),
            token_key,
            token: vec![b'x'; token_bytes],
            record_key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap()),
            exchanged: [HEAD + 120, HEAD + 90, HEAD + evidence_bytes, HEAD + token_bytes],
        }
    }

    fn run(&self) {
        self.records();
        self.but_for_tls();
    }

    fn but_for_tls(&self) {
        // Two names of sessions, the nonce, two names of requests.
        let mut random = [0; 32 + 32 + 32 + 8 + 8];
        rand::fill(&mut random).unwrap();
        let key = agreement::UnparsedPublicKey::new(&ECDH_P256, &self.tee_key);
        black_box(agreement::ParsedPublicKey::try_from(key).unwrap());
        // The report data, and the thumbprint of the key.
        black_box(digest(&SHA384, &[b'x'; 250]));
        black_box(digest(&SHA256, &[b'x'; 130]));
        self.quote();
        for _ in 0..self.extends {
            black_box(digest(&SHA384, &[7; 96]));
        }
        black_box(self.token_key.sign(&self.token).unwrap());
        // The line of the audit log.
        black_box(digest(&SHA256, &[b'x'; 1_100]));
    }

    fn quote(&self) {
        let quote = Quote::parse(&self.quote).unwrap();
        self.attestation_key.verify_sig(quote.signed, quote.signature).unwrap();
        black_box(digest(&SHA384, &self.quote));
    }

    /// TLS: opening costs what sealing costs.
    fn records(&self) {
        for bytes in self.exchanged {
            let mut left = bytes;
            while left > 0 {
                let mut record = vec![0; left.min(RECORD)];
                let nonce = Nonce::assume_unique_for_key([0; 12]);
                self.record_key.seal_in_place_append_tag(nonce, Aad::from([0; 5]), &mut record).unwrap();
                left = left.saturating_sub(RECORD);
                black_box(record);
            }
        }
    }
}

/// The key that signed the quote.
fn attestation_key(quote: &[u8]) -> ParsedPublicKey {
    let quote = Quote::parse(quote).unwrap();
    let point = [&[4], quote.attestation_key.as_slice()].concat();
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).unwrap()
}
