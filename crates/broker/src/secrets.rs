//! Secrets: what is released, and what it requires of whoever receives it.

use crate::storage::{Entry, Table, Vault, VaultError};
use sealwright_wire::{aael::RuntimeEvent, jws::strict_object, kbs::ResourcePath, time::UnixTime};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
use zeroize::Zeroizing;

/// The most kinds of runtime event that a secret may require.
const MAX_EVENTS: usize = 16;
/// The most contents that may be accepted of one kind.
const MAX_ACCEPTED: usize = 256;
/// The longest name of an event, and the longest accepted content, in bytes.
const MAX_WORD: usize = 1024;
/// The longest description of a secret, in bytes.
const MAX_ABOUT: usize = 1 << 20;
/// How many bytes in front of a record say how long the description is.
const LENGTH: usize = 4;

/// What a workload must have measured at run time before it receives a secret, beside an affirming token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requires {
    /// For each `domain/operation`: an event of this name must be in the runtime log that the evidence explains, and its content, or the
    /// member `digest` of its content, must be one of these. The operation is what follows the last slash: a domain may have slashes, as
    /// `github.com/confidential-containers` does, and an event whose operation has one meets no requirement.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub runtime: BTreeMap<String, Vec<String>>,
}

/// Requirements that can not be met or kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("requires: {0}")]
pub struct RequiresError(String);

impl Requires {
    /// The event `domain/operation` with one of these contents or digests.
    pub fn event(name: &str, accepted: impl IntoIterator<Item = String>) -> Self {
        Self { runtime: BTreeMap::from([(name.to_owned(), accepted.into_iter().collect())]) }
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// When it has an unknown member, an event without a name or without anything that is accepted, or more than is kept.
    pub fn from_json(json: &[u8]) -> Result<Self, RequiresError> {
        let members = strict_object("requires", json).map_err(|error| RequiresError(error.to_string()))?;
        let requires: Self =
            serde_json::from_value(members.into()).map_err(|error| RequiresError(error.to_string()))?;
        requires.check()?;
        Ok(requires)
    }

    fn check(&self) -> Result<(), RequiresError> {
        if self.runtime.len() > MAX_EVENTS {
            return Err(RequiresError(format!("at most {MAX_EVENTS} kinds of event, found {}", self.runtime.len())));
        }
        let word = |word: &String| !word.is_empty() && word.len() <= MAX_WORD;
        for (event, accepted) in &self.runtime {
            if !word(event) || !names_an_event(event) {
                let found = event.chars().take(64).collect::<String>();
                return Err(RequiresError(format!("expected domain/operation, found {found:?}")));
            }
            if !(1..=MAX_ACCEPTED).contains(&accepted.len()) || !accepted.iter().all(word) {
                return Err(RequiresError(format!(
                    "{event}: expected 1 to {MAX_ACCEPTED} accepted contents or digests of 1 to {MAX_WORD} bytes"
                )));
            }
        }
        Ok(())
    }
}

/// Whether there can be an event with this domain, a slash, and this operation.
fn names_an_event(name: &str) -> bool {
    name.rsplit_once('/').is_some_and(|(domain, operation)| RuntimeEvent::new(domain, operation, "").is_ok())
}

/// What is written in front of a secret's bytes, in the same sealed record.
#[derive(Serialize, Deserialize)]
struct About {
    requires: Requires,
    put_at: UnixTime,
}

/// A secret as it was put.
pub(crate) struct Stored {
    pub(crate) version: u64,
    pub(crate) requires: Requires,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

/// All secrets.
pub(crate) struct Secrets {
    vault: Arc<Vault>,
}

impl Secrets {
    pub(crate) fn new(vault: Arc<Vault>) -> Self {
        Self { vault }
    }

    /// Durable on return.
    pub(crate) fn put(
        &self,
        path: &ResourcePath,
        bytes: &[u8],
        requires: Requires,
        at: UnixTime,
        expect: Option<u64>,
    ) -> Result<u64, VaultError> {
        let about = serde_json::to_vec(&About { requires, put_at: at }).unwrap_or_default();
        let mut record = Zeroizing::new(Vec::with_capacity(LENGTH + about.len() + bytes.len()));
        record.extend_from_slice(&u32::try_from(about.len()).unwrap_or(u32::MAX).to_be_bytes());
        record.extend_from_slice(&about);
        record.extend_from_slice(bytes);
        self.vault.put(Table::Secrets, &path.to_string(), &record, expect)
    }

    pub(crate) fn get(&self, path: &ResourcePath) -> Result<Option<Stored>, VaultError> {
        let key = path.to_string();
        self.vault.get(Table::Secrets, &key)?.map(|entry| read(&key, &entry)).transpose()
    }

    pub(crate) fn delete(&self, path: &ResourcePath) -> Result<bool, VaultError> {
        self.vault.delete(Table::Secrets, &path.to_string())
    }

    pub(crate) fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Stored)>, VaultError> {
        let entries = self.vault.list(Table::Secrets, prefix, after, limit)?.into_iter();
        entries.map(|(key, entry)| read(&key, &entry).map(|stored| (key, stored))).collect()
    }
}

fn read(key: &str, entry: &Entry) -> Result<Stored, VaultError> {
    let parts = || {
        let (length, rest) = entry.bytes.split_first_chunk::<LENGTH>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok().filter(|length| *length <= MAX_ABOUT)?;
        let (about, bytes) = rest.split_at_checked(length)?;
        let about: About = serde_json::from_slice(about).ok()?;
        Some((about, Zeroizing::new(bytes.to_vec())))
    };
    let (about, bytes) = parts().ok_or_else(|| VaultError::Tampered { table: Table::Secrets, key: key.to_owned() })?;
    Ok(Stored { version: entry.version, requires: about.requires, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_round_trip_and_absurd_ones_are_refused() {
        let requires = Requires::event("sealwright/LoadModel", ["sha384:00".to_owned()]);
        let json = serde_json::to_vec(&requires).unwrap();
        assert_eq!(Requires::from_json(&json), Ok(requires));
        assert_eq!(Requires::from_json(b"{}"), Ok(Requires::default()));
        for event in ["github.com/confidential-containers/PullImage", "a//b", "/a/b"] {
            let json = format!(r#"{{"runtime":{{"{event}":["x"]}}}}"#);
            assert_eq!(Requires::from_json(json.as_bytes()), Ok(Requires::event(event, ["x".to_owned()])));
            // Each can be met: its domain and operation are what an event may have.
            let (domain, operation) = event.rsplit_once('/').unwrap();
            RuntimeEvent::new(domain, operation, "x").unwrap();
        }
        let many: Vec<String> = (0..=MAX_ACCEPTED).map(|n| format!("\"{n}\"")).collect();
        for json in [
            "",
            "[]",
            r#"{"runtim":{}}"#,
            r#"{"runtime":{"a/b":["x"]},"runtime":{}}"#,
            r#"{"runtime":{"sealwright/LoadModel":[]}}"#,
            r#"{"runtime":{"sealwright/LoadModel":[""]}}"#,
            r#"{"runtime":{"LoadModel":["x"]}}"#,
            r#"{"runtime":{"/":["x"]}}"#,
            r#"{"runtime":{"a/":["x"]}}"#,
            r#"{"runtime":{"/b":["x"]}}"#,
            r#"{"runtime":{"a /b":["x"]}}"#,
            r#"{"runtime":{"a/b c":["x"]}}"#,
            r#"{"runtime":{"a/b\u0000":["x"]}}"#,
            r#"{"runtime":{"a/b/":["x"]}}"#,
            r#"{"runtime":{"a/b":[1]}}"#,
            &format!(r#"{{"runtime":{{"a/b":[{}]}}}}"#, many.join(",")),
            &format!(r#"{{"runtime":{{"a/b":["{}"]}}}}"#, "x".repeat(MAX_WORD + 1)),
        ] {
            assert!(Requires::from_json(json.as_bytes()).is_err(), "{json}");
        }
    }
}
