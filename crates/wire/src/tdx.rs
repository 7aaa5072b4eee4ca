//! What a TDX trust domain's report says, in its three generations, and the report itself (TDREPORT) as the processor
//! hands it to the domain.

use crate::Tee;
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// TD quote body of TDX 1.0 (Intel TDX DCAP Quoting Library API, appendix A.3.2 "TD Quote Body"), 584 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBody10 {
    /// TEE_TCB_SVN: security versions of the TDX module and platform at launch, 16 components; component 1 is the module's
    /// major version, component 0 its minor one (offset 0x00).
    pub tee_tcb_svn: [u8; 16],
    /// MRSEAM: SHA-384 of the TDX module (0x10).
    pub mr_seam: [u8; 48],
    /// MRSIGNERSEAM: SHA-384 of the module's signing key; zero for modules of Intel (0x40).
    pub mr_signer_seam: [u8; 48],
    /// SEAMATTRIBUTES: attributes of the module; zero for TDX 1.0 and 1.5 (0x70).
    pub seam_attributes: [u8; 8],
    /// TDATTRIBUTES, see [`TdAttributes`] (0x78).
    pub td_attributes: [u8; 8],
    /// XFAM: extended features that the domain may use (0x80).
    pub xfam: [u8; 8],
    /// MRTD: SHA-384 over the domain's initial contents (0x88).
    pub mr_td: [u8; 48],
    /// MRCONFIGID: identity of the configuration that its owner gave (0xB8).
    pub mr_config_id: [u8; 48],
    /// MROWNER: identity of the domain's owner (0xE8).
    pub mr_owner: [u8; 48],
    /// MROWNERCONFIG: the owner's configuration (0x118).
    pub mr_owner_config: [u8; 48],
    /// RTMR0 to RTMR3: registers that only grow by SHA-384 extends (0x148).
    pub rt_mr: [[u8; 48]; 4],
    /// REPORTDATA: 64 bytes of the domain's own choice (0x208).
    pub report_data: [u8; 64],
}

const _: () = assert!(size_of::<ReportBody10>() == 584);

impl ReportBody10 {
    /// The kind of environment that this structure describes.
    pub const TEE: Tee = Tee::Tdx;

    /// TDATTRIBUTES with names for its bits.
    pub const fn attributes(&self) -> TdAttributes {
        TdAttributes(self.td_attributes)
    }

    /// Major version of the TDX module at launch; above 0 a `TDX_nn` module identity judges the module (TEE_TCB_SVN\[1\]).
    pub const fn module_version(&self) -> u8 {
        self.tee_tcb_svn[1]
    }
}

/// TD quote body of TDX 1.5 (Intel TDX DCAP Quoting Library API, appendix A.4.4, body type 3), 648 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBody15 {
    /// What TDX 1.0 says (offset 0x000).
    pub base: ReportBody10,
    /// TEE_TCB_SVN2: security versions now, after updates of the module that the domain survived (0x248).
    pub tee_tcb_svn2: [u8; 16],
    /// MRSERVICETD: SHA-384 over the service domains bound to this one; zero without any (0x258).
    pub mr_service_td: [u8; 48],
}

const _: () = assert!(size_of::<ReportBody15>() == 648);

/// TD quote body of extended TDX 1.5 (body type 4, in quotes since 2026), 885 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBody15Ex {
    /// What TDX 1.5 says (offset 0x000).
    pub base: ReportBody15,
    /// Index of the virtual machine in a partitioned domain (0x288).
    pub vm_id: u8,
    /// Identity of the domain (0x289).
    pub td_id: [u8; 32],
    /// Devices bound to the domain (0x2A9).
    pub dev_info: [u8; 48],
    /// Hash of the service domains at launch (0x2D9).
    pub init_service_td_hash: [u8; 48],
    /// Attributes of the service domains at launch (0x309).
    pub init_service_td_attributes: [u8; 8],
    /// CPUSVN at launch (0x311).
    pub init_cpu_svn: [u8; 16],
    /// TEE_TCB_SVN at launch (0x321).
    pub init_tee_tcb_svn: [u8; 16],
    /// FMSPC of the platform at launch (0x331).
    pub init_tee_fmspc: [u8; 12],
    /// Hash of the service domains now (0x33D).
    pub cur_service_td_hash: [u8; 48],
    /// Attributes of the service domains now (0x36D).
    pub cur_service_td_attributes: [u8; 8],
}

const _: () = assert!(size_of::<ReportBody15Ex>() == 885);

/// TDATTRIBUTES (Intel TDX Module ABI Specification, "ATTRIBUTES"): 64 bits, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TdAttributes(pub [u8; 8]);

impl TdAttributes {
    /// The 64 bits as an integer.
    pub const fn bits(self) -> u64 {
        u64::from_le_bytes(self.0)
    }

    /// The domain's memory and registers can be read and changed by the host (DEBUG, bit 0).
    pub const fn debug(self) -> bool {
        self.bit(0)
    }

    /// The host schedules the domain by a profile of what it executes (HGS_PLUS_PROF, bit 4).
    pub const fn hgs_plus_prof(self) -> bool {
        self.bit(4)
    }

    /// The host profiles the domain with performance counters (PERF_PROF, bit 5).
    pub const fn perf_prof(self) -> bool {
        self.bit(5)
    }

    /// The host profiles the domain with the core's telemetry (PMT_PROF, bit 6).
    pub const fn pmt_prof(self) -> bool {
        self.bit(6)
    }

    /// Any bit of the group that puts the domain under debug or profiling by the host (TUD, bits 0 to 7).
    pub const fn under_debug(self) -> bool {
        self.bits() & 0xff != 0
    }

    /// ICSSD (bit 16).
    pub const fn icssd(self) -> bool {
        self.bit(16)
    }

    /// Service domains may be bound after launch, and the extended report tells of them (SERVTD_EXT, bit 17).
    pub const fn servtd_ext(self) -> bool {
        self.bit(17)
    }

    /// Linear address space separation (LASS, bit 27).
    pub const fn lass(self) -> bool {
        self.bit(27)
    }

    /// The host cannot inject #VE by taking pages away (SEPT_VE_DISABLE, bit 28).
    pub const fn sept_ve_disable(self) -> bool {
        self.bit(28)
    }

    /// The domain may be migrated to another machine (MIGRATABLE, bit 29).
    pub const fn migratable(self) -> bool {
        self.bit(29)
    }

    /// Supervisor protection keys (PKS, bit 30).
    pub const fn pks(self) -> bool {
        self.bit(30)
    }

    /// Key locker (KL, bit 31).
    pub const fn kl(self) -> bool {
        self.bit(31)
    }

    /// The domain is the TEE-IO provisioning agent (TPA, bit 62).
    pub const fn tpa(self) -> bool {
        self.bit(62)
    }

    /// The domain may use performance counters (PERFMON, bit 63).
    pub const fn perfmon(self) -> bool {
        self.bit(63)
    }

    const fn bit(self, index: u32) -> bool {
        self.bits() & 1u64.rotate_left(index) != 0
    }
}

/// TDREPORT_STRUCT (Intel TDX Module ABI Specification, "TDREPORT_STRUCT"), 1024 bytes: what TDG.MR.REPORT returns. Its
/// authentication code holds on the machine that made it and nowhere else; the quoting enclave turns it into a quote.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct TdReport {
    /// REPORTMACSTRUCT: what the processor authenticates (offset 0x000).
    pub mac: ReportMac,
    /// TEE_TCB_INFO: the module that made the report (0x100).
    pub tee_tcb_info: TeeTcbInfo,
    /// Reserved, zero (0x1EF).
    pub reserved: [u8; 17],
    /// TDINFO_STRUCT: the domain itself (0x200).
    pub td_info: TdInfo,
}

const _: () = assert!(size_of::<TdReport>() == 1024);

/// REPORTMACSTRUCT (Intel TDX Module ABI Specification), 256 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportMac {
    /// REPORTTYPE: type 0x81 for TDX, then subtype, version and a reserved byte (offset 0x00).
    pub report_type: U32,
    /// Reserved, zero (0x04).
    pub reserved1: [u8; 12],
    /// CPUSVN (0x10).
    pub cpu_svn: [u8; 16],
    /// SHA-384 of TEE_TCB_INFO (0x20).
    pub tee_tcb_info_hash: [u8; 48],
    /// SHA-384 of TDINFO_STRUCT (0x50).
    pub tee_info_hash: [u8; 48],
    /// REPORTDATA (0x80).
    pub report_data: [u8; 64],
    /// Reserved, zero (0xC0).
    pub reserved2: [u8; 32],
    /// HMAC-SHA-256 under a key of this processor (0xE0).
    pub mac: [u8; 32],
}

const _: () = assert!(size_of::<ReportMac>() == 256);

impl ReportMac {
    /// The first byte of REPORTTYPE in a report of a trust domain.
    pub const TYPE_TDX: u8 = 0x81;
}

/// TEE_TCB_INFO (Intel TDX Module ABI Specification), 239 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct TeeTcbInfo {
    /// VALID: which of the fields below hold a value (offset 0x00).
    pub valid: [u8; 8],
    /// TEE_TCB_SVN (0x08).
    pub tee_tcb_svn: [u8; 16],
    /// MRSEAM (0x18).
    pub mr_seam: [u8; 48],
    /// MRSIGNERSEAM (0x48).
    pub mr_signer_seam: [u8; 48],
    /// ATTRIBUTES of the module (0x78).
    pub seam_attributes: [u8; 8],
    /// TEE_TCB_SVN2 (0x80).
    pub tee_tcb_svn2: [u8; 16],
    /// Reserved (0x90).
    pub reserved: [u8; 95],
}

const _: () = assert!(size_of::<TeeTcbInfo>() == 239);

/// TDINFO_STRUCT (Intel TDX Module ABI Specification), 512 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct TdInfo {
    /// TDATTRIBUTES (offset 0x00).
    pub td_attributes: [u8; 8],
    /// XFAM (0x08).
    pub xfam: [u8; 8],
    /// MRTD (0x10).
    pub mr_td: [u8; 48],
    /// MRCONFIGID (0x40).
    pub mr_config_id: [u8; 48],
    /// MROWNER (0x70).
    pub mr_owner: [u8; 48],
    /// MROWNERCONFIG (0xA0).
    pub mr_owner_config: [u8; 48],
    /// RTMR0 to RTMR3 (0xD0).
    pub rt_mr: [[u8; 48]; 4],
    /// SERVTD_HASH (0x190).
    pub serv_td_hash: [u8; 48],
    /// Reserved (0x1C0).
    pub reserved: [u8; 64],
}

const _: () = assert!(size_of::<TdInfo>() == 512);

impl TdInfo {
    /// TDATTRIBUTES with names for its bits.
    pub const fn attributes(&self) -> TdAttributes {
        TdAttributes(self.td_attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attribute_bits_have_their_places() {
        let attributes = TdAttributes((1u64 << 28).to_le_bytes());
        assert!(attributes.sept_ve_disable() && !attributes.debug() && !attributes.migratable());
        assert_eq!(attributes.0, [0, 0, 0, 0x10, 0, 0, 0, 0]);
        assert!(TdAttributes((1u64 << 63).to_le_bytes()).perfmon());
        assert!(TdAttributes([0x10, 0, 0, 0, 0, 0, 0, 0]).under_debug());
    }
}
