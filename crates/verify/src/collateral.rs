//! The part of verification that does not depend on a quote.

use crate::certificate::{Certificate, Naming, Profile, profile};
use crate::{AnchorId, Anchors, Error, Issue, Part, Platform, crl::Crl, crypto, hash, tcb, window::Window};
use sealwright_wire::collateral::{
    Bundle, QeId, QeIdentity, TcbInfo, TcbInfoId, TcbStatus, encode_pem_chain, pem_chain,
};
use sealwright_wire::quote::{CertificationData, Quote};
use sealwright_wire::{Digest, Tee, time::UnixTime};
use std::borrow::Cow;
use std::sync::Arc;

/// Collateral whose signatures, chains, revocation lists and dates have been verified: for one platform model and kind of
/// environment, usable for any number of quotes until it expires. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Collateral(pub(crate) Arc<Verified>);

/// What [`Collateral`] holds.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) anchor: AnchorId,
    pub(crate) root: Certificate,
    pub(crate) root_crl: Crl,
    pub(crate) pck_ca: Certificate,
    pub(crate) pck_crl: Crl,
    /// Levels sorted, highest first.
    pub(crate) tcb_info: TcbInfo,
    pub(crate) qe_identity: QeIdentity,
    /// The PCK CA and the root in PEM, for quotes that carry a PCK certificate alone.
    pub(crate) pck_issuers: String,
    /// For quotes that carry no certificate.
    pub(crate) pck_chain: Option<String>,
    pub(crate) window: Window,
}

impl Collateral {
    /// Verifies a bundle at a point in time: three chains up to one anchor, both revocation lists, TCB info and QE identity
    /// over their exact text, and every date.
    ///
    /// # Errors
    /// When anything is malformed, not signed by whom it should be, revoked, of another kind of environment than the rest,
    /// or not valid at `at`; when no anchor has the root's key.
    pub fn verify(bundle: &Bundle, anchors: &Anchors, at: UnixTime) -> Result<Self, Error> {
        let [pck_ca, root] = chain(Part::PckCa, bundle.pck_crl_issuer_chain.as_bytes())?;
        let root = Certificate::parse(Part::RootCa, &root, Profile::INTEL)?;
        let anchor = anchors.trust(&root)?;
        let root_crl = Crl::verify(Part::RootCrl, &bundle.root_ca_crl, &root)?;
        let pck_ca = verify_pck_ca(Part::PckCa, &pck_ca, &root, &root_crl)?;
        let pck_crl = Crl::verify(Part::PckCrl, &bundle.pck_crl, &pck_ca)?;
        let signers = Signers::verify(bundle, &root, &anchor, &root_crl)?;
        let (tcb_info, qe_identity) = signers.documents(bundle)?;
        let window = [root.window(), root_crl.window(), pck_ca.window(), pck_crl.window(), signers.window()]
            .into_iter()
            .chain([Window::new(Part::TcbInfo, tcb_info.issue_date, tcb_info.next_update)])
            .fold(Window::new(Part::QeIdentity, qe_identity.issue_date, qe_identity.next_update), Window::and);
        window.check(at)?;
        let (pck_issuers, pck_chain) = (bundle.pck_crl_issuer_chain.clone(), bundle.pck_certificate_chain.clone());
        Ok(Self(Arc::new(Verified {
            anchor,
            root,
            root_crl,
            pck_ca,
            pck_crl,
            tcb_info,
            qe_identity,
            pck_issuers,
            pck_chain,
            window,
        })))
    }

    /// Verifies a PCK certificate chain (PEM as quotes carry it: PCK certificate, PCK CA, root) against this collateral. The
    /// platform that results serves every quote that carries the same bytes.
    ///
    /// # Errors
    /// When the chain is malformed, not up to this collateral's root, revoked, of another platform model, or not valid at
    /// `at`.
    pub fn platform(&self, pck_chain: &[u8], at: UnixTime) -> Result<Platform, Error> {
        Platform::new(self, pck_chain, at)
    }

    /// The root that vouches for this collateral.
    pub fn anchor(&self) -> &AnchorId {
        &self.0.anchor
    }

    /// The kind of environment that this collateral is for.
    pub fn tee(&self) -> Tee {
        match self.0.tcb_info.id {
            TcbInfoId::Sgx => Tee::Sgx,
            TcbInfoId::Tdx => Tee::Tdx,
        }
    }

    /// The platform model that this collateral is for.
    pub fn fmspc(&self) -> Digest<6> {
        Digest(self.0.tcb_info.fmspc)
    }

    /// Subject of the CA whose PCK certificates this collateral can check for revocation.
    pub fn pck_ca(&self) -> String {
        self.0.pck_ca.subject()
    }

    /// TCB evaluation data number: the lower one of TCB info and QE identity.
    pub fn evaluation_number(&self) -> u32 {
        let Verified { tcb_info, qe_identity, .. } = &*self.0;
        tcb_info.tcb_evaluation_data_number.min(qe_identity.tcb_evaluation_data_number)
    }

    /// How new each part of it is.
    pub fn issue(&self) -> Issue {
        let Verified { tcb_info, qe_identity, root_crl, pck_crl, .. } = &*self.0;
        Issue {
            tcb_info: tcb_info.tcb_evaluation_data_number,
            qe_identity: qe_identity.tcb_evaluation_data_number,
            root_crl: root_crl.issue(),
            pck_crl: pck_crl.issue(),
        }
    }

    /// The first second at which all of it is valid.
    pub fn valid_from(&self) -> UnixTime {
        self.0.window.from()
    }

    /// The last second at which all of it is valid.
    pub fn expires(&self) -> UnixTime {
        self.0.window.until()
    }

    /// The PCK certificate chain that came with the bundle, for quotes that carry none.
    pub fn pck_chain(&self) -> Option<&str> {
        self.0.pck_chain.as_deref()
    }

    /// The PCK certificate chain of the platform that made a quote, to be verified by [`platform`](Self::platform): the quote's own; the PCK
    /// certificate that it carries, with the issuers of this collateral; or, only where it carries neither, the chain that came with
    /// the bundle.
    ///
    /// # Errors
    /// [`Error::CertificationData`] when there is none, and when a PCK certificate is no PEM.
    pub fn chain_of<'a>(&'a self, quote: &Quote<'a>) -> Result<Cow<'a, [u8]>, Error> {
        match quote.certification {
            CertificationData::PckChain(chain) => Ok(Cow::Borrowed(chain)),
            CertificationData::PckCertificate(pem) => {
                let leaf = chain::<1>(Part::Pck, pem)?;
                Ok(Cow::Owned((encode_pem_chain(&leaf) + &self.0.pck_issuers).into_bytes()))
            }
            ref named @ (CertificationData::Platform(_) | CertificationData::Other { .. }) => {
                let brought = self.pck_chain().ok_or(Error::CertificationData { kind: named.kind() })?;
                Ok(Cow::Borrowed(brought.as_bytes()))
            }
        }
    }
}

/// A chain of exactly this many certificates.
pub(crate) fn chain<const N: usize>(part: Part, pem: &[u8]) -> Result<[Vec<u8>; N], Error> {
    let certificates = pem_chain(part.name(), pem).map_err(|source| Error::Malformed { part, source })?;
    let found = certificates.len();
    certificates.try_into().map_err(|_| Error::ChainLength { part, expected: N, found })
}

/// The CA that issues PCK certificates.
pub(crate) fn verify_pck_ca(part: Part, der: &[u8], root: &Certificate, root_crl: &Crl) -> Result<Certificate, Error> {
    let pck_ca = Certificate::parse(part, der, Profile::INTEL)?;
    pck_ca.check_role("common name containing \"CA\"", "CA")?;
    pck_ca.check_ca()?;
    pck_ca.issued_by(root)?;
    root_crl.check(&pck_ca)?;
    Ok(pck_ca)
}

/// A root that came with another chain must be the one already trusted, or a renewal of it with the same key.
pub(crate) fn verify_same_root(
    part: Part,
    der: &[u8],
    root: &Certificate,
    anchor: &AnchorId,
) -> Result<Option<Certificate>, Error> {
    if der == root.der() {
        return Ok(None);
    }
    let other = Certificate::parse(part, der, Profile::INTEL)?;
    if other.key_info() != root.key_info() {
        let sha256 = hash::sha256(&[other.key_info()]).to_string();
        // Both may bear one name: keys tell them apart.
        let trusted = format!("{} with key SHA-256 {}", anchor.name, anchor.sha256);
        return Err(Error::UntrustedRoot { found: other.subject(), sha256, trusted });
    }
    other.check_root(Naming::OfPki)?;
    Ok(Some(other))
}

/// The certificates that signed TCB info and QE identity; mostly one and the same.
struct Signers {
    tcb_info: Certificate,
    qe_identity: Option<Certificate>,
    window: Window,
}

impl Signers {
    fn verify(bundle: &Bundle, root: &Certificate, anchor: &AnchorId, root_crl: &Crl) -> Result<Self, Error> {
        let signer = |part, pem| verify_signer(part, pem, root, anchor, root_crl);
        let (tcb_info, window) = signer(Part::TcbSigner, &bundle.tcb_info_issuer_chain)?;
        if bundle.qe_identity_issuer_chain == bundle.tcb_info_issuer_chain {
            return Ok(Self { tcb_info, qe_identity: None, window });
        }
        let (qe_identity, other) = signer(Part::QeIdentitySigner, &bundle.qe_identity_issuer_chain)?;
        Ok(Self { tcb_info, qe_identity: Some(qe_identity), window: window.and(other) })
    }

    const fn window(&self) -> Window {
        self.window
    }

    /// Checks both signatures over the exact text, then reads it.
    fn documents(&self, bundle: &Bundle) -> Result<(TcbInfo, QeIdentity), Error> {
        let signer = self.qe_identity.as_ref().unwrap_or(&self.tcb_info);
        verify_document(Part::TcbInfo, &self.tcb_info, &bundle.tcb_info, &bundle.tcb_info_signature)?;
        verify_document(Part::QeIdentity, signer, &bundle.qe_identity, &bundle.qe_identity_signature)?;
        let malformed = |part| move |source| Error::Malformed { part, source };
        let mut tcb_info = TcbInfo::parse(&bundle.tcb_info).map_err(malformed(Part::TcbInfo))?;
        let mut qe_identity = QeIdentity::parse(&bundle.qe_identity).map_err(malformed(Part::QeIdentity))?;
        check_rules(&tcb_info, &qe_identity)?;
        check_qe_identity_kind(&tcb_info, &qe_identity)?;
        tcb::sort_levels(&mut tcb_info, &mut qe_identity);
        Ok((tcb_info, qe_identity))
    }
}

/// A certificate that signs collateral: directly below the root, and not revoked.
pub(crate) fn verify_signer(
    part: Part,
    pem: &str,
    root: &Certificate,
    anchor: &AnchorId,
    root_crl: &Crl,
) -> Result<(Certificate, Window), Error> {
    let [signer, its_root] = chain(part, pem.as_bytes())?;
    let renewed = verify_same_root(Part::RootCa, &its_root, root, anchor)?;
    let signer = Certificate::parse(part, &signer, Profile::INTEL)?;
    signer.check_role("common name containing \"SGX TCB Signing\"", "SGX TCB Signing")?;
    signer.issued_by(root)?;
    root_crl.check(&signer)?;
    let window = renewed.iter().map(Certificate::window).fold(signer.window(), Window::and);
    Ok((signer, window))
}

pub(crate) fn verify_document(part: Part, signer: &Certificate, text: &str, signature: &[u8; 64]) -> Result<(), Error> {
    if crypto::verify_fixed(signer.p256()?, text.as_bytes(), signature) {
        return Ok(());
    }
    Err(Error::Signature { part, signer: signer.part().name() })
}

/// The way of comparing versions that is known here, and the statuses that each document may use: the others are results of
/// verification.
fn check_rules(tcb_info: &TcbInfo, qe_identity: &QeIdentity) -> Result<(), Error> {
    use TcbStatus as S;
    if tcb_info.tcb_type != 0 {
        return Err(profile(Part::TcbInfo, "tcbType 0", tcb_info.tcb_type.to_string()));
    }
    for level in &tcb_info.tcb_levels {
        let status = level.tcb_status;
        let result_only = matches!(status, S::TDRelaunchAdvised | S::TDRelaunchAdvisedConfigurationNeeded);
        check(Part::TcbInfo, "a status of a platform", status, !result_only)?;
    }
    for level in tcb_info.tdx_module_identities.iter().flat_map(|identity| &identity.tcb_levels) {
        let allowed = matches!(level.tcb_status, S::UpToDate | S::OutOfDate | S::Revoked);
        check(Part::TcbInfo, "a status of a TDX module", level.tcb_status, allowed)?;
    }
    check_enclave_statuses(Part::QeIdentity, qe_identity)
}

/// The statuses that the identity of an enclave may use.
pub(crate) fn check_enclave_statuses(part: Part, identity: &QeIdentity) -> Result<(), Error> {
    use TcbStatus as S;
    identity.tcb_levels.iter().try_for_each(|level| {
        let allowed = matches!(
            level.tcb_status,
            S::UpToDate | S::OutOfDate | S::Revoked | S::ConfigurationNeeded | S::OutOfDateConfigurationNeeded
        );
        check(part, "a status of an enclave of Intel's", level.tcb_status, allowed)
    })
}

fn check(part: Part, rule: &'static str, status: TcbStatus, allowed: bool) -> Result<(), Error> {
    if allowed { Ok(()) } else { Err(profile(part, rule, status.to_string())) }
}

/// TCB info and QE identity must be of one kind of environment, in versions that Intel defines for it.
fn check_qe_identity_kind(tcb_info: &TcbInfo, qe_identity: &QeIdentity) -> Result<(), Error> {
    let (id, versions) = match tcb_info.id {
        TcbInfoId::Sgx => (QeId::Qe, 2..=2),
        TcbInfoId::Tdx => (QeId::TdQe, 2..=3),
    };
    if qe_identity.id != id {
        let (expected, found) = (id.name().to_owned(), qe_identity.id.name().to_owned());
        return Err(Error::CollateralMismatch { part: Part::QeIdentity, field: "id", expected, found });
    }
    if !versions.contains(&qe_identity.version) {
        let found = qe_identity.version.to_string();
        let expected = format!("{} to {}", versions.start(), versions.end());
        return Err(Error::CollateralMismatch { part: Part::QeIdentity, field: "version", expected, found });
    }
    if tcb_info.id == TcbInfoId::Tdx && tcb_info.version < 3 {
        let found = tcb_info.version.to_string();
        return Err(Error::CollateralMismatch { part: Part::TcbInfo, field: "version", expected: "3".into(), found });
    }
    Ok(())
}
