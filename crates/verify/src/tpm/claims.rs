//! What a verified quote says.

use super::Signer;
use crate::hash;
use crate::replay::PCR_NAMES;
use sealwright_wire::Digest;
use sealwright_wire::tcg2::AlgorithmId;
use sealwright_wire::tpm::{Attest, Attributes, PcrValues, Signature};
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::collections::BTreeMap;

/// Claims of a TPM. As JSON, the PCRs of the SHA-256 bank stand among the members as `pcr0` to `pcr23`, those of every quoted bank under
/// `banks`, by the bank's name and the PCR's number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TpmClaims {
    /// The values that the quote covers, and no others.
    #[serde(flatten, serialize_with = "by_bank")]
    pub pcrs: PcrValues,
    /// Milliseconds in which the TPM was powered since it was last cleared (`clock`).
    pub clock: u64,
    /// How often the TPM was reset (`resetCount`): the same value is the same boot.
    pub reset_count: u32,
    /// How often it was restarted or resumed since (`restartCount`).
    pub restart_count: u32,
    /// Whether the clock never went back (`safe`).
    pub safe: bool,
    /// Version of the TPM's firmware (`firmwareVersion`), in its vendor's own way.
    pub firmware_version: Digest<8>,
    /// Qualified name of the signing key (`qualifiedSigner`), in hex.
    pub qualified_signer: String,
    /// `rsassa`, `rsapss` or `ecdsa`.
    pub scheme: &'static str,
    /// Hash of signature and PCR digest: `sha256`, `sha384` or `sha512`.
    pub hash: String,
    /// SHA-256 of the attestation key's SubjectPublicKeyInfo.
    pub ak_sha256: Digest<32>,
    /// Why the key is believed: `certificate`, `enrolled` or `paravisor`.
    pub ak_origin: &'static str,
    /// Whether every certificate above the key was looked up in a revocation list of its issuer.
    pub ak_revocation_checked: bool,
    /// The key's name (`nameAlg || H(TPMT_PUBLIC)`) in hex, where its public area is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ak_name: Option<String>,
    /// What the key may do, where its public area is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ak_attributes: Option<AkAttributes>,
    /// Who says so: `enrolment`, or the `evidence` itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ak_attributes_from: Option<&'static str>,
}

/// The bits of `TPMA_OBJECT` (TPM 2.0 Part 2, Table "Definition of (UINT32) TPMA_OBJECT Bits").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // documented where the bits are: sealwright_wire::tpm::Attributes
#[non_exhaustive]
pub struct AkAttributes {
    pub fixed_tpm: bool,
    pub st_clear: bool,
    pub fixed_parent: bool,
    pub sensitive_data_origin: bool,
    pub user_with_auth: bool,
    pub admin_with_policy: bool,
    pub no_da: bool,
    pub encrypted_duplication: bool,
    pub restricted: bool,
    pub decrypt: bool,
    pub sign: bool,
    pub x509_sign: bool,
}

impl From<Attributes> for AkAttributes {
    fn from(bits: Attributes) -> Self {
        Self {
            fixed_tpm: bits.fixed_tpm(),
            st_clear: bits.st_clear(),
            fixed_parent: bits.fixed_parent(),
            sensitive_data_origin: bits.sensitive_data_origin(),
            user_with_auth: bits.user_with_auth(),
            admin_with_policy: bits.admin_with_policy(),
            no_da: bits.no_da(),
            encrypted_duplication: bits.encrypted_duplication(),
            restricted: bits.restricted(),
            decrypt: bits.decrypt(),
            sign: bits.sign(),
            x509_sign: bits.x509_sign(),
        }
    }
}

impl TpmClaims {
    pub(super) fn new(
        attest: &Attest<'_>,
        signature: &Signature<'_>,
        signer: &Signer,
        pcrs: PcrValues,
        area: Option<(Attributes, Option<Vec<u8>>)>,
        ak_attributes_from: Option<&'static str>,
    ) -> Self {
        let (attributes, name) = area.unzip();
        Self {
            pcrs,
            clock: attest.clock_info.clock,
            reset_count: attest.clock_info.reset_count,
            restart_count: attest.clock_info.restart_count,
            safe: attest.clock_info.safe,
            firmware_version: Digest(attest.firmware_version.to_be_bytes()),
            qualified_signer: hex::encode(attest.qualified_signer.to_bytes()),
            scheme: signature.scheme(),
            hash: signature.hash().to_string(),
            ak_sha256: hash::sha256(&[&signer.key_info]),
            ak_origin: signer.origin,
            ak_revocation_checked: signer.revocation_checked,
            ak_name: name.flatten().map(hex::encode),
            ak_attributes: attributes.map(AkAttributes::from),
            ak_attributes_from,
        }
    }

    /// A PCR of the SHA-256 bank, where the quote covers it.
    pub fn pcr(&self, pcr: u32) -> Option<&[u8]> {
        self.pcrs.get(AlgorithmId::SHA256, pcr)
    }
}

/// The SHA-256 bank as single members, then all banks.
fn by_bank<S: Serializer>(pcrs: &PcrValues, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    let mut banks = BTreeMap::<String, BTreeMap<String, String>>::new();
    for (bank, pcr, value) in pcrs.iter() {
        let name = usize::try_from(pcr).ok().and_then(|pcr| PCR_NAMES.get(pcr));
        if let (AlgorithmId::SHA256, Some(name)) = (bank, name) {
            map.serialize_entry(name, &hex::encode(value))?;
        }
        banks.entry(bank.to_string()).or_default().insert(pcr.to_string(), hex::encode(value));
    }
    map.serialize_entry("banks", &banks)?;
    map.end()
}
