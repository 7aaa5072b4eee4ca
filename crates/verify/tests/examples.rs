//! The examples, run as their first lines say, on real evidence.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

/// An example, its arguments (files of the vectors, but for the time), and what it prints of them.
struct Case {
    example: &'static str,
    at: &'static str,
    files: &'static [&'static str],
    printed: &'static [&'static str],
}

/// The chain that AMD's service has for Milan, which the vectors have in two files.
const CHAIN: &str = "milan.pem";

const CASES: [Case; 9] = [
    Case {
        example: "intel",
        at: "1750414560",
        files: &["quote/tdx/dcap-qvl-tdx-quote/tdx_quote", "quote/tdx/dcap-qvl-tdx-quote/collateral.json"],
        printed: &["tdx UpToDate", "mrtd=", "debug=Some(false)"],
    },
    Case {
        example: "intel",
        at: "1750414560",
        files: &["quote/sgx/dcap-qvl-sgx-quote/sgx_quote", "quote/sgx/dcap-qvl-sgx-quote/collateral.json"],
        printed: &["sgx ConfigurationAndSWHardeningNeeded", "INTEL-SA-", "mr_enclave="],
    },
    Case {
        example: "snp",
        at: "1750414560",
        files: &["snp/trustee/test-report.bin", "snp/trustee/test-vcek.der", CHAIN],
        printed: &["Milan under a VCEK", "measurement="],
    },
    Case {
        example: "csv",
        at: "1750414560",
        files: &["csv/csv-rs/report.cert", "csv/csv-rs/hsk_cek.cert"],
        printed: &["chip ", "measure="],
    },
    Case {
        example: "tpm",
        at: "1750414560",
        files: &["tpm-quote/swtpm/q.msg", "tpm-quote/swtpm/q.sig", "tpm-quote/swtpm/q.pcrs", "tpm-quote/swtpm/ak.pem"],
        printed: &["qualifying data 00112233445566778899aabbccddeeff"],
    },
    Case {
        example: "az_vtpm",
        at: "1750414560",
        files: &["vtpm/az-snp-vtpm/evidence-v1.json", CHAIN],
        printed: &["az-snp-vtpm under amd-ark-milan"],
    },
    Case {
        example: "nitro",
        at: "1734075478",
        files: &["appraise/nitro/aws.bin"],
        printed: &["debug=Some(false)", "pcr0="],
    },
    Case {
        example: "cca",
        at: "1750414560",
        files: &["cca/cca-example-token.cbor", "cca/tastore.json"],
        printed: &["realm initial measurement "],
    },
    Case {
        example: "nvidia",
        at: "1750414560",
        files: &["nvidia/hopperAttestationReport.txt", "nvidia/hopper_cert_chain_case1.txt"],
        printed: &["driver ", " measurements"],
    },
];

fn chain(folder: &Path) -> PathBuf {
    let of = |name: &str| std::fs::read_to_string(folder.join("snp/sev/roots/milan").join(name)).unwrap();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(CHAIN);
    std::fs::write(&path, format!("{}{}", of("ask.pem"), of("ark.pem"))).unwrap();
    path
}

fn run(case: &Case, folder: &Path) -> String {
    let path = |file: &&str| if *file == CHAIN { chain(folder) } else { folder.join(file) };
    let output = Command::new(env!("CARGO"))
        .args([
            "run",
            "--quiet",
            "--locked",
            "--package",
            env!("CARGO_PKG_NAME"),
            "--example",
            case.example,
            "--",
            case.at,
        ])
        .args(case.files.iter().map(path))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}: {}", case.example, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn each_example_verifies_real_evidence_of_its_kind() {
    let Some(folder) = support::vectors() else { return };
    for case in &CASES {
        let printed = run(case, &folder);
        for words in case.printed {
            assert!(printed.contains(words), "{}: {words} is not in {printed}", case.example);
        }
    }
}
