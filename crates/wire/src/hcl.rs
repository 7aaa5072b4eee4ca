//! The report of Azure's paravisor (HCL, OpenHCL): a hardware report and the claims that it binds, and the evidence around it.
//!
//! Read by the guest from its vTPM (NV index 0x01400001). Little-endian:
//!
//! ```text
//! 0x000    32  header: "HCLA", u32 version, u32 report size, u32 request type, u32 status, 12 reserved
//! 0x020  1184  hardware report: an SEV-SNP report, or a TDREPORT of 1024 bytes and zeros
//! 0x4c0    20  u32 data size, u32 version, u32 report type, u32 hash type, u32 claims size
//! 0x4d4        runtime claims in JSON; then zeros to the size of the NV index
//! ```
//!
//! Source: microsoft/openvmm, `openhcl_attestation_protocol` (`igvm_attest`, `vmgs`), and kinvolk/azure-cvm-tooling, `az-cvm-vtpm`. The
//! report data of the hardware report begins with the hash of the claims' bytes; until a verified report says so, they are anybody's words.

mod evidence;

pub use evidence::{Evidence, Quote};

use crate::tcg2::AlgorithmId;
use crate::tpm;
use crate::{Error, Reader, Tee, json};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What a report begins with.
pub const SIGNATURE: [u8; 4] = *b"HCLA";
/// Bytes of the hardware report.
pub const HARDWARE_REPORT: usize = 1184;
/// The most claims that are read, in bytes.
pub const MAX_CLAIMS: usize = 64 << 10;
/// The most keys of the runtime claims, and the most operations of a key. Real ones have two keys.
const MAX_KEYS: usize = 16;

/// The header: `IgvmAttestationReportHeader`.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Header {
    /// [`SIGNATURE`].
    pub signature: [u8; 4],
    /// Version of the report; 1 and 2 are seen.
    pub version: U32,
    /// Bytes from the header to the end of the claims.
    pub report_size: U32,
    /// What the report was made for; 2 is an attestation key's certificate.
    pub request_type: U32,
    /// Unused.
    pub status: U32,
    /// Unused.
    pub reserved: [u8; 12],
}

/// What stands before the claims: `IgvmAttestRequestData`.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct RequestData {
    /// Bytes of this structure and the claims.
    pub data_size: U32,
    /// Version of this structure: 1.
    pub version: U32,
    /// See [`ReportType`].
    pub report_type: U32,
    /// Which hash of the claims the hardware report binds: 1 SHA-256, 2 SHA-384, 3 SHA-512.
    pub report_data_hash_type: U32,
    /// Bytes of the claims.
    pub variable_data_size: U32,
}

const _: () = assert!(size_of::<Header>() == 32 && size_of::<RequestData>() == 20);

/// What kind of hardware report it is: `IgvmAttestReportType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportType {
    /// 1: virtualisation-based security, which no hardware vouches for.
    Vbs,
    /// 2: an SEV-SNP report.
    Snp,
    /// 3: a trusted-launch VM, which no hardware vouches for.
    Tvm,
    /// 4: a TDREPORT.
    Tdx,
}

impl ReportType {
    /// The type's number.
    pub const fn number(self) -> u32 {
        match self {
            Self::Vbs => 1,
            Self::Snp => 2,
            Self::Tvm => 3,
            Self::Tdx => 4,
        }
    }

    /// Its name: `vbs`, `snp`, `tvm` or `tdx`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vbs => "vbs",
            Self::Snp => "snp",
            Self::Tvm => "tvm",
            Self::Tdx => "tdx",
        }
    }

    /// The kind of environment whose hardware makes such reports, if any does.
    pub const fn hardware(self) -> Option<Tee> {
        match self {
            Self::Snp => Some(Tee::Snp),
            Self::Tdx => Some(Tee::Tdx),
            Self::Vbs | Self::Tvm => None,
        }
    }

    fn from_number(number: u32) -> Option<Self> {
        [Self::Vbs, Self::Snp, Self::Tvm, Self::Tdx].into_iter().find(|kind| kind.number() == number)
    }
}

/// A report, parsed and borrowed. Nothing about it has been verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report<'a> {
    /// The header.
    pub header: &'a Header,
    /// The hardware report's bytes, zeros behind it included.
    pub hardware_report: &'a [u8; HARDWARE_REPORT],
    /// Which kind it is.
    pub report_type: ReportType,
    /// The hash by which the hardware report binds the claims.
    pub hash: AlgorithmId,
    /// The claims' bytes, exactly as they are hashed.
    pub claims: &'a [u8],
    /// Zeros behind the claims.
    pub padding: usize,
}

impl<'a> Report<'a> {
    /// Parses a report as the NV index holds it, with or without the zeros at its end.
    ///
    /// # Errors
    /// When signature, version, a type or a size is another, the sizes contradict each other, or something but zeros follows.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let header = reader.structure::<Header>("HCL report header")?;
        check_header(header)?;
        let hardware_report = reader.array("HCL hardware report")?;
        let at = reader.offset();
        let data = reader.structure::<RequestData>("HCL request data")?;
        let (report_type, hash) = check_data(data, at)?;
        let size_at = at.saturating_add(16);
        let size = usize::try_from(data.variable_data_size.get()).unwrap_or(usize::MAX);
        if size > MAX_CLAIMS {
            return Err(Error::too_long("variable data size", size_at, MAX_CLAIMS, size));
        }
        let claims = reader.bytes("runtime claims", size)?;
        check_size("data size", at, data.data_size.get(), size.saturating_add(size_of::<RequestData>()))?;
        check_size("report size", 8, header.report_size.get(), reader.offset())?;
        if let Some(place) = reader.rest().iter().position(|byte| *byte != 0) {
            let at = reader.offset().saturating_add(place);
            return Err(Error::unexpected("HCL report padding", at, "zeros to the end", "something else"));
        }
        Ok(Self { header, hardware_report, report_type, hash, claims, padding: reader.rest().len() })
    }

    /// The report's bytes without the zeros at its end.
    ///
    /// # Errors
    /// When the claims are longer than [`MAX_CLAIMS`].
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        encode(self.header, self.hardware_report, self.report_type, self.hash, self.claims)
    }
}

/// Writes a report for claims; sizes, types and signature are made to fit. The hardware report must bind the claims by itself.
///
/// # Errors
/// When the claims are longer than [`MAX_CLAIMS`], or the hash is none of those that a report can name.
pub fn encode(
    header: &Header,
    hardware_report: &[u8; HARDWARE_REPORT],
    report_type: ReportType,
    hash: AlgorithmId,
    claims: &[u8],
) -> Result<Vec<u8>, Error> {
    let too_long = || Error::too_long("runtime claims", 0, MAX_CLAIMS, claims.len());
    let size = u32::try_from(claims.len()).ok().filter(|_| claims.len() <= MAX_CLAIMS).ok_or_else(too_long)?;
    let hash = HASHES.iter().find(|(_, known)| *known == hash);
    let (hash_type, _) = hash.ok_or_else(|| Error::unexpected("report data hash type", 0, HASH_NAMES, "another"))?;
    let data = RequestData {
        data_size: U32::new(size.saturating_add(20)),
        version: U32::new(1),
        report_type: U32::new(report_type.number()),
        report_data_hash_type: U32::new(*hash_type),
        variable_data_size: U32::new(size),
    };
    let report_size = U32::new(size.saturating_add(32 + 1184 + 20));
    let header = Header { signature: SIGNATURE, report_size, ..*header };
    Ok([header.as_bytes(), hardware_report, data.as_bytes(), claims].concat())
}

const HASHES: [(u32, AlgorithmId); 3] = [(1, AlgorithmId::SHA256), (2, AlgorithmId::SHA384), (3, AlgorithmId::SHA512)];
const HASH_NAMES: &str = "1 (SHA-256), 2 (SHA-384) or 3 (SHA-512)";

fn check_header(header: &Header) -> Result<(), Error> {
    if header.signature != SIGNATURE {
        return Err(Error::unexpected("HCL report signature", 0, "HCLA", hex::encode(header.signature)));
    }
    let version = header.version.get();
    if !(1..=2).contains(&version) {
        return Err(Error::unexpected("HCL report version", 4, "1 or 2", version));
    }
    Ok(())
}

fn check_data(data: &RequestData, at: usize) -> Result<(ReportType, AlgorithmId), Error> {
    let version = data.version.get();
    if version != 1 {
        return Err(Error::unexpected("HCL request data version", at.saturating_add(4), "1", version));
    }
    let number = data.report_type.get();
    let report_type = ReportType::from_number(number).ok_or_else(|| {
        Error::unexpected("HCL report type", at.saturating_add(8), "1 (VBS), 2 (SNP), 3 (TVM) or 4 (TDX)", number)
    })?;
    let number = data.report_data_hash_type.get();
    let hash = HASHES.iter().find(|(known, _)| *known == number).map(|(_, hash)| *hash);
    let hash =
        hash.ok_or_else(|| Error::unexpected("report data hash type", at.saturating_add(12), HASH_NAMES, number))?;
    Ok((report_type, hash))
}

fn check_size(field: &'static str, at: usize, stated: u32, wanted: usize) -> Result<(), Error> {
    if usize::try_from(stated) == Ok(wanted) {
        return Ok(());
    }
    Err(Error::unexpected(field, at, "the sum of the sizes that it covers", stated))
}

/// The runtime claims: keys of the vTPM, configuration of the VM, data of the guest's choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeClaims {
    /// Attestation key (`HCLAkPub`), endorsement key (`HCLEkPub`), perhaps others.
    #[serde(deserialize_with = "json::at_most::<_, _, MAX_KEYS>")]
    pub keys: Vec<Jwk>,
    /// How the VM is set up.
    #[serde(rename = "vm-configuration")]
    pub vm_configuration: VmConfiguration,
    /// 64 bytes that the guest wrote into its vTPM before the report was made; in hex.
    #[serde(rename = "user-data", default, deserialize_with = "hex_data", serialize_with = "hex::serialize_upper")]
    pub user_data: Vec<u8>,
}

/// One RSA key (RFC 7517, RFC 7518, 6.3.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// Its name.
    pub kid: String,
    /// What it is for: `sign` or `encrypt`.
    #[serde(deserialize_with = "json::at_most::<_, _, MAX_KEYS>")]
    pub key_ops: Vec<String>,
    /// `RSA`.
    pub kty: String,
    /// The exponent, big-endian, in base64url.
    pub e: String,
    /// The modulus, big-endian, in base64url.
    pub n: String,
}

/// The VM's configuration; a member that a paravisor leaves out is `None`, one that is not known here is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmConfiguration {
    /// Whether the host has a console of the guest.
    #[serde(rename = "console-enabled", skip_serializing_if = "Option::is_none")]
    pub console_enabled: Option<bool>,
    /// Whether that console takes input.
    #[serde(rename = "interactive-console-enabled", skip_serializing_if = "Option::is_none")]
    pub interactive_console_enabled: Option<bool>,
    /// Thumbprint of the root certificate of the agent that the paravisor speaks with.
    #[serde(rename = "root-cert-thumbprint", skip_serializing_if = "Option::is_none")]
    pub root_cert_thumbprint: Option<String>,
    /// Whether UEFI Secure Boot is on.
    #[serde(rename = "secure-boot", skip_serializing_if = "Option::is_none")]
    pub secure_boot: Option<bool>,
    /// Whether there is a vTPM.
    #[serde(rename = "tpm-enabled", skip_serializing_if = "Option::is_none")]
    pub tpm_enabled: Option<bool>,
    /// Whether the vTPM outlives the VM's stop.
    #[serde(rename = "tpm-persisted", skip_serializing_if = "Option::is_none")]
    pub tpm_persisted: Option<bool>,
    /// Whether filtered devices may be attached.
    #[serde(rename = "filtered-vpci-devices-allowed", skip_serializing_if = "Option::is_none")]
    pub filtered_vpci_devices_allowed: Option<bool>,
    /// The VM's identity.
    #[serde(rename = "vmUniqueId", skip_serializing_if = "Option::is_none")]
    pub vm_unique_id: Option<String>,
}

impl Jwk {
    /// An RSA key of this name for one operation, from its big-endian numbers.
    pub fn rsa(kid: &str, operation: &str, modulus: &[u8], exponent: u32) -> Self {
        let exponent = exponent.to_be_bytes();
        let zeros = exponent.iter().take_while(|byte| **byte == 0).count();
        Self {
            kid: kid.to_owned(),
            key_ops: vec![operation.to_owned()],
            kty: "RSA".to_owned(),
            e: URL_SAFE_NO_PAD.encode(exponent.get(zeros..).unwrap_or_default()),
            n: URL_SAFE_NO_PAD.encode(modulus),
        }
    }
}

impl RuntimeClaims {
    /// Writes the claims, members in the order of the paravisor and nothing between them.
    ///
    /// # Errors
    /// Never for text and bytes; the serialiser's signature has it.
    pub fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|error| Error::json("runtime claims", &[], &error))
    }

    /// Reads the claims. Only call it for claims that a verified hardware report binds.
    ///
    /// # Errors
    /// When they are no JSON of this schema, or a member or a key's name comes twice.
    pub fn parse(claims: &[u8]) -> Result<Self, Error> {
        let parsed: Self =
            serde_json::from_slice(claims).map_err(|error| Error::json("runtime claims", claims, &error))?;
        for (place, key) in parsed.keys.iter().enumerate() {
            if parsed.keys.iter().take(place).any(|earlier| earlier.kid == key.kid) {
                return Err(Error::unexpected("runtime claims", 0, "each key once", &key.kid));
            }
        }
        Ok(parsed)
    }

    /// SubjectPublicKeyInfo of the vTPM's attestation key (`HCLAkPub`), in DER.
    ///
    /// # Errors
    /// When there is none, or it is no RSA key for signing.
    pub fn attestation_key(&self) -> Result<Vec<u8>, Error> {
        let Some(key) = self.keys.iter().find(|key| key.kid == "HCLAkPub") else {
            return Err(Error::unexpected("runtime claims", 0, "a key named HCLAkPub", "none"));
        };
        if key.kty != "RSA" || !key.key_ops.iter().any(|operation| operation == "sign") {
            let found = format_args!("{} for {}", key.kty, key.key_ops.join(", "));
            return Err(Error::unexpected("HCLAkPub", 0, "an RSA key for signing", found));
        }
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
        let numbers = decode(&key.n).zip(decode(&key.e));
        let (modulus, exponent) =
            numbers.ok_or_else(|| Error::unexpected("HCLAkPub", 0, "n and e in base64url", "something else"))?;
        tpm::rsa_key_info(&modulus, &exponent)
    }
}

fn hex_data<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    hex::decode(text).ok().filter(|data| data.len() == 64).ok_or_else(|| D::Error::custom("expected 64 bytes in hex"))
}
