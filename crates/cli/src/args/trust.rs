use super::values;
use sealwright_verify::TcbStatus;
use std::path::PathBuf;

/// What to believe: vendors' collateral, roots, reference values and policy.
#[derive(clap::Args, Clone)]
#[command(next_help_heading = "Trust")]
pub(crate) struct TrustArgs {
    /// The directory of collateral, one JSON bundle for each kind of platform.
    #[arg(long, value_name = "DIR")]
    pub(crate) collateral: PathBuf,
    /// A root certificate (DER or PEM) to trust beside the built-in vendor roots. A simulated root is named as such in every
    /// verdict.
    #[arg(long = "anchor", value_name = "FILE")]
    pub(crate) anchors: Vec<PathBuf>,
    /// Reference values, as `sealwright predict` writes them. Repeatable: any of the sets may match.
    #[arg(long = "reference", value_name = "FILE")]
    pub(crate) references: Vec<PathBuf>,
    /// A TCB status to accept beside UpToDate, in Intel's spelling; Revoked is a no in any case. Repeatable.
    #[arg(long = "accept-status", value_name = "STATUS", value_parser = values::acceptable_status)]
    pub(crate) accept_statuses: Vec<TcbStatus>,
}
