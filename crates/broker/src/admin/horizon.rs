//! Up to when requests were signed that this broker has taken.
//!
//! Which requests were used is remembered in memory alone, so after a restart everything is refused that may have been used before. What was
//! signed before the start is easy to tell, and what was signed in its very second may have been used too: times have no parts of seconds. What
//! a clock ahead of the broker's signed is not: it was taken before its time came, and its time comes after the restart. How far ahead such
//! requests were is therefore durable before they are carried out.

use crate::storage::{Table, Vault, VaultError};
use sealwright_wire::time::UnixTime;
use std::sync::{Arc, Mutex, PoisonError};

/// Where the vault keeps it.
const KEY: &str = "admin-horizon";

/// The latest time of a request that was taken before that time had come.
pub(crate) struct Horizon {
    vault: Arc<Vault>,
    noted: Mutex<UnixTime>,
}

impl Horizon {
    /// What is noted in the vault; 1970 when nothing is.
    pub(crate) fn load(vault: Arc<Vault>) -> Result<Self, VaultError> {
        let tampered = || VaultError::Tampered { table: Table::Meta, key: KEY.to_owned() };
        let noted = match vault.get(Table::Meta, KEY)? {
            None => UnixTime(0),
            Some(entry) => <[u8; 8]>::try_from(&entry.bytes[..])
                .map(|bytes| UnixTime(u64::from_be_bytes(bytes)))
                .map_err(|_| tampered())?,
        };
        Ok(Self { vault, noted: Mutex::new(noted) })
    }

    /// From when on a request can not have been used before `started`, where a broker has run before with this database.
    pub(crate) fn unused_from(&self, started: UnixTime) -> UnixTime {
        let noted = *self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        started.max(noted).plus(1)
    }

    /// Notes a request that was signed at a time which has not come yet. Durable on return.
    pub(crate) fn note(&self, signed: UnixTime) -> Result<(), VaultError> {
        // Held while it is written: of two at once the earlier must not come to stand over the later.
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if signed > *noted {
            self.vault.put(Table::Meta, KEY, &signed.0.to_be_bytes(), None)?;
            *noted = signed;
        }
        Ok(())
    }
}
