//! What was fetched when.

use crate::{Item, Upkeep, Wanted, atomic};
use sealwright_wire::time::UnixTime;
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// The longest file that is read.
const MAX_FILE: u64 = 8 << 20;
/// The version of the file.
const VERSION: u32 = 1;

/// The story of one bundle or item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry<W> {
    #[serde(flatten)]
    pub(super) wanted: W,
    /// The service; none where somebody put it here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<String>,
    /// When the service was last heard.
    pub(super) fetched: UnixTime,
    pub(super) expires: UnixTime,
    /// Failures in a row since.
    #[serde(default)]
    pub(super) failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next_attempt: Option<UnixTime>,
}

impl<W> Entry<W> {
    /// Of what no service sent: as old as `issued`.
    pub(super) const fn by_hand(wanted: W, issued: UnixTime, expires: UnixTime) -> Self {
        Self { wanted, from: None, fetched: issued, expires, failures: 0, next_attempt: None }
    }

    /// Of what a service sent just now.
    pub(super) const fn fetched(wanted: W, from: String, fetched: UnixTime, expires: UnixTime) -> Self {
        Self { wanted, from: Some(from), fetched, expires, failures: 0, next_attempt: None }
    }

    /// Once more nothing newer came.
    pub(super) fn failed(&mut self, upkeep: &Upkeep, at: UnixTime, jitter: f64, retry_after: Option<u64>) {
        self.failures = self.failures.saturating_add(1);
        let wait = upkeep.back_off.wait(self.failures, jitter).as_secs();
        // A service may ask for patience, and not for ever.
        let asked = retry_after.unwrap_or(0).min(upkeep.back_off.most.as_secs());
        self.next_attempt = Some(at.plus(wait.max(asked)));
    }
}

/// Entries in order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Entries<W>(Vec<Entry<W>>);

impl<W: Ord> Entries<W> {
    pub(super) fn get(&self, wanted: &W) -> Option<&Entry<W>> {
        self.0.iter().find(|entry| entry.wanted == *wanted)
    }

    pub(super) fn set(&mut self, entry: Entry<W>) {
        self.0.retain(|other| other.wanted != entry.wanted);
        self.0.push(entry);
        self.0.sort_by(|one, other| one.wanted.cmp(&other.wanted));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry<W>> {
        self.0.iter()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<W> Default for Entries<W> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    pub(super) bundles: Entries<Wanted>,
    #[serde(default, skip_serializing_if = "Entries::is_empty")]
    pub(super) items: Entries<Item>,
}

impl Record {
    /// What an earlier process noted; nothing when there is no such file.
    pub(super) fn load(path: &Path) -> io::Result<Self> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { version: VERSION, bundles: Entries::default(), items: Entries::default() });
            }
            file => file?,
        };
        let mut json = Vec::new();
        file.take(MAX_FILE).read_to_end(&mut json)?;
        let record: Self = serde_json::from_slice(&json)?;
        if record.version != VERSION {
            let reason = format!("version {} of the file is unknown here, {VERSION} is known", record.version);
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(record)
    }

    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        atomic::replace(path, &serde_json::to_vec_pretty(self)?)
    }
}
