//! What bundles share: a revocation list is its issuer's and a QE identity its kind of environment's, whichever platform's bundle brings
//! them. The newest at hand hold for all, so that whoever fetches one bundle anew need not fetch every other one with it.

use sealwright_verify::{Anchors, Collateral, Issue};
use sealwright_wire::{Digest, Tee, collateral::Bundle, time::UnixTime};
use std::collections::BTreeMap;

/// One bundle, verified as a whole.
#[derive(Debug)]
pub(crate) struct Edition {
    pub(crate) bundle: Bundle,
    /// The bundle as JSON.
    pub(crate) text: Vec<u8>,
    pub(crate) collateral: Collateral,
}

impl Edition {
    pub(crate) fn verify(bundle: Bundle, text: Vec<u8>, anchors: &Anchors, at: UnixTime) -> Result<Self, String> {
        let collateral = Collateral::verify(&bundle, anchors, at).map_err(|error| error.to_string())?;
        Ok(Self { bundle, text, collateral })
    }

    /// Whether it still holds.
    pub(crate) fn holds(&self, at: UnixTime) -> bool {
        (self.collateral.valid_from()..=self.collateral.expires()).contains(&at)
    }

    fn root(&self) -> Digest<32> {
        self.collateral.anchor().sha256
    }
}

/// The editions that have the newest issue of each shared part. Of the same issue the first one counts.
#[derive(Default)]
pub(crate) struct Newest<'e> {
    root_crls: BTreeMap<Digest<32>, &'e Edition>,
    pck_crls: BTreeMap<(Digest<32>, String), &'e Edition>,
    qe_identities: BTreeMap<(Digest<32>, Tee), &'e Edition>,
}

impl<'e> Newest<'e> {
    pub(crate) fn of(editions: impl Iterator<Item = &'e Edition>) -> Self {
        let mut newest = Self::default();
        for edition in editions {
            let root = edition.root();
            keep(&mut newest.root_crls, root, edition, |issue| issue.root_crl);
            keep(&mut newest.pck_crls, (root, edition.collateral.pck_ca()), edition, |issue| issue.pck_crl);
            keep(&mut newest.qe_identities, (root, edition.collateral.tee()), edition, |issue| issue.qe_identity);
        }
        newest
    }

    /// The bundle with the newest parts in place of its own older ones, verified by nobody yet; `None` when none is older.
    pub(crate) fn renew(&self, edition: &Edition) -> Option<Bundle> {
        let root = edition.root();
        let pck_ca = (root, edition.collateral.pck_ca());
        let root_crl = newer(&self.root_crls, &root, edition, |issue| issue.root_crl);
        let pck_crl = newer(&self.pck_crls, &pck_ca, edition, |issue| issue.pck_crl);
        let tee = (root, edition.collateral.tee());
        let qe_identity = newer(&self.qe_identities, &tee, edition, |issue| issue.qe_identity);
        root_crl.or(pck_crl).or(qe_identity)?;
        let mut bundle = edition.bundle.clone();
        if let Some(newer) = root_crl {
            bundle.root_ca_crl.clone_from(&newer.root_ca_crl);
        }
        if let Some(newer) = pck_crl {
            bundle.pck_crl.clone_from(&newer.pck_crl);
            bundle.pck_crl_issuer_chain.clone_from(&newer.pck_crl_issuer_chain);
        }
        if let Some(newer) = qe_identity {
            bundle.qe_identity.clone_from(&newer.qe_identity);
            bundle.qe_identity_signature = newer.qe_identity_signature;
            bundle.qe_identity_issuer_chain.clone_from(&newer.qe_identity_issuer_chain);
        }
        Some(bundle)
    }
}

/// Keeps an edition if its part is newer than that of the one before.
fn keep<'e, K: Ord, P: Ord>(newest: &mut BTreeMap<K, &'e Edition>, of: K, edition: &'e Edition, part: fn(Issue) -> P) {
    let other = newest.entry(of).or_insert(edition);
    if part(other.collateral.issue()) < part(edition.collateral.issue()) {
        *other = edition;
    }
}

/// The bundle whose part is newer than that of `edition`.
fn newer<'e, K: Ord, P: Ord>(
    newest: &BTreeMap<K, &'e Edition>,
    of: &K,
    edition: &Edition,
    part: fn(Issue) -> P,
) -> Option<&'e Bundle> {
    let other = newest.get(of).filter(|other| part(other.collateral.issue()) > part(edition.collateral.issue()))?;
    Some(&other.bundle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealwright_sim::{Site, fixed_clock};
    use sealwright_verify::Anchor;

    const NOW: UnixTime = UnixTime(1_750_416_960);

    #[test]
    fn what_is_older_is_renewed_and_nothing_else() {
        let site = Site::found(fixed_clock(NOW)).unwrap();
        let anchors = Anchors::none().with(Anchor::from_certificate("site", site.root()).unwrap());
        let edition = |tee| Edition::verify(site.collateral(tee).unwrap(), Vec::new(), &anchors, NOW).unwrap();
        let (old, old_sgx) = (edition(Tee::Tdx), edition(Tee::Sgx));
        site.age_tcb().unwrap();
        let (new, new_sgx) = (edition(Tee::Tdx), edition(Tee::Sgx));
        let [both, sgx] = [&[&old, &new][..], &[&old, &new_sgx]].map(|at_hand| Newest::of(at_hand.iter().copied()));
        let renewed = both.renew(&old).unwrap();
        let Bundle { tcb_info, tcb_info_signature, tcb_info_issuer_chain, .. } = old.bundle.clone();
        assert_eq!(renewed, Bundle { tcb_info, tcb_info_signature, tcb_info_issuer_chain, ..new.bundle.clone() });
        assert!(Edition::verify(renewed, Vec::new(), &anchors, NOW).is_ok());
        assert_eq!(both.renew(&new), None);
        // Another kind of environment has another quoting enclave.
        let Bundle { root_ca_crl, pck_crl, pck_crl_issuer_chain, .. } = new_sgx.bundle.clone();
        let renewed = Bundle { root_ca_crl, pck_crl, pck_crl_issuer_chain, ..old.bundle.clone() };
        assert_eq!(sgx.renew(&old), Some(renewed));
        // Another root's lists have nothing to do with these.
        let other = Site::found(fixed_clock(NOW)).unwrap();
        let anchors = Anchors::none().with(Anchor::from_certificate("other", other.root()).unwrap());
        let other = Edition::verify(other.collateral(Tee::Tdx).unwrap(), Vec::new(), &anchors, NOW).unwrap();
        assert_eq!(both.renew(&other), None);
        assert_eq!(Newest::of([&other].into_iter()).renew(&old_sgx), None);
    }
}
