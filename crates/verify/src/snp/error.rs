//! Why a report of SEV-SNP is not believed, where the reason is none that other vendors' evidence has.

/// Why a report, its key's certificate or its collateral is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The root is of no product line that is known here.
    #[error("root CA certificate is named {found:?}, which is no product line known here")]
    UnknownProduct {
        /// The root's common name.
        found: String,
    },
    /// A revocation list is required, and there is none.
    #[error("no revocation list of the {product} root is at hand")]
    NoRevocationList {
        /// The product line.
        product: &'static str,
    },
    /// Report or certificate is of another product line than the root that vouches for it.
    #[error("{claim} is {found}, the root that vouches for it is that of {expected}")]
    Product {
        /// CPUID of the report, or productName of the certificate.
        claim: &'static str,
        /// The root's product line.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// The firmware did not sign the report.
    #[error("the report is not signed{}", if *mask_chip_key { " (MASK_CHIP_KEY is set)" } else { "" })]
    Unsigned {
        /// Whether the report says that the host keeps the firmware from signing.
        mask_chip_key: bool,
    },
    /// The report says that a key of another kind signed it.
    #[error("SIGNING_KEY of the report is {found}, the certificate is that of a {expected}")]
    SigningKey {
        /// The kind of the certificate's key.
        expected: &'static str,
        /// What the report says.
        found: &'static str,
    },
    /// The host asked for the report: it says nothing that the guest said.
    #[error("VMPL of the report is 0xffffffff: the host asked for it, not the guest")]
    HostReport,
    /// The report is of another chip than the certificate.
    #[error("CHIP_ID of the report is {reported}, the certificate's hwID is {certified}")]
    ChipId {
        /// hwID, in hex.
        certified: String,
        /// CHIP_ID, in hex.
        reported: String,
    },
    /// The report states another security version than that for which its key was certified.
    #[error("{component} of REPORTED_TCB is {reported}, the certificate is for {certified}")]
    CertifiedTcb {
        /// Which component.
        component: &'static str,
        /// The certificate's version.
        certified: u8,
        /// The report's version.
        reported: u8,
    },
    /// A security version is above one that it must not exceed.
    #[error("{component} of {claim} is {found}, above {limit} of {above}")]
    TcbOrder {
        /// Which component.
        component: &'static str,
        /// The versions of which it is one.
        claim: &'static str,
        /// Its value.
        found: u8,
        /// The versions that it must not exceed.
        above: &'static str,
        /// Their value.
        limit: u8,
    },
    /// The committed firmware is newer than the one that runs.
    #[error("the committed firmware is {committed}, newer than the current {current}")]
    FirmwareOrder {
        /// Major, minor, build.
        committed: String,
        /// Major, minor, build.
        current: String,
    },
}

impl Error {
    /// See [`crate::Error::code`].
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownProduct { .. } => "snp-unknown-product",
            Self::NoRevocationList { .. } => "no-revocation-list",
            Self::Product { .. } => "snp-product-mismatch",
            Self::Unsigned { .. } => "unsigned-report",
            Self::SigningKey { .. } => "signing-key-mismatch",
            Self::HostReport => "host-report",
            Self::ChipId { .. } => "chip-id-mismatch",
            Self::CertifiedTcb { .. } => "certified-tcb-mismatch",
            Self::TcbOrder { .. } => "tcb-order",
            Self::FirmwareOrder { .. } => "firmware-order",
        }
    }

    /// See [`crate::Error::claim`].
    pub const fn claim(&self) -> &'static str {
        match self {
            Self::UnknownProduct { .. } => "root CA certificate",
            Self::NoRevocationList { .. } => "root CA CRL",
            Self::Product { claim, .. } | Self::TcbOrder { claim, .. } => claim,
            Self::Unsigned { .. } | Self::SigningKey { .. } => "SIGNING_KEY",
            Self::HostReport => "VMPL",
            Self::ChipId { .. } => "CHIP_ID",
            Self::CertifiedTcb { .. } => "REPORTED_TCB",
            Self::FirmwareOrder { .. } => "COMMITTED_VERSION",
        }
    }

    /// See [`crate::Error::expected`].
    pub fn expected(&self) -> Option<String> {
        match self {
            Self::UnknownProduct { .. } => Some("ARK-Milan, ARK-Genoa or ARK-Turin".to_owned()),
            Self::NoRevocationList { .. } => Some("a revocation list".to_owned()),
            Self::Product { expected, .. } => Some((*expected).to_owned()),
            Self::Unsigned { .. } => Some("VCEK or VLEK".to_owned()),
            Self::SigningKey { expected, .. } => Some((*expected).to_owned()),
            Self::HostReport => Some("0 to 3".to_owned()),
            Self::ChipId { certified, .. } => Some(certified.clone()),
            Self::CertifiedTcb { component, certified, .. } => Some(format!("{component} {certified}")),
            Self::TcbOrder { component, limit, .. } => Some(format!("{component} up to {limit}")),
            Self::FirmwareOrder { current, .. } => Some(format!("up to {current}")),
        }
    }

    /// See [`crate::Error::actual`].
    pub fn actual(&self) -> Option<String> {
        match self {
            Self::UnknownProduct { found } | Self::Product { found, .. } => Some(found.clone()),
            Self::NoRevocationList { .. } => None,
            Self::Unsigned { .. } => Some("none".to_owned()),
            Self::SigningKey { found, .. } => Some((*found).to_owned()),
            Self::HostReport => Some("0xffffffff".to_owned()),
            Self::ChipId { reported, .. } => Some(reported.clone()),
            Self::CertifiedTcb { component, reported, .. } => Some(format!("{component} {reported}")),
            Self::TcbOrder { component, found, .. } => Some(format!("{component} {found}")),
            Self::FirmwareOrder { committed, .. } => Some(committed.clone()),
        }
    }

    /// See [`crate::Error::remedy`].
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::UnknownProduct { .. } => "only machines of the product lines above are verified here",
            Self::NoRevocationList { .. } => {
                "fetch the list of this product line from AMD's key distribution service and put it into the collateral as crl, or \
                 say explicitly that revocation need not be checked"
            }
            Self::Product { .. } => "use the collateral and the certificate of the processor's own product line",
            Self::Unsigned { .. } => {
                "the host's configuration keeps the firmware from signing (MASK_CHIP_KEY): its operator must change it, or load a VLEK"
            }
            Self::SigningKey { .. } => {
                "use the certificate and the collateral of the kind of key that the report names (ASK for a VCEK, ASVK for a VLEK)"
            }
            Self::HostReport => "ask for the report from within the guest",
            Self::ChipId { .. } | Self::CertifiedTcb { .. } => {
                "the certificate is of another chip, or of this one before an update: fetch the one for CHIP_ID and REPORTED_TCB of this \
                 report from AMD's key distribution service"
            }
            Self::TcbOrder { .. } | Self::FirmwareOrder { .. } => {
                "a genuine firmware does not state such versions: do not trust this machine"
            }
        }
    }
}
