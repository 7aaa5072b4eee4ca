use super::values::{self, Address};
use super::{BackendArg, BrokerTarget, PolicyArg, TrustArgs};
use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand};
use sealwright_serving::Limits;
use sealwright_wire::kbs::ResourcePath;
use sealwright_wire::sealed::MAX_VERSION;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

/// Seal a model under a fresh key.
#[derive(Args)]
pub(crate) struct Seal {
    /// The model, in ONNX.
    pub(crate) model: PathBuf,
    /// Write the sealed file here.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// The name under which the model is served.
    #[arg(long, value_name = "NAME", value_parser = values::model_name)]
    pub(crate) name: String,
    /// The model's version.
    #[arg(long = "model-version", value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(..=MAX_VERSION))]
    pub(crate) model_version: u64,
    /// Where the key is kept: kbs:///repository/type/tag.
    #[arg(long, value_name = "URI", value_parser = values::key_uri)]
    pub(crate) key_uri: ResourcePath,
    /// Write the key into this file, readable by its owner alone.
    #[arg(long, value_name = "FILE", conflicts_with = "broker", required_unless_present = "broker")]
    pub(crate) key_out: Option<PathBuf>,
    /// Give the key to this broker (its directory), for this sealed file alone; it is never written to disk here.
    #[arg(long, value_name = "DIR")]
    pub(crate) broker: Option<PathBuf>,
    /// The broker's URL instead of the one in its configuration.
    #[arg(long, value_name = "URL", requires = "broker", value_parser = values::url)]
    pub(crate) url: Option<String>,
}

impl Seal {
    /// The broker that is to have the key.
    pub(crate) fn target(&self) -> Option<BrokerTarget> {
        self.broker.clone().map(|broker| BrokerTarget { broker, url: self.url.clone() })
    }
}

/// Open a sealed file with its key.
#[derive(Args)]
pub(crate) struct Unseal {
    /// The sealed file.
    pub(crate) file: PathBuf,
    /// The file that holds the key.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Write the content here.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// Serve sealed models over an attested channel.
#[derive(Args)]
pub(crate) struct Serve {
    /// The sealed models.
    #[arg(required = true, value_name = "SEALED_FILE")]
    pub(crate) models: Vec<PathBuf>,
    /// The broker that keeps their keys.
    #[arg(long, value_name = "URL", value_parser = values::url)]
    pub(crate) broker: String,
    /// The broker's CA certificate in PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) broker_ca: PathBuf,
    #[command(flatten)]
    pub(crate) backend: BackendArg,
    /// Keep the evidence that the broker was shown in this directory, and its token if it gave one.
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// Give a version of a model a label that requests may name. Repeatable.
    #[arg(long = "label", value_name = "MODEL=LABEL:VERSION")]
    pub(crate) labels: Vec<Label>,
    #[command(flatten)]
    pub(crate) limits: ServeLimits,
    /// Listen here.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8501")]
    pub(crate) listen: Address,
    /// Write the address that is listened on into this file once the server is ready.
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// Stop when standard input closes, so that no server outlives what started it.
    #[arg(long)]
    pub(crate) exit_with_stdin: bool,
}

/// How many of the longest bodies a model server has in memory at once. One address has room for one, however small its share is.
const BODIES: usize = 16;

/// How much a model server does at once.
#[derive(Args, Clone, Copy)]
#[command(next_help_heading = "Limits")]
pub(crate) struct ServeLimits {
    /// The longest body or gRPC message, in bytes; a tensor has at most a quarter as many elements.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().body_bytes, value_parser = within(4096..=1 << 30))]
    max_body: usize,
    /// The largest batch, where a model leaves it open.
    #[arg(long, value_name = "N", default_value_t = Limits::default().batch, value_parser = within(1..=1 << 20))]
    max_batch: usize,
    /// Requests in work at once; more are refused as overload.
    #[arg(long, value_name = "N", default_value_t = Limits::default().requests, value_parser = within(1..=1 << 16))]
    max_requests: usize,
    /// Connections open at once; more wait.
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections, value_parser = within(1..=1 << 16))]
    max_connections: usize,
    /// How many in a hundred of all places one address may have; 100 where all clients come through one gateway.
    #[arg(long, value_name = "PERCENT", default_value_t = Limits::default().share, value_parser = within(10..=100))]
    max_share: usize,
    /// Threads that compute, one prediction each, and as many that serve connections [default: one for each processor].
    #[arg(long, value_name = "N", value_parser = within(1..=1024))]
    threads: Option<usize>,
}

fn within(range: RangeInclusive<u64>) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(range)
}

impl ServeLimits {
    /// The server's limits.
    pub(crate) fn limits(self) -> Limits {
        // Four bytes are the shortest element that models take much of.
        let elements = self.max_body / 4;
        let held_bytes = BODIES * self.max_body;
        let Self { max_body: body_bytes, max_batch: batch, max_requests: requests, .. } = self;
        let Self { max_connections: connections, max_share: share, .. } = self;
        Limits { body_bytes, elements, batch, requests, held_bytes, connections, share, ..Limits::default() }
    }

    /// How many threads compute, and how many serve connections.
    pub(crate) fn threads(self) -> usize {
        self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}

/// `MODEL=LABEL:VERSION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) model: String,
    pub(crate) label: String,
    pub(crate) version: u64,
}

impl FromStr for Label {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Names have no `=`; a label may have a colon.
        let parts = text.split_once('=').and_then(|(model, rest)| Some((model, rest.rsplit_once(':')?)));
        let (model, (label, version)) = parts.ok_or("expected MODEL=LABEL:VERSION")?;
        let version = version.parse().map_err(|_| "expected a number after the last colon")?;
        if model.is_empty() || label.is_empty() {
            return Err("expected a model and a label");
        }
        Ok(Self { model: model.to_owned(), label: label.to_owned(), version })
    }
}

/// Verify a model server, then query it or proxy for others.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["samples", "listen"]))]
pub(crate) struct Query {
    /// The model server's address: a name or an IP address, and a port.
    #[arg(value_name = "HOST:PORT")]
    pub(crate) server: Address,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// The sealed model that the server must have measured. Repeatable: any one of them, and no model that is not named.
    #[arg(long = "model-file", value_name = "SEALED_FILE", required = true, help_heading = "Trust")]
    pub(crate) model_files: Vec<PathBuf>,
    /// Send these samples and compare the answers with the expected ones.
    #[arg(long, value_name = "FILE")]
    pub(crate) samples: Option<PathBuf>,
    /// Ask for a receipt with the first answer and keep it in this directory, with what it speaks of and the collateral in force. With
    /// --listen: keep what the receipts that clients ask for are verified with, a folder for each connection to the server.
    #[arg(long, value_name = "DIR")]
    pub(crate) receipt: Option<PathBuf>,
    /// Forward plain HTTP and gRPC from this loopback address over the attested channel.
    #[arg(long, value_name = "ADDR", value_parser = values::loopback)]
    pub(crate) listen: Option<Address>,
    /// Write the address that is listened on into this file once the proxy is ready.
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub(crate) ready_file: Option<PathBuf>,
    /// Stop when standard input closes, so that no proxy outlives what started it.
    #[arg(long, requires = "listen")]
    pub(crate) exit_with_stdin: bool,
}

#[derive(Subcommand)]
pub(crate) enum ReceiptCommand {
    /// Check a receipt offline: its signature, the evidence behind its key, and what it speaks of.
    Verify(ReceiptVerify),
}

/// Check a receipt offline.
#[derive(Args)]
pub(crate) struct ReceiptVerify {
    /// The receipt.
    pub(crate) receipt: PathBuf,
    /// The evidence that binds the receipt's key, as the client kept it; or the directory in which a proxy kept it, which --collateral may
    /// name too.
    #[arg(long, value_name = "FILE")]
    pub(crate) evidence: PathBuf,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// The sealed model that must have given the answer. Repeatable: any one of them.
    #[arg(long = "model-file", value_name = "SEALED_FILE", help_heading = "Trust")]
    pub(crate) model_files: Vec<PathBuf>,
    /// The attestation policy that the receipt must name: the file of its text, or SHA-384 of it as `broker policy show` prints it.
    #[arg(long, value_name = "FILE|SHA384", help_heading = "Trust")]
    pub(crate) policy: Option<PolicyArg>,
    /// The request's body, to be held against the receipt.
    #[arg(long, value_name = "FILE")]
    pub(crate) request: Option<PathBuf>,
    /// The response's body, to be held against the receipt.
    #[arg(long, value_name = "FILE")]
    pub(crate) response: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_names_a_model_and_a_version() {
        let label = |model: &str, label: &str, version| Label { model: model.into(), label: label.into(), version };
        assert_eq!("digits=stable:2".parse(), Ok(label("digits", "stable", 2)));
        assert_eq!("digits=eu:canary:3".parse(), Ok(label("digits", "eu:canary", 3)));
        for bad in ["digits", "digits=stable", "digits=stable:new", "=stable:1", "digits=:1", "stable:1"] {
            assert!(bad.parse::<Label>().is_err(), "{bad}");
        }
    }
}
