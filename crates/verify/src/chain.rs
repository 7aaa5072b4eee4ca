//! The certificate chains that evidence brings along: from the key that signed it up to an anchor, with nothing else to look up.

use crate::certificate::{Certificate, Profile};
use crate::{AnchorId, Anchors, Error, Part, crl::Crl, window::Window};
use sealwright_wire::time::UnixTime;

/// The fewest certificates of a chain: the signer's and the root's.
const MIN_CERTIFICATES: usize = 2;
/// The most certificates of a chain.
const MAX_CERTIFICATES: usize = 9;

/// A chain whose signatures, names and roles have been checked. Its times have not: whose time counts depends on the evidence.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) leaf: Certificate,
    /// From the root down to the leaf's issuer.
    issuers: Vec<Certificate>,
    pub(crate) anchor: AnchorId,
    /// When all of its certificates are valid.
    pub(crate) window: Window,
}

impl Chain {
    /// Verifies a chain in DER, the signer's certificate first and the root last; the root must be an anchor's.
    pub(crate) fn verify(certificates: &[&[u8]], rules: &'static Profile, anchors: &Anchors) -> Result<Self, Error> {
        let found = certificates.len();
        let part = Part::EvidenceLeaf;
        if found > MAX_CERTIFICATES {
            return Err(Error::ChainLength { part, expected: MAX_CERTIFICATES, found });
        }
        let [leaf, cas @ .., root] = certificates else {
            return Err(Error::ChainLength { part, expected: MIN_CERTIFICATES, found });
        };
        let root = Certificate::parse(Part::EvidenceRoot, root, rules)?;
        let anchor = anchors.trust(&root)?;
        let mut window = root.window();
        let mut issuers = vec![root];
        // From the root down, so that nothing is looked at that no anchor vouches for.
        for (below, ca) in cas.iter().enumerate().rev() {
            let ca = Certificate::parse(Part::EvidenceCa, ca, rules)?;
            issued_by(&ca, issuers.last(), below.saturating_add(1))?;
            window = window.and(ca.window());
            issuers.push(ca);
        }
        let leaf = Certificate::parse(Part::EvidenceLeaf, leaf, rules)?;
        issued_by(&leaf, issuers.last(), 0)?;
        leaf.check_end_entity()?;
        let window = window.and(leaf.window());
        Ok(Self { leaf, issuers, anchor, window })
    }

    /// SubjectPublicKeyInfo in DER of the leaf's issuer.
    pub(crate) fn issuer_key_info(&self) -> &[u8] {
        self.issuers.last().map(Certificate::key_info).unwrap_or_default()
    }

    /// Holds the chain against revocation lists in DER: when those of its CAs are valid, and whether each CA that may sign a list had one.
    /// Lists of others are passed over.
    pub(crate) fn check_revocation(&self, lists: &[&[u8]], at: UnixTime) -> Result<(Window, bool), Error> {
        let (mut window, mut whole) = (self.window, true);
        let issued = self.issuers.iter().skip(1).chain([&self.leaf]);
        for (issuer, certificate) in self.issuers.iter().zip(issued) {
            if issuer.check_ca().is_err() {
                continue;
            }
            let Some(list) = list_of(issuer, lists)? else {
                whole = false;
                continue;
            };
            list.window().check(at)?;
            list.check(certificate)?;
            window = window.and(list.window());
        }
        Ok((window, whole))
    }
}

/// The issuer may have this many CAs below it, and it issued the certificate.
fn issued_by(certificate: &Certificate, issuer: Option<&Certificate>, below: usize) -> Result<(), Error> {
    let too_short = Error::ChainLength { part: Part::EvidenceLeaf, expected: MIN_CERTIFICATES, found: 1 };
    let issuer = issuer.ok_or(too_short)?;
    issuer.check_issuer(below)?;
    certificate.issued_by(issuer)
}

/// The list that this CA signed.
fn list_of(issuer: &Certificate, lists: &[&[u8]]) -> Result<Option<Crl>, Error> {
    for list in lists {
        match Crl::verify(Part::EvidenceCrl, list, issuer) {
            Err(Error::Issuer { .. }) => {}
            of_issuer => return of_issuer.map(Some),
        }
    }
    Ok(None)
}
