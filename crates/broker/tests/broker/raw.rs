//! Connections on which a test writes bytes of its own: from an address that it chooses, in halves, or broken off.

use crate::desk::Desk;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Where every client of a test is unless it says otherwise.
pub(crate) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Somebody else, whom the broker counts apart.
pub(crate) const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// A connection to the broker whose certificate must stand under its authority and nothing else.
pub(crate) async fn connect(
    desk: &Desk,
    from: IpAddr,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&[u8]],
) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let pem = fs::read(&desk.made.certificate_authority).unwrap();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let address = desk.broker.as_ref().unwrap().local_addr();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let stream = socket.connect(address).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(ServerName::from(address.ip()), stream).await.unwrap()
}

/// A connection over which these bytes of HTTP/1.1 were sent.
pub(crate) async fn sent(desk: &Desk, from: IpAddr, bytes: &[u8]) -> TlsStream<TcpStream> {
    let mut stream = connect(desk, from, &[&version::TLS13], &[b"http/1.1"]).await;
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Sends raw bytes over HTTP/1.1, and reads until the broker closes or nothing comes for a while.
pub(crate) async fn raw(desk: &Desk, bytes: &[u8]) -> String {
    read_until_quiet(&mut sent(desk, HERE, bytes).await).await
}

pub(crate) async fn read_until_quiet(stream: &mut TlsStream<TcpStream>) -> String {
    let mut answer = Vec::new();
    while let Ok(Ok(read)) = tokio::time::timeout(Duration::from_secs(15), stream.read_buf(&mut answer)).await {
        if read == 0 {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request of HTTP/1.1, after which the broker closes the connection.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let own = [("host", "x"), ("connection", "close"), ("content-length", length.as_str())];
    let headers: String = own.iter().chain(headers).map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    [format!("{method} {target} HTTP/1.1\r\n{headers}\r\n").as_bytes(), body].concat()
}

/// Sends a request from this address and reads the answer's first line.
pub(crate) async fn status(desk: &Desk, from: IpAddr, request: &[u8]) -> u16 {
    let answer = read_until_quiet(&mut sent(desk, from, request).await).await;
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no answer: {answer:?}"))
}
