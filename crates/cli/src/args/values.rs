//! Words of the command line that are more than text: what makes no sense is refused here, before anything is done.

use sealwright_broker::admin::{ClientError, check_reference_name};
use sealwright_channel::{http, seal};
use sealwright_collateral::{Service, pcs::Config};
use sealwright_verify::TcbStatus;
use sealwright_wire::Digest;
use sealwright_wire::collateral::ParseStatusError;
use sealwright_wire::kbs::ResourcePath;
use sealwright_wire::sealed;
use std::net::{AddrParseError, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// A key's address: `kbs:///repository/type/tag`.
pub(super) fn key_uri(text: &str) -> Result<ResourcePath, sealwright_wire::Error> {
    ResourcePath::parse_uri(text)
}

/// A secret's path: `repository/type/tag`.
pub(super) fn secret_path(text: &str) -> Result<ResourcePath, sealwright_wire::Error> {
    ResourcePath::parse(text)
}

/// A repository: the first part of secrets' paths.
pub(super) fn repository(text: &str) -> Result<String, sealwright_wire::Error> {
    ResourcePath::parse(&format!("{text}/any/any")).map(|_| text.to_owned())
}

/// The name of reference values in a broker.
pub(super) fn reference_name(text: &str) -> Result<String, ClientError> {
    check_reference_name(text).map(|()| text.to_owned())
}

/// The name of a model.
pub(super) fn model_name(text: &str) -> Result<String, sealwright_wire::Error> {
    sealed::check_name("name", text).map(|()| text.to_owned())
}

/// Where an HTTPS server is.
pub(super) fn url(text: &str) -> Result<String, http::Error> {
    http::Endpoint::parse(text).map(|_| text.to_owned())
}

/// A service of collateral: `intel`, or a URL. Whether it may be plain is said elsewhere.
pub(super) fn collateral_service(text: &str) -> Result<String, String> {
    let plain = Config { plain_http: true, ..Config::pccs(text) };
    if text == "intel" {
        return Ok(text.to_owned());
    }
    Service::new(&plain).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// An address that nobody else can reach.
pub(super) fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|error: AddrParseError| error.to_string())?;
    if !address.ip().is_loopback() {
        return Err("expected a loopback address: from elsewhere, requests would come in the clear".to_owned());
    }
    Ok(address)
}

/// What a quote carries: up to 64 bytes in hex, padded with zeros.
pub(super) fn report_data(text: &str) -> Result<[u8; 64], String> {
    let given = hex::decode(text).map_err(|error| format!("not hex: {error}"))?;
    let mut report_data = [0; 64];
    let place = report_data.get_mut(..given.len());
    place.ok_or_else(|| format!("{} bytes, a quote carries 64", given.len()))?.copy_from_slice(&given);
    Ok(report_data)
}

/// A TCB status that somebody may accept.
pub(super) fn acceptable_status(name: &str) -> Result<TcbStatus, String> {
    let status = name.parse().map_err(|error: ParseStatusError| error.to_string())?;
    if status == TcbStatus::Revoked {
        return Err("what a revoked platform signs cannot be believed".to_owned());
    }
    Ok(status)
}

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

    #[test]
    fn report_data_is_padded_and_bounded() {
        assert_eq!(report_data("").unwrap(), [0; 64]);
        assert_eq!(report_data("ab01").unwrap()[..3], [0xab, 1, 0]);
        assert!(report_data(&"00".repeat(64)).is_ok());
        assert!(report_data(&"00".repeat(65)).is_err() && report_data("zz").is_err() && report_data("a").is_err());
    }
}
