//! Guests of Azure behind the vTPM of their paravisor: SEV-SNP (`az-snp-vtpm`) and TDX (`az-tdx-vtpm`).
//!
//! The chain of trust, in the order in which it is verified:
//!
//! 1. the hardware report, by the verifier of its kind: that comes first, as verified [`Facts`];
//! 2. its report data is the hash of the runtime claims, and it is the report of the paravisor itself (SNP: VMPL 0);
//! 3. the claims name the vTPM's attestation key;
//! 4. that key signed the quote.
//!
//! Until step 2 holds, the claims are bytes that nobody vouches for and are not read.

use crate::tpm::{self, AttestationKey, Signer, TpmClaims};
use crate::{Claims, Error as VerifyError, Facts, Part, hash};
use sealwright_wire::hcl::{Report, ReportType, RuntimeClaims, VmConfiguration};
use sealwright_wire::tpm::{PcrValues, Signature};
use sealwright_wire::{Digest, Tee};
use serde::Serialize;

/// Where an SEV-SNP report has the level of privilege from which it was asked for (SEV Secure Nested Paging Firmware ABI, Table
/// "ATTESTATION_REPORT Structure").
const SNP_VMPL: std::ops::Range<usize> = 0x30..0x34;

/// The evidence of a guest of Azure.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The paravisor's report, see [`Report::parse`].
    pub hcl_report: &'a [u8],
    /// `TPMS_ATTEST`, as signed by the vTPM.
    pub message: &'a [u8],
    /// The signature over it.
    pub signature: Signature<'a>,
    /// The values of PCRs. Those that the quote does not select are not looked at.
    pub pcrs: &'a PcrValues,
    /// The firmware's log (`binary_bios_measurements`).
    pub event_log: Option<&'a [u8]>,
    /// The kernel's list.
    pub ima: Option<&'a [u8]>,
    /// A canonical event log of what was measured behind the firmware's.
    pub cel: Option<&'a [u8]>,
}

/// What a vTPM of Azure's alone can get wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No hardware vouches for this kind of report.
    #[error("HCL report is of type {found}, expected one that hardware signs (snp or tdx)")]
    NoHardware {
        /// The type's name.
        found: &'static str,
    },
    /// The hardware report is a trust domain's, which is evidence on its own machine alone.
    #[error("HCL report is of tdx, and there is no quote of its TDREPORT")]
    NoQuote,
    /// The verified hardware evidence is of another kind than the paravisor's report.
    #[error("hardware evidence is of {found}, the HCL report of {expected}")]
    OtherHardware {
        /// The kind that the report is of.
        expected: &'static str,
        /// The kind of the verified evidence.
        found: &'static str,
    },
    /// The verified hardware report is not the one that the paravisor's report holds.
    #[error("verified hardware report is not the one in the HCL report: SHA-384 {found}, expected {expected}")]
    OtherReport {
        /// SHA-384 of the report in the HCL report.
        expected: Digest<48>,
        /// SHA-384 of the verified report.
        found: Digest<48>,
    },
    /// The report was not asked for by the paravisor, but by what runs above it.
    #[error("hardware report was made at VMPL {found}, expected 0, which is the paravisor's")]
    Vmpl {
        /// The level.
        found: u32,
    },
    /// The hardware does not vouch for the claims.
    #[error("report data of the hardware report is {found}, the runtime claims hash to {expected}")]
    Binding {
        /// The hash of the claims and zeros, in hex.
        expected: String,
        /// The report data, in hex.
        found: String,
    },
}

impl Error {
    /// The reason as a stable word, see [`crate::Error::code`].
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoHardware { .. } => "hcl-no-hardware",
            Self::NoQuote => "hcl-no-quote",
            Self::OtherHardware { .. } | Self::OtherReport { .. } => "hcl-other-hardware-report",
            Self::Vmpl { .. } => "hcl-vmpl",
            Self::Binding { .. } => "hcl-binding",
        }
    }

    /// What was being judged.
    pub const fn claim(&self) -> &'static str {
        match self {
            Self::NoHardware { .. } | Self::NoQuote | Self::OtherHardware { .. } => Part::HclReport.name(),
            Self::OtherReport { .. } | Self::Vmpl { .. } => "hardware report",
            Self::Binding { .. } => Part::RuntimeClaims.name(),
        }
    }

    /// What was wanted, when it is a value.
    pub fn expected(&self) -> Option<String> {
        match self {
            Self::NoHardware { .. } => Some("snp or tdx".to_owned()),
            Self::NoQuote => None,
            Self::OtherHardware { expected, .. } => Some((*expected).to_owned()),
            Self::OtherReport { expected, .. } => Some(expected.to_string()),
            Self::Vmpl { .. } => Some("0".to_owned()),
            Self::Binding { expected, .. } => Some(expected.clone()),
        }
    }

    /// What was found, when it is a value.
    pub fn actual(&self) -> Option<String> {
        match self {
            Self::NoHardware { found } | Self::OtherHardware { found, .. } => Some((*found).to_owned()),
            Self::NoQuote => None,
            Self::OtherReport { found, .. } => Some(found.to_string()),
            Self::Vmpl { found } => Some(found.to_string()),
            Self::Binding { found, .. } => Some(found.clone()),
        }
    }

    /// What the reader can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::NoHardware { .. } => {
                "use a confidential VM: a trusted-launch VM has a vTPM, but no hardware vouches for it"
            }
            Self::NoQuote => {
                "have the host's quoting service make a quote of the TDREPORT, and send it along (td_quote)"
            }
            Self::OtherHardware { .. } | Self::OtherReport { .. } => {
                "verify the hardware report that the HCL report holds (TDX: the quote that was made for it)"
            }
            Self::Vmpl { .. } => {
                "do not trust this evidence: the report is not the paravisor's, so that the guest chose what it says"
            }
            Self::Binding { .. } => {
                "the claims were changed, or are of another boot than the hardware report: read the HCL report again, and look at what \
                 carries it here"
            }
        }
    }
}

/// Claims of a guest of Azure. As JSON, the TPM's claims ([`TpmClaims`]) stand among the members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AzVtpmClaims {
    /// The vTPM's claims.
    #[serde(flatten)]
    pub tpm: TpmClaims,
    /// What the hardware vouches for, with `report_data` and claims of its own kind.
    pub hardware: Box<Facts>,
    /// Version of the paravisor's report.
    pub hcl_version: u32,
    /// How the VM is set up, by the paravisor's names.
    pub vm_configuration: VmConfiguration,
    /// What the guest had written into its vTPM before the report was made; 64 bytes in hex, or nothing.
    #[serde(serialize_with = "hex::serialize")]
    pub user_data: Vec<u8>,
}

/// Verifies the evidence under a hardware report that was verified before: for SNP the report in [`Evidence::hcl_report`] (its
/// [`Facts::evidence_sha384`] must be over that report's 1184 bytes), for TDX the quote that was made for its TDREPORT. What the evidence
/// answers to ([`Facts::report_data`]) is the qualifying data of the vTPM's quote.
///
/// # Errors
/// When the hardware facts are of another kind or report, do not bind the claims, or the claims, the key or the quote are not in order; see
/// [`tpm::verify`] for the quote.
pub fn verify(evidence: &Evidence<'_>, hardware: Facts) -> Result<Facts, VerifyError> {
    let malformed = |part| move |source| VerifyError::Malformed { part, source };
    let report = Report::parse(evidence.hcl_report).map_err(malformed(Part::HclReport))?;
    check_hardware(&report, &hardware)?;
    check_binding(&report, &hardware)?;
    let claims = RuntimeClaims::parse(report.claims).map_err(malformed(Part::RuntimeClaims))?;
    let key_info = claims.attestation_key().map_err(malformed(Part::RuntimeClaims))?;
    let Evidence { message, signature, pcrs, event_log, ima, cel, .. } = *evidence;
    let key = AttestationKey::KeyInfo(&key_info);
    let quote = tpm::Evidence { message, signature, pcrs, key, event_log, ima, cel };
    let quoted = tpm::quote(&quote, &Signer::of_paravisor(&key_info)?)?;
    let used = evidence.hcl_report.len().saturating_sub(report.padding);
    let bytes = evidence.hcl_report.get(..used).unwrap_or(evidence.hcl_report);
    let (anchor, tcb, debug) = (hardware.anchor.clone(), hardware.tcb.clone(), hardware.debug);
    let (at, collateral_expires) = (hardware.at, hardware.collateral_expires);
    let claims = AzVtpmClaims {
        tpm: quoted.claims,
        hardware: Box::new(hardware),
        hcl_version: report.header.version.get(),
        vm_configuration: claims.vm_configuration,
        user_data: claims.user_data,
    };
    let (tee, claims) = match report.report_type {
        ReportType::Tdx => (Tee::AzTdxVtpm, Claims::AzTdxVtpm(claims)),
        _ => (Tee::AzSnpVtpm, Claims::AzSnpVtpm(claims)),
    };
    Ok(Facts {
        tee,
        anchor,
        at,
        collateral_expires,
        tcb,
        debug,
        report_data: quoted.report_data,
        evidence_sha384: hash::sha384(&[bytes, message, &quoted.signature]),
        quote_version: None,
        trailing_bytes: report.padding,
        claims,
        log: quoted.log,
    })
}

/// The verified report must be the paravisor's. In a TD, nobody but the paravisor can ask for one.
fn check_hardware(report: &Report<'_>, hardware: &Facts) -> Result<(), Error> {
    let Some(tee) = report.report_type.hardware() else {
        return Err(Error::NoHardware { found: report.report_type.name() });
    };
    if hardware.tee != tee {
        return Err(Error::OtherHardware { expected: tee.name(), found: hardware.tee.name() });
    }
    if report.report_type != ReportType::Snp {
        return Ok(());
    }
    let (expected, found) = (hash::sha384(&[report.hardware_report]), hardware.evidence_sha384);
    if expected != found {
        return Err(Error::OtherReport { expected, found });
    }
    let vmpl = report.hardware_report.get(SNP_VMPL).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    match vmpl {
        Some(0) => Ok(()),
        other => Err(Error::Vmpl { found: other.unwrap_or(u32::MAX) }),
    }
}

/// The hash of the claims, filled up with zeros, must be the report data.
fn check_binding(report: &Report<'_>, hardware: &Facts) -> Result<(), Error> {
    let hash = hash::Hash::of(report.hash);
    let mut expected = hash.map(|hash| hash.digest(report.claims).as_bytes().to_vec()).unwrap_or_default();
    expected.resize(64, 0);
    if hash.is_some() && hardware.report_data == expected {
        return Ok(());
    }
    Err(Error::Binding { expected: hex::encode(expected), found: hex::encode(&hardware.report_data) })
}

#[cfg(test)]
mod tests;
