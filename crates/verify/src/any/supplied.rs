//! What came along with evidence: collateral, certificates and revocation lists, in whatever form their vendors hand them out.

use super::{Error, Kind, Missing, hygon, intel::Document, kind::decoded};
use crate::pem;
use sealwright_wire::{
    Error as WireError,
    collateral::{Bundle, QeId, QeIdentity, QveBundle, Signed, encode_pem_chain},
    snp::{self, CertificateTable, SigningKey},
};
use x509_cert::{
    Certificate,
    certificate::Rfc5280,
    crl::CertificateList,
    der::{self, Decode},
};

/// What came along with evidence, sorted by what it is. Nothing in it is believed before evidence is verified with it.
#[derive(Clone, Debug, Default)]
pub struct Supplied {
    /// Intel's collateral.
    pub(super) intel: Option<Bundle>,
    /// Intel's TCB info, where it came by itself.
    pub(super) tcb_info: Option<Document>,
    /// The identity of Intel's quoting enclave, where it came by itself.
    pub(super) qe_identity: Option<Document>,
    /// Certificates in DER, in the order in which they came.
    pub(super) certificates: Vec<Vec<u8>>,
    /// Revocation lists in DER.
    pub(super) crls: Vec<Vec<u8>>,
    /// Hygon's certificates of one chip.
    pub(super) hygon: hygon::Certificates,
}

impl Supplied {
    /// Adds what one file holds: Intel's or AMD's collateral (JSON), Intel's TCB info or QE identity (JSON), certificates (PEM, DER), a revocation
    /// list (PEM, DER), a host's SEV-SNP certificate table, or Hygon's HSK and CEK in a row or each by itself, or its HRK; or the same in hex or
    /// base64.
    ///
    /// # Errors
    /// When it is none of these, is malformed, there is one already where evidence has one alone, or no evidence is verified with it.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), NotCollateral> {
        let bytes = &*decoded(bytes);
        let text = bytes.trim_ascii_start();
        if text.starts_with(b"{") {
            return self.add_json(text);
        }
        if text.starts_with(b"-----BEGIN X509 CRL-----") {
            let list = pem::revocation_list(text);
            CertificateList::<Rfc5280>::from_der(&list)?;
            self.crls.push(list.into_owned());
            return Ok(());
        }
        if text.starts_with(b"-----BEGIN ") {
            return self.add_certificates(text);
        }
        if CertificateList::<Rfc5280>::from_der(bytes).is_ok() {
            self.crls.push(bytes.to_vec());
        } else if Certificate::from_der(bytes).is_ok() {
            self.certificates.push(bytes.to_vec());
        } else if let Some(added) = self.hygon.add(bytes) {
            return added;
        } else if let Some(certificates) = of_table(bytes) {
            self.certificates.extend(certificates);
        } else {
            return Err(NotCollateral::Unknown);
        }
        Ok(())
    }

    /// Intel's bundle, or AMD's, or a signed document of Intel's.
    fn add_json(&mut self, text: &[u8]) -> Result<(), NotCollateral> {
        const COLLATERAL: &str = "the collateral of this quote's platform";
        if Signed::qe_identity(text).is_ok_and(|identity| is_of_qve(&identity)) {
            return Err(NotCollateral::Qve);
        }
        let documents = [
            (Signed::tcb_info(text), &mut self.tcb_info, "the TCB info of this quote's platform"),
            (Signed::qe_identity(text), &mut self.qe_identity, "the identity of this quote's quoting enclave"),
        ];
        for (signed, place, what) in documents {
            if let Ok(signed) = signed {
                only(self.intel.as_ref(), COLLATERAL)?;
                return only(place.replace(signed.into()), what);
            }
        }
        let intel = match Bundle::from_json(text) {
            Ok(bundle) => {
                only(self.tcb_info.as_ref().or(self.qe_identity.as_ref()), "a part of this quote's collateral")?;
                return only(self.intel.replace(bundle), COLLATERAL);
            }
            Err(_) if QveBundle::from_json(text).is_ok() => return Err(NotCollateral::Qve),
            Err(error) => error,
        };
        let Ok(snp::Bundle { cert_chain, crl }) = snp::Bundle::from_json(text) else { return Err(intel.into()) };
        self.crls.extend(crl);
        self.add_certificates(cert_chain.as_bytes())
    }

    fn add_certificates(&mut self, pem: &[u8]) -> Result<(), NotCollateral> {
        let certificates = pem::chain("certificates", pem)?;
        for der in &certificates {
            Certificate::from_der(der)?;
        }
        self.certificates.extend(certificates);
        Ok(())
    }

    /// Certificates whose subject's common name is accepted.
    pub(super) fn named(&self, accepts: impl Fn(&str) -> bool) -> Option<&Vec<u8>> {
        self.certificates.iter().find(|der| common_name(der).is_some_and(|name| accepts(&name)))
    }

    /// The certificate of the key that signs an SEV-SNP guest's reports.
    pub(super) fn vek(&self, kind: SigningKey) -> Result<&[u8], Error> {
        let name = if kind == SigningKey::Vlek { "SEV-VLEK" } else { "SEV-VCEK" };
        self.named(|found| found == name).map(Vec::as_slice).ok_or_else(|| no_certificate(name))
    }

    /// The CA of that key, its root and the root's revocation list.
    pub(super) fn snp(&self, kind: SigningKey) -> Result<snp::Bundle, Error> {
        let ark = self.named(|name| name.starts_with(ARK)).ok_or_else(|| no_certificate("the product's ARK"))?;
        let root = common_name(ark).unwrap_or_default();
        let product = root.trim_start_matches(ARK);
        let ca = match kind {
            SigningKey::Vlek => format!("SEV-VLEK-{product}"),
            SigningKey::Vcek | SigningKey::None => format!("SEV-{product}"),
        };
        let ca_certificate = self.named(|name| name == ca).ok_or_else(|| no_certificate(&ca))?;
        Ok(snp::Bundle { cert_chain: encode_pem_chain(&[ca_certificate, ark]), crl: self.crls.first().cloned() })
    }
}

/// A first one is taken; a second would not be looked at.
pub(super) fn only<T>(earlier: Option<T>, what: &'static str) -> Result<(), NotCollateral> {
    earlier.map_or(Ok(()), |_| Err(NotCollateral::Second(what)))
}

/// Whether an enclave's identity is that of the quote verification enclave, not of a quoting enclave.
fn is_of_qve(signed: &Signed<'_>) -> bool {
    QeIdentity::parse(signed.document).is_ok_and(|identity| identity.id == QeId::Qve)
}

fn no_certificate(name: &str) -> Error {
    Error::Missing { kind: Kind::Snp, missing: Missing::AmdCertificate(name.to_owned()) }
}

/// The certificates of a host's table; `None` when it is no table, or has none.
fn of_table(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let table = CertificateTable::parse(bytes).ok()?;
    let certificates = table.entries.iter().map(|entry| entry.data).filter(|der| Certificate::from_der(der).is_ok());
    let certificates: Vec<_> = certificates.map(<[u8]>::to_vec).collect();
    (!certificates.is_empty()).then_some(certificates)
}

/// How the common names of AMD's roots begin; the product line's follows.
const ARK: &str = "ARK-";

fn common_name(der: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    let name = certificate.tbs_certificate().subject().common_name().ok()??;
    Some(name.value().into_owned())
}

/// Why a file is no collateral.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotCollateral {
    /// It is nothing that vendors hand out.
    #[error(
        "neither collateral in JSON, nor a certificate, a revocation list, a host's certificate table, or a HSK, CEK or HRK of Hygon's"
    )]
    Unknown,
    /// Evidence has one of these, and there is one.
    #[error("a second one: name {0} alone")]
    Second(&'static str),
    /// It is the identity of Intel's quote verification enclave, against which [`crate::QveIdentity`] holds that enclave's reports.
    #[error("the identity of Intel's quote verification enclave (QvE): no evidence is verified with it")]
    Qve,
    /// It is malformed.
    #[error(transparent)]
    Malformed(#[from] WireError),
    /// It is no DER.
    #[error(transparent)]
    Der(#[from] der::Error),
}
