//! `sealwright demo`: the whole story on one machine, through the code that production uses.
//!
//! Everything that has a life of its own is a process of its own, started from this same program: the simulated site, the brokers,
//! the model servers, the clients. They meet over sockets on loopback. The attackers of the last step live in here
//! ([`hostile`]), because no verb of the program should do what they do.

mod hostile;
mod process;
mod refusals;
mod scene;
mod story;

use crate::args;
use crate::kept;
use crate::output::{Outcome, Output};
use anyhow::{Context, Result, bail};
use scene::Scene;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use story::Story;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

/// The demo's model and its held-out samples; `solutions/sealed-model` says how they were made.
const MODEL: &[u8] = include_bytes!("../../../../../solutions/sealed-model/model.onnx");
const SAMPLES: &[u8] = include_bytes!("../../../../../solutions/sealed-model/samples.json");
/// Under what the model is served.
const MODEL_NAME: &str = "digits";
/// Where its key is kept.
const KEY_URI: &str = "kbs:///default/model-key/digits";
/// How long after a failure a signal may come that explains it.
const GRACE: Duration = Duration::from_millis(200);

/// Tells the story. Ctrl-C at any moment ends it: processes first, then everything on disk.
pub(crate) async fn run(args: &args::Demo, output: Output) -> Result<Outcome> {
    // Before anything is made: a signal from here on is waited for, and what was made is removed.
    let mut signals = Signals::wait_for()?;
    let workshop = Workshop::open(args.keep.as_deref())?;
    let told = tokio::select! {
        biased;
        signal = signals.next() => Err(signal),
        told = tell(&workshop, Story::begin(output, args.explain, args.pause)) => Ok(told),
    };
    // Whatever was started was killed when its handles were dropped with the story; a process that is dying may still make a file.
    process::all_gone().await;
    let told = match told {
        // Whoever ends the demo may have ended its processes too, and one of those was seen to fail first.
        Ok(Err(failed)) => timeout(GRACE, signals.next()).await.map_or(Ok(Err(failed)), Err),
        told => told,
    };
    match told {
        Ok(told) => workshop.close(told),
        Err(signal) => {
            workshop.remove()?;
            bail!(signal)
        }
    }
}

/// The signals that end the demo.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn wait_for() -> Result<Self> {
        let wait_for = |kind| signal(kind).context("cannot wait for signals");
        Ok(Self {
            interrupt: wait_for(SignalKind::interrupt())?,
            terminate: wait_for(SignalKind::terminate())?,
            hangup: wait_for(SignalKind::hangup())?,
        })
    }

    /// Waits for one of them; says what it did to the demo.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "interrupted",
            _ = self.terminate.recv() => "terminated",
            _ = self.hangup.recv() => "hung up",
        }
    }
}

/// The directory in which all of it happens.
enum Workshop {
    /// Removed at the end.
    Temporary(tempfile::TempDir),
    /// Kept, unless the demo is interrupted: half a story's keys are nobody's.
    Kept(PathBuf),
}

impl Workshop {
    fn open(keep: Option<&Path>) -> Result<Self> {
        let Some(dir) = keep else {
            return Ok(Self::Temporary(tempfile::Builder::new().prefix("sealwright-demo-").tempdir()?));
        };
        if dir.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            bail!("{} is not empty", dir.display());
        }
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Self::Kept(dir.canonicalize()?))
    }

    fn dir(&self) -> &Path {
        match self {
            Self::Temporary(dir) => dir.path(),
            Self::Kept(dir) => dir,
        }
    }

    /// What there will be on disk when the demo has ended.
    fn left(&self) -> String {
        match self {
            Self::Temporary(_) => "Every key and file goes with this process.".to_owned(),
            Self::Kept(dir) => format!("Everything, the broker's keys among it, is kept in {}.", dir.display()),
        }
    }

    /// After the story, or as much of it as there was before it failed.
    fn close(self, told: Result<Outcome>) -> Result<Outcome> {
        match &self {
            Self::Temporary(_) => {
                self.remove()?;
                told
            }
            Self::Kept(dir) => told.with_context(|| format!("what was made until then is kept in {}", dir.display())),
        }
    }

    fn remove(self) -> Result<()> {
        match self {
            Self::Temporary(dir) => dir.close().context("cannot remove the demo's directory"),
            Self::Kept(dir) => fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display())),
        }
    }
}

async fn tell(workshop: &Workshop, mut story: Story) -> Result<Outcome> {
    let mut scene = Scene::new(workshop.dir())?;
    boot(&mut scene, &mut story).await?;
    start_broker(&mut scene, &mut story).await?;
    seal(&scene, &mut story).await?;
    serve(&mut scene, &mut story).await?;
    let summary = query(&scene, &mut story).await?;
    refusals::show(&scene, &mut story).await?;
    scene.close().await?;
    story.end(&summary, &workshop.left())
}

async fn boot(scene: &mut Scene, story: &mut Story) -> Result<()> {
    story.step("A machine boots, and measures what was predicted").await?;
    scene.generate("td", "sealwright").await?;
    let reference = scene.predict("td").await?;
    story.say("from firmware, kernel, initrd and command line: predicted MRTD and RTMR0-2")?;
    story.explain("reference values", reference.clone())?;
    scene.boot_site().await?;
    story.say("a simulated TDX machine booted them, in a process that keeps its quoting keys")?;
    let measured = scene.measure().await?;
    for register in ["mrtd", "rtmr0", "rtmr1", "rtmr2"] {
        let (predicted, measured) = (&reference["values"][register][0], &measured[register]);
        if predicted != measured {
            bail!("{register} is {measured}, predicted was {predicted}");
        }
        story.say(format!("{register:<5} {}.. as predicted", short(measured)))?;
    }
    scene.attest().await?;
    if !story.explains() {
        return Ok(());
    }
    let shown = scene.shown("machine");
    story.explain("evidence", scene.inspect(&shown.join(kept::QUOTE)).await?)?;
    story.explain("event log", scene.inspect(&shown.join(kept::EVENT_LOG)).await?)?;
    story.explain("claims", scene.verify(&shown, &scene.site_trust()).await?)
}

async fn start_broker(scene: &mut Scene, story: &mut Story) -> Result<()> {
    story.step("A broker starts that trusts this machine's root, because its configuration says so").await?;
    let url = scene.start_broker().await?;
    story.say(format!("listening on {url}, its secrets encrypted at rest"))?;
    story.say("it holds the predicted values as reference; its policy refuses what it does not know")?;
    let policy = scene.broker_policy().await?;
    story.explain("policy", policy)
}

async fn seal(scene: &Scene, story: &mut Story) -> Result<()> {
    story.step("A model is sealed; its key goes to the broker, for this sealed file alone").await?;
    let sealed = scene.seal(MODEL).await?;
    story.say(format!("{MODEL_NAME}: {} bytes of ONNX, AES-256-GCM in chunks under a random key", MODEL.len()))?;
    story.say(format!("sealed file sha384 {}..", short(&sealed["sha384"])))?;
    story.explain("sealed file", scene.inspect(&scene.sealed()).await?)
}

async fn serve(scene: &mut Scene, story: &mut Story) -> Result<()> {
    story.step("A model server starts with the sealed file alone").await?;
    let address = scene.start_server().await?;
    story.say("it measured the file into RTMR3, then attested to the broker")?;
    story.say("the broker affirmed it and released the key, encrypted to a key that the evidence binds")?;
    story.say(format!("the model is open in memory; serving over RA-TLS on {address}"))?;
    if story.explains() {
        story.explain("evidence", scene.inspect(&scene.shown("server").join(kept::QUOTE)).await?)?;
    }
    story.explain("claims", scene.token_claims()?)?;
    story.explain("the broker's decisions", scene.audit(scene.main_broker()?).await?.into())
}

async fn query(scene: &Scene, story: &mut Story) -> Result<String> {
    story.step("A client verifies the server before it sends a single tensor").await?;
    let answer = scene.query(SAMPLES).await?;
    story.say(format!(
        "evidence bound to the TLS session and a fresh nonce: {}",
        text(&answer["explanation"]["headline"])
    ))?;
    if story.explains() {
        story.explain("evidence", scene.inspect(&scene.shown("client").join(kept::QUOTE)).await?)?;
    }
    story.explain("claims", answer["facts"].clone())?;
    story.explain("verdict", answer["explanation"].clone())?;
    let results = &answer["results"];
    story.say(format!(
        "{} of {} answers equal onnxruntime's; accuracy {:.1} %",
        results["agree"],
        results["samples"],
        100.0 * number(&results["accuracy"])
    ))?;
    story.say(format!(
        "latency p50 {:.0} us, p99 {:.0} us; {:.0} requests per second",
        number(&results["p50_us"]),
        number(&results["p99_us"]),
        number(&results["requests_per_second"])
    ))?;
    if results["agree"] != results["samples"] {
        bail!("the server's answers are not those of the model");
    }
    let receipt = scene.verify_receipt().await?;
    story.say("a receipt over request, answer, model, policy and evidence: verified offline")?;
    story.explain("receipt", receipt)?;
    scene.query_through_proxy(story).await?;
    hostile::tampered_evidence(scene, story).await?;
    Ok(format!("{} answers right from a server that proved itself", results["agree"]))
}

/// The first digits of a digest.
fn short(digest: &Value) -> &str {
    let digest = text(digest);
    digest.get(..16).unwrap_or(digest)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// Collects `{"register": .., "value": ..}` into one object.
fn by_register(registers: &Value) -> Value {
    let named = registers.as_array().into_iter().flatten();
    named.fold(json!({}), |mut all, one| {
        all[text(&one["register"])] = one["value"].clone();
        all
    })
}
