//! What a verified CSV report says.

use sealwright_wire::Digest;
use sealwright_wire::csv::{Body, Certificate, Policy, TeeInfo, TeeInfoV2};
use serde::Serialize;

/// Claims of a CSV guest; names as in [`sealwright_wire::csv::TeeInfo`].
///
/// In a report of version 1 all of it hangs together by the launch digest: the mask is not signed, so that a host can turn over the same bits in
/// every 4 bytes of every field, the policy's among them. Hold `measure` against a reference value before believing any bit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // fields are documented where their layout is
#[non_exhaustive]
pub struct CsvClaims {
    /// Version of the report's layout: 1 or 2.
    pub version: u8,
    pub measure: Digest<32>,
    pub user_pubkey_digest: Digest<32>,
    pub vm_id: Digest<16>,
    pub vm_version: Digest<16>,
    pub mnonce: Digest<16>,
    pub policy: CsvPolicy,
    /// Version 1 only: the mask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonce: Option<Digest<4>>,
    /// Version 2 only; as JSON its members are among the others.
    #[serde(flatten)]
    pub extended: Option<CsvExtendedClaims>,
    /// The chip's serial number as the signer block states it. Only the chip's own firmware is to be believed about it, and nothing signs it: see
    /// `chip_id`.
    pub serial_number: String,
    /// The serial number for which Hygon's service gave the CEK that vouches for this report; equal to `serial_number`. Absent when the
    /// certificates did not come under a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chip_id: Option<String>,
    /// Whether the MAC over the signer block was checked. Where the guest's library has wiped what it covers, it cannot be.
    pub signer_mac: bool,
    /// Whether the platform's owner vouches for it.
    pub owner: CsvOwner,
    /// Version of the firmware's interface with which the PEK was made: major, minor.
    pub pek_api: [u8; 2],
    /// Always false: the certificates of this PKI have no dates.
    pub certificates_expire: bool,
    /// Always false: this PKI has no revocation lists.
    pub certificates_revocable: bool,
}

/// What only a report of version 2 says; names as in [`sealwright_wire::csv::TeeInfoV2`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // registers are documented where their layout is
#[non_exhaustive]
pub struct CsvExtendedClaims {
    pub build: u32,
    pub rtmr_version: u16,
    pub rtmr0: Digest<32>,
    pub rtmr1: Digest<32>,
    pub rtmr2: Digest<32>,
    pub rtmr3: Digest<32>,
    pub rtmr4: Digest<32>,
}

impl CsvExtendedClaims {
    fn new(body: &TeeInfoV2) -> Self {
        let [rtmr0, rtmr1, rtmr2, rtmr3, rtmr4] = body.rtmr.map(Digest);
        let (build, rtmr_version) = (body.build.get(), body.rtmr_version.get());
        Self { build, rtmr_version, rtmr0, rtmr1, rtmr2, rtmr3, rtmr4 }
    }
}

/// The bits of a guest's policy; names as in [`sealwright_wire::csv::Policy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // bits are documented where their layout is
#[non_exhaustive]
pub struct CsvPolicy {
    pub nodbg: bool,
    pub noks: bool,
    pub es: bool,
    pub nosend: bool,
    pub domain: bool,
    pub csv: bool,
    pub csv3: bool,
    pub asid_reuse: bool,
    pub hsk_version: u8,
    pub cek_version: u8,
    pub api_major: u8,
    pub api_minor: u8,
}

impl From<Policy> for CsvPolicy {
    fn from(policy: Policy) -> Self {
        Self {
            nodbg: policy.nodbg(),
            noks: policy.noks(),
            es: policy.es(),
            nosend: policy.nosend(),
            domain: policy.domain(),
            csv: policy.csv(),
            csv3: policy.csv3(),
            asid_reuse: policy.asid_reuse(),
            hsk_version: policy.hsk_version(),
            cek_version: policy.cek_version(),
            api_major: policy.api_major(),
            api_minor: policy.api_minor(),
        }
    }
}

/// What the platform owner's certificate authority (OCA) says about the PEK, beside the chip's own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CsvOwner {
    /// It did not sign the PEK.
    None,
    /// There is a signature that says it is the OCA's; whose it is nobody told the verifier.
    Unverified,
    /// The OCA that the relying party named signed the PEK.
    Verified,
}

/// What a verified report's signer block says.
pub(super) struct Signed {
    pub(super) serial_number: String,
    pub(super) chip_id: Option<String>,
    pub(super) mac: bool,
    pub(super) owner: CsvOwner,
}

impl CsvClaims {
    pub(super) fn new(body: &Body<'_>, info: &TeeInfo, pek: &Certificate, signed: Signed) -> Self {
        let (anonce, extended) = match body {
            Body::V1(body) => (Some(Digest(body.anonce)), None),
            Body::V2(body) => (None, Some(CsvExtendedClaims::new(body))),
        };
        Self {
            version: body.version(),
            measure: Digest(info.measure),
            user_pubkey_digest: Digest(info.user_pubkey_digest),
            vm_id: Digest(info.vm_id),
            vm_version: Digest(info.vm_version),
            mnonce: Digest(info.mnonce),
            policy: info.policy().into(),
            anonce,
            extended,
            serial_number: signed.serial_number,
            chip_id: signed.chip_id,
            signer_mac: signed.mac,
            owner: signed.owner,
            pek_api: [pek.api_major, pek.api_minor],
            certificates_expire: false,
            certificates_revocable: false,
        }
    }
}
