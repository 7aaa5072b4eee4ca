//! Whether the broker can do its work. Anybody may ask as often as they like, and a probe that is turned away because somebody else asks too
//! would take a broker out of service that works: so all who ask within a second are told what one look found.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// For how long what was found is told.
const FRESH: Duration = Duration::from_secs(1);
/// How long to wait for a look. A database that takes longer to be read does not serve.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was found last.
#[derive(Default)]
pub(crate) struct Readiness(Arc<Mutex<Option<Found>>>);

struct Found {
    at: Instant,
    ready: bool,
}

impl Readiness {
    /// Whether `look`, which may wait for the disk, found the broker ready: now, or within the last second.
    pub(crate) async fn ask(&self, look: impl FnOnce() -> bool + Send + 'static) -> bool {
        tokio::time::timeout(PATIENCE, self.found(look)).await.unwrap_or(false)
    }

    async fn found(&self, look: impl FnOnce() -> bool + Send + 'static) -> bool {
        let mut last = Arc::clone(&self.0).lock_owned().await;
        if let Some(found) = last.as_ref().filter(|found| found.at.elapsed() < FRESH) {
            return found.ready;
        }
        // The lock goes with the look, so that there is never a second one, also when the first does not come back and nobody waits for it
        // any more.
        let looking = tokio::task::spawn_blocking(move || {
            let ready = look();
            *last = Some(Found { at: Instant::now(), ready });
            ready
        });
        looking.await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    };

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_asks_within_a_second_is_told_what_one_look_found() {
        let (readiness, looks) = (Arc::new(Readiness::default()), Arc::new(AtomicUsize::new(0)));
        let ask = || {
            let (readiness, looks) = (Arc::clone(&readiness), Arc::clone(&looks));
            tokio::spawn(async move { readiness.ask(move || looks.fetch_add(1, SeqCst) < usize::MAX).await })
        };
        let started = Instant::now();
        for asked in (0..2000).map(|_| ask()).collect::<Vec<_>>() {
            assert!(asked.await.unwrap());
        }
        for _ in 0..2000 {
            assert!(ask().await.unwrap());
        }
        // On a machine that is busy this takes more than a second.
        let most = started.elapsed().as_secs() + 1;
        assert!(looks.load(SeqCst) as u64 <= most, "{looks:?} looks, at most {most}");
    }

    #[tokio::test]
    async fn what_was_found_is_told_for_no_longer_than_a_second() {
        let readiness = Readiness::default();
        for found in [false, true, false] {
            assert_eq!(readiness.ask(move || found).await, found);
            tokio::time::sleep(FRESH).await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_look_that_does_not_come_back_is_a_no_in_time_and_stays_the_only_one() {
        let (readiness, looks) = (Readiness::default(), Arc::new(AtomicUsize::new(0)));
        let (come_back, told) = mpsc::channel::<()>();
        let mut told = Some(told);
        let started = Instant::now();
        for _ in 0..3 {
            let (looks, told) = (Arc::clone(&looks), told.take());
            let look = move || {
                looks.fetch_add(1, SeqCst);
                told.is_none_or(|told| told.recv().is_ok())
            };
            assert!(!readiness.ask(look).await);
        }
        assert!(started.elapsed() < 4 * PATIENCE);
        assert_eq!(looks.load(SeqCst), 1);
        come_back.send(()).unwrap();
        assert!(readiness.ask(|| true).await);
    }
}
