//! Certificates, revocation lists and public keys as files hold them: in DER, or in PEM (RFC 7468).

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, SubjectPublicKeyInfoDer};
use std::borrow::Cow;

/// The DER of a certificate.
pub(crate) fn certificate(bytes: &[u8]) -> Cow<'_, [u8]> {
    der::<CertificateDer<'_>>(bytes)
}

/// The DER of a certificate revocation list.
pub(crate) fn revocation_list(bytes: &[u8]) -> Cow<'_, [u8]> {
    der::<CertificateRevocationListDer<'_>>(bytes)
}

/// The DER of a public key (`SubjectPublicKeyInfo`).
pub(crate) fn public_key(bytes: &[u8]) -> Cow<'_, [u8]> {
    der::<SubjectPublicKeyInfoDer<'_>>(bytes)
}

/// What the first block of this kind holds; without one, all of it is taken for DER.
fn der<T: PemObject + AsRef<[u8]>>(bytes: &[u8]) -> Cow<'_, [u8]> {
    T::from_pem_slice(bytes).map_or(Cow::Borrowed(bytes), |object| Cow::Owned(object.as_ref().to_vec()))
}
