//! The identity of the quote verification enclave, of Intel's sample data.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

use sealwright_verify::{Anchor, Anchors, QveIdentity};
use sealwright_wire::collateral::{QveBundle, Signed, pem_chain};
use sealwright_wire::time::UnixTime;
use std::fs;

/// Intel's sample data; the report that it would be of is not among them.
#[test]
fn intel_s_sample_is_accepted() {
    let Some(folder) = support::vectors() else { return };
    let read = |file: &str| fs::read(folder.join("quote/sgx/intel-qvl").join(file)).unwrap();
    let json = read("qveIdentity.json");
    let signed = Signed::qe_identity(&json).unwrap();
    let bundle = QveBundle {
        root_ca_crl: read("rootCaCrl.der"),
        qve_identity_issuer_chain: String::from_utf8(read("tcbSignChain.pem")).unwrap(),
        qve_identity: signed.document.to_owned(),
        qve_identity_signature: signed.signature,
    };
    let root = pem_chain("root", &read("trustedRootCaCert.pem")).unwrap().remove(0);
    let anchors = Anchors::none().with(Anchor::from_certificate("intel-sample", &root).unwrap());
    let at = UnixTime::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
    let identity = QveIdentity::verify(&bundle, &anchors, at).unwrap();
    assert_eq!((identity.anchor().name.as_str(), identity.evaluation_number()), ("intel-sample", 0));
    assert_eq!(identity.root_crl().number.to_string(), "0x1");
    assert!(identity.valid_from() <= at && at <= identity.expires());
    let error = QveIdentity::verify(&bundle, &Anchors::vendor(), at).unwrap_err();
    assert_eq!(error.code(), "untrusted-root");
    let late = UnixTime::parse_rfc3339("2031-01-01T00:00:00Z").unwrap();
    assert_eq!(QveIdentity::verify(&bundle, &anchors, late).unwrap_err().code(), "collateral-expired");
    let again = QveBundle::from_json(bundle.to_json().unwrap().as_bytes()).unwrap();
    assert_eq!(again, bundle);
    for place in (0..bundle.qve_identity.len()).step_by(7) {
        let mut text = bundle.qve_identity.clone().into_bytes();
        text[place] ^= 1;
        let changed = QveBundle { qve_identity: String::from_utf8(text).unwrap(), ..bundle.clone() };
        let error = QveIdentity::verify(&changed, &anchors, at).unwrap_err();
        assert_eq!(error.code(), "collateral-signature", "byte {place}");
    }
}
