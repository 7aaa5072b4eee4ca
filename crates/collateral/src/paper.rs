//! One item, verified: only the functions here make one.

use crate::{Endorser, Hwid, Item, SerialNumber};
use sealwright_verify::{Anchors, Error, Part, QveIdentity, csv, snp};
use sealwright_wire::{
    collateral::{MAX_JSON, QveBundle},
    csv::{HskCek, Report},
    snp::{Bundle, HwId, SigningKey},
    time::UnixTime,
};
use std::sync::Arc;

/// The longest file of an item that is read, in bytes: AMD's CA, root and list in JSON. The other ones have under 3 KB.
pub(crate) const MAX_CONTENT: usize = MAX_JSON;
/// The last second of what has no dates (RFC 5280, 4.1.2.5): 9999-12-31T23:59:59Z.
pub(crate) const NO_END: UnixTime = UnixTime(253_402_300_799);

/// An item with the bytes that were verified.
#[derive(Debug)]
pub(crate) struct Paper {
    pub(crate) item: Item,
    /// As its file has it.
    pub(crate) content: Vec<u8>,
    /// The first second at which it is valid by its own dates; none where it has no dates.
    pub(crate) from: Option<UnixTime>,
    /// The last one.
    pub(crate) until: UnixTime,
    /// The name of the root that vouches for it.
    pub(crate) anchor: String,
    pub(crate) proof: Proof,
}

/// What vouches for an item.
#[derive(Debug)]
pub(crate) enum Proof {
    /// Itself, below an anchor.
    Authority {
        /// As it came.
        bundle: Bundle,
        /// Verified.
        collateral: snp::Collateral,
    },
    /// The CA, root and list that are kept beside it.
    Vcek {
        /// These.
        under: Arc<Paper>,
    },
    /// Itself, below an anchor.
    HygonChip,
    /// Itself, below an anchor.
    QveIdentity {
        /// As it came.
        bundle: QveBundle,
        /// Verified.
        identity: Box<QveIdentity>,
    },
}

/// What of an item says how new it is: nothing older than what was seen is used.
pub(crate) enum Issued<'p> {
    /// The revocation list of one of AMD's roots.
    Ark(Endorser, &'p snp::Collateral),
    /// The QvE's identity, and the revocation list of its root.
    Qve(&'p QveIdentity),
}

/// An item that came from a service and was verified: only services make one.
#[derive(Clone, Debug)]
pub struct FetchedItem {
    pub(crate) paper: Arc<Paper>,
    pub(crate) from: String,
    pub(crate) at: UnixTime,
}

impl FetchedItem {
    pub(crate) fn new(paper: Paper, from: &str, at: UnixTime) -> Self {
        Self { paper: Arc::new(paper), from: from.to_owned(), at }
    }

    /// What it is.
    pub fn item(&self) -> &Item {
        &self.paper.item
    }

    /// Its bytes as a store keeps them.
    pub fn content(&self) -> &[u8] {
        &self.paper.content
    }
}

impl Paper {
    /// AMD's CA, root and list, from their JSON.
    pub(crate) fn authority(content: Vec<u8>, anchors: &Anchors, at: UnixTime) -> Result<Self, Error> {
        let malformed = |source| Error::Malformed { part: Part::Ask, source };
        let bundle = Bundle::from_json(&content).map_err(malformed)?;
        let collateral = snp::Collateral::verify(&bundle, anchors, snp::Revocation::Required, at)?;
        let endorser = if collateral.signing_key() == SigningKey::Vlek { Endorser::Vlek } else { Endorser::Vcek };
        Ok(Self {
            item: Item::AmdAuthority { product: collateral.product(), endorser },
            content,
            from: Some(collateral.valid_from()),
            until: collateral.expires(),
            anchor: collateral.anchor().name.clone(),
            proof: Proof::Authority { bundle, collateral },
        })
    }

    /// The certificate of a VCEK (DER) under what `authority` is.
    pub(crate) fn vcek(content: Vec<u8>, authority: &Arc<Self>, at: UnixTime) -> Result<Self, Error> {
        let Proof::Authority { collateral, .. } = &authority.proof else {
            return Err(snp::Error::UnknownProduct { found: authority.item.to_string() }.into());
        };
        let vek = collateral.vek(&content, at)?;
        let (product, tcb) = (collateral.product(), vek.extensions().tcb);
        let hwid = vek.extensions().hwid.as_ref().map(HwId::chip_id);
        let hwid = hwid.and_then(|chip_id| Hwid::of_chip_id(product, chip_id)).ok_or_else(|| Error::Profile {
            part: Part::Vcek,
            rule: "a hwID of its product line",
            found: "none".to_owned(),
        })?;
        let (from, until) = vek.certified();
        Ok(Self {
            item: Item::AmdVcek { product, hwid, tcb },
            content,
            from: Some(from),
            until,
            anchor: authority.anchor.clone(),
            proof: Proof::Vcek { under: Arc::clone(authority) },
        })
    }

    /// HSK and CEK of the chip that is said to have this number: nothing in them names it.
    pub(crate) fn hygon_chip(content: Vec<u8>, serial_number: SerialNumber, anchors: &Anchors) -> Result<Self, Error> {
        let chip = csv::Chip::verify(&content, anchors)?;
        let anchor = chip.anchor().name.clone();
        let item = Item::HygonChip { serial_number };
        Ok(Self { item, content, from: None, until: NO_END, anchor, proof: Proof::HygonChip })
    }

    /// Intel's identity of the QvE, from the JSON of its bundle.
    pub(crate) fn qve_identity(content: Vec<u8>, anchors: &Anchors, at: UnixTime) -> Result<Self, Error> {
        let malformed = |source| Error::Malformed { part: Part::QveIdentity, source };
        let bundle = QveBundle::from_json(&content).map_err(malformed)?;
        let identity = QveIdentity::verify(&bundle, anchors, at)?;
        Ok(Self {
            item: Item::IntelQveIdentity,
            content,
            from: Some(identity.valid_from()),
            until: identity.expires(),
            anchor: identity.anchor().name.clone(),
            proof: Proof::QveIdentity { bundle, identity: Box::new(identity) },
        })
    }

    /// What says how new it is, where something does.
    pub(crate) fn issued(&self) -> Option<Issued<'_>> {
        match (&self.item, &self.proof) {
            (Item::AmdAuthority { endorser, .. }, Proof::Authority { collateral, .. }) => {
                Some(Issued::Ark(*endorser, collateral))
            }
            (_, Proof::QveIdentity { identity, .. }) => Some(Issued::Qve(identity)),
            _ => None,
        }
    }

    /// Its TCB evaluation data number, where it has one.
    pub(crate) const fn evaluation_number(&self) -> Option<u32> {
        match &self.proof {
            Proof::QveIdentity { identity, .. } => Some(identity.evaluation_number()),
            Proof::Authority { .. } | Proof::Vcek { .. } | Proof::HygonChip => None,
        }
    }

    /// Whether it still holds.
    pub(crate) fn holds(&self, at: UnixTime) -> bool {
        let own = self.from.is_none_or(|from| from <= at) && at <= self.until;
        match &self.proof {
            Proof::Vcek { under } => own && under.holds(at),
            Proof::Authority { .. } | Proof::HygonChip | Proof::QveIdentity { .. } => own,
        }
    }

    /// Whether it will do in place of `fresh`, which is of the same item and verified.
    pub(crate) fn serves_as_well(&self, fresh: &Self) -> bool {
        match (&self.proof, &fresh.proof) {
            (Proof::Authority { collateral: held, .. }, Proof::Authority { collateral: fresh, .. }) => {
                held.crl_issue() >= fresh.crl_issue() && held.expires() >= fresh.expires()
            }
            (Proof::Vcek { .. }, Proof::Vcek { .. }) => self.until >= fresh.until,
            (Proof::QveIdentity { identity: held, .. }, Proof::QveIdentity { identity: fresh, .. }) => {
                held.evaluation_number() >= fresh.evaluation_number()
                    && held.root_crl() >= fresh.root_crl()
                    && held.expires() >= fresh.expires()
            }
            _ => self.content == fresh.content,
        }
    }

    /// Whether both are of one key, where that is all that tells a chip: HSKs may change, the CEK is the chip's own.
    pub(crate) fn is_of_the_key_of(&self, fresh: &Self) -> bool {
        let cek = |paper: &Self| HskCek::parse(&paper.content).ok().map(|pair| pair.cek.public_key);
        !matches!(self.proof, Proof::HygonChip) || cek(self) == cek(fresh)
    }

    /// That a report is of the chip whose certificates these are: its PEK is signed by this CEK.
    pub(crate) fn check_report(&self, report: &Report<'_>, anchors: &Anchors, at: UnixTime) -> Result<(), Error> {
        csv::Chip::verify(&self.content, anchors)?.verify_report(report, None, at).map(drop)
    }
}
