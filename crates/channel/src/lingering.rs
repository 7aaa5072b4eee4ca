//! Ending a connection so that its last answer arrives.
//!
//! A server that refuses a request before it has read all of it answers and closes. Closing a socket with bytes in it that nobody has read
//! resets the connection (RFC 9112, section 9.6), and a client that is still sending then loses the answer that says why. So the server
//! closes its own direction first, and throws away what still comes for a while.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// How long to wait for more, or for the end.
const SILENCE: Duration = Duration::from_secs(2);
/// How long all of it may take, however much comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream that, when it is shut down, waits for the other side's end.
pub struct Lingering<S> {
    stream: S,
    /// Since this direction was closed.
    waiting: Option<Waiting>,
}

struct Waiting {
    since: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl<S> Lingering<S> {
    /// Passes everything on until it is shut down.
    pub const fn new(stream: S) -> Self {
        Self { stream, waiting: None }
    }

    /// The stream, which ends as streams do.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl Waiting {
    fn begin() -> Self {
        let since = Instant::now();
        Self { since, sleep: Box::pin(sleep_until(since + SILENCE)) }
    }

    /// Throws away what comes until nothing more will, or it has taken long enough.
    fn poll<S: AsyncRead + Unpin>(&mut self, stream: &mut S, context: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 4096];
        loop {
            if self.sleep.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(());
            }
            let deadline = (Instant::now() + SILENCE).min(self.since + PATIENCE);
            self.sleep.as_mut().reset(deadline);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, waiting } = &mut *self;
        if waiting.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(context))?;
        }
        waiting.get_or_insert_with(Waiting::begin).poll(stream, context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        net::{TcpListener, TcpStream},
        time::sleep,
    };

    /// What a client sees that sends a long request and reads when it has: the answer, or that the connection was reset.
    async fn answered(linger: bool) -> io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut client = TcpStream::connect(listener.local_addr()?).await?;
        let (mut stream, _) = listener.accept().await?;
        let serving = tokio::spawn(async move {
            stream.read_exact(&mut [0; 16]).await?;
            stream.write_all(b"413").await?;
            if linger { Lingering::new(stream).shutdown().await } else { Ok(()) }
        });
        for _ in 0..64 {
            client.write_all(&[0; 64 << 10]).await?;
        }
        client.shutdown().await?;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await?;
        serving.await.map_err(io::Error::other)??;
        Ok(answer)
    }

    #[tokio::test]
    async fn a_client_that_is_still_sending_gets_the_answer() {
        assert_eq!(answered(true).await.unwrap(), "413");
        assert!(answered(false).await.is_err(), "closing at once resets the connection");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_who_says_nothing() {
        let (_client, stream) = duplex(8);
        let begun = Instant::now();
        Lingering::new(stream).shutdown().await.unwrap();
        assert_eq!(begun.elapsed(), SILENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_who_says_too_much() {
        let (mut client, stream) = duplex(8);
        let talking = tokio::spawn(async move {
            while client.write_all(b"more").await.is_ok() {
                sleep(SILENCE / 2).await;
            }
        });
        let begun = Instant::now();
        Lingering::new(stream).shutdown().await.unwrap();
        assert_eq!(begun.elapsed(), PATIENCE);
        talking.await.unwrap();
    }
}
