//! `sealwright collateral serve`: a cache for everybody who speaks one of its protocols.

use super::{jitter, open, services, upkeep};
use crate::args::CollateralServe;
use crate::inspect::MAX_FILE;
use crate::output::{Outcome, Output};
use crate::service::{self as running, ReadyFile};
use anyhow::Result;
use sealwright_collateral::keep;
use sealwright_collateral::serve::{Limits, Served, Server, tls};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// How often the folder is looked at.
const LOOK: Duration = Duration::from_secs(60);

/// Serves until it is stopped; with services it keeps itself fresh meanwhile.
pub(super) async fn run(args: &CollateralServe, output: Output) -> Result<Outcome> {
    running::log_to_stderr(output);
    let ready = ReadyFile::new(args.ready_file.as_deref())?;
    let (store, report, root) = open(&args.store, crate::clock::now())?;
    for (file, reason) in &report.refused {
        tracing::warn!(file, reason, "a file is not used");
    }
    let (services, upkeep) = (services(&args.service, None)?, upkeep(&args.upkeep));
    let certificate = match (&args.tls_cert, &args.tls_key) {
        (Some(chain), Some(key)) => {
            let chain = crate::files::read(chain, MAX_FILE)?;
            Some(tls(&chain, &Zeroizing::new(crate::files::read(key, MAX_FILE)?))?)
        }
        _ => None,
    };
    let store = Arc::new(store);
    let clock: sealwright_collateral::Clock = Arc::new(crate::clock::now);
    let served = Served { store: Arc::clone(&store), root: root.id().sha256, upkeep, clock: Arc::clone(&clock) };
    let limits = Limits {
        connections: args.max_connections,
        connections_per_peer: args.max_connections_per_peer,
        ..Limits::default()
    };
    let server = Server::bind(args.listen, certificate, served, limits).await?;
    let stop = running::stop_signal(args.exit_with_stdin, &ready)?;
    ready.ready(&server.url())?;
    tokio::select! {
        () = server.run(stop) => {}
        () = keep(store, services, upkeep, LOOK, clock, jitter) => {}
    }
    Ok(Outcome::Yes)
}
