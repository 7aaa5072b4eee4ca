//! Evidence as files, for whoever wants to look at it again.

use crate::backend::Passing;
use anyhow::{Context, Result};
use sealwright_evidence::{Backend, Collected};
use sealwright_wire::aael::RuntimeEvent;
use sealwright_wire::tcg2::Log;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The quote, as the quoting enclave signed it.
pub(crate) const QUOTE: &str = "quote.bin";
/// The event log, boot records and runtime records.
pub(crate) const EVENT_LOG: &str = "ccel.bin";
/// The broker's token, an EAR.
pub(crate) const TOKEN: &str = "token.jwt";
/// The runtime records alone, as text: a line each.
const RUNTIME_LOG: &str = "runtime.log";

/// Writes evidence into a directory, in the place of what was there.
pub(crate) fn evidence(dir: &Path, collected: &Collected) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    crate::files::replace(&dir.join(QUOTE), &collected.quote)?;
    let Some(log) = &collected.event_log else { return Ok(()) };
    crate::files::replace(&dir.join(EVENT_LOG), log)?;
    crate::files::replace(&dir.join(RUNTIME_LOG), runtime_lines(log)?.as_bytes())
}

fn runtime_lines(log: &[u8]) -> Result<String> {
    let log = Log::parse(log).context("the event log")?;
    let events = log.events().filter_map(|record| RuntimeEvent::from_record(&record));
    let line = |event: RuntimeEvent| format!("{} {} {}\n", event.domain(), event.operation(), event.content());
    events.map(|event| Ok(line(event.context("a runtime event")?))).collect()
}

/// Sees the evidence that leaves an environment, and remembers the last of it.
#[derive(Clone, Default)]
pub(crate) struct Witness(Arc<Mutex<Option<Collected>>>);

impl Witness {
    /// The same back end, with this witness at its door.
    pub(crate) fn beside(&self, backend: Arc<dyn Backend>) -> Arc<dyn Backend> {
        let witness = self.clone();
        Arc::new(Passing::new(backend, move |collected| {
            witness.see(&collected);
            collected
        }))
    }

    /// Remembers this.
    pub(crate) fn see(&self, collected: &Collected) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(collected.clone());
    }

    /// The last that was seen.
    pub(crate) fn last(&self) -> Option<Collected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
