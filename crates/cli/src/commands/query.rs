//! `sealwright query`: verify a model server, then send it samples, or forward for clients that know nothing of attestation.

use crate::args::{self, Address};
use crate::explain;
use crate::inspect::MAX_FILE;
use crate::output::{Outcome, Output};
use crate::service::{self, ReadyFile};
use crate::shelf::{COLLATERAL, EVIDENCE, Shelf};
use anyhow::{Context, Result, bail};
use sealwright_channel::Judge;
use sealwright_channel::ratls::{ConnectError, Connector};
use sealwright_serving::client::{Client, FirstWrong, Report, Target};
use sealwright_serving::proxy::{self, Keeper, ProxyError, Upstream};
use sealwright_serving::samples::{Sample, SampleSet, Wrong};
use sealwright_wire::kbs::Message;
use sealwright_wire::quote::Quote;
use sealwright_wire::ratls::TaggedEvidence;
use serde_json::json;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Readable by everybody: nothing in a receipt or its evidence is secret.
const PUBLIC: u32 = 0o644;
/// What to do about an answer that is not the expected one.
const REMEDY: &str =
    "compare the samples with the model that was sealed, and their tolerance with what another processor computes";
/// How often a proxy looks for newer collateral.
const RELOAD: Duration = Duration::from_secs(60);

/// Verifies the server; what follows goes over a connection that was judged and accepted.
pub(crate) async fn run(args: &args::Query, output: Output) -> Result<Outcome> {
    let ready = ReadyFile::new(args.ready_file.as_deref())?;
    let judge = match crate::trust::judge(&args.trust, &args.model_files, crate::clock::now())? {
        Ok(judge) => Arc::new(judge),
        Err(explanation) => return explain::refused(&explanation, output),
    };
    let connector = Connector::new(Arc::clone(&judge))?;
    let server = args.server.to_string();
    match (&args.samples, &args.listen) {
        (Some(samples), _) => match Client::connect(&connector, &server).await {
            Ok(client) => query(client, &judge, samples, args, output).await,
            Err(error) => refused(error, output),
        },
        (None, Some(listen)) => {
            let listen = loopback(listen)?;
            let keeper = args.receipt.as_deref().map(|dir| keeper(dir, &judge)).transpose()?;
            match Upstream::connect(connector, &server, proxy::Limits::default(), keeper).await {
                Ok(upstream) => forward(upstream, judge, listen, &ready, args, output).await,
                Err(ProxyError::Connect(error)) => refused(error, output),
                Err(error) => Err(error.into()),
            }
        }
        (None, None) => Ok(Outcome::Yes),
    }
}

fn refused(error: ConnectError, output: Output) -> Result<Outcome> {
    match error.explanation() {
        Some(explanation) => explain::refused(explanation, output),
        None => Err(error.into()),
    }
}

async fn query(
    mut client: Client,
    judge: &Judge,
    samples: &Path,
    args: &args::Query,
    output: Output,
) -> Result<Outcome> {
    let set = SampleSet::from_json(&crate::files::read(samples, MAX_FILE)?)?;
    let report = client.query(&set, None).await?;
    if let (Some(dir), Some(first)) = (&args.receipt, set.samples.first()) {
        keep_receipt(&mut client, &set, first, dir).await?;
        keep_collateral(&client, judge, dir)?;
    }
    let (explanation, facts) = (client.appraisal().explanation(), client.appraisal().facts());
    let text = format!("{explanation}\n\n{}", report_text(&report));
    let mut printed = json!({ "accepted": true, "explanation": explanation, "facts": facts, "results": report });
    let Some(wrong) = &report.first_wrong else {
        output.result(&printed, text)?;
        return Ok(Outcome::Yes);
    };
    // The server is what it should be, and its answers are not: the first line and the verdict are about what was asked for.
    let message = not_expected(wrong);
    printed["accepted"] = false.into();
    printed["reason"] = json!({ "code": "answer-not-expected", "claim": wrong.wrong.output, "expected": wrong.wrong.expected.to_string(),
        "actual": wrong.wrong.found.to_string(), "message": message, "remedy": REMEDY });
    let root = if explanation.simulated { ", by a server under a SIMULATED root" } else { "" };
    output.result(&printed, format!("no: {message}{root}\n{REMEDY}\n\n{text}"))?;
    Ok(Outcome::No)
}

fn not_expected(first: &FirstWrong) -> String {
    let FirstWrong { sample, wrong: Wrong { output, place, expected, found } } = first;
    format!("sample {sample} is answered otherwise: value {place} of output {output} is {found}, expected {expected}")
}

fn report_text(report: &Report) -> String {
    let accuracy = report.accuracy.map(|accuracy| format!("accuracy {:.1} %\n", accuracy * 100.0)).unwrap_or_default();
    format!(
        "{} of {} answers are the expected ones; largest difference {:.1e}\n{accuracy}latency p50 {:.0} us, p99 {:.0} us; {:.0} requests per second\n",
        report.agree,
        report.samples,
        report.largest_difference,
        report.p50_us,
        report.p99_us,
        report.requests_per_second
    )
}

/// Asks once more, with a receipt, and keeps what `receipt verify` needs.
async fn keep_receipt(client: &mut Client, set: &SampleSet, sample: &Sample, dir: &Path) -> Result<()> {
    let request = set.request(sample);
    let target = Target { model: &set.model, version: None };
    let reply = client.infer(target, request.clone().into(), true).await?;
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    crate::files::create(&dir.join("request.bin"), request.as_bytes(), PUBLIC)?;
    crate::files::create(&dir.join("response.bin"), &reply.body, PUBLIC)?;
    crate::files::create(&dir.join("receipt.jws"), reply.receipt.unwrap_or_default().as_bytes(), PUBLIC)?;
    crate::files::create(&dir.join(EVIDENCE), &client.evidence().to_json()?, PUBLIC)
}

/// Keeps the collateral that the server was judged by: what the vendor publishes later says nothing about this day.
fn keep_collateral(client: &Client, judge: &Judge, dir: &Path) -> Result<()> {
    let tagged = TaggedEvidence::parse(&client.evidence().evidence)?;
    let quote = Quote::parse(tagged.evidence)?;
    let shelf = dir.join(COLLATERAL);
    std::fs::create_dir_all(&shelf).with_context(|| format!("cannot make {}", shelf.display()))?;
    let file = shelf.join(format!("{}.json", quote.tee().name()));
    crate::files::create(&file, &judge.library().bundle(&quote)?, PUBLIC)
}

/// Where to listen. What an address is tells its text; what a name is, only who looks it up.
fn loopback(listen: &Address) -> Result<SocketAddr> {
    let address = listen.resolve()?;
    if !address.ip().is_loopback() {
        bail!(args::nonsense(format!(
            "--listen {listen}: {address} is no loopback address: requests would come in the clear"
        )));
    }
    Ok(address)
}

/// Keeps what receipts are verified with, of each connection that the proxy uses.
fn keeper(dir: &Path, judge: &Arc<Judge>) -> Result<Keeper> {
    let shelf = Shelf::in_dir(dir, Arc::clone(judge))?;
    Ok(Arc::new(move |evidence| shelf.keep(&evidence).map_err(Into::into)))
}

async fn forward(
    upstream: Upstream,
    judge: Arc<Judge>,
    listen: SocketAddr,
    ready: &Arc<ReadyFile>,
    args: &args::Query,
    output: Output,
) -> Result<Outcome> {
    service::log_to_stderr(output);
    let listener = proxy::bind(listen).await?;
    let stop = service::stop_signal(args.exit_with_stdin, ready)?;
    ready.ready(&listener.local_addr()?.to_string())?;
    tokio::select! {
        () = proxy::serve(listener, Arc::new(upstream), stop) => {}
        never = keep_up(judge) => match never {},
    }
    Ok(Outcome::Yes)
}

/// Takes up the collateral that the vendor has published meanwhile, for connections that are judged from then on.
async fn keep_up(judge: Arc<Judge>) -> Infallible {
    loop {
        tokio::time::sleep(RELOAD).await;
        let judge = Arc::clone(&judge);
        let reloading = tokio::task::spawn_blocking(move || judge.library().reload(crate::clock::now()));
        if let Ok(Err(error)) = reloading.await {
            tracing::warn!(%error, "the collateral stays as it was");
        }
    }
}
