//! Intel's Provisioning Certification Service, and caches of it that speak its protocol (PCCS): the client.
//!
//! Sources: Intel SGX and Intel TDX Provisioning Certification Service API, versions 3 and 4; for the caches, the routes of PCCS. Everything that
//! comes is a stranger's: it is bounded, taken apart, verified, and only then handed out.

mod config;

pub use config::{Config, DEFAULT_TIMEOUT, INTEL, INTEL_ROOT_CRL, Kind, Version};

use crate::{Access, FetchError, FetchedItem, PckCa, Wanted, http::Reply, origin::Origin, paper::Paper, percent};
use sealwright_verify::{Anchors, Collateral};
use sealwright_wire::{
    Error as WireError, Tee,
    collateral::{Bundle, QveBundle, Signed},
    quote::{CertificationData, PlatformId, Ppid, Quote},
    time::UnixTime,
};
use std::time::Duration;

/// The longest TCB info or enclave identity that is taken, in bytes. Real ones have under 20 KB.
const MAX_DOCUMENT: usize = 1 << 20;
/// The longest revocation list that is taken, in bytes of DER.
const MAX_CRL: usize = 2 << 20;
/// The longest PCK certificate that is taken, in bytes of PEM.
const MAX_CERTIFICATE: usize = 16 << 10;

const PCK_CRL_CHAIN: &str = "SGX-PCK-CRL-Issuer-Chain";
const PCK_CHAIN: &str = "SGX-PCK-Certificate-Issuer-Chain";
const IDENTITY_CHAIN: &str = "SGX-Enclave-Identity-Issuer-Chain";
/// Version 4's spelling, then version 3's; caches have been seen to use either with both.
const TCB_INFO_CHAIN: [&str; 2] = ["TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"];
const TCBM: &str = "SGX-TCBm";

/// A bundle that came from a service and was verified: only [`Service::fetch`] makes one.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub(crate) wanted: Wanted,
    pub(crate) from: String,
    pub(crate) bundle: Bundle,
    pub(crate) collateral: Collateral,
    pub(crate) at: UnixTime,
}

impl Fetched {
    /// The bundle.
    pub const fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The bundle, verified.
    pub const fn collateral(&self) -> &Collateral {
        &self.collateral
    }

    /// What was asked for.
    pub const fn wanted(&self) -> &Wanted {
        &self.wanted
    }
}

/// A client of one service.
#[derive(Clone)]
pub struct Service {
    origin: Origin,
    kind: Kind,
    version: Version,
    early: bool,
}

impl Service {
    /// A client that has asked nothing yet.
    ///
    /// # Errors
    /// When the URL or the roots are unusable.
    pub fn new(config: &Config) -> Result<Self, FetchError> {
        let origin = Origin::new(&Access {
            url: base(&config.url).to_owned(),
            roots: config.roots.clone(),
            plain_http: config.plain_http,
            timeout: config.timeout,
            patience: Duration::ZERO,
        })?;
        if let Kind::Pcs { root_crl } = &config.kind {
            origin.check(root_crl)?;
        }
        Ok(Self { origin, kind: config.kind.clone(), version: config.version, early: config.early })
    }

    /// Where the service is.
    pub fn url(&self) -> &str {
        self.origin.url()
    }

    /// Asks for everything that quotes of such a platform need, and verifies it at `at`.
    ///
    /// # Errors
    /// When there is no answer, no such collateral, or it does not hold.
    pub async fn fetch(&self, wanted: &Wanted, anchors: &Anchors, at: UnixTime) -> Result<Fetched, FetchError> {
        self.fetch_with(wanted, None, anchors, at).await
    }

    /// As [`fetch`](Self::fetch), for quotes that carry no certificate: with the PCK certificate chain of the platform that made this one.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch), and as [`pck_chain`](Self::pck_chain).
    pub async fn fetch_with(
        &self,
        wanted: &Wanted,
        pck_chain: Option<String>,
        anchors: &Anchors,
        at: UnixTime,
    ) -> Result<Fetched, FetchError> {
        let bundle = Bundle { pck_certificate_chain: pck_chain, ..self.bundle(wanted).await? };
        let collateral = Collateral::verify(&bundle, anchors, at)?;
        let found = crate::Key::of(&collateral);
        if Wanted::of(&found) != Some(*wanted) {
            return Err(FetchError::Other { wanted: wanted.to_string(), found: found.to_string() });
        }
        Ok(Fetched { wanted: *wanted, from: self.url().to_owned(), bundle, collateral, at })
    }

    /// Asks for the identity of the quote verification enclave, and verifies it at `at`. No quote needs it.
    ///
    /// # Errors
    /// When there is no answer, or it does not hold.
    pub async fn qve_identity(&self, anchors: &Anchors, at: UnixTime) -> Result<FetchedItem, FetchError> {
        let (qve_identity, qve_identity_signature, qve_identity_issuer_chain) =
            self.identity(Tee::Sgx, "qve/identity").await?;
        let root_ca_crl = self.root_crl().await?;
        let bundle = QveBundle { root_ca_crl, qve_identity_issuer_chain, qve_identity, qve_identity_signature };
        let content = bundle.to_json().map_err(|source| FetchError::Answer { url: self.url().to_owned(), source })?;
        let paper = Paper::qve_identity(content.into_bytes(), anchors, at)?;
        Ok(FetchedItem::new(paper, self.url(), at))
    }

    async fn bundle(&self, wanted: &Wanted) -> Result<Bundle, FetchError> {
        let (pck_crl, pck_crl_issuer_chain) = self.pck_crl(wanted.ca).await?;
        let (tcb_info, tcb_info_signature, tcb_info_issuer_chain) = self.tcb_info(wanted).await?;
        let (qe_identity, qe_identity_signature, qe_identity_issuer_chain) =
            self.identity(wanted.tee, "qe/identity").await?;
        Ok(Bundle {
            pck_crl_issuer_chain,
            root_ca_crl: self.root_crl().await?,
            pck_crl,
            tcb_info_issuer_chain,
            tcb_info,
            tcb_info_signature,
            qe_identity_issuer_chain,
            qe_identity,
            qe_identity_signature,
            pck_certificate_chain: None,
        })
    }

    async fn pck_crl(&self, ca: PckCa) -> Result<(Vec<u8>, String), FetchError> {
        let url = self.route(Tee::Sgx, &format!("pckcrl?ca={ca}&encoding=der"))?;
        let reply = self.origin.get(&url, MAX_CRL).await?;
        Ok((reply.body.to_vec(), chain(&url, &reply, &[PCK_CRL_CHAIN])?))
    }

    async fn root_crl(&self) -> Result<Vec<u8>, FetchError> {
        match &self.kind {
            Kind::Pcs { root_crl } => Ok(self.origin.get(root_crl, MAX_CRL).await?.body.to_vec()),
            Kind::Pccs => {
                let url = self.route(Tee::Sgx, "rootcacrl")?;
                let body = self.origin.get(&url, MAX_CRL.saturating_mul(2)).await?.body;
                from_hex(&body).map_err(|source| FetchError::Answer { url, source })
            }
        }
    }

    async fn tcb_info(&self, wanted: &Wanted) -> Result<(String, [u8; 64], String), FetchError> {
        let fmspc = wanted.fmspc.to_string().to_ascii_uppercase();
        let update = if self.early { "&update=early" } else { "" };
        let url = self.route(wanted.tee, &format!("tcb?fmspc={fmspc}{update}"))?;
        let reply = self.origin.get(&url, MAX_DOCUMENT).await?;
        let Signed { document, signature } =
            Signed::tcb_info(&reply.body).map_err(|source| FetchError::Answer { url: url.clone(), source })?;
        Ok((document.to_owned(), signature, chain(&url, &reply, &TCB_INFO_CHAIN)?))
    }

    async fn identity(&self, tee: Tee, of: &str) -> Result<(String, [u8; 64], String), FetchError> {
        let update = if self.early { "?update=early" } else { "" };
        let url = self.route(tee, &format!("{of}{update}"))?;
        let reply = self.origin.get(&url, MAX_DOCUMENT).await?;
        let Signed { document, signature } =
            Signed::qe_identity(&reply.body).map_err(|source| FetchError::Answer { url: url.clone(), source })?;
        Ok((document.to_owned(), signature, chain(&url, &reply, &[IDENTITY_CHAIN])?))
    }

    /// The PCK certificate chain (PEM, the platform's certificate first) of the platform that made a quote which names it by its encrypted PPID.
    /// Verified by nobody yet.
    ///
    /// # Errors
    /// When the quote does not name its platform so, there is no answer, or the service has a certificate for other security versions alone: its
    /// key did not make this quote.
    pub async fn pck_chain(&self, quote: &Quote<'_>) -> Result<String, FetchError> {
        let CertificationData::Platform(platform) = &quote.certification else {
            return Err(FetchError::NoPlatform("it carries a certificate, or nothing"));
        };
        let qe_id = quote.header.user_data.first_chunk::<16>().copied().unwrap_or_default();
        let url = self.route(Tee::Sgx, &format!("pckcert?{}", self.pck_query(platform, qe_id)?))?;
        let reply = self.origin.get(&url, MAX_CERTIFICATE).await?;
        same_tcb(&url, &reply, platform)?;
        let issuers = chain(&url, &reply, &[PCK_CHAIN])?;
        let leaf = String::from_utf8_lossy(&reply.body).into_owned();
        let end = if leaf.ends_with('\n') { "" } else { "\n" };
        Ok(format!("{leaf}{end}{issuers}"))
    }

    fn pck_query(&self, platform: &PlatformId<'_>, qe_id: [u8; 16]) -> Result<String, FetchError> {
        let Ppid::Rsa3072(ppid) = platform.ppid else {
            return Err(FetchError::NoPlatform("its PPID is not encrypted with RSA-3072"));
        };
        let pce_id = platform.pce_id.ok_or(FetchError::NoPlatform("it names no PCE"))?;
        let [ppid, cpu_svn, pce_svn, pce_id] =
            [&ppid[..], platform.cpu_svn, &platform.pce_svn.to_le_bytes(), pce_id].map(hex::encode_upper);
        // A cache knows platforms by their quoting enclave.
        let qe_id = match self.kind {
            Kind::Pcs { .. } => String::new(),
            Kind::Pccs => format!("qeid={}&", hex::encode_upper(qe_id)),
        };
        Ok(format!("{qe_id}encrypted_ppid={ppid}&cpusvn={cpu_svn}&pcesvn={pce_svn}&pceid={pce_id}"))
    }

    fn route(&self, tee: Tee, route: &str) -> Result<String, FetchError> {
        let version = self.version.number();
        match (tee, self.version) {
            (Tee::Sgx, _) | (Tee::Tdx, Version::V4) => {
                Ok(format!("{}/{}/certification/v{version}/{route}", self.url(), tee.name()))
            }
            _ => Err(FetchError::NotServed { what: tee.name().to_uppercase(), version }),
        }
    }
}

/// What stands in front of `/sgx/certification`, also where a whole prefix was copied from a client's configuration.
fn base(url: &str) -> &str {
    let url = url.trim_end_matches('/');
    let tails = ["/sgx/certification/v3", "/sgx/certification/v4", "/tdx/certification/v4"];
    tails.iter().find_map(|tail| url.strip_suffix(tail)).unwrap_or(url)
}

/// The certificate chain of the first of these header fields that is there.
fn chain(url: &str, reply: &Reply, names: &[&'static str]) -> Result<String, FetchError> {
    let there = names.iter().find(|name| reply.headers.contains_key(**name));
    let name = there.or(names.first()).copied().unwrap_or_default();
    let wrong = |reason| FetchError::Header { url: url.to_owned(), name, reason };
    let mut values = reply.headers.get_all(name).iter();
    let value = values.next().ok_or_else(|| wrong("missing"))?;
    if values.next().is_some() {
        return Err(wrong("comes twice"));
    }
    percent::decode(value.as_bytes()).ok_or_else(|| wrong("expected a percent-encoded text"))
}

/// The list that a cache writes as hex.
fn from_hex(text: &[u8]) -> Result<Vec<u8>, WireError> {
    hex::decode(text.trim_ascii())
        .map_err(|error| WireError::unexpected("root CA CRL", 0, "a revocation list in hex", error))
}

/// That the certificate is for the security versions which the quote names: `SGX-TCBm` holds CPUSVN and PCESVN, little-endian.
fn same_tcb(url: &str, reply: &Reply, platform: &PlatformId<'_>) -> Result<(), FetchError> {
    let Some(found) = reply.headers.get(TCBM) else {
        return Err(FetchError::Header { url: url.to_owned(), name: TCBM, reason: "missing" });
    };
    let found = found.to_str().unwrap_or_default();
    let wanted = hex::encode([&platform.cpu_svn[..], &platform.pce_svn.to_le_bytes()].concat());
    if found.eq_ignore_ascii_case(&wanted) {
        return Ok(());
    }
    let name = |tcbm: &str| format!("a PCK certificate for the security versions {tcbm}");
    Err(FetchError::Other { wanted: name(&wanted), found: name(found) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_prefix_is_no_part_of_the_base() {
        for url in [
            "https://h:1/x",
            "https://h:1/x/",
            "https://h:1/x/sgx/certification/v4/",
            "https://h:1/x/tdx/certification/v4",
        ] {
            assert_eq!(base(url), "https://h:1/x", "{url}");
        }
    }

    #[test]
    fn intel_is_asked_for_the_root_crl_where_it_publishes_it() {
        let config = Config::intel();
        assert_eq!(config.kind, Kind::Pcs { root_crl: INTEL_ROOT_CRL.to_owned() });
        let service = Service::new(&config).unwrap();
        let url = service.route(Tee::Tdx, "tcb?fmspc=00").unwrap();
        assert_eq!(url, "https://api.trustedservices.intel.com/tdx/certification/v4/tcb?fmspc=00");
        let old = Service::new(&Config { version: Version::V3, ..config }).unwrap();
        assert_eq!(old.route(Tee::Tdx, "tcb").unwrap_err().code(), "collateral-not-served");
        assert_eq!(
            old.route(Tee::Sgx, "tcb").unwrap(),
            "https://api.trustedservices.intel.com/sgx/certification/v3/tcb"
        );
    }

    #[test]
    fn plain_http_is_only_for_whom_the_configuration_lets() {
        let config = Config::pccs("http://127.0.0.1:1");
        assert_eq!(Service::new(&config).err().unwrap().code(), "collateral-service-url");
        assert!(Service::new(&Config { plain_http: true, ..config }).is_ok());
        assert!(Service::new(&Config::pccs("https://127.0.0.1:1/?a=b")).is_err(), "routes go behind it");
    }
}
