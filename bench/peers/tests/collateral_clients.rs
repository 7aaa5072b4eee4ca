//! Clients that others wrote, unmodified, against `sealwright-collateral`'s server: dcap-qvl 0.7.1 finds Intel's collateral there as at a PCCS,
//! snpguest 0.11.0 finds AMD's as at the KDS. What they fetch is what their own verifiers accept. snpguest is a program, skipped where it is not
//! installed (`cargo install --locked snpguest --version 0.11.0`, with OpenSSL's headers).

use dcap_qvl::{collateral::CollateralClient, verify::QuoteVerifier};
use sealwright_collateral::serve::{Limits, Served, Server, tls};
use sealwright_collateral::{Item, Store, Upkeep};
use sealwright_evidence::Backend;
use sealwright_sim::snp::{GuestConfig, Platform, Vendor};
use sealwright_sim::{Enclave, Site, TdConfig, files, system_clock};
use sealwright_verify::{Anchor, Anchors};
use sealwright_wire::Tee;
use sealwright_wire::snp::{Product, Report, SigningKey};
use std::fs;
use std::io::{BufRead, BufReader, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;

/// A server of what lies in a folder, for as long as the test runs; its URL.
fn serve(runtime: &tokio::runtime::Runtime, folder: &Path, root: &[u8], identity: Option<(String, String)>) -> String {
    let clock = system_clock();
    let anchor = Anchor::from_certificate("root", root).unwrap();
    let root = anchor.id().sha256;
    let (store, report) = Store::open(folder, Anchors::none().with(anchor), clock()).unwrap();
    assert!(report.refused.is_empty(), "{report:?}");
    let served = Served { store: Arc::new(store), root, upkeep: Upkeep::default(), clock };
    let tls = identity.map(|(chain, key)| tls(chain.as_bytes(), key.as_bytes()).unwrap());
    let server =
        runtime.block_on(Server::bind("127.0.0.1:0".parse().unwrap(), tls, served, Limits::default())).unwrap();
    let url = server.url();
    runtime.spawn(server.run(std::future::pending()));
    url
}

#[test]
fn dcap_qvl_finds_intel_s_collateral_here() {
    let site = Site::found(system_clock()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for tee in [Tee::Sgx, Tee::Tdx] {
        let json = site.collateral(tee).unwrap().to_json().unwrap();
        fs::write(folder.path().join(format!("{}.json", tee.name())), json).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let url = serve(&runtime, folder.path(), site.root(), None);

    let td = site.boot(&TdConfig::new("td", files::generate("td"))).unwrap();
    let enclave = Enclave { mr_enclave: [1; 32], mr_signer: [2; 32], isv_prod_id: 3, isv_svn: 4, debug: false };
    for quote in [td.quote(&[0x5a; 64]).unwrap(), site.sgx_quote(&enclave, &[0x5a; 64]).unwrap()] {
        let client = CollateralClient::with_default_http(url.as_str()).unwrap();
        let collateral = runtime.block_on(client.fetch(&quote)).unwrap();
        let report = QuoteVerifier::new(site.root().to_vec()).verify(&quote, &collateral, system_clock()().0).unwrap();
        assert_eq!(report.status, "UpToDate");
    }
    // Another evaluation than the one that is kept is nobody's to give.
    let quote = td.quote(&[0; 64]).unwrap();
    for other in
        [dcap_qvl::collateral::TcbEvaluationDataSet::Early, dcap_qvl::collateral::TcbEvaluationDataSet::Number(1)]
    {
        let client = CollateralClient::with_default_http(url.as_str()).unwrap().with_evaluation_data_set(other);
        runtime.block_on(client.fetch(&quote)).unwrap_err();
    }
}

/// A proxy that connects whatever name is asked for with one server: TLS goes through it from end to end. Its URL.
fn proxy_to(server: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for client in listener.incoming() {
            let server = server.clone();
            thread::spawn(move || connect(&client.unwrap(), &TcpStream::connect(server).unwrap()));
        }
    });
    url
}

fn connect(client: &TcpStream, server: &TcpStream) {
    let mut head = BufReader::new(client);
    let mut line = String::new();
    while head.read_line(&mut line).unwrap() > 2 {
        line.clear();
    }
    (&mut &*client).write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            // Either side may go first.
            let _ = copy(&mut &*server, &mut &*client);
            let _ = client.shutdown(Shutdown::Write);
        });
        let _ = copy(&mut head, &mut &*server);
        let _ = server.shutdown(Shutdown::Write);
    });
}

/// A certificate for the name of AMD's service, its key, and the CA that vouches for it.
fn kds_identity() -> ((String, String), String) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "CA of the test");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).unwrap().pem();
    let key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(["kdsintf.amd.com".to_owned()]).unwrap();
    let chain = own.signed_by(&key, &rcgen::Issuer::from_params(&params, &ca_key)).unwrap().pem();
    ((chain, key.serialize_pem()), ca)
}

#[test]
fn snpguest_finds_amd_s_collateral_here() {
    if Command::new("snpguest").arg("--version").output().is_err() {
        eprintln!("skipped: no snpguest");
        return;
    }
    for product in [Product::Milan, Product::Genoa, Product::Turin] {
        let vendor = Vendor::found(system_clock(), product).unwrap();
        let platform = Platform::build(&vendor).unwrap();
        let report = platform.launch(&GuestConfig::new([7; 48])).unwrap().report(&[1; 64], 5).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for item in Item::of_snp(Report::parse(&report).unwrap().body, None).unwrap() {
            let file = folder.path().join(item.file());
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            let contents = match item {
                Item::AmdVcek { .. } => platform.vek().unwrap(),
                _ => vendor.bundle(SigningKey::Vcek).unwrap().to_json().unwrap().into_bytes(),
            };
            fs::write(file, contents).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (identity, ca) = kds_identity();
        let url = serve(&runtime, folder.path(), vendor.root_certificate(), Some(identity));
        let proxy = proxy_to(url.strip_prefix("https://").unwrap().to_owned());

        let desk = tempfile::tempdir().unwrap();
        fs::write(desk.path().join("ca.pem"), ca).unwrap();
        fs::write(desk.path().join("report.bin"), &report).unwrap();
        let snpguest = |args: &[&str]| -> Output {
            let mut command = Command::new("snpguest");
            command.current_dir(desk.path()).env("SSL_CERT_FILE", "ca.pem").env("HTTPS_PROXY", &proxy);
            command.env_remove("NO_PROXY").env_remove("no_proxy").args(args).output().unwrap()
        };
        for args in [
            &["fetch", "ca", "pem", "certs", "--report", "report.bin"][..],
            &["fetch", "vcek", "pem", "certs", "report.bin"],
            &["fetch", "crl", "der", "certs", "--report", "report.bin"],
            &["verify", "certs", "certs"],
            &["verify", "attestation", "certs", "report.bin"],
        ] {
            let output = snpguest(args);
            assert!(output.status.success(), "{product:?} {args:?}: {output:?}");
        }
        assert_eq!(
            Some(fs::read(desk.path().join("certs/crl.der")).unwrap()),
            vendor.bundle(SigningKey::Vcek).unwrap().crl
        );
        // What is not kept here is refused, and not made up.
        let other = Platform::build(&vendor).unwrap().launch(&GuestConfig::new([7; 48])).unwrap();
        fs::write(desk.path().join("report.bin"), other.report(&[1; 64], 5).unwrap()).unwrap();
        let output = snpguest(&["fetch", "vcek", "pem", "other", "report.bin"]);
        assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("404"), "{output:?}");
    }
}
