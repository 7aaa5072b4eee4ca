//! Attempts that must fail, each with its reason.

use super::hostile;
use super::process::Answer;
use super::scene::{Broker, Scene, args};
use super::story::{Refusal, Story};
use crate::kept;
use anyhow::{Context, Result, bail};
use sealwright_appraise::Explanation;
use sealwright_channel::seal;
use sealwright_wire::quote::Quote;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// The file in an attempt's directory that holds why it was refused.
pub(super) const EXPLANATION: &str = "explanation.json";
/// What to do when something got through.
const TOO_WIDE: &str =
    "find out what lets this through: the broker's policy, its reference values, or what the secret requires";

/// Makes all attempts.
pub(super) async fn show(scene: &Scene, story: &mut Story) -> Result<()> {
    story.step("Attempts that must fail").await?;
    other_machines(scene, story).await?;
    flipped_bit(scene, story).await?;
    hostile::yesterdays_evidence(scene, story).await?;
    hostile::relay(scene, story).await?;
    vendors_only(scene, story).await?;
    old_platforms(scene, story).await
}

/// An attempt to get what one must not get.
pub(super) struct Attempt<'a> {
    /// What its files are called.
    pub(super) name: &'static str,
    /// What is tried.
    pub(super) what: &'static str,
    /// The broker that is asked, or whose roots and collateral the asked client has too.
    pub(super) broker: &'a Broker,
}

/// How an attempt ended.
pub(super) enum Ending {
    /// With a no, for these reasons.
    Refused(Explanation),
    /// With a yes: what it got.
    Accepted(&'static str),
    /// With neither: what it said.
    Broken(String),
}

impl Attempt<'_> {
    /// A model server that asks for the key and must not get it. One that becomes ready has it.
    async fn serve(&self, scene: &Scene, story: &mut Story, sealed: &Path, td: &str) -> Result<()> {
        let serve = scene.serve_args(sealed, td, self.broker, &scene.attempt(self.name)?);
        let serve = serve.into_iter().chain(args!["--json"]);
        let ending = match scene.launcher.expecting_refusal(&format!("attempts/{}/server", self.name), serve).await? {
            None => Ending::Accepted("it got the key, opened the model and was ready to serve it"),
            Some(answer) => ending(&answer)?,
        };
        self.conclude(scene, story, ending).await
    }

    /// Tells how it ended, and keeps the reasons. Whoever the broker released the key to was not refused, whatever else it says.
    pub(super) async fn conclude(&self, scene: &Scene, story: &mut Story, ending: Ending) -> Result<()> {
        let dir = scene.attempt(self.name)?;
        let decisions = self.decisions(scene, &dir).await?;
        let released = decisions.iter().any(|line| line["event"] == "release" && line["verdict"] == "yes");
        let mut refusal = match ending {
            Ending::Accepted(what) => Refusal::let_through(self.what, what, TOO_WIDE),
            _ if released => Refusal::let_through(self.what, "the broker released the key to it", TOO_WIDE),
            Ending::Broken(said) => bail!("{} was neither refused nor let through: {said}", self.what),
            Ending::Refused(explanation) => {
                fs::write(dir.join(EXPLANATION), serde_json::to_vec_pretty(&explanation)?)?;
                let said = json!(explanation.headline);
                let more = |line: &Value| line["verdict"] == "no" && line["headline"] != said;
                let recorded = decisions.into_iter().filter(more).collect();
                Refusal::for_reasons(self.what, explanation, recorded)
            }
        };
        if story.explains() {
            refusal.evidence = Some(scene.inspect(&dir.join(kept::QUOTE)).await?);
            refusal.claims = Some(scene.verify(&dir, &self.broker.trust).await?);
        }
        story.refusal(refusal)
    }

    /// What the broker has on record about the evidence that was shown, as its administrator sees it.
    async fn decisions(&self, scene: &Scene, dir: &Path) -> Result<Vec<Value>> {
        let quote = fs::read(dir.join(kept::QUOTE)).with_context(|| format!("{} showed no evidence", self.what))?;
        let name = json!(seal::sha384(Quote::parse(&quote)?.without_trailing()));
        let mut decisions = scene.audit(self.broker).await?;
        decisions.retain(|line| line["evidence_sha384"] == name);
        Ok(decisions)
    }
}

fn ending(answer: &Answer) -> Result<Ending> {
    if !answer.is_no() {
        return Ok(Ending::Broken(answer.stderr().to_owned()));
    }
    let mut no = answer.json()?;
    // The server's own no: the file did not open under the key that it got.
    if let Some(reason) = no["reason"].as_str() {
        return Ok(Ending::Broken(reason.to_owned()));
    }
    let explanation = serde_json::from_value(no["explanation"].take());
    explanation.map(Ending::Refused).context("a refusal without an explanation")
}

/// Another kernel, and a machine that its host can debug.
async fn other_machines(scene: &Scene, story: &mut Story) -> Result<()> {
    scene.generate("other", "not the kernel that was predicted").await?;
    for same in ["firmware.fd", "initrd.cpio", "cmdline"] {
        fs::copy(scene.path("td").join(same), scene.path("other").join(same))?;
    }
    let (site, broker) = (scene.path("site"), scene.main_broker()?);
    let other = args!["sim", "td", site.clone(), "other-kernel", "--files", scene.path("other")];
    scene.launcher.done(other).await?;
    let attempt = Attempt { name: "another-kernel", what: "another kernel", broker };
    attempt.serve(scene, story, &scene.sealed(), "other-kernel").await?;

    let debug = args!["sim", "td", site, "debug", "--files", scene.path("td"), "--debug"];
    scene.launcher.done(debug).await?;
    let attempt = Attempt { name: "debug", what: "a machine that its host can debug", broker };
    attempt.serve(scene, story, &scene.sealed(), "debug").await
}

/// A flipped bit in the sealed model: another digest, which earns no key.
async fn flipped_bit(scene: &Scene, story: &mut Story) -> Result<()> {
    let mut bytes = fs::read(scene.sealed())?;
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    let flipped = scene.path("flipped.sealed");
    fs::write(&flipped, bytes)?;
    // A machine of its own: the register of the first one already holds the right model.
    let td = args!["sim", "td", scene.path("site"), "flipped", "--files", scene.path("td")];
    scene.launcher.done(td).await?;
    let (name, what) = ("flipped-bit", "a flipped bit in the sealed model");
    Attempt { name, what, broker: scene.main_broker()? }.serve(scene, story, &flipped, "flipped").await
}

/// The same evidence before a broker that trusts hardware vendors and nobody else.
async fn vendors_only(scene: &Scene, story: &mut Story) -> Result<()> {
    let broker = scene.broker("vendors", &scene.path("site").join("collateral.json"), true).await?;
    with_broker(scene, story, broker, "vendors-only", "a broker that trusts hardware vendors' roots only").await
}

/// A TCB recovery that this platform did not follow, then a revoked platform: brokers with the vendor's newer collateral.
async fn old_platforms(scene: &Scene, story: &mut Story) -> Result<()> {
    for (name, broker, flag, what) in [
        ("outdated-tcb", "after-recovery", "--downgrade", "a platform with an outdated TCB"),
        ("revoked-pck", "after-revocation", "--revoke", "a platform whose PCK certificate is revoked"),
    ] {
        let newer = scene.path(&format!("{broker}-collateral"));
        scene.launcher.done(args!["sim", "tcb", scene.path("site"), flag, "--output", newer.clone()]).await?;
        let broker = scene.broker(broker, &newer.join("collateral.json"), false).await?;
        with_broker(scene, story, broker, name, what).await?;
    }
    Ok(())
}

/// The good machine asks a broker that must not trust it, and that has no other business.
async fn with_broker(
    scene: &Scene,
    story: &mut Story,
    broker: Broker,
    name: &'static str,
    what: &'static str,
) -> Result<()> {
    Attempt { name, what, broker: &broker }.serve(scene, story, &scene.sealed(), "td").await?;
    broker.stop().await
}
