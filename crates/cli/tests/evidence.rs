//! `sealwright verify` and `inspect` on public evidence beyond what `vectors.rs` asks of every file.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

mod program;

use program::sealwright;
use sealwright_evidence::Backend;
use sealwright_sim::{Site, TdConfig, files, fixed_clock};
use sealwright_verify::TcbStatus;
use sealwright_wire::{Tee, time::UnixTime};
use serde_json::Value;

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
        assert_eq!((run.code, &run.json()["reason"]["code"]), (1, &"not-evidence".into()), "{bytes:?}");
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
        ("vtpm/az-snp-vtpm/quote.bin", "--anchor KEY"),
        ("vtpm/az-tdx-vtpm/tpm-quote-v1.json", "--anchor KEY"),
        ("appraise/quotes-sgx-held-data/intel-sdk-release.json", "needs Intel's collateral"),
        ("nvidia/hopperAttestationReport.txt", "certificate chain"),
    ] {
        let run = sealwright(&["verify", vectors.join(evidence).to_str().unwrap()]);
        assert_eq!(run.code, 2, "{evidence}: {}", run.stderr);
        assert!(run.stderr.contains(wanted), "{evidence}: {}", run.stderr);
    }
}

/// As Intel's service hands it out, answer by answer.
#[test]
fn a_part_that_intel_s_collateral_lacks_is_named() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("quote/sgx/intel-qvl");
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let parts = [
        ("tcbInfo.json", "TCB info"),
        ("qeIdentity.json", "the QE identity"),
        ("tcbSignChain.pem", "the certificate of the TCB info's signer"),
        ("pckSignChain.pem", "the certificate of the PCK CA"),
        ("rootCaCrl.der", "the root CA's revocation list"),
        ("intermediateCaCrl.der", "the PCK CA's revocation list"),
    ];
    for (missing, name) in parts {
        let others = parts.iter().filter(|(part, _)| *part != missing);
        let mut words = vec!["verify".to_owned(), path("quote.dat"), "--at".to_owned(), "1750414560".to_owned()];
        words.extend(others.flat_map(|(part, _)| ["--collateral".to_owned(), path(part)]));
        let run = sealwright(&words);
        assert_eq!(run.code, 2, "{missing}: {}", run.stdout);
        assert!(run.stderr.contains(&format!("needs {name} among Intel's collateral")), "{missing}: {}", run.stderr);
    }
    let bundle = vectors.join("quote/sgx/dcap-qvl-sgx-quote/collateral.json");
    let bundle = bundle.to_str().unwrap();
    for (first, second) in [(path("tcbInfo.json"), bundle), (bundle.to_owned(), &path("qeIdentity.json"))] {
        let run = sealwright(&["verify", &path("quote.dat"), "--collateral", &first, "--collateral", second]);
        assert_eq!(run.code, 3, "{}", run.stdout);
        assert!(run.stderr.contains("a second one"), "{}", run.stderr);
    }
}

/// A TPM has no bit that says whether its machine is under debug, so that nothing is said of it.
#[test]
fn a_verdict_tells_of_debugging_where_its_evidence_does() {
    let Some(vectors) = support::vectors() else { return };
    let path = |file: &str| vectors.join(file).to_str().unwrap().to_owned();
    let (message, signature) = (path("tpm-quote/swtpm/q.msg"), path("tpm-quote/swtpm/q.sig"));
    let (pcrs, key) = (path("tpm-quote/swtpm/q.pcrs"), path("tpm-quote/swtpm/ak.pem"));
    let tpm = ["verify", &message, "--signature", &signature, "--pcrs", &pcrs, "--anchor", &key];
    let nitro = ["verify", &path("appraise/nitro/aws.bin"), "--at", "1734075478"];
    for (words, tells) in [(&tpm[..], false), (&nitro[..], true)] {
        let run = sealwright(words);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert_eq!(run.stdout.lines().any(|line| line.starts_with("debug ")), tells, "{}", run.stdout);
    }
}

/// What stands beside a quote is held against it before anything is asked of its platform.
#[test]
fn data_that_an_enclave_did_not_hold_is_refused() {
    let Some(vectors) = support::vectors() else { return };
    let file = tempfile::NamedTempFile::new().unwrap();
    let original = std::fs::read(vectors.join("appraise/quotes-sgx-held-data/intel-sdk-release.json")).unwrap();
    for (member, value, code) in [
        ("EnclaveHeldDataHex", Value::from("010203040507"), "held-data-mismatch"),
        ("MrEnclaveHex", "00".repeat(32).into(), "stated-of-another-quote"),
        ("MrSignerHex", "00".repeat(32).into(), "stated-of-another-quote"),
        ("ProductIdHex", "0100000000000001".repeat(2).into(), "stated-of-another-quote"),
        ("SecurityVersion", 0x1_0001_u64.into(), "stated-of-another-quote"),
    ] {
        let mut document: Value = serde_json::from_slice(&original).unwrap();
        document[member] = value;
        std::fs::write(file.path(), document.to_string()).unwrap();
        let run = sealwright(&["verify", "--json", file.path().to_str().unwrap()]);
        assert_eq!((run.code, &run.json()["reason"]["code"]), (1, &code.into()), "{member}");
    }
}

/// A certificate out of a set of keys, as `jq` writes it; the set is of other keys, too, for which no quote vouches.
#[test]
fn a_key_of_azure_s_attestation_service_is_judged_by_its_quote() {
    let Some(vectors) = support::vectors() else { return };
    let keys = vectors.join("appraise/tokens/maa/certs-2020.json");
    let run = sealwright(&["inspect", "--json", keys.to_str().unwrap()]);
    let quote = "/fields/keys/0/x5c/0/legacy_evidence/body/report_data";
    let report_data = format!("{:0<128}", "2901401eb935c402ca1c10f86f8bbb4c2bc2275330d0c95865efabc5d78f3ad8");
    assert_eq!(run.json().pointer(quote), Some(&Value::from(report_data)), "{}", run.stdout);
    let run = sealwright(&["verify", "--json", keys.to_str().unwrap()]);
    assert_eq!((run.code, &run.json()["reason"]["code"]), (1, &"not-evidence".into()));

    let keys: Value = serde_json::from_slice(&std::fs::read(keys).unwrap()).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    std::fs::write(file.path(), keys["keys"][0]["x5c"][0].as_str().unwrap()).unwrap();
    let collateral = vectors.join("quote/sgx/dcap-qvl-sgx-quote/collateral.json");
    let run =
        sealwright(&["verify", "--json", path, "--at", "1750416960", "--collateral", collateral.to_str().unwrap()]);
    assert_eq!((run.code, &run.json()["reason"]["code"]), (1, &"collateral-mismatch".into()), "{}", run.stdout);
    let run = sealwright(&["inspect", "--json", path]);
    assert_eq!(run.json()["kind"], "RA-TLS certificate", "{}", run.stdout);
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
    let qve = path("quote/sgx/intel-qvl/qveIdentity.json");
    let run = sealwright(&["verify", &path("quote/sgx/intel-qvl/quote.dat"), "--collateral", &qve]);
    assert_eq!(run.code, 3, "{}", run.stdout);
    assert!(run.stderr.contains("quote verification enclave (QvE)"), "{}", run.stderr);
}

/// What the vendor says of a platform, to the exit code.
#[test]
fn a_platform_at_every_status_is_accepted_or_not_as_the_page_says() {
    const NOW: UnixTime = UnixTime(1_795_132_800);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    // A relaunch is a verifier's own advice, see `sim/tests/verified.rs`.
    let advised = [TcbStatus::TDRelaunchAdvised, TcbStatus::TDRelaunchAdvisedConfigurationNeeded];
    for status in TcbStatus::ALL.into_iter().filter(|status| !advised.contains(status)) {
        let site = Site::found(fixed_clock(NOW)).unwrap();
        let td = site.boot(&TdConfig::new("td", files::generate("kernel"))).unwrap();
        site.rate(status).unwrap();
        std::fs::write(path("quote"), td.evidence(&[7; 64]).unwrap().quote).unwrap();
        std::fs::write(path("root.der"), site.root()).unwrap();
        std::fs::write(path("collateral.json"), site.collateral(Tee::Tdx).unwrap().to_json().unwrap()).unwrap();
        let (quote, root, collateral, at) =
            (path("quote"), path("root.der"), path("collateral.json"), NOW.0.to_string());
        let words = ["verify", "--json", &quote, "--anchor", &root, "--collateral", &collateral, "--at", &at];
        for (demand, accepted) in [
            (&[][..], status != TcbStatus::Revoked),
            (&["--require", "UpToDate"], status == TcbStatus::UpToDate),
            (&["--require", "OutOfDateConfigurationNeeded"], status != TcbStatus::Revoked),
        ] {
            let run = sealwright(&[&words[..], demand].concat());
            let printed = run.json();
            assert_eq!((run.code, &printed["genuine"]), (i32::from(!accepted), &true.into()), "{status} {demand:?}");
            assert_eq!(
                (&printed["facts"]["tcb"]["status"], &printed["simulated"]),
                (&status.name().into(), &true.into())
            );
        }
    }
}

/// As mail, tickets and JSON carry files: everything beside the evidence may be text, as the evidence may.
#[test]
fn files_beside_the_evidence_may_be_hex_or_base64_in_lines() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let Some(vectors) = support::vectors() else { return };
    let folder = tempfile::tempdir().unwrap();
    let in_lines =
        |text: String| text.as_bytes().chunks(60).map(|line| [line, b"\r\n"].concat()).collect::<Vec<_>>().concat();
    let boot = vectors.join("tpm-quote/qemu-swtpm/ng");
    for (name, form) in [("hex", hex::encode as fn(Vec<u8>) -> String), ("base64", |bytes| STANDARD.encode(bytes))] {
        let text = |path: &std::path::Path| {
            let written = folder.path().join(format!("{name}-{}", path.file_name().unwrap().to_str().unwrap()));
            std::fs::write(&written, in_lines(form(std::fs::read(path).unwrap()))).unwrap();
            written.to_str().unwrap().to_owned()
        };
        let [quote, signature, pcrs, log, ima] =
            ["quote.msg", "quote.sig", "quote.pcrs", "binary_bios_measurements", "ima_binary"]
                .map(|file| text(&boot.join(file)));
        let key = boot.join("ak.pub").to_str().unwrap().to_owned();
        let run = sealwright(&[
            "verify",
            "--json",
            &quote,
            "--at",
            "1750414560",
            "--anchor",
            &key,
            "--signature",
            &signature,
            "--pcrs",
            &pcrs,
            "--event-log",
            &log,
            "--ima",
            &ima,
        ]);
        assert_eq!(run.code, 0, "{name}: {}{}", run.stdout, run.stderr);
        assert_eq!(run.json()["facts"]["log"]["ima_lines"], 54);
        let report = text(&vectors.join("csv/csv-rs/report.cert"));
        let hsk_cek = text(&vectors.join("csv/csv-rs/hsk_cek.cert"));
        let run = sealwright(&["verify", &report, "--at", "1750414560", "--collateral", &hsk_cek]);
        assert_eq!(run.code, 0, "{name}: {}{}", run.stdout, run.stderr);
    }
}

/// The root of documents that somebody else than AWS signed stands in the documents themselves. It vouches for them where it is named, and for no other.
#[test]
fn a_nitro_document_is_believed_under_its_own_root_where_that_is_named() {
    let Some(vectors) = support::vectors() else { return };
    let path = |name: &str| vectors.join("appraise/nitro").join(name).to_str().unwrap().to_owned();
    let bytes = std::fs::read(path("custom-root.bin")).unwrap();
    let document = sealwright_wire::nitro::Document::parse(&bytes).unwrap();
    let root = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(root.path(), document.statement.cabundle[0]).unwrap();
    let (ours, aws) = (root.path().to_str().unwrap(), path("aws-root-g1.pem"));
    for (file, at, roots, expected) in [
        ("custom-root.bin", "1734080745", vec![ours], Ok("configured")),
        ("custom-root_pcr16.bin", "1746022043", vec![ours], Ok("configured")),
        ("aws.bin", "1734075478", vec![ours], Err("untrusted-root")),
        ("aws.bin", "1734075478", vec![ours, &aws], Ok("vendor")),
    ] {
        let anchors: Vec<_> = roots.into_iter().flat_map(|root| ["--anchor", root]).collect();
        let evidence = path(file);
        let run = sealwright(&[&["verify", "--json", &evidence, "--at", at], &anchors[..]].concat());
        let said = run.json();
        match expected {
            Ok(kind) => assert_eq!(said["facts"]["anchor"]["kind"], kind, "{file}: {said}"),
            Err(code) => assert_eq!(said["reason"]["code"], code, "{file}: {said}"),
        }
        assert_eq!(run.code == 0, expected.is_ok(), "{file}");
    }
}
