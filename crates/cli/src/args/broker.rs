use super::values::{self, Address};
use clap::{Args, Subcommand, ValueEnum};
use sealwright_wire::kbs::ResourcePath;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum BrokerCommand {
    /// Make a broker's directory: TLS certificate, administrator's key, root key, configuration.
    Init(BrokerInit),
    /// Run the broker.
    Serve(BrokerServe),
    /// Keep secrets in a running broker.
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Set and show a running broker's policies.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Set and list a running broker's reference values.
    #[command(subcommand)]
    Reference(ReferenceCommand),
    /// Print the last decisions of a running broker, or check the chain of its audit log offline.
    Audit(BrokerAudit),
}

/// Make a broker's directory.
#[derive(Args)]
pub(crate) struct BrokerInit {
    /// The directory; must be absent or empty.
    pub(crate) dir: PathBuf,
    /// A DNS name or IP address for the TLS certificate beside localhost. Repeatable.
    #[arg(long = "name", value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Where the broker will listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    pub(crate) listen: Address,
    /// The administrator's name, as the audit log will give it.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    pub(crate) administrator: String,
    /// A root certificate (DER or PEM) to trust beside the vendors', named after its file; whoever is refused is told the name. Repeatable.
    #[arg(long = "anchor", value_name = "FILE")]
    pub(crate) anchors: Vec<PathBuf>,
}

/// Run the broker.
#[derive(Args)]
pub(crate) struct BrokerServe {
    /// The directory that `broker init` made.
    pub(crate) dir: PathBuf,
    /// Listen here instead of where the configuration says.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<Address>,
    /// Write the address that is listened on into this file once the broker is ready.
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// Stop when standard input closes, so that no broker outlives what started it.
    #[arg(long)]
    pub(crate) exit_with_stdin: bool,
}

/// Print the last decisions, or check a log.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("log").required(true).args(["broker", "verify"]))]
pub(crate) struct BrokerAudit {
    #[command(flatten)]
    pub(crate) target: Option<BrokerTarget>,
    /// How many decisions to print.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
    /// Check that every line of this audit log follows on the one before it, and ask no broker.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "limit"])]
    pub(crate) verify: Option<PathBuf>,
}

/// Which broker, and as whom.
#[derive(Args, Clone)]
pub(crate) struct BrokerTarget {
    /// The broker's directory, for its certificate, the administrator's key and its address.
    #[arg(long, value_name = "DIR")]
    pub(crate) broker: PathBuf,
    /// The broker's URL instead of the one in its configuration.
    #[arg(long, value_name = "URL", value_parser = values::url)]
    pub(crate) url: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum SecretCommand {
    /// Store a secret.
    Put(SecretPut),
    /// Print a secret to standard output, as the administrator.
    Get {
        #[command(flatten)]
        target: BrokerTarget,
        /// The secret's path: repository/type/tag.
        #[arg(value_parser = values::secret_path)]
        path: ResourcePath,
    },
    /// List the secrets' paths and conditions.
    List {
        #[command(flatten)]
        target: BrokerTarget,
    },
    /// Delete a secret.
    Delete {
        #[command(flatten)]
        target: BrokerTarget,
        /// The secret's path: repository/type/tag.
        #[arg(value_parser = values::secret_path)]
        path: ResourcePath,
    },
}

/// Store a secret.
#[derive(Args)]
pub(crate) struct SecretPut {
    #[command(flatten)]
    pub(crate) target: BrokerTarget,
    /// The secret's path: repository/type/tag.
    #[arg(value_parser = values::secret_path)]
    pub(crate) path: ResourcePath,
    /// The file that holds the secret; `-` for standard input.
    pub(crate) file: PathBuf,
    /// Release it only to a workload that measured this sealed model. Repeatable: any one of them.
    #[arg(long = "for-model", value_name = "SEALED_FILE")]
    pub(crate) models: Vec<PathBuf>,
}

/// Which of the broker's two policies.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum PolicyKind {
    /// What evidence is worth.
    Attestation,
    /// Who may have which resource.
    Resource,
}

#[derive(Subcommand)]
pub(crate) enum PolicyCommand {
    /// Replace a policy.
    Set {
        #[command(flatten)]
        target: BrokerTarget,
        /// Which policy.
        kind: PolicyKind,
        /// The policy in Rego.
        file: PathBuf,
        /// Decide only the releases of this repository's secrets.
        #[arg(long, value_name = "NAME", value_parser = values::repository)]
        repository: Option<String>,
    },
    /// Print the policies in force.
    Show {
        #[command(flatten)]
        target: BrokerTarget,
        /// Which policy.
        kind: PolicyKind,
    },
    /// Take a policy back: the configuration's or the built-in one holds again.
    Reset {
        #[command(flatten)]
        target: BrokerTarget,
        /// Which policy.
        kind: PolicyKind,
        /// The one of this repository.
        #[arg(long, value_name = "NAME", value_parser = values::repository)]
        repository: Option<String>,
    },
}

#[derive(Subcommand)]
pub(crate) enum ReferenceCommand {
    /// Store reference values under a name.
    Set {
        #[command(flatten)]
        target: BrokerTarget,
        /// The name.
        #[arg(value_parser = values::reference_name)]
        name: String,
        /// The reference values, as `sealwright predict` writes them.
        file: PathBuf,
    },
    /// List the stored reference values.
    List {
        #[command(flatten)]
        target: BrokerTarget,
    },
    /// Remove the reference values of a name.
    Delete {
        #[command(flatten)]
        target: BrokerTarget,
        /// The name.
        #[arg(value_parser = values::reference_name)]
        name: String,
    },
}
