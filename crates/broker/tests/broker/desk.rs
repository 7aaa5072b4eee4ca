//! A desk: a simulated site, a broker that trusts it, and clients that speak the key protocol as the real one does, with the messages of
//! the crate `kbs-types` and none of the broker's own code.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    digest::{SHA256, SHA384, digest},
    key_wrap::{AES_256, AesKek, KeyWrap},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use kbs_types::{Attestation, CompositeEvidence, ErrorInformation, Request, Response, RuntimeData, Tee, TeePubKey};
use p256::{
    PublicKey, SecretKey, ecdh,
    elliptic_curve::{Generate, sec1::ToSec1Point},
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use sealwright_broker::{
    Broker, Config,
    admin::{self, Client, load_key},
    init::{ExtraAnchor, Initialised, Options, init},
};
use sealwright_channel::{
    http::{Client as Http, Endpoint, Reply},
    tls::{Trust, key_sha256},
};
use sealwright_evidence::Backend;
use sealwright_sim::{Site, Td, TdConfig, files, system_clock};
use sealwright_wire::{
    Tee as WireTee,
    aael::RuntimeEvent,
    kbs::{ResourcePath, SESSION_COOKIE},
    reference::ReferenceValues,
    time::UnixTime,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The longest answer that a test reads.
const MAX_ANSWER: usize = 32 << 20;

pub(crate) fn now() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
}

pub(crate) fn path(text: &str) -> ResourcePath {
    ResourcePath::parse(text).unwrap()
}

/// A site with one machine, a broker beside it that trusts the site and expects that machine.
pub(crate) struct Desk {
    pub(crate) site: Site,
    pub(crate) td: Td,
    pub(crate) made: Initialised,
    pub(crate) broker: Option<Broker>,
    pub(crate) url: String,
    pub(crate) folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// A desk whose broker's configuration was changed first.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut desk = Self::prepared();
        desk.start(change).await;
        desk
    }

    /// A desk whose broker does not run yet.
    pub(crate) fn prepared() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::found(system_clock()).unwrap();
        site.publish(&folder.path().join("site")).unwrap();
        let td = site.boot(&TdConfig::new("desk", files::generate("a kernel"))).unwrap();
        let certificate = folder.path().join("site/root.der");
        let options = Options {
            names: Vec::new(),
            listen: "127.0.0.1:0".parse().unwrap(),
            administrator: "ada".to_owned(),
            anchors: vec![ExtraAnchor { name: "desk".to_owned(), simulated: true, certificate }],
            at: now(),
        };
        let made = init(&folder.path().join("broker"), &options).unwrap();
        let desk = Self { site, td, made, broker: None, url: String::new(), folder };
        desk.publish_collateral();
        desk.expect_machine();
        desk
    }

    pub(crate) fn broker_folder(&self) -> PathBuf {
        self.folder.path().join("broker")
    }

    /// Puts the site's present collateral where the broker reads it.
    pub(crate) fn publish_collateral(&self) {
        self.site.publish(&self.folder.path().join("site")).unwrap();
        for name in ["collateral.json", "collateral-sgx.json"] {
            let to = self.broker_folder().join("collateral").join(name);
            fs::copy(self.folder.path().join("site").join(name), to).unwrap();
        }
    }

    /// Makes what the machine measured its reference values.
    fn expect_machine(&self) {
        let values = serde_json::to_vec(&reference_values(&self.td)).unwrap();
        fs::write(self.broker_folder().join("references/desk.json"), values).unwrap();
    }

    pub(crate) async fn start(&mut self, change: impl FnOnce(&mut Config)) {
        let mut config = Config::load(&self.made.config).unwrap();
        config.worker.program = Some(worker_program());
        config.worker.arguments = Vec::new();
        change(&mut config);
        let broker = Broker::start(config).await.unwrap();
        self.url = format!("https://127.0.0.1:{}", broker.local_addr().port());
        self.broker = Some(broker);
    }

    pub(crate) async fn stop(&mut self) {
        self.broker.take().unwrap().stop().await.unwrap();
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::issuers_from_pem(&fs::read(&self.made.certificate_authority).unwrap()).unwrap()
    }

    pub(crate) fn admin(&self) -> Client {
        let key = load_key(&self.made.administrator_key).unwrap();
        Client::new(&self.url, &self.trust(), key).unwrap()
    }

    pub(crate) fn guest(&self) -> Guest {
        Guest::new(&self.url, &self.trust())
    }

    /// A path and query signed by the administrator, as a header.
    pub(crate) fn signed(&self, method: &str, target: &str, body: &[u8]) -> (HeaderName, HeaderValue) {
        self.signed_at(now(), method, target, body)
    }

    /// The same, by a clock that shows this time.
    pub(crate) fn signed_at(&self, at: UnixTime, method: &str, target: &str, body: &[u8]) -> (HeaderName, HeaderValue) {
        let key = load_key(&self.made.administrator_key).unwrap();
        let pem = fs::read(self.broker_folder().join("tls/server.pem")).unwrap();
        let broker = key_sha256(&CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
        let value = admin::authorization(&key, &broker, method, target, body, at).unwrap();
        (header::AUTHORIZATION, value.parse().unwrap())
    }

    /// The audit log's lines.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.broker_folder().join("audit.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The last line of the audit log about this kind of decision.
    pub(crate) fn last_audit(&self, event: &str) -> Value {
        self.audit().into_iter().rfind(|line| line["event"] == event).unwrap()
    }
}

/// The program beside the test binaries that evaluates policies.
pub(crate) fn worker_program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().and_then(Path::parent).unwrap().join("examples/policy_worker")
}

/// What a machine has measured until now.
pub(crate) fn reference_values(td: &Td) -> ReferenceValues {
    let measured = td.measurements().unwrap();
    let values: serde_json::Map<String, Value> =
        measured.iter().map(|register| (register.name.to_owned(), json!([hex::encode(&register.value)]))).collect();
    let json =
        json!({ "version": 1, "tee": "tdx", "profile": {}, "inputs": [], "values": values, "taken_from_log": [] });
    ReferenceValues::from_json(&serde_json::to_vec(&json).unwrap()).unwrap()
}

/// An answer of the broker.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self { status: reply.status, headers: reply.headers, body: reply.body.to_vec() }
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("no JSON: {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// The error, read as the real client reads it.
    pub(crate) fn error(&self) -> ErrorInformation {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The word at the end of the error's type.
    pub(crate) fn kind(&self) -> String {
        self.error().error_type.rsplit(':').next().unwrap().to_owned()
    }

    /// The code of the first failed check of the explanation.
    pub(crate) fn reason(&self) -> String {
        let json = self.json();
        let checks = json["explanation"]["checks"].as_array().unwrap_or_else(|| panic!("no explanation: {json}"));
        let failed = checks.iter().find(|check| check["outcome"] == "failed").unwrap();
        failed["code"].as_str().unwrap().to_owned()
    }
}

/// Whoever connects to the broker. It keeps cookies as a jar does: one for each name and path.
pub(crate) struct Guest {
    http: Http,
    pub(crate) cookie: Option<String>,
    pub(crate) key: SecretKey,
}

impl Guest {
    pub(crate) fn new(url: &str, trust: &Trust) -> Self {
        let tls = trust.client_config().unwrap();
        let http = Http::new(Endpoint::parse(url).unwrap(), tls, Duration::from_secs(30));
        Self { http, cookie: None, key: SecretKey::generate() }
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Vec<u8>,
    ) -> Answer {
        let mut headers = headers.to_vec();
        if let Some(cookie) = &self.cookie {
            headers.push((header::COOKIE, format!("{SESSION_COOKIE}={cookie}").parse().unwrap()));
        }
        let answer = Answer::from(self.http.send(method, path, &headers, body, MAX_ANSWER).await.unwrap());
        if let Some(set) = answer.headers.get(header::SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            self.cookie = Some(pair.strip_prefix("kbs-session-id=").unwrap().to_owned());
        }
        answer
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, &[], serde_json::to_vec(body).unwrap()).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Vec::new()).await
    }

    /// `POST /auth` as the real client makes it.
    pub(crate) async fn auth(&mut self) -> Answer {
        self.post("/kbs/v0/auth", &auth_request("0.4.0", Tee::Tdx)).await
    }

    /// A nonce to answer.
    pub(crate) async fn nonce(&mut self) -> String {
        let answer = self.auth().await;
        assert_eq!(answer.status, StatusCode::OK, "{}", String::from_utf8_lossy(&answer.body));
        let challenge: kbs_types::Challenge = serde_json::from_slice(&answer.body).unwrap();
        challenge.nonce
    }

    pub(crate) fn public_key(&self) -> TeePubKey {
        jwk(&self.key.public_key())
    }

    /// Asks for a challenge and answers it with evidence of `td`.
    pub(crate) async fn attest(&mut self, td: &Td) -> Answer {
        let nonce = self.nonce().await;
        let message = attestation(td, &nonce, &self.public_key());
        self.post("/kbs/v0/attest", &message).await
    }

    /// Attests, which must succeed, and returns the token.
    pub(crate) async fn attested(&mut self, td: &Td) -> String {
        let answer = self.attest(td).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn resource(&mut self, path: &str) -> Answer {
        self.get(&format!("/kbs/v0/resource/{path}")).await
    }

    pub(crate) async fn resource_with(&mut self, path: &str, token: &str) -> Answer {
        let bearer = (header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        self.send(Method::GET, &format!("/kbs/v0/resource/{path}"), &[bearer], Vec::new()).await
    }

    /// Decrypts a resource the way the real client does, header re-serialised and all.
    pub(crate) fn decrypt(&self, answer: &Answer) -> Vec<u8> {
        assert_eq!(answer.status, StatusCode::OK, "{}", String::from_utf8_lossy(&answer.body));
        let response: Response = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((&*response.protected.alg, &*response.protected.enc), ("ECDH-ES+A256KW", "A256GCM"));
        let epk = &response.protected.other_fields["epk"];
        let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(epk[name].as_str().unwrap()).unwrap();
        let point = [vec![4], coordinate("x"), coordinate("y")].concat();
        let epk = PublicKey::from_sec1_bytes(&point).unwrap();
        let shared = ecdh::diffie_hellman(self.key.to_nonzero_scalar(), epk.as_affine());
        let mut input = 1u32.to_be_bytes().to_vec();
        input.extend_from_slice(shared.raw_secret_bytes());
        for part in [&b"ECDH-ES+A256KW"[..], b"", b""] {
            input.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
            input.extend_from_slice(part);
        }
        input.extend_from_slice(&256u32.to_be_bytes());
        let kek = AesKek::new(&AES_256, digest(&SHA256, &input).as_ref()).unwrap();
        let mut cek = [0; 32];
        kek.unwrap(&response.encrypted_key, &mut cek).unwrap();
        let aad = response.protected.generate_aad().unwrap();
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &cek).unwrap());
        let mut sealed = [response.ciphertext, response.tag].concat();
        let nonce = Nonce::try_assume_unique_for_key(&response.iv).unwrap();
        key.open_in_place(nonce, Aad::from(aad), &mut sealed).unwrap().to_vec()
    }
}

pub(crate) fn jwk(key: &PublicKey) -> TeePubKey {
    let point = key.to_sec1_point(false);
    let encoded = |coordinate: Option<&[u8]>| URL_SAFE_NO_PAD.encode(coordinate.unwrap());
    TeePubKey::EC {
        crv: "P-256".to_owned(),
        alg: "ECDH-ES+A256KW".to_owned(),
        x: encoded(point.x().map(|x| x.as_slice())),
        y: encoded(point.y().map(|y| y.as_slice())),
    }
}

pub(crate) fn auth_request(version: &str, tee: Tee) -> Value {
    let extra_params = json!({ "supported-hash-algorithms": ["sha256", "sha384", "sha512", "sm3"] });
    serde_json::to_value(Request { version: version.to_owned(), tee, extra_params }).unwrap()
}

/// The report data that the real client asks its evidence to be made over.
pub(crate) fn report_data(nonce: &str, key: &TeePubKey) -> [u8; 64] {
    let bound = json!({ "additional-evidence": "", "nonce": nonce, "tee-pubkey": key });
    let canonical = serde_json_canonicalizer::to_vec(&bound).unwrap();
    let mut data = [0; 64];
    data[..48].copy_from_slice(digest(&SHA384, &canonical).as_ref());
    data
}

/// The answer to a challenge, with evidence over this nonce and key.
pub(crate) fn attestation(td: &Td, nonce: &str, key: &TeePubKey) -> Value {
    let evidence = td.evidence(&report_data(nonce, key)).unwrap();
    assert_eq!(td.tee(), WireTee::Tdx);
    let primary_evidence = json!({
        "quote": STANDARD.encode(evidence.quote),
        "cc_eventlog": evidence.event_log.map(|log| STANDARD.encode(log)),
    });
    message(primary_evidence, nonce, key)
}

pub(crate) fn message(primary_evidence: Value, nonce: &str, key: &TeePubKey) -> Value {
    let attestation = Attestation {
        init_data: None,
        runtime_data: RuntimeData { nonce: nonce.to_owned(), tee_pubkey: key.clone() },
        tee_evidence: CompositeEvidence { primary_evidence, additional_evidence: String::new() },
    };
    serde_json::to_value(attestation).unwrap()
}

/// The event that measures a model.
pub(crate) fn load_model(digest: &str) -> RuntimeEvent {
    let content = json!({ "digest": digest, "name": "model", "version": 1 }).to_string();
    RuntimeEvent::new("sealwright", "LoadModel", &content).unwrap()
}
