//! Where a service is and how it is reached.

use crate::http::Roots;
use std::time::Duration;

/// Intel's own service.
pub const INTEL: &str = "https://api.trustedservices.intel.com";
/// Where Intel publishes the revocation list of its root CA, as the root's certificate says (CRL distribution point).
pub const INTEL_ROOT_CRL: &str = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der";
/// How long is waited for each answer unless the configuration says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Whose service it is: Intel's has no route for the root CA's revocation list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Intel's service, and where the root CA's revocation list is published.
    Pcs {
        /// The distribution point, DER.
        root_crl: String,
    },
    /// A cache, which has all of it.
    Pccs,
}

/// The version of the interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// SGX alone; TCB info of version 2.
    V3,
    /// SGX and TDX.
    #[default]
    V4,
}

impl Version {
    /// As it stands in paths.
    pub const fn number(self) -> u8 {
        match self {
            Self::V3 => 3,
            Self::V4 => 4,
        }
    }
}

/// Where a service is and how it is reached.
#[derive(Clone, Debug)]
pub struct Config {
    /// `https://host[:port][/prefix]`, in front of `/sgx/certification/...`.
    pub url: String,
    /// Whose service it is.
    pub kind: Kind,
    /// Which version of its interface is used.
    pub version: Version,
    /// Who vouches for its TLS certificate.
    pub roots: Roots,
    /// Whether URLs may be `http`. What comes is signed, so that nobody on the way can forge it; but everybody sees which machines are asked
    /// about, and can hold back what is newer.
    pub plain_http: bool,
    /// Whether the newest TCB recovery is wanted as soon as it is published (`update=early`), and not when Intel enforces it.
    pub early: bool,
    /// How long to wait for each answer.
    pub timeout: Duration,
}

impl Config {
    /// Intel's own service.
    pub fn intel() -> Self {
        Self { kind: Kind::Pcs { root_crl: INTEL_ROOT_CRL.to_owned() }, ..Self::pccs(INTEL) }
    }

    /// A cache at this URL, version 4.
    pub fn pccs(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            kind: Kind::Pccs,
            version: Version::default(),
            roots: Roots::default(),
            plain_http: false,
            early: false,
            timeout: DEFAULT_TIMEOUT,
        }
    }
}
