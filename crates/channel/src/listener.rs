//! Accepting connections.

use crate::lingering::Lingering;
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

/// A connection that was accepted. Its end does not take the last answer with it.
pub type Accepted = Lingering<TcpStream>;

/// Gives a connection that another runtime accepted to the one that this is called on, which waits for its bytes from now on.
///
/// # Errors
/// If the system gives nothing to wait with.
pub fn adopt(accepted: Accepted) -> io::Result<Accepted> {
    TcpStream::from_std(accepted.into_inner().into_std()?).map(Lingering::new)
}

/// How long to wait when the system has no more sockets.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// The next connection and whose it is. When the system can give none, this waits for it instead of spinning.
pub async fn accept(listener: &TcpListener) -> (Accepted, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // Small answers must not wait for acknowledgements. A socket that cannot do it works all the same.
                let _ = stream.set_nodelay(true);
                return (Lingering::new(stream), address);
            }
            Err(error) => {
                // Out of file descriptors, most often, until connections end.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(EXHAUSTED).await;
            }
        }
    }
}
