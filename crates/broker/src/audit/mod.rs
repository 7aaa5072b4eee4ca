//! One line for each decision, durable before the decision is answered, chained so that a removal shows.
//!
//! The file holds JSON objects, one per line. Each has `seq`, counting from 1, and `prev`, the SHA-256 of the line before it (64 zeros at the very
//! beginning): whoever changes or removes a line must change every later one, and the last one's hash is kept elsewhere ([`Head`], in the
//! broker's database). The file may be moved away while the broker is stopped; the chain goes on in the next one.

mod chain;
mod reasons;
mod writer;

pub use chain::{ChainError, Head, Summary, verify};
pub use writer::{Audit, AuditError, Recorded};

use sealwright_wire::{Digest, time::UnixTime};
use serde::Serialize;

/// The version of the lines' shape.
pub const FORMAT: u32 = 1;
/// The longest line that is written or read, in bytes: an entry of a transparency log (C2SP tlog-tiles) is no longer.
pub const MAX_LINE: usize = 65_535;
/// What was decided about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// The log was opened by a starting broker.
    Opened,
    /// The log was closed by a stopping broker.
    Closed,
    /// A challenge was asked for, and refused.
    Challenge,
    /// Evidence was appraised.
    Attest,
    /// A resource was asked for by a workload.
    Release,
    /// Somebody who is no administrator asked for what only administrators may do.
    Administration,
    /// An administrator put a secret.
    SecretPut,
    /// An administrator read a secret.
    SecretGet,
    /// An administrator listed the secrets' names.
    SecretList,
    /// An administrator deleted a secret.
    SecretDelete,
    /// An administrator read a policy.
    PolicyGet,
    /// An administrator set a policy, or took one back.
    PolicySet,
    /// An administrator read the reference values of a name.
    ReferenceGet,
    /// An administrator listed reference values.
    ReferenceList,
    /// An administrator registered reference values.
    ReferenceSet,
    /// An administrator removed reference values.
    ReferenceDelete,
    /// An administrator read this log.
    AuditGet,
    /// An administrator read the counters.
    MetricsGet,
}

/// How it was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decided {
    /// Done, or released.
    Yes,
    /// Refused.
    No,
}

/// A failed check, cut to a length that a line can hold.
#[derive(Clone, Debug, Serialize)]
pub struct Reason {
    /// The check's stable code.
    pub code: String,
    /// What was wanted.
    pub expected: String,
    /// What was found.
    pub actual: String,
}

/// One decision. Members that do not apply are left out of the line. Nothing here may be secret.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// When it was decided.
    pub at: UnixTime,
    /// About what.
    pub event: Event,
    /// How.
    pub verdict: Decided,
    /// The request that asked for it, as in the answer's `x-request-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The verdict in a sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub headline: String,
    /// Whether the evidence stands under a simulated root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulated: Option<bool>,
    /// The kind of environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tee: Option<&'static str>,
    /// SHA-384 of the evidence, from the quote's header to the end of its signature data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence_sha384: Option<Digest<48>>,
    /// The policy that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyName>,
    /// SHA-384 of the reference values that the evidence was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub references_sha384: Option<Digest<48>>,
    /// The resource, policy or reference values by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The resource's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// SHA-256 thumbprint (RFC 7638) of the workload's or administrator's key, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The administrator's name in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub administrator: Option<String>,
    /// The failed checks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// A policy by name and by what it says.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyName {
    /// Its name.
    pub id: String,
    /// SHA-384 of its text.
    pub sha384: Digest<48>,
}

impl Entry {
    /// A decision about `event` with nothing else to say.
    pub fn new(at: UnixTime, event: Event, verdict: Decided) -> Self {
        Self {
            at,
            event,
            verdict,
            request: None,
            headline: String::new(),
            simulated: None,
            tee: None,
            evidence_sha384: None,
            policy: None,
            references_sha384: None,
            resource: None,
            version: None,
            key: None,
            administrator: None,
            reasons: Vec::new(),
        }
    }
}
