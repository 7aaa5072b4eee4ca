//! What came along with evidence: collateral, certificates and revocation lists, in whatever form their vendors hand them out.

use super::{Beside, Kind, hygon, intel::Document, kind::decoded, lists::Lists};
use crate::pem;
use sealwright_wire::{
    Error as WireError,
    collateral::{Bundle, QeId, QeIdentity, QveBundle, Signed},
    snp::{self, CertificateTable},
};
use x509_cert::{
    Certificate,
    der::{self, Decode, Encode},
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
    /// Revocation lists.
    pub(super) crls: Lists,
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
            return Ok(self.crls.add(pem::revocation_list(text).into_owned())?);
        }
        if text.starts_with(b"-----BEGIN ") {
            return self.add_certificates(text);
        }
        if self.crls.add(bytes.to_vec()).is_ok() {
            return Ok(());
        }
        if Certificate::from_der(bytes).is_ok() {
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

    /// What of it evidence of a kind is not verified with.
    pub(super) fn unused(&self, kind: Kind) -> Option<Beside> {
        let of_intel = matches!(kind, Kind::Quote | Kind::Ratls | Kind::HeldData | Kind::AzVtpm | Kind::HclReport);
        let of_amd = matches!(kind, Kind::Snp | Kind::AzVtpm | Kind::HclReport);
        let certified = of_intel || of_amd || matches!(kind, Kind::Tpm | Kind::TpmQuote | Kind::Nvidia);
        let documents = self.intel.is_some() || self.tcb_info.is_some() || self.qe_identity.is_some();
        let certificates = !self.certificates.is_empty() || !self.crls.is_empty();
        let others = [(documents, of_intel), (certificates, certified), (!self.hygon.is_empty(), kind == Kind::Csv)];
        if others.into_iter().any(|(given, of_use)| given && !of_use) {
            return Some(Beside::OtherCollateral);
        }
        // Who gives a list of somebody else's means to have something revoked. The chains of TPMs and GPUs are told by no name.
        let known = |issuer: &str| (of_intel && issuer.contains("SGX")) || (of_amd && issuer.starts_with("ARK-"));
        ((of_intel || of_amd) && !self.crls.all_of(known)).then_some(Beside::OtherList)
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
        crl.map_or(Ok(()), |crl| self.crls.add(crl))?;
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

    /// The certificate whose subject is this one's issuer.
    pub(super) fn issuer_of(&self, der: &[u8]) -> Option<&Vec<u8>> {
        let certificate = Certificate::from_der(der).ok()?;
        let issuer = certificate.tbs_certificate().issuer().to_der().ok()?;
        self.certificates.iter().find(|der| subject(der).is_some_and(|subject| subject == issuer))
    }
}

fn subject(der: &[u8]) -> Option<Vec<u8>> {
    Certificate::from_der(der).ok()?.tbs_certificate().subject().to_der().ok()
}

/// A first one is taken; a second would not be looked at.
pub(super) fn only<T>(earlier: Option<T>, what: &'static str) -> Result<(), NotCollateral> {
    earlier.map_or(Ok(()), |_| Err(NotCollateral::Second(what)))
}

/// Whether an enclave's identity is that of the quote verification enclave, not of a quoting enclave.
fn is_of_qve(signed: &Signed<'_>) -> bool {
    QeIdentity::parse(signed.document).is_ok_and(|identity| identity.id == QeId::Qve)
}

/// The certificates of a host's table; `None` when it is no table, or has none.
fn of_table(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let table = CertificateTable::parse(bytes).ok()?;
    let certificates = table.entries.iter().map(|entry| entry.data).filter(|der| Certificate::from_der(der).is_ok());
    let certificates: Vec<_> = certificates.map(<[u8]>::to_vec).collect();
    (!certificates.is_empty()).then_some(certificates)
}

/// The common name of a certificate's subject.
pub(super) fn common_name(der: &[u8]) -> Option<String> {
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
