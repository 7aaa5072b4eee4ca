//! The newest issue of everything that was seen, so that a file which takes back a TCB recovery or a revocation is noticed.

use crate::Key;
use sealwright_verify::{Collateral, Issue};
use sealwright_wire::Digest;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// The longest file that is read: some ten thousand kinds of platform.
const MAX_FILE: u64 = 8 << 20;

/// By root and kind of platform: another vendor's numbers, or those of another simulation, say nothing about these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen(BTreeMap<(Digest<32>, Key), Issue>);

/// One of them, as the file has it.
#[derive(Serialize, Deserialize)]
struct Line {
    /// SHA-256 of the root's public key.
    root: Digest<32>,
    #[serde(flatten)]
    key: Key,
    #[serde(flatten)]
    issue: Issue,
}

impl Seen {
    /// Takes note of collateral.
    ///
    /// # Errors
    /// In words, which part of it is older than what was seen before.
    pub(crate) fn note(&mut self, collateral: &Collateral) -> Result<(), String> {
        let (key, issue) = (Key::of(collateral), collateral.issue());
        let place = (collateral.anchor().sha256, key);
        if let Some(older) = self.0.get(&place).and_then(|seen| issue.taken_back(seen)) {
            return Err(format!("{older}, which was seen before for {}", place.1));
        }
        self.0.insert(place, issue);
        Ok(())
    }

    /// What an earlier process saw; nothing when there is no such file.
    pub(crate) fn load(path: &Path) -> io::Result<Self> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            file => file?,
        };
        let mut json = Vec::new();
        file.take(MAX_FILE).read_to_end(&mut json)?;
        let lines: Vec<Line> = serde_json::from_slice(&json)?;
        Ok(Self(lines.into_iter().map(|line| ((line.root, line.key), line.issue)).collect()))
    }

    /// Replaces the file as a whole, durable on return: whenever the machine stops, one of the two is there.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        let lines = self.0.iter().map(|((root, key), issue)| Line { root: *root, key: key.clone(), issue: *issue });
        let json = serde_json::to_vec_pretty(&lines.collect::<Vec<_>>())?;
        let fresh = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&json)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}
