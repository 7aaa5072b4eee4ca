//! Intel's collateral out of the parts in which its services hand it out: signed documents, certificates and revocation lists.

use super::{Error, Kind, Missing, Supplied};
use sealwright_wire::{
    collateral::{Bundle, Signed, encode_pem_chain, pem_chain},
    quote::{CertificationData, Quote},
};
use std::borrow::Cow;

/// Common names of Intel SGX PCK Certificate and CRL Profile Specification, section 2.
const SIGNER: &str = "Intel SGX TCB Signing";
const PCK: &str = "Intel SGX PCK Certificate";
const PLATFORM_CA: &str = "Intel SGX PCK Platform CA";
const PROCESSOR_CA: &str = "Intel SGX PCK Processor CA";

/// A signed document in its own words.
#[derive(Clone, Debug)]
pub(super) struct Document {
    text: String,
    signature: [u8; 64],
}

impl From<Signed<'_>> for Document {
    fn from(signed: Signed<'_>) -> Self {
        Self { text: signed.document.to_owned(), signature: signed.signature }
    }
}

impl Supplied {
    /// Intel's collateral for a quote: the bundle, or one put together from parts. Which part is of which is the verifier's to judge: here it is
    /// told by names alone.
    pub(super) fn intel(&self, kind: Kind, quote: &Quote<'_>) -> Result<Cow<'_, Bundle>, Error> {
        if let Some(bundle) = &self.intel {
            return Ok(self.with_newer_lists(bundle));
        }
        let missing = |missing| Error::Missing { kind, missing };
        let part = |name| missing(Missing::IntelPart(name));
        let (tcb_info, qe_identity) = match (&self.tcb_info, &self.qe_identity) {
            (None, None) => return Err(missing(Missing::IntelCollateral)),
            (None, _) => return Err(part("TCB info")),
            (_, None) => return Err(part("the QE identity")),
            (Some(tcb_info), Some(qe_identity)) => (tcb_info, qe_identity),
        };
        let signer = self.intel_certificate(SIGNER).ok_or_else(|| part("the certificate of the TCB info's signer"))?;
        let root = self.issuer_of(signer).ok_or_else(|| part("the root certificate"))?;
        let ca = self.pck_ca(quote).ok_or_else(|| part("the certificate of the PCK CA"))?;
        let signer_chain = encode_pem_chain(&[signer, root]);
        Ok(Cow::Owned(Bundle {
            pck_crl_issuer_chain: encode_pem_chain(&[ca, root]),
            root_ca_crl: self.crls.newest_of(root).ok_or_else(|| part("the root CA's revocation list"))?.to_vec(),
            pck_crl: self.crls.newest_of(ca).ok_or_else(|| part("the PCK CA's revocation list"))?.to_vec(),
            tcb_info_issuer_chain: signer_chain.clone(),
            tcb_info: tcb_info.text.clone(),
            tcb_info_signature: tcb_info.signature,
            qe_identity_issuer_chain: signer_chain,
            qe_identity: qe_identity.text.clone(),
            qe_identity_signature: qe_identity.signature,
            pck_certificate_chain: self.intel_certificate(PCK).map(|pck| encode_pem_chain(&[pck, ca, root])),
        }))
    }

    /// A bundle, in which no revocation list is older than one beside it.
    fn with_newer_lists<'a>(&self, bundle: &'a Bundle) -> Cow<'a, Bundle> {
        if self.crls.is_empty() {
            return Cow::Borrowed(bundle);
        }
        let newest = |list: &[u8]| self.crls.newest_with(list).to_vec();
        let (root_ca_crl, pck_crl) = (newest(&bundle.root_ca_crl), newest(&bundle.pck_crl));
        Cow::Owned(Bundle { root_ca_crl, pck_crl, ..bundle.clone() })
    }

    fn intel_certificate(&self, name: &str) -> Option<&Vec<u8>> {
        self.named(|found| found == name)
    }

    /// The CA that the platform's certificate names as its issuer, be it in the quote or beside it; the only one there is, where neither has any.
    fn pck_ca(&self, quote: &Quote<'_>) -> Option<&Vec<u8>> {
        let carried = match &quote.certification {
            CertificationData::PckChain(pem) => {
                pem_chain("certification data", pem).ok().and_then(|chain| chain.into_iter().next())
            }
            _ => None,
        };
        match carried.as_ref().or_else(|| self.intel_certificate(PCK)) {
            Some(pck) => self.issuer_of(pck),
            None => self.intel_certificate(PLATFORM_CA).xor(self.intel_certificate(PROCESSOR_CA)),
        }
    }
}
