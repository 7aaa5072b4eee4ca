//! The public vectors, file by file: what each is, what its log replays to, and what verification says of it. The answers are the table
//! `vectors.json`, which the SDKs' tests read too.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

mod program;

use program::{Run, sealwright};
use sealwright_verify::any::Kind;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// All answers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// Folders of the vectors, each file of which has its place below.
    folders: Vec<String>,
    /// Files that nobody asks about.
    not_asked: Vec<NotAsked>,
    files: Vec<File>,
    verify: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NotAsked {
    /// A path, with `*` for anything.
    files: String,
    #[allow(dead_code, reason = "for readers of the table")]
    why: String,
}

impl NotAsked {
    fn matches(&self, file: &str) -> bool {
        let mut parts = self.files.split('*');
        let Some(rest) = file.strip_prefix(parts.next().unwrap()) else { return false };
        let mut rest = Some(rest);
        let mut last = "";
        for part in parts {
            rest = rest.and_then(|rest| rest.find(part).map(|at| &rest[at + part.len()..]));
            last = part;
        }
        rest.is_some_and(|rest| rest.is_empty() || (self.files.contains('*') && file.ends_with(last)))
    }
}

/// What a file is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    file: String,
    /// The file lies in this member of a JSON document, as base64.
    member: Option<String>,
    /// What `inspect` calls it.
    inspect: Option<String>,
    /// What it is not.
    unknown: Option<String>,
    /// Where the values are to which its events replay: a JSON document of the vectors and a pointer into it, or lines of sysfs.
    registers: Option<String>,
    /// The IMA list that goes with it.
    ima: Option<String>,
    /// A register into which more went than the vectors have.
    unlogged: Option<String>,
}

/// One file of the vectors, what is given beside it, and the right answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    evidence: String,
    at: u64,
    #[serde(default)]
    collateral: Vec<String>,
    #[serde(default)]
    anchors: Vec<String>,
    signature: Option<String>,
    pcrs: Option<String>,
    event_log: Option<String>,
    ima: Option<String>,
    vtpm_quote: Option<String>,
    td_quote: Option<String>,
    #[serde(default)]
    words: Vec<String>,
    exit: i32,
    /// Of a yes.
    tee: Option<String>,
    #[serde(default)]
    facts: BTreeMap<String, Value>,
    /// Of a no.
    code: Option<String>,
}

impl Case {
    fn words(&self, vectors: &Path) -> Vec<String> {
        let path = |file: &String| vectors.join(file).to_str().unwrap().to_owned();
        let mut words = vec!["verify".to_owned(), "--json".to_owned(), path(&self.evidence)];
        words.extend(["--at".to_owned(), self.at.to_string()]);
        let lists = [("--collateral", &self.collateral), ("--anchor", &self.anchors)];
        for (flag, files) in lists {
            words.extend(files.iter().flat_map(|file| [flag.to_owned(), path(file)]));
        }
        let files = [
            ("--signature", &self.signature),
            ("--pcrs", &self.pcrs),
            ("--event-log", &self.event_log),
            ("--ima", &self.ima),
            ("--vtpm-quote", &self.vtpm_quote),
            ("--td-quote", &self.td_quote),
        ];
        for (flag, file) in files {
            words.extend(file.iter().flat_map(|file| [flag.to_owned(), path(file)]));
        }
        words.extend(self.words.iter().cloned());
        words
    }
}

fn table() -> Table {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

fn json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// The names of all files below a folder of the vectors.
fn below(vectors: &Path, folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            below(vectors, &path, names);
        } else {
            names.push(path.strip_prefix(vectors).unwrap().to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn every_file_has_an_answer() {
    let Some(vectors) = support::vectors() else { return };
    let table = table();
    let mut found = Vec::new();
    for folder in &table.folders {
        below(&vectors, &vectors.join(folder), &mut found);
    }
    let asked: BTreeSet<&str> = table.files.iter().map(|file| file.file.as_str()).collect();
    let places: BTreeSet<_> = table.files.iter().map(|file| (&file.file, &file.member)).collect();
    assert_eq!(places.len(), table.files.len(), "a file stands twice in the table");
    for file in &found {
        let not_asked = table.not_asked.iter().any(|pattern| pattern.matches(file));
        assert!(asked.contains(file.as_str()) != not_asked, "{file} is new, or stands twice: say what it is");
    }
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    assert!(asked.is_subset(&found), "{:?} is not among the vectors", asked.difference(&found).collect::<Vec<_>>());
}

#[test]
fn what_can_be_verified_has_a_verdict() {
    let Some(vectors) = support::vectors() else { return };
    let Table { files, verify, .. } = table();
    let judged: BTreeSet<&str> = verify.iter().map(|case| case.evidence.as_str()).collect();
    let mut kinds = BTreeSet::new();
    for file in files.iter().filter(|file| file.member.is_none()) {
        let Some((kind, _)) = Kind::of_text(&fs::read(vectors.join(&file.file)).unwrap()) else { continue };
        assert!(judged.contains(file.file.as_str()), "{}: {kind}", file.file);
        kinds.insert(kind.name());
    }
    assert_eq!(kinds.len(), 13, "{kinds:?}");
}

#[test]
fn damaged_evidence_is_still_of_its_kind() {
    let Some(vectors) = support::vectors() else { return };
    let (mut cut, mut whole_alone) = (BTreeSet::new(), BTreeSet::new());
    for file in table().files.iter().filter(|file| file.member.is_none()) {
        let Some((kind, bytes)) = Kind::of_text(&fs::read(vectors.join(&file.file)).unwrap()) else { continue };
        // What nothing but its length or its DER tells.
        if matches!(kind, Kind::Ratls) || ["csv/", "-vtpm/quote.bin"].iter().any(|bare| file.file.contains(bare)) {
            whole_alone.insert(kind.name());
            continue;
        }
        cut.insert(kind.name());
        // Of JSON, the members that tell it may come last.
        let least = if bytes.starts_with(b"{") { bytes.len() - 1 } else { bytes.len() / 2 };
        for len in (least..bytes.len()).step_by(bytes.len() / 16) {
            assert_eq!(Kind::of(&bytes[..len]), Some(kind), "{}: {len} of {} bytes", file.file, bytes.len());
        }
    }
    assert_eq!(cut.len(), 11, "{cut:?}");
    assert_eq!(whole_alone.len(), 3, "{whole_alone:?}");
}

#[test]
fn what_is_no_evidence_is_called_what_it_is() {
    let Some(vectors) = support::vectors() else { return };
    let mut refused = 0;
    for file in table().files.iter().filter(|file| file.member.is_none()) {
        let path = vectors.join(&file.file);
        if Kind::of_text(&fs::read(&path).unwrap()).is_some() {
            continue;
        }
        let run = sealwright(&["verify", "--json", path.to_str().unwrap()]);
        assert_eq!(run.code, 1, "{}", file.file);
        let reason = &run.json()["reason"];
        assert_eq!(reason["code"], "not-evidence", "{}: {reason}", file.file);
        let told = reason["actual"].as_str().unwrap();
        if let Some(kind) = &file.inspect {
            assert!(told.starts_with(kind), "{}: {told}, inspect says {kind}", file.file);
        }
        refused += 1;
    }
    assert!(refused > 100, "{refused}");
}

/// The file itself, or what lies in its member.
fn bytes(vectors: &Path, file: &File) -> (PathBuf, Option<NamedTempFile>) {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let path = vectors.join(&file.file);
    let Some(member) = &file.member else { return (path, None) };
    let content = STANDARD.decode(json(&path).pointer(member).unwrap().as_str().unwrap()).unwrap();
    let extracted = NamedTempFile::new().unwrap();
    fs::write(extracted.path(), content).unwrap();
    (extracted.path().to_owned(), Some(extracted))
}

#[test]
fn every_file_is_what_it_is() {
    let Some(vectors) = support::vectors() else { return };
    for file in table().files {
        let (path, _extracted) = bytes(&vectors, &file);
        let run = sealwright(&["inspect", "--json", path.to_str().unwrap()]);
        match (&file.inspect, &file.unknown) {
            (Some(kind), None) => {
                assert_eq!(run.code, 0, "{}: {}", file.file, run.stderr);
                let inspected = run.json();
                assert_eq!(inspected["kind"], kind.as_str(), "{}", file.file);
                assert!(inspected["fields"].as_object().is_some_and(|fields| !fields.is_empty()), "{}", file.file);
            }
            (None, Some(reason)) => {
                assert_eq!(run.code, 3, "{}: {}", file.file, run.stdout);
                assert!(run.stderr.contains(reason.as_str()), "{}: {}", file.file, run.stderr);
            }
            _ => panic!("{}: either it is known or it is not", file.file),
        }
    }
}

/// Values of registers, by `register algorithm`.
type Registers = BTreeMap<String, String>;

/// The values that a table of the vectors has: by bank and PCR, or by register of a trust domain, whose bank is SHA-384.
fn answers(vectors: &Path, place: &str) -> Registers {
    let Some((file, pointer)) = place.split_once('#') else {
        let lines = fs::read_to_string(vectors.join(place)).unwrap();
        let words = lines.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        return words.map(|words| (format!("pcr{} {}", words[1], words[0]), words[2].to_ascii_lowercase())).collect();
    };
    let document = json(&vectors.join(file));
    let mut registers = Registers::new();
    for (name, value) in document.pointer(pointer).unwrap().as_object().unwrap() {
        match value {
            Value::Object(bank) => registers.extend(
                bank.iter().map(|(pcr, value)| (format!("pcr{pcr} {name}"), value.as_str().unwrap().to_owned())),
            ),
            value => drop(registers.insert(format!("{name} sha384"), value.as_str().unwrap().to_owned())),
        }
    }
    registers
}

fn replayed(run: &Run) -> Vec<(String, Vec<String>)> {
    let registers = run.json()["registers"].as_array().unwrap().clone();
    let text = |register: &Value, name: &str| register[name].as_str().map(str::to_owned);
    let values = registers.iter().map(|register| {
        let name = format!("{} {}", text(register, "register").unwrap(), text(register, "algorithm").unwrap());
        (name, [text(register, "value"), text(register, "value_if_padded")].into_iter().flatten().collect())
    });
    values.collect()
}

#[test]
fn every_log_replays_to_its_registers() {
    let Some(vectors) = support::vectors() else { return };
    let mut compared = 0;
    for file in table().files {
        let (path, _extracted) = bytes(&vectors, &file);
        let Some(place) = &file.registers else {
            let is_log = file.inspect.as_deref().is_some_and(|kind| kind.contains("event log"));
            assert!(!is_log, "{} is a log without an answer", file.file);
            continue;
        };
        let mut words = vec!["eventlog".into(), "replay".into(), "--json".into(), path.to_str().unwrap().to_owned()];
        words.extend(file.ima.iter().flat_map(|ima| ["--ima".into(), vectors.join(ima).to_str().unwrap().to_owned()]));
        let run = sealwright(&words);
        assert_eq!(run.code, 0, "{}: {}", file.file, run.stderr);
        let mut answers = answers(&vectors, place);
        for (register, values) in replayed(&run) {
            // What a log has and its table has not is of a bank that the table leaves out.
            let Some(answer) = answers.remove(&register) else { continue };
            assert!(values.contains(&answer), "{}: {register} is {answer}, not {values:?}", file.file);
            compared += 1;
        }
        // No event went into these: they are as at the reset, zeros, or ones from PCR 17 to 22.
        let untouched =
            |value: &String| value.bytes().all(|digit| digit == b'0') || value.bytes().all(|digit| digit == b'f');
        if let Some(unlogged) = &file.unlogged {
            answers.retain(|register, _| register.split(' ').next() != Some(unlogged));
        }
        assert!(answers.values().all(untouched), "{}: nothing replays to {answers:?}", file.file);
    }
    assert!(compared > 300, "{compared} registers");
}

#[test]
fn evidence_of_every_kind_gets_its_right_answer() {
    let Some(vectors) = support::vectors() else { return };
    for case in table().verify {
        let words = case.words(&vectors);
        let run = sealwright(&words);
        let what = words.join(" ");
        assert_eq!(run.code, case.exit, "{what}\n{}{}", run.stdout, run.stderr);
        let printed = run.json();
        if let Some(tee) = &case.tee {
            assert_eq!(printed["facts"]["tee"], tee.as_str(), "{what}");
        }
        for (pointer, wanted) in &case.facts {
            assert_eq!(printed["facts"].pointer(pointer), Some(wanted), "{what}: {pointer}");
        }
        if let Some(code) = &case.code {
            assert_eq!(printed["reason"]["code"], code.as_str(), "{what}");
        }
    }
}

#[test]
fn inspect_prints_what_evidence_of_every_kind_says() {
    let Some(vectors) = support::vectors() else { return };
    let mut kinds = BTreeSet::new();
    // What an HCL report binds is what the quote beside it says.
    for case in table().verify.iter().filter(|case| case.exit == 0 && case.vtpm_quote.is_none()) {
        let verified = sealwright(&case.words(&vectors)).json();
        let run = sealwright(&["inspect", "--json", vectors.join(&case.evidence).to_str().unwrap()]);
        assert_eq!(run.code, 0, "{}: {}", case.evidence, run.stderr);
        let inspected = run.json();
        // Whoever verifies it must have found the same bytes.
        let report_data = verified["facts"]["report_data"].as_str().unwrap();
        assert!(inspected["fields"].to_string().contains(report_data), "{}: {report_data}\n{inspected}", case.evidence);
        kinds.insert(inspected["kind"].as_str().unwrap().to_owned());
    }
    assert!(kinds.len() >= 9, "{kinds:?}");
}
