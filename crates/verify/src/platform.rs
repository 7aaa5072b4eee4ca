//! A platform whose certificate has been verified, and the quotes that it signs.

use crate::certificate::{Certificate, Profile};
use crate::collateral::{Verified, chain, verify_pck_ca, verify_same_root};
use crate::crypto::{self, FixedKey};
use crate::tcb::{self, Evaluation, Versions};
use crate::{Claims, Collateral, Error, Facts, Part, Tcb, facts::Log, hash, qe, replay, tdx, window::Window};
use sealwright_wire::collateral::QeTcbLevel;
use sealwright_wire::pck::PckExtension;
use sealwright_wire::quote::{Body, CertificationData, PlatformId, Ppid, Quote, VENDOR_INTEL};
use sealwright_wire::{Digest, Evidence, Tee, sgx, time::UnixTime};
use std::sync::OnceLock;

/// A verified PCK certificate chain: one platform under one set of collateral. Serves every quote that carries the same
/// chain, byte for byte.
///
/// A quote costs its two signatures. The first of them, under the quoting enclave's report, is the same in every quote that
/// this enclave makes with one attestation key: it is remembered once verified, and a quote that carries the same bytes
/// costs its own signature alone.
#[derive(Debug)]
pub struct Platform {
    collateral: Collateral,
    chain: Vec<u8>,
    extension: PckExtension,
    key: FixedKey,
    window: Window,
    /// The first quoting enclave and attestation key that were verified.
    enclave: OnceLock<Enclave>,
}

/// How a quoting enclave vouches for an attestation key: all bytes that its verification looks at, and the key decoded.
#[derive(Debug)]
struct Enclave {
    report: sgx::ReportBody,
    signature: [u8; 64],
    attestation_key: [u8; 64],
    auth_data: Vec<u8>,
    key: FixedKey,
}

impl Enclave {
    /// `None` when the attestation key is no point of its curve.
    fn of(quote: &Quote<'_>) -> Option<Self> {
        Some(Self {
            report: *quote.qe_report,
            signature: *quote.qe_report_signature,
            attestation_key: *quote.attestation_key,
            auth_data: quote.qe_auth_data.to_vec(),
            key: FixedKey::new(&crypto::point(quote.attestation_key))?,
        })
    }

    fn is_of(&self, quote: &Quote<'_>) -> bool {
        self.report == *quote.qe_report
            && self.signature == *quote.qe_report_signature
            && self.attestation_key == *quote.attestation_key
            && self.auth_data == quote.qe_auth_data
    }
}

impl Platform {
    pub(crate) fn new(collateral: &Collateral, pck_chain: &[u8], at: UnixTime) -> Result<Self, Error> {
        let verified = &*collateral.0;
        verified.window.check(at)?;
        let [pck, ca, root] = chain(Part::Pck, pck_chain)?;
        let mut window = verified.window;
        if let Some(renewed) = verify_same_root(Part::ChainRootCa, &root, &verified.root, &verified.anchor)? {
            window = window.and(renewed.window());
        }
        if let Some(renewed) = verify_same_pck_ca(&ca, verified)? {
            window = window.and(renewed.window());
        }
        let pck = verify_pck(&pck, verified)?;
        let window = window.and(pck.window());
        window.check(at)?;
        let extension = pck.pck_extension()?;
        check_model(verified, &extension)?;
        let key = FixedKey::new(pck.p256()?).ok_or_else(|| Error::Profile {
            part: Part::Pck,
            rule: "a point on P-256 as public key",
            found: hex::encode(pck.key_info()),
        })?;
        let (collateral, chain) = (collateral.clone(), pck_chain.to_vec());
        Ok(Self { collateral, chain, extension, key, window, enclave: OnceLock::new() })
    }

    /// The collateral under which the platform was verified.
    pub const fn collateral(&self) -> &Collateral {
        &self.collateral
    }

    /// What the PCK certificate says.
    pub const fn pck(&self) -> &PckExtension {
        &self.extension
    }

    /// The last second at which the chain and its collateral are valid.
    pub const fn expires(&self) -> UnixTime {
        self.window.until()
    }

    /// Whether a quote belongs to this platform: its chain ([`Collateral::chain_of`]) is this one's.
    pub fn covers(&self, quote: &Quote<'_>) -> bool {
        self.collateral.chain_of(quote).is_ok_and(|chain| *chain == self.chain)
    }

    /// Verifies a quote of this platform: its own two signatures, the quoting enclave's identity, the TCB level, and the
    /// event log against the quote's registers.
    ///
    /// # Errors
    /// When the quote belongs to another platform or kind of environment, anything in it was changed, the platform is below
    /// all levels, the log does not explain the registers, or `at` is outside the window of chain and collateral.
    pub fn verify(&self, evidence: &Evidence<'_>, at: UnixTime) -> Result<Facts, Error> {
        let quote = &evidence.quote;
        self.window.check(at)?;
        if !self.covers(quote) {
            return Err(Error::OtherPlatform { fmspc: hex::encode(self.extension.fmspc) });
        }
        if let CertificationData::Platform(id) = &quote.certification {
            check_platform_id(id, &self.extension)?;
        }
        self.check_signatures(quote)?;
        let verified = &*self.collateral.0;
        check_tee(&self.collateral, quote)?;
        if let Some(report) = quote.body.td() {
            tdx::check_module(&verified.tcb_info, report)?;
        }
        let qe_level = qe::check(&verified.qe_identity, quote.qe_report)?;
        let log = replay_logs(evidence)?;
        Ok(Facts {
            tee: quote.tee(),
            anchor: verified.anchor.clone(),
            at,
            collateral_expires: self.window.until(),
            tcb: Some(self.evaluate(quote, qe_level)?),
            debug: Some(debug(&quote.body)),
            report_data: quote.body.report_data().to_vec(),
            evidence_sha384: hash::sha384(&[quote.without_trailing()]),
            quote_version: Some(quote.header.version.get()),
            trailing_bytes: quote.trailing.len(),
            claims: Claims::new(&quote.body),
            log: log.map(Log::Rtmrs),
        })
    }

    /// PCK key -> QE report -> attestation key -> quote.
    fn check_signatures(&self, quote: &Quote<'_>) -> Result<(), Error> {
        if quote.header.qe_vendor_id != VENDOR_INTEL {
            let (expected, found) = (hex::encode(VENDOR_INTEL), hex::encode(quote.header.qe_vendor_id));
            return Err(Error::QeVendor { expected, found });
        }
        let signed_by = |enclave: &Enclave| enclave.key.verify(quote.signed, quote.signature);
        let genuine = match self.enclave.get().filter(|known| known.is_of(quote)) {
            Some(known) => signed_by(known),
            None => {
                let enclave = self.check_enclave(quote)?;
                let genuine = signed_by(&enclave);
                // The first one stays: who alternates pays for it.
                drop(self.enclave.set(enclave));
                genuine
            }
        };
        if genuine { Ok(()) } else { Err(Error::Signature { part: Part::Quote, signer: "attestation key" }) }
    }

    /// PCK key -> QE report -> attestation key.
    fn check_enclave(&self, quote: &Quote<'_>) -> Result<Enclave, Error> {
        if !self.key.verify(Body::Sgx(quote.qe_report).as_bytes(), quote.qe_report_signature) {
            return Err(Error::Signature { part: Part::QeReport, signer: Part::Pck.name() });
        }
        let bound = hash::sha256(&[quote.attestation_key, quote.qe_auth_data]);
        let (stated, rest) = quote.qe_report.report_data.split_at(32);
        if stated != bound.0 || rest.iter().any(|byte| *byte != 0) {
            let found = hex::encode(quote.qe_report.report_data);
            return Err(Error::QeReportData { expected: bound.to_string(), found });
        }
        Enclave::of(quote).ok_or(Error::Signature { part: Part::Quote, signer: "attestation key" })
    }

    fn evaluate(&self, quote: &Quote<'_>, qe_level: &QeTcbLevel) -> Result<Tcb, Error> {
        let Verified { tcb_info: info, qe_identity, .. } = &*self.collateral.0;
        let versions = |tdx| Versions { platform: &self.extension.tcb, tdx };
        let at_launch = versions(quote.body.td().map(|report| &report.tee_tcb_svn));
        let launch = tcb::evaluate(info, at_launch, qe_level)?;
        let now = quote.body.td15().map(|report| tcb::evaluate(info, versions(Some(&report.tee_tcb_svn2)), qe_level));
        let now = now.transpose()?.map(|now: Evaluation| now.status);
        let configuration = self.extension.configuration.unwrap_or_default();
        Ok(Tcb {
            status: now.map_or(launch.status, |now| tcb::relaunch(launch.status, now)),
            advisories: launch.advisories,
            below_highest: tcb::below_highest(info, at_launch, qe_identity, quote.qe_report.isv_svn.get()),
            date: launch.date,
            evaluation_number: self.collateral.evaluation_number(),
            fmspc: Digest(self.extension.fmspc),
            pce_id: Digest(self.extension.pce_id),
            pce_svn: self.extension.tcb.pce_svn,
            cpu_svn: Digest(self.extension.tcb.cpu_svn),
            platform_status: launch.platform,
            qe_status: qe_level.tcb_status,
            module_status: launch.module,
            current_status: now,
            smt_enabled: configuration.smt_enabled,
            dynamic_platform: configuration.dynamic_platform,
            cached_keys: configuration.cached_keys,
        })
    }
}

/// Verifies one quote with everything behind it: its chain ([`Collateral::chain_of`]), then the quote. Where more quotes of the platform are
/// to come, keep the [`Platform`].
///
/// # Errors
/// As [`Collateral::chain_of`], [`Collateral::platform`] and [`Platform::verify`].
pub fn verify(evidence: &Evidence<'_>, collateral: &Collateral, at: UnixTime) -> Result<Facts, Error> {
    let chain = collateral.chain_of(&evidence.quote)?;
    check_tee(collateral, &evidence.quote)?;
    collateral.platform(&chain, at)?.verify(evidence, at)
}

/// The platform's own certificate.
fn verify_pck(der: &[u8], verified: &Verified) -> Result<Certificate, Error> {
    let pck = Certificate::parse(Part::Pck, der, Profile::INTEL)?;
    pck.check_role("common name containing \"SGX PCK Certificate\"", "SGX PCK Certificate")?;
    pck.issued_by(&verified.pck_ca)?;
    verified.pck_crl.check(&pck)?;
    Ok(pck)
}

/// The CA in a quote's chain must be the one whose revocation list is at hand, or a renewal of it with the same key.
fn verify_same_pck_ca(der: &[u8], verified: &Verified) -> Result<Option<Certificate>, Error> {
    if der == verified.pck_ca.der() {
        return Ok(None);
    }
    let other = verify_pck_ca(Part::ChainPckCa, der, &verified.root, &verified.root_crl)?;
    if other.name() != verified.pck_ca.name() || other.key_info() != verified.pck_ca.key_info() {
        return Err(Error::Issuer { part: Part::PckCrl, expected: other.subject(), found: verified.pck_ca.subject() });
    }
    Ok(Some(other))
}

/// TCB info must be about the platform's model and provisioning enclave.
fn check_model(verified: &Verified, extension: &PckExtension) -> Result<(), Error> {
    let mismatch = |field, expected: &[u8], found: &[u8]| {
        let (expected, found) = (hex::encode(expected), hex::encode(found));
        Err(Error::CollateralMismatch { part: Part::TcbInfo, field, expected, found })
    };
    let info = &verified.tcb_info;
    if info.fmspc != extension.fmspc {
        return mismatch("fmspc", &extension.fmspc, &info.fmspc);
    }
    if info.pce_id != extension.pce_id {
        return mismatch("pceId", &extension.pce_id, &info.pce_id);
    }
    Ok(())
}

/// A quote that names its platform must name the one whose certificate was looked up: the PCK key is derived for these very versions.
fn check_platform_id(id: &PlatformId<'_>, extension: &PckExtension) -> Result<(), Error> {
    let check = |field, expected: &[u8], found: &[u8]| {
        if expected == found {
            return Ok(());
        }
        let (expected, found) = (hex::encode(expected), hex::encode(found));
        Err(Error::CollateralMismatch { part: Part::Pck, field, expected, found })
    };
    if let Ppid::Plain(ppid) = id.ppid {
        check("PPID", ppid, &extension.ppid)?;
    }
    if let Some(pce_id) = id.pce_id {
        check("PCEID", pce_id, &extension.pce_id)?;
    }
    check("CPUSVN", id.cpu_svn, &extension.tcb.cpu_svn)?;
    check("PCESVN", &id.pce_svn.to_be_bytes(), &extension.tcb.pce_svn.to_be_bytes())
}

fn check_tee(collateral: &Collateral, quote: &Quote<'_>) -> Result<(), Error> {
    let (expected, found) = (quote.tee(), collateral.tee());
    if expected == found {
        return Ok(());
    }
    let (expected, found) = (expected.name().to_owned(), found.name().to_owned());
    Err(Error::CollateralMismatch { part: Part::TcbInfo, field: "id", expected, found })
}

fn debug(body: &Body<'_>) -> bool {
    match (body.sgx(), body.td()) {
        (Some(report), _) => report.attributes().debug(),
        (None, Some(report)) => report.attributes().under_debug(),
        (None, None) => true,
    }
}

fn replay_logs(evidence: &Evidence<'_>) -> Result<Option<replay::Replayed>, Error> {
    let rtmrs = || match evidence.quote.body.td() {
        Some(report) => Ok(&report.rt_mr),
        None => Err(Error::UnexpectedLog { tee: Tee::Sgx.name() }),
    };
    let (log, ima, cel) = (evidence.event_log, evidence.ima, evidence.cel);
    if [log, ima, cel] == [None; 3] {
        return Ok(None);
    }
    replay::check_tdx_logs(log, ima, cel, rtmrs()?)
        .map(Some)
        .map_err(|source| Error::EventLog { source: Box::new(source) })
}
