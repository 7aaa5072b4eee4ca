//! Reference values: from the configured folder, and those that an administrator registered.
//!
//! A file of the folder that cannot be used costs itself alone: it is out of force and named in the log. Values that are withdrawn, by an
//! administrator or by removing their file, are gone whatever else is wrong with the folder.

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
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

/// What a name is, in words.
pub(crate) const NAME: &str = "1 to 64 letters, digits, '_', '-' and inner dots";
const MAX_NAME: usize = 64;
/// The most sets of values, from both places.
const MAX_SETS: usize = 1024;
/// The most files of the folder that are read. Of more, those whose names sort first.
const MAX_FILES: usize = 2048;

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
    /// The folder cannot be read.
    #[error(transparent)]
    Folder(#[from] FileError),
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
    /// Files that are not in force, and why.
    pub(crate) refused: Vec<(String, String)>,
    /// How many sets there are in both places, in force or not.
    found: usize,
    folder: Arc<Folder>,
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
        let current = snapshot(Arc::new(from_folder(folder)?), registered(&vault, None)?);
        log_refused(&current);
        Ok(Self { folder: folder.to_owned(), vault, current: RwLock::new(Arc::new(current)) })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What both places hold now, or will hold after a change. Nothing of it is in force yet.
    ///
    /// A change does not wait for the folder: while that cannot be read, what it held last stays.
    pub(crate) fn look(&self, change: Option<Change<'_>>) -> Result<Snapshot, ReferenceError> {
        let folder = match from_folder(&self.folder) {
            Ok(folder) => Arc::new(folder),
            Err(error) if change.is_some() => {
                tracing::error!(%error, "the reference values that the folder held last stay in force");
                Arc::clone(&self.current().folder)
            }
            Err(error) => return Err(error.into()),
        };
        let after = snapshot(folder, registered(&self.vault, change)?);
        let is_there = |name: &str| self.current().sets.iter().any(|set| set.name == name);
        match change {
            Some((name, Some(_))) if after.found > MAX_SETS && !is_there(name) => {
                Err(ReferenceError::TooMany { found: after.found })
            }
            Some(_) | None => Ok(after),
        }
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

/// What an administrator registered takes the place of a file of the same name, and of whatever file there is no room for.
fn snapshot(folder: Arc<Folder>, registered: BTreeMap<String, ReferenceValues>) -> Snapshot {
    let of_administrator = |(name, values): (String, _)| {
        (name.clone(), ReferenceInfo { name, source: "administrator".to_owned(), values })
    };
    let mut sets: BTreeMap<_, _> = registered.into_iter().map(of_administrator).collect();
    let mut refused = folder.refused.clone();
    let mut found = sets.len();
    for (name, set) in &folder.sets {
        if sets.contains_key(name) {
            continue;
        }
        found = found.saturating_add(1);
        if sets.len() < MAX_SETS {
            sets.insert(name.clone(), set.clone());
        } else {
            refused.push((format!("{name}.json"), too_many()));
        }
    }
    let sets: Vec<ReferenceInfo> = sets.into_values().collect();
    Snapshot { sha384: digest_of(&sets), sets, refused, found, folder }
}

fn too_many() -> String {
    format!("at most {MAX_SETS} sets of reference values are compared")
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

/// What the folder held at one look.
#[derive(Debug, Default)]
struct Folder {
    sets: BTreeMap<String, ReferenceInfo>,
    /// Files that cannot be used, and why.
    refused: Vec<(String, String)>,
}

fn from_folder(path: &Path) -> Result<Folder, FileError> {
    let (names, unread) = files_in(path)?;
    let mut folder = Folder::default();
    for file in names {
        let set = if folder.sets.len() < MAX_SETS { open(&path.join(&file)) } else { Err(too_many()) };
        match set {
            Ok(set) => drop(folder.sets.insert(set.name.clone(), set)),
            Err(reason) => folder.refused.push((file.to_string_lossy().into_owned(), reason)),
        }
    }
    if unread > 0 {
        folder
            .refused
            .push(("...".to_owned(), format!("{unread} files are more than the {MAX_FILES} that are looked at")));
    }
    Ok(folder)
}

/// The names of the folder's JSON files, sorted, and how many more there are than are looked at.
fn files_in(folder: &Path) -> Result<(BTreeSet<OsString>, usize), FileError> {
    let (mut names, mut unread) = (BTreeSet::new(), 0usize);
    for entry in fs::read_dir(folder).map_err(FileError::io(folder))? {
        let name = entry.map_err(FileError::io(folder))?.file_name();
        if Path::new(&name).extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        names.insert(name);
        if names.len() > MAX_FILES {
            names.pop_last();
            unread = unread.saturating_add(1);
        }
    }
    Ok((names, unread))
}

/// The values of one file, or why there are none.
fn open(path: &Path) -> Result<ReferenceInfo, String> {
    let name = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| is_name(stem));
    let name = name.ok_or_else(|| format!("expected a name of {NAME}"))?.to_owned();
    let json = files::read(path, MAX_FILE as u64).map_err(|error| error.to_string())?;
    let values = ReferenceValues::from_json(&json).map_err(|error| error.to_string())?;
    Ok(ReferenceInfo { name, source: "file".to_owned(), values })
}

/// Names the files that are not in force in the log.
pub(crate) fn log_refused(snapshot: &Snapshot) {
    for (file, reason) in &snapshot.refused {
        tracing::warn!(file, reason, "reference values are not in force");
    }
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
