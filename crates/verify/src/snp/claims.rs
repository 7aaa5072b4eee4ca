//! What a verified report says.

use super::Vek;
use sealwright_wire::Digest;
use sealwright_wire::snp::{self, AttestationReport, FirmwareVersion, HwId, Tcb, Tcbs};
use serde::Serialize;

/// Claims of an SEV-SNP guest; names as in [`sealwright_wire::snp::AttestationReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // fields are documented where their layout is
#[non_exhaustive]
pub struct SnpClaims {
    /// Version of the report's layout.
    pub version: u32,
    /// The product line whose root vouches for the report: `Milan`, `Genoa` or `Turin`.
    pub product: &'static str,
    /// productName of the certificate, perhaps with a stepping.
    pub product_name: String,
    /// From version 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuid: Option<Cpuid>,
    pub guest_svn: u32,
    pub policy: GuestPolicy,
    pub family_id: Digest<16>,
    pub image_id: Digest<16>,
    pub vmpl: u32,
    pub measurement: Digest<48>,
    pub host_data: Digest<32>,
    pub id_key_digest: Digest<48>,
    pub author_key_digest: Digest<48>,
    /// Whether `author_key_digest` is that of a key.
    pub author_key_en: bool,
    pub report_id: Digest<32>,
    pub report_id_ma: Digest<32>,
    /// The kind of key that signed: `VCEK` or `VLEK`.
    pub signing_key: &'static str,
    pub mask_chip_key: bool,
    pub chip_id: Digest<64>,
    /// Whether the host masks the chip's identity: `chip_id` is then zero, and `hwid` alone names the chip.
    pub mask_chip_id: bool,
    /// hwID of the VCEK's certificate: 64 or 8 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hwid: Option<HwId>,
    /// cspID of the VLEK's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csp_id: Option<String>,
    pub current_tcb: Tcb,
    pub reported_tcb: Tcb,
    pub committed_tcb: Tcb,
    pub launch_tcb: Tcb,
    /// The firmware that runs.
    pub current_version: FirmwareVersion,
    /// The firmware below which the machine will not go again.
    pub committed_version: FirmwareVersion,
    /// From version 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch_mit_vector: Option<u64>,
    /// From version 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_mit_vector: Option<u64>,
    pub platform_info: PlatformInfo,
    /// Whether a revocation list was at hand, see [`Revocation`](super::Revocation).
    pub revocation_checked: bool,
}

/// The processor that a report names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // fields are documented where their layout is
#[non_exhaustive]
pub struct Cpuid {
    pub family: u8,
    pub model: u8,
    pub stepping: u8,
}

/// The guest's policy; names as in [`sealwright_wire::snp::GuestPolicy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // bits are documented where their layout is
#[non_exhaustive]
pub struct GuestPolicy {
    pub abi_major: u8,
    pub abi_minor: u8,
    pub smt: bool,
    pub migrate_ma: bool,
    pub debug: bool,
    pub single_socket: bool,
    pub cxl_allow: bool,
    pub mem_aes_256_xts: bool,
    pub rapl_dis: bool,
    pub ciphertext_hiding_dram: bool,
    pub page_swap_disable: bool,
}

impl From<snp::GuestPolicy> for GuestPolicy {
    fn from(policy: snp::GuestPolicy) -> Self {
        Self {
            abi_major: policy.abi_major(),
            abi_minor: policy.abi_minor(),
            smt: policy.smt(),
            migrate_ma: policy.migrate_ma(),
            debug: policy.debug(),
            single_socket: policy.single_socket(),
            cxl_allow: policy.cxl_allow(),
            mem_aes_256_xts: policy.mem_aes_256_xts(),
            rapl_dis: policy.rapl_dis(),
            ciphertext_hiding_dram: policy.ciphertext_hiding_dram(),
            page_swap_disable: policy.page_swap_disable(),
        }
    }
}

/// What is on in the platform; names as in [`sealwright_wire::snp::PlatformInfo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // bits are documented where their layout is
#[non_exhaustive]
pub struct PlatformInfo {
    pub smt_en: bool,
    pub tsme_en: bool,
    pub ecc_en: bool,
    pub rapl_dis: bool,
    pub ciphertext_hiding_dram_en: bool,
    pub alias_check_complete: bool,
    pub tio_en: bool,
}

impl From<snp::PlatformInfo> for PlatformInfo {
    fn from(info: snp::PlatformInfo) -> Self {
        Self {
            smt_en: info.smt_en(),
            tsme_en: info.tsme_en(),
            ecc_en: info.ecc_en(),
            rapl_dis: info.rapl_dis(),
            ciphertext_hiding_dram_en: info.ciphertext_hiding_dram_en(),
            alias_check_complete: info.alias_check_complete(),
            tio_en: info.tio_en(),
        }
    }
}

impl SnpClaims {
    pub(super) fn new(report: &AttestationReport, tcbs: &Tcbs, vek: &Vek) -> Self {
        let (collateral, extensions, signer) = (vek.collateral(), vek.extensions(), report.signer());
        let (launch_mit_vector, current_mit_vector) = report.mit_vectors().unzip();
        Self {
            version: report.version.get(),
            product: collateral.product().name(),
            product_name: extensions.product_name.clone(),
            cpuid: report.cpuid().map(|(family, model, stepping)| Cpuid { family, model, stepping }),
            guest_svn: report.guest_svn.get(),
            policy: report.guest_policy().into(),
            family_id: Digest(report.family_id),
            image_id: Digest(report.image_id),
            vmpl: report.vmpl.get(),
            measurement: Digest(report.measurement),
            host_data: Digest(report.host_data),
            id_key_digest: Digest(report.id_key_digest),
            author_key_digest: Digest(report.author_key_digest),
            author_key_en: signer.author_key_en(),
            report_id: Digest(report.report_id),
            report_id_ma: Digest(report.report_id_ma),
            signing_key: signer.signing_key().name(),
            mask_chip_key: signer.mask_chip_key(),
            chip_id: Digest(report.chip_id),
            mask_chip_id: report.chip_id == [0; 64],
            hwid: extensions.hwid,
            csp_id: extensions.csp_id.clone(),
            current_tcb: tcbs.current,
            reported_tcb: tcbs.reported,
            committed_tcb: tcbs.committed,
            launch_tcb: tcbs.launch,
            current_version: report.current,
            committed_version: report.committed,
            launch_mit_vector,
            current_mit_vector,
            platform_info: report.platform().into(),
            revocation_checked: collateral.crl_issue().is_some(),
        }
    }
}
