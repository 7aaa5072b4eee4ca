//! A vendor, its collateral and one platform in miniature, in which each single thing can be made wrong.
#![allow(dead_code)] // each test binary uses its own part

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CrlScope, CustomExtension, DistinguishedName, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use sealwright_verify::{Anchor, Anchors, Collateral, Error, Facts, TcbStatus, verify};
use sealwright_wire::collateral::{
    Bundle, Component, QeId, QeIdentity, QeTcb, QeTcbLevel, Tcb, TcbInfo, TcbInfoId, TcbLevel, TdxModule,
    TdxModuleIdentity, TdxModuleLevel, TdxModuleTcb, encode_pem_chain,
};
use sealwright_wire::pck::{self, PckExtension, SgxType};
use sealwright_wire::quote::{self, Body, Builder, CertificationData, Header};
use sealwright_wire::{Evidence, sgx, tdx, time::UnixTime};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use zerocopy::FromZeros;

/// The time at which everything is verified unless a test says otherwise.
pub(crate) const AT: &str = "2026-06-15T12:00:00Z";

pub(crate) fn time(text: &str) -> UnixTime {
    UnixTime::parse_rfc3339(text).unwrap()
}

pub(crate) fn at() -> UnixTime {
    time(AT)
}

/// A P-256 key that signs certificates and everything else.
pub(crate) struct Key {
    certificates: KeyPair,
    signer: EcdsaKeyPair,
}

impl Key {
    pub(crate) fn generate() -> Rc<Self> {
        let certificates = KeyPair::generate().unwrap();
        let pkcs8 = certificates.serialized_der();
        let signer = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).unwrap();
        Rc::new(Self { certificates, signer })
    }

    /// The point's coordinates.
    pub(crate) fn point(&self) -> [u8; 64] {
        self.certificates.public_key_raw()[1..].try_into().unwrap()
    }

    /// Signature as (r, s).
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signer.sign(&SystemRandom::new(), message).unwrap().as_ref().try_into().unwrap()
    }
}

/// One certificate of the site.
#[derive(Clone)]
pub(crate) struct Cert {
    pub(crate) name: &'static str,
    pub(crate) organization: &'static str,
    pub(crate) serial: u8,
    /// Valid from the first second of the first year to the first second of the other.
    pub(crate) years: (i32, i32),
    pub(crate) is_ca: bool,
    pub(crate) extensions: Vec<CustomExtension>,
    pub(crate) key: Rc<Key>,
}

impl Cert {
    fn new(name: &'static str, serial: u8, is_ca: bool) -> Self {
        let organization = "Example Vendor";
        Self { name, organization, serial, years: (2020, 2040), is_ca, extensions: Vec::new(), key: Key::generate() }
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.name);
        params.distinguished_name.push(DnType::OrganizationName, self.organization);
        params.serial_number = Some(SerialNumber::from_slice(&[0x7f, self.serial]));
        params.not_before = date_time_ymd(self.years.0, 1, 1);
        params.not_after = date_time_ymd(self.years.1, 1, 1);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if self.is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        }
        params.custom_extensions = self.extensions.clone();
        params
    }

    fn issuer(&self) -> Issuer<'static, &KeyPair> {
        let mut params = self.params();
        // The generator must be willing to do what the verifier should refuse.
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Issuer::new(params, &self.key.certificates)
    }

    /// The certificate in DER, issued by `issuer`; the same bytes each time, although ECDSA signs at random.
    pub(crate) fn der(&self, issuer: &Self) -> Vec<u8> {
        thread_local!(static ISSUED: RefCell<HashMap<Vec<u8>, Vec<u8>>> = RefCell::default());
        let der = self.params().signed_by(&self.key.certificates, &issuer.issuer()).unwrap().der().to_vec();
        // SEQUENCE { SEQUENCE tbs .. }, both with lengths of two bytes.
        let tbs = usize::from(u16::from_be_bytes([der[6], der[7]]));
        let unsigned = [&der[4..8 + tbs], &issuer.key.point()].concat();
        ISSUED.with_borrow_mut(|issued| issued.entry(unsigned).or_insert(der).clone())
    }
}

/// One revocation list.
#[derive(Clone)]
pub(crate) struct List {
    pub(crate) issuer: Cert,
    pub(crate) years: (i32, i32),
    pub(crate) revoked: Vec<u8>,
    /// Says that it covers CA certificates only.
    pub(crate) partial: bool,
}

impl List {
    fn new(issuer: &Cert) -> Self {
        Self { issuer: issuer.clone(), years: (2026, 2027), revoked: vec![0xee], partial: false }
    }

    fn der(&self) -> Vec<u8> {
        let revoked = |serial: &u8| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&[0x7f, *serial]),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: Some(rcgen::RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let uris = vec!["https://example.org/crl".to_owned()];
        let scope = CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint { uris },
            scope: Some(CrlScope::CaCertsOnly),
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(self.years.0, 1, 1),
            next_update: date_time_ymd(self.years.1, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: self.partial.then_some(scope),
            revoked_certs: self.revoked.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer.issuer()).unwrap().der().to_vec()
    }
}

/// A report that owns its bytes.
#[derive(Clone)]
pub(crate) enum Report {
    Sgx(Box<sgx::ReportBody>),
    Td10(Box<tdx::ReportBody10>),
    Td15(Box<tdx::ReportBody15>),
    Td15Ex(Box<tdx::ReportBody15Ex>),
}

impl Report {
    fn body(&self) -> Body<'_> {
        match self {
            Self::Sgx(report) => Body::Sgx(report),
            Self::Td10(report) => Body::Td10(report),
            Self::Td15(report) => Body::Td15(report),
            Self::Td15Ex(report) => Body::Td15Ex(report),
        }
    }
}

/// How the quote names its PCK certificate.
#[derive(Clone)]
pub(crate) enum Certification {
    /// The site's own chain.
    Chain,
    /// This text as a chain.
    Text(Vec<u8>),
    /// Another type, as this platform's quoting enclave would write it; what the type does not encrypt is true.
    Type(u16),
    /// Another type with this data.
    Data(u16, Vec<u8>),
}

/// The whole site. Every field can be changed before [`bundle`](Self::bundle) and [`quote`](Self::quote) are made.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) root: Cert,
    pub(crate) pck_ca: Cert,
    pub(crate) signer: Cert,
    pub(crate) signer_issuer: Option<Cert>,
    pub(crate) pck: Cert,
    pub(crate) pck_issuer: Option<Cert>,
    pub(crate) extension: PckExtension,
    pub(crate) root_crl: List,
    pub(crate) pck_crl: List,
    pub(crate) tcb_info: TcbInfo,
    pub(crate) qe_identity: QeIdentity,
    pub(crate) bundle_chain: Option<String>,
    pub(crate) header: Header,
    pub(crate) report: Report,
    pub(crate) qe_report: sgx::ReportBody,
    pub(crate) qe_auth_data: Vec<u8>,
    pub(crate) attestation: Rc<Key>,
    /// Stands in place of the attestation key's coordinates.
    pub(crate) attestation_point: Option<[u8; 64]>,
    /// Signs the quote in place of the attestation key.
    pub(crate) quote_signer: Option<Rc<Key>>,
    /// Signs the QE's report in place of the PCK key.
    pub(crate) qe_signer: Option<Rc<Key>>,
    /// Stands in the QE's report in place of the hash that binds the attestation key.
    pub(crate) qe_report_data: Option<[u8; 64]>,
    pub(crate) certification: Certification,
}

pub(crate) fn components(first: u16) -> [Component; 16] {
    let mut components = [const { Component::new(0) }; 16];
    components[0] = Component::new(first);
    components[2] = Component::new(2);
    components
}

pub(crate) fn level(sgx: u16, tdx: Option<u16>, pcesvn: u16, status: TcbStatus, advisories: &[&str]) -> TcbLevel {
    TcbLevel {
        tcb: Tcb { sgxtcbcomponents: components(sgx), pcesvn, tdxtcbcomponents: tdx.map(components) },
        tcb_date: time("2026-01-01T00:00:00Z"),
        tcb_status: status,
        advisory_ids: advisories.iter().map(|&advisory| advisory.to_owned()).collect(),
    }
}

pub(crate) fn module_level(isvsvn: u16, status: TcbStatus, advisories: &[&str]) -> TdxModuleLevel {
    TdxModuleLevel {
        tcb: TdxModuleTcb { isvsvn },
        tcb_date: time("2025-11-01T00:00:00Z"),
        tcb_status: status,
        advisory_ids: advisories.iter().map(|&advisory| advisory.to_owned()).collect(),
    }
}

pub(crate) fn qe_level(isvsvn: u16, status: TcbStatus, advisories: &[&str]) -> QeTcbLevel {
    QeTcbLevel {
        tcb: QeTcb { isvsvn },
        tcb_date: time("2025-12-01T00:00:00Z"),
        tcb_status: status,
        advisory_ids: advisories.iter().map(|&advisory| advisory.to_owned()).collect(),
    }
}

impl Site {
    /// A site whose quote (version 4, TDX 1.0) is up to date.
    pub(crate) fn tdx() -> Self {
        let mut report = tdx::ReportBody10::new_zeroed();
        report.tee_tcb_svn = [5, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        report.td_attributes[3] = 0x10;
        report.report_data = [0x5a; 64];
        let identity = TdxModuleIdentity {
            id: "TDX_01".to_owned(),
            mrsigner: [0; 48],
            attributes: [0; 8],
            attributes_mask: [0xff; 8],
            tcb_levels: vec![
                module_level(5, TcbStatus::UpToDate, &[]),
                module_level(2, TcbStatus::OutOfDate, &["SA-M"]),
            ],
        };
        let mut site = Self::new(TcbInfoId::Tdx, Report::Td10(Box::new(report)));
        site.tcb_info.tdx_module =
            Some(TdxModule { mrsigner: [0; 48], attributes: [0; 8], attributes_mask: [0xff; 8] });
        site.tcb_info.tdx_module_identities = vec![identity];
        site
    }

    /// A site whose quote (version 3, SGX) is up to date.
    pub(crate) fn sgx() -> Self {
        let mut report = sgx::ReportBody::new_zeroed();
        report.mr_enclave = [1; 32];
        report.report_data = [0x5a; 64];
        Self::new(TcbInfoId::Sgx, Report::Sgx(Box::new(report)))
    }

    /// The site with a quote of version 5 and TDX 1.5, whose platform has since got `svn2`.
    pub(crate) fn td15(svn2: [u8; 16]) -> Self {
        let mut site = Self::tdx();
        let mut report = tdx::ReportBody15::new_zeroed();
        report.base = *site.td();
        report.tee_tcb_svn2 = svn2;
        site.report = Report::Td15(Box::new(report));
        site.header.version.set(5);
        site
    }

    fn new(id: TcbInfoId, report: Report) -> Self {
        let tdx = (id == TcbInfoId::Tdx).then_some(5);
        let root = Cert::new("Intel SGX Root CA", 1, true);
        let pck_ca = Cert::new("Intel SGX PCK Platform CA", 2, true);
        let mut header = Header::new_zeroed();
        header.version.set(if tdx.is_some() { 4 } else { 3 });
        header.att_key_type.set(quote::KEY_TYPE_ECDSA_P256);
        header.tee_type.set(if tdx.is_some() { quote::TEE_TYPE_TDX } else { quote::TEE_TYPE_SGX });
        header.qe_vendor_id = quote::VENDOR_INTEL;
        let mut qe_report = sgx::ReportBody::new_zeroed();
        qe_report.attributes[0] = 0x11;
        qe_report.mr_signer = [0xdc; 32];
        qe_report.isv_prod_id.set(2);
        qe_report.isv_svn.set(4);
        Self {
            root_crl: List::new(&root),
            pck_crl: List::new(&pck_ca),
            root,
            pck_ca,
            signer: Cert::new("Intel SGX TCB Signing", 3, false),
            signer_issuer: None,
            pck: Cert::new("Intel SGX PCK Certificate", 4, false),
            pck_issuer: None,
            extension: extension(),
            tcb_info: tcb_info(id, tdx),
            qe_identity: qe_identity(if tdx.is_some() { QeId::TdQe } else { QeId::Qe }),
            bundle_chain: None,
            header,
            report,
            qe_report,
            qe_auth_data: vec![0x20; 32],
            attestation: Key::generate(),
            attestation_point: None,
            quote_signer: None,
            qe_signer: None,
            qe_report_data: None,
            certification: Certification::Chain,
        }
    }

    /// The trust domain's report, to be changed.
    pub(crate) fn td(&mut self) -> &mut tdx::ReportBody10 {
        match &mut self.report {
            Report::Sgx(_) => panic!("an enclave"),
            Report::Td10(report) => report,
            Report::Td15(report) => &mut report.base,
            Report::Td15Ex(report) => &mut report.base.base,
        }
    }

    /// The enclave's report, to be changed.
    pub(crate) fn enclave(&mut self) -> &mut sgx::ReportBody {
        match &mut self.report {
            Report::Sgx(report) => report,
            _ => panic!("a trust domain"),
        }
    }

    pub(crate) fn root_der(&self) -> Vec<u8> {
        self.root.der(&self.root)
    }

    pub(crate) fn anchors(&self) -> Anchors {
        Anchors::none().with(Anchor::from_certificate("test", &self.root_der()).unwrap())
    }

    /// The PCK certificate chain as a quote carries it.
    pub(crate) fn chain(&self) -> Vec<u8> {
        let chain = [self.pck_certificate(), self.pck_ca.der(&self.root), self.root_der()];
        let mut pem = encode_pem_chain(&chain).into_bytes();
        pem.push(0);
        pem
    }

    fn pck_certificate(&self) -> Vec<u8> {
        let mut pck = self.pck.clone();
        let id: Vec<u64> = pck::SGX_EXTENSION.arcs().map(u64::from).collect();
        pck.extensions.push(CustomExtension::from_oid_content(&id, self.extension.to_der().unwrap()));
        pck.der(self.pck_issuer.as_ref().unwrap_or(&self.pck_ca))
    }

    pub(crate) fn bundle(&self) -> Bundle {
        let root = self.root_der();
        let signer = self.signer.der(self.signer_issuer.as_ref().unwrap_or(&self.root));
        let signer_chain = encode_pem_chain(&[signer, root.clone()]);
        let tcb_info = serde_json::to_string(&self.tcb_info).unwrap();
        let qe_identity = serde_json::to_string(&self.qe_identity).unwrap();
        Bundle {
            pck_crl_issuer_chain: encode_pem_chain(&[self.pck_ca.der(&self.root), root]),
            root_ca_crl: self.root_crl.der(),
            pck_crl: self.pck_crl.der(),
            tcb_info_issuer_chain: signer_chain.clone(),
            tcb_info_signature: self.signer.key.sign(tcb_info.as_bytes()),
            tcb_info,
            qe_identity_issuer_chain: signer_chain,
            qe_identity_signature: self.signer.key.sign(qe_identity.as_bytes()),
            qe_identity,
            pck_certificate_chain: self.bundle_chain.clone(),
        }
    }

    /// What certification data of this type says about the platform.
    pub(crate) fn certification_data(&self, kind: u16) -> Vec<u8> {
        let PckExtension { ppid, tcb, pce_id, .. } = &self.extension;
        let ppid = match kind {
            1 => ppid.to_vec(),
            2 => vec![0xee; 256],
            3 => vec![0xee; 384],
            4 => return encode_pem_chain(&[self.pck_certificate()]).into_bytes(),
            _ => return vec![0; 36],
        };
        [&ppid[..], &tcb.cpu_svn, &tcb.pce_svn.to_le_bytes(), pce_id].concat()
    }

    pub(crate) fn quote(&self) -> Vec<u8> {
        let mut qe_report = self.qe_report;
        let attestation_key = self.attestation_point.unwrap_or(self.attestation.point());
        let bound = [attestation_key.as_slice(), &self.qe_auth_data].concat();
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bound);
        qe_report.report_data[..32].copy_from_slice(hash.as_ref());
        if let Some(data) = self.qe_report_data {
            qe_report.report_data = data;
        }
        let (chain, data);
        let certification = match &self.certification {
            Certification::Chain => {
                chain = self.chain();
                CertificationData::PckChain(&chain)
            }
            Certification::Text(text) => CertificationData::PckChain(text),
            Certification::Type(kind) => {
                data = self.certification_data(*kind);
                CertificationData::parse(*kind, &data).unwrap()
            }
            Certification::Data(kind, data) => CertificationData::parse(*kind, data).unwrap(),
        };
        let body = self.report.body();
        let signed = quote::signed_bytes(&self.header, &body);
        let builder = Builder {
            header: &self.header,
            body,
            signature: &self.quote_signer.as_ref().unwrap_or(&self.attestation).sign(&signed),
            attestation_key: &attestation_key,
            qe_report: &qe_report,
            qe_report_signature: &self
                .qe_signer
                .as_ref()
                .unwrap_or(&self.pck.key)
                .sign(Body::Sgx(&qe_report).as_bytes()),
            qe_auth_data: &self.qe_auth_data,
            certification,
        };
        builder.encode().unwrap()
    }

    pub(crate) fn collateral(&self) -> Result<Collateral, Error> {
        Collateral::verify(&self.bundle(), &self.anchors(), at())
    }

    /// Verifies the site's quote against the site's collateral and root.
    pub(crate) fn verify(&self) -> Result<Facts, Error> {
        self.verify_with_log(None)
    }

    pub(crate) fn verify_with_log(&self, log: Option<&[u8]>) -> Result<Facts, Error> {
        verify(&Evidence::parse(&self.quote(), log).unwrap(), &self.collateral()?, at())
    }

    /// The reason code of the refusal.
    pub(crate) fn refusal(&self) -> &'static str {
        self.verify().unwrap_err().code()
    }

    /// The verdict and its advisories.
    pub(crate) fn status(&self) -> (TcbStatus, Vec<String>) {
        let facts = self.verify().unwrap();
        (facts.tcb().unwrap().status, facts.tcb().unwrap().advisories.clone())
    }
}

fn extension() -> PckExtension {
    let mut components = [0; 16];
    components[0] = 5;
    components[2] = 2;
    PckExtension {
        ppid: [7; 16],
        tcb: pck::Tcb { components, pce_svn: 11, cpu_svn: components },
        pce_id: [0, 0],
        fmspc: [0x50, 0x80, 0x6f, 0, 0, 0],
        sgx_type: SgxType::Scalable,
        platform_instance_id: Some([9; 16]),
        configuration: Some(pck::Configuration { smt_enabled: Some(true), ..Default::default() }),
    }
}

fn tcb_info(id: TcbInfoId, tdx: Option<u16>) -> TcbInfo {
    TcbInfo {
        id,
        version: 3,
        issue_date: time("2026-06-01T00:00:00Z"),
        next_update: time("2026-07-01T00:00:00Z"),
        fmspc: extension().fmspc,
        pce_id: [0, 0],
        tcb_type: 0,
        tcb_evaluation_data_number: 18,
        tdx_module: None,
        tdx_module_identities: Vec::new(),
        tcb_levels: vec![
            level(5, tdx, 11, TcbStatus::UpToDate, &[]),
            level(3, tdx.map(|_| 3), 5, TcbStatus::OutOfDate, &["SA-P"]),
        ],
    }
}

fn qe_identity(id: QeId) -> QeIdentity {
    QeIdentity {
        id,
        version: 2,
        issue_date: time("2026-06-02T00:00:00Z"),
        next_update: time("2026-07-02T00:00:00Z"),
        tcb_evaluation_data_number: 17,
        miscselect: [0; 4],
        miscselect_mask: [0xff; 4],
        attributes: [0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        attributes_mask: [0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0],
        mrsigner: [0xdc; 32],
        isvprodid: 2,
        tcb_levels: vec![qe_level(4, TcbStatus::UpToDate, &[]), qe_level(2, TcbStatus::OutOfDate, &["SA-Q"])],
    }
}
