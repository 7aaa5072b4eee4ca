//! `sealwright query`: verify a model server, then send it samples, or forward for clients that know nothing of attestation.

use crate::args;
use crate::explain;
use crate::inspect::MAX_FILE;
use crate::output::{Outcome, Output};
use crate::service;
use anyhow::{Context, Result};
use sealwright_channel::Judge;
use sealwright_channel::ratls::{ConnectError, Connector};
use sealwright_serving::client::{Client, Report, Target};
use sealwright_serving::proxy::{self, Upstream};
use sealwright_serving::samples::{Sample, SampleSet};
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
/// Where in a receipt's directory the collateral is kept: a directory, as `--collateral` takes it.
const COLLATERAL: &str = "collateral";
/// How often a proxy looks for newer collateral.
const RELOAD: Duration = Duration::from_secs(60);

/// Verifies the server; what follows goes over a connection that was judged and accepted.
pub(crate) async fn run(args: &args::Query, output: Output) -> Result<Outcome> {
    let judge = match crate::trust::judge(&args.trust, &args.model_files, crate::clock::now())? {
        Ok(judge) => Arc::new(judge),
        Err(explanation) => return explain::refused(&explanation, output),
    };
    let connector = Connector::new(Arc::clone(&judge))?;
    let server = args.server.to_string();
    match (&args.samples, args.listen) {
        (Some(samples), _) => match Client::connect(&connector, &server).await {
            Ok(client) => query(client, &judge, samples, args, output).await,
            Err(error) => refused(error, output),
        },
        (None, Some(listen)) => match Upstream::connect(connector, &server, proxy::Limits::default()).await {
            Ok(upstream) => forward(upstream, judge, listen, args, output).await,
            Err(error) => refused(error, output),
        },
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
    let printed = json!({ "accepted": true, "explanation": explanation, "facts": facts, "results": report });
    output.result(&printed, text)?;
    Ok(if report.all_agree() { Outcome::Yes } else { Outcome::No })
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
    crate::files::create(&dir.join("evidence.json"), &client.evidence().to_json()?, PUBLIC)
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

async fn forward(
    upstream: Upstream,
    judge: Arc<Judge>,
    listen: SocketAddr,
    args: &args::Query,
    output: Output,
) -> Result<Outcome> {
    service::log_to_stderr(output);
    let listener = proxy::bind(listen).await?;
    let stop = service::stop_signal(args.exit_with_stdin)?;
    service::ready(args.ready_file.as_deref(), &listener.local_addr()?.to_string())?;
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
