//! What is asked of a service, before anything is known about who will answer.

use crate::Key;
use sealwright_wire::{Digest, Tee};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Which of Intel's two CAs certified a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PckCa {
    /// Platforms of one package.
    Processor,
    /// Platforms of several packages, registered as one.
    Platform,
}

impl PckCa {
    /// The CA with this subject: its name says which one it is (PCK Certificate Profile, section 1.3).
    pub fn of_subject(subject: &str) -> Option<Self> {
        [Self::Processor, Self::Platform].into_iter().find(|ca| subject.contains(ca.phrase()))
    }

    /// The service's spelling.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Processor => "processor",
            Self::Platform => "platform",
        }
    }

    const fn phrase(self) -> &'static str {
        match self {
            Self::Processor => "PCK Processor CA",
            Self::Platform => "PCK Platform CA",
        }
    }
}

impl fmt::Display for PckCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for PckCa {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Processor, Self::Platform].into_iter().find(|ca| text.eq_ignore_ascii_case(ca.name()));
        known.ok_or_else(|| "expected processor or platform".to_owned())
    }
}

/// What collateral is asked for: a platform model, the CA that certified it, and a kind of environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Wanted {
    /// The kind of environment: SGX or TDX.
    pub tee: Tee,
    /// The platform model.
    pub fmspc: Digest<6>,
    /// The CA that issues the model's PCK certificates.
    pub ca: PckCa,
}

impl Wanted {
    /// What to ask for to get the bundle with this key; nothing where its CA is none of Intel's two.
    pub fn of(key: &Key) -> Option<Self> {
        Some(Self { tee: key.kind(), fmspc: key.fmspc(), ca: PckCa::of_subject(key.pck_ca())? })
    }

    /// The file in which its bundle is kept.
    pub fn file(&self) -> String {
        format!("{}-{}-{}.json", self.tee.name(), self.fmspc, self.ca)
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on FMSPC {} ({} CA)", self.tee.name(), self.fmspc, self.ca)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_is_known_by_its_name() {
        let subject = "CN=Intel SGX PCK Platform CA,O=Intel Corporation,L=Santa Clara,ST=CA,C=US";
        assert_eq!(PckCa::of_subject(subject), Some(PckCa::Platform));
        assert_eq!(PckCa::of_subject(&subject.replace("Platform", "Processor")), Some(PckCa::Processor));
        assert_eq!(PckCa::of_subject("CN=Intel SGX Root CA"), None);
        assert_eq!("PLATFORM".parse(), Ok(PckCa::Platform));
        assert!("root".parse::<PckCa>().is_err());
    }
}
