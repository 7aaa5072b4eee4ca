//! The simulated platform: its provisioning certificate and its two quoting enclaves, one for trust domains and one for enclaves.

use crate::{
    Error,
    key::Key,
    measured::sha384,
    tcb::{self, Enclave, Generation, QE_ATTRIBUTES},
    vendor::Vendor,
};
use aws_lc_rs::{
    constant_time,
    digest::{SHA256, digest},
    hmac, rand,
};
use rcgen::SerialNumber;
use sealwright_wire::{
    collateral::QeId,
    pck::{Configuration, PckExtension, SgxType, Tcb},
    quote::{
        Body, Builder, CertificationData, Header, KEY_TYPE_ECDSA_P256, TEE_TYPE_SGX, TEE_TYPE_TDX, VENDOR_INTEL,
        signed_bytes,
    },
    sgx::ReportBody,
    tdx::{ReportMac, TdReport},
    time::UnixTime,
};
use std::sync::{Arc, PoisonError, RwLock};
use zerocopy::{FromZeros, IntoBytes};

/// What Intel's quoting enclaves put beside the attestation key: the bytes 0 to 31.
const AUTH_DATA_LENGTH: u8 = 32;

/// A quoting enclave: an identity and an attestation key that never leaves this process.
struct QuotingEnclave {
    enclave: Enclave,
    key: Key,
    auth_data: Vec<u8>,
}

impl Enclave {
    fn of(id: QeId, isv_prod_id: u16, isv_svn: u16) -> Self {
        Self { id, mr_signer: label(id, "signer"), isv_prod_id, isv_svn }
    }

    /// The vendor's quote verification enclave.
    pub(crate) fn qve() -> Self {
        Self::of(QeId::Qve, 2, 3)
    }

    /// What the enclave's report says on a platform of this generation, bound to nothing yet.
    pub(crate) fn report(&self, generation: Generation) -> ReportBody {
        let mut report = ReportBody::new_zeroed();
        report.cpu_svn = generation.sgx_components();
        report.attributes = QE_ATTRIBUTES;
        report.mr_enclave = label(self.id, "code");
        report.mr_signer = self.mr_signer;
        report.isv_prod_id = self.isv_prod_id.into();
        report.isv_svn = self.isv_svn.into();
        report
    }
}

/// A measurement that stands for what an enclave does not really have.
fn label(id: QeId, what: &str) -> [u8; 32] {
    sha256(format!("sealwright simulation: {what} of {}", id.name()).as_bytes())
}

impl QuotingEnclave {
    fn make(id: QeId, isv_prod_id: u16, isv_svn: u16) -> Result<Self, Error> {
        Ok(Self {
            enclave: Enclave::of(id, isv_prod_id, isv_svn),
            key: Key::generate()?,
            auth_data: (0..AUTH_DATA_LENGTH).collect(),
        })
    }

    /// The enclave's report, which binds its attestation key, under the platform's certification key.
    fn certify(&self, pck: &Key, generation: Generation) -> Result<Certified, Error> {
        let mut report = self.enclave.report(generation);
        let bound = [self.key.public_xy().as_slice(), &self.auth_data].concat();
        report.report_data[..32].copy_from_slice(&sha256(&bound));
        let signature = pck.sign(report.as_bytes())?;
        Ok(Certified { report, signature })
    }
}

/// A quoting enclave's report and the certification key's signature over it.
struct Certified {
    report: ReportBody,
    signature: [u8; 64],
}

/// What changes when the platform is updated: security versions, and everything that is certified for them.
struct Installed {
    generation: Generation,
    serial: SerialNumber,
    chain: String,
    td_qe: Certified,
    sgx_qe: Certified,
}

/// One machine with its keys.
pub(crate) struct Platform {
    ppid: [u8; 16],
    instance: [u8; 16],
    td_qe: QuotingEnclave,
    sgx_qe: QuotingEnclave,
    /// The processor's key for the authentication codes of its reports.
    report_key: hmac::Key,
    installed: RwLock<Arc<Installed>>,
}

impl Platform {
    /// Builds a platform and provisions it.
    pub(crate) fn provision(vendor: &Vendor, generation: Generation, now: UnixTime) -> Result<Self, Error> {
        let (ppid, instance) = (random()?, random()?);
        let td_qe = QuotingEnclave::make(QeId::TdQe, 2, 6)?;
        let sgx_qe = QuotingEnclave::make(QeId::Qe, 1, 8)?;
        let installed = install(vendor, generation, now, &extension(ppid, instance, generation), &td_qe, &sgx_qe)?;
        let report_key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new());
        let report_key = report_key.map_err(|_| Error::Crypto("draw random bytes"))?;
        Ok(Self { ppid, instance, td_qe, sgx_qe, report_key, installed: RwLock::new(Arc::new(installed)) })
    }

    /// Installs the security versions of `generation`: a new certification key and certificate, for the same attestation keys.
    pub(crate) fn update(&self, vendor: &Vendor, generation: Generation, now: UnixTime) -> Result<(), Error> {
        let extension = extension(self.ppid, self.instance, generation);
        let installed = install(vendor, generation, now, &extension, &self.td_qe, &self.sgx_qe)?;
        *self.installed.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(installed);
        Ok(())
    }

    pub(crate) fn generation(&self) -> Generation {
        self.installed().generation
    }

    /// The serial number of its present certificate.
    pub(crate) fn serial(&self) -> SerialNumber {
        self.installed().serial.clone()
    }

    pub(crate) fn td_enclave(&self) -> &Enclave {
        &self.td_qe.enclave
    }

    pub(crate) fn sgx_enclave(&self) -> &Enclave {
        &self.sgx_qe.enclave
    }

    /// The authentication code of a report: over all of REPORTMACSTRUCT before it.
    pub(crate) fn report_mac(&self, report: &ReportMac) -> [u8; 32] {
        let mut mac = [0; 32];
        mac.copy_from_slice(hmac::sign(&self.report_key, authenticated(report)).as_ref());
        mac
    }

    /// Whether this platform made a report, as the quoting enclave asks the processor before it signs (EVERIFYREPORT2).
    pub(crate) fn check_report(&self, report: &TdReport) -> Result<(), Error> {
        let TdReport { mac, tee_tcb_info, reserved, td_info } = report;
        let of_module = mac.tee_tcb_info_hash == sha384(&[tee_tcb_info.as_bytes()]).0;
        let of_domain = mac.tee_info_hash == sha384(&[td_info.as_bytes()]).0;
        let authentic = constant_time::verify_slices_are_equal(&mac.mac, &self.report_mac(mac)).is_ok();
        if of_module && of_domain && authentic && *reserved == [0; 17] {
            return Ok(());
        }
        let found = "one of another, or a changed one".to_owned();
        Err(Error::Config { field: "TDREPORT", expected: "a report of this platform", found })
    }

    /// A quote of layout `version` over `body`.
    pub(crate) fn quote(&self, version: u16, body: Body<'_>) -> Result<Vec<u8>, Error> {
        let installed = self.installed();
        let (qe, certified, tee_type) = match body {
            Body::Sgx(_) => (&self.sgx_qe, &installed.sgx_qe, TEE_TYPE_SGX),
            Body::Td10(_) | Body::Td15(_) | Body::Td15Ex(_) => (&self.td_qe, &installed.td_qe, TEE_TYPE_TDX),
        };
        let header = self.header(version, tee_type, qe);
        let signature = qe.key.sign(&signed_bytes(&header, &body))?;
        let builder = Builder {
            header: &header,
            body,
            signature: &signature,
            attestation_key: &qe.key.public_xy(),
            qe_report: &certified.report,
            qe_report_signature: &certified.signature,
            qe_auth_data: &qe.auth_data,
            certification: CertificationData::PckChain(installed.chain.as_bytes()),
        };
        builder.encode().map_err(|source| Error::File { file: "quote", source })
    }

    fn header(&self, version: u16, tee_type: u32, qe: &QuotingEnclave) -> Header {
        let mut header = Header::new_zeroed();
        header.version = version.into();
        header.att_key_type = KEY_TYPE_ECDSA_P256.into();
        header.tee_type = tee_type.into();
        if version == 3 {
            header.qe_svn = qe.enclave.isv_svn.into();
            header.pce_svn = tcb::PCE_SVN.into();
        }
        header.qe_vendor_id = VENDOR_INTEL;
        header.user_data[..16].copy_from_slice(&self.instance);
        header
    }

    fn installed(&self) -> Arc<Installed> {
        Arc::clone(&self.installed.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the authentication code of a report is over.
fn authenticated(report: &ReportMac) -> &[u8] {
    let bytes = report.as_bytes();
    &bytes[..bytes.len() - report.mac.len()]
}

/// Certifies the platform at a generation. The certification key signs the two enclaves' reports and is gone.
fn install(
    vendor: &Vendor,
    generation: Generation,
    now: UnixTime,
    extension: &PckExtension,
    td_qe: &QuotingEnclave,
    sgx_qe: &QuotingEnclave,
) -> Result<Installed, Error> {
    let key = Key::generate()?;
    let extension = extension.to_der().map_err(|source| Error::File { file: "PCK certificate", source })?;
    let certificate = vendor.certify(&key, extension, now)?;
    Ok(Installed {
        generation,
        chain: vendor.pck_chain(&certificate.der),
        serial: certificate.serial,
        td_qe: td_qe.certify(&key, generation)?,
        sgx_qe: sgx_qe.certify(&key, generation)?,
    })
}

fn extension(ppid: [u8; 16], instance: [u8; 16], generation: Generation) -> PckExtension {
    let components = generation.sgx_components();
    PckExtension {
        ppid,
        tcb: Tcb { components, pce_svn: tcb::PCE_SVN, cpu_svn: components },
        pce_id: tcb::PCE_ID,
        fmspc: tcb::FMSPC,
        sgx_type: SgxType::Scalable,
        platform_instance_id: Some(instance),
        configuration: Some(Configuration {
            dynamic_platform: Some(false),
            cached_keys: Some(true),
            smt_enabled: Some(true),
        }),
    }
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| Error::Crypto("draw random bytes"))?;
    Ok(bytes)
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut value = [0; 32];
    value.copy_from_slice(digest(&SHA256, bytes).as_ref());
    value
}
