//! AMD's certificates for one report, out of all that came along. Who signed which is the verifier's to judge: here they are told by names, and by what
//! the certificates of keys say of their chips.

use super::{Error, Kind, Missing, Supplied, supplied::common_name};
use sealwright_wire::{
    collateral::encode_pem_chain,
    snp::{AttestationReport, Bundle, Product, SigningKey, VekExtensions},
};
use x509_cert::{Certificate, der::Decode};

impl Supplied {
    /// The certificate of the key that signed a report: of several the one for its chip and security versions, or else the first, which is then
    /// refused for what differs.
    pub(super) fn vek(&self, kind: SigningKey, report: &AttestationReport) -> Result<&[u8], Error> {
        let name = if kind == SigningKey::Vlek { "SEV-VLEK" } else { "SEV-VCEK" };
        let of_kind = || self.certificates.iter().filter(|der| common_name(der).as_deref() == Some(name));
        let found = of_kind().find(|der| is_of_report(der, report) == Some(true)).or_else(|| of_kind().next());
        found.map(Vec::as_slice).ok_or_else(|| no_certificate(name))
    }

    /// The CA of that key, its root and the root's revocation list.
    pub(super) fn snp(&self, vek: &[u8]) -> Result<Bundle, Error> {
        let ca = self.issuer_of(vek).ok_or_else(|| no_issuer(vek))?;
        let ark = self.issuer_of(ca).ok_or_else(|| no_issuer(ca))?;
        let crl = self.crls.newest_of(ark).map(<[u8]>::to_vec);
        Ok(Bundle { cert_chain: encode_pem_chain(&[ca, ark]), crl })
    }
}

/// Whether a key is of the chip and security versions that a report names; a masked chip is any.
fn is_of_report(der: &[u8], report: &AttestationReport) -> Option<bool> {
    let certificate = Certificate::from_der(der).ok()?;
    let extensions = certificate.tbs_certificate().extensions()?;
    let value =
        |id| extensions.iter().find(|extension| extension.extn_id == id).map(|found| found.extn_value.as_bytes());
    let said = VekExtensions::read(value).ok()?;
    let tcbs = report.tcbs(Product::from_product_name(&said.product_name)?).ok()?;
    let of_chip = said.hwid.is_none_or(|hwid| [*hwid.chip_id(), [0; 64]].contains(&report.chip_id));
    Some(of_chip && said.tcb == tcbs.reported)
}

fn no_certificate(name: &str) -> Error {
    Error::Missing { kind: Kind::Snp, missing: Missing::AmdCertificate(name.to_owned()) }
}

/// The issuer of this certificate is not there.
fn no_issuer(der: &[u8]) -> Error {
    let issuer = Certificate::from_der(der).ok().and_then(|certificate| {
        let name = certificate.tbs_certificate().issuer().common_name().ok()??;
        Some(name.value().into_owned())
    });
    no_certificate(issuer.as_deref().unwrap_or("the key's issuer"))
}
