//! `init`, and the configuration that it writes.

use sealwright_broker::{
    Config, ConfigError,
    config::Metrics,
    init::{ExtraAnchor, InitError, Options, init},
};
use sealwright_verify::{AnchorKind, TcbStatus};
use sealwright_wire::time::UnixTime;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use x509_cert::{
    Certificate,
    der::{Decode, DecodePem},
    ext::pkix::{BasicConstraints, SubjectAltName, name::GeneralName},
};

fn options() -> Options {
    Options {
        names: vec!["broker.example".to_owned(), "192.0.2.7".to_owned()],
        listen: "127.0.0.1:0".parse().unwrap(),
        administrator: "ada \"the admin\"".to_owned(),
        anchors: Vec::new(),
        at: UnixTime(1_763_654_400),
    }
}

fn made() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("broker");
    init(&folder, &options()).unwrap();
    (parent, folder)
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn what_init_makes_can_be_loaded_and_trusts_the_vendors_only() {
    let (_parent, folder) = made();
    let config = Config::load(&folder.join("broker.toml")).unwrap();
    assert_eq!(config.administrators.len(), 1);
    assert_eq!(config.administrators[0].0, "ada \"the admin\"");
    assert!(config.attestation.anchors.iter().all(|anchor| anchor.id().kind == AnchorKind::Vendor));
    assert_eq!(config.attestation.accepted_tcb, [TcbStatus::UpToDate]);
    assert_eq!(config.metrics, Metrics::Open);
    assert_eq!(config.limits, sealwright_broker::config::Limits::default());
    assert_eq!(config.worker, sealwright_broker::config::Worker::default());
}

/// The commented entries in the file are the values that hold without them.
#[test]
fn the_comments_say_the_values_that_hold() {
    let (_parent, folder) = made();
    let text = fs::read_to_string(folder.join("broker.toml")).unwrap();
    let (before, limits) = text.split_once("[limits]\n").unwrap();
    let uncommented: String = limits
        .lines()
        .map(|line| {
            let entry = line.strip_prefix("# ").filter(|line| line.contains(" = "));
            format!("{}\n", entry.unwrap_or(line))
        })
        .collect();
    fs::write(folder.join("broker.toml"), format!("{before}[limits]\n{uncommented}")).unwrap();
    let config = Config::load(&folder.join("broker.toml")).unwrap();
    assert_eq!(config.limits, sealwright_broker::config::Limits::default());
    assert_eq!(config.worker, sealwright_broker::config::Worker::default());
}

#[test]
fn secrets_are_readable_by_their_owner_only() {
    let (_parent, folder) = made();
    for path in files(&folder) {
        let public = path.extension().is_some_and(|extension| extension == "pem" || extension == "pub");
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if public { 0o644 } else { 0o600 }, "{}", path.display());
    }
}

#[test]
fn the_certificate_is_a_leaf_below_an_authority_of_its_own_and_has_the_names() {
    let (_parent, folder) = made();
    let read = |name| Certificate::from_pem(fs::read(folder.join("tls").join(name)).unwrap()).unwrap();
    let (leaf, authority) = (read("server.pem"), read("ca.pem"));
    let is_ca = |certificate: &Certificate| {
        let found = certificate.tbs_certificate().get_extension::<BasicConstraints>().unwrap();
        found.is_some_and(|(_, constraints)| constraints.ca)
    };
    assert!(!is_ca(&leaf) && is_ca(&authority));
    assert_eq!(leaf.tbs_certificate().issuer(), authority.tbs_certificate().subject());
    let (_, names) = leaf.tbs_certificate().get_extension::<SubjectAltName>().unwrap().unwrap();
    let names: Vec<String> = names
        .0
        .iter()
        .map(|name| match name {
            GeneralName::DnsName(name) => name.to_string(),
            GeneralName::IpAddress(address) => match address.as_bytes() {
                [a, b, c, d] => format!("{a}.{b}.{c}.{d}"),
                other => hex::encode(other),
            },
            other => panic!("{other:?}"),
        })
        .collect();
    let loopback6 = format!("{}01", "00".repeat(15));
    assert_eq!(names, ["localhost", "127.0.0.1", &loopback6, "broker.example", "192.0.2.7"]);
}

#[test]
fn init_refuses_to_overwrite_and_changes_nothing() {
    let (parent, folder) = made();
    let before: Vec<_> = files(&folder).into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    assert!(matches!(init(&folder, &options()), Err(InitError::Exists { .. })));
    let after: Vec<_> = files(&folder).into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    assert_eq!(before, after);
    let file = parent.path().join("file");
    fs::write(&file, "mine").unwrap();
    assert!(matches!(init(&file, &options()), Err(InitError::Exists { .. })));
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn init_fills_an_empty_folder_and_leaves_nothing_beside_it() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("deep/broker");
    fs::create_dir_all(&folder).unwrap();
    let made = init(&folder, &options()).unwrap();
    assert!(made.config.is_file() && made.certificate_authority.is_file() && made.administrator_key.is_file());
    assert_eq!(fs::read_dir(folder.parent().unwrap()).unwrap().count(), 1);
    let mut bad = options();
    bad.names = vec!["not a name\u{e9}".to_owned()];
    assert!(init(&parent.path().join("other"), &bad).is_err());
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
}

#[test]
fn two_brokers_share_no_key() {
    let (_one, a) = made();
    let (_two, b) = made();
    for name in ["root.key", "token.key", "admin.key", "tls/server.key"] {
        assert_ne!(fs::read(a.join(name)).unwrap(), fs::read(b.join(name)).unwrap(), "{name}");
    }
}

fn edited(edit: impl Fn(String) -> String) -> Result<Config, ConfigError> {
    let (_parent, folder) = made();
    let path = folder.join("broker.toml");
    fs::write(&path, edit(fs::read_to_string(&path).unwrap())).unwrap();
    Config::load(&path)
}

/// Pitfall 10 of other brokers: sample configurations that trust keys in headers, let everybody in, or speak plain HTTP. There is no such
/// entry here, and one that is written all the same keeps the broker from starting.
#[test]
fn pitfall_10_no_entry_turns_a_check_off() {
    for entry in ["insecure_http = true", "insecure_header_jwk = true", "admin = \"InsecureAllowAll\"", "dev = true"] {
        let config = edited(|text| format!("{entry}\n{text}"));
        assert!(matches!(config, Err(ConfigError::Syntax { .. })), "{entry}");
    }
}

#[test]
fn values_that_cannot_be_used_are_refused_with_their_name() {
    let replaced = |from: &str, to: &str| {
        edited(|text| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        })
    };
    for (from, to, named) in [
        ("accept_tcb = [\"UpToDate\"]", "accept_tcb = [\"Fine\"]", "accept_tcb"),
        ("accept_tcb = [\"UpToDate\"]", "accept_tcb = [\"Revoked\"]", "accept_tcb"),
        ("lifetime_seconds = 300", "lifetime_seconds = 0", "lifetime_seconds"),
        ("lifetime_seconds = 300", "lifetime_seconds = 86400", "lifetime_seconds"),
        ("# requests = 128", "requests = 0 # 128", "limits.requests"),
        ("# attestation_bytes = 2097152", "attestation_bytes = 2097153", "expected 1 to 2097152, found 2097153"),
        ("# body_seconds = 20", "body_seconds = 0", "limits.body_seconds"),
        ("# memory_mebibytes = 256", "memory_mebibytes = 1", "policy_worker"),
        ("-----BEGIN PUBLIC KEY-----", "-----BEGIN NOTHING-----", "administrator"),
        ("listen = \"127.0.0.1:0\"", "listen = \"everywhere\"", "listen"),
    ] {
        let message = replaced(from, to).unwrap_err().to_string();
        assert!(message.contains(named), "{to}: {message}");
    }
    assert!(matches!(Config::load(Path::new("/nowhere/broker.toml")), Err(ConfigError::File(_))));
}

#[test]
fn an_extra_anchor_is_trusted_by_name_and_a_simulators_is_never_anything_else() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("root.der");
    fs::write(&root, root_certificate()).unwrap();
    let folder = parent.path().join("broker");
    let mut options = options();
    options.anchors = vec![ExtraAnchor { name: "mine".to_owned(), simulated: true, certificate: root }];
    init(&folder, &options).unwrap();
    let config = Config::load(&folder.join("broker.toml")).unwrap();
    assert_eq!(config.attestation.accepted_anchors, ["mine"]);
    let anchors: Vec<_> =
        config.attestation.anchors.iter().map(|anchor| (anchor.id().name.clone(), anchor.id().kind)).collect();
    assert!(anchors.contains(&("mine".to_owned(), AnchorKind::Simulated)));
    assert!(anchors.iter().all(|(name, kind)| *kind == AnchorKind::Vendor || name == "mine"));
}

#[test]
fn an_anchor_must_have_a_name_of_its_own() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("root.der");
    fs::write(&root, root_certificate()).unwrap();
    for (n, names) in [vec!["intel-sgx-root"], vec!["a", "a"], vec![""]].into_iter().enumerate() {
        let folder = parent.path().join(n.to_string());
        let mut options = options();
        let anchor =
            |name: &&str| ExtraAnchor { name: (*name).to_owned(), simulated: false, certificate: root.clone() };
        options.anchors = names.iter().map(anchor).collect();
        init(&folder, &options).unwrap();
        let error = Config::load(&folder.join("broker.toml")).unwrap_err();
        assert!(error.to_string().contains("attestation.anchor"), "{error}");
    }
}

/// A root in the profile of Intel's.
fn root_certificate() -> Vec<u8> {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Test SGX Root CA");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(1));
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    assert!(Certificate::from_der(certificate.der()).is_ok());
    certificate.der().to_vec()
}
