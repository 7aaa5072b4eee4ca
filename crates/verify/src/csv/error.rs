//! Reasons that only CSV has.

/// Why a CSV report is not believed, where the reason is of CSV alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsvError {
    /// The HSK names a root that is not among the anchors.
    #[error("HSK was signed by the root with key id {key_id}, which is not among the trusted roots ({trusted})")]
    UnknownRoot {
        /// Key id that the HSK names, in hex.
        key_id: String,
        /// Names and key ids of the trusted HRKs.
        trusted: String,
    },
    /// The signer block was changed or damaged.
    #[error("MAC of the report's signer block does not hold under the report's nonce")]
    SignerMac,
    /// The report is of another chip than the certificates.
    #[error("report is of the chip {found}, its certificates were fetched for {expected}")]
    OtherChip {
        /// The chip for which HSK and CEK were fetched.
        expected: String,
        /// The chip that the report names.
        found: String,
    },
    /// RTMR0 is not the launch digest.
    #[error("rtmr0 is {found}, the launch digest is {expected}")]
    LaunchRegister {
        /// The launch digest, in hex.
        expected: String,
        /// RTMR0, in hex.
        found: String,
    },
}

impl CsvError {
    /// The reason as a stable word, see [`crate::Error::code`].
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownRoot { .. } => "untrusted-root",
            Self::SignerMac => "signer-mac-mismatch",
            Self::OtherChip { .. } => "other-chip",
            Self::LaunchRegister { .. } => "launch-register-mismatch",
        }
    }

    /// What was being judged.
    pub const fn claim(&self) -> &'static str {
        match self {
            Self::UnknownRoot { .. } => "HRK certificate",
            Self::SignerMac => "report signer",
            Self::OtherChip { .. } => "serial number",
            Self::LaunchRegister { .. } => "rtmr0",
        }
    }

    /// What was wanted, when it is a value.
    pub fn expected(&self) -> Option<String> {
        match self {
            Self::UnknownRoot { trusted: expected, .. }
            | Self::OtherChip { expected, .. }
            | Self::LaunchRegister { expected, .. } => Some(expected.clone()),
            Self::SignerMac => None,
        }
    }

    /// What was found, when it is a value.
    pub fn actual(&self) -> Option<String> {
        match self {
            Self::UnknownRoot { key_id: found, .. }
            | Self::OtherChip { found, .. }
            | Self::LaunchRegister { found, .. } => Some(found.clone()),
            Self::SignerMac => None,
        }
    }

    /// What the reader can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::UnknownRoot { .. } => {
                "if this root is meant to be trusted (a simulated machine), name its HRK certificate explicitly as an anchor; \
                 otherwise the evidence is not from the vendor's hardware"
            }
            Self::SignerMac => {
                "the report was changed on its way: have the guest ask for a new one, and look at what carries it here"
            }
            Self::OtherChip { .. } => "fetch HSK and CEK for the serial number that the report names",
            Self::LaunchRegister { .. } => "the firmware contradicts itself: do not trust this machine",
        }
    }
}
