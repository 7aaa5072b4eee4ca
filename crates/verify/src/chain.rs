//! The certificate chains that evidence brings along: from the key that signed it up to an anchor, with nothing else to look up.

use crate::certificate::{Certificate, Profile};
use crate::{AnchorId, Anchors, Error, Part, window::Window};

/// The most certificates of a chain.
const MAX_CERTIFICATES: usize = 9;

/// A chain whose signatures, names and roles have been checked. Its times have not: whose time counts depends on the evidence.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) leaf: Certificate,
    /// SubjectPublicKeyInfo in DER of the leaf's issuer.
    pub(crate) issuer_key_info: Vec<u8>,
    pub(crate) anchor: AnchorId,
    /// When all of its certificates are valid.
    pub(crate) window: Window,
}

impl Chain {
    /// Verifies a chain in DER, the signer's certificate first and the root last; the root must be an anchor's.
    pub(crate) fn verify(certificates: &[&[u8]], rules: &'static Profile, anchors: &Anchors) -> Result<Self, Error> {
        let found = certificates.len();
        let ([leaf, cas @ .., root], true) = (certificates, found <= MAX_CERTIFICATES) else {
            return Err(Error::ChainLength { part: Part::EvidenceLeaf, expected: 2, found });
        };
        let root = Certificate::parse(Part::EvidenceRoot, root, rules)?;
        let anchor = anchors.trust(&root)?;
        let (mut issuer, mut window) = (root, Window::ALWAYS);
        // From the root down, so that nothing is looked at that no anchor vouches for.
        for (below, ca) in cas.iter().enumerate().rev() {
            let ca = Certificate::parse(Part::EvidenceCa, ca, rules)?;
            issuer.check_issuer(below.saturating_add(1))?;
            ca.issued_by(&issuer)?;
            window = window.and(issuer.window());
            issuer = ca;
        }
        let leaf = Certificate::parse(Part::EvidenceLeaf, leaf, rules)?;
        issuer.check_issuer(0)?;
        leaf.issued_by(&issuer)?;
        leaf.check_end_entity()?;
        let window = window.and(issuer.window()).and(leaf.window());
        Ok(Self { leaf, issuer_key_info: issuer.key_info().to_vec(), anchor, window })
    }
}
