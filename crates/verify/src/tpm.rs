//! TPM 2.0: a quote under an attestation key whose origin is known.
//!
//! What a quote is worth is what is known of its key. Two origins are believed: a certificate for attestation keys (extended key usage
//! `tcg-kp-AIKCertificate`) below a CA that the relying party named with [`Anchor::tpm_ca`](crate::Anchor::tpm_ca), or the key itself, enrolled
//! with [`Anchor::attestation_key`](crate::Anchor::attestation_key). A key that merely comes with the evidence is refused. (An endorsement
//! key decrypts and never signs a quote: its certificate helps whoever enrols a key by credential activation, and nobody else.)
//!
//! A TPM says what a machine booted. It does not keep the machine's owner out of its memory, and has no bit that would say so:
//! [`Facts::debug`] and [`Facts::tcb`] are absent.
//!
//! Source: TCG, "Trusted Platform Module Library", Part 1 "Attestation" and Part 2; TCG EK Credential Profile, "Extended Key Usage".

mod chain;
mod claims;
mod error;

pub use claims::{AkAttributes, TpmClaims};
pub use error::Error;

use crate::certificate::{Certificate, Profile, profile};
use crate::crypto::{self, Hash, PublicKey, TpmScheme};
use crate::{AnchorId, Anchors, Claims, Error as VerifyError, Facts, Part, facts::Log, hash, replay, window::Window};
use sealwright_wire::tcg2::AlgorithmId;
use sealwright_wire::tpm::{Attest, PcrValues, Public, Signature, alg, tools};
use sealwright_wire::{Error as WireError, Tee, time::UnixTime};

/// The end of what has no end of its own (RFC 5280, 4.1.2.5): 9999-12-31T23:59:59Z.
const NO_END: UnixTime = UnixTime(253_402_300_799);

/// A TPM's quote and what came with it.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// `TPMS_ATTEST`, as signed.
    pub message: &'a [u8],
    /// The signature over it.
    pub signature: Signature<'a>,
    /// The values of PCRs. Those that the quote does not select are not looked at.
    pub pcrs: &'a PcrValues,
    /// The key, and whence it comes.
    pub key: AttestationKey<'a>,
    /// The firmware's log (`binary_bios_measurements`), perhaps newer than the quote.
    pub event_log: Option<&'a [u8]>,
    /// The kernel's list (`ascii_runtime_measurements` or `binary_runtime_measurements`), perhaps newer than the quote.
    pub ima: Option<&'a [u8]>,
    /// A canonical event log of what was measured behind the firmware's, perhaps newer than the quote.
    pub cel: Option<&'a [u8]>,
}

/// How evidence names the attestation key.
#[derive(Clone, Copy, Debug)]
pub enum AttestationKey<'a> {
    /// By its SubjectPublicKeyInfo in DER: it must be enrolled.
    KeyInfo(&'a [u8]),
    /// By its public area (`TPM2B_PUBLIC` or `TPMT_PUBLIC`): it must be enrolled.
    Public(&'a [u8]),
    /// By a certificate.
    Certified {
        /// Certificates in DER, the key's first, the root last.
        chain: &'a [Vec<u8>],
        /// The key's public area, where it came along.
        public: Option<&'a [u8]>,
        /// Revocation lists in DER of the CAs in the chain. Facts say whether all certificates were looked up.
        crls: &'a [Vec<u8>],
    },
}

/// An attestation key that is believed.
pub(crate) struct Signer {
    pub(crate) key: PublicKey,
    pub(crate) key_info: Vec<u8>,
    pub(crate) origin: &'static str,
    pub(crate) revocation_checked: bool,
    /// Public area, and who vouches for it.
    area: Option<(Vec<u8>, &'static str)>,
}

/// The public area of an attestation key, with attributes and scheme that it must have.
pub(crate) struct Area<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) public: Public<'a>,
    pub(crate) key_info: Vec<u8>,
}

impl<'a> Area<'a> {
    pub(crate) fn parse(public: &'a [u8]) -> Result<Self, VerifyError> {
        let malformed = |source| VerifyError::Malformed { part: Part::AttestationKey, source };
        let bytes = Public::without_size(public).map_err(malformed)?;
        let public = Public::parse(bytes).map_err(malformed)?;
        check_attributes(&public)?;
        let key_info = public.key_info().map_err(malformed)?;
        public_key(&key_info)?;
        Ok(Self { bytes, public, key_info })
    }

    /// `nameAlg || H(TPMT_PUBLIC)` (Part 1, "Names").
    fn name(&self) -> Option<Vec<u8>> {
        let digest = hash::Hash::of(self.public.name_alg)?.digest(self.bytes);
        Some([self.public.name_alg.0.to_be_bytes().as_slice(), digest.as_bytes()].concat())
    }
}

/// A key of a kind that signatures are verified with.
pub(crate) fn public_key(key_info: &[u8]) -> Result<PublicKey, VerifyError> {
    let key = PublicKey::from_der(key_info);
    key.ok_or_else(|| profile(Part::AttestationKey, "an RSA, P-256 or P-384 public key", hex::encode(key_info)))
}

/// A restricted signing key that its TPM made and never gives away, with one scheme of its own.
fn check_attributes(public: &Public<'_>) -> Result<(), Error> {
    let bits = public.attributes;
    for (name, set, wanted) in [
        ("restricted", bits.restricted(), true),
        ("sign", bits.sign(), true),
        ("decrypt", bits.decrypt(), false),
        ("fixedTPM", bits.fixed_tpm(), true),
        ("fixedParent", bits.fixed_parent(), true),
        ("sensitiveDataOrigin", bits.sensitive_data_origin(), true),
    ] {
        if set != wanted {
            return Err(Error::Attribute { name, wanted });
        }
    }
    match public.scheme {
        Some(scheme) if matches!(scheme.algorithm, alg::RSASSA | alg::RSAPSS | alg::ECDSA) => Ok(()),
        Some(scheme) => Err(Error::Scheme { expected: SCHEMES.into(), found: format!("{:#06x}", scheme.algorithm) }),
        None => Err(Error::Scheme { expected: SCHEMES.into(), found: "none".into() }),
    }
}

const SCHEMES: &str = "RSASSA, RSAPSS or ECDSA";

/// Verifies a quote: the origin of its key, its signature, its PCRs, and the log and list against them. What it answers to
/// ([`Facts::report_data`]) is its qualifying data, for the caller to compare with the challenge.
///
/// # Errors
/// When the key is neither enrolled nor certified below a TPM CA among the anchors, is no attestation key, or did not sign the message; when
/// the PCRs are not those that the quote is over; when the log or the list does not explain them; when `at` is outside the validity of a
/// certificate or revocation list.
pub fn verify(evidence: &Evidence<'_>, anchors: &Anchors, at: UnixTime) -> Result<Facts, VerifyError> {
    let (signer, anchor, window) = match evidence.key {
        AttestationKey::KeyInfo(key_info) => enrolled(key_info, None, anchors)?,
        AttestationKey::Public(public) => {
            let area = Area::parse(public)?;
            enrolled(&area.key_info, Some(area.bytes), anchors)?
        }
        AttestationKey::Certified { chain, public, crls } => certified(chain, public, crls, anchors, at)?,
    };
    let quoted = quote(evidence, &signer)?;
    Ok(Facts {
        tee: Tee::Tpm,
        anchor,
        at,
        collateral_expires: window.map_or(NO_END, |window| window.until()),
        tcb: None,
        debug: None,
        report_data: quoted.report_data,
        evidence_sha384: hash::sha384(&[evidence.message, &quoted.signature]),
        quote_version: None,
        trailing_bytes: 0,
        claims: Claims::Tpm(quoted.claims),
        log: quoted.log,
    })
}

/// What there is to know of a key that is believed: itself, the anchor, and how long.
type Origin = (Signer, AnchorId, Option<Window>);

/// A key that is an anchor itself.
fn enrolled(key_info: &[u8], area: Option<&[u8]>, anchors: &Anchors) -> Result<Origin, VerifyError> {
    let (anchor, known) = anchors.trust_attestation_key(key_info)?;
    let area = match (known, area) {
        (Some(known), Some(stated)) if known != stated => return Err(Error::OtherArea.into()),
        (Some(known), _) => Some((known.to_vec(), "enrolment")),
        (None, Some(stated)) => Some((stated.to_vec(), "evidence")),
        (None, None) => None,
    };
    let key = public_key(key_info)?;
    let signer = Signer { key, key_info: key_info.to_vec(), origin: "enrolled", revocation_checked: false, area };
    Ok((signer, anchor, None))
}

/// The anchor of the root (DER) above an attestation key's certificates, whatever else is to be said of them.
pub(crate) fn root(certificate: &[u8], anchors: &Anchors) -> Result<AnchorId, VerifyError> {
    anchors.trust(&Certificate::parse(Part::AkRootCa, certificate, Profile::TPM)?)
}

/// A key with a certificate.
fn certified(
    certificates: &[Vec<u8>],
    public: Option<&[u8]>,
    crls: &[Vec<u8>],
    anchors: &Anchors,
    at: UnixTime,
) -> Result<Origin, VerifyError> {
    let verified = chain::verify(certificates, crls, anchors, at)?;
    let area = public.map(Area::parse).transpose()?;
    if let Some(area) = &area
        && area.key_info != verified.leaf.key_info()
    {
        let (expected, found) = (hash::sha256(&[verified.leaf.key_info()]), hash::sha256(&[&area.key_info]));
        return Err(Error::OtherKey { expected, found }.into());
    }
    let signer = Signer {
        key: verified.leaf.key().clone(),
        key_info: verified.leaf.key_info().to_vec(),
        origin: "certificate",
        revocation_checked: verified.revocation_checked,
        area: area.map(|area| (area.bytes.to_vec(), "evidence")),
    };
    Ok((signer, verified.anchor, Some(verified.window)))
}

impl Signer {
    /// The vTPM key that a verified paravisor names.
    pub(crate) fn of_paravisor(key_info: &[u8]) -> Result<Self, VerifyError> {
        let key = public_key(key_info)?;
        Ok(Self { key, key_info: key_info.to_vec(), origin: "paravisor", revocation_checked: false, area: None })
    }
}

/// A verified quote.
pub(crate) struct Quoted {
    pub(crate) report_data: Vec<u8>,
    pub(crate) claims: TpmClaims,
    pub(crate) log: Option<Log>,
    /// The signature's bytes, by which the evidence is named.
    pub(crate) signature: Vec<u8>,
}

/// Verifies a quote under a key that is believed.
pub(crate) fn quote(evidence: &Evidence<'_>, signer: &Signer) -> Result<Quoted, VerifyError> {
    let area = signer.area.as_ref().map(|(area, _)| Area::parse(area)).transpose()?;
    if let Some(area) = &area {
        check_scheme(&area.public, &evidence.signature)?;
    }
    let signature = check_signature(evidence, &signer.key)?;
    let malformed = |source: WireError| VerifyError::Malformed { part: Part::TpmQuote, source };
    let attest = Attest::parse(evidence.message).map_err(malformed)?;
    let quoted = check_pcrs(&attest, evidence.pcrs, evidence.signature.hash())?;
    let log = match (evidence.event_log, evidence.ima, evidence.cel) {
        (None, None, None) => None,
        (log, ima, cel) => {
            let checked = replay::check_pcrs(log, ima, cel, &quoted);
            Some(Log::Pcrs(checked.map_err(|source| VerifyError::EventLog { source: Box::new(source) })?))
        }
    };
    let vouched = signer.area.as_ref().map(|(_, by)| *by);
    let area = area.map(|area| (area.public.attributes, area.name()));
    Ok(Quoted {
        report_data: attest.extra_data.to_vec(),
        claims: TpmClaims::new(&attest, &evidence.signature, signer, quoted, area, vouched),
        log,
        signature,
    })
}

/// The scheme and hash of the key's public area.
fn check_scheme(public: &Public<'_>, signature: &Signature<'_>) -> Result<(), Error> {
    let used = match signature {
        Signature::RsaSsa { .. } => alg::RSASSA,
        Signature::RsaPss { .. } => alg::RSAPSS,
        Signature::Ecdsa { .. } => alg::ECDSA,
    };
    let found = format!("{} with {}", signature.scheme(), signature.hash());
    match public.scheme {
        Some(scheme) if scheme.algorithm == used && scheme.hash == Some(signature.hash()) => Ok(()),
        Some(scheme) => {
            let hash = scheme.hash.unwrap_or(AlgorithmId(alg::NULL));
            Err(Error::Scheme { expected: format!("scheme {:#06x} with {hash}", scheme.algorithm), found })
        }
        None => Err(Error::Scheme { expected: SCHEMES.into(), found }),
    }
}

fn check_signature(evidence: &Evidence<'_>, key: &PublicKey) -> Result<Vec<u8>, VerifyError> {
    let hash = match evidence.signature.hash() {
        AlgorithmId::SHA256 => Hash::Sha256,
        AlgorithmId::SHA384 => Hash::Sha384,
        AlgorithmId::SHA512 => Hash::Sha512,
        other => return Err(Error::WeakHash { found: other }.into()),
    };
    let scheme = match evidence.signature {
        Signature::RsaSsa { .. } => TpmScheme::RsaSsa,
        Signature::RsaPss { .. } => TpmScheme::RsaPss,
        Signature::Ecdsa { .. } => TpmScheme::Ecdsa,
    };
    let refused = || VerifyError::Signature { part: Part::TpmQuote, signer: Part::AttestationKey.name() };
    let signature = tools::plain_signature(&evidence.signature).map_err(|_| refused())?;
    if crypto::verify_tpm(key, scheme, hash, evidence.message, &signature) { Ok(signature) } else { Err(refused()) }
}

/// The PCRs that a quote (`TPMS_ATTEST`) is over, out of values among which they are. Their digest is the quote's; nothing is said of who signed it.
///
/// # Errors
/// When the message is no quote, a value is missing, or their digest is not the quote's.
pub fn quoted_pcrs(message: &[u8], pcrs: &PcrValues) -> Result<PcrValues, VerifyError> {
    let malformed = |source: WireError| VerifyError::Malformed { part: Part::TpmQuote, source };
    let attest = Attest::parse(message).map_err(malformed)?;
    // The digest's algorithm is the signature's, which is not here: its length tells it.
    let algorithm = match attest.pcr_digest.len() {
        20 => AlgorithmId::SHA1,
        48 => AlgorithmId::SHA384,
        64 => AlgorithmId::SHA512,
        _ => AlgorithmId::SHA256,
    };
    check_pcrs(&attest, pcrs, algorithm)
}

/// The selected values, whose digest must be the quote's: bank by bank in the quote's order, each bank ascending (Part 3, "TPM2_Quote").
fn check_pcrs(attest: &Attest<'_>, pcrs: &PcrValues, algorithm: AlgorithmId) -> Result<PcrValues, VerifyError> {
    let Some(hash) = hash::Hash::of(algorithm) else { return Err(Error::WeakHash { found: algorithm }.into()) };
    let mut selected = Vec::new();
    let mut quoted = PcrValues::new();
    for (bank, pcr) in attest.pcr_select.registers() {
        let Some(value) = pcrs.get(bank, pcr) else { return Err(Error::MissingPcr { bank, pcr }.into()) };
        selected.extend_from_slice(value);
        let malformed = |source| VerifyError::Malformed { part: Part::TpmQuote, source };
        quoted.insert(bank, pcr, value).map_err(malformed)?;
    }
    let computed = hash.digest(&selected);
    if computed.as_bytes() != attest.pcr_digest {
        let (expected, found) = (hex::encode(attest.pcr_digest), computed.to_string());
        return Err(Error::PcrDigest { expected, found }.into());
    }
    Ok(quoted)
}
