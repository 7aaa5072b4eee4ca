//! Words of the command line that are more than text: what makes no sense is refused here, before anything is done.

use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use sealwright_broker::admin::{ClientError, check_reference_name};
use sealwright_channel::{http, seal};
use sealwright_collateral::{Access, Hygon, Kds, Service, hygon, kds, pcs::Config};
use sealwright_predict::profile::{Firmware, Vmm};
use sealwright_verify::TcbStatus;
use sealwright_verify::any;
use sealwright_wire::Digest;
use sealwright_wire::kbs::ResourcePath;
use sealwright_wire::sealed;
use sealwright_wire::snp::Product;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
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

/// A service of collateral. Whether its URL may be plain is said elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Intel's own.
    Intel,
    /// A cache of Intel's.
    Pccs(String),
    /// AMD's, or a cache of it.
    Amd(String),
    /// Hygon's, or a cache of it.
    Hygon(String),
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let access = |url: &str| Access { plain_http: true, ..Access::to(url) };
        let checked = match text.split_once('=') {
            _ if text == "intel" => return Ok(Self::Intel),
            _ if text == "amd" => return Ok(Self::Amd(kds::AMD.to_owned())),
            _ if text == "hygon" => return Ok(Self::Hygon(hygon::HYGON.to_owned())),
            Some(("amd", url)) => Kds::new(&access(url)).map(|_| Self::Amd(url.to_owned())),
            Some(("hygon", url)) => Hygon::new(&access(url)).map(|_| Self::Hygon(url.to_owned())),
            _ => {
                let plain = Config { plain_http: true, ..Config::pccs(text) };
                let service = Service::new(&plain).map(|_| Self::Pccs(text.to_owned()));
                return service.map_err(|error| error.to_string());
            }
        };
        checked.map_err(|error| error.to_string())
    }
}

/// A product line of AMD's, by its name.
pub(super) fn product(text: &str) -> Result<Product, &'static str> {
    let named = |product: &Product| product.name().eq_ignore_ascii_case(text);
    Product::ALL.into_iter().find(named).ok_or("expected Milan, Genoa or Turin")
}

/// A host, by IP address or by a name that is looked up when it is used, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(String);

impl Address {
    /// One address of the host; of an IPv4 and an IPv6 one the former, as in the defaults, because there is one listener.
    pub(crate) fn resolve(&self) -> anyhow::Result<SocketAddr> {
        let found: Vec<_> = self.0.to_socket_addrs().with_context(|| format!("cannot look up {self}"))?.collect();
        let address = found.iter().find(|address| address.is_ipv4()).or(found.first());
        address.copied().with_context(|| format!("{self} has no address"))
    }
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = || {
            let (host, port) = text.rsplit_once(':')?;
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            let is_name = !host.is_empty() && !host.starts_with(['-', '.']) && host.bytes().all(letters);
            (is_name && port.parse::<u16>().is_ok()).then_some(())
        };
        // What is written in digits alone is no name but a wrong address.
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b".:".contains(&byte));
        match text.parse::<SocketAddr>().is_ok() || (!is_number && named().is_some()) {
            true => Ok(Self(text.to_owned())),
            false => Err("expected HOST:PORT, as 127.0.0.1:8501, [::1]:8501 or localhost:8501"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address that nobody else can reach, as far as its text tells.
pub(super) fn loopback(text: &str) -> Result<Address, String> {
    if text.parse().is_ok_and(|address: SocketAddr| !address.ip().is_loopback()) {
        return Err("expected a loopback address: from elsewhere, requests would come in the clear".to_owned());
    }
    text.parse().map_err(str::to_owned)
}

/// A profile of virtual machine monitors, by its name.
pub(super) fn vmm() -> impl TypedValueParser<Value = Vmm> {
    PossibleValuesParser::new(Vmm::ALL.map(Vmm::name)).try_map(|name| Vmm::from_name(&name))
}

/// A profile of firmware, by its name.
pub(super) fn firmware() -> impl TypedValueParser<Value = Firmware> {
    PossibleValuesParser::new(Firmware::ALL.map(Firmware::name)).try_map(|name| Firmware::from_name(&name))
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
    any::demand(name).map_err(|error| error.to_string())
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
    fn an_address_is_a_host_and_a_port() {
        for good in ["127.0.0.1:0", "[::1]:8501", "localhost:8501", "model-1.example.org:443", "a_b:1"] {
            assert_eq!(good.parse::<Address>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "localhost",
            ":80",
            "localhost:",
            "localhost:65536",
            "::1:80",
            "127.0.0.300:1",
            "a b:1",
            "https://a:1",
            "-a:1",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
        let [name, number] = ["localhost:7", "[::1]:7"].map(|text| text.parse::<Address>().unwrap().resolve().unwrap());
        assert!(name.ip().is_loopback() && name.port() == 7, "{name}");
        assert_eq!(number.to_string(), "[::1]:7");
        assert!(loopback("192.0.2.1:1").is_err() && loopback("localhost:1").is_ok());
    }

    #[test]
    fn report_data_is_padded_and_bounded() {
        assert_eq!(report_data("").unwrap(), [0; 64]);
        assert_eq!(report_data("ab01").unwrap()[..3], [0xab, 1, 0]);
        assert!(report_data(&"00".repeat(64)).is_ok());
        assert!(report_data(&"00".repeat(65)).is_err() && report_data("zz").is_err() && report_data("a").is_err());
    }
}
