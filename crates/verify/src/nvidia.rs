//! Attestation reports of NVIDIA's GPUs (Hopper): SPDM measurements signed by a key that the device's boot firmware gave to the firmware
//! that answers.
//!
//! What is *not* known here: NVIDIA publishes the right measurements of a driver and a VBIOS as signed manifests. Measurements are facts for a
//! policy to compare.

use crate::certificate::{Certificate, Profile};
use crate::chain::Chain;
use crate::{Anchors, Claims, Error, Facts, Part, crypto, hash};
use sealwright_wire::collateral::pem_chain;
use sealwright_wire::nvidia::{COMPOSITE_DEVICE_ID, CompositeDeviceId, Field, FieldKind, Report};
use sealwright_wire::{Digest, Tee, time::UnixTime};
use serde::Serialize;
use std::collections::BTreeMap;

/// Claims of a GPU; names as in [`sealwright_wire::nvidia::FieldKind`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NvidiaClaims {
    /// Version of the driver.
    pub driver_version: String,
    /// Version of the VBIOS.
    pub vbios_version: String,
    /// SHA-384 of the firmware that answers, as the device's certificate names it.
    pub fwid: Digest<48>,
    /// Subject of the certificate whose key signed the report: it names the model and the device.
    pub device: String,
    /// Whether every CA of the chain that keeps a revocation list had one at hand.
    pub revocation_checked: bool,
    /// What the device chose as its nonce. The verifier's is the facts' `report_data`.
    pub device_nonce: Digest<32>,
    /// Whether the decoder NVDEC0 is on: `enabled`, `disabled`, or the byte in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nvdec0_status: Option<String>,
    /// Whether PCIe is protected: `enabled`, `disabled`, or the byte in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protected_pcie_status: Option<String>,
    /// How many GPUs are protected together: `SPT`, `MPT`, `PPCIE`, or the bytes in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature_flag: Option<String>,
    /// The measurements in hex by their index, from 1.
    pub measurements: BTreeMap<u8, String>,
    /// How often each measurement was extended, by its index.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub measurement_count: BTreeMap<u8, u32>,
    /// The other fields by their name, or number where it is not known: text where it is text, else hex. As JSON they are among the others.
    #[serde(flatten)]
    pub fields: BTreeMap<String, String>,
}

/// Why a GPU's report is not believed although its signatures are right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NvidiaError {
    /// The certificate was given to other firmware than the report names.
    #[error("report names the firmware {found}, the device's certificate was given to {expected}")]
    Fwid {
        /// FWID of the certificate, in hex.
        expected: String,
        /// FWID of the report, in hex.
        found: String,
    },
    /// The certificate names another layer below it than the one that issued it.
    #[error("device's certificate names {found} as the key of its boot firmware, its issuer's is {expected}")]
    DeviceId {
        /// SHA-256 of the issuer's SubjectPublicKeyInfo, in hex.
        expected: String,
        /// SHA-256 of the certificate's deviceID, in hex.
        found: String,
    },
    /// The report does not say with which versions it was made.
    #[error("report has no readable {field}")]
    Version {
        /// `driver_version` or `vbios_version`.
        field: &'static str,
    },
}

impl NvidiaError {
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Fwid { .. } => "nvidia-fwid-mismatch",
            Self::DeviceId { .. } => "nvidia-device-id-mismatch",
            Self::Version { .. } => "nvidia-no-version",
        }
    }

    pub(crate) const fn claim(&self) -> &'static str {
        match self {
            Self::Fwid { .. } => "fwid",
            Self::DeviceId { .. } => "device id",
            Self::Version { field } => field,
        }
    }

    pub(crate) fn expected(&self) -> Option<String> {
        match self {
            Self::Fwid { expected, .. } | Self::DeviceId { expected, .. } => Some(expected.clone()),
            Self::Version { .. } => Some("a version".to_owned()),
        }
    }

    pub(crate) fn actual(&self) -> Option<String> {
        match self {
            Self::Fwid { found, .. } | Self::DeviceId { found, .. } => Some(found.clone()),
            Self::Version { .. } => None,
        }
    }

    pub(crate) const fn remedy(&self) -> &'static str {
        match self {
            Self::Fwid { .. } => {
                "report and certificates are of different devices, or of one device before and after an update: take both anew, in one go"
            }
            Self::DeviceId { .. } => {
                "the certificate was not issued as the vendor's devices do it: do not trust this device"
            }
            Self::Version { .. } => {
                "take the report with the vendor's driver; without versions there is nothing to compare measurements with"
            }
        }
    }
}

/// Verifies a report under the device's certificate chain in PEM, the device's certificate first, as the driver hands both out.
///
/// `report_data` of the facts is the nonce of the request: the caller must compare it with the one that it chose. `debug` is absent, because
/// reports have no such bit: a GPU under debug shows other measurements, which is one more reason to compare them. `collateral_expires` is
/// the end of the chain's and the lists' validity; NVIDIA's devices' certificates have none, so bound the age by the nonce.
///
/// `lists` are revocation lists in DER, as the certificates name them (<http://crl.ndis.nvidia.com/>); those of other CAs are passed over.
/// Whether a chain is believed for which they are missing is for the policy to say (`revocation_checked`).
///
/// # Errors
/// When report, chain or a list of its CAs are malformed; when the chain does not lead to an anchor of NVIDIA's PKI, or it or a list is not valid at `at`; when a
/// certificate is revoked; when the device's certificate names no firmware, its issuer is not the key that it names, or the report names other firmware; when the report has
/// no versions; when the signature does not verify.
pub fn verify(report: &[u8], chain: &[u8], lists: &[&[u8]], anchors: &Anchors, at: UnixTime) -> Result<Facts, Error> {
    let part = Part::GpuReport;
    let parsed = Report::parse(report).map_err(|source| Error::Malformed { part, source })?;
    let leaf = Part::EvidenceLeaf;
    let chain = pem_chain(leaf.name(), chain).map_err(|source| Error::Malformed { part: leaf, source })?;
    let ders: Vec<_> = chain.iter().map(Vec::as_slice).collect();
    let chain = Chain::verify(&ders, Profile::NVIDIA, anchors)?;
    chain.window.check(at)?;
    let (window, revocation_checked) = chain.check_revocation(lists, at)?;
    let fwid = check_firmware(&chain, &parsed)?;
    if !crypto::verify_p384(chain.leaf.key(), parsed.signed, parsed.signature) {
        return Err(Error::Signature { part, signer: leaf.name() });
    }
    let claims = NvidiaClaims { revocation_checked, ..claims(&parsed, fwid, &chain.leaf)? };
    let evidence = report.get(..report.len().saturating_sub(parsed.trailing)).unwrap_or(report);
    Ok(Facts {
        tee: Tee::Nvidia,
        anchor: chain.anchor,
        at,
        collateral_expires: window.until(),
        tcb: None,
        debug: None,
        report_data: parsed.request.nonce.to_vec(),
        evidence_sha384: hash::sha384(&[evidence]),
        quote_version: None,
        trailing_bytes: parsed.trailing,
        claims: Claims::Nvidia(Box::new(claims)),
        log: None,
    })
}

/// The firmware to which the device's certificate was given, which the report must not contradict.
fn check_firmware(chain: &Chain, report: &Report<'_>) -> Result<Digest<48>, Error> {
    let part = Part::EvidenceLeaf;
    let Some(extension) = chain.leaf.extension(COMPOSITE_DEVICE_ID) else {
        let rule = "the extension CompositeDeviceID 2.23.133.5.4.1, which names the firmware";
        return Err(Error::Profile { part, rule, found: "none".into() });
    };
    let id = CompositeDeviceId::from_der(extension).map_err(|source| Error::Malformed { part, source })?;
    if id.device_id != chain.issuer_key_info() {
        let expected = hash::sha256(&[chain.issuer_key_info()]).to_string();
        let found = hash::sha256(&[id.device_id]).to_string();
        return Err(NvidiaError::DeviceId { expected, found }.into());
    }
    match report.field(FieldKind::Fwid) {
        Some(stated) if stated != id.fwid.0 => {
            Err(NvidiaError::Fwid { expected: id.fwid.to_string(), found: hex::encode(stated) }.into())
        }
        _ => Ok(id.fwid),
    }
}

fn claims(report: &Report<'_>, fwid: Digest<48>, leaf: &Certificate) -> Result<NvidiaClaims, Error> {
    let field = |kind| report.fields.iter().find(|field| field.kind == kind);
    let version = |name, text: Option<String>| {
        text.filter(|text| !text.is_empty()).ok_or(Error::Nvidia(NvidiaError::Version { field: name }))
    };
    let driver = field(FieldKind::DriverVersion).and_then(|field| field.text().map(str::to_owned));
    let vbios = field(FieldKind::VbiosVersion).and_then(Field::vbios_version);
    let counts = field(FieldKind::MeasurementCount).and_then(Field::integers).unwrap_or_default();
    Ok(NvidiaClaims {
        driver_version: version("driver_version", driver)?,
        vbios_version: version("vbios_version", vbios)?,
        fwid,
        device: leaf.subject(),
        revocation_checked: false,
        device_nonce: Digest(*report.nonce),
        nvdec0_status: report.field(FieldKind::Nvdec0Status).map(status),
        protected_pcie_status: report.field(FieldKind::ProtectedPcieStatus).map(status),
        feature_flag: report.field(FieldKind::FeatureFlag).map(feature),
        measurements: report.blocks.iter().map(|block| (block.index, hex::encode(block.value))).collect(),
        measurement_count: (1..=u8::MAX).zip(counts).collect(),
        fields: report.fields.iter().filter_map(other).collect(),
    })
}

fn status(data: &[u8]) -> String {
    match data {
        [0xaa] => "enabled".to_owned(),
        [0x55] => "disabled".to_owned(),
        other => hex::encode(other),
    }
}

fn feature(data: &[u8]) -> String {
    match data {
        [0, 0] => "SPT".to_owned(),
        [1, 0] => "MPT".to_owned(),
        [2, 0] => "PPCIE".to_owned(),
        other => hex::encode(other),
    }
}

/// A field that has no claim of its own.
fn other(field: &Field<'_>) -> Option<(String, String)> {
    let name = match field.kind {
        FieldKind::DriverVersion
        | FieldKind::VbiosVersion
        | FieldKind::Fwid
        | FieldKind::Nvdec0Status
        | FieldKind::ProtectedPcieStatus
        | FieldKind::FeatureFlag
        | FieldKind::MeasurementCount => return None,
        kind => kind.name().map_or_else(|| format!("field_{}", kind.number()), str::to_owned),
    };
    let is_text = matches!(
        field.kind,
        FieldKind::ChipSku | FieldKind::ChipSkuMod | FieldKind::Project | FieldKind::ProjectSku | FieldKind::ChipInfo
    );
    let text = field.text().filter(|_| is_text).map(str::to_owned);
    Some((name, text.unwrap_or_else(|| hex::encode(field.data))))
}
