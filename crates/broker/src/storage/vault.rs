//! Records encrypted at rest, an envelope each.
//!
//! A record's bytes are sealed with AES-256-GCM under a key of their own, which is sealed under the root key. Both seals authenticate the
//! table, the key and the version, so that whoever can write the file can neither read a record nor move one to another name, nor put an old
//! value under a new version. What can not be told is what was true once: an old row with its own version is as authentic as it was then, be
//! it a secret that was deleted since or the note of the audit log's end, and so is an old copy of the whole file; nor does a row that is
//! gone leave a trace which could not be removed. Only the broker may write the file. Stored bytes, format 1:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format, 1 |
//! | 8 | which root key: the first bytes of SHA-256("sealwright root key id" ‖ key) |
//! | 12 | nonce of the record key's seal |
//! | 48 | the record key, sealed under the root key |
//! | 12 | nonce of the record's seal |
//! | n + 16 | the record, sealed under the record key |

use super::{Change, Store, StoreError, Table};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest, rand,
};
use std::{path::Path, sync::Arc};
use zeroize::Zeroizing;

const FORMAT: u8 = 1;
const ID_LEN: usize = 8;
const KEY_LEN: usize = 32;
const TAG_LEN: usize = 16;
const WRAPPED_LEN: usize = KEY_LEN + TAG_LEN;
const HEAD_LEN: usize = 1 + ID_LEN + NONCE_LEN + WRAPPED_LEN + NONCE_LEN;
/// How often a change without an expected version is tried again after somebody else's.
const ATTEMPTS: usize = 16;
/// A record of no meaning, by which the vault notices at its opening that it was given another root key.
const PROBE: (Table, &str) = (Table::Meta, "root-key-probe");

/// Why the vault did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The engine below refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record was sealed under another root key.
    #[error("{table}/{key} was sealed under root key {found}, this is root key {here}: give the broker the root key that its database was made with", table = table.name())]
    OtherRootKey {
        /// The collection.
        table: Table,
        /// The key in it.
        key: String,
        /// Identifier of the root key that sealed it, hex.
        found: String,
        /// Identifier of this vault's root key, hex.
        here: String,
    },
    /// The record is not what the vault wrote: changed, cut, or moved here from another name or version.
    #[error("{table}/{key} is not as it was written: the database was changed by something else than this broker", table = table.name())]
    Tampered {
        /// The collection.
        table: Table,
        /// The key in it.
        key: String,
    },
    /// The cryptographic library failed.
    #[error("the cryptographic library failed to {0}")]
    Crypto(&'static str),
    /// The root key's file is not usable.
    #[error(transparent)]
    KeyFile(#[from] crate::files::FileError),
    /// The root key's file holds something else.
    #[error("{path}: expected 64 hex digits (a root key of 32 bytes)")]
    NoRootKey {
        /// The file.
        path: String,
    },
}

/// The key under which everything in the database is encrypted.
pub struct RootKey {
    sealing: LessSafeKey,
    id: [u8; ID_LEN],
}

impl RootKey {
    /// Reads the key from `path`: 64 hex digits. The file must not be readable by others.
    ///
    /// # Errors
    /// When the file cannot be read, is open to others, or holds no key.
    pub fn load(path: &Path) -> Result<Self, VaultError> {
        let text = crate::files::read_private(path, 256)?;
        let mut key = Zeroizing::new([0; KEY_LEN]);
        hex::decode_to_slice(text.trim_ascii_end(), key.as_mut_slice())
            .map_err(|_| VaultError::NoRootKey { path: path.display().to_string() })?;
        Self::new(&key)
    }

    /// A fresh key in the form that [`Self::load`] reads.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn generate() -> Result<Zeroizing<String>, VaultError> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        random(key.as_mut_slice())?;
        let mut text = Zeroizing::new(hex::encode(key.as_slice()));
        text.push('\n');
        Ok(text)
    }

    fn new(key: &[u8; KEY_LEN]) -> Result<Self, VaultError> {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"sealwright root key id");
        context.update(key);
        let mut id = [0; ID_LEN];
        id.copy_from_slice(&context.finish().as_ref()[..ID_LEN]);
        Ok(Self { sealing: sealing_key(key)?, id })
    }
}

/// A record as it was put.
pub struct Entry {
    /// Counts the changes of this key, from 1.
    pub version: u64,
    /// The bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// A [`Store`] whose records nobody reads without the root key.
pub struct Vault {
    store: Arc<dyn Store>,
    root: RootKey,
}

impl Vault {
    /// Opens the store with this root key, which must be the one that the store was first opened with.
    ///
    /// # Errors
    /// [`VaultError::OtherRootKey`] when it is not; or when the store fails.
    pub fn open(store: Arc<dyn Store>, root: RootKey) -> Result<Self, VaultError> {
        let vault = Self { store, root };
        let (table, key) = PROBE;
        if vault.get(table, key)?.is_none() {
            vault.put(table, key, &[], None)?;
        }
        Ok(vault)
    }

    /// Whether the store can be read and the root key opens what is in it.
    ///
    /// # Errors
    /// When not.
    pub fn probe(&self) -> Result<(), VaultError> {
        let (table, key) = PROBE;
        self.get(table, key).map(drop)
    }

    /// The record under `key`.
    ///
    /// # Errors
    /// When the record is not what was written, or the store fails.
    pub fn get(&self, table: Table, key: &str) -> Result<Option<Entry>, VaultError> {
        let Some(stored) = self.store.get(table, key)? else { return Ok(None) };
        let Some(value) = stored.value else { return Ok(None) };
        Ok(Some(Entry { version: stored.version, bytes: self.unseal(table, key, stored.version, value)? }))
    }

    /// At most `limit` records whose key begins with `prefix` and sorts behind `after`, in the order of their keys.
    ///
    /// # Errors
    /// When a record is not what was written, or the store fails.
    pub fn list(
        &self,
        table: Table,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Entry)>, VaultError> {
        let rows = self.store.scan(table, prefix, after, limit)?.into_iter();
        rows.map(|(key, stored)| {
            let bytes = self.unseal(table, &key, stored.version, stored.value.unwrap_or_default())?;
            Ok((key, Entry { version: stored.version, bytes }))
        })
        .collect()
    }

    /// Puts `bytes` under `key`, durable on return, and returns their version. With `expect`, only if the version there is that one
    /// (0: if there never was one); else over whatever is there.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another version is there; or when the store fails.
    pub fn put(&self, table: Table, key: &str, bytes: &[u8], expect: Option<u64>) -> Result<u64, VaultError> {
        self.change(table, key, Some(bytes), expect).map(|version| version.unwrap_or_default())
    }

    /// Deletes the record under `key`, durable on return. Returns whether there was one.
    ///
    /// # Errors
    /// When the store fails.
    pub fn delete(&self, table: Table, key: &str) -> Result<bool, VaultError> {
        self.change(table, key, None, None).map(|version| version.is_some())
    }

    /// The new version, or `None` when there was nothing to delete.
    fn change(
        &self,
        table: Table,
        key: &str,
        bytes: Option<&[u8]>,
        expect: Option<u64>,
    ) -> Result<Option<u64>, VaultError> {
        let mut attempt = 1;
        loop {
            let there = self.store.get(table, key)?;
            if bytes.is_none() && there.as_ref().is_none_or(|stored| stored.value.is_none()) {
                return Ok(None);
            }
            let from = expect.unwrap_or_else(|| there.map_or(0, |stored| stored.version));
            let version = from.saturating_add(1);
            let sealed = bytes.map(|bytes| self.seal(table, key, version, bytes)).transpose()?;
            match self.store.apply(&[Change { table, key, from, value: sealed.as_deref() }]) {
                Ok(()) => return Ok(Some(version)),
                Err(StoreError::Conflict { .. }) if expect.is_none() && attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn seal(&self, table: Table, key: &str, version: u64, bytes: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut record_key = Zeroizing::new([0; KEY_LEN]);
        random(record_key.as_mut_slice())?;
        let mut sealed = Vec::with_capacity(HEAD_LEN + bytes.len() + TAG_LEN);
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.root.id);
        append_seal(&mut sealed, &self.root.sealing, &context(b"key", table, key, version), record_key.as_slice())?;
        let sealing = sealing_key(&record_key)?;
        append_seal(&mut sealed, &sealing, &context(b"record", table, key, version), bytes)?;
        Ok(sealed)
    }

    fn unseal(
        &self,
        table: Table,
        key: &str,
        version: u64,
        mut sealed: Vec<u8>,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let tampered = || VaultError::Tampered { table, key: key.to_owned() };
        let (head, rest) = sealed.split_at_mut_checked(1 + ID_LEN).ok_or_else(tampered)?;
        if head[0] != FORMAT {
            return Err(tampered());
        }
        if head[1..] != self.root.id {
            let (found, here) = (hex::encode(&head[1..]), hex::encode(self.root.id));
            return Err(VaultError::OtherRootKey { table, key: key.to_owned(), found, here });
        }
        let (wrapped, record) = rest.split_at_mut_checked(NONCE_LEN + WRAPPED_LEN).ok_or_else(tampered)?;
        let mut record_key = Zeroizing::new([0; KEY_LEN]);
        let opened = open_seal(wrapped, &self.root.sealing, &context(b"key", table, key, version));
        record_key.copy_from_slice(opened.ok_or_else(tampered)?);
        let sealing = sealing_key(&record_key)?;
        let opened = open_seal(record, &sealing, &context(b"record", table, key, version)).ok_or_else(tampered)?;
        Ok(Zeroizing::new(opened.to_vec())).inspect(|_| zeroize::Zeroize::zeroize(&mut sealed))
    }
}

/// What a seal authenticates besides its content. The lengths keep one field from running into the next.
fn context(purpose: &[u8], table: Table, key: &str, version: u64) -> Vec<u8> {
    let mut context = b"sealwright vault 1".to_vec();
    for field in [purpose, table.name().as_bytes(), key.as_bytes(), &version.to_be_bytes()] {
        context.extend_from_slice(&(field.len() as u64).to_be_bytes());
        context.extend_from_slice(field);
    }
    context
}

fn sealing_key(key: &[u8; KEY_LEN]) -> Result<LessSafeKey, VaultError> {
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| VaultError::Crypto("take a key"))?;
    Ok(LessSafeKey::new(key))
}

/// Appends a fresh nonce and the sealed `plain`.
fn append_seal(out: &mut Vec<u8>, key: &LessSafeKey, context: &[u8], plain: &[u8]) -> Result<(), VaultError> {
    let mut nonce = [0; NONCE_LEN];
    random(&mut nonce)?;
    out.extend_from_slice(&nonce);
    let start = out.len();
    out.extend_from_slice(plain);
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut out[start..])
        .map_err(|_| VaultError::Crypto("seal a record"))?;
    out.extend_from_slice(tag.as_ref());
    Ok(())
}

/// What [`append_seal`] sealed, or `None` when this is not it.
fn open_seal<'a>(sealed: &'a mut [u8], key: &LessSafeKey, context: &[u8]) -> Option<&'a [u8]> {
    let (nonce, sealed) = sealed.split_first_chunk_mut::<NONCE_LEN>()?;
    let nonce = Nonce::assume_unique_for_key(*nonce);
    key.open_in_place(nonce, Aad::from(context), sealed).ok().map(|opened| &*opened)
}

fn random(bytes: &mut [u8]) -> Result<(), VaultError> {
    rand::fill(bytes).map_err(|_| VaultError::Crypto("make random bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Stored;
    use std::{collections::BTreeMap, sync::Mutex};

    /// A store in memory that lets a test change what lies in it.
    #[derive(Default)]
    struct Memory(Mutex<BTreeMap<(&'static str, String), Stored>>);

    impl Store for Memory {
        fn get(&self, table: Table, key: &str) -> Result<Option<Stored>, StoreError> {
            Ok(self.0.lock().unwrap().get(&(table.name(), key.to_owned())).cloned())
        }

        fn scan(&self, table: Table, _: &str, _: Option<&str>, _: usize) -> Result<Vec<(String, Stored)>, StoreError> {
            let rows = self.0.lock().unwrap();
            Ok(rows.iter().filter(|((t, _), _)| *t == table.name()).map(|((_, k), s)| (k.clone(), s.clone())).collect())
        }

        fn apply(&self, changes: &[Change<'_>]) -> Result<(), StoreError> {
            let mut rows = self.0.lock().unwrap();
            for change in changes {
                let value = change.value.map(<[u8]>::to_vec);
                let stored = Stored { version: change.from + 1, value };
                rows.insert((change.table.name(), change.key.to_owned()), stored);
            }
            Ok(())
        }
    }

    fn vault() -> (Arc<Memory>, Vault) {
        let store = Arc::new(Memory::default());
        (Arc::clone(&store), Vault::open(store, RootKey::new(&[7; KEY_LEN]).unwrap()).unwrap())
    }

    #[test]
    fn what_was_put_is_got_and_is_not_in_the_store() {
        let (store, vault) = vault();
        let secret = b"a secret that must not lie in the clear";
        assert_eq!(vault.put(Table::Secrets, "r/t/n", secret, None).unwrap(), 1);
        assert_eq!(vault.put(Table::Secrets, "r/t/n", secret, Some(1)).unwrap(), 2);
        let entry = vault.get(Table::Secrets, "r/t/n").unwrap().unwrap();
        assert_eq!((entry.version, entry.bytes.as_slice()), (2, secret.as_slice()));
        for row in store.0.lock().unwrap().values() {
            assert!(!row.value.as_ref().unwrap().windows(8).any(|window| secret.windows(8).any(|part| part == window)));
        }
        assert!(vault.delete(Table::Secrets, "r/t/n").unwrap());
        assert!(!vault.delete(Table::Secrets, "r/t/n").unwrap());
        assert!(vault.get(Table::Secrets, "r/t/n").unwrap().is_none());
    }

    #[test]
    fn two_puts_of_the_same_bytes_share_nothing() {
        let (store, vault) = vault();
        vault.put(Table::Secrets, "a", &[5; 64], None).unwrap();
        vault.put(Table::Secrets, "b", &[5; 64], None).unwrap();
        let rows = store.0.lock().unwrap();
        let value = |key: &str| rows[&("secrets", key.to_owned())].value.clone().unwrap();
        assert!(value("a")[1 + ID_LEN..].windows(8).all(|window| !value("b").windows(8).any(|other| other == window)));
    }

    #[test]
    fn flip_each_byte_cut_at_each_length() {
        let (store, vault) = vault();
        vault.put(Table::Secrets, "a", b"secret", None).unwrap();
        let place = ("secrets", "a".to_owned());
        let good = store.0.lock().unwrap()[&place].value.clone().unwrap();
        let refused = |bytes: Vec<u8>| {
            store.0.lock().unwrap().insert(place.clone(), Stored { version: 1, value: Some(bytes) });
            matches!(vault.get(Table::Secrets, "a"), Err(VaultError::Tampered { .. } | VaultError::OtherRootKey { .. }))
        };
        for at in 0..good.len() {
            let mut flipped = good.clone();
            flipped[at] ^= 1;
            assert!(refused(flipped), "byte {at} flipped");
            assert!(refused(good[..at].to_vec()), "cut at {at}");
        }
        assert!(!refused(good));
    }

    #[test]
    fn a_record_moved_to_another_name_table_or_version_is_refused() {
        let (store, vault) = vault();
        vault.put(Table::Secrets, "a", b"secret", None).unwrap();
        let stored = store.0.lock().unwrap()[&("secrets", "a".to_owned())].clone();
        for (table, key, version) in [("secrets", "b", 1), ("policies", "a", 1), ("secrets", "a", 2)] {
            let moved = Stored { version, value: stored.value.clone() };
            store.0.lock().unwrap().insert((table, key.to_owned()), moved);
            let table = Table::ALL.into_iter().find(|known| known.name() == table).unwrap();
            assert!(matches!(vault.get(table, key), Err(VaultError::Tampered { .. })), "{table:?}/{key}@{version}");
        }
    }

    #[test]
    fn another_root_key_is_refused_at_the_opening() {
        let (store, _vault) = vault();
        let other = Vault::open(store, RootKey::new(&[8; KEY_LEN]).unwrap());
        assert!(matches!(other, Err(VaultError::OtherRootKey { .. })));
    }
}
