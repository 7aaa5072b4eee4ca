//! Nitro documents: those of real enclaves at their own time, and documents of our own making in which exactly one thing is wrong.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

mod pki;

use pki::{AT, Cert, Key, at, chain};
use rcgen::{CustomExtension, KeyUsagePurpose};
use sealwright_verify::nitro::{Freshness, verify};
use sealwright_verify::{Anchor, AnchorKind, Anchors, Error, Facts, Part, SIMULATION};
use sealwright_wire::nitro::{Document, Statement};
use sealwright_wire::{Digest, Tee, time::UnixTime};
use std::path::Path;
use std::rc::Rc;

const HOUR: u64 = 3600;

fn read(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join("appraise/nitro").join(name)).unwrap()
}

fn expected(folder: &Path) -> serde_json::Value {
    serde_json::from_slice(&read(folder, "expected.json")).unwrap()
}

/// Every document of the vectors with its answers.
fn documents(folder: &Path) -> Vec<(String, Vec<u8>, serde_json::Value)> {
    let expected = expected(folder);
    let documents = expected["documents"].as_object().unwrap();
    documents.iter().map(|(name, answers)| (name.clone(), read(folder, name), answers.clone())).collect()
}

#[test]
fn real_documents_are_believed_at_their_time_and_no_other() {
    let Some(folder) = support::vectors() else { return };
    let anchors = Anchors::vendor();
    let mut believed = 0;
    for (name, bytes, answers) in documents(&folder) {
        let made = UnixTime(answers["verify_at_unix"].as_u64().unwrap());
        let result = verify(&bytes, &anchors, made, Freshness::default());
        if answers["root"] != "aws" {
            assert_eq!(result.unwrap_err().code(), "untrusted-root", "{name}");
            continue;
        }
        let facts = result.unwrap_or_else(|error| panic!("{name}: {error}"));
        believed += 1;
        assert_eq!((facts.tee(), facts.anchor().kind), (Tee::Nitro, AnchorKind::Vendor), "{name}");
        assert_eq!(facts.anchor().name, "aws-nitro-enclaves-root");
        assert_eq!(facts.debug(), Some(name.contains("debug")), "{name}");
        let claims = facts.claims().nitro().unwrap();
        assert_eq!(claims.timestamp, made, "{name}");
        if let Some(count) = answers["pcr_count"].as_u64() {
            assert_eq!(claims.pcrs.len() as u64, count, "{name}");
        }
        if let Some(text) = answers["user_data_utf8"].as_str() {
            assert_eq!(facts.report_data(), text.as_bytes(), "{name}");
        }
        if let Some(len) = answers["nonce_bytes"].as_u64() {
            assert_eq!(claims.nonce.as_ref().unwrap().len() as u64, len, "{name}");
        }
        if let Some(len) = answers["public_key_bytes"].as_u64() {
            assert_eq!(claims.public_key.as_ref().unwrap().len() as u64, len, "{name}");
        }
        if answers["pcr8"] == "non-zero" {
            assert!(!claims.pcrs["pcr8"].is_zero(), "{name}");
        }
        let code = |at| verify(&bytes, &anchors, at, Freshness::default()).unwrap_err().code();
        assert_eq!(code(made.plus(301)), "evidence-expired", "{name}");
        assert_eq!(code(UnixTime(made.0 - 61)), "evidence-not-yet-valid", "{name}");
        let generous = Freshness { max_age: 86_400, clock_skew: 0 };
        verify(&bytes, &anchors, made.plus(4 * HOUR), generous).unwrap();
        assert_eq!(verify(&bytes, &Anchors::none(), made, generous).unwrap_err().code(), "untrusted-root");
    }
    assert_eq!(believed, 4);
}

#[test]
fn a_changed_byte_of_a_real_document_is_never_believed() {
    let Some(folder) = support::vectors() else { return };
    for name in ["aws.bin", "dstack-debug.cose"] {
        let bytes = read(&folder, name);
        let made = UnixTime(expected(&folder)["documents"][name]["verify_at_unix"].as_u64().unwrap());
        for place in (0..bytes.len()).step_by(7) {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            let result = verify(&changed, &Anchors::vendor(), made, Freshness::default());
            assert!(result.is_err(), "{name}: byte {place}");
        }
    }
}

#[test]
fn the_tag_changes_nothing_but_the_algorithm_does() {
    let Some(folder) = support::vectors() else { return };
    let bytes = read(&folder, "aws.bin");
    let made = UnixTime(1_734_075_478);
    let tagged = [&[0xd2], bytes.as_slice()].concat();
    let facts = verify(&tagged, &Anchors::vendor(), made, Freshness::default()).unwrap();
    assert_eq!(facts.report_data(), b"");
    assert_eq!(bytes[..6], [0x84, 0x44, 0xa1, 0x01, 0x38, 0x22]);
    let es256 = [&[0x84, 0x43, 0xa1, 0x01, 0x26], &bytes[6..]].concat();
    let error = verify(&es256, &Anchors::vendor(), made, Freshness::default()).unwrap_err();
    assert_eq!(error.code(), "evidence-profile", "{error}");
}

/// A vendor with one enclave.
#[derive(Clone)]
struct Site {
    root: Cert,
    regional: Cert,
    zonal: Cert,
    instance: Cert,
    enclave: Cert,
    /// Stands in place of the chain, leaf first.
    chain: Option<Vec<Vec<u8>>>,
    signer: Option<Rc<Key>>,
    timestamp: u64,
    pcrs: Vec<(u8, Digest<48>)>,
}

impl Site {
    fn new() -> Self {
        Self {
            root: Cert::ca("aws.nitro-enclaves", None),
            regional: Cert::ca("region.aws.nitro-enclaves", Some(2)),
            zonal: Cert::ca("zonal.aws.nitro-enclaves", Some(1)),
            instance: Cert {
                usages: vec![KeyUsagePurpose::KeyCertSign],
                ..Cert::ca("i-1.aws.nitro-enclaves", Some(0))
            },
            enclave: Cert { valid: (3, 3 * HOUR), ..Cert::leaf("i-1-enc1.aws") },
            chain: None,
            signer: None,
            timestamp: AT * 1000 + 250,
            pcrs: (0..16).map(|index| (index, Digest([index + 1; 48]))).collect(),
        }
    }

    fn document(&self) -> Vec<u8> {
        let certificates = self
            .chain
            .clone()
            .unwrap_or_else(|| chain(&[&self.enclave, &self.instance, &self.zonal, &self.regional, &self.root]));
        let (leaf, issuers) = certificates.split_first().unwrap();
        let statement = Statement {
            module_id: "i-1-enc1",
            timestamp: self.timestamp,
            pcrs: self.pcrs.clone(),
            certificate: leaf,
            cabundle: issuers.iter().rev().map(Vec::as_slice).collect(),
            public_key: Some(b"key"),
            user_data: Some(b"words"),
            nonce: Some(&[7; 32]),
        };
        let signer = self.signer.as_ref().unwrap_or(&self.enclave.key);
        statement.document(|message| signer.sign(message)).unwrap()
    }

    fn verify(&self) -> Result<Facts, Error> {
        verify(&self.document(), &self.root.anchors(), at(), Freshness::default())
    }
}

fn refused(change: impl FnOnce(&mut Site)) -> Error {
    let mut site = Site::new();
    change(&mut site);
    site.verify().unwrap_err()
}

#[test]
fn our_own_document_is_believed_and_its_facts_are_those_that_policies_read() {
    let site = Site::new();
    let facts = site.verify().unwrap();
    assert_eq!(facts.anchor().kind, AnchorKind::Configured);
    assert_eq!(facts.collateral_expires(), at().plus(300));
    let json = serde_json::to_value(&facts).unwrap();
    assert_eq!(json["tee"], "nitro");
    assert_eq!(json["debug"], false);
    assert_eq!(json["report_data"], hex::encode("words"));
    assert_eq!(json["nitro"]["pcr0"], "01".repeat(48));
    assert_eq!(json["nitro"]["pcr15"], "10".repeat(48));
    assert_eq!(json["nitro"]["module_id"], "i-1-enc1");
    assert_eq!(json["nitro"]["timestamp"], "2026-06-15T12:00:00Z");
    assert_eq!(json["nitro"]["public_key"], hex::encode("key"));
    assert_eq!(json["nitro"]["nonce"], "07".repeat(32));
    assert!(json.get("tcb").is_none() && json.get("quote_version").is_none());
    for claim in (0..16).map(|index| format!("pcr{index}")) {
        let width = sealwright_wire::reference::width(Tee::Nitro, &claim);
        assert_eq!(width.map(|width| width * 2), json["nitro"][&claim].as_str().map(str::len), "{claim}");
    }
}

#[test]
fn a_register_of_the_measurement_that_is_zero_or_missing_means_debug() {
    for index in 0..16 {
        for missing in [false, true] {
            let mut site = Site::new();
            match missing {
                true => drop(site.pcrs.remove(index)),
                false => site.pcrs[index].1 = Digest::ZERO,
            }
            assert_eq!(site.verify().unwrap().debug(), Some(index < 3), "register {index}");
        }
    }
}

#[test]
fn only_the_enclave_s_key_signs() {
    for signer in [Key::generate(), Site::new().instance.key] {
        let error = refused(|site| site.signer = Some(signer));
        assert_eq!(error, Error::Signature { part: Part::NitroDocument, signer: Part::EvidenceLeaf.name() });
        assert_eq!(error.code(), "evidence-signature");
    }
}

#[test]
fn certificates_count_at_the_document_s_time() {
    // The leaf lives for three hours from its start; nothing says that the verifier's clock is in them.
    let site = Site::new();
    let document = site.document();
    let generous = Freshness { max_age: 10 * HOUR, clock_skew: 0 };
    verify(&document, &site.root.anchors(), at().plus(4 * HOUR), generous).unwrap();
    for (timestamp, code) in [
        ((AT + 3 * HOUR + 1) * 1000, "evidence-expired"),
        ((AT - 4) * 1000, "evidence-not-yet-valid"),
        (u64::MAX, "evidence-expired"),
        (1, "evidence-not-yet-valid"),
    ] {
        let site = Site { timestamp, ..site.clone() };
        let made = UnixTime(timestamp / 1000);
        let error = verify(&site.document(), &site.root.anchors(), made, Freshness::default()).unwrap_err();
        assert!(matches!(
            error,
            Error::Expired { part: Part::EvidenceLeaf, .. } | Error::NotYetValid { part: Part::EvidenceLeaf, .. }
        ));
        assert_eq!(error.code(), code, "{error}");
    }
    for part in ["zonal", "root"] {
        let error = refused(|site| {
            site.timestamp = (AT + 1) * 1000;
            match part {
                "zonal" => site.zonal.valid = (HOUR, 0),
                _ => site.root.valid = (HOUR, 0),
            }
        });
        assert_eq!(error.code(), "evidence-expired", "the second after the end is too late: {part}");
    }
}

#[test]
fn the_document_s_age_is_held_against_the_clock() {
    let site = Site::new();
    let document = site.document();
    let verify = |at, max_age, clock_skew| {
        verify(&document, &site.root.anchors(), at, Freshness { max_age, clock_skew }).map(|facts| facts.at())
    };
    assert!(verify(at().plus(10), 10, 0).is_ok());
    let error = verify(at().plus(11), 10, 0).unwrap_err();
    assert!(matches!(error, Error::Expired { part: Part::NitroDocument, .. }), "{error}");
    assert!(error.remedy().contains("clock"), "{}", error.remedy());
    assert!(verify(UnixTime(AT - 5), 10, 5).is_ok());
    let error = verify(UnixTime(AT - 6), 10, 5).unwrap_err();
    assert!(matches!(error, Error::NotYetValid { part: Part::NitroDocument, .. }), "{error}");
    assert!(error.remedy().contains("clock"), "{}", error.remedy());
}

#[test]
fn chains_that_are_cut_or_mixed_up_are_refused() {
    let site = Site::new();
    let whole = chain(&[&site.enclave, &site.instance, &site.zonal, &site.regional, &site.root]);
    let with = |chain: Vec<Vec<u8>>| Site { chain: Some(chain), ..site.clone() }.verify();
    assert!(with(whole.clone()).is_ok());
    for missing in 1..4 {
        let mut cut = whole.clone();
        cut.remove(missing);
        assert_eq!(with(cut).unwrap_err().code(), "wrong-issuer", "without certificate {missing}");
    }
    assert_eq!(with(whole[..4].to_vec()).unwrap_err().code(), "untrusted-root", "without the root");
    let mut swapped = whole.clone();
    swapped.swap(2, 3);
    assert_eq!(with(swapped).unwrap_err().code(), "wrong-issuer");
    let mut padded = whole.clone();
    while padded.len() < 10 {
        padded.push(whole[4].clone());
    }
    assert_eq!(with(padded).unwrap_err().code(), "malformed-evidence", "over the limit of certificates");
}

#[test]
fn certificates_of_a_stranger_are_refused() {
    let error = refused(|site| {
        let stranger = site.zonal.stranger();
        let mut mixed = chain(&[&site.enclave, &site.instance, &stranger]);
        mixed[2] = site.zonal.der(&site.regional);
        mixed.extend([site.regional.der(&site.root), site.root.der(&site.root)]);
        site.chain = Some(mixed);
    });
    assert_eq!(error.code(), "evidence-chain-signature", "{error}");
    let (site, other) = (Site::new(), Site::new());
    let error = verify(&other.document(), &site.root.anchors(), at(), Freshness::default()).unwrap_err();
    assert_eq!(error.code(), "untrusted-root");
}

#[test]
fn certificates_in_the_wrong_role_are_refused() {
    let profile = "certificate-profile";
    assert_eq!(refused(|site| site.zonal.ca = None).code(), profile, "an end entity issues nothing");
    assert_eq!(refused(|site| site.instance.ca = None).code(), profile);
    assert_eq!(refused(|site| site.zonal.usages = vec![KeyUsagePurpose::DigitalSignature]).code(), profile);
    assert_eq!(refused(|site| site.regional.ca = Some(Some(1))).code(), profile, "two CAs below a path length of 1");
    assert_eq!(refused(|site| site.zonal.ca = Some(Some(0))).code(), profile);
    assert_eq!(refused(|site| site.enclave.ca = Some(None)).code(), profile, "a CA's key signs no documents");
    assert_eq!(refused(|site| site.enclave.usages = vec![KeyUsagePurpose::KeyAgreement]).code(), profile);
    let mut critical = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    critical.set_criticality(true);
    assert_eq!(refused(|site| site.enclave.extensions.push(critical)).code(), profile);
}

#[test]
fn a_root_of_another_pki_vouches_for_no_enclave() {
    // The same key under the name of another vendor's root: an anchor of that PKI, and not of this one.
    let mut site = Site::new();
    site.root.name = "NVIDIA Device Identity CA";
    assert_eq!(site.verify().unwrap_err().code(), "untrusted-root");
    // And an anchor of this PKI does not vouch for a root that is named as another's.
    let document = site.document();
    site.root.name = "aws.nitro-enclaves";
    let error = verify(&document, &site.root.anchors(), at(), Freshness::default()).unwrap_err();
    assert!(matches!(error, Error::Profile { part: Part::EvidenceRoot, .. }), "{error}");
    // Who reads the refusal is not told of anchors that could never have helped.
    let error = verify(&Site::new().document(), &Anchors::vendor(), at(), Freshness::default()).unwrap_err();
    assert_eq!(error.expected().as_deref(), Some("aws-nitro-enclaves-root"), "{error}");
}

#[test]
fn real_documents_of_another_root_are_believed_under_that_root_alone() {
    let Some(folder) = support::vectors() else { return };
    let custom: Vec<_> = documents(&folder).into_iter().filter(|(_, _, answers)| answers["root"] != "aws").collect();
    assert_eq!(custom.len(), 2);
    for (name, bytes, answers) in custom {
        let made = UnixTime(answers["verify_at_unix"].as_u64().unwrap());
        let root = Document::parse(&bytes).unwrap().statement.cabundle[0];
        let believed = |anchor| verify(&bytes, &Anchors::none().with(anchor), made, Freshness::default());
        let facts = believed(Anchor::nitro_root("mine", root).unwrap()).unwrap();
        assert_eq!((facts.anchor().name.as_str(), facts.anchor().kind), ("mine", AnchorKind::Configured), "{name}");
        assert_eq!(hex::encode(facts.report_data()), answers["user_data_hex"], "{name}");
        // Its name tells no PKI: nobody's chains are meant, and declared for GPUs it vouches for no enclave.
        assert_eq!(Anchor::from_certificate("mine", root).unwrap_err().code(), "certificate-profile", "{name}");
        let of_gpus = Anchor::nvidia_root("mine", root).unwrap();
        assert_eq!(believed(of_gpus).unwrap_err().code(), "untrusted-root", "{name}");
    }
}

#[test]
fn a_declared_root_is_a_root_of_its_pki_in_all_but_its_name() {
    let mut site = Site::new();
    site.root.name = "mine";
    let declared = |site: &Site| {
        let anchor = Anchor::nitro_root("declared", &site.root.der(&site.root))?;
        verify(&site.document(), &Anchors::none().with(anchor), at(), Freshness::default())
    };
    assert_eq!(declared(&site).unwrap().anchor().kind, AnchorKind::Configured);
    let refused = |change: &dyn Fn(&mut Site)| {
        let mut changed = site.clone();
        change(&mut changed);
        declared(&changed).unwrap_err().code()
    };
    let profile = "certificate-profile";
    assert_eq!(refused(&|site| site.root.ca = None), profile, "an end entity is no root");
    assert_eq!(refused(&|site| site.root.ca = Some(Some(1))), profile, "three CAs below a path length of 1");
    assert_eq!(refused(&|site| site.zonal.usages = vec![KeyUsagePurpose::DigitalSignature]), profile);
    for other in ["NVIDIA Device Identity CA", "Intel SGX Root CA", "ARK-Milan"] {
        assert_eq!(refused(&|site| site.root.name = other), profile, "{other}");
    }
    // A root of that key which is named as another PKI's is not the one that was declared.
    let mut renamed = site.clone();
    renamed.root.name = "NVIDIA Device Identity CA";
    let anchors = Anchors::none().with(Anchor::nitro_root("declared", &site.root.der(&site.root)).unwrap());
    let error = verify(&renamed.document(), &anchors, at(), Freshness::default()).unwrap_err();
    assert!(matches!(error, Error::Profile { part: Part::EvidenceRoot, .. }), "{error}");
    site.root.organization = SIMULATION;
    assert_eq!(declared(&site).unwrap().anchor().kind, AnchorKind::Simulated);
}

#[test]
fn a_simulation_s_root_is_simulated_whatever_it_was_declared_as() {
    let mut site = Site::new();
    site.root.organization = SIMULATION;
    assert_eq!(site.verify().unwrap().anchor().kind, AnchorKind::Simulated);
    let mut hidden = site.clone();
    hidden.root.organization = "Respectable";
    let facts = verify(&site.document(), &hidden.root.anchors(), at(), Freshness::default()).unwrap();
    assert_eq!(facts.anchor().kind, AnchorKind::Simulated);
}

#[test]
fn what_a_document_says_is_in_the_parsed_one_too() {
    let document = Site::new().document();
    let parsed = Document::parse(&document).unwrap();
    assert_eq!(parsed.statement.pcr(3), Some(&Digest([4; 48])));
    assert_eq!(parsed.statement.pcr(16), None);
}

#[test]
fn the_built_in_root_is_the_published_one() {
    let Some(folder) = support::vectors() else { return };
    let pem = String::from_utf8(read(&folder, "aws-root-g1.pem")).unwrap();
    let der = sealwright_wire::collateral::pem_chain("root", pem.as_bytes()).unwrap().remove(0);
    let published = "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b";
    assert_eq!(sealwright_verify::hash::sha256(&[&der]).to_string(), published);
    assert_eq!(expected(&folder)["root_sha256_der"], published);
    let anchor = Anchor::from_certificate("configured", &der).unwrap();
    assert_eq!(anchor.id().kind, AnchorKind::Vendor);
    assert_eq!(anchor.id().sha256, Anchor::nitro().id().sha256);
}
