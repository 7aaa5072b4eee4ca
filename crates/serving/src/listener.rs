//! Accepting connections, so many at once, until it is time to stop.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use sealwright_channel::listener::{Accepted, accept};
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};
use tracing::{info, warn};

/// What connections are told when the server stops.
pub(crate) struct Stop(watch::Receiver<()>);

impl Stop {
    /// Until it is time to finish.
    pub(crate) async fn stopped(mut self) {
        // An error is the end of the other side, which is what is waited for.
        while self.0.changed().await.is_ok() {}
    }
}

/// A connection that there is room for.
pub(crate) struct Admitted {
    pub(crate) stream: Accepted,
    pub(crate) address: SocketAddr,
    /// When to finish.
    pub(crate) stop: Stop,
    /// Its place, which is another's when this is dropped.
    pub(crate) place: OwnedSemaphorePermit,
}

/// Gives each connection to `serve`, which returns at once; at most `connections` at a time, until `stop` ends. Then no new ones are
/// taken, and those that are open have `grace` to finish.
pub(crate) async fn serve_all(
    listener: TcpListener,
    connections: usize,
    grace: Duration,
    stop: impl Future<Output = ()>,
    serve: impl Fn(Admitted),
) {
    let places = Arc::new(Semaphore::new(connections));
    let (stopping, stopped) = watch::channel(());
    tokio::pin!(stop);
    loop {
        let ((stream, address), place) = tokio::select! {
            accepted = accept_in_place(&listener, &places) => accepted,
            () = &mut stop => break,
        };
        serve(Admitted { stream, address, stop: Stop(stopped.clone()), place });
    }
    drop((listener, stopping, stopped));
    let all = u32::try_from(connections).unwrap_or(u32::MAX);
    match timeout(grace, places.acquire_many(all)).await {
        Ok(_) => info!("all connections have ended"),
        Err(_) => warn!(?grace, "connections were still open and are cut"),
    }
}

/// The next connection, once there is a place for it.
async fn accept_in_place(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> ((Accepted, SocketAddr), OwnedSemaphorePermit) {
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(places).acquire_owned().await else { continue };
        return (accept(listener).await, place);
    }
}
