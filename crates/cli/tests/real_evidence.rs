//! `inspect`, `verify` and `eventlog` on evidence that real machines made.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

mod program;

use program::{sealwright, unread};
use serde_json::Value;
use std::path::{Path, PathBuf};

#[test]
fn inspect_prints_the_registers_of_a_real_td() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("eventlog/ccel/evidence-api");
    let expected: Value = serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let json = sealwright(&["inspect", "--json", folder.join("quote.bin").to_str().unwrap()]).json();
    for register in ["mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3"] {
        assert_eq!(json["fields"]["body"][register], expected["quote.bin"][register], "{register}");
    }
}

#[test]
fn inspect_prints_the_attributes_of_a_debug_td_as_trustee_does() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("quote/tdx/trustee-tdx-quote-4");
    let expected = std::fs::read(folder.join("parse_tdx_claims_expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let json = sealwright(&["inspect", "--json", folder.join("tdx_quote_4.dat").to_str().unwrap()]).json();
    let ours = &json["fields"]["body"]["attribute_bits"];
    let theirs = expected["td_attributes"].as_object().unwrap();
    assert_eq!(theirs.len(), 5);
    for (name, bit) in theirs {
        let name = match name.as_str() {
            "key_locker" => "kl",
            "protection_keys" => "pks",
            "septve_disable" => "sept_ve_disable",
            other => other,
        };
        assert_eq!(&ours[name], bit, "{name}");
    }
}

/// Arguments that verify one of the accepted real quotes, and what is right for it.
struct Case {
    quote: PathBuf,
    collateral: PathBuf,
    now: u64,
    status: String,
    advisories: Value,
}

fn accepted_cases() -> Vec<Case> {
    let Some(vectors) = support::vectors() else { return Vec::new() };
    let expected: Value = serde_json::from_slice(&std::fs::read(vectors.join("quote/expected.json")).unwrap()).unwrap();
    [("sgx/dcap-qvl-sgx-quote", "sgx_quote"), ("tdx/dcap-qvl-tdx-quote", "tdx_quote")]
        .map(|(folder, quote)| Case {
            quote: vectors.join("quote").join(folder).join(quote),
            collateral: vectors.join("quote").join(folder).join("collateral.json"),
            now: expected[folder]["now"].as_u64().unwrap(),
            status: expected[folder]["status"].as_str().unwrap().to_owned(),
            advisories: expected[folder]["advisories"].clone(),
        })
        .into()
}

impl Case {
    fn verify(&self, quote: &Path, at: u64, more: &[&str]) -> program::Run {
        let at = at.to_string();
        let mut args = vec![
            "verify",
            "--json",
            quote.to_str().unwrap(),
            "--collateral",
            self.collateral.to_str().unwrap(),
            "--at",
            &at,
        ];
        args.extend(more);
        sealwright(&args)
    }
}

#[test]
fn verify_accepts_the_intel_signed_quotes_with_their_status_and_advisories() {
    for case in accepted_cases() {
        let run = case.verify(&case.quote, case.now, &[]);
        assert_eq!(run.code, 0, "{}", run.stdout);
        let tcb = &run.json()["facts"]["tcb"];
        assert_eq!((&tcb["status"], &tcb["advisories"]), (&Value::from(case.status.as_str()), &case.advisories));
    }
}

#[test]
fn verify_require_is_stricter() {
    for case in accepted_cases() {
        let up_to_date = case.status == "UpToDate";
        let run = case.verify(&case.quote, case.now, &["--require", "UpToDate"]);
        assert_eq!(run.code, i32::from(!up_to_date), "{}", run.stdout);
        assert_eq!(run.json()["genuine"], true);
        assert_eq!(case.verify(&case.quote, case.now, &["--require", &case.status]).code, 0);
    }
}

#[test]
fn verify_refuses_outside_the_window_under_another_root_and_with_a_flipped_byte_and_says_why() {
    let Some(vectors) = support::vectors() else { return };
    let other_root = vectors.join("quote/tdx/simulated/root.der");
    for case in accepted_cases() {
        let reason = |run: &program::Run| {
            assert_eq!(run.code, 1, "{}", run.stdout);
            run.json()["reason"]["code"].as_str().unwrap().to_owned()
        };
        let year = 366 * 86_400;
        assert_eq!(reason(&case.verify(&case.quote, case.now + year, &[])), "collateral-expired");
        assert_eq!(reason(&case.verify(&case.quote, case.now - year, &[])), "collateral-not-yet-valid");
        let anchor = ["--anchor", other_root.to_str().unwrap()];
        assert_eq!(reason(&case.verify(&case.quote, case.now, &anchor)), "untrusted-root");

        let mut bytes = std::fs::read(&case.quote).unwrap();
        bytes[60] ^= 1;
        let flipped = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(flipped.path(), bytes).unwrap();
        assert_eq!(reason(&case.verify(flipped.path(), case.now, &[])), "quote-signature");
    }
}

#[test]
fn two_roots_of_one_name_are_told_apart_by_their_keys() {
    let Some(vectors) = support::vectors() else { return };
    let path = |name: &str| vectors.join(name).to_str().unwrap().to_owned();
    // A quote of a platform that was never sold, whose root has the name of the one that was.
    let quote = path("eventlog/ccel/evidence-api/quote.bin");
    let collateral = path("quote/tdx/dcap-qvl-tdx-quote/collateral.json");
    let run = sealwright(&["verify", "--json", &quote, "--collateral", &collateral, "--at", "1750414560"]);
    let reason = run.json()["reason"].clone();
    assert_eq!((run.code, &reason["code"]), (1, &"untrusted-root".into()), "{reason}");
    let [expected, actual] = ["expected", "actual"].map(|member| reason[member].as_str().unwrap());
    let key = |text: &str| text.split_once(" with key SHA-256 ").unwrap().1.to_owned();
    assert!(expected.starts_with("intel-sgx-root with key") && actual.contains("CN=Intel SGX Root CA"), "{reason}");
    assert_ne!(key(expected), key(actual));
    assert!(key(expected).len() == 64 && key(actual).len() == 64, "{reason}");
}

#[test]
fn verify_says_that_a_simulated_quote_is_simulated_only_when_its_root_says_so() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("quote/tdx/simulated");
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (collateral, root) = (path("col.json"), path("root.der"));
    for quote in ["q4", "q5"] {
        let quote = path(quote);
        let args = ["verify", "--json", &quote, "--collateral", &collateral, "--at", "1795132800"];
        assert_eq!(sealwright(&args).json()["reason"]["code"], "untrusted-root");
        let with_root = sealwright(&[args.as_slice(), &["--anchor", &root]].concat());
        assert_eq!(with_root.code, 0, "{}", with_root.stdout);
        assert_eq!(with_root.json()["facts"]["tcb"]["status"], "UpToDate");
    }
}

#[test]
fn a_verdict_that_nobody_reads_keeps_its_exit_code() {
    for case in accepted_cases() {
        let (quote, collateral) = (case.quote.to_str().unwrap(), case.collateral.to_str().unwrap());
        for (at, code) in [(case.now, 0), (case.now + 366 * 86_400, 1)] {
            let at = at.to_string();
            let args = ["verify", quote, "--collateral", collateral, "--at", &at];
            assert_eq!(unread(&args), (code, String::new()));
            assert_eq!(unread(&[args.as_slice(), &["--json"]].concat()), (code, String::new()));
        }
    }
}

#[test]
fn eventlog_show_names_the_register_beside_every_index() {
    let Some(vectors) = support::vectors() else { return };
    let log = vectors.join("eventlog/ccel/evidence-api/ccel_data.bin");
    let events = sealwright(&["eventlog", "show", "--json", log.to_str().unwrap()]).json()["events"].clone();
    for event in events.as_array().unwrap() {
        let name = match event["mr_index"].as_u64().unwrap() {
            0 => "mrtd".to_owned(),
            index => format!("rtmr{}", index - 1),
        };
        assert_eq!(event["register"], name);
    }
}

#[test]
fn eventlog_replay_gives_exactly_the_registers_of_that_tds_quote() {
    let Some(vectors) = support::vectors() else { return };
    let path = |name: &str| vectors.join("eventlog/ccel/evidence-api").join(name).to_str().unwrap().to_owned();
    let (log, ima, quote) = (path("ccel_data.bin"), path("ima_log.bin"), path("quote.bin"));
    let expected: Value = serde_json::from_slice(&std::fs::read(path("expected.json")).unwrap()).unwrap();

    let run = sealwright(&["eventlog", "replay", "--json", &log, "--ima", &ima]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let registers = run.json()["registers"].as_array().unwrap().clone();
    assert_eq!(registers.len(), 3, "{registers:?}");
    for register in registers {
        let name = register["register"].as_str().unwrap();
        assert_eq!(register["value"], expected["quote.bin"][name], "{name}");
    }
    assert_eq!(sealwright(&["eventlog", "replay", &log, "--ima", &ima, "--quote", &quote]).code, 0);

    let without_ima = sealwright(&["eventlog", "replay", "--json", &log, "--quote", &quote]);
    assert_eq!(without_ima.code, 1, "RTMR2 holds one line of IMA");
    assert_eq!(without_ima.json()["differing"][0]["register"], "rtmr2");
}
