//! `collateral`: from one site's server into another one's folder, and by file into a third. Nothing leaves this machine.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

mod program;

use program::{Run, Service, sealwright, service};
use sealwright_collateral::exchange::Article;
use sealwright_collateral::{Item, SerialNumber, Store};
use sealwright_sim::{Enclave, Site, csv, snp, system_clock};
use sealwright_verify::{Anchor, Anchors};
use sealwright_wire::snp::{Product, Report, SigningKey};
use sealwright_wire::{Tee, csv as wire_csv};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use tempfile::TempDir;

/// A simulated vendor, and a folder for everything.
struct Desk {
    site: Site,
    dir: TempDir,
}

impl Desk {
    /// With what the vendor has published in `published`, its root in `root.der`.
    fn new() -> Self {
        let desk = Self { site: Site::found(system_clock()).unwrap(), dir: tempfile::tempdir().unwrap() };
        fs::write(desk.dir.path().join("root.der"), desk.site.root()).unwrap();
        desk.publish();
        desk
    }

    fn publish(&self) {
        let folder = self.dir.path().join("published");
        fs::create_dir_all(&folder).unwrap();
        for tee in [Tee::Sgx, Tee::Tdx] {
            let json = self.site.collateral(tee).unwrap().to_json().unwrap();
            fs::write(folder.join(format!("{}.json", tee.name())), json).unwrap();
        }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// A server of what the vendor has published; its URL.
    fn serve(&self) -> (Service, String) {
        let args = [
            "collateral",
            "serve",
            &self.path("published"),
            "--anchor",
            &self.path("root.der"),
            "--listen",
            "127.0.0.1:0",
        ];
        service(&args, Path::new(&self.path("ready")))
    }

    /// `collateral VERB DIR --anchor ROOT ... --json`
    fn run(&self, verb: &str, dir: &str, args: &[&str]) -> Run {
        let (dir, root) = (self.path(dir), self.path("root.der"));
        sealwright(&[&["collateral", verb, &dir, "--anchor", &root, "--json"], args].concat())
    }

    fn fetch(&self, dir: &str, url: &str, args: &[&str]) -> Run {
        self.run("fetch", dir, &[&["--from", url, "--plain-http"], args].concat())
    }
}

fn freshness(run: &Run) -> Vec<String> {
    let bundles = run.json()["bundles"].as_array().unwrap().clone();
    bundles.iter().map(|bundle| bundle["freshness"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn collateral_is_fetched_listed_carried_over_and_never_taken_back() {
    let desk = Desk::new();
    let (_server, url) = desk.serve();
    let fmspc = desk.site.status().fmspc;
    let of = |tee: &'static str| vec!["--fmspc", fmspc.as_str(), "--ca", "platform", "--tee", tee];

    // By name, and by a quote.
    let run = desk.fetch("kept", &url, &of("tdx"));
    assert_eq!((run.code, &run.json()["bundles"][0]["kept"]), (0, &Value::from("new")), "{}", run.stdout);
    let enclave = Enclave { mr_enclave: [1; 32], mr_signer: [2; 32], isv_prod_id: 3, isv_svn: 4, debug: false };
    fs::write(desk.path("quote"), desk.site.sgx_quote(&enclave, &[0; 64]).unwrap()).unwrap();
    let run = desk.fetch("kept", &url, &["--for", &desk.path("quote")]);
    assert_eq!((run.code, &run.json()["bundles"][0]["tee"]), (0, &Value::from("sgx")), "{}", run.stdout);
    let run = desk.fetch("kept", &url, &of("tdx"));
    assert_eq!(run.json()["bundles"][0]["kept"], "unchanged");
    let run = desk.run("list", "kept", &[]);
    assert_eq!((run.code, freshness(&run)), (0, vec!["fresh".to_owned(); 2]), "{}", run.stdout);
    assert_eq!(run.json()["bundles"][0]["from"], url);
    assert_eq!(desk.fetch("kept", &url, &["--due"]).json()["bundles"], Value::Array(Vec::new()));
    // What was fetched is what a verifier takes.
    let kept = format!("{}/sgx-{}-platform.json", desk.path("kept"), fmspc.to_lowercase());
    let (quote, root) = (desk.path("quote"), desk.path("root.der"));
    let verify = |collateral: &str| sealwright(&["verify", &quote, "--collateral", collateral, "--anchor", &root]);
    assert_eq!(verify(&kept).code, 0);
    // The directory is as good as the file; one that has nothing for it is as good as none.
    assert_eq!(verify(&desk.path("kept")).code, 0);
    fs::create_dir(desk.path("bare")).unwrap();
    let run = verify(&desk.path("bare"));
    assert!(run.code == 2 && run.stderr.contains(&fmspc.to_lowercase()), "{}", run.stderr);
    // What does not hold is a verdict, and says why.
    fs::copy(&kept, desk.path(&format!("bare/sgx-{}-platform.json", fmspc.to_lowercase()))).unwrap();
    let run =
        sealwright(&["verify", &quote, "--collateral", &desk.path("bare"), "--anchor", &root, "--at", "4000000000"]);
    assert!(run.code == 1 && run.stdout.contains("collateral-expired"), "{}{}", run.stdout, run.stderr);

    // By file to a site without a network, which knows the exporter's key.
    let exported = desk.run("export", "kept", &["--key", &desk.path("site.key"), "-o", &desk.path("carried.json")]);
    assert_eq!((exported.code, &exported.json()["bundles"]), (0, &Value::from(2)), "{}", exported.stdout);
    let import = |dir: &str, key: &str| {
        desk.run("import", dir, &["--key", &desk.path(key), "--file", &desk.path("carried.json")])
    };
    let run = import("far", "site.key.pub");
    assert_eq!((run.code, run.json()["bundles"].as_array().unwrap().len()), (0, 2), "{}", run.stdout);
    assert_eq!(desk.run("list", "far", &[]).code, 0);
    desk.run("export", "kept", &["--key", &desk.path("other.key"), "-o", &desk.path("other.json")]);
    let run = import("nowhere", "other.key.pub");
    assert_eq!((run.code, &run.json()["reason"]["code"]), (1, &Value::from("collateral-export-signature")));
    assert!(!Path::new(&desk.path("nowhere")).exists(), "nothing is made for what is refused");

    // A revocation that has arrived stays, whatever comes by whichever way.
    desk.site.revoke_pck().unwrap();
    let newest = desk.site.collateral(Tee::Tdx).unwrap().to_json().unwrap();
    fs::write(format!("{}/tdx-{}-platform.json", desk.path("far"), fmspc.to_lowercase()), newest).unwrap();
    assert_eq!(desk.run("list", "far", &[]).code, 0);
    let run = import("far", "site.key.pub");
    assert_eq!((run.code, &run.json()["bundles"][0]["reason"]["code"]), (1, &Value::from("collateral-taken-back")));
    let run = desk.fetch("far", &url, &of("tdx"));
    assert_eq!((run.code, &run.json()["bundles"][0]["reason"]["code"]), (1, &Value::from("collateral-taken-back")));
}

/// Served by the one who published it, fetched, shown, and carried over.
#[test]
fn the_quote_verification_enclave_s_identity_goes_the_same_ways() {
    let desk = Desk::new();
    fs::create_dir(desk.path("published/intel")).unwrap();
    let bundle = desk.site.qve_identity().unwrap().to_json().unwrap();
    fs::write(desk.path("published/intel/qve-identity.json"), &bundle).unwrap();
    let (_server, url) = desk.serve();
    let run = desk.fetch("kept", &url, &["--qve-identity"]);
    assert_eq!((run.code, &run.json()["items"][0]["kept"]), (0, &Value::from("new")), "{}", run.stdout);
    assert_eq!(run.json()["items"][0]["kind"], "intel-qve-identity");
    assert_eq!(fs::read_to_string(desk.path("kept/intel/qve-identity.json")).unwrap(), bundle);
    let run = desk.run("list", "kept", &[]);
    assert_eq!((run.code, &run.json()["items"][0]["evaluation_number"]), (0, &Value::from(17)), "{}", run.stdout);
    desk.run("export", "kept", &["--key", &desk.path("site.key"), "-o", &desk.path("carried.json")]);
    let run = desk.run("import", "far", &["--key", &desk.path("site.key.pub"), "--file", &desk.path("carried.json")]);
    assert_eq!((run.code, run.json()["items"].as_array().unwrap().len()), (0, 1), "{}", run.stdout);
    let run = sealwright(&["inspect", &desk.path("far/intel/qve-identity.json"), "--json"]);
    assert_eq!((run.code, &run.json()["fields"]["qve_identity"]["id"]), (0, &Value::from("QVE")), "{}", run.stdout);
}

#[test]
fn what_is_refused_is_a_no_and_what_is_not_reached_a_failure() {
    let desk = Desk::new();
    let (_server, url) = desk.serve();
    let of = |fmspc| ["--fmspc", fmspc, "--ca", "platform", "--tee", "sgx"];
    let run = desk.fetch("kept", &url, &of("000000000001"));
    assert_eq!(
        (run.code, &run.json()["bundles"][0]["reason"]["code"]),
        (1, &Value::from("collateral-service-refused"))
    );
    let fmspc = desk.site.status().fmspc;
    // The vendors' roots do not vouch for a simulated site.
    let kept = desk.path("vendors");
    let common = ["collateral", "fetch", &kept, "--from", &url, "--plain-http", "--json"];
    let run = sealwright(&[&common[..], &of(&fmspc)].concat());
    assert_eq!((run.code, &run.json()["bundles"][0]["reason"]["code"]), (1, &Value::from("untrusted-root")));
    let run = desk.fetch("kept", "http://127.0.0.1:1", &of(&fmspc));
    assert_eq!(run.code, 3, "{}", run.stdout);
    let run = desk.run("fetch", "kept", &[&["--from", url.as_str()][..], &of(&fmspc)].concat());
    assert_eq!(run.code, 3, "plain HTTP was not allowed: {}", run.stdout);
    assert!(run.stderr.contains("plain HTTP"), "{}", run.stderr);
    for args in [
        vec!["collateral", "fetch", "d", "--from", "intel"],
        vec!["collateral", "fetch", "d", "--from", "intel", "--fmspc", "000000000001"],
        vec!["collateral", "fetch", "d", "--from", "gopher://x", "--due"],
        vec!["collateral", "fetch", "d", "--due"],
        vec!["collateral", "serve", "d", "--tls-cert", "c"],
    ] {
        assert_eq!(sealwright(&args).code, 2, "{args:?}");
    }
    assert_eq!(desk.run("list", "empty", &[]).code, 3, "nothing is made by asking");
    fs::create_dir(desk.path("empty")).unwrap();
    let run = desk.run("list", "empty", &[]);
    assert_eq!((run.code, run.json()["bundles"].as_array().unwrap().len()), (0, 0));
    fs::write(desk.path("empty/odd.json"), "{}").unwrap();
    let run = desk.run("list", "empty", &[]);
    assert_eq!((run.code, &run.json()["refused"][0]["file"]), (1, &Value::from("odd.json")));
    let run = desk.run("serve", "empty", &["--listen", "0.0.0.0:0"]);
    assert_eq!(run.code, 3, "without TLS for this machine alone: {}", run.stderr);
}

/// A simulated AMD, and a folder for everything: its root in `root.der`, a report in `report.bin`, what the report needs in `published`.
struct AmdDesk {
    platform: snp::Platform,
    dir: TempDir,
}

impl AmdDesk {
    fn new() -> Self {
        let vendor = snp::Vendor::found(system_clock(), Product::Genoa).unwrap();
        let desk = Self { platform: snp::Platform::build(&vendor).unwrap(), dir: tempfile::tempdir().unwrap() };
        fs::write(desk.dir.path().join("root.der"), vendor.root_certificate()).unwrap();
        let guest = desk.platform.launch(&snp::GuestConfig::new([7; 48])).unwrap();
        let report = guest.report(&[1; 64], 5).unwrap();
        fs::write(desk.dir.path().join("report.bin"), &report).unwrap();
        fs::write(desk.dir.path().join("unnamed.bin"), guest.report(&[1; 64], 2).unwrap()).unwrap();
        let items = Item::of_snp(Report::parse(&report).unwrap().body, None).unwrap();
        let bundle = vendor.bundle(SigningKey::Vcek).unwrap().to_json().unwrap().into_bytes();
        let anchors = Anchors::none().with(Anchor::from_certificate("amd", vendor.root_certificate()).unwrap());
        let now = (system_clock())();
        let (store, _) = Store::open(&desk.dir.path().join("published"), anchors, now).unwrap();
        for (item, content) in items.into_iter().zip([bundle, desk.platform.vek().unwrap()]) {
            store.import_item(&Article { item, content }, now).unwrap();
        }
        desk
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn run(&self, verb: &str, dir: &str, args: &[&str]) -> Run {
        let (dir, root) = (self.path(dir), self.path("root.der"));
        sealwright(&[&["collateral", verb, &dir, "--anchor", &root, "--json"], args].concat())
    }
}

/// A service that answers each request with this.
fn canned(body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
        }
    });
    url
}

#[test]
fn what_a_report_of_amd_s_needs_is_fetched_by_the_report_alone_and_is_what_a_verifier_takes() {
    let desk = AmdDesk::new();
    let (published, root) = (desk.path("published"), desk.path("root.der"));
    let args = ["collateral", "serve", &published, "--anchor", &root, "--listen", "127.0.0.1:0"];
    let (_server, url) = service(&args, Path::new(&desk.path("ready")));
    let (from, report) = (format!("amd={url}"), desk.path("report.bin"));
    let fetch =
        |dir: &str, args: &[&str]| desk.run("fetch", dir, &[&["--from", from.as_str(), "--plain-http"], args].concat());
    let run = fetch("kept", &["--report", &report]);
    let items = run.json()["items"].clone();
    assert_eq!((run.code, items.as_array().unwrap().len()), (0, 2), "{}", run.stdout);
    assert_eq!((&items[0]["kind"], &items[1]["kind"]), (&"amd-authority".into(), &"amd-vcek".into()));
    assert_eq!((&items[1]["product"], &items[1]["tcb"]["snp"]), (&"Genoa".into(), &22.into()));
    assert_eq!(fetch("kept", &["--for", &report]).json()["items"][1]["kept"], "unchanged");
    assert_eq!(fetch("kept", &["--due"]).json()["items"], Value::Array(Vec::new()));
    let listed = desk.run("list", "kept", &[]);
    let items = listed.json()["items"].clone();
    assert_eq!((listed.code, &items[0]["freshness"], &items[0]["from"]), (0, &"fresh".into(), &url.into()));
    let files: Vec<_> = items.as_array().unwrap().iter().map(|item| item["file"].as_str().unwrap()).collect();
    assert_eq!(files[0], "amd/genoa-vcek.json");
    let [bundle, vcek] = [0, 1].map(|item| format!("{}/{}", desk.path("kept"), files[item]));
    let verify = ["verify", &report, "--anchor", &root, "--collateral", &bundle, "--collateral", &vcek];
    let run = sealwright(&verify);
    assert_eq!(run.code, 0, "{}", run.stdout);
    let from_folder = |evidence: &str| {
        sealwright(&["verify", &desk.path(evidence), "--anchor", &root, "--collateral", &desk.path("kept")])
    };
    for evidence in ["report.bin", "unnamed.bin"] {
        let run = from_folder(evidence);
        assert_eq!(run.code, 0, "{evidence}: {}{}", run.stdout, run.stderr);
    }

    // By file to a site without a network.
    let (key, carried) = (desk.path("site.key"), desk.path("carried.json"));
    let exported = desk.run("export", "kept", &["--key", &key, "-o", &carried]);
    assert_eq!((exported.code, &exported.json()["items"]), (0, &Value::from(2)), "{}", exported.stdout);
    let run = desk.run("import", "far", &["--key", &desk.path("site.key.pub"), "--file", &carried]);
    assert_eq!((run.code, &run.json()["items"][1]["kept"]), (0, &Value::from("new")), "{}", run.stdout);
    assert_eq!(desk.run("list", "far", &[]).code, 0);

    // Another chip, which the service does not know; and a service that is Intel's alone.
    let other = snp::Platform::build(desk.platform.vendor()).unwrap();
    let guest = other.launch(&snp::GuestConfig::new([7; 48])).unwrap();
    fs::write(desk.path("other.bin"), guest.report(&[1; 64], 5).unwrap()).unwrap();
    let run = fetch("kept", &["--report", &desk.path("other.bin")]);
    assert_eq!(
        (run.code, &run.json()["items"][1]["reason"]["code"]),
        (1, &Value::from("collateral-service-refused")),
        "{}",
        run.stdout
    );
    other.configure(snp::HostConfig { mask_chip_id: true, ..other.status().host });
    fs::write(desk.path("masked.bin"), guest.report(&[1; 64], 5).unwrap()).unwrap();
    let run = fetch("kept", &["--report", &desk.path("masked.bin")]);
    assert_eq!((run.code, &run.json()["items"][0]["reason"]["code"]), (1, &Value::from("collateral-no-chip")));
    // Neither is in the folder; what else they need is.
    for evidence in ["other.bin", "masked.bin"] {
        let run = from_folder(evidence);
        assert!(run.code == 2 && run.stderr.contains("SEV-VCEK"), "{evidence}: {}", run.stderr);
    }
    let twice = ["collateral", "fetch", "d", "--from", "amd", "--from", "amd=https://a", "--report", &report];
    assert_eq!(sealwright(&twice).code, 2);
}

#[test]
fn the_certificates_of_a_hygon_chip_are_fetched_by_its_report_and_another_chip_s_are_a_no() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let site = csv::Site::found().unwrap();
    let [chip, other] = [(); 2].map(|()| site.make_chip(&csv::ChipConfig::new("SIMULATED-0001")).unwrap());
    fs::write(path("hrk.cert"), site.hrk()).unwrap();
    let guest = chip.launch(&csv::GuestConfig::new(b"image")).unwrap();
    let report = guest.report(&[5; 64], csv::Layout::ExtensionV2, wire_csv::SignerForm::Firmware).unwrap();
    fs::write(path("report.bin"), &report).unwrap();
    let stated = SerialNumber::of_report(&wire_csv::Report::parse(&report).unwrap()).unwrap();
    assert_eq!(stated.as_str(), "SIMULATED-0001");
    let fetch = |pair: Vec<u8>| {
        let from = format!("hygon={}", canned(pair));
        let (kept, root, report) = (path("kept"), path("hrk.cert"), path("report.bin"));
        let args = ["collateral", "fetch", &kept, "--anchor", &root, "--from", &from, "--plain-http"];
        sealwright(&[&args[..], &["--report", &report, "--json"]].concat())
    };
    let run = fetch(other.hsk_cek());
    assert_eq!(run.code, 1, "{}", run.stdout);
    assert_eq!(run.json()["items"][0]["reason"]["code"], "csv-chain-signature");
    let run = fetch(chip.hsk_cek());
    assert_eq!((run.code, &run.json()["items"][0]["kept"]), (0, &Value::from("new")), "{}", run.stdout);
    let kept = path("kept/hygon/SIMULATED-0001.cert");
    for collateral in [kept, path("kept")] {
        let run =
            sealwright(&["verify", &path("report.bin"), "--collateral", &collateral, "--anchor", &path("hrk.cert")]);
        assert_eq!(run.code, 0, "{}", run.stdout);
    }
}

/// Azure's guests bring their VCEK; no revocation list of AMD's is among the vectors.
#[test]
fn what_an_azure_guest_needs_beside_its_evidence_is_found_in_the_folder() {
    let Some(vectors) = support::vectors() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let evidence = vectors.join("vtpm/az-snp-vtpm/evidence-v1.json");
    let verify = |words: &[&str]| {
        let args = ["verify", evidence.to_str().unwrap(), "--at", "1750414560", "--collateral", &path("kept")];
        sealwright(&[&args[..], words].concat())
    };
    fs::create_dir_all(path("kept/amd")).unwrap();
    let run = verify(&["--without-crl"]);
    assert!(run.code == 2 && run.stderr.contains("AMD Milan"), "{}", run.stderr);
    let chain = fs::read_to_string(vectors.join("snp/trustee/milan_ask_ark_asvk.pem")).unwrap();
    let end = "-----END CERTIFICATE-----\n";
    let two: String = chain.split_inclusive(end).take(2).collect();
    fs::write(path("kept/amd/milan-vcek.json"), serde_json::json!({ "cert_chain": two }).to_string()).unwrap();
    assert_eq!(verify(&["--without-crl"]).code, 0);
    let run = verify(&[]);
    assert!(run.code == 1 && run.stdout.contains("no-revocation-list"), "{}", run.stdout);
    // The service is asked for the same by the same evidence.
    let from = format!("amd={}", canned(b"none".to_vec()));
    let words = ["--from", &from, "--plain-http", "--report", evidence.to_str().unwrap(), "--json"];
    let run = sealwright(&[&["collateral", "fetch", &path("fetched")][..], &words].concat());
    assert_eq!((run.code, &run.json()["items"][0]["kind"]), (1, &Value::from("amd-authority")), "{}", run.stderr);
}
