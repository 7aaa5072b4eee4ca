//! A server that says what it is told to.

use sealwright_wire::collateral::{Bundle, Signed};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// One answer.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Waits so long before each byte of the body.
    pub(crate) drip: Option<Duration>,
    /// Promises so many bytes more than it sends.
    pub(crate) withheld: usize,
}

/// What is said to each route.
#[derive(Clone)]
pub(crate) struct Answers {
    pub(crate) pck_crl: Answer,
    pub(crate) root_crl: Answer,
    pub(crate) tcb: Answer,
    pub(crate) qe_identity: Answer,
    pub(crate) pck_cert: Answer,
}

impl Answer {
    pub(crate) fn new(headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), escaped(value))).collect();
        Self { status: 200, headers, body: body.into(), drip: None, withheld: 0 }
    }

    pub(crate) fn status(status: u16, headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { status, headers, body: b"no\x1b[2J".to_vec(), drip: None, withheld: 0 }
    }
}

impl Answers {
    /// What an honest service says.
    pub(crate) fn of(bundle: &Bundle) -> Self {
        let tcb = Signed { document: &bundle.tcb_info, signature: bundle.tcb_info_signature };
        let identity = Signed { document: &bundle.qe_identity, signature: bundle.qe_identity_signature };
        Self {
            pck_crl: Answer::new(&[("SGX-PCK-CRL-Issuer-Chain", &bundle.pck_crl_issuer_chain)], bundle.pck_crl.clone()),
            root_crl: Answer::new(&[], hex(&bundle.root_ca_crl)),
            tcb: Answer::new(&[("TCB-Info-Issuer-Chain", &bundle.tcb_info_issuer_chain)], tcb.to_tcb_info_json()),
            qe_identity: Answer::new(
                &[("SGX-Enclave-Identity-Issuer-Chain", &bundle.qe_identity_issuer_chain)],
                identity.to_qe_identity_json(),
            ),
            pck_cert: Answer::status(461, &[]),
        }
    }

    fn to(&self, target: &str) -> Answer {
        let routes = [
            ("/pckcrl", &self.pck_crl),
            ("/rootcacrl", &self.root_crl),
            ("/tcb", &self.tcb),
            ("/qe/identity", &self.qe_identity),
            ("/pckcert", &self.pck_cert),
        ];
        let route = routes.iter().find(|(route, _)| target.contains(route));
        route.map_or_else(|| Answer::status(404, &[]), |(_, answer)| (*answer).clone())
    }
}

/// A service that counts its requests.
pub(crate) struct Canned {
    pub(crate) url: String,
    asked: Arc<AtomicUsize>,
}

/// What is said to a target, by how many questions there were before.
pub(crate) type Play = Arc<dyn Fn(&str, usize) -> Answer + Send + Sync>;

impl Canned {
    pub(crate) async fn serve(answers: Answers) -> Self {
        Self::play(Arc::new(move |target: &str, _| answers.to(target))).await
    }

    pub(crate) async fn play(play: Play) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (play, counter) = (Arc::clone(&play), Arc::clone(&counter));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        head.push(byte);
                    }
                    let before = counter.fetch_add(1, Ordering::SeqCst);
                    let head = String::from_utf8(head).unwrap();
                    let answer = play(head.split(' ').nth(1).unwrap(), before);
                    let length = answer.body.len() + answer.withheld;
                    let mut text = format!("HTTP/1.1 {} X\r\ncontent-length: {length}\r\n", answer.status);
                    answer.headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
                    text.push_str("\r\n");
                    // Whoever does not read on hangs up.
                    let _ = stream.write_all(text.as_bytes()).await;
                    let Some(drip) = answer.drip else {
                        let _ = stream.write_all(&answer.body).await;
                        return;
                    };
                    for byte in answer.body {
                        tokio::time::sleep(drip).await;
                        if stream.write_all(&[byte]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, asked }
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Every byte but the plainest as `%XX`.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Makes another digit of a digit in hex.
pub(crate) fn another_digit(digit: &mut u8) {
    *digit = if *digit == b'0' { b'1' } else { b'0' };
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
