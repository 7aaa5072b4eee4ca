//! The certificates below the vendor's: CEK, PEK and OCA.

use super::key::Key;
use crate::Error;
use sealwright_wire::csv::{Certificate, CertificateSignature, Usage};
use std::{fmt, sync::Arc};
use zerocopy::IntoBytes;

/// A certificate of `key`, to be signed. Only that of a CEK has a `signer_id`.
pub(super) fn draft(usage: Usage, key: &Key, signer_id: [u8; 16]) -> Result<Certificate, Error> {
    Certificate::new(usage, signer_id, key.public(), key.user_id()).map_err(Error::Structure)
}

/// The certificate with the signatures of one or two keys.
pub(super) fn signed(draft: &Certificate, signers: &[(Usage, &Key)]) -> Result<Certificate, Error> {
    let mut certificate = *draft;
    for (place, (usage, key)) in certificate.signatures.iter_mut().zip(signers) {
        *place = CertificateSignature::new(*usage, key.sign(draft.signed())?);
    }
    Ok(certificate)
}

/// Who owns platforms: a certificate authority (OCA) that signs their PEKs beside the chip. Copies share the key.
#[derive(Clone)]
pub struct Owner(Arc<Oca>);

struct Oca {
    key: Key,
    certificate: Certificate,
}

impl Owner {
    /// Makes an owner's key and its certificate, which it signs itself. The name goes into the id under which the key signs.
    ///
    /// # Errors
    /// When the id would be over 254 bytes, or the cryptographic library fails.
    pub fn found(name: &str) -> Result<Self, Error> {
        let key = Key::generate(&format!("OCA {name}"))?;
        let certificate = signed(&draft(Usage::OCA, &key, [0; 16])?, &[(Usage::OCA, &key)])?;
        Ok(Self(Arc::new(Oca { key, certificate })))
    }

    /// The OCA's certificate, which the owner hands to those who shall believe its platforms.
    pub fn oca(&self) -> Vec<u8> {
        self.0.certificate.as_bytes().to_vec()
    }

    pub(super) fn key(&self) -> &Key {
        &self.0.key
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").finish_non_exhaustive()
    }
}
