//! The reference workload: a model server whose model is sealed until its broker trusts it. Runs inside the TEE.
//!
//! From the bottom up: [`Runtime`] executes ONNX, [`Registry`] knows which models are there, [`Engine`] checks inputs and
//! computes, [`router`] speaks TensorFlow Serving's and the Open Inference Protocol over REST and gRPC behind one gate that
//! stays shut until the client of a connection has verified this server ([`Session`]).
//!
//! A server's life: [`SealedModel`] is measured, opened with a key that a broker released, and loaded; a [`Transport`] makes
//! the keys and their evidence; [`serve`] accepts connections over RA-TLS. On the other side are [`client`], which verifies
//! before it sends, and [`proxy`], which does so for clients that cannot.
#![forbid(unsafe_code)]

mod body;
pub mod client;
mod connection;
mod engine;
mod error;
mod json;
mod lanes;
mod limits;
mod listener;
mod metrics;
mod oip;
mod pace;
mod places;
pub mod proto;
pub mod proxy;
mod receipts;
mod registry;
mod rest;
mod router;
mod runtime;
pub mod samples;
mod session;
mod startup;
mod tensor;
mod tfs;
mod transport;
mod workers;

pub use engine::Engine;
pub use error::{Error, Result};
pub use limits::{Limits, MAX_RANK};
pub use metrics::Metrics;
pub use pace::Pace;
pub use receipts::{RECEIPT_HEADER, RECEIPT_REQUEST};
pub use registry::{Registry, Servable, State, Version};
pub use router::router;
pub use runtime::{Model, Rten, Runtime};
/// What the methods of a [`Session`] return.
pub use sealwright_channel::BoxFuture;
pub use session::{Exchange, Session, SessionHandle};
pub use startup::{KIND as SEALED_KIND, MAX_SEALED};
pub use startup::{Measured, Opened, SealedModel, StartupError, load_all};
pub use tensor::{Data, DataType, Dimension, Tensor, TensorSpec};

pub use transport::{Accepted, Transport, TransportError, serve, serve_connection};

/// Whose connection it is.
pub use sealwright_channel::peers::Peer;
/// The HTTP version that client and server agreed on.
pub use sealwright_channel::ratls::Protocol;
/// Where a client asks for evidence that is bound to its connection.
pub use sealwright_channel::wire::ratls::ATTEST_PATH;
