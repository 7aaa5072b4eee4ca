//! Whether a model answers so soon that its run may hold up the connections of a thread.

use std::{
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

/// Waking another thread and being woken by it takes about half of this.
const PROMPT: Duration = Duration::from_micros(150);
/// So many runs are watched from afar once one took longer than its input's size let expect: a client may know which inputs do.
const WARY: u32 = 100;

/// A thread may be kept from computing, by other threads or by a host that has other machines: a run that computed promptly may take so
/// many times longer and still count as prompt.
const HINDERED: u32 = 8;

/// A run that has begun on this thread.
pub(crate) struct Run {
    since: Instant,
    computed: Duration,
}

impl Run {
    pub(crate) fn begin() -> Self {
        Self { since: Instant::now(), computed: computed() }
    }

    /// How long it took of this thread's time; or of everybody's, if it was waiting for something else.
    pub(crate) fn took(&self) -> Duration {
        computed().saturating_sub(self.computed).max(self.since.elapsed() / HINDERED)
    }
}

/// How long this thread has computed.
fn computed() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// How long the runs of one model take by the size of their inputs, as seen so far. Nothing is known of a new one.
#[derive(Debug, Default)]
pub struct Pace {
    /// Inputs of fewer elements than this were computed promptly.
    below: AtomicUsize,
    /// How many more runs must be prompt before they count.
    wary: AtomicU32,
}

impl Pace {
    /// Whether a run with so many elements as input is expected to be prompt.
    pub(crate) fn is_prompt(&self, elements: usize) -> bool {
        elements < self.below.load(Ordering::Relaxed) && self.wary.load(Ordering::Relaxed) == 0
    }

    /// That a run with so many elements took so long. Runs at the same time may overwrite each other's word; the next ones correct it.
    pub(crate) fn ran(&self, elements: usize, took: Duration) {
        if took <= PROMPT {
            self.below.fetch_max(elements.saturating_add(1), Ordering::Relaxed);
            let wary = self.wary.load(Ordering::Relaxed);
            self.wary.store(wary.saturating_sub(1), Ordering::Relaxed);
        } else if self.below.fetch_min(elements, Ordering::Relaxed) > elements {
            self.wary.store(WARY, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(1);

    #[test]
    fn a_run_takes_what_it_computes_or_waits() {
        let run = Run::begin();
        std::thread::sleep(HINDERED * PROMPT);
        assert!(run.took() > PROMPT, "it waited");
        let run = Run::begin();
        let before = computed();
        while computed() - before <= PROMPT {}
        assert!(run.took() > PROMPT, "it computed");
    }

    #[test]
    fn nothing_is_expected_of_a_model_that_never_ran() {
        assert!(!Pace::default().is_prompt(0));
    }

    #[test]
    fn what_was_prompt_is_expected_to_be_for_inputs_as_small() {
        let pace = Pace::default();
        pace.ran(64, PROMPT);
        assert!(pace.is_prompt(64) && pace.is_prompt(0) && !pace.is_prompt(65));
        pace.ran(1000, LONG);
        assert!(pace.is_prompt(64) && !pace.is_prompt(1000), "larger ones say nothing of smaller ones");
    }

    #[test]
    fn one_that_took_longer_than_expected_is_watched_from_afar() {
        let pace = Pace::default();
        pace.ran(64, PROMPT);
        pace.ran(10, LONG);
        for _ in 0..WARY {
            assert!(!pace.is_prompt(9) && !pace.is_prompt(64));
            pace.ran(64, PROMPT);
        }
        assert!(pace.is_prompt(64));
    }
}
