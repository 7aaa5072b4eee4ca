//! QE identity: what the quoting enclave's own report must show.

use super::{MAX_ADVISORIES, MAX_LEVELS, TcbStatus, hex_upper, parse_document};
use crate::{Error, json, time::UnixTime};
use serde::{Deserialize, Serialize};

/// Identity of a quoting enclave (PCS API v4, "Enclave Identity V2").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QeIdentity {
    /// Which enclave.
    pub id: QeId,
    /// Version of this layout.
    pub version: u32,
    /// When this document was made.
    pub issue_date: UnixTime,
    /// When the next one comes; this one is not to be used after.
    pub next_update: UnixTime,
    /// Grows with each TCB recovery event.
    pub tcb_evaluation_data_number: u32,
    /// MISCSELECT under the mask, bytes as they stand in the report.
    #[serde(with = "hex_upper")]
    pub miscselect: [u8; 4],
    /// Which bits of MISCSELECT count.
    #[serde(with = "hex_upper")]
    pub miscselect_mask: [u8; 4],
    /// ATTRIBUTES under the mask.
    #[serde(with = "hex_upper")]
    pub attributes: [u8; 16],
    /// Which bits of ATTRIBUTES count.
    #[serde(with = "hex_upper")]
    pub attributes_mask: [u8; 16],
    /// MRSIGNER.
    #[serde(with = "hex_upper")]
    pub mrsigner: [u8; 32],
    /// ISVPRODID.
    pub isvprodid: u16,
    /// The levels, highest first.
    #[serde(deserialize_with = "json::at_most::<_, _, MAX_LEVELS>")]
    pub tcb_levels: Vec<QeTcbLevel>,
}

/// Which enclave an identity is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QeId {
    /// The quoting enclave of SGX.
    #[serde(rename = "QE")]
    Qe,
    /// The quote verification enclave; no quote is signed by it.
    #[serde(rename = "QVE")]
    Qve,
    /// The quoting enclave of TDX.
    #[serde(rename = "TD_QE")]
    TdQe,
}

impl QeId {
    /// The document's spelling.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Qe => "QE",
            Self::Qve => "QVE",
            Self::TdQe => "TD_QE",
        }
    }
}

/// How good a quoting enclave of at least this security version is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QeTcbLevel {
    /// The security version.
    pub tcb: QeTcb,
    /// All advisories up to this date are taken into account.
    pub tcb_date: UnixTime,
    /// The verdict.
    pub tcb_status: TcbStatus,
    /// Advisories that apply.
    #[serde(rename = "advisoryIDs", default, skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "json::at_most::<_, _, MAX_ADVISORIES>")]
    pub advisory_ids: Vec<String>,
}

/// Security version of a quoting enclave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QeTcb {
    /// At least this ISVSVN.
    pub isvsvn: u16,
}

impl QeIdentity {
    /// Reads the signed text.
    ///
    /// # Errors
    /// When it is no identity of version 2 or 3, or over [`super::MAX_JSON`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let identity: Self = parse_document("QE identity", text)?;
        if !(2..=3).contains(&identity.version) {
            return Err(Error::unexpected("QE identity version", 0, "2 or 3", identity.version));
        }
        Ok(identity)
    }
}
