//! `collateral`: from one site's server into another one's folder, and by file into a third. Nothing leaves this machine.

mod program;

use program::{Run, Service, sealwright, service};
use sealwright_sim::{Enclave, Site, system_clock};
use sealwright_wire::Tee;
use serde_json::Value;
use std::fs;
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
    let run = sealwright(&["verify", &desk.path("quote"), "--collateral", &kept, "--anchor", &desk.path("root.der")]);
    assert_eq!(run.code, 0, "{}", run.stdout);

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
