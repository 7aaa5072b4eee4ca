//! The cast of the story: directories, processes, addresses.

use super::process::{Launcher, Service};
use super::{KEY_URI, MODEL_NAME, by_register, story::Story};
use crate::args::TrustArgs;
use crate::kept;
use anyhow::{Context, Result, anyhow, ensure};
use sealwright_appraise::Policy;
use sealwright_channel::Judge;
use sealwright_evidence::{Backend, Collected};
use sealwright_wire::jws::Compact;
use sealwright_wire::kbs::Message;
use sealwright_wire::ratls::{AttestResponse, TaggedEvidence};
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Arguments of a command: words and paths.
macro_rules! args {
    ($($arg:expr),* $(,)?) => { [$(::std::ffi::OsString::from($arg)),*] };
}
pub(super) use args;

/// Memory of the simulated machine.
const RAM: &str = "2G";
const SIM_PROFILE: &str = "sealwright-sim-1";
/// Where a process shall listen: the kernel picks a port.
const ANY_PORT: &str = "127.0.0.1:0";

/// Where a broker's only bundle of collateral is, in its directory.
const HELD: &str = "collateral/simulated.json";
/// Where the root of the site is, in its directory.
const ROOT: &str = "root.der";

/// Who is on stage.
pub(super) struct Scene {
    /// Services first: they go before their files do.
    site: Option<Service>,
    broker: Option<Broker>,
    server: Option<Service>,
    pub(super) launcher: Launcher,
    pub(super) dir: PathBuf,
    server_address: String,
}

/// A broker that runs.
pub(super) struct Broker {
    service: Service,
    dir: PathBuf,
    pub(super) url: String,
    pub(super) trust: Trust,
}

/// What evidence is verified with.
pub(super) struct Trust {
    collateral: PathBuf,
    /// The one root; without it, the vendors'.
    root: Option<PathBuf>,
}

impl Broker {
    /// Words of a command that speaks to this broker as its administrator.
    fn administrator(&self) -> [OsString; 4] {
        args!["--broker", self.dir.clone(), "--url", self.url.as_str()]
    }

    /// Lets it stop by itself.
    pub(super) async fn stop(self) -> Result<()> {
        self.service.stop().await
    }
}

impl Scene {
    pub(super) fn new(dir: &Path) -> Result<Self> {
        Ok(Self {
            site: None,
            broker: None,
            server: None,
            launcher: Launcher::new(dir)?,
            dir: dir.to_owned(),
            server_address: String::new(),
        })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The sealed model.
    pub(super) fn sealed(&self) -> PathBuf {
        self.path("digits.sealed")
    }

    /// The back end of the trust domain of this name.
    pub(super) fn backend(&self, td: &str) -> String {
        format!("sim:{}", self.path("site").join(format!("{td}.sock")).display())
    }

    /// The socket of the trust domain of this name.
    pub(super) fn socket(&self, td: &str) -> PathBuf {
        self.path("site").join(format!("{td}.sock"))
    }

    /// The broker of the story.
    pub(super) fn main_broker(&self) -> Result<&Broker> {
        self.broker.as_ref().context("no broker has been started")
    }

    /// Where the evidence is kept that was shown in the course of the story.
    pub(super) fn shown(&self, by: &str) -> PathBuf {
        self.path("evidence").join(by)
    }

    /// Where everything about an attempt is kept.
    pub(super) fn attempt(&self, name: &str) -> Result<PathBuf> {
        let dir = self.path("attempts").join(name);
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(dir)
    }

    pub(super) fn server_address(&self) -> &str {
        &self.server_address
    }

    async fn json(&self, args: impl IntoIterator<Item = OsString>) -> Result<Value> {
        self.launcher.done(with_json(args)).await?.json()
    }

    /// Makes the files that a machine boots from.
    pub(super) async fn generate(&self, name: &str, seed: &str) -> Result<()> {
        self.launcher.done(args!["sim", "files", self.path(name), "--seed", seed]).await.map(drop)
    }

    /// Predicts what such a machine measures.
    pub(super) async fn predict(&self, name: &str) -> Result<Value> {
        let files = self.path(name);
        let cmdline = fs::read_to_string(files.join("cmdline"))?;
        let reference = self.path("reference.json");
        let predict = args![
            "predict",
            "tdx",
            "--firmware",
            files.join("firmware.fd"),
            "--kernel",
            files.join("kernel.efi"),
            "--initrd",
            files.join("initrd.cpio"),
            "--cmdline",
            cmdline,
            "--ram",
            RAM,
            "--vmm",
            SIM_PROFILE,
            "--firmware-profile",
            SIM_PROFILE,
            "--output",
            reference.clone(),
        ];
        self.launcher.done(predict).await?;
        serde_json::from_slice(&fs::read(&reference)?).context("reference values")
    }

    /// Starts the simulated site, whose first machine boots at once.
    pub(super) async fn boot_site(&mut self) -> Result<()> {
        let boot = args!["sim", "boot", self.path("site"), "--files", self.path("td")];
        self.site = Some(self.launcher.service("site", boot).await?.0);
        Ok(())
    }

    /// The machine's registers by name.
    pub(super) async fn measure(&self) -> Result<Value> {
        let measured = self.json(args!["measure", "--backend", self.backend("td")]).await?;
        Ok(by_register(&measured["registers"]))
    }

    /// Evidence of the machine as it has booted.
    pub(super) async fn attest(&self) -> Result<()> {
        let dir = self.shown("machine");
        let machine: Arc<dyn Backend> = Arc::new(sealwright_sim::Client::connect(self.socket("td"))?);
        kept::evidence(&dir, &machine.evidence(&[0; 64])?)
    }

    /// Makes and starts a broker that trusts the site's root or, with `vendors_only`, does not; `collateral` is what it holds.
    pub(super) async fn broker(&self, name: &'static str, collateral: &Path, vendors_only: bool) -> Result<Broker> {
        let dir = self.path(name);
        let root = self.site_trust().root.filter(|_| !vendors_only);
        let mut init = Vec::from(args!["broker", "init", dir.clone(), "--listen", ANY_PORT]);
        init.extend(anchor(root.as_deref()));
        self.launcher.done(init).await?;
        fs::create_dir_all(dir.join("collateral"))?;
        fs::copy(collateral, dir.join(HELD))?;
        fs::create_dir_all(dir.join("references"))?;
        fs::copy(self.path("reference.json"), dir.join("references").join("td.json"))?;
        let (service, url) = self.launcher.service(name, args!["broker", "serve", dir.clone()]).await?;
        let trust = Trust { collateral: dir.join(HELD), root };
        Ok(Broker { service, dir, url, trust })
    }

    /// Starts the broker of the story.
    pub(super) async fn start_broker(&mut self) -> Result<&str> {
        let collateral = self.path("site").join("collateral.json");
        let broker = self.broker("broker", &collateral, false).await?;
        Ok(&self.broker.insert(broker).url)
    }

    /// The attestation policy in force.
    pub(super) async fn broker_policy(&self) -> Result<Value> {
        let show = args!["broker", "policy", "show", "attestation"];
        self.json(show.into_iter().chain(self.main_broker()?.administrator())).await
    }

    /// Each line of a broker's audit log.
    pub(super) async fn audit(&self, broker: &Broker) -> Result<Vec<Value>> {
        let audit = args!["broker", "audit"].into_iter().chain(broker.administrator());
        self.launcher.done(audit).await?.json_lines()
    }

    /// Seals the model; its key goes to the broker.
    pub(super) async fn seal(&self, model: &[u8]) -> Result<Value> {
        let path = self.path("model.onnx");
        fs::write(&path, model)?;
        let seal = args!["seal", path, "--output", self.sealed(), "--name", MODEL_NAME, "--key-uri", KEY_URI];
        self.json(seal.into_iter().chain(self.main_broker()?.administrator())).await
    }

    pub(super) async fn inspect(&self, file: &Path) -> Result<Value> {
        self.json(args!["inspect", file]).await
    }

    /// What whoever knows the simulated vendor verifies with.
    pub(super) fn site_trust(&self) -> Trust {
        let site = self.path("site");
        Trust { collateral: site.join("collateral.json"), root: Some(site.join(ROOT)) }
    }

    /// What verification makes of kept evidence.
    pub(super) async fn verify(&self, dir: &Path, trust: &Trust) -> Result<Value> {
        let (quote, log) = (dir.join(kept::QUOTE), dir.join(kept::EVENT_LOG));
        let verify = args!["verify", quote, "--event-log", log, "--collateral", trust.collateral.clone()];
        let verify = verify.into_iter().chain(anchor(trust.root.as_deref()));
        self.launcher.run(with_json(verify)).await?.json()
    }

    /// Arguments of a model server in the trust domain `td` that asks a broker, and keeps in `keep` what it shows it.
    pub(super) fn serve_args(&self, sealed: &Path, td: &str, broker: &Broker, keep: &Path) -> Vec<OsString> {
        let ca = broker.dir.join("tls").join("ca.pem");
        let url = broker.url.as_str();
        let trust = args!["serve", sealed, "--broker", url, "--broker-ca", ca, "--backend", self.backend(td)];
        trust.into_iter().chain(args!["--listen", ANY_PORT, "--keep", keep]).collect()
    }

    /// Starts the model server of the story.
    pub(super) async fn start_server(&mut self) -> Result<&str> {
        let serve = self.serve_args(&self.sealed(), "td", self.main_broker()?, &self.shown("server"));
        let (service, address) = self.launcher.service("server", serve).await?;
        self.server = Some(service);
        self.server_address = address;
        Ok(&self.server_address)
    }

    /// What a client of the model server trusts, for the attackers' victims.
    pub(super) fn judge(&self) -> Result<Judge> {
        let site = self.path("site");
        let trust = TrustArgs {
            anchors: vec![site.join(ROOT)],
            collateral: site,
            references: vec![self.path("reference.json")],
            accept_statuses: Vec::new(),
        };
        let judging = crate::trust::judge(&trust, &[self.sealed()], crate::clock::now())?;
        judging.map_err(|explanation| anyhow!(explanation.headline))
    }

    /// What a client of the model server trusts.
    fn trust_args(&self) -> [OsString; 8] {
        let site = self.path("site");
        args![
            "--collateral",
            site.clone(),
            "--anchor",
            site.join(ROOT),
            "--reference",
            self.path("reference.json"),
            "--model-file",
            self.sealed(),
        ]
    }

    /// Sends the samples, compares the answers, keeps a receipt.
    pub(super) async fn query(&self, samples: &[u8]) -> Result<Value> {
        let file = self.path("samples.json");
        fs::write(&file, samples)?;
        let query = args!["query", self.server_address.as_str(), "--samples", file, "--receipt", self.path("receipt"),];
        let answer = self.json(query.into_iter().chain(self.trust_args())).await?;
        let evidence = AttestResponse::from_json(&fs::read(self.path("receipt").join("evidence.json"))?)?;
        kept::evidence(&self.shown("client"), &collected(&evidence)?)?;
        Ok(answer)
    }

    /// The claims of the token that the broker gave to the model server.
    pub(super) fn token_claims(&self) -> Result<Value> {
        let token = fs::read_to_string(self.shown("server").join(kept::TOKEN))?;
        Ok(Value::Object(Compact::parse(token.trim())?.claims()?))
    }

    /// Checks the kept receipt offline.
    pub(super) async fn verify_receipt(&self) -> Result<Value> {
        let kept = self.path("receipt");
        let verify = args![
            "receipt",
            "verify",
            kept.join("receipt.jws"),
            "--evidence",
            kept.join("evidence.json"),
            "--request",
            kept.join("request.bin"),
            "--response",
            kept.join("response.bin"),
            "--policy",
            Policy::default_attestation().sha384().to_string(),
        ];
        self.json(verify.into_iter().chain(self.trust_args())).await
    }

    /// A client that knows nothing of attestation, through the verifying proxy.
    pub(super) async fn query_through_proxy(&self, story: &mut Story) -> Result<()> {
        let query = args!["query", self.server_address.as_str(), "--listen", ANY_PORT];
        let (proxy, address) = self.launcher.service("proxy", query.into_iter().chain(self.trust_args())).await?;
        let body = r#"{"instances":[[0,0,5,13,9,1,0,0,0,0,13,15,10,15,5,0,0,3,15,2,0,11,8,0,0,4,12,0,0,8,8,0,0,5,8,0,0,9,8,0,0,4,11,0,1,12,7,0,0,2,14,5,10,12,0,0,0,0,6,13,10,0,0,0]]}"#;
        let answer = plain_http(&address, &format!("/v1/models/{MODEL_NAME}:predict"), body).await?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "through the proxy: {answer}");
        story.say(format!(
            "a plain TensorFlow Serving client got its answer through the verifying proxy on {address}"
        ))?;
        proxy.stop().await
    }

    /// Lets every process stop by itself.
    pub(super) async fn close(self) -> Result<()> {
        let broker = self.broker.map(|broker| broker.service);
        for service in [self.server, broker, self.site].into_iter().flatten() {
            service.stop().await?;
        }
        Ok(())
    }
}

fn with_json(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    args.into_iter().chain([OsString::from("--json")]).collect()
}

/// One request as any HTTP client would send it.
async fn plain_http(address: &str, path: &str, body: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await.with_context(|| format!("cannot reach {address}"))?;
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    String::from_utf8(answer).context("the answer is no text")
}

/// `--anchor` with a root, where there is one.
fn anchor(root: Option<&Path>) -> impl Iterator<Item = OsString> {
    root.into_iter().flat_map(|root| args!["--anchor", root])
}

/// The evidence in an answer to the exchange.
pub(super) fn collected(answer: &AttestResponse) -> Result<Collected> {
    let quote = TaggedEvidence::parse(&answer.evidence)?.evidence.to_vec();
    Ok(Collected { quote, event_log: answer.event_log.clone() })
}
