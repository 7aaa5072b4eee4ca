use super::{BackendArg, BrokerTarget, PolicyArg, TrustArgs, values};
use clap::{Args, Subcommand};
use sealwright_wire::kbs::ResourcePath;
use sealwright_wire::sealed::MAX_VERSION;
use std::net::SocketAddr;
use std::path::PathBuf;

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
    /// Listen here.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8501")]
    pub(crate) listen: SocketAddr,
    /// Write the address that is listened on into this file once the server is ready.
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// Stop when standard input closes, so that no server outlives what started it.
    #[arg(long)]
    pub(crate) exit_with_stdin: bool,
}

/// Verify a model server, then query it or proxy for others.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["samples", "listen"]))]
pub(crate) struct Query {
    /// The model server's address.
    pub(crate) server: SocketAddr,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// The sealed model that the server must have measured. Repeatable: any one of them, and no model that is not named.
    #[arg(long = "model-file", value_name = "SEALED_FILE", required = true, help_heading = "Trust")]
    pub(crate) model_files: Vec<PathBuf>,
    /// Send these samples and compare the answers with the expected ones.
    #[arg(long, value_name = "FILE")]
    pub(crate) samples: Option<PathBuf>,
    /// Ask for a receipt with the first answer and keep it in this directory, with what it speaks of and the collateral in force.
    #[arg(long, value_name = "DIR", requires = "samples")]
    pub(crate) receipt: Option<PathBuf>,
    /// Forward plain HTTP and gRPC from this loopback address over the attested channel.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
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
    /// The evidence that binds the receipt's key, as the client kept it.
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
