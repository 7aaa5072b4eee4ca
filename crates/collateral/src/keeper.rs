//! Keeps a store fresh for as long as somebody waits for it.

use crate::{RefreshError, Refreshed, Services, Store, Upkeep};
use sealwright_wire::time::UnixTime;
use std::{fmt::Display, sync::Arc, time::Duration};

/// Tells the time: whoever runs a service has a clock, this crate has none.
pub type Clock = Arc<dyn Fn() -> UnixTime + Send + Sync>;

/// Looks at the store's folder every so often, asks the services for what is not fresh, and never ends: drop it to stop. What fails is logged, and tried
/// again when its time has come. `jitter` gives a number between 0 and 1 for each failure.
pub async fn keep(
    store: Arc<Store>,
    services: Services,
    upkeep: Upkeep,
    every: Duration,
    clock: Clock,
    mut jitter: impl FnMut() -> f64,
) {
    loop {
        let (looking, at) = (Arc::clone(&store), clock());
        match tokio::task::spawn_blocking(move || looking.reload(at)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "the collateral's folder cannot be used; what was there stays in use");
            }
            Err(error) => tracing::error!(%error, "looking at the collateral's folder was interrupted"),
        }
        if let Some(service) = &services.intel {
            let refreshed = store.refresh(service, &upkeep, at, &mut jitter).await;
            refreshed.iter().for_each(log);
        }
        store.refresh_items(&services, &upkeep, at, &mut jitter).await.iter().for_each(log);
        tokio::time::sleep(every).await;
    }
}

fn log<W: Display>(refreshed: &Refreshed<W>) {
    let Refreshed { wanted, outcome } = refreshed;
    match outcome {
        Ok(kept) => tracing::info!(%wanted, ?kept, "collateral was fetched"),
        Err(error) => {
            let code = RefreshError::code(error);
            tracing::warn!(%wanted, code, %error, "collateral could not be fetched");
        }
    }
}
