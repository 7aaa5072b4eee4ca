//! The realm's claims (draft-ffm-rats-cca-token, section 4.7; RMM specification, section A7.2.3.1).

use super::{Hash, digest, instance_id};
use crate::Error;
use crate::cbor::{self, Cbor};
use crate::cose::{Curve, Key};

const FIELD: &str = "realm claims";
/// The most claims that are read; the drafts name 10.
const MAX_CLAIMS: usize = 32;

const CHALLENGE: i64 = 10;
const INSTANCE_ID: i64 = 256;
const PROFILE: i64 = 265;
const PERSONALIZATION_VALUE: i64 = 44_235;
const HASH_ALGORITHM: i64 = 44_236;
const PUBLIC_KEY: i64 = 44_237;
const INITIAL_MEASUREMENT: i64 = 44_238;
const EXTENSIBLE_MEASUREMENTS: i64 = 44_239;
const PUBLIC_KEY_HASH_ALGORITHM: i64 = 44_240;
const MEC_POLICY: i64 = 44_243;

/// Which generation of claims this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RealmProfile {
    /// `tag:arm.com,2023:realm#1.0.0`.
    V1,
    /// `tag:arm.com,2024:realm#2.0.0`.
    V2,
}

impl RealmProfile {
    /// The profile's name as the claim has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "tag:arm.com,2023:realm#1.0.0",
            Self::V2 => "tag:arm.com,2024:realm#2.0.0",
        }
    }

    fn read(cbor: &mut Cbor<'_>) -> Result<Self, Error> {
        let at = cbor.offset();
        let name = cbor.text("cca-realm-profile")?;
        let found = [Self::V1, Self::V2].into_iter().find(|profile| profile.name() == name);
        found.ok_or_else(|| Error::unexpected("cca-realm-profile", at, "a known realm profile", name))
    }
}

/// What the realm management monitor says of a realm. Claims that are not named here are skipped, as those of the platform are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmClaims<'a> {
    /// cca-realm-profile (265); none in tokens of Arm's first firmware.
    pub profile: Option<RealmProfile>,
    /// cca-realm-challenge: 64 bytes of the realm's own choice (10).
    pub challenge: &'a [u8; 64],
    /// cca-realm-personalization-value: 64 bytes that the realm's owner gave at its start (44235).
    pub personalization_value: &'a [u8; 64],
    /// cca-realm-initial-measurement, RIM: the realm's contents at its start (44238).
    pub initial_measurement: &'a [u8],
    /// cca-realm-extensible-measurements, REM: registers that only grow (44239).
    pub extensible_measurements: [&'a [u8]; 4],
    /// cca-realm-hash-algo-id: how the realm is measured (44236).
    pub hash_algorithm: Hash,
    /// cca-realm-public-key, RAK, exactly as the claim has it, which is what the platform's challenge is the hash of (44237): a P-384 point
    /// without a profile, else a `COSE_Key`.
    pub public_key: &'a [u8],
    /// cca-realm-public-key-hash-algo-id: how the platform's challenge was made of it (44240).
    pub public_key_hash_algorithm: Hash,
    /// cca-realm-mec-policy: whether the realm's memory has a key of its own, `private` or `shared` (44243); since 2024.
    pub mec_policy: Option<&'a str>,
    /// cca-realm-instance-id (256); since 2024.
    pub instance_id: Option<&'a [u8; 33]>,
}

/// Claims while they are read.
#[derive(Default)]
struct Partial<'a> {
    profile: Option<RealmProfile>,
    challenge: Option<&'a [u8; 64]>,
    personalization_value: Option<&'a [u8; 64]>,
    initial_measurement: Option<&'a [u8]>,
    extensible_measurements: Option<[&'a [u8]; 4]>,
    hash_algorithm: Option<Hash>,
    public_key: Option<&'a [u8]>,
    public_key_hash_algorithm: Option<Hash>,
    mec_policy: Option<&'a str>,
    instance_id: Option<&'a [u8; 33]>,
}

impl<'a> Partial<'a> {
    fn read_one(&mut self, cbor: &mut Cbor<'a>) -> Result<(), Error> {
        let at = cbor.offset();
        match cbor.label(FIELD)? {
            Some(PROFILE) => cbor::once(FIELD, at, &mut self.profile, RealmProfile::read(cbor)?),
            Some(CHALLENGE) => cbor::once(FIELD, at, &mut self.challenge, cbor.array("cca-realm-challenge")?),
            Some(PERSONALIZATION_VALUE) => {
                cbor::once(FIELD, at, &mut self.personalization_value, cbor.array("cca-realm-personalization-value")?)
            }
            Some(INITIAL_MEASUREMENT) => {
                cbor::once(FIELD, at, &mut self.initial_measurement, digest(cbor, "cca-realm-initial-measurement")?)
            }
            Some(EXTENSIBLE_MEASUREMENTS) => {
                cbor::once(FIELD, at, &mut self.extensible_measurements, extensible_measurements(cbor)?)
            }
            Some(HASH_ALGORITHM) => {
                cbor::once(FIELD, at, &mut self.hash_algorithm, Hash::read(cbor, "cca-realm-hash-algo-id")?)
            }
            Some(PUBLIC_KEY) => cbor::once(FIELD, at, &mut self.public_key, cbor.bytes("cca-realm-public-key")?),
            Some(PUBLIC_KEY_HASH_ALGORITHM) => {
                let hash = Hash::read(cbor, "cca-realm-public-key-hash-algo-id")?;
                cbor::once(FIELD, at, &mut self.public_key_hash_algorithm, hash)
            }
            Some(MEC_POLICY) => cbor::once(FIELD, at, &mut self.mec_policy, mec_policy(cbor)?),
            Some(INSTANCE_ID) => {
                cbor::once(FIELD, at, &mut self.instance_id, instance_id(cbor, "cca-realm-instance-id")?)
            }
            _ => cbor.skip(FIELD),
        }
    }
}

fn extensible_measurements<'a>(cbor: &mut Cbor<'a>) -> Result<[&'a [u8]; 4], Error> {
    const FIELD: &str = "cca-realm-extensible-measurements";
    cbor.elements(FIELD, 4)?;
    let mut values: [&[u8]; 4] = [&[]; 4];
    for value in &mut values {
        *value = digest(cbor, FIELD)?;
    }
    Ok(values)
}

fn mec_policy<'a>(cbor: &mut Cbor<'a>) -> Result<&'a str, Error> {
    let at = cbor.offset();
    match cbor.text("cca-realm-mec-policy")? {
        policy @ ("private" | "shared") => Ok(policy),
        other => Err(Error::unexpected("cca-realm-mec-policy", at, "private or shared", other)),
    }
}

impl<'a> RealmClaims<'a> {
    /// Reads a claims set that is all that is left.
    pub(super) fn read(cbor: &mut Cbor<'a>) -> Result<Self, Error> {
        let mut claims = Partial::default();
        cbor.each_entry(FIELD, MAX_CLAIMS, |cbor| claims.read_one(cbor))?;
        cbor.end(FIELD)?;
        if claims.profile == Some(RealmProfile::V2) {
            cbor::required(FIELD, "cca-realm-mec-policy (44243)", claims.mec_policy)?;
            cbor::required(FIELD, "cca-realm-instance-id (256)", claims.instance_id)?;
        }
        let hash = claims.public_key_hash_algorithm;
        let rems = claims.extensible_measurements;
        let rpv = claims.personalization_value;
        Ok(Self {
            profile: claims.profile,
            challenge: cbor::required(FIELD, "cca-realm-challenge (10)", claims.challenge)?,
            personalization_value: cbor::required(FIELD, "cca-realm-personalization-value (44235)", rpv)?,
            initial_measurement: cbor::required(
                FIELD,
                "cca-realm-initial-measurement (44238)",
                claims.initial_measurement,
            )?,
            extensible_measurements: cbor::required(FIELD, "cca-realm-extensible-measurements (44239)", rems)?,
            hash_algorithm: cbor::required(FIELD, "cca-realm-hash-algo-id (44236)", claims.hash_algorithm)?,
            public_key: cbor::required(FIELD, "cca-realm-public-key (44237)", claims.public_key)?,
            public_key_hash_algorithm: cbor::required(FIELD, "cca-realm-public-key-hash-algo-id (44240)", hash)?,
            mec_policy: claims.mec_policy,
            instance_id: claims.instance_id,
        })
    }

    /// The realm's key.
    ///
    /// # Errors
    /// When the claim holds no key of its profile's form.
    pub fn key(&self) -> Result<Key<'a>, Error> {
        if self.profile.is_some() {
            return Key::parse(self.public_key);
        }
        let coordinates = self.public_key.split_first().filter(|(form, _)| **form == 0x04);
        match coordinates.and_then(|(_, rest)| rest.split_at_checked(48)) {
            Some((x, y)) if y.len() == 48 => Ok(Key { curve: Curve::P384, x, y }),
            _ => {
                let found = self.public_key.len();
                Err(Error::unexpected("cca-realm-public-key", 0, "an uncompressed P-384 point of 97 bytes", found))
            }
        }
    }

    /// Writes the claims set.
    ///
    /// # Errors
    /// None that memory does not cause.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let optional = [self.profile.is_some(), self.mec_policy.is_some(), self.instance_id.is_some()];
        let present = optional.iter().filter(|present| **present).count();
        cbor::write(FIELD, |encoder| {
            encoder.map(cbor::count(present.saturating_add(7)))?;
            encoder.i64(CHALLENGE)?.bytes(self.challenge)?;
            if let Some(id) = self.instance_id {
                encoder.i64(INSTANCE_ID)?.bytes(id)?;
            }
            if let Some(profile) = self.profile {
                encoder.i64(PROFILE)?.str(profile.name())?;
            }
            encoder.i64(PERSONALIZATION_VALUE)?.bytes(self.personalization_value)?;
            encoder.i64(PUBLIC_KEY)?.bytes(self.public_key)?;
            encoder.i64(HASH_ALGORITHM)?.str(self.hash_algorithm.name())?;
            encoder.i64(PUBLIC_KEY_HASH_ALGORITHM)?.str(self.public_key_hash_algorithm.name())?;
            encoder.i64(INITIAL_MEASUREMENT)?.bytes(self.initial_measurement)?;
            encoder.i64(EXTENSIBLE_MEASUREMENTS)?.array(4)?;
            for value in self.extensible_measurements {
                encoder.bytes(value)?;
            }
            if let Some(policy) = self.mec_policy {
                encoder.i64(MEC_POLICY)?.str(policy)?;
            }
            Ok(())
        })
    }
}
