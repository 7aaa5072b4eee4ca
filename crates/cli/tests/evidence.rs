//! `sealwright verify` on public evidence of every kind: the cases are the table `evidence.json`.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

mod program;

use program::sealwright;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

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
        let named = [("--collateral", &self.collateral), ("--anchor", &self.anchors)];
        for (flag, files) in named {
            words.extend(files.iter().flat_map(|file| [flag.to_owned(), path(file)]));
        }
        for (flag, file) in [("--signature", &self.signature), ("--pcrs", &self.pcrs)] {
            words.extend(file.iter().flat_map(|file| [flag.to_owned(), path(file)]));
        }
        words.extend(self.words.iter().cloned());
        words
    }
}

#[test]
fn public_evidence_of_every_kind_gets_its_right_answer() {
    let Some(vectors) = support::vectors() else { return };
    let cases: Vec<Case> = serde_json::from_str(include_str!("evidence.json")).unwrap();
    for case in cases {
        let words = case.words(&vectors);
        let run = sealwright(&words);
        let what = words.join(" ");
        assert_eq!(run.code, case.exit, "{what}\n{}{}", run.stdout, run.stderr);
        let printed: Value = serde_json::from_str(&run.stdout).unwrap();
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
    let cases: Vec<Case> = serde_json::from_str(include_str!("evidence.json")).unwrap();
    let mut kinds = BTreeSet::new();
    for case in cases.iter().filter(|case| case.exit == 0) {
        let verified = sealwright(&case.words(&vectors)).json();
        let run = sealwright(&["inspect", "--json", vectors.join(&case.evidence).to_str().unwrap()]);
        assert_eq!(run.code, 0, "{}: {}", case.evidence, run.stderr);
        let inspected = run.json();
        // Whoever verifies it must have found the same bytes.
        let report_data = verified["facts"]["report_data"].as_str().unwrap();
        assert!(inspected["fields"].to_string().contains(report_data), "{}: {report_data}\n{inspected}", case.evidence);
        kinds.insert(inspected["kind"].as_str().unwrap().to_owned());
    }
    assert!(kinds.len() >= 7, "{kinds:?}");
}

#[test]
fn inspect_reads_what_comes_beside_evidence() {
    let Some(vectors) = support::vectors() else { return };
    for (file, kind, pointer, wanted) in [
        ("snp/sev/vcek_milan.der", "certificate", "/vek_extensions/product_name", "Milan-B0"),
        ("csv/csv-rs/hsk_cek.cert", "Hygon CSV certificates (HSK and CEK)", "/cek/key_usage", "CEK"),
        ("csv/csv-rs/hrk.cert", "Hygon CSV CA certificate (HRK or HSK)", "/key_usage", "HRK"),
        ("csv/csv-rs/hsk.cert", "Hygon CSV CA certificate (HRK or HSK)", "/key_usage", "HSK"),
        ("vtpm/az-snp-vtpm/hcl-report.bin", "report of Azure's paravisor (HCL)", "/report_type", "snp"),
        ("vtpm/az-tdx-vtpm/hcl-report.bin", "report of Azure's paravisor (HCL)", "/report_type", "tdx"),
        (
            "tpm-quote/trustee/tpm_evidence.json",
            "TPM evidence",
            "/quote/qualified_signer",
            "000b3081a4cbbe307f3de1456f9875a3c2632528a70d91fcf578ccf092465e4e8e09",
        ),
        ("eventlog/tpm/keylime/mb_log.b64", "TCG2 event log, sha256, in base64", "/padding", "None"),
    ] {
        let run = sealwright(&["inspect", "--json", vectors.join(file).to_str().unwrap()]);
        assert_eq!(run.code, 0, "{file}: {}", run.stderr);
        let inspected = run.json();
        assert_eq!(inspected["kind"], kind, "{file}");
        assert_eq!(inspected["fields"].pointer(pointer), Some(&Value::from(wanted)), "{file}: {inspected}");
    }
}

/// What is no evidence is not asked for collateral.
#[test]
fn what_is_of_no_kind_is_a_no_that_says_so() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for bytes in [&b""[..], b"root:x:0:0", br#"{"a": 1}"#, &[0; 64]] {
        std::fs::write(file.path(), bytes).unwrap();
        let run = sealwright(&["verify", "--json", file.path().to_str().unwrap()]);
        assert_eq!((run.code, &run.json()["reason"]["code"]), (1, &"malformed-evidence".into()), "{bytes:?}");
    }
}

/// Chains as vendors' services and clouds write them: nothing signs what stands around the certificates.
#[test]
fn a_chain_may_have_empty_lines_around_its_certificates() {
    let Some(vectors) = support::vectors() else { return };
    let path = |name: &str| vectors.join(name).to_str().unwrap().to_owned();
    let evidence = path("vtpm/az-snp-vtpm/evidence-v1.json");
    let words = ["verify", &evidence, "--at", "1750414560", "--without-crl", "--collateral"];
    // A VCEK and its chain, with an empty line between.
    let run = sealwright(&[&words[..], &[&path("vtpm/az-snp-vtpm/vcek.pem")]].concat());
    assert!(!run.stderr.contains("is no collateral"), "{}", run.stderr);
    let run = sealwright(&[&words[..], &[&path("snp/go-sev-guest/ask_ark_turin_vlek.pem")]].concat());
    assert!(!run.stderr.contains("is no collateral"), "{}", run.stderr);
}

#[test]
fn evidence_that_lacks_what_it_needs_is_usage_and_says_what() {
    let Some(vectors) = support::vectors() else { return };
    for (evidence, wanted) in [
        ("quote/tdx/dcap-qvl-tdx-quote/tdx_quote", "--collateral"),
        ("csv/csv-rs/report.cert", "HSK and CEK"),
        ("ratls/gramine-cert.pem", "an RA-TLS certificate needs Intel's collateral"),
        ("ratls/intel-sgxsdk-cert.pem", "--collateral"),
        ("tpm-quote/swtpm/q.msg", "--signature"),
        ("nvidia/hopperAttestationReport.txt", "certificate chain"),
    ] {
        let run = sealwright(&["verify", vectors.join(evidence).to_str().unwrap()]);
        assert_eq!(run.code, 2, "{evidence}: {}", run.stderr);
        assert!(run.stderr.contains(wanted), "{evidence}: {}", run.stderr);
    }
}

#[test]
fn what_would_not_be_looked_at_is_refused() {
    let Some(vectors) = support::vectors() else { return };
    let path = |file: &str| vectors.join(file).to_str().unwrap().to_owned();
    let (log, tdx) = (path("eventlog/ccel/trustee/CCEL_data"), path("quote/tdx/dcap-qvl-tdx-quote/tdx_quote"));
    let bundle = path("quote/tdx/dcap-qvl-tdx-quote/collateral.json");
    let nitro = path("appraise/nitro/aws.bin");
    for words in [[&nitro, "--event-log", &log], [&nitro, "--ima", &log]] {
        let run = sealwright(&[["verify"].as_slice(), &words].concat());
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(run.stderr.contains(words[1]), "{}", run.stderr);
    }
    let run = sealwright(&["verify", &tdx, "--collateral", &bundle, "--collateral", &bundle]);
    assert_eq!(run.code, 3, "{}", run.stdout);
    assert!(run.stderr.contains("a second one"), "{}", run.stderr);
}
