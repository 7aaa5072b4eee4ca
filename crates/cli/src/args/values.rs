//! Words of the command line that are more than text: what makes no sense is refused here, before anything is done.

use sealwright_channel::seal;
use sealwright_wire::Digest;
use std::path::PathBuf;
use std::str::FromStr;

/// A policy, by its file or by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PolicyArg {
    /// SHA-384 of its text.
    Sha384(Digest<48>),
    /// Its text is in this file.
    File(PathBuf),
}

impl PolicyArg {
    /// SHA-384 of the policy's text.
    pub(crate) fn sha384(&self) -> anyhow::Result<Digest<48>> {
        match self {
            Self::Sha384(digest) => Ok(*digest),
            Self::File(path) => Ok(seal::sha384(&crate::files::read(path, crate::inspect::MAX_FILE)?)),
        }
    }
}

impl FromStr for PolicyArg {
    type Err = String;

    /// A digest as `broker policy show` prints it, with or without the algorithm in front, or else a file's path.
    fn from_str(text: &str) -> Result<Self, String> {
        let hex = text.strip_prefix("sha384:");
        match (hex.unwrap_or(text).parse(), hex) {
            (Ok(digest), _) => Ok(Self::Sha384(digest)),
            (Err(_), Some(_)) => Err("expected 96 hex digits after sha384:".to_owned()),
            (Err(_), None) => Ok(Self::File(text.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_named_by_digest_or_file() {
        let digest = Digest([0xab; 48]);
        for text in [format!("{digest}"), format!("sha384:{digest}")] {
            assert_eq!(text.parse(), Ok(PolicyArg::Sha384(digest)));
        }
        assert_eq!("policy.rego".parse(), Ok(PolicyArg::File("policy.rego".into())));
        assert!("sha384:abc".parse::<PolicyArg>().is_err());
    }
}
