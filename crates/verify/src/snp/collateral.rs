//! The part of verification that depends neither on a report nor on its key.

use super::{Error as Reason, Vek};
use crate::certificate::{Certificate, Profile, profile};
use crate::{AnchorId, Anchors, CrlIssue, Error, Part, collateral::chain, crl::Crl, window::Window};
use sealwright_wire::snp::{Bundle, Product, SigningKey};
use sealwright_wire::time::UnixTime;
use std::sync::Arc;

/// Whether a chain is believed of which nobody can say that it was not revoked. The caller's choice, which the facts state
/// (`revocation_checked`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Revocation {
    /// The root's revocation list must be at hand.
    #[default]
    Required,
    /// A list that is at hand is checked; without one, nothing is.
    IfPresent,
}

/// A product line's root and the CA of one kind of key, whose signatures, revocation list and dates have been verified: usable for any
/// number of keys and reports until it expires. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Collateral(pub(super) Arc<Verified>);

/// What [`Collateral`] holds.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) anchor: AnchorId,
    pub(super) product: Product,
    pub(super) ca: Certificate,
    /// The kind of key that the CA certifies.
    pub(super) kind: SigningKey,
    pub(super) crl: Option<Crl>,
    pub(super) window: Window,
}

/// The anchor that a bundle's root has, whatever else is to be said of the bundle.
pub(crate) fn root(bundle: &Bundle, anchors: &Anchors) -> Result<AnchorId, Error> {
    anchors.trust(&read_chain(bundle)?.1)
}

/// The CA's certificate in DER, and the root.
fn read_chain(bundle: &Bundle) -> Result<(Vec<u8>, Certificate), Error> {
    // Chains of AMD's that others keep end in an empty line.
    let text = bundle.cert_chain.trim_end_matches(['\r', '\n']);
    let [ca, ark] = chain(Part::Ask, text.as_bytes())?;
    Ok((ca, Certificate::parse(Part::RootCa, &ark, Profile::AMD)?))
}

impl Collateral {
    /// Verifies a bundle at a point in time: the root against the anchors, its signature on itself and on the CA, the revocation list,
    /// and every date.
    ///
    /// # Errors
    /// When anything is malformed, not signed by whom it should be, revoked, of another product line than the rest, or not valid at `at`;
    /// when no anchor has the root's key; when a revocation list is required and there is none.
    pub fn verify(bundle: &Bundle, anchors: &Anchors, revocation: Revocation, at: UnixTime) -> Result<Self, Error> {
        let (ca, ark) = read_chain(bundle)?;
        let anchor = anchors.trust(&ark)?;
        let product = product(&ark)?;
        let (ca, kind) = verify_ca(&ca, &ark, product)?;
        let crl = bundle.crl.as_ref().map(|crl| Crl::verify(Part::RootCrl, crl, &ark)).transpose()?;
        if crl.is_none() && revocation == Revocation::Required {
            return Err(Reason::NoRevocationList { product: product.name() }.into());
        }
        let mut window = ark.window().and(ca.window());
        if let Some(crl) = &crl {
            crl.check(&ark)?;
            crl.check(&ca)?;
            window = window.and(crl.window());
        }
        window.check(at)?;
        Ok(Self(Arc::new(Verified { anchor, product, ca, kind, crl, window })))
    }

    /// Verifies the certificate of a VCEK or VLEK (DER) against this collateral. The key that results serves every report that it signed.
    ///
    /// # Errors
    /// When it is malformed, not issued by this collateral's CA, revoked, of another kind of key or product line, or not valid at `at`.
    pub fn vek(&self, certificate: &[u8], at: UnixTime) -> Result<Vek, Error> {
        Vek::new(self, certificate, at)
    }

    /// The root that vouches for this collateral.
    pub fn anchor(&self) -> &AnchorId {
        &self.0.anchor
    }

    /// The product line that it is for.
    pub fn product(&self) -> Product {
        self.0.product
    }

    /// The kind of key that its CA certifies.
    pub fn signing_key(&self) -> SigningKey {
        self.0.kind
    }

    /// How new its revocation list is, where it has one.
    pub fn crl_issue(&self) -> Option<CrlIssue> {
        self.0.crl.as_ref().map(Crl::issue)
    }

    /// The first second at which all of it is valid.
    pub fn valid_from(&self) -> UnixTime {
        self.0.window.from()
    }

    /// The last second at which all of it is valid.
    pub fn expires(&self) -> UnixTime {
        self.0.window.until()
    }
}

/// Each product line has a root key of its own, so that the root's name, which it signs itself, tells the product.
fn product(ark: &Certificate) -> Result<Product, Error> {
    let name = ark.common_name()?.unwrap_or_default();
    let product = name.strip_prefix("ARK-").and_then(Product::from_name);
    product.ok_or_else(|| Reason::UnknownProduct { found: name }.into())
}

/// The CA of one kind of key: the ASK of VCEKs, the ASVK of VLEKs.
fn verify_ca(der: &[u8], ark: &Certificate, product: Product) -> Result<(Certificate, SigningKey), Error> {
    let ca = Certificate::parse(Part::Ask, der, Profile::AMD)?;
    let name = ca.common_name()?.unwrap_or_default();
    let (kind, line) = match name.strip_prefix("SEV-VLEK-") {
        Some(line) => (SigningKey::Vlek, Some(line)),
        None => (SigningKey::Vcek, name.strip_prefix("SEV-")),
    };
    if line != Some(product.name()) {
        let rule = "common name \"SEV-\" or \"SEV-VLEK-\" and the product of the root";
        return Err(profile(Part::Ask, rule, name));
    }
    ca.check_issuer(0)?;
    ca.issued_by(ark)?;
    Ok((ca, kind))
}
