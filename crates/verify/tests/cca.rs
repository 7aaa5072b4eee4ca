//! Tokens of Arm CCA: the public one under its platform's key, and tokens of our own making in which exactly one thing is wrong.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    KeyPair,
};
use sealwright_verify::cca::{Enrolled, verify};
use sealwright_verify::{AnchorKind, CcaError, Error, Facts, Part, SIMULATION};
use sealwright_wire::cca::{
    Component, Hash, Lifecycle, PlatformClaims, PlatformProfile, RealmClaims, RealmProfile, Store, TAG_CMW,
    TAG_COLLECTION, encode,
};
use sealwright_wire::cose::{self, Algorithm, Curve, Sign1};
use sealwright_wire::{Tee, reference, time::UnixTime};
use std::path::Path;
use std::rc::Rc;

fn at() -> UnixTime {
    UnixTime::parse_rfc3339("2026-06-15T12:00:00Z").unwrap()
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join("cca").join(name)).unwrap()
}

fn enrolled(folder: &Path) -> Vec<Enrolled> {
    let Store(entries) = Store::from_json(&read(folder, "tastore.json")).unwrap();
    entries.iter().map(|entry| Enrolled::from_entry(entry).unwrap()).collect()
}

#[test]
fn the_public_token_is_believed_under_its_platform_s_key() {
    let Some(folder) = support::vectors() else { return };
    let bytes = read(&folder, "cca-example-token.cbor");
    let facts = verify(&bytes, &enrolled(&folder), at()).unwrap();
    assert_eq!((facts.tee(), facts.anchor().kind, facts.debug()), (Tee::Cca, AnchorKind::Configured, Some(false)));
    assert_eq!(facts.collateral_expires(), UnixTime::LAST);
    let references: serde_json::Value = serde_json::from_slice(&read(&folder, "rvstore.json")).unwrap();
    let json = serde_json::to_value(&facts).unwrap();
    let realm = &references["realm"][0];
    assert_eq!(json["cca"]["rim"], realm["initial-measurement"]);
    assert_eq!(json["cca"]["rem2"], realm["extensible-measurements"][2]);
    let platform = &references["platform"][0];
    assert_eq!(json["cca"]["implementation_id"], platform["implementation-id"]);
    assert_eq!(json["cca"]["config"], platform["platform-configuration"]);
    let (ours, theirs) = (json["cca"]["software_components"].as_array().unwrap(), &platform["sw-components"]);
    assert_eq!(ours.len(), 13);
    for (place, ours) in ours.iter().enumerate() {
        assert_eq!(ours["measurement_value"], theirs[place]["measurement-value"]);
        assert_eq!(ours["signer_id"], theirs[place]["signer-id"]);
        assert_eq!(ours["component_type"], theirs[place]["component-type"]);
    }
    assert_eq!(verify(&bytes, &[], at()).unwrap_err().code(), "cca-not-enrolled");
    let other: Vec<_> = enrolled(&folder).into_iter().map(|known| known.until(UnixTime(at().0 - 1))).collect();
    let error = verify(&bytes, &other, at()).unwrap_err();
    assert_eq!((error.code(), error.claim()), ("enrolment-expired", "enrolled key of the CCA platform"));
    for place in (0..bytes.len()).step_by(5) {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        assert!(verify(&changed, &enrolled(&folder), at()).is_err(), "byte {place}");
    }
}

/// A key of one curve.
struct Signer {
    curve: Curve,
    algorithm: Algorithm,
    key: EcdsaKeyPair,
}

impl Signer {
    fn new(curve: Curve) -> Rc<Self> {
        let (algorithm, signing) = match curve {
            Curve::P256 => (Algorithm::Es256, &ECDSA_P256_SHA256_FIXED_SIGNING),
            Curve::P384 => (Algorithm::Es384, &ECDSA_P384_SHA384_FIXED_SIGNING),
            _ => (Algorithm::Es512, &ECDSA_P521_SHA512_FIXED_SIGNING),
        };
        Rc::new(Self { curve, algorithm, key: EcdsaKeyPair::generate(signing).unwrap() })
    }

    fn point(&self) -> &[u8] {
        self.key.public_key().as_ref()
    }

    fn key(&self) -> cose::Key<'_> {
        let (x, y) = self.point()[1..].split_at(self.curve.width());
        cose::Key { curve: self.curve, x, y }
    }

    fn sign(&self, named: Algorithm, payload: &[u8]) -> Vec<u8> {
        let protected = cose::protected_header(named).unwrap();
        let message = cose::sig_structure(&protected, payload).unwrap();
        let signature = self.key.sign(&SystemRandom::new(), &message).unwrap();
        let message = Sign1 {
            tagged: true,
            protected: &protected,
            algorithm: named,
            payload,
            payload_at: 0,
            signature: signature.as_ref(),
        };
        message.encode().unwrap()
    }
}

/// A platform with one realm.
#[derive(Clone)]
struct Site {
    cpak: Rc<Signer>,
    rak: Rc<Signer>,
    /// The key in the realm's claims, in place of the RAK.
    stated: Option<Rc<Signer>>,
    /// Signs in place of the CPAK, and of the RAK.
    platform_signer: Option<Rc<Signer>>,
    realm_signer: Option<Rc<Signer>>,
    /// What the headers say of the algorithms.
    named: (Option<Algorithm>, Option<Algorithm>),
    challenge: Option<Vec<u8>>,
    rak_hash: Hash,
    implementation_id: [u8; 32],
    instance_id: [u8; 33],
    lifecycle: u16,
    legacy: bool,
}

impl Site {
    fn new() -> Self {
        Self {
            cpak: Signer::new(Curve::P384),
            rak: Signer::new(Curve::P384),
            stated: None,
            platform_signer: None,
            realm_signer: None,
            named: (None, None),
            challenge: None,
            rak_hash: Hash::Sha256,
            implementation_id: [2; 32],
            instance_id: [1; 33],
            lifecycle: 0x3000,
            legacy: false,
        }
    }

    fn public_key(&self) -> Vec<u8> {
        let key = self.stated.as_ref().unwrap_or(&self.rak);
        if self.legacy { key.point().to_vec() } else { key.key().encode().unwrap() }
    }

    fn token(&self) -> Vec<u8> {
        let public_key = self.public_key();
        let algorithm = match self.rak_hash {
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha384 => &digest::SHA384,
            Hash::Sha512 => &digest::SHA512,
        };
        let hashed = digest::digest(algorithm, &public_key);
        let platform = PlatformClaims {
            profile: if self.legacy { PlatformProfile::Legacy } else { PlatformProfile::V2 },
            challenge: self.challenge.as_deref().unwrap_or(hashed.as_ref()),
            implementation_id: &self.implementation_id,
            instance_id: &self.instance_id,
            config: &[4],
            lifecycle: Lifecycle(self.lifecycle),
            hash_algorithm: Hash::Sha256,
            software_components: vec![Component {
                component_type: Some("RMM"),
                measurement_value: &[6; 32],
                version: Some("1.2"),
                signer_id: &[7; 32],
                hash_algorithm: None,
            }],
            verification_service: None,
            manufacturing_config: None,
            peer_signers: Some(&[0xab]),
        };
        let realm = RealmClaims {
            profile: (!self.legacy).then_some(RealmProfile::V2),
            challenge: &[0x5a; 64],
            personalization_value: &[13; 64],
            initial_measurement: &[14; 48],
            extensible_measurements: [&[15; 48], &[16; 48], &[17; 48], &[18; 48]],
            hash_algorithm: Hash::Sha384,
            public_key: &public_key,
            public_key_hash_algorithm: self.rak_hash,
            mec_policy: (!self.legacy).then_some("shared"),
            instance_id: (!self.legacy).then_some(&[1; 33]),
        };
        let sign = |signer: &Signer, named: Option<Algorithm>, payload: &[u8]| {
            signer.sign(named.unwrap_or(signer.algorithm), payload)
        };
        let platform_signer = self.platform_signer.as_ref().unwrap_or(&self.cpak);
        let platform = sign(platform_signer, self.named.0, &platform.encode().unwrap());
        let realm_signer = self.realm_signer.as_ref().unwrap_or(&self.rak);
        let realm = sign(realm_signer, self.named.1, &realm.encode().unwrap());
        encode(&platform, &realm, if self.legacy { TAG_COLLECTION } else { TAG_CMW }).unwrap()
    }

    fn enrolled(&self) -> Enrolled {
        Enrolled::new("platform-1", self.implementation_id, self.instance_id, &self.cpak.key()).unwrap()
    }

    fn verify(&self) -> Result<Facts, Error> {
        verify(&self.token(), &[Site::new().enrolled(), self.enrolled()], at())
    }
}

fn refused(change: impl FnOnce(&mut Site)) -> Error {
    let mut site = Site { implementation_id: [3; 32], ..Site::new() };
    change(&mut site);
    site.verify().unwrap_err()
}

#[test]
fn our_own_tokens_are_believed_and_their_facts_are_those_that_policies_read() {
    for (legacy, rak_hash) in [(true, Hash::Sha256), (false, Hash::Sha384), (false, Hash::Sha512)] {
        let site = Site { implementation_id: [3; 32], legacy, rak_hash, ..Site::new() };
        let facts = site.verify().unwrap();
        assert_eq!((facts.anchor().name.as_str(), facts.anchor().kind), ("platform-1", AnchorKind::Configured));
        assert_eq!(facts.report_data(), [0x5a; 64]);
        let json = serde_json::to_value(&facts).unwrap();
        let claims = &json["cca"];
        assert_eq!(json["tee"], "cca");
        assert_eq!(claims["rim"], "0e".repeat(48));
        assert_eq!(claims["rem3"], "12".repeat(48));
        assert_eq!(claims["personalization_value"], "0d".repeat(64));
        assert_eq!(claims["lifecycle"], "secured");
        assert_eq!(claims["lifecycle_number"], 0x3000);
        assert_eq!(claims["software_components"][0]["hash_algorithm"], "sha-256");
        assert_eq!(claims["software_components"][0]["version"], "1.2");
        assert_eq!(claims["peer_signers"], "ab");
        assert_eq!(claims.get("mec_policy").is_some(), !legacy);
        assert_eq!(claims["realm_hash_algorithm"], "sha-384");
        for claim in ["personalization_value", "implementation_id", "instance_id"] {
            let width = reference::width(Tee::Cca, claim).unwrap();
            assert_eq!(claims[claim].as_str().unwrap().len(), width * 2, "{claim}");
        }
        assert!(["rim", "rem0", "rem1", "rem2", "rem3"].iter().all(|claim| claims[claim].is_string()));
    }
}

#[test]
fn keys_of_every_curve_sign() {
    for curve in [Curve::P256, Curve::P384, Curve::P521] {
        let mut site = Site { cpak: Signer::new(curve), rak: Signer::new(curve), ..Site::new() };
        site.implementation_id = [3; 32];
        site.verify().unwrap();
        // The digest of the anchor is that of its SubjectPublicKeyInfo, as elsewhere.
        let spki =
            aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(site.cpak.key.public_key())
                .unwrap();
        assert_eq!(site.enrolled().id().sha256, sealwright_verify::hash::sha256(&[spki.as_ref()]), "{curve:?}");
    }
}

#[test]
fn only_the_enrolled_key_signs_for_the_platform() {
    let error = refused(|site| site.platform_signer = Some(Signer::new(Curve::P384)));
    assert!(matches!(error, Error::Signature { part: Part::CcaPlatformToken, .. }), "{error}");
    assert_eq!(error.code(), "evidence-signature");
    let error = refused(|site| site.platform_signer = Some(site.rak.clone()));
    assert!(matches!(error, Error::Signature { part: Part::CcaPlatformToken, .. }), "{error}");
}

#[test]
fn only_the_key_that_the_platform_vouches_for_signs_for_the_realm() {
    let error = refused(|site| site.realm_signer = Some(Signer::new(Curve::P384)));
    assert!(matches!(error, Error::Signature { part: Part::CcaRealmToken, .. }), "{error}");
    // A realm's token of another key, signed by that key: the one thing that binds the two tokens to each other.
    let stranger = Signer::new(Curve::P384);
    let error = refused(|site| {
        site.challenge = Some(digest::digest(&digest::SHA256, &site.public_key()).as_ref().to_vec());
        site.stated = Some(stranger.clone());
        site.realm_signer = Some(stranger);
    });
    assert!(matches!(error, Error::Cca(CcaError::Binding { .. })), "{error}");
    assert_eq!(error.code(), "cca-realm-binding");
    // The right hash of another algorithm, and a piece of the right hash.
    for rak_hash in [Hash::Sha384, Hash::Sha512] {
        let error = refused(|site| {
            site.challenge = Some(digest::digest(&digest::SHA256, &site.public_key()).as_ref().to_vec());
            site.rak_hash = rak_hash;
        });
        assert_eq!(error.code(), "cca-realm-binding", "{error}");
    }
    let error = refused(|site| {
        let whole = digest::digest(&digest::SHA512, &site.public_key());
        site.challenge = Some(whole.as_ref()[..32].to_vec());
        site.rak_hash = Hash::Sha512;
    });
    assert_eq!(error.code(), "cca-realm-binding", "{error}");
}

#[test]
fn both_ids_must_be_enrolled_with_the_key() {
    let site = Site::new();
    let token = site.token();
    for enrolled in [
        Enrolled::new("x", [9; 32], site.instance_id, &site.cpak.key()).unwrap(),
        Enrolled::new("x", site.implementation_id, [9; 33], &site.cpak.key()).unwrap(),
    ] {
        let error = verify(&token, &[enrolled], at()).unwrap_err();
        assert!(matches!(error, Error::Cca(CcaError::NotEnrolled { enrolled: 1, .. })), "{error}");
        assert_eq!(error.actual(), Some(hex::encode(site.instance_id)));
    }
    let other = Enrolled::new("x", site.implementation_id, site.instance_id, &Signer::new(Curve::P384).key());
    assert_eq!(verify(&token, &[other.unwrap()], at()).unwrap_err().code(), "evidence-signature");
}

#[test]
fn a_key_by_itself_is_believed_of_the_platform_that_signs_with_it() {
    let mut site = Site::new();
    let own = Enrolled::by_key("cpak", &site.cpak.key()).unwrap();
    let stranger = Enrolled::by_key("stranger", &Signer::new(Curve::P384).key()).unwrap();
    let keys = [stranger.clone(), own];
    let facts = verify(&site.token(), &keys, at()).unwrap();
    assert_eq!((facts.anchor().name.as_str(), facts.anchor().kind), ("cpak", AnchorKind::Configured));
    assert_eq!(verify(&site.token(), &[stranger], at()).unwrap_err().code(), "evidence-signature");
    // Where the platform is enrolled under its ids, no other key speaks for it.
    let other = Enrolled::new("x", site.implementation_id, site.instance_id, &Signer::new(Curve::P384).key()).unwrap();
    let error = verify(&site.token(), &[other, keys[1].clone()], at()).unwrap_err();
    assert_eq!(error.code(), "evidence-signature", "{error}");
    // What calls itself a simulation is one, under whatever name its key was given.
    site.implementation_id[..SIMULATION.len()].copy_from_slice(SIMULATION.as_bytes());
    assert_eq!(verify(&site.token(), &keys, at()).unwrap().anchor().kind, AnchorKind::Simulated);
}

#[test]
fn the_algorithm_is_that_of_the_key_s_curve() {
    for named in [Algorithm::Es256, Algorithm::Es512] {
        let error = refused(|site| site.named.0 = Some(named));
        assert!(matches!(error, Error::Profile { part: Part::CcaPlatformToken, .. }), "{error}");
        let error = refused(|site| site.named.1 = Some(named));
        assert!(matches!(error, Error::Profile { part: Part::CcaRealmToken, .. }), "{error}");
        assert_eq!(error.code(), "evidence-profile");
    }
}

#[test]
fn a_platform_in_any_state_but_secured_is_under_debug() {
    for (lifecycle, name) in [
        (0x0000, "unknown"),
        (0x1001, "assembly-and-test"),
        (0x2000, "cca-platform-rot-provisioning"),
        (0x30ff, "secured"),
        (0x4000, "non-cca-platform-rot-debug"),
        (0x5000, "recoverable-cca-platform-rot-debug"),
        (0x6003, "decommissioned"),
    ] {
        let site = Site { implementation_id: [3; 32], lifecycle, ..Site::new() };
        let facts = site.verify().unwrap();
        assert_eq!(facts.debug(), Some(name != "secured"), "{name}");
        assert_eq!(facts.claims().cca().unwrap().lifecycle, name);
    }
}

#[test]
fn keys_that_are_no_points_are_not_enrolled() {
    let site = Site::new();
    let key = site.cpak.key();
    let off = [7; 48];
    let error = Enrolled::new("x", [0; 32], [1; 33], &cose::Key { y: &off, ..key }).unwrap_err();
    assert_eq!(error.code(), "enrolled-key", "{error}");
    // The realm's key is as little.
    let error = refused(|site| site.stated = Some(Signer::new(Curve::P256)));
    assert!(matches!(error, Error::Profile { part: Part::CcaRealmToken, .. }), "{error}");
}

#[test]
fn a_simulation_s_platform_is_simulated_whatever_it_was_declared_as() {
    let mut site = Site::new();
    site.implementation_id[..SIMULATION.len()].copy_from_slice(SIMULATION.as_bytes());
    assert_eq!(site.verify().unwrap().anchor().kind, AnchorKind::Simulated);
    assert_eq!(Site::new().enrolled().simulated().id().kind, AnchorKind::Simulated);
}

#[test]
fn a_malformed_token_is_evidence_that_is_none() {
    let site = Site::new();
    assert_eq!(verify(&site.token()[1..], &[], at()).unwrap_err().code(), "malformed-evidence");
}
