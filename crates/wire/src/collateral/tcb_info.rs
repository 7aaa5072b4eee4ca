//! TCB info: which security versions of one kind of platform are how good.

use super::{MAX_ADVISORIES, MAX_LEVELS, TcbStatus, hex_upper, parse_document};
use crate::json::{self, Object};
use crate::{Error, time::UnixTime};
use serde::{Deserialize, Deserializer, Serialize};

/// TCB info of one platform model and kind of environment (PCS API v4, "TCB Info V3"). Version 2 (SGX, components named
/// one by one, no `id`) is read too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TcbInfo {
    /// Kind of environment; version 2 has none and means SGX.
    #[serde(default)]
    pub id: TcbInfoId,
    /// Version of this layout.
    pub version: u32,
    /// When this document was made.
    pub issue_date: UnixTime,
    /// When the next one comes; this one is not to be used after.
    pub next_update: UnixTime,
    /// The platform model.
    #[serde(with = "hex_upper")]
    pub fmspc: [u8; 6],
    /// The provisioning certification enclave.
    #[serde(with = "hex_upper")]
    pub pce_id: [u8; 2],
    /// How TCB levels are composed; 0 is the only one.
    pub tcb_type: u32,
    /// Grows with each TCB recovery event.
    pub tcb_evaluation_data_number: u32,
    /// The TDX module whose major version is 0 (TDX only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tdx_module: Option<TdxModule>,
    /// TDX modules by major version (TDX only).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "json::at_most::<_, _, MAX_LEVELS>")]
    pub tdx_module_identities: Vec<TdxModuleIdentity>,
    /// The levels; a verifier takes the highest that the platform meets.
    #[serde(deserialize_with = "json::at_most::<_, _, MAX_LEVELS>")]
    pub tcb_levels: Vec<TcbLevel>,
}

/// Kind of environment that a TCB info is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TcbInfoId {
    /// SGX enclaves.
    #[default]
    Sgx,
    /// TDX trust domains.
    Tdx,
}

/// What reports of the TDX module must show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TdxModule {
    /// MRSIGNERSEAM.
    #[serde(with = "hex_upper")]
    pub mrsigner: [u8; 48],
    /// SEAMATTRIBUTES under the mask.
    #[serde(with = "hex_upper")]
    pub attributes: [u8; 8],
    /// Which bits of SEAMATTRIBUTES count.
    #[serde(with = "hex_upper")]
    pub attributes_mask: [u8; 8],
}

/// What reports of the TDX module of one major version must show, and how good its minor versions are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TdxModuleIdentity {
    /// `TDX_` and the major version in two hex digits, in either case.
    pub id: String,
    /// MRSIGNERSEAM.
    #[serde(with = "hex_upper")]
    pub mrsigner: [u8; 48],
    /// SEAMATTRIBUTES under the mask.
    #[serde(with = "hex_upper")]
    pub attributes: [u8; 8],
    /// Which bits of SEAMATTRIBUTES count.
    #[serde(with = "hex_upper")]
    pub attributes_mask: [u8; 8],
    /// The levels, highest first.
    #[serde(deserialize_with = "json::at_most::<_, _, MAX_LEVELS>")]
    pub tcb_levels: Vec<TdxModuleLevel>,
}

/// How good one minor version of a TDX module is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TdxModuleLevel {
    /// The minor version.
    pub tcb: TdxModuleTcb,
    /// All advisories up to this date are taken into account.
    pub tcb_date: UnixTime,
    /// The verdict.
    pub tcb_status: TcbStatus,
    /// Advisories that apply.
    #[serde(rename = "advisoryIDs", default, skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "json::at_most::<_, _, MAX_ADVISORIES>")]
    pub advisory_ids: Vec<String>,
}

/// Minor version of a TDX module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TdxModuleTcb {
    /// At least this in component 0 of TEE_TCB_SVN.
    pub isvsvn: u16,
}

/// How good a platform with at least these security versions is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TcbLevel {
    /// The security versions.
    pub tcb: Tcb,
    /// All advisories up to this date are taken into account.
    pub tcb_date: UnixTime,
    /// The verdict.
    pub tcb_status: TcbStatus,
    /// Advisories that apply.
    #[serde(rename = "advisoryIDs", default, skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "json::at_most::<_, _, MAX_ADVISORIES>")]
    pub advisory_ids: Vec<String>,
}

/// Security versions of a level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tcb {
    /// SGX TCB components 1 to 16, to be met by those of the PCK certificate.
    pub sgxtcbcomponents: [Component; 16],
    /// PCESVN, to be met by that of the PCK certificate.
    pub pcesvn: u16,
    /// TDX TCB components 1 to 16, to be met by TEE_TCB_SVN (TDX only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tdxtcbcomponents: Option<[Component; 16]>,
}

/// One security version of a level.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Component {
    /// At least this.
    pub svn: u16,
    /// Who can update it: `BIOS`, `OS/VMM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<Box<str>>,
    /// What it is: `Early Microcode Update`, `TDX Module`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Box<str>>,
}

impl<'de> Deserialize<'de> for Component {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            svn: u16,
            #[serde(default)]
            category: Option<Box<str>>,
            #[serde(rename = "type", default)]
            kind: Option<Box<str>>,
        }
        let Raw { svn, category, kind } = Raw::deserialize(Object(deserializer))?;
        Ok(Self { svn, category, kind })
    }
}

impl Component {
    /// A component without words about it.
    pub const fn new(svn: u16) -> Self {
        Self { svn, category: None, kind: None }
    }
}

impl TcbInfo {
    /// Reads the signed text.
    ///
    /// # Errors
    /// When it is no TCB info of version 2 or 3, or over [`super::MAX_JSON`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let info: Self = parse_document("TCB info", text)?;
        if !(2..=3).contains(&info.version) {
            return Err(Error::unexpected("TCB info version", 0, "2 or 3", info.version));
        }
        if info.id == TcbInfoId::Tdx && info.tdx_module.is_none() {
            return Err(Error::unexpected("tdxModule", 0, "a TDX module in TCB info of id TDX", "none"));
        }
        let without_tdx = |level: &TcbLevel| info.id == TcbInfoId::Tdx && level.tcb.tdxtcbcomponents.is_none();
        if info.tcb_levels.iter().any(without_tdx) {
            return Err(Error::unexpected("tdxtcbcomponents", 0, "16 components in TCB info of id TDX", "none"));
        }
        Ok(info)
    }

    /// The module identity for this major version, when there is one.
    pub fn module_identity(&self, major: u8) -> Option<&TdxModuleIdentity> {
        let id = format!("TDX_{major:02X}");
        self.tdx_module_identities.iter().find(|identity| identity.id.eq_ignore_ascii_case(&id))
    }
}

/// Components as version 3 and as version 2 write them.
#[derive(Deserialize)]
struct RawTcb {
    pcesvn: u16,
    sgxtcbcomponents: Option<[Component; 16]>,
    tdxtcbcomponents: Option<[Component; 16]>,
    sgxtcbcomp01svn: Option<u16>,
    sgxtcbcomp02svn: Option<u16>,
    sgxtcbcomp03svn: Option<u16>,
    sgxtcbcomp04svn: Option<u16>,
    sgxtcbcomp05svn: Option<u16>,
    sgxtcbcomp06svn: Option<u16>,
    sgxtcbcomp07svn: Option<u16>,
    sgxtcbcomp08svn: Option<u16>,
    sgxtcbcomp09svn: Option<u16>,
    sgxtcbcomp10svn: Option<u16>,
    sgxtcbcomp11svn: Option<u16>,
    sgxtcbcomp12svn: Option<u16>,
    sgxtcbcomp13svn: Option<u16>,
    sgxtcbcomp14svn: Option<u16>,
    sgxtcbcomp15svn: Option<u16>,
    sgxtcbcomp16svn: Option<u16>,
}

impl RawTcb {
    fn named_components(&self) -> Option<[Component; 16]> {
        let svns = [
            self.sgxtcbcomp01svn?,
            self.sgxtcbcomp02svn?,
            self.sgxtcbcomp03svn?,
            self.sgxtcbcomp04svn?,
            self.sgxtcbcomp05svn?,
            self.sgxtcbcomp06svn?,
            self.sgxtcbcomp07svn?,
            self.sgxtcbcomp08svn?,
            self.sgxtcbcomp09svn?,
            self.sgxtcbcomp10svn?,
            self.sgxtcbcomp11svn?,
            self.sgxtcbcomp12svn?,
            self.sgxtcbcomp13svn?,
            self.sgxtcbcomp14svn?,
            self.sgxtcbcomp15svn?,
            self.sgxtcbcomp16svn?,
        ];
        Some(svns.map(Component::new))
    }
}

impl<'de> Deserialize<'de> for Tcb {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut raw = RawTcb::deserialize(Object(deserializer))?;
        let listed = raw.sgxtcbcomponents.take();
        let sgxtcbcomponents = listed
            .or_else(|| raw.named_components())
            .ok_or_else(|| serde::de::Error::custom("expected 16 SGX TCB components"))?;
        Ok(Self { sgxtcbcomponents, pcesvn: raw.pcesvn, tdxtcbcomponents: raw.tdxtcbcomponents })
    }
}
