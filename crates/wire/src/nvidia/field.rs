//! OpaqueData of a report: fields of type (2 bytes), size (2 bytes), data.

use super::{MAX_FIELDS, u16_len};
use crate::{Error, Reader};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// What a field of the opaque data is (nvtrust, `OPAQUE_DATA_TYPES`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum FieldKind {
            $($(#[$doc])* $name,)*
            /// A kind that is not known here.
            Other(u16),
        }

        impl FieldKind {
            /// The kind of this number.
            pub const fn from_number(number: u16) -> Self {
                match number {
                    $($number => Self::$name,)*
                    other => Self::Other(other),
                }
            }

            /// The kind's number.
            pub const fn number(self) -> u16 {
                match self {
                    $(Self::$name => $number,)*
                    Self::Other(number) => number,
                }
            }

            /// The kind's name in lower case; `None` where it is not known here.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($text),)*
                    Self::Other(_) => None,
                }
            }
        }
    };
}

kinds! {
    /// Name of the certificate's issuer.
    CertIssuerName = 1, "cert_issuer_name";
    /// Key identifier of the certificate's issuer.
    CertAuthorityKeyIdentifier = 2, "cert_authority_key_identifier";
    /// Version of the driver: text that ends in NUL.
    DriverVersion = 3, "driver_version";
    /// GPU_INFO.
    GpuInfo = 4, "gpu_info";
    /// SKU.
    Sku = 5, "sku";
    /// Version of the VBIOS: 8 bytes, see [`vbios_version`](super::Field::vbios_version).
    VbiosVersion = 6, "vbios_version";
    /// MANUFACTURER_ID.
    ManufacturerId = 7, "manufacturer_id";
    /// TAMPER_DETECTION.
    TamperDetection = 8, "tamper_detection";
    /// SMC.
    Smc = 9, "smc";
    /// VPR.
    Vpr = 10, "vpr";
    /// Whether the decoder NVDEC0 is on: 0xAA, or off: 0x55.
    Nvdec0Status = 11, "nvdec0_status";
    /// How often each measurement was extended: 32-bit integers.
    MeasurementCount = 12, "measurement_count";
    /// CPRINFO.
    CprInfo = 13, "cpr_info";
    /// BOARD_ID.
    BoardId = 14, "board_id";
    /// CHIP_SKU: text that ends in NUL.
    ChipSku = 15, "chip_sku";
    /// CHIP_SKU_MOD: text that ends in NUL.
    ChipSkuMod = 16, "chip_sku_mod";
    /// PROJECT: text that ends in NUL.
    Project = 17, "project";
    /// PROJECT_SKU: text that ends in NUL.
    ProjectSku = 18, "project_sku";
    /// PROJECT_SKU_MOD.
    ProjectSkuMod = 19, "project_sku_mod";
    /// FWID: SHA-384 of the firmware that has the signing key; as in its certificate.
    Fwid = 20, "fwid";
    /// Whether PCIe is protected: 0xAA, or not: 0x55.
    ProtectedPcieStatus = 21, "protected_pcie_status";
    /// SWITCH_PDI.
    SwitchPdi = 22, "switch_pdi";
    /// FLOORSWEPT_PORTS.
    FloorsweptPorts = 23, "floorswept_ports";
    /// POSITION_ID.
    PositionId = 24, "position_id";
    /// LOCK_SWITCH_STATUS.
    LockSwitchStatus = 25, "lock_switch_status";
    /// GPU_LINK_CONN.
    GpuLinkConn = 32, "gpu_link_conn";
    /// SYS_ENABLE_STATUS.
    SysEnableStatus = 33, "sys_enable_status";
    /// OPAQUE_DATA_VERSION: an integer.
    OpaqueDataVersion = 34, "opaque_data_version";
    /// CHIP_INFO: text that ends in NUL.
    ChipInfo = 35, "chip_info";
    /// FEATURE_FLAG: how many GPUs are protected together: 0 one (SPT), 1 several (MPT), 2 several over protected PCIe (PPCIE).
    FeatureFlag = 36, "feature_flag";
}

/// One field of the opaque data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// What it is.
    pub kind: FieldKind,
    /// Its content.
    pub data: &'a [u8],
}

impl<'a> Field<'a> {
    /// The content as text up to its NULs, if it is printable ASCII.
    pub fn text(&self) -> Option<&'a str> {
        let text = str::from_utf8(self.data).ok()?.trim_end_matches('\0');
        text.bytes().all(|byte| matches!(byte, b' '..=b'~')).then_some(text)
    }

    /// The content as a version of the VBIOS, as NVIDIA's tools print it: the first half of the bytes backwards, then the first byte of the
    /// second half (`96.00.9f.00.01`). `None` unless it has 8 bytes.
    pub fn vbios_version(&self) -> Option<String> {
        let [d, c, b, a, last, ..] = <[u8; 8]>::try_from(self.data).ok()?;
        Some(format!("{a:02x}.{b:02x}.{c:02x}.{d:02x}.{last:02x}"))
    }

    /// The content as 32-bit integers, if its length is a multiple of 4.
    pub fn integers(&self) -> Option<Vec<u32>> {
        let (chunks, rest) = self.data.as_chunks::<4>();
        rest.is_empty().then(|| chunks.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect())
    }
}

pub(super) fn fields<'a>(mut opaque: Reader<'a>) -> Result<Vec<Field<'a>>, Error> {
    let mut fields: Vec<Field<'a>> = Vec::new();
    while !opaque.is_empty() {
        let at = opaque.offset();
        if fields.len() == MAX_FIELDS {
            return Err(Error::too_long("OpaqueData", at, MAX_FIELDS, MAX_FIELDS.saturating_add(1)));
        }
        let kind = FieldKind::from_number(opaque.u16("DataType")?);
        if fields.iter().any(|other| other.kind == kind) {
            return Err(Error::unexpected("DataType", at, "each type once", kind.number()));
        }
        let len = usize::from(opaque.u16("DataSize")?);
        fields.push(Field { kind, data: opaque.bytes("Data", len)? });
    }
    Ok(fields)
}

pub(super) fn encode(fields: &[Field<'_>]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    for field in fields {
        bytes.extend(field.kind.number().to_le_bytes());
        bytes.extend(u16_len("DataSize", field.data.len())?.to_le_bytes());
        bytes.extend(field.data);
    }
    Ok(bytes)
}
