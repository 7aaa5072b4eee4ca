//! The simulated vendor's quote verification enclave: its identity, and reports held against it.

use sealwright_sim::{Site, fixed_clock};
use sealwright_verify::{
    Anchor, Anchors, Error, QveIdentity, TcbStatus,
    any::{NotCollateral, Supplied},
};
use sealwright_wire::{Tee, collateral::Signed, sgx::ReportBody, time::UnixTime};

const NOW: UnixTime = UnixTime(1_750_416_960);

#[test]
fn another_enclave_s_report_is_refused_and_named() {
    type Change = fn(&mut ReportBody);
    let site = Site::found(fixed_clock(NOW)).unwrap();
    let anchors = Anchors::none().with(Anchor::from_certificate("site", site.root()).unwrap());
    let identity = QveIdentity::verify(&site.qve_identity().unwrap(), &anchors, NOW).unwrap();
    let report = site.qve_report(&[7; 64]);
    assert_eq!(identity.level(&report, NOW).unwrap().tcb_status, TcbStatus::UpToDate);
    let lower = ReportBody { isv_svn: 1.into(), ..report };
    let level = identity.level(&lower, NOW).unwrap();
    assert_eq!((level.tcb_status, level.advisory_ids.len()), (TcbStatus::OutOfDate, 1));
    let changes: [(&str, Change); 5] = [
        ("MRSIGNER", |report| report.mr_signer[0] ^= 1),
        ("ISVPRODID", |report| report.isv_prod_id = 1.into()),
        ("MISCSELECT", |report| report.misc_select = 1.into()),
        ("ATTRIBUTES", |report| report.attributes[0] ^= 0x20),
        ("ATTRIBUTES", |report| report.attributes[0] |= 0x02),
    ];
    for (field, change) in changes {
        let mut other = report;
        change(&mut other);
        let error = identity.level(&other, NOW).unwrap_err();
        assert!(error.to_string().starts_with(&format!("quote verification enclave: {field} is ")), "{error}");
        assert_eq!(error.code(), "qe-identity-mismatch");
    }
    let error = identity.level(&ReportBody { isv_svn: 0.into(), ..report }, NOW).unwrap_err();
    assert!(matches!(error, Error::NotSupported { .. }), "{error}");
    assert_eq!(identity.level(&report, NOW.plus(400 * 86_400)).unwrap_err().code(), "collateral-expired");
}

/// It would stand where the identity of the quoting enclave belongs, or seem to have had a say.
#[test]
fn its_identity_is_no_collateral_of_a_quote() {
    let site = Site::found(fixed_clock(NOW)).unwrap();
    let bundle = site.qve_identity().unwrap();
    let signed = Signed { document: &bundle.qve_identity, signature: bundle.qve_identity_signature };
    for identity in [bundle.to_json().unwrap(), signed.to_qe_identity_json()] {
        assert_eq!(Supplied::default().add(identity.as_bytes()), Err(NotCollateral::Qve), "{identity}");
    }
    for tee in [Tee::Sgx, Tee::Tdx] {
        let bundle = site.collateral(tee).unwrap();
        let signed = Signed { document: &bundle.qe_identity, signature: bundle.qe_identity_signature };
        assert_eq!(Supplied::default().add(signed.to_qe_identity_json().as_bytes()), Ok(()), "{tee:?}");
    }
}
