//! What verified evidence says.

use crate::replay::{PcrLog, Replayed};
use crate::snp::SnpClaims;
use crate::{AnchorId, AzVtpmClaims, CcaClaims, CsvClaims, NitroClaims, NvidiaClaims, TcbStatus, TpmClaims};
use sealwright_wire::{Digest, Tee, quote::Body, sgx, tdx, time::UnixTime};
use serde::{Serialize, Serializer, ser::SerializeMap};

/// What a vendor's hardware vouches for: made by verification alone, so that holding one proves that it happened.
///
/// As JSON (the policy's input): `tee`, `anchor`, `at`, `collateral_expires`, `tcb` (where the vendor judges security versions), `debug` (where evidence tells), `report_data`,
/// `evidence_sha384`, `quote_version` (of a quote), `trailing_bytes`, then the claims under the name of their kind ([`Claims`]), then
/// `log`. Bytes are lower-case hex, times RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facts {
    pub(crate) tee: Tee,
    pub(crate) anchor: AnchorId,
    pub(crate) at: UnixTime,
    pub(crate) collateral_expires: UnixTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tcb: Option<Tcb>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) debug: Option<bool>,
    #[serde(serialize_with = "hex::serialize")]
    pub(crate) report_data: Vec<u8>,
    pub(crate) evidence_sha384: Digest<48>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quote_version: Option<u16>,
    pub(crate) trailing_bytes: usize,
    #[serde(flatten)]
    pub(crate) claims: Claims,
    #[serde(serialize_with = "log_facts")]
    pub(crate) log: Option<Log>,
}

impl Facts {
    /// The kind of environment.
    pub const fn tee(&self) -> Tee {
        self.tee
    }

    /// The root that vouches for all of this.
    pub const fn anchor(&self) -> &AnchorId {
        &self.anchor
    }

    /// The time at which the evidence was verified.
    pub const fn at(&self) -> UnixTime {
        self.at
    }

    /// The last second at which all of the certificates, revocation lists and documents behind this are valid; the end of the year 9999 where a
    /// vendor's certificates have no dates (CSV).
    pub const fn collateral_expires(&self) -> UnixTime {
        self.collateral_expires
    }

    /// How the vendor judges the platform's security versions: Intel does. Where a vendor does not, the versions are among the claims,
    /// and which of them are good enough is for the policy to say.
    pub const fn tcb(&self) -> Option<&Tcb> {
        self.tcb.as_ref()
    }

    /// Whether the host may look into the environment: an enclave's DEBUG bit, any bit of the "under debug" group of a trust domain (debug,
    /// profiling), DEBUG in the policy of an SEV-SNP guest, a CSV guest's policy without NODBG. `None` where evidence cannot tell: a TPM's and a
    /// GPU's.
    pub const fn debug(&self) -> Option<bool> {
        self.debug
    }

    /// The bytes of the environment's own choice: 64 in a report, up to 64 in a TPM's quote, up to 1024 in a Nitro document (its `user_data`);
    /// for a GPU the 32 of its verifier's nonce.
    pub fn report_data(&self) -> &[u8] {
        &self.report_data
    }

    /// SHA-384 of the quote from its header to the end of its signature data, or of other evidence up to its end: the name of this evidence.
    pub const fn evidence_sha384(&self) -> Digest<48> {
        self.evidence_sha384
    }

    /// Version of the quote's layout, where the evidence is a quote of Intel's.
    pub const fn quote_version(&self) -> Option<u16> {
        self.quote_version
    }

    /// How many bytes came behind the signature data. Nothing vouches for them.
    pub const fn trailing_bytes(&self) -> usize {
        self.trailing_bytes
    }

    /// What the report says about the environment.
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The event log as replayed against the quote's registers; `None` when the evidence has none, and where it is a TPM's.
    pub const fn log(&self) -> Option<&Replayed> {
        if let Some(Log::Rtmrs(log)) = &self.log { Some(log) } else { None }
    }

    /// The event log and IMA list as replayed against a TPM's PCRs; `None` when the evidence has neither, and where it is no TPM's.
    pub const fn pcr_log(&self) -> Option<&PcrLog> {
        if let Some(Log::Pcrs(log)) = &self.log { Some(log) } else { None }
    }
}

/// A log as replayed, by the registers that it was held against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant)] // most are trust domains', and nobody keeps many
pub(crate) enum Log {
    /// A trust domain's.
    Rtmrs(Replayed),
    /// A TPM's.
    Pcrs(PcrLog),
}

/// What a report says about its environment, by kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
#[allow(clippy::large_enum_variant)] // most are trust domains, and nobody keeps many
pub enum Claims {
    /// A trust domain.
    Tdx(TdxClaims),
    /// An enclave.
    Sgx(SgxClaims),
    /// An SEV-SNP guest.
    Snp(SnpClaims),
    /// A Nitro enclave.
    Nitro(NitroClaims),
    /// A realm of Arm CCA.
    Cca(Box<CcaClaims>),
    /// A GPU.
    Nvidia(Box<NvidiaClaims>),
    /// A machine with a TPM.
    Tpm(TpmClaims),
    /// An SEV-SNP guest of Azure, behind the vTPM of its paravisor.
    #[serde(rename = "az-snp-vtpm")]
    AzSnpVtpm(AzVtpmClaims),
    /// A TDX guest of Azure, behind the vTPM of its paravisor.
    #[serde(rename = "az-tdx-vtpm")]
    AzTdxVtpm(AzVtpmClaims),
    /// A guest of Hygon CSV.
    Csv(CsvClaims),
}

impl Claims {
    /// The trust domain's claims, when it is one.
    pub const fn tdx(&self) -> Option<&TdxClaims> {
        if let Self::Tdx(claims) = self { Some(claims) } else { None }
    }

    /// The enclave's claims, when it is one.
    pub const fn sgx(&self) -> Option<&SgxClaims> {
        if let Self::Sgx(claims) = self { Some(claims) } else { None }
    }

    /// The SEV-SNP guest's claims, when it is one.
    pub const fn snp(&self) -> Option<&SnpClaims> {
        if let Self::Snp(claims) = self { Some(claims) } else { None }
    }

    /// The Nitro enclave's claims, when it is one.
    pub const fn nitro(&self) -> Option<&NitroClaims> {
        if let Self::Nitro(claims) = self { Some(claims) } else { None }
    }

    /// The realm's claims, when it is one.
    pub const fn cca(&self) -> Option<&CcaClaims> {
        if let Self::Cca(claims) = self { Some(claims) } else { None }
    }

    /// The GPU's claims, when it is one.
    pub const fn nvidia(&self) -> Option<&NvidiaClaims> {
        if let Self::Nvidia(claims) = self { Some(claims) } else { None }
    }

    /// The TPM's claims, when it is one, a paravisor's vTPM included.
    pub const fn tpm(&self) -> Option<&TpmClaims> {
        match self {
            Self::Tpm(claims) => Some(claims),
            Self::AzSnpVtpm(claims) | Self::AzTdxVtpm(claims) => Some(&claims.tpm),
            _ => None,
        }
    }

    /// The claims of a guest of Azure, when it is one.
    pub const fn az_vtpm(&self) -> Option<&AzVtpmClaims> {
        if let Self::AzSnpVtpm(claims) | Self::AzTdxVtpm(claims) = self { Some(claims) } else { None }
    }

    /// The CSV guest's claims, when it is one.
    pub const fn csv(&self) -> Option<&CsvClaims> {
        if let Self::Csv(claims) = self { Some(claims) } else { None }
    }

    pub(crate) fn new(body: &Body<'_>) -> Self {
        match body {
            Body::Sgx(report) => Self::Sgx(SgxClaims::new(report)),
            Body::Td10(report) => Self::Tdx(TdxClaims::new(body.name(), report)),
            Body::Td15(report) => Self::Tdx(TdxClaims::of_15(body.name(), report)),
            Body::Td15Ex(report) => Self::Tdx(TdxClaims {
                extended: Some(TdxExtendedClaims::new(report)),
                ..TdxClaims::of_15(body.name(), &report.base)
            }),
        }
    }
}

/// Claims of a trust domain; names as in [`sealwright_wire::tdx::ReportBody10`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // registers are documented where their layout is
#[non_exhaustive]
pub struct TdxClaims {
    pub mrtd: Digest<48>,
    pub rtmr0: Digest<48>,
    pub rtmr1: Digest<48>,
    pub rtmr2: Digest<48>,
    pub rtmr3: Digest<48>,
    pub mr_seam: Digest<48>,
    pub mr_signer_seam: Digest<48>,
    pub seam_attributes: Digest<8>,
    pub td_attributes: Digest<8>,
    pub xfam: Digest<8>,
    pub mr_config_id: Digest<48>,
    pub mr_owner: Digest<48>,
    pub mr_owner_config: Digest<48>,
    pub tee_tcb_svn: Digest<16>,
    /// The bits of `td_attributes`; as JSON its members are among the others.
    #[serde(flatten)]
    pub attribute_bits: TdAttributes,
    /// Layout of the report: `td10`, `td15` or `td15ex`.
    pub body: &'static str,
    /// TDX 1.5 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tee_tcb_svn2: Option<Digest<16>>,
    /// TDX 1.5 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mr_service_td: Option<Digest<48>>,
    /// Extended TDX 1.5 only; as JSON its members are among the others.
    #[serde(flatten)]
    pub extended: Option<TdxExtendedClaims>,
}

/// The attributes of a trust domain; names as in [`sealwright_wire::tdx::TdAttributes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // bits are documented where their layout is
#[non_exhaustive]
pub struct TdAttributes {
    pub debug: bool,
    pub hgs_plus_prof: bool,
    pub perf_prof: bool,
    pub pmt_prof: bool,
    pub icssd: bool,
    /// Only a `td15ex` report says which service domains are bound.
    pub servtd_ext: bool,
    pub lass: bool,
    pub sept_ve_disable: bool,
    pub migratable: bool,
    pub pks: bool,
    pub kl: bool,
    pub tpa: bool,
    pub perfmon: bool,
}

impl From<tdx::TdAttributes> for TdAttributes {
    fn from(attributes: tdx::TdAttributes) -> Self {
        Self {
            debug: attributes.debug(),
            hgs_plus_prof: attributes.hgs_plus_prof(),
            perf_prof: attributes.perf_prof(),
            pmt_prof: attributes.pmt_prof(),
            icssd: attributes.icssd(),
            servtd_ext: attributes.servtd_ext(),
            lass: attributes.lass(),
            sept_ve_disable: attributes.sept_ve_disable(),
            migratable: attributes.migratable(),
            pks: attributes.pks(),
            kl: attributes.kl(),
            tpa: attributes.tpa(),
            perfmon: attributes.perfmon(),
        }
    }
}

/// What only the extended report of TDX 1.5 says; names as in [`sealwright_wire::tdx::ReportBody15Ex`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // fields are documented where their layout is
#[non_exhaustive]
pub struct TdxExtendedClaims {
    pub vm_id: u8,
    pub td_id: Digest<32>,
    pub dev_info: Digest<48>,
    pub init_service_td_hash: Digest<48>,
    pub init_service_td_attributes: Digest<8>,
    pub init_cpu_svn: Digest<16>,
    pub init_tee_tcb_svn: Digest<16>,
    pub init_tee_fmspc: Digest<12>,
    pub cur_service_td_hash: Digest<48>,
    pub cur_service_td_attributes: Digest<8>,
}

impl TdxExtendedClaims {
    fn new(report: &tdx::ReportBody15Ex) -> Self {
        Self {
            vm_id: report.vm_id,
            td_id: Digest(report.td_id),
            dev_info: Digest(report.dev_info),
            init_service_td_hash: Digest(report.init_service_td_hash),
            init_service_td_attributes: Digest(report.init_service_td_attributes),
            init_cpu_svn: Digest(report.init_cpu_svn),
            init_tee_tcb_svn: Digest(report.init_tee_tcb_svn),
            init_tee_fmspc: Digest(report.init_tee_fmspc),
            cur_service_td_hash: Digest(report.cur_service_td_hash),
            cur_service_td_attributes: Digest(report.cur_service_td_attributes),
        }
    }
}

impl TdxClaims {
    fn of_15(body: &'static str, report: &tdx::ReportBody15) -> Self {
        Self {
            tee_tcb_svn2: Some(Digest(report.tee_tcb_svn2)),
            mr_service_td: Some(Digest(report.mr_service_td)),
            ..Self::new(body, &report.base)
        }
    }

    fn new(body: &'static str, report: &tdx::ReportBody10) -> Self {
        let [rtmr0, rtmr1, rtmr2, rtmr3] = report.rt_mr.map(Digest);
        Self {
            mrtd: Digest(report.mr_td),
            rtmr0,
            rtmr1,
            rtmr2,
            rtmr3,
            mr_seam: Digest(report.mr_seam),
            mr_signer_seam: Digest(report.mr_signer_seam),
            seam_attributes: Digest(report.seam_attributes),
            td_attributes: Digest(report.td_attributes),
            xfam: Digest(report.xfam),
            mr_config_id: Digest(report.mr_config_id),
            mr_owner: Digest(report.mr_owner),
            mr_owner_config: Digest(report.mr_owner_config),
            tee_tcb_svn: Digest(report.tee_tcb_svn),
            attribute_bits: report.attributes().into(),
            body,
            tee_tcb_svn2: None,
            mr_service_td: None,
            extended: None,
        }
    }
}

/// Claims of an enclave; names as in [`sealwright_wire::sgx::ReportBody`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // fields are documented where their layout is
#[non_exhaustive]
pub struct SgxClaims {
    pub mr_enclave: Digest<32>,
    pub mr_signer: Digest<32>,
    pub isv_prod_id: u16,
    pub isv_svn: u16,
    pub attributes: Digest<16>,
    /// The parts of `attributes`; as JSON its members are among the others.
    #[serde(flatten)]
    pub attribute_bits: SgxAttributes,
    pub misc_select: Digest<4>,
    pub cpu_svn: Digest<16>,
    pub config_id: Digest<64>,
    pub config_svn: u16,
    pub isv_ext_prod_id: Digest<16>,
    pub isv_family_id: Digest<16>,
}

impl SgxClaims {
    fn new(report: &sgx::ReportBody) -> Self {
        Self {
            mr_enclave: Digest(report.mr_enclave),
            mr_signer: Digest(report.mr_signer),
            isv_prod_id: report.isv_prod_id.get(),
            isv_svn: report.isv_svn.get(),
            attributes: Digest(report.attributes),
            attribute_bits: report.attributes().into(),
            misc_select: Digest(report.misc_select.to_bytes()),
            cpu_svn: Digest(report.cpu_svn),
            config_id: Digest(report.config_id),
            config_svn: report.config_svn.get(),
            isv_ext_prod_id: Digest(report.isv_ext_prod_id),
            isv_family_id: Digest(report.isv_family_id),
        }
    }
}

/// The attributes of an enclave; names as in [`sealwright_wire::sgx::Attributes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // bits are documented where their layout is
#[non_exhaustive]
pub struct SgxAttributes {
    pub init: bool,
    pub debug: bool,
    pub mode64bit: bool,
    pub provision_key: bool,
    pub einittoken_key: bool,
    pub cet: bool,
    pub kss: bool,
    pub aex_notify: bool,
    pub xfrm: Digest<8>,
}

impl From<sgx::Attributes> for SgxAttributes {
    fn from(attributes: sgx::Attributes) -> Self {
        Self {
            init: attributes.init(),
            debug: attributes.debug(),
            mode64bit: attributes.mode64bit(),
            provision_key: attributes.provision_key(),
            einittoken_key: attributes.einittoken_key(),
            cet: attributes.cet(),
            kss: attributes.kss(),
            aex_notify: attributes.aex_notify(),
            xfrm: Digest(attributes.xfrm()),
        }
    }
}

/// How the vendor judges the platform that made the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Tcb {
    /// The verdict over platform, TDX module and quoting enclave together.
    pub status: TcbStatus,
    /// Advisories that apply to any of them. They may come with any status, `UpToDate` too.
    pub advisories: Vec<String>,
    /// Which security versions are below those of the highest levels, in words; empty when there is nothing to update.
    pub below_highest: Vec<String>,
    /// All advisories up to this date were taken into account (the oldest of the three).
    pub date: UnixTime,
    /// TCB evaluation data number (the lower one of TCB info and QE identity); grows with each TCB recovery.
    pub evaluation_number: u32,
    /// Model of the platform.
    pub fmspc: Digest<6>,
    /// Provisioning certification enclave.
    pub pce_id: Digest<2>,
    /// Security version of the provisioning certification enclave.
    pub pce_svn: u16,
    /// Security versions of the processor, as certified.
    pub cpu_svn: Digest<16>,
    /// The verdict on the platform alone (at launch of a trust domain).
    pub platform_status: TcbStatus,
    /// The verdict on the quoting enclave alone.
    pub qe_status: TcbStatus,
    /// The verdict on the TDX module alone; none for SGX and for modules of major version 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module_status: Option<TcbStatus>,
    /// The verdict on the platform as it is now, after updates that the trust domain survived (TDX 1.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_status: Option<TcbStatus>,
    /// Whether simultaneous multithreading is on, where the certificate says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smt_enabled: Option<bool>,
    /// Whether packages can be added without a new registration, where the certificate says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynamic_platform: Option<bool>,
    /// Whether the vendor keeps the platform's root keys, where the certificate says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_keys: Option<bool>,
}

/// `log` as the policy sees it: an absent log is an object too, so that a rule can ask for `log.present`.
fn log_facts<S: Serializer>(log: &Option<Log>, serializer: S) -> Result<S::Ok, S::Error> {
    if let Some(log) = log {
        return log.serialize(serializer);
    }
    let nothing: [&str; 0] = [];
    let mut map = serializer.serialize_map(Some(4))?;
    map.serialize_entry("present", &false)?;
    map.serialize_entry("enforced", &nothing)?;
    map.serialize_entry("unexplained", &nothing)?;
    map.serialize_entry("runtime", &nothing)?;
    map.end()
}
