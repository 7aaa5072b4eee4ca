//! Intel's quote verification enclave: who it is.
//!
//! An enclave that has the QvE verify quotes for it gets the QvE's report over the result (Intel SGX DCAP Quote Verification Library,
//! `sgx_tvl_verify_qve_report_and_identity`). Whether such a report is one of Intel's QvE, and how good that QvE is, is told here by its identity.

use crate::certificate::{Certificate, Profile};
use crate::collateral::{chain, check_enclave_statuses, verify_document, verify_signer};
use crate::{AnchorId, Anchors, CrlIssue, Error, Part, crl::Crl, qe, tcb, window::Window};
use sealwright_wire::collateral::{QeId, QeIdentity, QeTcbLevel, QveBundle};
use sealwright_wire::{sgx::ReportBody, time::UnixTime};

/// The QvE's identity, whose signature, chain, revocation list and dates have been verified.
#[derive(Clone, Debug)]
pub struct QveIdentity {
    anchor: AnchorId,
    root_crl: CrlIssue,
    /// Levels sorted, highest first.
    identity: QeIdentity,
    window: Window,
}

impl QveIdentity {
    /// Verifies a bundle at a point in time.
    ///
    /// # Errors
    /// When anything is malformed, not signed by whom it should be, revoked, the identity of another enclave, or not valid at `at`; when no anchor
    /// has the root's key.
    pub fn verify(bundle: &QveBundle, anchors: &Anchors, at: UnixTime) -> Result<Self, Error> {
        let signer = Part::QeIdentitySigner;
        let [_, root] = chain(signer, bundle.qve_identity_issuer_chain.as_bytes())?;
        let root = Certificate::parse(Part::RootCa, &root, Profile::INTEL)?;
        let anchor = anchors.trust(&root)?;
        let root_crl = Crl::verify(Part::RootCrl, &bundle.root_ca_crl, &root)?;
        let (signer, window) = verify_signer(signer, &bundle.qve_identity_issuer_chain, &root, &anchor, &root_crl)?;
        verify_document(Part::QveIdentity, &signer, &bundle.qve_identity, &bundle.qve_identity_signature)?;
        let malformed = |source| Error::Malformed { part: Part::QveIdentity, source };
        let mut identity = QeIdentity::parse(&bundle.qve_identity).map_err(malformed)?;
        if identity.id != QeId::Qve {
            let (expected, found) = (QeId::Qve.name().to_owned(), identity.id.name().to_owned());
            return Err(Error::CollateralMismatch { part: Part::QveIdentity, field: "id", expected, found });
        }
        check_enclave_statuses(Part::QveIdentity, &identity)?;
        tcb::sort_qe_levels(&mut identity);
        let window = [root.window(), root_crl.window(), window]
            .into_iter()
            .fold(Window::new(Part::QveIdentity, identity.issue_date, identity.next_update), Window::and);
        window.check(at)?;
        Ok(Self { anchor, root_crl: root_crl.issue(), identity, window })
    }

    /// The level that the QvE which made this report has. That a processor made it is not looked at: it is for the enclave to which the report
    /// is addressed to check its MAC, and for nobody else.
    ///
    /// # Errors
    /// When the report is none of this enclave's, its security version is below every level, or the identity is not valid at `at`.
    pub fn level(&self, report: &ReportBody, at: UnixTime) -> Result<&QeTcbLevel, Error> {
        self.window.check(at)?;
        qe::check(&self.identity, report)
    }

    /// The root that vouches for it.
    pub const fn anchor(&self) -> &AnchorId {
        &self.anchor
    }

    /// TCB evaluation data number.
    pub const fn evaluation_number(&self) -> u32 {
        self.identity.tcb_evaluation_data_number
    }

    /// Which issue of the root CA's revocation list came with it.
    pub const fn root_crl(&self) -> CrlIssue {
        self.root_crl
    }

    /// The first second at which all of it is valid.
    pub fn valid_from(&self) -> UnixTime {
        self.window.from()
    }

    /// The last second at which all of it is valid.
    pub fn expires(&self) -> UnixTime {
        self.window.until()
    }
}
