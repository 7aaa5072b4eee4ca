//! The administrator: a key, the requests that it signs, and the client that sends them.
//!
//! The key is an ECDSA key on P-256. The broker knows its public half alone, so it keeps nothing with which to pretend to be an administrator.

mod client;
mod horizon;
mod refused;
mod request;

pub(crate) use client::OWN_PREFIX;
pub use client::{Client, ClientError, Failure, PolicyInfo, ReferenceInfo, SecretInfo, check_reference_name};
pub(crate) use horizon::Horizon;
pub use request::{AdminError, Administrator, SignError, TYPE, WINDOW, authorization};
pub(crate) use request::{AdminVerifier, is_signed_request, shown};

use crate::files::{self, FileError};
use sealwright_appraise::{KeyError as FormatError, SigningKey};
use std::path::Path;

/// The longest key file that is read, in bytes.
const MAX_KEY: u64 = 16 << 10;

/// Why a file is no private key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read, or others can read it.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file holds something else.
    #[error("{path}: {source}")]
    Format {
        /// The file.
        path: String,
        /// What is wrong with it.
        #[source]
        source: FormatError,
    },
}

/// Reads a private key (P-256, PKCS#8 PEM) from a file that must not be readable by others.
///
/// # Errors
/// When it cannot be read, is open to others, or holds something else.
pub fn load_key(path: &Path) -> Result<SigningKey, KeyError> {
    let pem = files::read_private(path, MAX_KEY)?;
    let text = std::str::from_utf8(&pem).unwrap_or_default();
    SigningKey::from_pkcs8_pem(text).map_err(|source| KeyError::Format { path: path.display().to_string(), source })
}
