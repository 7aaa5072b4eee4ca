//! The newest issue of everything that was seen, so that a file which takes back a TCB recovery or a revocation is noticed.

use crate::{Endorser, paper::Issued};
use sealwright_verify::{Collateral, CrlIssue, Issue, QveIdentity, snp};
use sealwright_wire::{Digest, Tee};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// The longest file that is read: some ten thousand kinds of platform.
const MAX_FILE: u64 = 8 << 20;
/// The version of the file that is written. What was written before it had a number was a list of bundles, and is read as well.
const VERSION: u32 = 2;

/// SHA-256 of a root's public key: another vendor's numbers, or those of another simulation, say nothing about these.
type Root = Digest<32>;

/// Each part for whom it is issued, so that no bundle of another platform or kind of environment brings an older one back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// By kind of environment and platform model.
    tcb_infos: BTreeMap<(Root, Tee, Digest<6>), u32>,
    /// By kind of environment: one quoting enclave serves all platforms.
    qe_identities: BTreeMap<(Root, Tee), u32>,
    root_crls: BTreeMap<Root, CrlIssue>,
    /// By the subject of the CA, which certifies platforms of many models for all kinds of environment.
    pck_crls: BTreeMap<(Root, String), CrlIssue>,
    /// AMD's lists, which its service has under each kind of key.
    ark_crls: BTreeMap<(Root, Endorser), CrlIssue>,
    /// TCB evaluation data numbers of the QvE's identity.
    qve_identities: BTreeMap<Root, u32>,
    /// The root CA's lists that came with it: bundles have their own, which is renewed with theirs.
    qve_root_crls: BTreeMap<Root, CrlIssue>,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    tcb_info: Vec<TcbInfoLine>,
    qe_identity: Vec<QeIdentityLine>,
    root_crl: Vec<RootCrlLine>,
    pck_crl: Vec<PckCrlLine>,
    /// Absent where none was seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ark_crl: Vec<ArkCrlLine>,
    /// Absent where none was seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    qve_identity: Vec<QveIdentityLine>,
}

#[derive(Serialize, Deserialize)]
struct TcbInfoLine {
    root: Root,
    tee: Tee,
    fmspc: Digest<6>,
    number: u32,
}

#[derive(Serialize, Deserialize)]
struct QeIdentityLine {
    root: Root,
    tee: Tee,
    number: u32,
}

#[derive(Serialize, Deserialize)]
struct RootCrlLine {
    root: Root,
    #[serde(flatten)]
    issue: CrlIssue,
}

#[derive(Serialize, Deserialize)]
struct PckCrlLine {
    root: Root,
    issuer: String,
    #[serde(flatten)]
    issue: CrlIssue,
}

#[derive(Serialize, Deserialize)]
struct ArkCrlLine {
    root: Root,
    endorser: Endorser,
    #[serde(flatten)]
    issue: CrlIssue,
}

#[derive(Serialize, Deserialize)]
struct QveIdentityLine {
    root: Root,
    evaluation: u32,
    root_crl: CrlIssue,
}

/// A bundle, as the file had it before version 2.
#[derive(Deserialize)]
struct BundleLine {
    root: Root,
    tee: Tee,
    fmspc: Digest<6>,
    pck_ca: String,
    #[serde(flatten)]
    issue: Issue,
}

impl Seen {
    /// Takes note of collateral. What is older than what was seen before changes nothing.
    pub(crate) fn note(&mut self, collateral: &Collateral) {
        self.note_issue(
            collateral.anchor().sha256,
            collateral.tee(),
            collateral.fmspc(),
            collateral.pck_ca(),
            collateral.issue(),
        );
    }

    fn note_issue(&mut self, root: Root, tee: Tee, fmspc: Digest<6>, pck_ca: String, issue: Issue) {
        raise(&mut self.tcb_infos, (root, tee, fmspc), issue.tcb_info);
        raise(&mut self.qe_identities, (root, tee), issue.qe_identity);
        raise(&mut self.root_crls, root, issue.root_crl);
        raise(&mut self.pck_crls, (root, pck_ca), issue.pck_crl);
    }

    /// Takes note of how new an item is.
    pub(crate) fn note_item(&mut self, item: &Issued<'_>) {
        match item {
            Issued::Ark(endorser, collateral) => {
                if let Some(issue) = collateral.crl_issue() {
                    raise(&mut self.ark_crls, (collateral.anchor().sha256, *endorser), issue);
                }
            }
            Issued::Qve(identity) => {
                let root = identity.anchor().sha256;
                raise(&mut self.qve_identities, root, identity.evaluation_number());
                raise(&mut self.qve_root_crls, root, identity.root_crl());
            }
        }
    }

    /// That an item is older than what was seen, in words.
    pub(crate) fn item_taken_back(&self, item: &Issued<'_>) -> Option<String> {
        match item {
            Issued::Ark(endorser, collateral) => self.ark_taken_back(*endorser, collateral),
            Issued::Qve(identity) => self.qve_taken_back(identity),
        }
    }

    fn ark_taken_back(&self, endorser: Endorser, collateral: &snp::Collateral) -> Option<String> {
        let seen = self.ark_crls.get(&(collateral.anchor().sha256, endorser))?;
        older_list(collateral.crl_issue()?, *seen)
    }

    fn qve_taken_back(&self, identity: &QveIdentity) -> Option<String> {
        let root = identity.anchor().sha256;
        let (number, crl) = (identity.evaluation_number(), identity.root_crl());
        let seen = newest(&self.qve_identities, &root, number);
        if number < seen {
            return Some(format!("its TCB evaluation data number is {number}, lower than {seen}"));
        }
        older_list(crl, newest(&self.qve_root_crls, &root, crl))
    }

    /// The part of collateral that is older than what was seen, in words.
    pub(crate) fn taken_back(&self, collateral: &Collateral) -> Option<String> {
        let (root, tee, own) = (collateral.anchor().sha256, collateral.tee(), collateral.issue());
        let seen = Issue {
            tcb_info: newest(&self.tcb_infos, &(root, tee, collateral.fmspc()), own.tcb_info),
            qe_identity: newest(&self.qe_identities, &(root, tee), own.qe_identity),
            root_crl: newest(&self.root_crls, &root, own.root_crl),
            pck_crl: newest(&self.pck_crls, &(root, collateral.pck_ca()), own.pck_crl),
        };
        own.taken_back(&seen)
    }

    /// What an earlier process saw; nothing when there is no such file.
    pub(crate) fn load(path: &Path) -> io::Result<Self> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            file => file?,
        };
        let mut json = Vec::new();
        file.take(MAX_FILE).read_to_end(&mut json)?;
        if json.trim_ascii_start().starts_with(b"[") { Self::of_bundles(&json) } else { Self::of_parts(&json) }
    }

    fn of_bundles(json: &[u8]) -> io::Result<Self> {
        let mut seen = Self::default();
        for BundleLine { root, tee, fmspc, pck_ca, issue } in serde_json::from_slice::<Vec<_>>(json)? {
            seen.note_issue(root, tee, fmspc, pck_ca, issue);
        }
        Ok(seen)
    }

    fn of_parts(json: &[u8]) -> io::Result<Self> {
        let kept: Kept = serde_json::from_slice(json)?;
        if kept.version != VERSION {
            let reason = format!("version {} of the file is unknown here, {VERSION} is known", kept.version);
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(Self {
            tcb_infos: newest_of(
                kept.tcb_info.into_iter().map(|line| ((line.root, line.tee, line.fmspc), line.number)),
            ),
            qe_identities: newest_of(kept.qe_identity.into_iter().map(|line| ((line.root, line.tee), line.number))),
            root_crls: newest_of(kept.root_crl.into_iter().map(|line| (line.root, line.issue))),
            pck_crls: newest_of(kept.pck_crl.into_iter().map(|line| ((line.root, line.issuer), line.issue))),
            ark_crls: newest_of(kept.ark_crl.into_iter().map(|line| ((line.root, line.endorser), line.issue))),
            qve_identities: newest_of(kept.qve_identity.iter().map(|line| (line.root, line.evaluation))),
            qve_root_crls: newest_of(kept.qve_identity.iter().map(|line| (line.root, line.root_crl))),
        })
    }

    fn kept(&self) -> Kept {
        let tcb_info = self.tcb_infos.iter();
        let qe_identity = self.qe_identities.iter();
        let root_crl = self.root_crls.iter();
        let pck_crl = self.pck_crls.iter();
        let ark_crl = self.ark_crls.iter();
        // Both were seen of the same roots.
        let qve_identity = self.qve_identities.iter().zip(self.qve_root_crls.values());
        Kept {
            version: VERSION,
            tcb_info: tcb_info.map(|(&(root, tee, fmspc), &number)| TcbInfoLine { root, tee, fmspc, number }).collect(),
            qe_identity: qe_identity.map(|(&(root, tee), &number)| QeIdentityLine { root, tee, number }).collect(),
            root_crl: root_crl.map(|(&root, &issue)| RootCrlLine { root, issue }).collect(),
            pck_crl: pck_crl
                .map(|((root, issuer), &issue)| PckCrlLine { root: *root, issuer: issuer.clone(), issue })
                .collect(),
            ark_crl: ark_crl.map(|(&(root, endorser), &issue)| ArkCrlLine { root, endorser, issue }).collect(),
            qve_identity: qve_identity
                .map(|((&root, &evaluation), &root_crl)| QveIdentityLine { root, evaluation, root_crl })
                .collect(),
        }
    }

    /// Replaces the file as a whole, durable on return: whenever the machine stops, one of the two is there.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        let json = serde_json::to_vec_pretty(&self.kept())?;
        let fresh = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&json)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

fn older_list(own: CrlIssue, seen: CrlIssue) -> Option<String> {
    (own < seen).then(|| format!("its revocation list is {own}, older than {seen}"))
}

/// Sets what was seen to `issue`, unless that is older.
fn raise<K: Ord, V: Ord>(seen: &mut BTreeMap<K, V>, of: K, issue: V) {
    if seen.get(&of).is_none_or(|seen| *seen < issue) {
        seen.insert(of, issue);
    }
}

/// What was seen, or `own` where nothing was.
fn newest<K: Ord, V: Copy>(seen: &BTreeMap<K, V>, of: &K, own: V) -> V {
    seen.get(of).copied().unwrap_or(own)
}

fn newest_of<K: Ord, V: Ord>(lines: impl Iterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut seen = BTreeMap::new();
    lines.for_each(|(of, issue)| raise(&mut seen, of, issue));
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it was written before version 2, of two bundles whose CA is the same; the second was let in with an older list.
    const BUNDLES: &str = r#"[
      { "root": "0101010101010101010101010101010101010101010101010101010101010101",
        "tee": "sgx", "fmspc": "00a067110000", "pck_ca": "CN=Intel SGX PCK Platform CA", "tcb_info": 17, "qe_identity": 17,
        "root_crl": { "number": "0000000000000000000000000000000000000001", "at": "2025-06-19T00:00:00Z" },
        "pck_crl": { "number": "0000000000000000000000000000000000000002", "at": "2025-06-19T00:00:00Z" } },
      { "root": "0101010101010101010101010101010101010101010101010101010101010101",
        "tee": "tdx", "fmspc": "b0c06f000000", "pck_ca": "CN=Intel SGX PCK Platform CA", "tcb_info": 18, "qe_identity": 18,
        "root_crl": { "number": "0000000000000000000000000000000000000001", "at": "2025-06-20T00:00:00Z" },
        "pck_crl": { "number": "0000000000000000000000000000000000000001", "at": "2025-06-20T00:00:00Z" } }
    ]"#;

    fn load(text: &str) -> io::Result<Seen> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seen.json");
        fs::write(&path, text).unwrap();
        Seen::load(&path)
    }

    #[test]
    fn what_a_file_of_before_has_seen_is_kept_and_the_newest_of_it_counts() {
        let seen = load(BUNDLES).unwrap();
        let root = Digest([1; 32]);
        assert_eq!(seen.tcb_infos.len(), 2);
        assert_eq!(seen.qe_identities, BTreeMap::from([((root, Tee::Sgx), 17), ((root, Tee::Tdx), 18)]));
        assert_eq!(seen.root_crls[&root].to_string(), "number 0x1 of 2025-06-20T00:00:00Z");
        let pck_crl = &seen.pck_crls[&(root, "CN=Intel SGX PCK Platform CA".to_owned())];
        assert_eq!(pck_crl.to_string(), "number 0x2 of 2025-06-19T00:00:00Z");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seen.json");
        seen.save(&path).unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("\"version\": 2"));
        assert_eq!(Seen::load(&path).unwrap(), seen);
    }

    #[test]
    fn a_file_that_is_not_understood_is_an_error_and_never_nothing() {
        for text in ["", "null", "{}", "[{}]", r#"{"version": 2}"#] {
            assert!(load(text).is_err(), "{text}");
        }
        let future = r#"{"version": 3, "tcb_info": [], "qe_identity": [], "root_crl": [], "pck_crl": []}"#;
        assert_eq!(load(future).unwrap_err().to_string(), "version 3 of the file is unknown here, 2 is known");
        assert_eq!(load(&future.replace('3', "2")).unwrap(), Seen::default());
    }

    /// Platforms that a simulated site does not have: two models of one vendor.
    #[test]
    fn a_part_is_seen_for_all_whom_it_is_issued_for() {
        let bundle = |fmspc, tcb_info, qe_identity| Issue { tcb_info, qe_identity, ..issue(fmspc) };
        let mut seen = Seen::default();
        let mut note =
            |fmspc: u8, issue| seen.note_issue(Digest([1; 32]), Tee::Tdx, Digest([fmspc; 6]), "CN=CA".into(), issue);
        note(1, bundle(1, 18, 18));
        note(2, bundle(2, 17, 17));
        note(2, bundle(0, 16, 16));
        assert_eq!(seen.tcb_infos.values().copied().collect::<Vec<_>>(), [18, 17]);
        assert_eq!(seen.qe_identities.values().copied().collect::<Vec<_>>(), [18]);
        assert_eq!(seen.pck_crls.values().copied().collect::<Vec<_>>(), [issue(2).pck_crl]);
        assert_eq!(seen.root_crls.values().copied().collect::<Vec<_>>(), [issue(2).root_crl]);
    }

    /// An issue whose lists are of that second.
    fn issue(at: u8) -> Issue {
        let list = format!(r#"{{"number": "{}", "at": "2025-06-20T00:00:0{at}Z"}}"#, "00".repeat(20));
        let text = format!(r#"{{"tcb_info": 1, "qe_identity": 1, "root_crl": {list}, "pck_crl": {list}}}"#);
        serde_json::from_str(&text).unwrap()
    }
}
