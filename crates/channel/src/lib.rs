//! The attested channel: RA-TLS both ends, judged by policy, the key-request protocol's client, Secret, and trait KeySource. Runs on both sides.
#![forbid(unsafe_code)]

pub mod http;
mod judge;
pub mod jwe;
pub mod kbs;
pub mod leftover;
mod lingering;
pub mod listener;
pub mod peers;
pub mod ratls;
pub mod receipt;
pub mod seal;
mod secret;
pub mod tls;

pub use judge::{Appraisal, Judge, Judged};
/// The formats that this crate's interfaces are made of, for crates that know no other of ours.
pub use sealwright_wire as wire;
pub use secret::{BoxFuture, KeyError, KeySource, Secret};
