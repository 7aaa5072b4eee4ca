//! A guest's evidence in files of its own: the report as the vTPM holds it, and the quotes beside it.

use super::{NONCE, NOW, Party, judged, platform, refusal, site, snp_guest, tdx_guest};
use sealwright_sim::{QuoteFormat, az_vtpm::Guest};
use sealwright_verify::{
    Facts,
    any::{Beside, Error, Kind, Missing, Request, Root, Supplied},
};

/// What lies beside a report.
#[derive(Default)]
struct Files {
    supplied: Supplied,
    root: Vec<u8>,
    vtpm_quote: Option<Vec<u8>>,
    signature: Option<Vec<u8>>,
    pcrs: Option<Vec<u8>>,
    td_quote: Option<Vec<u8>>,
}

impl Files {
    /// With the vTPM's quote in the JSON of the crates for Azure's guests.
    fn of(guest: &Guest) -> Self {
        let Party { mut supplied, mut roots, .. } = Party::of(guest);
        if let Some(vek) = guest.vek().unwrap() {
            supplied.add(&vek).unwrap();
        }
        let vtpm_quote = serde_json::to_vec(&guest.evidence(NONCE).unwrap().tpm_quote).unwrap();
        Self {
            supplied,
            root: roots.remove(0),
            vtpm_quote: Some(vtpm_quote),
            td_quote: guest.td_quote().unwrap(),
            ..Self::default()
        }
    }

    fn request(&self) -> Request<'_> {
        Request {
            roots: vec![Root { name: "the simulated hardware", bytes: &self.root }],
            vtpm_quote: self.vtpm_quote.as_deref(),
            signature: self.signature.as_deref(),
            pcrs: self.pcrs.as_deref(),
            td_quote: self.td_quote.as_deref(),
            ..Request::new(&self.supplied, NOW)
        }
    }

    fn judge(&self, guest: &Guest) -> Result<Facts, Error> {
        self.request().verify(guest.hcl_report())
    }
}

fn guests() -> [Guest; 2] {
    [snp_guest(&platform()), tdx_guest(&site(), "td", QuoteFormat::V4)]
}

#[test]
fn files_are_believed_as_the_document_is() {
    for guest in guests() {
        assert_eq!(Kind::of(guest.hcl_report()), Some(Kind::HclReport));
        let expected = judged(&guest);
        let whole = Files::of(&guest).judge(&guest).unwrap();
        assert_eq!((whole.claims().az_vtpm().is_some(), whole.report_data()), (true, NONCE));
        let quote = guest.quote(NONCE).unwrap();
        for signature in [quote.signature.clone(), quote.plain_signature().unwrap()] {
            let apart = Files {
                vtpm_quote: Some(quote.message.clone()),
                signature: Some(signature),
                pcrs: Some(quote.pcr_file().unwrap()),
                ..Files::of(&guest)
            };
            let facts = apart.judge(&guest).unwrap();
            assert_eq!((facts.tee(), facts.report_data()), (expected.tee(), NONCE));
            assert_eq!((facts.anchor(), facts.tcb()), (expected.anchor(), expected.tcb()));
            let pcrs = |facts: &Facts| {
                let claims = facts.claims().tpm().unwrap();
                (0..24).map(|pcr| claims.pcr(pcr).map(<[u8]>::to_vec)).collect::<Vec<_>>()
            };
            assert_eq!(pcrs(&facts), pcrs(&expected));
        }
    }
}

#[test]
fn what_a_report_lacks_is_named() {
    for guest in guests() {
        let missing = |files: &Files| match files.judge(&guest) {
            Err(Error::Missing { kind: Kind::HclReport, missing }) => missing,
            other => panic!("{other:?}"),
        };
        let unquoted = Files { vtpm_quote: None, ..Files::of(&guest) };
        assert_eq!(missing(&unquoted), Missing::VtpmQuote);
        let message = Some(guest.quote(NONCE).unwrap().message);
        assert_eq!(missing(&Files { vtpm_quote: message, ..Files::of(&guest) }), Missing::Signature);
        if guest.td_quote().unwrap().is_some() {
            assert_eq!(missing(&Files { td_quote: None, ..Files::of(&guest) }), Missing::TdQuote);
        }
    }
}

#[test]
fn quotes_of_another_guest_are_refused() {
    for (ours, theirs) in guests().iter().zip(guests()) {
        let other_vtpm = Files { vtpm_quote: Files::of(&theirs).vtpm_quote, ..Files::of(ours) };
        assert_eq!(refusal(other_vtpm.judge(ours)), "quote-signature");
    }
    let site = site();
    let [ours, theirs] = ["ours", "theirs"].map(|name| tdx_guest(&site, name, QuoteFormat::V4));
    let other_td = Files { td_quote: theirs.td_quote().unwrap(), ..Files::of(&ours) };
    assert_eq!(refusal(other_td.judge(&ours)), "hcl-binding");
}

#[test]
fn a_file_that_would_not_be_looked_at_is_refused() {
    let guest = snp_guest(&platform());
    let quote = guest.quote(NONCE).unwrap();
    let signed_twice = Files { signature: Some(quote.signature), ..Files::of(&guest) };
    let error = signed_twice.judge(&guest).unwrap_err();
    assert_eq!(error, Error::Unused { kind: Kind::TpmQuote, beside: Beside::Signature });
    let document = guest.evidence(NONCE).unwrap().to_json().unwrap();
    let error = Files::of(&guest).request().verify(document.as_bytes()).unwrap_err();
    assert_eq!(error, Error::Unused { kind: Kind::AzVtpm, beside: Beside::VtpmQuote });
}
