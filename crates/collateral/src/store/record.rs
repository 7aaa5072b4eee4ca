//! What was fetched when.

use crate::{Wanted, atomic};
use sealwright_verify::Collateral;
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

/// One bundle's story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    #[serde(flatten)]
    pub(super) wanted: Wanted,
    /// The service; none where somebody put the bundle here.
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

impl Entry {
    /// Of a bundle that no service sent: as old as its newest part.
    pub(super) fn by_hand(wanted: Wanted, collateral: &Collateral) -> Self {
        let (fetched, expires) = (collateral.valid_from(), collateral.expires());
        Self { wanted, from: None, fetched, expires, failures: 0, next_attempt: None }
    }
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    bundles: Vec<Entry>,
}

impl Record {
    /// What an earlier process noted; nothing when there is no such file.
    pub(super) fn load(path: &Path) -> io::Result<Self> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { version: VERSION, bundles: Vec::new() });
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

    pub(super) fn get(&self, wanted: &Wanted) -> Option<&Entry> {
        self.bundles.iter().find(|entry| entry.wanted == *wanted)
    }

    pub(super) fn set(&mut self, entry: Entry) {
        self.bundles.retain(|other| other.wanted != entry.wanted);
        self.bundles.push(entry);
        self.bundles.sort_by_key(|entry| entry.wanted);
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.bundles.iter()
    }
}
