//! The certificate of an attestation key and the CAs above it.

use crate::certificate::{BASIC_CONSTRAINTS, Certificate, EXTENDED_KEY_USAGE, Profile, malformed, profile};
use crate::{AnchorId, Anchors, Error, Part, crl::Crl, window::Window};
use der::{Decode, asn1::ObjectIdentifier};
use sealwright_wire::time::UnixTime;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage};

/// `tcg-kp-AIKCertificate` (TCG EK Credential Profile, "Extended Key Usage"): the subject is an attestation key.
const AIK_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.8.3");
/// The longest chain that is read: key, four CAs, root.
const MAX_CHAIN: usize = 6;

/// A chain that an anchor vouches for.
pub(super) struct Verified {
    pub(super) leaf: Certificate,
    pub(super) anchor: AnchorId,
    pub(super) window: Window,
    /// Whether each certificate below the root was looked up in a list of its issuer.
    pub(super) revocation_checked: bool,
}

/// Verifies a chain from its root down.
pub(super) fn verify(
    certificates: &[Vec<u8>],
    crls: &[Vec<u8>],
    anchors: &Anchors,
    at: UnixTime,
) -> Result<Verified, Error> {
    let (leaf, authorities) = read(certificates)?;
    let Some((root, between)) = authorities.split_first() else { return Err(length(certificates.len())) };
    let anchor = anchors.trust(root)?;
    let mut issuer = root;
    for (place, authority) in between.iter().enumerate() {
        authority.check_ca()?;
        authority.issued_by(issuer)?;
        issuer = authority;
        check_path_length(authority, between.len().saturating_sub(place).saturating_sub(1))?;
    }
    check_path_length(root, between.len())?;
    leaf.issued_by(issuer)?;
    check_usage(&leaf)?;
    let mut window = authorities.iter().map(Certificate::window).fold(leaf.window(), Window::and);
    let lists = Lists::verify(crls, &authorities)?;
    window = lists.0.iter().map(|(_, list)| list.window()).fold(window, Window::and);
    let subjects = || between.iter().chain([&leaf]);
    for (issuer, subject) in subjects().enumerate() {
        lists.of(issuer).try_for_each(|list| list.check(subject))?;
    }
    let revocation_checked = subjects().enumerate().all(|(issuer, _)| lists.of(issuer).next().is_some());
    window.check(at)?;
    Ok(Verified { leaf, anchor, window, revocation_checked })
}

/// The leaf, and the CAs from the root down.
fn read(certificates: &[Vec<u8>]) -> Result<(Certificate, Vec<Certificate>), Error> {
    let (leaf, root, between) = match certificates {
        [leaf, between @ .., root] if certificates.len() <= MAX_CHAIN => (leaf, root, between),
        _ => return Err(length(certificates.len())),
    };
    let leaf = Certificate::parse(Part::AkCertificate, leaf, Profile::TPM)?;
    let mut authorities = vec![Certificate::parse(Part::AkRootCa, root, Profile::TPM)?];
    for der in between.iter().rev() {
        authorities.push(Certificate::parse(Part::AkCa, der, Profile::TPM)?);
    }
    Ok((leaf, authorities))
}

fn length(found: usize) -> Error {
    let expected = if found > MAX_CHAIN { MAX_CHAIN } else { 2 };
    Error::ChainLength { part: Part::AkCertificate, expected, found }
}

/// A CA may limit how many CAs follow it (RFC 5280, 4.2.1.9).
fn check_path_length(authority: &Certificate, below: usize) -> Result<(), Error> {
    let part = authority.part();
    let constraints = authority.extension(BASIC_CONSTRAINTS).map(BasicConstraints::from_der).transpose();
    let constraints = constraints.map_err(|error| malformed(part, &error))?;
    match constraints.and_then(|constraints| constraints.path_len_constraint) {
        Some(limit) if usize::from(limit) < below => {
            Err(profile(part, "no more CAs below it than its path length allows", format!("{below} below {limit}")))
        }
        _ => Ok(()),
    }
}

/// The CA must say that the key is an attestation key: it certifies other keys of a TPM as well, which sign whatever they are given.
fn check_usage(leaf: &Certificate) -> Result<(), Error> {
    const RULE: &str = "extended key usage tcg-kp-AIKCertificate (2.23.133.8.3)";
    let Some(extension) = leaf.extension(EXTENDED_KEY_USAGE) else {
        return Err(profile(leaf.part(), RULE, "no extended key usage".into()));
    };
    let usage = ExtendedKeyUsage::from_der(extension).map_err(|error| malformed(leaf.part(), &error))?;
    if usage.0.contains(&AIK_CERTIFICATE) {
        return Ok(());
    }
    let found: Vec<_> = usage.0.iter().map(ToString::to_string).collect();
    Err(profile(leaf.part(), RULE, found.join(", ")))
}

/// Revocation lists, each with the place of its issuer among the CAs.
struct Lists(Vec<(usize, Crl)>);

impl Lists {
    /// Each list must be one of the chain's CAs.
    fn verify(crls: &[Vec<u8>], authorities: &[Certificate]) -> Result<Self, Error> {
        crls.iter().map(|der| Self::find_issuer(der, authorities)).collect::<Result<_, _>>().map(Self)
    }

    fn find_issuer(der: &[u8], authorities: &[Certificate]) -> Result<(usize, Crl), Error> {
        let mut refused = length(0);
        for (place, authority) in authorities.iter().enumerate() {
            match Crl::verify(Part::AkCrl, der, authority) {
                Ok(list) => return Ok((place, list)),
                // That of the CA with the list's name says more than those of the others.
                Err(error) if place == 0 || !matches!(error, Error::Issuer { .. }) => refused = error,
                Err(_) => {}
            }
        }
        Err(refused)
    }

    fn of(&self, issuer: usize) -> impl Iterator<Item = &Crl> {
        self.0.iter().filter(move |(place, _)| *place == issuer).map(|(_, list)| list)
    }
}
