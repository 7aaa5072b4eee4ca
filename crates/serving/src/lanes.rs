//! The threads that serve connections. On each, [`crate::Model::run`] computes at once, so that a small model's answer costs no hop
//! to another thread: waking one costs more than such a model does.
//!
//! A connection stays on the thread that it was given when it came, the one with the fewest.

use std::{
    cell::Cell,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tokio::{
    runtime::{self, Handle},
    sync::oneshot,
};

use crate::runtime::Runtime;

thread_local! {
    static HERE: Cell<bool> = const { Cell::new(false) };
}

/// Whether a model that runs on this thread computes at once.
pub(crate) fn here() -> bool {
    HERE.get()
}

/// The threads of one server. They end when this is dropped, and what they still serve with them.
pub(crate) struct Lanes(Vec<Lane>);

struct Lane {
    tasks: Handle,
    /// The connections that it serves.
    open: Arc<AtomicUsize>,
    /// Dropped, it ends the thread.
    _end: oneshot::Sender<()>,
}

impl Lanes {
    /// Starts so many threads, at least one.
    ///
    /// # Errors
    /// If the system gives no thread, or nothing to wait for sockets with.
    pub(crate) fn start(runtime: &Arc<dyn Runtime>, threads: usize) -> io::Result<Self> {
        (0..threads.max(1)).map(|number| Lane::start(Arc::clone(runtime), number)).collect::<Result<_, _>>().map(Self)
    }

    /// Serves a connection on the thread that has the fewest.
    pub(crate) fn spawn(&self, serving: impl Future<Output = ()> + Send + 'static) {
        let Some(lane) = self.0.iter().min_by_key(|lane| lane.open.load(Ordering::Relaxed)) else { return };
        let open = Open::one_more(&lane.open);
        lane.tasks.spawn(async move {
            serving.await;
            drop(open);
        });
    }
}

impl Lane {
    fn start(runtime: Arc<dyn Runtime>, number: usize) -> io::Result<Self> {
        let tasks = runtime::Builder::new_current_thread().enable_all().build()?;
        let (end, ended) = oneshot::channel::<()>();
        let lane = Self { tasks: tasks.handle().clone(), open: Arc::default(), _end: end };
        let mut ended = Some(ended);
        let work = move || {
            runtime.enter(&mut || {
                HERE.set(true);
                // An error is the end of the other side, which is what is waited for.
                ended.take().map(|ended| tasks.block_on(ended));
                HERE.set(false);
            });
        };
        thread::Builder::new().name(format!("serve-{number}")).spawn(work)?;
        Ok(lane)
    }
}

/// One connection in the count of its thread.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn one_more(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Rten;
    use std::collections::BTreeSet;
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn connections_are_spread_over_the_threads() {
        let runtime: Arc<dyn Runtime> = Arc::new(Rten::default());
        let lanes = Lanes::start(&runtime, 3).unwrap();
        let (say, mut heard) = mpsc::unbounded_channel();
        let (leave, stay) = tokio::sync::watch::channel(());
        for _ in 0..6 {
            let (say, mut stay) = (say.clone(), stay.clone());
            lanes.spawn(async move {
                say.send((here(), thread::current().id())).unwrap();
                let _ = stay.changed().await;
            });
        }
        let mut threads = Vec::new();
        for _ in 0..6 {
            let (here, thread) = heard.recv().await.unwrap();
            assert!(here);
            threads.push(format!("{thread:?}"));
        }
        assert!(!here(), "only there");
        assert_eq!(threads.iter().collect::<BTreeSet<_>>().len(), 3);
        assert!(lanes.0.iter().all(|lane| lane.open.load(Ordering::Relaxed) == 2));
        drop((leave, stay));
        while lanes.0.iter().any(|lane| lane.open.load(Ordering::Relaxed) != 0) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_is_served_ends_with_the_threads() {
        let runtime: Arc<dyn Runtime> = Arc::new(Rten::default());
        let lanes = Lanes::start(&runtime, 1).unwrap();
        let (held, ended) = oneshot::channel::<()>();
        lanes.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        drop(lanes);
        assert!(ended.await.is_err());
    }
}
