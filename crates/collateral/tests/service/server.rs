//! The server: it answers as the cache that clients know.

use crate::{DAY, NOW, Vendor, canned::hex, client, local, serving, support};
use sealwright_collateral::{
    Clock, Service, Store, Upkeep,
    http::Roots,
    pcs::{Config, Version},
    serve::{Limits, ServeError, Served, Server, tls},
};
use sealwright_verify::{Anchor, Anchors};
use sealwright_wire::{
    Tee,
    collateral::{Bundle, Signed, TcbInfo, encode_pem_chain, pem_chain},
    time::UnixTime,
};
use std::{fs, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What a server says on a connection of its own.
pub(crate) struct Said {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Said {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

async fn ask(url: &str, method: &str, target: &str) -> Said {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let request = format!("{method} {target} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    let end = all.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    Said { status: head.split(' ').nth(1).unwrap().parse().unwrap(), head, body: all[end + 4..].to_vec() }
}

pub(crate) async fn get(url: &str, target: &str) -> Said {
    ask(url, "GET", target).await
}

#[tokio::test]
async fn answers_are_those_of_a_pccs() {
    let vendor = Vendor::found();
    let (_folder, store) = vendor.stocked();
    let (sgx, tdx) = (vendor.bundle(Tee::Sgx), vendor.bundle(Tee::Tdx));
    let url = serving(vendor.served(store)).await;
    let fmspc = vendor.site.status().fmspc;
    let signed = |member: &str, document: &str, signature: &[u8]| {
        format!(r#"{{"{member}":{document},"signature":"{}"}}"#, hex(signature)).into_bytes()
    };
    let tcb = |bundle: &Bundle| signed("tcbInfo", &bundle.tcb_info, &bundle.tcb_info_signature);
    let identity = |bundle: &Bundle| signed("enclaveIdentity", &bundle.qe_identity, &bundle.qe_identity_signature);
    let (crl_chain, signer_chain) = (&sgx.pck_crl_issuer_chain, &sgx.tcb_info_issuer_chain);
    let crl = ("SGX-PCK-CRL-Issuer-Chain", crl_chain);
    let of_identity = ("SGX-Enclave-Identity-Issuer-Chain", signer_chain);
    let root_uri = "https%3A%2F%2Fcertificates.trustedservices.intel.com%2FIntelSGXRootCA.der";
    for (target, content_type, chain, body) in [
        (
            "/sgx/certification/v4/pckcrl?ca=platform&encoding=der".to_owned(),
            "application/pkix-crl",
            Some(crl),
            sgx.pck_crl.clone(),
        ),
        (
            "/sgx/certification/v3/pckcrl?ca=PLATFORM&encoding=DER".to_owned(),
            "application/pkix-crl",
            Some(crl),
            sgx.pck_crl.clone(),
        ),
        (
            "/sgx/certification/v4/pckcrl?ca=platform".to_owned(),
            "application/x-pem-file",
            Some(crl),
            hex(&sgx.pck_crl).into_bytes(),
        ),
        (
            "/sgx/certification/v4/rootcacrl".to_owned(),
            "application/pkix-crl",
            None,
            hex(&sgx.root_ca_crl).into_bytes(),
        ),
        (
            "/sgx/certification/v3/rootcacrl".to_owned(),
            "application/pkix-crl",
            None,
            hex(&sgx.root_ca_crl).into_bytes(),
        ),
        (format!("/sgx/certification/v4/crl?uri={root_uri}"), "application/pkix-crl", None, sgx.root_ca_crl.clone()),
        (
            format!("/sgx/certification/v4/tcb?fmspc={fmspc}"),
            "application/json",
            Some(("TCB-Info-Issuer-Chain", signer_chain)),
            tcb(&sgx),
        ),
        (
            format!("/tdx/certification/v4/tcb?fmspc={}&update=standard", fmspc.to_lowercase()),
            "application/json",
            Some(("TCB-Info-Issuer-Chain", signer_chain)),
            tcb(&tdx),
        ),
        ("/sgx/certification/v4/qe/identity".to_owned(), "application/json", Some(of_identity), identity(&sgx)),
        ("/sgx/certification/v3/qe/identity".to_owned(), "application/json", Some(of_identity), identity(&sgx)),
        ("/tdx/certification/v4/qe/identity".to_owned(), "application/json", Some(of_identity), identity(&tdx)),
    ] {
        let said = get(&url, &target).await;
        assert_eq!((said.status, said.header("content-type")), (200, Some(content_type)), "{target}");
        assert!(said.body == body, "{target}: {}", String::from_utf8_lossy(&said.body));
        let Some((name, pem)) = chain else { continue };
        let encoded = said.header(name).unwrap_or_else(|| panic!("{target}: no {name}"));
        assert!(encoded.starts_with("-----BEGIN%20CERTIFICATE-----%0A") && !encoded.contains('+'), "{encoded}");
        let decoded = encoded
            .replace("%20", " ")
            .replace("%0A", "\n")
            .replace("%2B", "+")
            .replace("%2F", "/")
            .replace("%3D", "=");
        assert_eq!(decoded, *pem, "{target}");
    }
    let ids = [get(&url, "/healthz").await, get(&url, "/healthz").await];
    let [one, other] = ids.each_ref().map(|said| said.header("request-id").unwrap());
    assert!(one.len() == 32 && one != other, "{one} {other}");
}

#[tokio::test]
async fn refusals_are_those_of_a_pccs() {
    let vendor = Vendor::found();
    let (_folder, store) = vendor.stocked();
    let url = serving(vendor.served(store)).await;
    let fmspc = vendor.site.status().fmspc;
    let (invalid, nothing) = ((400, "Invalid request parameters."), (404, "No cache data for this platform."));
    let unknown = (461, "The platform was not found in the cache.");
    let no_route = (404, "There is no such route.");
    let sgx = |route: &str| format!("/sgx/certification/v4/{route}");
    let pck = format!("pckcert?qeid=00&cpusvn={}&pcesvn=0100&pceid=0000", "00".repeat(16));
    for (target, (status, sentence)) in [
        (sgx("pckcrl"), invalid),
        (sgx("pckcrl?ca=root"), invalid),
        (sgx("pckcrl?ca=processor"), nothing),
        (sgx("tcb"), invalid),
        (sgx("tcb?fmspc=00"), invalid),
        (sgx("tcb?fmspc=zzzzzzzzzzzz"), invalid),
        (sgx("tcb?fmspc=000000000001"), nothing),
        (sgx(&format!("tcb?fmspc={fmspc}&update=soon")), invalid),
        (sgx(&format!("tcb?fmspc={fmspc}&update=early")), nothing),
        (sgx(&format!("tcb?fmspc={fmspc}&tcbEvaluationDataNumber=1")), nothing),
        (sgx(&format!("tcb?fmspc={fmspc}&tcbEvaluationDataNumber=x")), invalid),
        (sgx(&format!("tcb?fmspc={fmspc}&tcbEvaluationDataNumber=1&update=standard")), invalid),
        // Version 3 of the interface promises another layout than that of what is here.
        (format!("/sgx/certification/v3/tcb?fmspc={fmspc}"), nothing),
        (sgx("qve/identity"), nothing),
        (sgx("crl?uri=https://example.com/a.crl"), invalid),
        (sgx("crl"), invalid),
        (sgx("pckcert"), invalid),
        (sgx(&pck), unknown),
        (sgx(&format!("{pck}&encrypted_ppid=00")), invalid),
        ("/tdx/certification/v3/qe/identity".to_owned(), no_route),
        ("/sgx/certification/v5/qe/identity".to_owned(), no_route),
        (sgx("platforms"), no_route),
        ("/".to_owned(), no_route),
    ] {
        let said = get(&url, &target).await;
        assert_eq!((said.status, said.text()), (status, sentence), "{target}");
    }
    assert_eq!(ask(&url, "DELETE", &sgx("rootcacrl")).await.status, 404);
    let number = vendor.site.status().evaluation_number;
    assert_eq!(get(&url, &sgx(&format!("tcb?fmspc={fmspc}&tcbEvaluationDataNumber={number}"))).await.status, 200);
}

/// A store that is not empty, and of which nothing may be handed out: of another root, or expired.
#[tokio::test]
async fn only_what_holds_under_the_one_root_is_handed_out() {
    let vendor = Vendor::found();
    let other = Vendor::found();
    let much_later: Clock = Arc::new(|| NOW.plus(400 * DAY));
    let (_folder, store) = vendor.stocked();
    let served = vendor.served(store);
    let expired = Served { clock: much_later, ..served.clone() };
    let foreign = Served { root: other.root(), ..served.clone() };
    for (served, status) in [(served, 200), (expired, 404), (foreign, 404)] {
        let url = serving(served).await;
        let ready = if status == 200 { 200 } else { 503 };
        assert_eq!(get(&url, "/readyz").await.status, ready);
        for route in ["pckcrl?ca=platform", "rootcacrl", "qe/identity"] {
            assert_eq!(get(&url, &format!("/sgx/certification/v4/{route}")).await.status, status, "{route}");
        }
    }
}

/// Of Intel's sample data, because nobody issues this layout any more.
#[tokio::test]
async fn version_3_hands_out_the_layout_that_it_promises() {
    let Some(vectors) = support::vectors() else { return };
    let read = |file: &str| fs::read(vectors.join("quote/sgx/intel-qvl").join(file)).unwrap();
    let text = |file: &str| String::from_utf8(read(file)).unwrap();
    let (tcb_info, qe_identity) = (read("tcbInfo.json"), read("qeIdentity.json"));
    let (signed, identity) = (Signed::tcb_info(&tcb_info).unwrap(), Signed::qe_identity(&qe_identity).unwrap());
    let issuers = pem_chain("chain", &read("pckSignChain.pem")).unwrap();
    let bundle = Bundle {
        pck_crl_issuer_chain: encode_pem_chain(&issuers[issuers.len() - 2..]),
        root_ca_crl: read("rootCaCrl.der"),
        pck_crl: read("intermediateCaCrl.der"),
        tcb_info_issuer_chain: text("tcbSignChain.pem"),
        tcb_info: signed.document.to_owned(),
        tcb_info_signature: signed.signature,
        qe_identity_issuer_chain: text("tcbSignChain.pem"),
        qe_identity: identity.document.to_owned(),
        qe_identity_signature: identity.signature,
        pck_certificate_chain: None,
    };
    let info = TcbInfo::parse(signed.document).unwrap();
    let at = info.issue_date.plus(DAY);
    let root = pem_chain("root", &read("trustedRootCaCert.pem")).unwrap();
    let anchor = Anchor::from_certificate("samples", &root[0]).unwrap();
    let root = anchor.id().sha256;
    let folder = tempfile::tempdir().unwrap();
    let anchors = Anchors::none().with(anchor);
    let (store, _) = Store::open(folder.path(), anchors.clone(), at).unwrap();
    let (wanted, _) = store.import(&bundle, at).unwrap();
    let served = Served { store: Arc::new(store), root, upkeep: Upkeep::default(), clock: Arc::new(move || at) };
    let url = serving(served).await;
    let fmspc = hex(&info.fmspc);
    let said = get(&url, &format!("/sgx/certification/v3/tcb?fmspc={fmspc}")).await;
    assert_eq!((said.status, said.text()), (200, signed.to_tcb_info_json().as_str()));
    assert!(said.header("SGX-TCB-Info-Issuer-Chain").is_some() && said.header("TCB-Info-Issuer-Chain").is_none());
    assert_eq!(get(&url, &format!("/sgx/certification/v4/tcb?fmspc={fmspc}")).await.status, 404);
    let service = Service::new(&Config { version: Version::V3, ..local(&url) }).unwrap();
    assert_eq!(*service.fetch(&wanted, &anchors, at).await.unwrap().bundle(), bundle);
}

#[tokio::test]
async fn the_newest_issue_is_handed_out_whichever_bundle_has_it() {
    let vendor = Vendor::found();
    let (_folder, store) = vendor.stocked();
    vendor.site.revoke_pck().unwrap();
    store.import(&vendor.bundle(Tee::Tdx), NOW).unwrap();
    let url = serving(vendor.served(store)).await;
    let said = get(&url, "/sgx/certification/v4/pckcrl?ca=platform&encoding=der").await;
    assert!(said.body == vendor.bundle(Tee::Tdx).pck_crl);
}

#[tokio::test]
async fn counters_tell_of_answers_and_freshness() {
    let vendor = Vendor::found();
    let (_folder, store) = vendor.stocked();
    let url = serving(vendor.served(store)).await;
    get(&url, "/sgx/certification/v4/rootcacrl").await;
    get(&url, "/sgx/certification/v4/tcb?fmspc=secret000000").await;
    let said = get(&url, "/metrics").await;
    assert!(said.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = said.text();
    for line in [
        r#"sealwright_collateral_requests_total{route="/sgx/certification/v4/rootcacrl",status="200"} 1"#,
        r#"sealwright_collateral_requests_total{route="/sgx/certification/v4/tcb",status="400"} 1"#,
        r#"sealwright_collateral_bundles{freshness="fresh"} 2"#,
        r#"sealwright_collateral_bundles{freshness="expired"} 0"#,
        r#"sealwright_collateral_items{freshness="fresh"} 0"#,
        "sealwright_collateral_connections 1",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("secret"));
}

#[tokio::test]
async fn over_tls_for_everybody_in_the_clear_for_this_machine_alone() {
    let vendor = Vendor::found();
    let (_folder, store) = vendor.stocked();
    let served = vendor.served(store);
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let refused = Server::bind(everywhere, None, served.clone(), Limits::default()).await.err().unwrap();
    assert!(matches!(refused, ServeError::PlainOnNetwork { .. }), "{refused}");
    let key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let config = tls(own.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), Some(config), served, Limits::default()).await.unwrap();
    let url = server.url();
    assert!(url.starts_with("https://"));
    tokio::spawn(server.run(std::future::pending()));
    let ask = async |roots| {
        let service = Service::new(&Config { roots, plain_http: false, ..local(&url) }).unwrap();
        service.fetch(&vendor.wanted(Tee::Tdx), &vendor.anchors, NOW).await
    };
    let fetched = ask(Roots::issuers_from_pem(own.pem().as_bytes()).unwrap()).await.unwrap();
    assert_eq!(*fetched.bundle(), vendor.bundle(Tee::Tdx));
    assert_eq!(ask(Roots::Web).await.unwrap_err().code(), "collateral-service-tls");
    let others = rcgen::KeyPair::generate().unwrap();
    assert!(tls(own.pem().as_bytes(), others.serialize_pem().as_bytes()).is_err(), "another certificate's key");
    assert!(tls(b"", key.serialize_pem().as_bytes()).is_err() && tls(own.pem().as_bytes(), b"").is_err());
}

#[tokio::test]
async fn no_connection_holds_a_place_for_ever_and_none_is_served_over_the_limit() {
    let vendor = Vendor::found();
    let (_folder, store) = vendor.stocked();
    let limits = Limits { connections: 2, head_timeout: Duration::from_millis(300), ..Limits::default() };
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), None, vendor.served(store), limits).await.unwrap();
    let url = server.url();
    tokio::spawn(server.run(std::future::pending()));
    let address = url.strip_prefix("http://").unwrap();
    let mut silent = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
    let mut third = TcpStream::connect(address).await.unwrap();
    assert_eq!(third.read(&mut [0; 1]).await.unwrap_or(0), 0, "the third is turned away");
    for silent in &mut silent {
        let mut all = Vec::new();
        // However it is told, it is over.
        let _ = silent.read_to_end(&mut all).await;
    }
    assert_eq!(get(&url, "/readyz").await.status, 200);
    let long = format!("/sgx/certification/v4/tcb?fmspc={}", "0".repeat(64 << 10));
    let said = ask(&url, "GET", &long).await.status;
    assert!([400, 414, 431].contains(&said), "{said}");
}

#[tokio::test]
async fn a_server_that_stops_finishes_what_it_has_begun() {
    let vendor = Vendor::found();
    let (_folder, store) = vendor.stocked();
    let server =
        Server::bind("127.0.0.1:0".parse().unwrap(), None, vendor.served(store), Limits::default()).await.unwrap();
    let url = server.url();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async { drop(stopped.await) }));
    assert_eq!(get(&url, "/healthz").await.text(), "ok\n");
    stop.send(()).unwrap();
    running.await.unwrap();
    let error = client(&url).fetch(&vendor.wanted(Tee::Tdx), &Anchors::vendor(), UnixTime(0)).await.unwrap_err();
    assert_eq!(error.code(), "collateral-service-unreachable");
}
