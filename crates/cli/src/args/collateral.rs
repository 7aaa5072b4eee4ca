use super::values::{self, Source};
use clap::{Args, Subcommand, ValueEnum};
use sealwright_collateral::PckCa;
use sealwright_wire::Digest;
use sealwright_wire::snp::Product;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum CollateralCommand {
    /// Fetch what evidence of a platform needs from Intel's, AMD's or Hygon's service or a cache of it, verify it, and keep it.
    Fetch(CollateralFetch),
    /// Say what is kept, and how fresh it is.
    List(CollateralList),
    /// Write everything that is kept into one signed file, for a site without a network.
    Export(CollateralExport),
    /// Take what such a file holds: each bundle and item is verified, and none takes back what was seen.
    Import(CollateralImport),
    /// Serve what is kept in the protocols of Intel's caches (PCCS) and of AMD's service (KDS), and keep it fresh.
    Serve(CollateralServe),
}

/// A directory of collateral, and the roots that it is verified against.
#[derive(Args, Clone)]
pub(crate) struct StoreArgs {
    /// The directory in which collateral is kept; `fetch` and `import` make it when absent.
    pub(crate) dir: PathBuf,
    /// A root certificate (DER or PEM) to trust instead of the built-in vendor roots, for instance that of a simulated site.
    #[arg(long, value_name = "FILE")]
    pub(crate) anchor: Option<PathBuf>,
}

/// Which service is asked, and how it is reached.
#[derive(Args, Clone)]
#[command(next_help_heading = "Service")]
pub(crate) struct ServiceArgs {
    /// A service: `intel`, `amd` or `hygon`; the base URL (https://host[:port][/prefix]) of a PCCS; `amd=URL` or `hygon=URL` for one that speaks
    /// the protocol of AMD's or Hygon's. Repeatable, one for each vendor.
    #[arg(long, value_name = "SERVICE")]
    pub(crate) from: Vec<Source>,
    /// The version of the interface of Intel's service.
    #[arg(long, value_enum, default_value_t = ApiVersion::V4)]
    pub(crate) api: ApiVersion,
    /// Certificates (PEM) of those who may vouch for the service's TLS certificate, instead of the public web's roots.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Let the URL be http: what comes is signed, but others see which platforms are asked about and can hold back what is newer.
    #[arg(long)]
    pub(crate) plain_http: bool,
    /// Ask for TCB recoveries as soon as they are published, before Intel enforces them.
    #[arg(long)]
    pub(crate) early: bool,
    /// How long to wait for each answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) timeout: u64,
}

/// A version of the service's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ApiVersion {
    /// SGX alone.
    V3,
    /// SGX and TDX.
    V4,
}

/// When what is kept is to be fetched anew.
#[derive(Args, Clone)]
#[command(next_help_heading = "Freshness")]
pub(crate) struct UpkeepArgs {
    /// What was fetched longer ago than this many hours is due.
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    pub(crate) max_age: u64,
    /// What was fetched longer ago than this many hours is stale.
    #[arg(long, value_name = "HOURS", default_value_t = 168)]
    pub(crate) stale_after: u64,
    /// What expires within this many hours is due, however young.
    #[arg(long, value_name = "HOURS", default_value_t = 168)]
    pub(crate) before_expiry: u64,
}

/// Fetch collateral.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["fmspc", "evidence", "due", "qve_identity"]))]
pub(crate) struct CollateralFetch {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// The platform model, 12 hex digits.
    #[arg(long, value_name = "FMSPC", requires_all = ["ca", "tee"])]
    pub(crate) fmspc: Option<Digest<6>>,
    /// The CA that certified the platform: processor or platform.
    #[arg(long, value_name = "CA", requires = "fmspc")]
    pub(crate) ca: Option<PckCa>,
    /// The kind of environment.
    #[arg(long, value_enum, requires = "fmspc")]
    pub(crate) tee: Option<IntelTee>,
    /// Fetch what this evidence needs: a quote of SGX or TDX, a report of SEV-SNP or CSV, an RA-TLS certificate, an Azure guest's evidence. Where a
    /// quote carries no certificate, that too. Reports are asked about at AMD's or Hygon's own service unless another is named.
    #[arg(long = "for", visible_alias = "report", value_name = "EVIDENCE")]
    pub(crate) evidence: Option<PathBuf>,
    /// The product line (Milan, Genoa, Turin) of an SEV-SNP report of version 2, which does not say it.
    #[arg(long, value_name = "NAME", requires = "evidence", value_parser = values::product)]
    pub(crate) product: Option<Product>,
    /// Fetch anew what is kept and not fresh.
    #[arg(long)]
    pub(crate) due: bool,
    /// Fetch the identity of Intel's quote verification enclave. No quote needs it: it is for clients that have that enclave verify.
    #[arg(long)]
    pub(crate) qve_identity: bool,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    #[command(flatten)]
    pub(crate) upkeep: UpkeepArgs,
}

/// A kind of environment whose collateral Intel publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IntelTee {
    /// Enclaves.
    Sgx,
    /// Trust domains.
    Tdx,
}

/// Say what is kept.
#[derive(Args)]
pub(crate) struct CollateralList {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) upkeep: UpkeepArgs,
}

/// Write one signed file.
#[derive(Args)]
pub(crate) struct CollateralExport {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// The site's private key that signs: ECDSA P-256, PKCS#8 in PEM. Made where there is no such file, with the public key beside it
    /// in FILE.pub.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// The file to write.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// Take what a signed file holds.
#[derive(Args)]
pub(crate) struct CollateralImport {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// The public key of the site that signed: ECDSA P-256, in PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// The file, as `collateral export` wrote it.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Serve what is kept.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("tls").args(["tls_cert", "tls_key"]).multiple(true))]
pub(crate) struct CollateralServe {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Where to listen. Without a certificate this must be a loopback address.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    pub(crate) listen: SocketAddr,
    /// The certificate chain of this server, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key of the certificate, PKCS#8 in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// The most connections at once.
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub(crate) max_connections: usize,
    /// The most connections of one address at once; where all clients come through one gateway, as many as there are.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) max_connections_per_peer: usize,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    #[command(flatten)]
    pub(crate) upkeep: UpkeepArgs,
    /// Write the URL into this file once the server is ready.
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// Stop when standard input closes, so that no server outlives what started it.
    #[arg(long)]
    pub(crate) exit_with_stdin: bool,
}
