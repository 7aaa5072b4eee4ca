//! Models from sealing to receipts, by hand: a simulated site, a broker and servers, each the real program.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

mod program;

use program::{Run, Service, sealwright, service, service_logging_to, unread};
use rustix::process::{Pid, Signal, kill_process};
use sealwright_serving::samples::SampleSet;
use sha2::{Digest as _, Sha256};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

const KEY_URI: &str = "kbs:///default/model-key/digits";

fn solution(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../solutions/sealed-model");
    folder.join(name).to_str().unwrap().to_owned()
}

fn done(args: &[&str]) -> Run {
    let run = sealwright(args);
    assert_eq!(run.code, 0, "{args:?}: {}{}", run.stdout, run.stderr);
    run
}

/// A site with one machine, a broker that trusts it, and the machine's reference values.
struct Stage {
    dir: tempfile::TempDir,
    broker_url: String,
    _site: Service,
    broker: Option<Service>,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        done(&["sim", "files", &path("td")]);
        let (site, _) =
            service(&["sim", "boot", &path("site"), "--files", &path("td")], &dir.path().join("site.ready"));
        let root = path("site/root.der");
        done(&["broker", "init", &path("broker"), "--listen", "127.0.0.1:0", "--anchor", &root]);
        for folder in ["broker/collateral", "broker/references"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        std::fs::copy(path("site/collateral.json"), path("broker/collateral/site.json")).unwrap();
        predict(&path("td"), &path("broker/references/td.json"));
        let (broker, url) = service(&["broker", "serve", &path("broker")], &dir.path().join("broker.ready"));
        Self { broker_url: url, _site: site, broker: Some(broker), dir }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// Runs a verb of the broker's administrator.
    fn administrator(&self, args: &[&str]) -> Run {
        let broker = self.path("broker");
        sealwright(&[args, &["--broker", &broker, "--url", &self.broker_url]].concat())
    }

    fn seal(&self, model: &str, sealed: &str, version: &str) -> Run {
        let (sealed, uri) = (self.path(sealed), format!("{KEY_URI}{version}"));
        let seal = ["seal", model, "-o", &sealed, "--name", "digits", "--model-version", version, "--key-uri", &uri];
        self.administrator(&[seal.as_slice(), &["--json"]].concat())
    }

    fn backend(&self) -> String {
        format!("sim:{}", self.path("site/td.sock"))
    }

    /// What starts a server of these sealed files, in the site's machine.
    fn serving(&self, sealed: &[&str]) -> Vec<String> {
        let (ca, backend) = (self.path("broker/tls/ca.pem"), self.backend());
        let args = ["serve", "--broker", &self.broker_url, "--broker-ca", &ca, "--backend", &backend];
        let args = args.into_iter().chain(["--listen", "127.0.0.1:0"]).map(str::to_owned);
        args.chain(sealed.iter().map(|name| self.path(name))).collect()
    }

    fn serve(&self, sealed: &[&str]) -> (Service, String) {
        service(&self.serving(sealed), &self.dir.path().join("server.ready"))
    }

    /// Runs a verb of a client that trusts the site and names these sealed files.
    fn client(&self, args: &[&str], models: &[&str]) -> Run {
        let trust = self.trusting(models);
        let trust: Vec<_> = trust.iter().map(String::as_str).collect();
        sealwright(&[args, &["--json"], &trust].concat())
    }

    /// What a client trusts that trusts the site and names these sealed files.
    fn trusting(&self, models: &[&str]) -> Vec<String> {
        let named =
            [("--collateral", "site"), ("--anchor", "site/root.der"), ("--reference", "broker/references/td.json")];
        let models = models.iter().map(|name| ("--model-file", *name));
        named.into_iter().chain(models).flat_map(|(flag, name)| [flag.to_owned(), self.path(name)]).collect()
    }

    fn query(&self, server: &str, models: &[&str], more: &[&str]) -> Run {
        let samples = solution("samples.json");
        self.client(&[&["query", server, "--samples", &samples], more].concat(), models)
    }

    fn verify_receipt(&self, receipt: &str, models: &[&str], more: &[&str]) -> Run {
        let [jws, evidence] = ["receipt.jws", "evidence.json"].map(|name| self.path(&format!("{receipt}/{name}")));
        self.client(&[&["receipt", "verify", &jws, "--evidence", &evidence], more].concat(), models)
    }
}

/// Writes the reference values of a machine that boots from these files.
fn predict(td: &str, output: &str) {
    let file = |name: &str| format!("{td}/{name}");
    let cmdline = std::fs::read_to_string(file("cmdline")).unwrap();
    let (firmware, kernel, initrd) = (file("firmware.fd"), file("kernel.efi"), file("initrd.cpio"));
    let files = ["--firmware", &firmware, "--kernel", &kernel, "--initrd", &initrd, "--cmdline", &cmdline];
    let profiles = ["--ram", "2G", "--vmm", "sealwright-sim-1", "--firmware-profile", "sealwright-sim-1"];
    done(&[&["predict", "tdx", "--output", output], files.as_slice(), &profiles].concat());
}

fn failed(run: &Run) -> Vec<String> {
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    let checks = run.json()["explanation"]["checks"].as_array().unwrap().clone();
    let failed = checks.into_iter().filter(|check| check["outcome"] == "failed");
    failed.map(|check| check["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_client_gets_answers_and_receipts_of_the_model_that_it_names() {
    let stage = Stage::new();
    for (sealed, version) in [("one.sealed", "1"), ("two.sealed", "2")] {
        let run = stage.seal(&solution("model.onnx"), sealed, version);
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
    let (_server, server) = stage.serve(&["one.sealed", "two.sealed"]);
    let receipt = stage.path("receipt");

    for named in ["one.sealed", "two.sealed"] {
        let run = stage.query(&server, &[named], &["--receipt", &receipt]);
        assert_eq!(failed(&run), ["workload-not-named"], "{named}");
        assert!(!Path::new(&receipt).exists(), "no answer was taken");
    }
    let run = stage.query(&server, &["one.sealed", "two.sealed"], &["--receipt", &receipt]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);

    // Version 2 answered, as the latest one.
    assert_eq!(failed(&stage.verify_receipt("receipt", &["one.sealed"], &[])), ["receipt-named-model-mismatch"]);
    for named in [vec!["two.sealed"], vec!["one.sealed", "two.sealed"], vec![]] {
        let run = stage.verify_receipt("receipt", &named, &[]);
        assert_eq!(run.code, 0, "{named:?}: {}{}", run.stdout, run.stderr);
    }
    what_is_not_given_is_not_said_to_be_right(&stage);
    the_policy_of_a_receipt_is_checked(&stage);
    a_receipt_and_its_evidence_are_named_with_their_fields(&stage);
}

fn what_is_not_given_is_not_said_to_be_right(stage: &Stage) {
    let left_out = |run: &Run| -> Vec<String> {
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
        let checks = run.json()["explanation"]["checks"].as_array().unwrap().clone();
        let left_out = checks.into_iter().filter(|check| check["outcome"] == "not-reached");
        left_out.map(|check| check["code"].as_str().unwrap().to_owned()).collect()
    };
    let headline = |run: &Run| run.json()["explanation"]["headline"].as_str().unwrap().to_owned();
    let alone = stage.verify_receipt("receipt", &[], &[]);
    assert_eq!(
        left_out(&alone),
        ["receipt-request", "receipt-response", "receipt-policy", "receipt-named-model"],
        "nothing was given"
    );
    assert!(headline(&alone).ends_with("request and response were not compared"), "{}", headline(&alone));

    let [request, response] = ["request.bin", "response.bin"].map(|name| stage.path(&format!("receipt/{name}")));
    let both = ["--request", &request, "--response", &response];
    let compared = stage.verify_receipt("receipt", &["two.sealed"], &both);
    assert_eq!(left_out(&compared), ["receipt-policy"]);
    assert!(headline(&compared).ends_with("a measured workload gave this answer"), "{}", headline(&compared));
}

fn the_policy_of_a_receipt_is_checked(stage: &Stage) {
    let shown = stage.administrator(&["broker", "policy", "show", "attestation", "--json"]).json();
    let sha384 = format!("sha384:{}", shown[0]["sha384"].as_str().unwrap());
    let file = stage.path("policy.rego");
    // What is printed into a file is the policy, and nothing else is.
    let printed = stage.administrator(&["broker", "policy", "show", "attestation"]);
    assert_eq!(printed.stdout, shown[0]["text"].as_str().unwrap());
    assert!(
        printed.stderr.starts_with("# default (built-in), ") && printed.stderr.contains(&sha384),
        "{}",
        printed.stderr
    );
    std::fs::write(&file, &printed.stdout).unwrap();
    for policy in [&sha384, &file] {
        let run = stage.verify_receipt("receipt", &["two.sealed"], &["--policy", policy]);
        assert_eq!(run.code, 0, "{policy}: {}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("receipt-policy"), "{}", run.stdout);
    }
    std::fs::write(&file, "package policy").unwrap();
    let run = stage.verify_receipt("receipt", &["two.sealed"], &["--policy", &file]);
    assert_eq!(failed(&run), ["receipt-policy-mismatch"]);
}

fn a_receipt_and_its_evidence_are_named_with_their_fields(stage: &Stage) {
    let inspect = |name: &str| done(&["inspect", "--json", &stage.path(name)]).json();
    let receipt = inspect("receipt/receipt.jws");
    assert_eq!(receipt["kind"], "inference receipt, not verified");
    assert_eq!(receipt["fields"]["header"]["alg"], "ES256");
    assert_eq!(receipt["fields"]["claims"]["model"]["version"], 2);
    let evidence = inspect("receipt/evidence.json");
    assert_eq!(evidence["kind"], "evidence of an attested channel, not verified");
    assert_eq!(evidence["fields"]["evidence"]["quote"]["tee"], "tdx");
    assert!(evidence["fields"]["event_log"]["records"].as_u64().unwrap() > 0);
    let sealed = inspect("two.sealed");
    assert_eq!(sealed["fields"]["sha384"], receipt["fields"]["claims"]["model"]["sha384"]);
}

/// Asks over plain HTTP; gives the head of the answer and its body.
fn ask(address: &str, receipt: bool, body: &[u8]) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    let asked = if receipt { "Sealwright-Receipt: request\r\n" } else { "" };
    let length = body.len();
    write!(stream, "POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{asked}Content-Length: {length}\r\n\r\n").unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = 4 + answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..end].to_vec()).unwrap(), answer.split_off(end))
}

#[test]
fn a_receipt_that_came_through_the_proxy_is_verified_with_what_the_proxy_kept() {
    let stage = Stage::new();
    assert_eq!(stage.seal(&solution("model.onnx"), "one.sealed", "1").code, 0);
    let (_server, server) = stage.serve(&["one.sealed"]);
    // A name is as good as an address.
    let server = server.replace("127.0.0.1", "localhost");
    let proxy = |name: &str, more: &[&str]| {
        let arguments = stage.trusting(&["one.sealed"]);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let query = ["query", &server, "--listen", "localhost:0"];
        service(&[query.as_slice(), &arguments, more].concat(), Path::new(&stage.path(name)))
    };
    let samples = SampleSet::from_json(&std::fs::read(solution("samples.json")).unwrap()).unwrap();
    let request = samples.request(&samples.samples[0]);

    let kept = stage.path("kept");
    let (first, address) = proxy("first.ready", &["--receipt", &kept]);
    let (head, response) = ask(&address, true, request.as_bytes());
    let receipt = head.lines().find_map(|line| line.strip_prefix("sealwright-receipt: ")).expect(&head).to_owned();
    let file = |name: &str, bytes: &[u8]| {
        std::fs::write(stage.path(name), bytes).unwrap();
        stage.path(name)
    };
    let (receipt, request_file, response) =
        (file("receipt.jws", receipt.as_bytes()), file("request", request.as_bytes()), file("response", &response));
    let (root, reference, model) =
        (stage.path("site/root.der"), stage.path("broker/references/td.json"), stage.path("one.sealed"));
    let verify = |evidence: &str, collateral: &str| {
        let verify = ["receipt", "verify", &receipt, "--json", "--evidence", evidence, "--collateral", collateral];
        let about = ["--request", &request_file, "--response", &response, "--model-file", &model];
        sealwright(&[verify.as_slice(), &about, &["--anchor", &root, "--reference", &reference]].concat())
    };
    let run = verify(&kept, &kept);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let digest = run.json()["receipt"]["evidence_sha384"].as_str().unwrap().to_owned();
    let folder = format!("{kept}/{digest}");
    let run = verify(&format!("{folder}/evidence.json"), &format!("{folder}/collateral"));
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let mode = |path: &str| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&format!("{folder}/evidence.json")), 0o600);
    assert_eq!(mode(&format!("{folder}/collateral/tdx.json")), 0o600);
    assert_eq!((mode(&kept), mode(&folder)), (0o700, 0o700));
    let names: Vec<_> = std::fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [digest.as_str()], "one connection was used, and nothing else is left");
    drop(first);

    // Another proxy's connections are others: its folder has nothing for this receipt.
    let other = stage.path("other");
    let (_second, address) = proxy("second.ready", &["--receipt", &other]);
    assert!(ask(&address, false, request.as_bytes()).0.starts_with("HTTP/1.1 200"));
    let run = verify(&other, &kept);
    assert_eq!(run.code, 3, "{}", run.stdout);
    assert!(run.stderr.contains(&format!("has no evidence {digest}")), "{}", run.stderr);

    let (_third, address) = proxy("third.ready", &[]);
    assert!(ask(&address, false, request.as_bytes()).0.starts_with("HTTP/1.1 200"));
    let (head, body) = ask(&address, true, request.as_bytes());
    assert!(head.starts_with("HTTP/1.1 400") && !head.contains("sealwright-receipt"), "{head}");
    assert!(String::from_utf8_lossy(&body).contains("start it with --receipt DIR"));
}

#[test]
fn an_answer_that_is_not_the_expected_one_is_a_no_that_shows_it() {
    let stage = Stage::new();
    assert_eq!(stage.seal(&solution("model.onnx"), "one.sealed", "1").code, 0);
    let (_server, server) = stage.serve(&["one.sealed"]);
    let mut samples: serde_json::Value =
        serde_json::from_slice(&std::fs::read(solution("samples.json")).unwrap()).unwrap();
    let output = samples["outputs"][0]["name"].as_str().unwrap().to_owned();
    let value = &mut samples["samples"][7]["outputs"][&output][3];
    let right = value.as_f64().unwrap();
    *value = (right + 0.1).into();
    samples["samples"].as_array_mut().unwrap().truncate(9);
    std::fs::write(stage.path("samples.json"), samples.to_string()).unwrap();
    let file = stage.path("samples.json");
    let run = stage.client(&["query", &server, "--samples", &file], &["one.sealed"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    let json = run.json();
    assert_eq!((&json["accepted"], &json["explanation"]["verdict"]), (&false.into(), &"yes".into()));
    assert_eq!(json["reason"]["code"], "answer-not-expected");
    assert_eq!(json["reason"]["expected"], (right + 0.1).to_string());
    let wrong = &json["results"]["first_wrong"];
    assert_eq!((&wrong["sample"], &wrong["output"], &wrong["place"]), (&7.into(), &output.as_str().into(), &3.into()));
    assert!((wrong["found"].as_f64().unwrap() - right).abs() < 1e-4, "{wrong}");

    let arguments = stage.trusting(&["one.sealed"]);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let text = sealwright(&[&["query", &server, "--samples", &file], arguments.as_slice()].concat());
    let first = text.stdout.lines().next().unwrap();
    assert!(first.starts_with("no: sample 7 ") && first.contains("value 3 of output"), "{first}");
    assert!(first.contains("SIMULATED") && text.stdout.contains("8 of 9 answers"), "{}", text.stdout);
}

#[test]
fn a_secret_that_requires_nothing_is_stored_with_a_warning() {
    let stage = Stage::new();
    let (sealed, key) = (stage.path("sealed"), stage.path("key"));
    let names = ["--name", "m", "--key-uri", KEY_URI, "--key-out", &key];
    done(&[&["seal", &solution("model.onnx"), "-o", &sealed], names.as_slice()].concat());
    let put = |more: &[&str]| {
        let run = stage.administrator(&[&["broker", "secret", "put", "default/model-key/digits", &key], more].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        run.stderr
    };
    let warning = put(&[]);
    assert!(warning.starts_with("warning: default/model-key/digits requires nothing"), "{warning}");
    assert_eq!(warning.lines().count(), 1);
    assert_eq!(put(&["--for-model", &sealed]), "");
    let listed = stage.administrator(&["broker", "secret", "list", "--json"]).json();
    let measured = done(&["inspect", "--json", &sealed]).json()["fields"]["sha384"].as_str().unwrap().to_owned();
    assert!(listed[0]["requires"].to_string().contains(&measured), "{listed}");
}

#[test]
fn a_ready_file_is_there_while_its_service_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let ready = dir.path().join("ready");
    let stale = || std::fs::write(&ready, "of an earlier one").unwrap();
    // Each fails for want of a file, and has taken away the old one before.
    let (nowhere, site, file) = (path("nowhere"), path("site"), ready.to_str().unwrap());
    for service in [
        vec!["broker", "serve", &nowhere],
        vec!["sim", "boot", &site, "--files", &nowhere],
        vec!["serve", &nowhere, "--broker", "https://127.0.0.1:1", "--broker-ca", &nowhere],
        vec!["query", "127.0.0.1:1", "--collateral", &nowhere, "--model-file", &nowhere, "--listen", "127.0.0.1:0"],
    ] {
        stale();
        let run = sealwright(&[service.as_slice(), &["--ready-file", file]].concat());
        assert_eq!(run.code, 3, "{service:?}: {}", run.stdout);
        assert!(!ready.exists(), "{service:?}");
    }

    done(&["broker", "init", &path("broker"), "--listen", "localhost:0"]);
    stale();
    let serve = ["broker", "serve", &path("broker"), "--exit-with-stdin", "--ready-file", file];
    let mut broker = program::command().args(serve).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !std::fs::read_to_string(&ready).is_ok_and(|address| address.starts_with("https://127.0.0.1:")) {
        assert!(Instant::now() < deadline, "the broker is not ready");
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(broker.stdin.take());
    assert!(broker.wait().unwrap().success());
    assert!(!ready.exists(), "it ended in order");
}

#[test]
fn a_client_without_the_root_is_refused_with_the_reason() {
    let stage = Stage::new();
    assert_eq!(stage.seal(&solution("model.onnx"), "one.sealed", "1").code, 0);
    let (_server, server) = stage.serve(&["one.sealed"]);
    let receipt = stage.path("receipt");
    assert_eq!(stage.query(&server, &["one.sealed"], &["--receipt", &receipt]).code, 0);

    let [samples, sealed, reference] =
        [solution("samples.json"), stage.path("one.sealed"), stage.path("broker/references/td.json")];
    let [jws, evidence] = ["receipt.jws", "evidence.json"].map(|name| stage.path(&format!("receipt/{name}")));
    let trusting = |verb: &[&str], collateral: &str| {
        sealwright(&[verb, &["--json", "--collateral", collateral, "--reference", &reference]].concat())
    };
    let query = ["query", &server, "--samples", &samples, "--model-file", &sealed];
    let verify = ["receipt", "verify", &jws, "--evidence", &evidence];
    for verb in [query.as_slice(), &verify] {
        let run = trusting(verb, &stage.path("site"));
        assert_eq!(failed(&run), ["untrusted-root"], "{verb:?}");
        let check = &run.json()["explanation"]["checks"][0];
        assert!(check["actual"].as_str().unwrap().contains("Sealwright Simulation"), "{check}");
        assert!(!check["remedy"].as_str().unwrap().is_empty(), "{check}");

        // What cannot be read, or is no collateral, is no reason of a no.
        let nowhere = trusting(verb, &stage.path("nowhere"));
        assert_eq!(nowhere.code, 3, "{}", nowhere.stdout);
        std::fs::create_dir_all(stage.path("other/")).unwrap();
        assert_eq!(trusting(verb, &stage.path("other")).code, 3);
        std::fs::write(stage.path("other/bundle.json"), "{}").unwrap();
        assert_eq!(trusting(verb, &stage.path("other")).code, 3);
        std::fs::remove_file(stage.path("other/bundle.json")).unwrap();
    }
}

#[test]
fn collateral_that_has_expired_is_a_no_with_its_reason() {
    let Some(vectors) = support::vectors() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let names = ["--name", "m", "--key-uri", KEY_URI, "--key-out", &path("key")];
    std::fs::write(path("model"), "a model").unwrap();
    done(&[&["seal", &path("model"), "-o", &path("sealed")], names.as_slice()].concat());
    std::fs::create_dir(path("collateral")).unwrap();
    let real = vectors.join("quote/tdx/dcap-qvl-tdx-quote/collateral.json");
    std::fs::copy(real, path("collateral/2025.json")).unwrap();
    let query = ["query", "127.0.0.1:1", "--samples", "none", "--collateral", &path("collateral"), "--json"];
    let run = sealwright(&[query.as_slice(), &["--model-file", &path("sealed")]].concat());
    assert_eq!(failed(&run), ["collateral-expired"]);
    assert_eq!(run.json()["explanation"]["simulated"], false);
}

#[test]
fn damaged_evidence_of_a_receipt_is_a_no_wherever_it_is_damaged() {
    let stage = Stage::new();
    assert_eq!(stage.seal(&solution("model.onnx"), "one.sealed", "1").code, 0);
    let (_server, server) = stage.serve(&["one.sealed"]);
    let receipt = stage.path("receipt");
    assert_eq!(stage.query(&server, &["one.sealed"], &["--receipt", &receipt]).code, 0);
    let evidence = stage.path("receipt/evidence.json");
    let whole = std::fs::read(&evidence).unwrap();
    let quote = 1 + whole.iter().position(|byte| *byte == b':').unwrap();
    // JSON's own marks and members, the CBOR tag that begins the evidence, the quote's body and signature, the end.
    for at in [0, 3, quote, quote + 1, quote + 2, quote + 300, quote + 900, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(&evidence, &damaged).unwrap();
        let run = stage.verify_receipt("receipt", &[], &[]);
        assert_eq!(run.code, 1, "byte {at}: {}{}", run.stdout, run.stderr);
        let codes = failed(&run);
        assert!(!codes.is_empty(), "byte {at}");
        assert!(at > quote + 2 || codes == ["receipt-evidence-malformed"], "byte {at}: {codes:?}");
    }
    // Words of the event log that no register is about.
    let log = whole.windows(12).position(|window| window == b"\"event_log\":").unwrap() + 300;
    let mut damaged = whole.clone();
    damaged[log] = if damaged[log] == b'A' { b'B' } else { b'A' };
    std::fs::write(&evidence, &damaged).unwrap();
    assert_eq!(failed(&stage.verify_receipt("receipt", &[], &[])), ["receipt-evidence-unbound"]);
    std::fs::write(&evidence, "").unwrap();
    assert_eq!(failed(&stage.verify_receipt("receipt", &[], &[])), ["receipt-evidence-malformed"]);
    std::fs::remove_file(&evidence).unwrap();
    assert_eq!(stage.verify_receipt("receipt", &[], &[]).code, 3, "no evidence at all");
}

#[test]
fn a_brokers_no_is_an_answer_with_its_reason() {
    let stage = Stage::new();
    let large = stage.path("large");
    std::fs::write(&large, vec![7; 2 << 20]).unwrap();
    // More than once: the broker answers before it has read everything, and closes.
    for _ in 0..10 {
        let run = stage.administrator(&["broker", "secret", "put", "default/key/large", &large, "--json"]);
        assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
        assert_eq!((&run.json()["accepted"], &run.json()["status"]), (&false.into(), &413.into()));
    }
    assert_eq!(stage.administrator(&["broker", "secret", "list", "--json"]).json(), serde_json::json!([]));
    let missing = stage.administrator(&["broker", "secret", "get", "default/key/none"]);
    assert_eq!((missing.code, missing.stderr.as_str()), (1, ""));
    assert!(missing.stdout.starts_with("no: the broker refuses (404 Not Found)"), "{}", missing.stdout);

    let small = stage.path("small");
    std::fs::write(&small, b"s\0cret").unwrap();
    assert_eq!(stage.administrator(&["broker", "secret", "put", "default/key/small", &small]).code, 0);
    let secret = stage.administrator(&["broker", "secret", "get", "default/key/small", "--json"]).json();
    assert_eq!(secret, serde_json::json!({ "path": "default/key/small", "secret": "cwBjcmV0" }));

    let url = stage.broker_url.as_str();
    let (broker, path) = (stage.path("broker"), "default/key/none");
    let (code, stderr) = unread(&["broker", "secret", "get", path, "--broker", &broker, "--url", url]);
    assert_eq!((code, stderr.as_str()), (1, ""), "a no that nobody reads");
}

#[test]
fn a_broker_whose_log_nobody_reads_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    done(&["broker", "init", &path("broker"), "--listen", "127.0.0.1:0"]);
    let (reader, log) = std::io::pipe().unwrap();
    drop(reader);
    let serve = ["broker", "serve", &path("broker")];
    let (_broker, url) = service_logging_to(log, &serve, &dir.path().join("ready"));
    done(&["broker", "secret", "list", "--broker", &path("broker"), "--url", &url]);
}

#[test]
fn an_audit_log_in_which_a_word_or_a_line_is_not_what_was_written_is_a_no_at_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    done(&["broker", "init", &path("broker"), "--listen", "127.0.0.1:0"]);
    let (broker, url) = service(&["broker", "serve", &path("broker")], &dir.path().join("ready"));
    for _ in 0..4 {
        done(&["broker", "secret", "list", "--broker", &path("broker"), "--url", &url]);
    }
    let log = path("broker/audit.jsonl");
    let verify = |more: &[&str]| sealwright(&[&["broker", "audit", "--verify", &log], more].concat());
    // While the broker runs, and after its end.
    assert_eq!(verify(&[]).code, 0);
    drop(broker);
    let whole = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<_> = whole.split_inclusive('\n').collect();
    let count = lines.len();
    assert!(count >= 5, "{whole}");
    let sha256 = |line: &str| hex::encode(Sha256::digest(line.trim_end()));
    let head = sha256(lines[count - 1]);

    let run = verify(&["--json"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let summary = serde_json::json!({
        "holds": true, "first": 1, "prev": "0".repeat(64), "last": count, "head_sha256": head, "bytes": whole.len(), "torn_bytes": 0,
    });
    assert_eq!(run.json(), summary);
    let text = verify(&[]).stdout;
    assert!(text.starts_with("yes: ") && text.contains(&head), "{text}");

    let at = |line: usize| lines[..line].concat().len();
    let refused = |log_now: String, offset: usize| {
        std::fs::write(&log, log_now).unwrap();
        let run = verify(&["--json"]);
        assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
        assert_eq!((&run.json()["holds"], &run.json()["offset"]), (&false.into(), &offset.into()), "{}", run.stdout);
        let text = verify(&[]);
        assert!(text.code == 1 && text.stdout.starts_with(&format!("no: line at byte {offset}: ")), "{}", text.stdout);
        run.json()["reason"].as_str().unwrap().to_owned()
    };
    // The line behind the altered one, or in the place of the removed one, does not follow.
    let mut altered = lines.clone();
    let word = lines[2].replacen("secret-list", "secret-lost", 1);
    assert_ne!(word, lines[2]);
    altered[2] = &word;
    let reason = refused(altered.concat(), at(3));
    assert!(reason.contains("expected entry 4") && reason.contains(&sha256(&word)), "{reason}");
    let mut without = lines.clone();
    without.remove(2);
    let reason = refused(without.concat(), at(2));
    assert!(reason.contains("expected entry 3") && reason.contains("found entry 4"), "{reason}");
    assert!(!refused(whole.replacen('{', "[", 1), 0).is_empty());

    // What an interrupted write leaves is told in the first line; what nobody could have begun to write is a no.
    std::fs::write(&log, format!("{whole}{{\"v\":1")).unwrap();
    assert_eq!(verify(&["--json"]).json()["torn_bytes"], 6);
    let text = verify(&[]).stdout;
    assert!(text.starts_with("yes: ") && text.lines().next().unwrap().contains("6 bytes"), "{text}");
    assert!(refused(format!("{whole}{{\"v\":1,\"seq\":1"), whole.len()).contains("not the beginning of entry"));
    let kept = whole.trim_end();
    let altered =
        format!("{}{}", lines[..count - 1].concat(), lines[count - 1].trim_end().replacen("\"v\":1", "\"v\":9", 1));
    assert_eq!(altered.len(), kept.len());
    refused(altered, at(count - 1));
    // A log that was begun anew tells where it goes on; what has no entry is none.
    std::fs::write(&log, lines[3..].concat()).unwrap();
    let later = verify(&["--json"]).json();
    assert_eq!((&later["first"], &later["prev"]), (&4.into(), &sha256(lines[2]).into()));
    for nothing in ["", "{", lines[0].trim_end(), "\u{1}\u{80}"] {
        std::fs::write(&log, nothing).unwrap();
        let empty = verify(&["--json"]);
        assert_eq!(empty.code, 1, "{nothing:?}: {}", empty.stdout);
        assert_eq!((&empty.json()["holds"], &empty.json()["code"]), (&false.into(), &"audit-log-empty".into()));
    }
    let nothing = sealwright(&["broker", "audit", "--verify", "/dev/null"]);
    assert!(nothing.code == 1 && nothing.stdout.starts_with("no: no whole entry in 0 bytes"), "{}", nothing.stdout);

    std::fs::remove_file(&log).unwrap();
    let run = verify(&[]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{}", run.stderr);
    for nonsense in [["--limit", "3"].as_slice(), &["--broker", "b"], &["--url", "https://h"]] {
        assert_eq!(verify(nonsense).code, 2, "{nonsense:?}");
    }
    assert_eq!(sealwright(&["broker", "audit"]).code, 2, "neither a broker nor a file");
}

#[test]
fn a_broker_that_hangs_up_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let broker = dir.path().join("broker").to_str().unwrap().to_owned();
    done(&["broker", "init", &broker]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let run = sealwright(&["broker", "secret", "list", "--broker", &broker, "--url", &url]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{}", run.stderr);
}

#[test]
fn two_files_of_one_version_and_a_label_of_none_are_refused_at_start() {
    let stage = Stage::new();
    for (sealed, version) in [("one.sealed", "1"), ("twin.sealed", "1"), ("two.sealed", "2")] {
        assert_eq!(stage.seal(&solution("model.onnx"), sealed, version).code, 0);
    }
    let measure = ["measure", "--backend", &stage.backend(), "--json"];
    let before = done(&measure).stdout;
    let mut serve = stage.serving(&["one.sealed", "two.sealed", "twin.sealed"]);
    // If it did start, it would end at once: nobody holds its standard input.
    serve.push("--exit-with-stdin".to_owned());
    let run = sealwright(&serve);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{}", run.stderr);
    let [one, twin] = ["one.sealed", "twin.sealed"].map(|name| stage.path(name));
    let reason = format!("{one} and {twin} are both version 1 of the model digits: serve one of them");
    assert!(run.stderr.contains(&reason), "{}", run.stderr);
    assert_eq!(done(&measure).stdout, before, "nothing was measured");

    let mut serve = stage.serving(&["one.sealed", "two.sealed"]);
    serve.extend(["--exit-with-stdin", "--label", "digits=stable:2", "--label", "digits=foo:9"].map(str::to_owned));
    let run = sealwright(&serve);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.stderr);
    assert!(run.stderr.contains("error: --label digits=foo:9: no sealed file holds this version"), "{}", run.stderr);
    assert_eq!(done(&measure).stdout, before, "nothing was measured");
}

/// A machine's register keeps what it has measured: there a damaged file's server is given the key of the file that was served before, and opens
/// nothing with it; and clients that name the model refuse the machine from then on.
#[test]
fn a_damaged_file_opens_nothing_where_the_whole_one_was_served_before() {
    let stage = Stage::new();
    assert_eq!(stage.seal(&solution("model.onnx"), "whole.sealed", "1").code, 0);
    let mut damaged = std::fs::read(stage.path("whole.sealed")).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(stage.path("damaged.sealed"), damaged).unwrap();
    let serve_damaged = || {
        let mut serve = stage.serving(&["damaged.sealed"]);
        serve.extend(["--exit-with-stdin", "--json"].map(str::to_owned));
        let mut server = program::command().args(&serve).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // It ends by itself; or with this, which `wait` would drop.
        let _stdin = server.stdin.take();
        let code = server.wait().unwrap().code();
        let mut said = String::new();
        server.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        (code, serde_json::from_str::<serde_json::Value>(&said).unwrap())
    };
    let (_server, server) = stage.serve(&["whole.sealed"]);
    assert_eq!(stage.query(&server, &["whole.sealed"], &[]).code, 0);
    let (code, said) = serve_damaged();
    assert_eq!((code, &said["accepted"]), (Some(1), &false.into()), "{said}");
    assert!(said["reason"].as_str().unwrap().contains("does not authenticate"), "{said}");
    assert_eq!(failed(&stage.query(&server, &["whole.sealed"], &[])), ["workload-not-named"]);
}

/// Larger than anything that is read as a whole.
fn large_model(dir: &Path) -> PathBuf {
    let path = dir.join("large.onnx");
    std::fs::File::create(&path).unwrap().set_len(70 << 20).unwrap();
    path
}

#[test]
fn a_model_of_70_mib_is_sealed_to_a_broker_and_named_by_clients() {
    let mut stage = Stage::new();
    let model = large_model(stage.dir.path());
    let run = stage.seal(model.to_str().unwrap(), "large.sealed", "1");
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let sha384 = run.json()["sha384"].as_str().unwrap().to_owned();
    let listed = stage.administrator(&["broker", "secret", "list", "--json"]).json();
    assert!(listed.to_string().contains(&sha384), "the key is for this file alone: {listed}");
    let inspected = done(&["inspect", "--json", &stage.path("large.sealed")]).json();
    assert_eq!(inspected["fields"]["sha384"], sha384);
    // The file is read as one of the named models; there is no server, so the work cannot be done.
    let run = stage.query("127.0.0.1:1", &["large.sealed"], &[]);
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("connecting"), "{}", run.stderr);

    stage.broker = None;
    let run = stage.seal(model.to_str().unwrap(), "keyless.sealed", "1");
    assert_eq!(run.code, 3, "{}", run.stdout);
    assert!(run.stderr.contains("the broker did not take the key"), "{}", run.stderr);
    let left: Vec<_> = std::fs::read_dir(stage.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with('.')), "{left:?}");
    assert!(!Path::new(&stage.path("keyless.sealed")).exists(), "a sealed file without its key");
}

#[test]
fn a_model_of_70_mib_is_sealed_and_unsealed_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (model, sealed, key, opened) = (large_model(dir.path()), path("sealed"), path("key"), path("opened"));
    let names = ["--name", "large", "--key-uri", KEY_URI, "--key-out", &key];
    done(&[&["seal", model.to_str().unwrap(), "-o", &sealed], names.as_slice()].concat());
    let run = done(&["unseal", &sealed, "--key", &key, "-o", &opened, "--json"]);
    assert_eq!(run.json()["bytes"], 70 << 20);
    assert!(std::fs::read(&opened).unwrap() == std::fs::read(&model).unwrap());

    let mut bytes = std::fs::read(&sealed).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&sealed, bytes).unwrap();
    let again = path("again");
    let run = sealwright(&["unseal", &sealed, "--key", &key, "-o", &again]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stdout.starts_with("no: chunk 1119 of 1120"), "{}", run.stdout);
    assert!(!Path::new(&again).exists());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 4, "nothing else is left");
}

/// `unseal`, and what it reads and has not got yet.
struct Unsealing {
    process: Child,
    _rest: ChildStdin,
}

impl Unsealing {
    /// Gives it all but the last byte, so that it has written nearly everything and cannot end.
    fn nearly_done(sealed: &[u8], key: &str, opened: &str) -> Self {
        let unseal = ["unseal", "/dev/stdin", "--key", key, "-o", opened];
        let mut process = program::command().args(unseal).stdin(Stdio::piped()).spawn().unwrap();
        let mut input = process.stdin.take().unwrap();
        input.write_all(&sealed[..sealed.len() - 1]).unwrap();
        let files = || std::fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap();
        let written = || files().filter_map(|file| std::fs::metadata(file.unwrap().path()).ok()).map(|file| file.len());
        // The pipe may still hold 64 KiB.
        let wanted = u64::try_from(sealed.len() - (128 << 10)).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !written().any(|length| length >= wanted) {
            assert!(Instant::now() < deadline, "nothing is written");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { process, _rest: input }
    }

    /// Ends it and waits for its end.
    fn signal(mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
        assert!(!self.process.wait().unwrap().success());
    }
}

#[test]
fn an_unseal_that_is_ended_in_the_middle_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (model, sealed, key, opened) = (path("model"), path("sealed"), path("key"), path("opened"));
    let cleartext: Vec<u8> = (0..1u32 << 18).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&model, &cleartext).unwrap();
    done(&["seal", &model, "-o", &sealed, "--name", "m", "--key-uri", KEY_URI, "--key-out", &key]);
    let bytes = std::fs::read(&sealed).unwrap();
    // Not SIGINT, of which the system makes the same: where these tests run as a shell's job in the background, it is ignored.
    for signal in [Signal::KILL, Signal::TERM] {
        Unsealing::nearly_done(&bytes, &key, &opened).signal(signal);
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 3, "{signal:?}: {left:?}");
    }

    done(&["unseal", &sealed, "--key", &key, "-o", &opened]);
    assert!(std::fs::read(&opened).unwrap() == cleartext);
    assert_eq!(std::fs::metadata(&opened).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(&opened, "somebody else's").unwrap();
    let run = sealwright(&["unseal", &sealed, "--key", &key, "-o", &opened]);
    assert_eq!(run.code, 3, "{}", run.stdout);
    assert!(run.stderr.contains(&format!("cannot create {opened}")), "{}", run.stderr);
    assert_eq!(std::fs::read(&opened).unwrap(), b"somebody else's");
}

#[test]
fn a_refusal_under_a_simulated_root_says_so_in_its_first_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    done(&["sim", "files", &path("td")]);
    let (_site, socket) = service(&["sim", "boot", &path("site"), "--files", &path("td")], &dir.path().join("ready"));
    done(&["attest", "--backend", &format!("sim:{socket}"), "--quote", &path("quote")]);
    done(&["sim", "tcb", &path("site"), "--revoke", "--output", &path("revoked")]);
    let (quote, collateral, root) = (path("quote"), path("revoked/collateral.json"), path("site/root.der"));
    let verify = ["verify", &quote, "--collateral", &collateral, "--anchor", &root];

    let run = sealwright(&verify);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let lines: Vec<_> = run.stdout.lines().take(2).collect();
    assert!(lines[0].starts_with("SIMULATED") && lines[1].starts_with("no: "), "{lines:?}");
    assert!(lines[1].contains("revoked"), "{lines:?}");
    let json = sealwright(&[verify.as_slice(), &["--json"]].concat()).json();
    assert_eq!((&json["simulated"], &json["reason"]["code"]), (&true.into(), &"certificate-revoked".into()));

    let without_root = sealwright(&["verify", "--json", &quote, "--collateral", &collateral]).json();
    assert_eq!(without_root["reason"]["code"], "untrusted-root");
    assert_eq!(without_root.get("simulated"), None, "nobody knows this root");
}

#[test]
fn a_demo_that_nobody_reads_is_told_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept");
    assert_eq!(unread(&["demo", "--keep", kept.to_str().unwrap()]), (0, String::new()));
    assert!(kept.join("receipt/receipt.jws").is_file() && kept.join("after-revocation").is_dir());
}
