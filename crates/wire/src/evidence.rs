//! Evidence as it travels, before anybody has judged it.

use crate::{Error, quote::Quote};
use serde::{Deserialize, Serialize};

/// A kind of trusted execution environment. Text form: the name that `kbs-types` gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Tee {
    /// An Intel SGX enclave.
    Sgx,
    /// An Intel TDX trust domain.
    Tdx,
    /// An AMD SEV-SNP guest.
    Snp,
    /// A Hygon CSV guest.
    Csv,
    /// A machine with a TPM 2.0.
    Tpm,
    /// An SEV-SNP guest of Azure, behind the vTPM of its paravisor.
    AzSnpVtpm,
    /// A TDX guest of Azure, behind the vTPM of its paravisor.
    AzTdxVtpm,
    /// A realm of Arm CCA.
    Cca,
    /// A GPU of NVIDIA.
    Nvidia,
    /// An AWS Nitro enclave.
    Nitro,
}

impl Tee {
    /// The name of this kind in the key protocol and in tokens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sgx => "sgx",
            Self::Tdx => "tdx",
            Self::Snp => "snp",
            Self::Csv => "csv",
            Self::Tpm => "tpm",
            Self::AzSnpVtpm => "az-snp-vtpm",
            Self::AzTdxVtpm => "az-tdx-vtpm",
            Self::Cca => "cca",
            Self::Nvidia => "nvidia",
            Self::Nitro => "nitro",
        }
    }
}

/// Evidence of one environment: parsed, borrowed from its bytes, and trusted by nobody yet.
#[derive(Clone, Debug)]
pub struct Evidence<'a> {
    /// The signed statement of the hardware.
    pub quote: Quote<'a>,
    /// The measured-boot log that explains the quote's registers: a CCEL, trimmed or padded, with runtime records in the
    /// same TCG2 encoding behind it ([`crate::aael`]).
    pub event_log: Option<&'a [u8]>,
    /// The kernel's IMA list, where the kernel extends a register with its lines; it explains nothing without the log.
    pub ima: Option<&'a [u8]>,
    /// A canonical event log ([`crate::cel`]) of what was measured behind the others.
    pub cel: Option<&'a [u8]>,
}

impl<'a> Evidence<'a> {
    /// Parses a quote and puts its event log, if any, beside it.
    ///
    /// # Errors
    /// When the quote is none, see [`Quote::parse`]. The log is not looked at.
    pub fn parse(quote: &'a [u8], event_log: Option<&'a [u8]>) -> Result<Self, Error> {
        Ok(Self { quote: Quote::parse(quote)?, event_log, ima: None, cel: None })
    }
}
