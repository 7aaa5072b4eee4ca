//! Attestation tokens of Arm CCA (draft-ffm-rats-cca-token).
//!
//! A platform signs with a key of its own (CPAK), for which there is no certificate: whoever wants to believe it must have enrolled it
//! before, from the platform's maker or owner. The platform vouches for the key of its realms (RAK), which signs what the realm says.
//! Tokens have no time in them: how old one is, only its challenge tells.

use crate::crypto;
use crate::{AnchorId, AnchorKind, Claims, Error, Facts, Part, SIMULATION, hash, window::Window};
use sealwright_wire::cca::{Component, Entry, Hash, Token};
use sealwright_wire::cose::{Algorithm, Curve, Key, Sign1};
use sealwright_wire::{Digest, Tee, reference::Value, time::UnixTime};
use serde::Serialize;

/// The key of one platform, which the relying party trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    id: AnchorId,
    /// Implementation id and instance id; none of a key by itself, which is believed of its platform's.
    ids: Option<([u8; 32], [u8; 33])>,
    algorithm: Algorithm,
    point: Vec<u8>,
    until: UnixTime,
}

impl Enrolled {
    /// The key (CPAK) of the platform with these ids, under a name of the relying party's choice. A platform whose implementation id begins
    /// with the name of a simulation ([`SIMULATION`]) is [`AnchorKind::Simulated`], any other [`AnchorKind::Configured`].
    ///
    /// # Errors
    /// When the key is no point of its curve.
    pub fn new(name: &str, implementation_id: [u8; 32], instance_id: [u8; 33], key: &Key<'_>) -> Result<Self, Error> {
        let enrolled = Self::by_key(name, key)?;
        let id = AnchorId { kind: kind(&implementation_id), ..enrolled.id };
        Ok(Self { id, ids: Some((implementation_id, instance_id)), ..enrolled })
    }

    /// A key (CPAK) by itself, under a name of the relying party's choice: of the platform that signs with it, whose ids are what it says. Facts
    /// name it [`AnchorKind::Simulated`] where those are a simulation's, as [`Enrolled::new`] has it.
    ///
    /// # Errors
    /// When the key is no point of its curve.
    pub fn by_key(name: &str, key: &Key<'_>) -> Result<Self, Error> {
        let part = Part::CcaPlatformKey;
        let point = key.point();
        let Some(algorithm) = algorithm(key.curve).filter(|algorithm| crypto::is_point(*algorithm, &point)) else {
            let rule = "a point of P-256, P-384 or P-521";
            return Err(Error::Profile { part, rule, found: hex::encode(point) });
        };
        let sha256 = hash::sha256(&[key_info(algorithm), &point]);
        let id = AnchorId { name: name.to_owned(), kind: AnchorKind::Configured, sha256 };
        Ok(Self { id, ids: None, algorithm, point, until: UnixTime::LAST })
    }

    /// The platform of an entry of a store, named by its instance id.
    ///
    /// # Errors
    /// When the key is no point of its curve.
    pub fn from_entry(entry: &Entry) -> Result<Self, Error> {
        Self::new(&entry.instance_id.to_string(), entry.implementation_id.0, entry.instance_id.0, &entry.key.key())
    }

    /// The same key, believed up to this time only.
    #[must_use]
    pub const fn until(mut self, until: UnixTime) -> Self {
        self.until = until;
        self
    }

    /// The same key, declared to be a simulation's.
    #[must_use]
    pub const fn simulated(mut self) -> Self {
        self.id.kind = AnchorKind::Simulated;
        self
    }

    /// Its name, kind and digest.
    pub const fn id(&self) -> &AnchorId {
        &self.id
    }

    /// What facts call it: a platform that calls itself a simulation is one.
    fn anchor(&self, implementation_id: &[u8; 32]) -> AnchorId {
        match kind(implementation_id) {
            kind @ AnchorKind::Simulated => AnchorId { kind, ..self.id.clone() },
            _ => self.id.clone(),
        }
    }

    /// The platform's signature under this key.
    fn check_signature(&self, token: &Token<'_>) -> Result<(), Error> {
        let signer = Part::CcaPlatformKey.name();
        check_signature(Part::CcaPlatformToken, signer, &token.platform, self.algorithm, &self.point)
    }
}

/// The one algorithm that evidence uses with a curve's keys.
const fn algorithm(curve: Curve) -> Option<Algorithm> {
    match curve {
        Curve::P256 => Some(Algorithm::Es256),
        Curve::P384 => Some(Algorithm::Es384),
        Curve::P521 => Some(Algorithm::Es512),
        _ => None,
    }
}

/// SubjectPublicKeyInfo of a key of this algorithm up to its point (RFC 5480, 2).
#[rustfmt::skip]
const fn key_info(algorithm: Algorithm) -> &'static [u8] {
    match algorithm {
        Algorithm::Es256 => &crate::P256_KEY_INFO,
        Algorithm::Es384 => &[
            0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
            0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
        ],
        _ => &[
            0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
            0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00,
        ],
    }
}

/// Claims of a realm and its platform; names as in [`sealwright_wire::cca::RealmClaims`] and [`sealwright_wire::cca::PlatformClaims`].
/// Values whose width depends on the token's hash algorithm are hex in JSON as the others are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CcaClaims {
    /// The realm's initial measurement.
    pub rim: Value,
    /// The realm's extensible measurements.
    pub rem0: Value,
    #[allow(missing_docs)] // as rem0
    pub rem1: Value,
    #[allow(missing_docs)] // as rem0
    pub rem2: Value,
    #[allow(missing_docs)] // as rem0
    pub rem3: Value,
    /// What the realm's owner gave at its start.
    pub personalization_value: Digest<64>,
    /// How the realm is measured.
    pub realm_hash_algorithm: &'static str,
    /// Name of the realm's profile; absent in tokens of Arm's first firmware.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm_profile: Option<&'static str>,
    /// `private` or `shared`: whether the realm's memory has a key of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mec_policy: Option<String>,
    /// Which realm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm_instance_id: Option<Digest<33>>,
    /// SHA-256 of the realm's public key (RAK) as the token has it.
    pub realm_public_key_sha256: Digest<32>,
    /// Name of the platform's profile.
    pub platform_profile: &'static str,
    /// Which kind of platform.
    pub implementation_id: Digest<32>,
    /// Which platform.
    pub instance_id: Digest<33>,
    /// State of the platform's life: `secured`, or one of `unknown`, `assembly-and-test`, `cca-platform-rot-provisioning`,
    /// `non-cca-platform-rot-debug`, `recoverable-cca-platform-rot-debug`, `decommissioned`.
    pub lifecycle: &'static str,
    /// The same as the token's number, whose lower byte is the platform's own.
    pub lifecycle_number: u16,
    /// The platform's configuration, in its vendor's form, in hex.
    #[serde(serialize_with = "hex::serialize")]
    pub config: Vec<u8>,
    /// How software components were measured unless they say otherwise.
    pub platform_hash_algorithm: &'static str,
    /// The platform's firmware.
    pub software_components: Vec<CcaComponent>,
    /// Where somebody offers to verify such tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification_service: Option<String>,
    /// The platform's manufacturing configuration, in hex.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::nitro::hex_option")]
    pub manufacturing_config: Option<Vec<u8>>,
    /// Peer signers, in hex.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::nitro::hex_option")]
    pub peer_signers: Option<Vec<u8>>,
}

/// A software component of the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CcaComponent {
    /// Its role, as `RMM` or `BL2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component_type: Option<String>,
    /// Digest of its image.
    pub measurement_value: Value,
    /// Digest of the key that signed it.
    pub signer_id: Value,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How it was measured.
    pub hash_algorithm: &'static str,
}

impl CcaClaims {
    fn new(token: &Token<'_>) -> Self {
        let (platform, realm) = (&token.platform_claims, &token.realm_claims);
        let [rem0, rem1, rem2, rem3] = realm.extensible_measurements.map(Value::from);
        let component = |component: &Component<'_>| CcaComponent {
            component_type: component.component_type.map(str::to_owned),
            measurement_value: component.measurement_value.into(),
            signer_id: component.signer_id.into(),
            version: component.version.map(str::to_owned),
            hash_algorithm: component.hash_algorithm.unwrap_or(platform.hash_algorithm).name(),
        };
        Self {
            rim: realm.initial_measurement.into(),
            rem0,
            rem1,
            rem2,
            rem3,
            personalization_value: Digest(*realm.personalization_value),
            realm_hash_algorithm: realm.hash_algorithm.name(),
            realm_profile: realm.profile.map(|profile| profile.name()),
            mec_policy: realm.mec_policy.map(str::to_owned),
            realm_instance_id: realm.instance_id.map(|id| Digest(*id)),
            realm_public_key_sha256: hash::sha256(&[realm.public_key]),
            platform_profile: platform.profile.name(),
            implementation_id: Digest(*platform.implementation_id),
            instance_id: Digest(*platform.instance_id),
            lifecycle: platform.lifecycle.name().unwrap_or("unknown"),
            lifecycle_number: platform.lifecycle.0,
            config: platform.config.to_vec(),
            platform_hash_algorithm: platform.hash_algorithm.name(),
            software_components: platform.software_components.iter().map(component).collect(),
            verification_service: platform.verification_service.map(str::to_owned),
            manufacturing_config: platform.manufacturing_config.map(<[u8]>::to_vec),
            peer_signers: platform.peer_signers.map(<[u8]>::to_vec),
        }
    }
}

/// Why a token is not believed although it is well-formed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CcaError {
    /// The platform's key is not enrolled.
    #[error(
        "platform with instance id {instance_id} and implementation id {implementation_id} is not enrolled ({enrolled} are)"
    )]
    NotEnrolled {
        /// Which platform, in hex.
        instance_id: String,
        /// Which kind, in hex.
        implementation_id: String,
        /// How many platforms are.
        enrolled: usize,
    },
    /// The platform vouches for another realm key than the one in the token.
    #[error("platform vouches for a realm key with hash {expected}, the realm's hashes to {found}")]
    Binding {
        /// The platform's challenge, in hex.
        expected: String,
        /// Hash of the realm's public key, in hex.
        found: String,
    },
}

impl CcaError {
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::NotEnrolled { .. } => "cca-not-enrolled",
            Self::Binding { .. } => "cca-realm-binding",
        }
    }

    pub(crate) const fn claim(&self) -> &'static str {
        match self {
            Self::NotEnrolled { .. } => "cca-platform-instance-id",
            Self::Binding { .. } => "cca-platform-challenge",
        }
    }

    pub(crate) fn expected(&self) -> Option<String> {
        match self {
            Self::NotEnrolled { enrolled, .. } => Some(format!("one of {enrolled} enrolled platforms")),
            Self::Binding { expected, .. } => Some(expected.clone()),
        }
    }

    pub(crate) fn actual(&self) -> Option<String> {
        match self {
            Self::NotEnrolled { instance_id: found, .. } | Self::Binding { found, .. } => Some(found.clone()),
        }
    }

    pub(crate) const fn remedy(&self) -> &'static str {
        match self {
            Self::NotEnrolled { .. } => {
                "get this platform's public key (CPAK) from its maker or owner, by a way that you trust, and enrol it with both ids"
            }
            Self::Binding { .. } => {
                "the token was put together from those of two realms or two platforms: have the realm take a new one, and look at what \
                 carries it here"
            }
        }
    }
}

/// Verifies a token: the platform's signature under its enrolled key, that the platform vouches for the realm's key, and the realm's
/// signature under that.
///
/// `report_data` of the facts is the realm's challenge, which the caller must compare with its own: nothing else tells that a token is new.
/// `debug` tells that the platform is in any state but `secured`. `collateral_expires` is the end of the key's enrolment.
///
/// # Errors
/// When the token is malformed; when its platform is not enrolled, or no longer; when an algorithm is not that of its key's curve; when a
/// signature does not verify; when the platform vouches for another realm key.
pub fn verify(token: &[u8], enrolled: &[Enrolled], at: UnixTime) -> Result<Facts, Error> {
    let malformed = |source| Error::Malformed { part: Part::CcaToken, source };
    let parsed = Token::parse(token).map_err(malformed)?;
    let platform = platform(&parsed, enrolled)?;
    let window = Window::new(Part::CcaPlatformKey, UnixTime(0), platform.until);
    window.check(at)?;
    platform.check_signature(&parsed)?;
    check_binding(&parsed)?;
    let key = parsed.realm_claims.key().map_err(malformed)?;
    let rule = "a realm key on P-256, P-384 or P-521";
    let unknown = || Error::Profile { part: Part::CcaRealmToken, rule, found: "another curve".into() };
    let realm_algorithm = algorithm(key.curve).ok_or_else(unknown)?;
    check_signature(Part::CcaRealmToken, "realm attestation key", &parsed.realm, realm_algorithm, &key.point())?;
    Ok(Facts {
        tee: Tee::Cca,
        anchor: platform.anchor(parsed.platform_claims.implementation_id),
        at,
        collateral_expires: window.until(),
        tcb: None,
        debug: Some(!parsed.platform_claims.lifecycle.is_secured()),
        report_data: parsed.realm_claims.challenge.to_vec(),
        evidence_sha384: hash::sha384(&[token]),
        quote_version: None,
        trailing_bytes: 0,
        claims: Claims::Cca(Box::new(CcaClaims::new(&parsed))),
        log: None,
    })
}

/// The kind of anchor that a platform with this implementation id is.
fn kind(implementation_id: &[u8; 32]) -> AnchorKind {
    let simulated = implementation_id.starts_with(SIMULATION.as_bytes());
    if simulated { AnchorKind::Simulated } else { AnchorKind::Configured }
}

/// The enrolled platform that has both of the token's ids, or the key by itself that signed it.
fn platform<'e>(token: &Token<'_>, enrolled: &'e [Enrolled]) -> Result<&'e Enrolled, Error> {
    let claims = &token.platform_claims;
    let ids = Some((*claims.implementation_id, *claims.instance_id));
    let keys = || enrolled.iter().filter(|platform| platform.ids.is_none());
    let by_ids = enrolled.iter().find(|platform| platform.ids == ids);
    let by_key = || keys().find(|platform| platform.check_signature(token).is_ok());
    // Where none signed it, the first says why.
    by_ids.or_else(by_key).or_else(|| keys().next()).ok_or_else(|| {
        Error::Cca(CcaError::NotEnrolled {
            instance_id: hex::encode(claims.instance_id),
            implementation_id: hex::encode(claims.implementation_id),
            enrolled: enrolled.len(),
        })
    })
}

fn check_signature(
    part: Part,
    signer: &'static str,
    message: &Sign1<'_>,
    algorithm: Algorithm,
    point: &[u8],
) -> Result<(), Error> {
    if message.algorithm != algorithm {
        let rule = "the signature algorithm of its key's curve";
        return Err(Error::Profile { part, rule, found: message.algorithm.name().into() });
    }
    let signed = message.signed_bytes().map_err(|source| Error::Malformed { part, source })?;
    if crypto::verify_cose(algorithm, point, &signed, message.signature) {
        return Ok(());
    }
    Err(Error::Signature { part, signer })
}

/// The platform's challenge is the hash of the realm's key, as the claim has it.
fn check_binding(token: &Token<'_>) -> Result<(), Error> {
    let realm = &token.realm_claims;
    let algorithm = match realm.public_key_hash_algorithm {
        Hash::Sha256 => hash::Hash::SHA256,
        Hash::Sha384 => hash::Hash::SHA384,
        Hash::Sha512 => hash::Hash::SHA512,
    };
    let found = algorithm.digest(realm.public_key);
    if found.as_bytes() == token.platform_claims.challenge {
        return Ok(());
    }
    let (expected, found) = (hex::encode(token.platform_claims.challenge), hex::encode(found));
    Err(CcaError::Binding { expected, found }.into())
}
