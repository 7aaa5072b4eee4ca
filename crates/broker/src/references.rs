//! Reference values: from the configured folder, and those that an administrator registered.

use crate::{
    admin::ReferenceInfo,
    files::{self, FileError},
    storage::{Table, Vault, VaultError},
};
use aws_lc_rs::digest;
use sealwright_appraise as appraise;
use sealwright_wire::{
    Digest,
    reference::{MAX_FILE, ReferenceValues},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

/// What a name is, in words.
pub(crate) const NAME: &str = "1 to 64 letters, digits, '_', '-' and inner dots";
const MAX_NAME: usize = 64;
/// The most sets of values, from both places.
const MAX_SETS: usize = 1024;

/// Whether a text is a name of reference values. It stands in a path as it is.
pub(crate) fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    text.len() <= MAX_NAME
        && text.bytes().next().is_some_and(plain)
        && text.bytes().all(|byte| plain(byte) || byte == b'.')
}

/// Why there are no reference values.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// The folder or a file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file holds something else.
    #[error("{}: {source}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: sealwright_wire::reference::Error,
    },
    /// A file's name is none for reference values.
    #[error("{}: expected a name of {NAME}", path.display())]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// What an administrator registered cannot be read.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// More than are compared.
    #[error("{found} sets of reference values, at most {MAX_SETS} are compared")]
    TooMany {
        /// How many there are.
        found: usize,
    },
}

/// All reference values at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) sets: Vec<ReferenceInfo>,
    /// SHA-384 over names and values, by which the audit log says what evidence was compared with.
    pub(crate) sha384: Digest<48>,
}

impl Snapshot {
    /// The sets as policies compare with them.
    pub(crate) fn references(&self) -> appraise::References {
        let sets = self.sets.iter().map(|set| (set.name.clone(), set.values.clone()));
        sets.fold(appraise::References::none(), |all, (name, values)| all.with(name, values))
    }
}

/// A change by an administrator: the name of reference values, and what they are from now on.
pub(crate) type Change<'a> = (&'a str, Option<&'a ReferenceValues>);

/// The reference values in force. Only [`crate::judge::Judge`] changes them, one change after the other, so that evidence is judged by the
/// values that are listed here.
pub(crate) struct References {
    folder: PathBuf,
    vault: Arc<Vault>,
    current: RwLock<Arc<Snapshot>>,
}

impl References {
    pub(crate) fn open(folder: &Path, vault: Arc<Vault>) -> Result<Self, ReferenceError> {
        let current = RwLock::new(Arc::new(snapshot(folder, &vault, None)?));
        Ok(Self { folder: folder.to_owned(), vault, current })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What both places hold now, or will hold after a change. Nothing of it is in force yet.
    pub(crate) fn look(&self, change: Option<Change<'_>>) -> Result<Snapshot, ReferenceError> {
        snapshot(&self.folder, &self.vault, change)
    }

    /// Registers values, durable on return. Returns their version.
    pub(crate) fn put(&self, name: &str, values: &ReferenceValues) -> Result<u64, ReferenceError> {
        let json = serde_json::to_vec(values).unwrap_or_default();
        Ok(self.vault.put(Table::References, name, &json, None)?)
    }

    /// Removes what an administrator registered, durable on return. Returns whether there was any.
    pub(crate) fn delete(&self, name: &str) -> Result<bool, ReferenceError> {
        Ok(self.vault.delete(Table::References, name)?)
    }

    /// Puts what [`look`](Self::look) found into force.
    pub(crate) fn take_up(&self, snapshot: Snapshot) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }
}

fn snapshot(folder: &Path, vault: &Vault, change: Option<Change<'_>>) -> Result<Snapshot, ReferenceError> {
    let mut sets = from_folder(folder)?;
    // What an administrator registered takes the place of a file of the same name.
    for (name, values) in registered(vault, change)? {
        sets.insert(name.clone(), ReferenceInfo { name, source: "administrator".to_owned(), values });
    }
    if sets.len() > MAX_SETS {
        return Err(ReferenceError::TooMany { found: sets.len() });
    }
    let sets: Vec<ReferenceInfo> = sets.into_values().collect();
    Ok(Snapshot { sha384: digest_of(&sets), sets })
}

fn registered(vault: &Vault, change: Option<Change<'_>>) -> Result<BTreeMap<String, ReferenceValues>, ReferenceError> {
    let mut sets = BTreeMap::new();
    for (name, entry) in vault.list(Table::References, "", None, MAX_SETS)? {
        let values = ReferenceValues::from_json(&entry.bytes)
            .map_err(|_| VaultError::Tampered { table: Table::References, key: name.clone() })?;
        sets.insert(name, values);
    }
    match change {
        Some((name, Some(values))) => drop(sets.insert(name.to_owned(), values.clone())),
        Some((name, None)) => drop(sets.remove(name)),
        None => (),
    }
    Ok(sets)
}

fn from_folder(folder: &Path) -> Result<BTreeMap<String, ReferenceInfo>, ReferenceError> {
    let mut sets = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(FileError::io(folder))? {
        let path = entry.map_err(FileError::io(folder))?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| is_name(stem));
        let name = name.ok_or_else(|| ReferenceError::Name { path: path.clone() })?.to_owned();
        let json = files::read(&path, MAX_FILE as u64)?;
        let values = ReferenceValues::from_json(&json)
            .map_err(|source| ReferenceError::Content { path: path.clone(), source })?;
        sets.insert(name.clone(), ReferenceInfo { name, source: "file".to_owned(), values });
        if sets.len() > MAX_SETS {
            return Err(ReferenceError::TooMany { found: sets.len() });
        }
    }
    Ok(sets)
}

fn digest_of(sets: &[ReferenceInfo]) -> Digest<48> {
    let mut context = digest::Context::new(&digest::SHA384);
    for set in sets {
        let json = serde_json::to_vec(&set.values).unwrap_or_default();
        for field in [set.name.as_bytes(), &json] {
            context.update(&(field.len() as u64).to_be_bytes());
            context.update(field);
        }
    }
    let mut out = Digest([0; 48]);
    out.0.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["a", "td-1_x", "v1.2.json", &"x".repeat(64)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".a", "..", "a/b", "a%2f", "ä", "a b", &"x".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
