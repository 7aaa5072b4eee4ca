//! The platform's claims (draft-ffm-rats-cca-token, section 4.6).

use super::{Hash, digest, instance_id};
use crate::Error;
use crate::cbor::{self, Cbor};

const FIELD: &str = "platform claims";
/// The most claims that are read; the drafts name 14.
const MAX_CLAIMS: usize = 32;
/// The most software components that are read; firmware of today has 13.
const MAX_COMPONENTS: usize = 128;

const CHALLENGE: i64 = 10;
const INSTANCE_ID: i64 = 256;
const PROFILE: i64 = 265;
const CLIENT_ID: i64 = 2394;
const LIFECYCLE: i64 = 2395;
const IMPLEMENTATION_ID: i64 = 2396;
const SOFTWARE_COMPONENTS: i64 = 2399;
const VERIFICATION_SERVICE: i64 = 2400;
const CONFIG: i64 = 2401;
const HASH_ALGORITHM: i64 = 2402;
const MANUFACTURING_CONFIG: i64 = 2403;
const PEER_SIGNERS: i64 = 2406;

/// Which generation of claims this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlatformProfile {
    /// `http://arm.com/CCA-SSD/1.0.0`, of Arm's first firmware.
    Legacy,
    /// `tag:arm.com,2023:cca_platform#1.0.0`.
    V1,
    /// `tag:arm.com,2024:cca_platform#2.0.0`.
    V2,
}

impl PlatformProfile {
    /// The profile's name as the claim has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Legacy => "http://arm.com/CCA-SSD/1.0.0",
            Self::V1 => "tag:arm.com,2023:cca_platform#1.0.0",
            Self::V2 => "tag:arm.com,2024:cca_platform#2.0.0",
        }
    }

    fn read(cbor: &mut Cbor<'_>) -> Result<Self, Error> {
        let at = cbor.offset();
        let name = cbor.text("cca-platform-profile")?;
        let found = [Self::Legacy, Self::V1, Self::V2].into_iter().find(|profile| profile.name() == name);
        found.ok_or_else(|| Error::unexpected("cca-platform-profile", at, "a known platform profile", name))
    }
}

/// The state of the platform's life (draft-ffm-rats-cca-token, section 4.6.5): the state in the upper byte, the lower one is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifecycle(pub u16);

impl Lifecycle {
    /// The state's name; `None` for numbers that are no state.
    pub const fn name(self) -> Option<&'static str> {
        match self.0.to_be_bytes()[0] {
            0x00 => Some("unknown"),
            0x10 => Some("assembly-and-test"),
            0x20 => Some("cca-platform-rot-provisioning"),
            0x30 => Some("secured"),
            0x40 => Some("non-cca-platform-rot-debug"),
            0x50 => Some("recoverable-cca-platform-rot-debug"),
            0x60 => Some("decommissioned"),
            _ => None,
        }
    }

    /// Whether the platform is in the one state in which nothing of it is under debug.
    pub const fn is_secured(self) -> bool {
        self.0.to_be_bytes()[0] == 0x30
    }

    fn read(cbor: &mut Cbor<'_>) -> Result<Self, Error> {
        let at = cbor.offset();
        let number = cbor.unsigned("cca-platform-lifecycle")?;
        let state = u16::try_from(number).ok().map(Self).filter(|state| state.name().is_some());
        state.ok_or_else(|| Error::unexpected("cca-platform-lifecycle", at, "a state of the lifecycle", number))
    }
}

/// A software component of the platform (draft-ffm-rats-cca-token, section 4.6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component<'a> {
    /// Its role, as `RMM` or `BL2` (1).
    pub component_type: Option<&'a str>,
    /// Digest of its image at load (2).
    pub measurement_value: &'a [u8],
    /// Its version (4).
    pub version: Option<&'a str>,
    /// Digest of the key that signed it (5).
    pub signer_id: &'a [u8],
    /// How it was measured, where it is not as the platform's claim says (6).
    pub hash_algorithm: Option<Hash>,
}

impl<'a> Component<'a> {
    fn read(cbor: &mut Cbor<'a>) -> Result<Self, Error> {
        const FIELD: &str = "cca-platform-sw-component";
        let (mut component_type, mut value, mut version, mut signer, mut hash) = (None, None, None, None, None);
        cbor.each_entry(FIELD, 8, |cbor| {
            let at = cbor.offset();
            match cbor.label(FIELD)? {
                Some(1) => cbor::once(FIELD, at, &mut component_type, cbor.text("component type")?),
                Some(2) => cbor::once(FIELD, at, &mut value, digest(cbor, "measurement value")?),
                Some(4) => cbor::once(FIELD, at, &mut version, cbor.text("version")?),
                Some(5) => cbor::once(FIELD, at, &mut signer, digest(cbor, "signer id")?),
                Some(6) => cbor::once(FIELD, at, &mut hash, Hash::read(cbor, "hash algorithm")?),
                _ => cbor.skip(FIELD),
            }
        })?;
        Ok(Self {
            component_type,
            measurement_value: cbor::required(FIELD, "a measurement value (2)", value)?,
            version,
            signer_id: cbor::required(FIELD, "a signer id (5)", signer)?,
            hash_algorithm: hash,
        })
    }
}

/// What the platform says of itself. Claims that are not named here are skipped: the platform signed them, and none of them can change the
/// others' meaning. (Of the drafts' claims these are the extension devices and the keys of the boot loaders.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformClaims<'a> {
    /// cca-platform-profile (265).
    pub profile: PlatformProfile,
    /// cca-platform-challenge: the hash of the realm's key (10).
    pub challenge: &'a [u8],
    /// cca-platform-implementation-id: which kind of platform this is (2396).
    pub implementation_id: &'a [u8; 32],
    /// cca-platform-instance-id: which platform this is (256).
    pub instance_id: &'a [u8; 33],
    /// cca-platform-config: a description of the platform's configuration, of the vendor's own form (2401).
    pub config: &'a [u8],
    /// cca-platform-lifecycle (2395).
    pub lifecycle: Lifecycle,
    /// cca-platform-hash-algo-id: how software components were measured (2402).
    pub hash_algorithm: Hash,
    /// cca-platform-sw-components (2399).
    pub software_components: Vec<Component<'a>>,
    /// cca-platform-verification-service: where somebody offers to verify such tokens (2400). Nobody vouches for it.
    pub verification_service: Option<&'a str>,
    /// cca-platform-manufacturing-config (2403), since 2024.
    pub manufacturing_config: Option<&'a [u8]>,
    /// cca-platform-peer-signers (2406), since 2024.
    pub peer_signers: Option<&'a [u8]>,
}

/// Claims while they are read.
#[derive(Default)]
struct Partial<'a> {
    profile: Option<PlatformProfile>,
    challenge: Option<&'a [u8]>,
    implementation_id: Option<&'a [u8; 32]>,
    instance_id: Option<&'a [u8; 33]>,
    config: Option<&'a [u8]>,
    lifecycle: Option<Lifecycle>,
    hash_algorithm: Option<Hash>,
    components: Option<Vec<Component<'a>>>,
    service: Option<&'a str>,
    client_id: Option<i64>,
    manufacturing_config: Option<&'a [u8]>,
    peer_signers: Option<&'a [u8]>,
}

impl<'a> Partial<'a> {
    fn read_one(&mut self, cbor: &mut Cbor<'a>) -> Result<(), Error> {
        let at = cbor.offset();
        match cbor.label(FIELD)? {
            Some(PROFILE) => cbor::once(FIELD, at, &mut self.profile, PlatformProfile::read(cbor)?),
            Some(CHALLENGE) => cbor::once(FIELD, at, &mut self.challenge, digest(cbor, "cca-platform-challenge")?),
            Some(IMPLEMENTATION_ID) => {
                cbor::once(FIELD, at, &mut self.implementation_id, cbor.array("cca-platform-implementation-id")?)
            }
            Some(INSTANCE_ID) => {
                cbor::once(FIELD, at, &mut self.instance_id, instance_id(cbor, "cca-platform-instance-id")?)
            }
            Some(CONFIG) => cbor::once(FIELD, at, &mut self.config, cbor.bytes("cca-platform-config")?),
            Some(LIFECYCLE) => cbor::once(FIELD, at, &mut self.lifecycle, Lifecycle::read(cbor)?),
            Some(HASH_ALGORITHM) => {
                cbor::once(FIELD, at, &mut self.hash_algorithm, Hash::read(cbor, "cca-platform-hash-algo-id")?)
            }
            Some(SOFTWARE_COMPONENTS) => cbor::once(FIELD, at, &mut self.components, components(cbor)?),
            Some(VERIFICATION_SERVICE) => {
                cbor::once(FIELD, at, &mut self.service, cbor.text("cca-platform-verification-service")?)
            }
            Some(CLIENT_ID) => cbor::once(FIELD, at, &mut self.client_id, client_id(cbor)?),
            Some(MANUFACTURING_CONFIG) => {
                cbor::once(FIELD, at, &mut self.manufacturing_config, cbor.bytes("cca-platform-manufacturing-config")?)
            }
            Some(PEER_SIGNERS) => {
                cbor::once(FIELD, at, &mut self.peer_signers, cbor.bytes("cca-platform-peer-signers")?)
            }
            _ => cbor.skip(FIELD),
        }
    }
}

/// Since 2024 the realm management monitor is named as the one that asked: client 1.
fn client_id(cbor: &mut Cbor<'_>) -> Result<i64, Error> {
    let at = cbor.offset();
    match cbor.integer("cca-platform-client-id")? {
        1 => Ok(1),
        other => Err(Error::unexpected("cca-platform-client-id", at, "1", other)),
    }
}

fn components<'a>(cbor: &mut Cbor<'a>) -> Result<Vec<Component<'a>>, Error> {
    const FIELD: &str = "cca-platform-sw-components";
    let (at, mut found) = (cbor.offset(), Vec::new());
    cbor.each_element(FIELD, MAX_COMPONENTS, |cbor| {
        found.push(Component::read(cbor)?);
        Ok(())
    })?;
    if found.is_empty() {
        return Err(Error::unexpected(FIELD, at, "at least one component", "none"));
    }
    Ok(found)
}

impl<'a> PlatformClaims<'a> {
    /// Reads a claims set that is all that is left.
    pub(super) fn read(cbor: &mut Cbor<'a>) -> Result<Self, Error> {
        let mut claims = Partial::default();
        cbor.each_entry(FIELD, MAX_CLAIMS, |cbor| claims.read_one(cbor))?;
        cbor.end(FIELD)?;
        let profile = cbor::required(FIELD, "cca-platform-profile (265)", claims.profile)?;
        if profile == PlatformProfile::V2 {
            cbor::required(FIELD, "cca-platform-client-id (2394)", claims.client_id)?;
        }
        Ok(Self {
            profile,
            challenge: cbor::required(FIELD, "cca-platform-challenge (10)", claims.challenge)?,
            implementation_id: cbor::required(
                FIELD,
                "cca-platform-implementation-id (2396)",
                claims.implementation_id,
            )?,
            instance_id: cbor::required(FIELD, "cca-platform-instance-id (256)", claims.instance_id)?,
            config: cbor::required(FIELD, "cca-platform-config (2401)", claims.config)?,
            lifecycle: cbor::required(FIELD, "cca-platform-lifecycle (2395)", claims.lifecycle)?,
            hash_algorithm: cbor::required(FIELD, "cca-platform-hash-algo-id (2402)", claims.hash_algorithm)?,
            software_components: cbor::required(FIELD, "cca-platform-sw-components (2399)", claims.components)?,
            verification_service: claims.service,
            manufacturing_config: claims.manufacturing_config,
            peer_signers: claims.peer_signers,
        })
    }

    /// Writes the claims set.
    ///
    /// # Errors
    /// None that memory does not cause.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let is_v2 = self.profile == PlatformProfile::V2;
        let optional = [is_v2, self.verification_service.is_some()].into_iter();
        let optional = optional.chain([self.manufacturing_config.is_some(), self.peer_signers.is_some()]);
        let present = optional.filter(|present| *present).count();
        cbor::write(FIELD, |encoder| {
            encoder.map(cbor::count(present.saturating_add(8)))?;
            encoder.i64(PROFILE)?.str(self.profile.name())?.i64(CHALLENGE)?.bytes(self.challenge)?;
            encoder.i64(IMPLEMENTATION_ID)?.bytes(self.implementation_id)?;
            encoder.i64(INSTANCE_ID)?.bytes(self.instance_id)?.i64(CONFIG)?.bytes(self.config)?;
            encoder.i64(LIFECYCLE)?.u16(self.lifecycle.0)?;
            encoder.i64(HASH_ALGORITHM)?.str(self.hash_algorithm.name())?;
            if let Some(service) = self.verification_service {
                encoder.i64(VERIFICATION_SERVICE)?.str(service)?;
            }
            encoder.i64(SOFTWARE_COMPONENTS)?.array(cbor::count(self.software_components.len()))?;
            for component in &self.software_components {
                write_component(encoder, component)?;
            }
            if is_v2 {
                encoder.i64(CLIENT_ID)?.i64(1)?;
            }
            if let Some(config) = self.manufacturing_config {
                encoder.i64(MANUFACTURING_CONFIG)?.bytes(config)?;
            }
            if let Some(signers) = self.peer_signers {
                encoder.i64(PEER_SIGNERS)?.bytes(signers)?;
            }
            Ok(())
        })
    }
}

fn write_component(encoder: &mut minicbor::Encoder<&mut Vec<u8>>, component: &Component<'_>) -> cbor::Written {
    let texts = [(1, component.component_type), (4, component.version)];
    let texts = texts.into_iter().chain([(6, component.hash_algorithm.map(Hash::name))]);
    let texts: Vec<_> = texts.filter_map(|(label, text)| text.map(|text| (label, text))).collect();
    encoder.map(cbor::count(texts.len().saturating_add(2)))?;
    for (label, text) in texts {
        encoder.i64(label)?.str(text)?;
    }
    encoder.i64(5)?.bytes(component.signer_id)?.i64(2)?.bytes(component.measurement_value)?;
    Ok(())
}
