//! RA-TLS: a TLS server that shows its environment's evidence, and a client that looks at it before it says anything.
//!
//! Two steps, neither of which can be left out:
//!
//! 1. The handshake. The server's certificate follows CCC's interoperable profile ([`sealwright_wire::ratls`]): evidence
//!    whose report data is the hash of claims that name the certificate's key. [`verifier()`] checks that the key of the
//!    handshake is that key. This says nothing about *when* the evidence was made, or for whom, or whether it is genuine.
//! 2. The exchange, as the first and only HTTP request of a new connection ([`Connection`], [`Connector`]): the client's
//!    nonce and the session's TLS exporter go into new evidence, and a [`Judge`](crate::Judge) decides on that. A relay in
//!    the middle has two sessions with two exporters; yesterday's evidence has another nonce.
//!
//! There is no option that skips a step and none that goes on after a refusal.

mod connection;
mod connector;
mod key;
mod sender;
mod server;
mod stream;
mod verifier;

pub use connection::{Attested, Connection, ExchangeError, MAX_EXCHANGES};
pub use connector::{AttestedConnection, CONNECT_TIMEOUT, ConnectError, Connector};
pub use sender::{Body, BoxError, Protocol, Sender, body, empty_body};
pub use server::{Server, ServerError};
pub use stream::{ServerStream, Tap};
pub use verifier::{BindingError, Bound, check_certificate, verifier};
pub(crate) use verifier::{Opened, open_answer};

use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use sealwright_verify::hash;
use sealwright_wire::ratls::{HashAlgorithm, HashEntry};
use subtle::ConstantTimeEq;

/// SHA-256, as report data and key hashes use it.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    hash::sha256(&[bytes]).0
}

/// Whether a claim is the hash of this key or log.
pub(crate) fn names(claim: &HashEntry<'_>, bytes: &[u8]) -> bool {
    let algorithm: &'static Algorithm = match claim.algorithm {
        HashAlgorithm::Sha256 => &SHA256,
        HashAlgorithm::Sha384 => &SHA384,
        HashAlgorithm::Sha512 => &SHA512,
    };
    digest(algorithm, bytes).as_ref().ct_eq(claim.digest).into()
}
