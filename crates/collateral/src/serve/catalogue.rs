//! What of a store's collateral answers which request.

use super::answer::{Found, Nothing};
use crate::{PckCa, newest::Edition, pcs::Version};
use sealwright_verify::Issue;
use sealwright_wire::{
    Digest, Tee,
    collateral::{Signed, TcbInfo},
    time::UnixTime,
};
use std::sync::Arc;

/// What holds now under one root.
pub(super) struct Catalogue(Vec<Arc<Edition>>);

impl Catalogue {
    pub(super) fn of(editions: Vec<Arc<Edition>>, root: &Digest<32>, at: UnixTime) -> Self {
        let holds = |edition: &Arc<Edition>| edition.collateral.anchor().sha256 == *root && edition.holds(at);
        Self(editions.into_iter().filter(holds).collect())
    }

    /// The revocation list of a CA: DER, or hex.
    pub(super) fn pck_crl(&self, ca: PckCa, der: bool) -> Result<Found, Nothing> {
        let of_ca = |edition: &Edition| PckCa::of_subject(&edition.collateral.pck_ca()) == Some(ca);
        let bundle = &self.newest(of_ca, |issue| issue.pck_crl)?.bundle;
        let chain = Some(("SGX-PCK-CRL-Issuer-Chain", bundle.pck_crl_issuer_chain.clone()));
        Ok(if der {
            Found { content_type: "application/pkix-crl", chain, body: bundle.pck_crl.clone() }
        } else {
            let body = hex::encode(&bundle.pck_crl).into_bytes();
            Found { content_type: "application/x-pem-file", chain, body }
        })
    }

    /// The root CA's revocation list in DER.
    pub(super) fn root_crl(&self) -> Result<Vec<u8>, Nothing> {
        Ok(self.newest(|_| true, |issue| issue.root_crl)?.bundle.root_ca_crl.clone())
    }

    /// TCB info of a platform model, in the layout that this version of the interface promises: 2 for version 3, and 3 for version 4.
    pub(super) fn tcb_info(&self, tee: Tee, fmspc: &Digest<6>, version: Version, wish: Wish) -> Result<Found, Nothing> {
        let (layout, header) = match version {
            Version::V3 => (2, "SGX-TCB-Info-Issuer-Chain"),
            Version::V4 => (3, "TCB-Info-Issuer-Chain"),
        };
        let fits = |edition: &Edition| {
            edition.collateral.tee() == tee
                && edition.collateral.fmspc() == *fmspc
                && wish.allows(edition.collateral.issue().tcb_info)
                && TcbInfo::parse(&edition.bundle.tcb_info).is_ok_and(|info| info.version == layout)
        };
        let bundle = &self.newest(fits, |issue| issue.tcb_info)?.bundle;
        let signed = Signed { document: &bundle.tcb_info, signature: bundle.tcb_info_signature };
        let chain = Some((header, bundle.tcb_info_issuer_chain.clone()));
        Ok(Found { content_type: "application/json", chain, body: signed.to_tcb_info_json().into_bytes() })
    }

    /// The identity of the quoting enclave of a kind of environment.
    pub(super) fn qe_identity(&self, tee: Tee, wish: Wish) -> Result<Found, Nothing> {
        let fits =
            |edition: &Edition| edition.collateral.tee() == tee && wish.allows(edition.collateral.issue().qe_identity);
        let bundle = &self.newest(fits, |issue| issue.qe_identity)?.bundle;
        let signed = Signed { document: &bundle.qe_identity, signature: bundle.qe_identity_signature };
        Ok(Found::identity(&signed, &bundle.qe_identity_issuer_chain))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The edition with the newest issue of a part; of the same issue the one that holds longest.
    fn newest<P: Ord>(&self, fits: impl Fn(&Edition) -> bool, part: fn(Issue) -> P) -> Result<&Edition, Nothing> {
        let fitting = self.0.iter().filter(|edition| fits(edition));
        let newest = fitting.max_by_key(|edition| (part(edition.collateral.issue()), edition.collateral.expires()));
        newest.map(|edition| &**edition).ok_or(Nothing::NoCacheData)
    }
}

/// Which TCB evaluation is asked for. There is one of each document here: the one that the store was filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Whichever is here.
    Any,
    /// The one with this number (`tcbEvaluationDataNumber`).
    Number(u32),
    /// One that is not enforced yet (`update=early`): nobody here knows whether it is.
    Early,
}

impl Wish {
    pub(super) const fn allows(self, number: u32) -> bool {
        match self {
            Self::Any => true,
            Self::Number(wanted) => wanted == number,
            Self::Early => false,
        }
    }
}
