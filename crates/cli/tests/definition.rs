//! What follows from the command line's one definition: version, completions, man pages, exit codes.

mod program;

use program::{sealwright, unread};

#[test]
fn version_is_that_of_the_package() {
    let run = sealwright(&["--version"]);
    assert_eq!((run.code, run.stdout.trim()), (0, concat!("sealwright ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn completions_know_the_verbs() {
    for shell in ["bash", "zsh", "fish"] {
        let run = sealwright(&["completions", shell]);
        assert_eq!(run.code, 0);
        for verb in ["demo", "inspect", "eventlog", "receipt"] {
            assert!(run.stdout.contains(verb), "{shell} does not know {verb}");
        }
    }
}

#[test]
fn man_pages_are_written_for_every_verb() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(sealwright(&["man", dir.path().to_str().unwrap()]).code, 0);
    for page in ["sealwright.1", "sealwright-demo.1", "sealwright-broker-secret-put.1", "sealwright-receipt-verify.1"] {
        let text = std::fs::read_to_string(dir.path().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.starts_with(".ie") && text.contains(".SH"), "{page}");
    }
}

#[test]
fn help_lists_only_verbs_whose_capability_exists() {
    let verbs = [
        "demo",
        "inspect",
        "verify",
        "eventlog",
        "predict",
        "attest",
        "measure",
        "collateral",
        "broker",
        "seal",
        "unseal",
        "serve",
        "query",
        "receipt",
        "sim",
        "doctor",
        "completions",
        "man",
        "help",
    ];
    let help = sealwright(&["--help"]).stdout;
    let listed: Vec<_> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            line.split_whitespace().next().filter(|_| line.starts_with("  ") && !line.starts_with("   "))
        })
        .collect();
    assert_eq!(listed, verbs);
}

#[test]
fn exit_codes_tell_usage_from_failure() {
    assert_eq!(sealwright(&["verify"]).code, 2, "usage");
    assert_eq!(sealwright(&["no-such-verb"]).code, 2, "usage");
    let missing = sealwright(&["inspect", "/no/such/file"]);
    assert_eq!(missing.code, 3, "the work could not be done");
    assert!(missing.stderr.contains("/no/such/file"), "{}", missing.stderr);
}

#[test]
fn nonsense_on_the_command_line_is_usage() {
    let predict = ["predict", "tdx", "--firmware", "f", "--kernel", "k"];
    let profiles = ["--ram", "2G", "--vmm", "qemu-9", "--firmware-profile", "ovmf-2022.11"];
    let with = |place: usize, nonsense: &'static str| {
        let mut profiles = profiles;
        profiles[place] = nonsense;
        [predict.as_slice(), &profiles].concat()
    };
    let seal = ["seal", "m", "-o", "s", "--key-out", "k"];
    let trust = ["receipt", "verify", "r", "--evidence", "e", "--collateral", "c"];
    for args in [
        vec!["verify", "quote", "--collateral", "c", "--require", "Foo"],
        // A quote of a revoked platform proves nothing: nobody can ask for a yes to it.
        vec!["verify", "quote", "--collateral", "c", "--require", "Revoked"],
        [trust.as_slice(), &["--accept-status", "Revoked"]].concat(),
        [trust.as_slice(), &["--accept-status", "Foo"]].concat(),
        [trust.as_slice(), &["--policy", "sha384:123"]].concat(),
        [seal.as_slice(), &["--name", "n", "--key-uri", "foo"]].concat(),
        [seal.as_slice(), &["--name", "a b", "--key-uri", "kbs:///a/b/c"]].concat(),
        [seal.as_slice(), &["--name", "n", "--key-uri", "kbs:///a/b/c", "--model-version", "9007199254740992"]]
            .concat(),
        // The proxy's clients know nothing of attestation: nobody else may be one.
        vec!["query", "127.0.0.1:1", "--collateral", "c", "--model-file", "m", "--listen", "0.0.0.0:8099"],
        vec!["query", "127.0.0.1:1", "--collateral", "c", "--model-file", "m", "--listen", "[::]:8099"],
        vec!["query", "127.0.0.1", "--collateral", "c", "--model-file", "m", "--samples", "s"],
        vec!["query", "::1:80", "--collateral", "c", "--model-file", "m", "--samples", "s"],
        vec!["broker", "init", "b", "--listen", "localhost"],
        vec!["broker", "serve", "b", "--listen", "localhost:http"],
        vec!["measure", "--backend", "bogus"],
        vec!["attest", "--backend", "sim:"],
        vec!["attest", "--report-data", "zz"],
        vec!["broker", "secret", "get", "not-a-path", "--broker", "b"],
        vec!["broker", "secret", "put", "../b/c", "f", "--broker", "b"],
        vec!["broker", "secret", "delete", "a/b/c/d", "--broker", "b"],
        vec!["broker", "reference", "set", "a/b", "f", "--broker", "b"],
        vec!["broker", "reference", "delete", ".hidden", "--broker", "b"],
        vec!["broker", "policy", "set", "resource", "f", "--repository", "a/b", "--broker", "b"],
        vec!["broker", "policy", "reset", "resource", "--repository", "", "--broker", "b"],
        vec!["broker", "audit", "--broker", "b", "--url", "http://plain"],
        vec!["serve", "s", "--broker", "nowhere", "--broker-ca", "ca"],
        with(1, "many"),
        with(3, "qemu-0"),
        with(5, "unknown"),
        [with(1, "2G").as_slice(), &["--secure-boot", "maybe"]].concat(),
    ] {
        let run = sealwright(&args);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains("invalid value"), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn a_name_that_nobody_knows_could_not_be_looked_up() {
    let dir = tempfile::tempdir().unwrap();
    let broker = dir.path().join("broker");
    let run = sealwright(&["broker", "init", broker.to_str().unwrap(), "--listen", "nobody.invalid:1"]);
    assert_eq!(run.code, 3, "{}", run.stdout);
    assert!(run.stderr.contains("cannot look up nobody.invalid:1"), "{}", run.stderr);
    assert!(!broker.exists());
}

#[test]
fn the_profiles_that_can_be_predicted_are_listed() {
    let help = sealwright(&["predict", "tdx", "--help"]).stdout;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for profiles in ["qemu-8, qemu-9, qemu-10.1, sealwright-sim-1", "ovmf-2022.11, ovmf-2024.11, sealwright-sim-1"] {
        assert!(help.contains(&format!("[possible values: {profiles}]")), "{help}");
    }
}

#[test]
fn files_that_are_there_are_not_replaced_unless_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let generate = |more: &[&str]| sealwright(&[&["sim", "files", &path("td")], more].concat());
    assert_eq!(generate(&[]).code, 0);
    let kernel = std::fs::read(path("td/kernel.efi")).unwrap();
    let run = generate(&["--seed", "another"]);
    assert_eq!(run.code, 3, "{}", run.stdout);
    assert!(run.stderr.contains("firmware.fd is there already; --force replaces it"), "{}", run.stderr);
    assert_eq!(std::fs::read(path("td/kernel.efi")).unwrap(), kernel);
    assert_eq!(generate(&["--seed", "another", "--force"]).code, 0);
    assert_ne!(std::fs::read(path("td/kernel.efi")).unwrap(), kernel);

    let (firmware, kernel, output) = (path("td/firmware.fd"), path("td/kernel.efi"), path("reference.json"));
    let files = ["predict", "tdx", "--firmware", &firmware, "--kernel", &kernel, "-o", &output];
    let profiles = ["--ram", "2G", "--vmm", "sealwright-sim-1", "--firmware-profile", "sealwright-sim-1"];
    let predict = |more: &[&str]| sealwright(&[files.as_slice(), &profiles, more].concat());
    assert_eq!(predict(&[]).code, 0);
    std::fs::write(&output, "reviewed").unwrap();
    let run = predict(&[]);
    assert_eq!(run.code, 3, "{}", run.stdout);
    assert!(run.stderr.contains(&format!("cannot create {output}")), "{}", run.stderr);
    assert_eq!(std::fs::read(&output).unwrap(), b"reviewed");
    assert_eq!(predict(&["--force"]).code, 0);
    assert_ne!(std::fs::read(&output).unwrap(), b"reviewed");
}

#[test]
fn what_could_not_be_done_is_a_json_document_too() {
    let run = sealwright(&["inspect", "--json", "/no/such/file"]);
    assert_eq!(run.code, 3);
    assert!(run.json()["error"].as_str().unwrap().contains("/no/such/file"));
    let file = tempfile::NamedTempFile::new().unwrap();
    // How a quote begins.
    std::fs::write(file.path(), [4, 0, 2, 0]).unwrap();
    let path = file.path().to_str().unwrap();
    let run = sealwright(&["verify", "--json", path, "--collateral", path]);
    assert_eq!(run.code, 3);
    assert!(run.json()["error"].as_str().unwrap().contains("is no collateral"));
}

#[test]
fn the_cause_of_a_failure_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (nowhere, sim) = (path("nowhere"), format!("sim:{}", path("nobody.sock")));
    for args in [
        vec!["inspect", &nowhere],
        vec!["measure", "--backend", &sim],
        vec!["sim", "tcb", dir.path().to_str().unwrap(), "--downgrade"],
        vec!["broker", "serve", &nowhere],
        vec!["broker", "audit", "--verify", &nowhere],
        vec!["receipt", "verify", &nowhere, "--evidence", &nowhere, "--collateral", &nowhere],
    ] {
        let run = sealwright(&args);
        assert_eq!(run.code, 3, "{args:?}: {}", run.stdout);
        assert_eq!(run.stderr.matches("No such file or directory").count(), 1, "{args:?}: {}", run.stderr);
    }
}

#[test]
fn completions_and_man_pages_take_json() {
    let run = sealwright(&["completions", "bash", "--json"]);
    assert_eq!(run.json()["shell"], "bash");
    assert!(run.json()["script"].as_str().unwrap().contains("_sealwright"));
    let dir = tempfile::tempdir().unwrap();
    let run = sealwright(&["man", dir.path().to_str().unwrap(), "--json"]);
    assert_eq!(run.json()["man_pages"], dir.path().to_str().unwrap());
}

#[test]
fn an_output_that_nobody_reads_is_no_failure() {
    for args in [vec!["completions", "bash"], vec!["completions", "zsh", "--json"], vec!["doctor"], vec!["--version"]] {
        assert_eq!(unread(&args), (0, String::new()), "{args:?}");
    }
    let (code, stderr) = unread(&["inspect", "--json", "/no/such/file"]);
    assert_eq!(code, 3);
    assert!(stderr.contains("/no/such/file"), "{stderr}");
}

#[test]
fn an_output_that_cannot_be_written_is_a_failure() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let run = program::command().args(["completions", "bash"]).stdout(full).output().unwrap();
    assert_eq!(run.status.code(), Some(3));
}

#[test]
fn doctor_says_what_is_there_and_what_to_do_about_the_rest() {
    let run = sealwright(&["doctor", "--json"]);
    assert_eq!(run.code, 0);
    let findings = run.json()["findings"].as_array().unwrap().clone();
    assert!(findings.len() > 10);
    assert!(
        findings.iter().all(|finding| finding["present"] == true || !finding["remedy"].as_str().unwrap().is_empty())
    );
}

#[test]
fn attest_without_a_tee_says_so_instead_of_inventing_one() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = format!("sim:{}", dir.path().join("nobody.sock").display());
    let run = sealwright(&["attest", "--backend", &nowhere]);
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("no simulated trust domain"), "{}", run.stderr);
}

#[test]
fn what_is_no_receipt_is_a_no() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("receipt.jws");
    std::fs::write(&file, "not a receipt").unwrap();
    let (file, dir) = (file.to_str().unwrap(), dir.path().to_str().unwrap());
    let run = sealwright(&["receipt", "verify", file, "--evidence", file, "--collateral", dir, "--json"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert_eq!(run.json()["explanation"]["checks"][0]["code"], "receipt-malformed");
}
