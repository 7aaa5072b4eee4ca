//! Certificates, revocation lists and public keys as files hold them: in DER, or in PEM (RFC 7468).

use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, SubjectPublicKeyInfoDer, pem::PemObject};
use sealwright_wire::{
    Error,
    collateral::{MAX_CERTIFICATES, pem_chain},
};
use std::borrow::Cow;

/// The DER of a certificate. Bytes that are not one PEM block of a certificate are given back as they are.
pub fn certificate(bytes: &[u8]) -> Cow<'_, [u8]> {
    der::<CertificateDer<'_>>(bytes)
}

/// The DER of the certificates in a PEM text that may have anything around and between its blocks (RFC 7468, section 2): nothing signs the text.
///
/// # Errors
/// When there is none, or more than [`MAX_CERTIFICATES`], or a block is broken; the error says where.
pub fn chain(field: &'static str, text: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let blocks = CertificateDer::pem_slice_iter(text).take(MAX_CERTIFICATES.saturating_add(1));
    match blocks.map(|block| block.map(|der| der.as_ref().to_vec())).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if (1..=MAX_CERTIFICATES).contains(&certificates.len()) => Ok(certificates),
        // Which says what is wrong, and where.
        _ => pem_chain(field, text),
    }
}

/// The same of a certificate revocation list.
pub fn revocation_list(bytes: &[u8]) -> Cow<'_, [u8]> {
    der::<CertificateRevocationListDer<'_>>(bytes)
}

/// The same of a public key (`SubjectPublicKeyInfo`).
pub fn public_key(bytes: &[u8]) -> Cow<'_, [u8]> {
    der::<SubjectPublicKeyInfoDer<'_>>(bytes)
}

/// What the one block of this kind holds. Anything else is taken for DER, and so refused by its parser: of several blocks none is taken alone.
fn der<T: PemObject + AsRef<[u8]>>(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut blocks = T::pem_slice_iter(bytes);
    match (blocks.next(), blocks.next()) {
        (Some(Ok(object)), None) => Cow::Owned(object.as_ref().to_vec()),
        _ => Cow::Borrowed(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "-----BEGIN X509 CRL-----\nAAEC\n-----END X509 CRL-----\n";

    #[test]
    fn der_and_one_block_are_read() {
        assert_eq!(*revocation_list(LIST.as_bytes()), [0, 1, 2]);
        assert_eq!(*revocation_list(&[0x30, 0]), [0x30, 0]);
    }

    /// What would not be looked at must not seem to have been.
    #[test]
    fn of_two_blocks_none_is_taken_alone() {
        let two = LIST.repeat(2);
        assert_eq!(*revocation_list(two.as_bytes()), *two.as_bytes());
    }
}
