//! A quote with the data that its enclave held, in every form in which it travels.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD},
};
use sealwright_evidence::Backend;
use sealwright_sim::{Enclave, Site, TdConfig, files, fixed_clock};
use sealwright_verify::any::{Error, Kind, Request, Root, Supplied};
use sealwright_wire::{
    Tee,
    quote::{Body, Quote},
    time::UnixTime,
};
use serde_json::{Value, json};

const NOW: UnixTime = UnixTime(1_795_132_800);
const DATA: &[u8] = b"a key of the enclave's";

/// A site, and a quote for [`DATA`] of an enclave on it.
fn quoted() -> (Site, Vec<u8>) {
    let site = Site::found(fixed_clock(NOW)).unwrap();
    let mut report_data = [0; 64];
    report_data[..32].copy_from_slice(digest(&SHA256, DATA).as_ref());
    let enclave = Enclave { mr_enclave: [0x11; 32], mr_signer: [0x22; 32], isv_prod_id: 3, isv_svn: 4, debug: false };
    let quote = site.sgx_quote(&enclave, &report_data).unwrap();
    (site, quote)
}

/// The quote behind the header of an Open Enclave report.
fn wrapped(quote: &[u8]) -> Vec<u8> {
    let size = (quote.len() as u64).to_le_bytes();
    [&1u32.to_le_bytes()[..], &2u32.to_le_bytes(), &size, quote].concat()
}

fn verify(site: &Site, evidence: &[u8]) -> Result<Vec<u8>, Error> {
    let mut supplied = Supplied::default();
    supplied.add(site.collateral(Tee::Sgx).unwrap().to_json().unwrap().as_bytes()).unwrap();
    let roots = vec![Root { name: "the site", bytes: site.root() }];
    let facts = Request { roots, ..Request::new(&supplied, NOW) }.verify(evidence)?;
    Ok(facts.report_data().to_vec())
}

/// The stable word of a refusal.
fn refusal(site: &Site, document: &Value) -> &'static str {
    match verify(site, document.to_string().as_bytes()) {
        Err(Error::Refused { error, .. }) => error.code(),
        other => panic!("{other:?}"),
    }
}

/// As the generators of Azure's samples write it.
fn generated(quote: &[u8]) -> Value {
    let parsed = Quote::parse(quote).unwrap();
    let Body::Sgx(body) = parsed.body else { panic!("a quote of SGX") };
    let product_id = u128::from(body.isv_prod_id.get());
    json!({
        "Type": 2, "MrEnclaveHex": hex::encode_upper(body.mr_enclave), "MrSignerHex": hex::encode_upper(body.mr_signer),
        "ProductIdHex": hex::encode(product_id.to_le_bytes()), "SecurityVersion": body.isv_svn.get(), "Attributes": 5,
        "QuoteHex": hex::encode_upper(quote), "EnclaveHeldDataHex": hex::encode_upper(DATA),
    })
}

#[test]
fn a_quote_is_believed_with_the_data_that_its_enclave_held() {
    let (site, quote) = quoted();
    let header = wrapped(&quote);
    let data = URL_SAFE_NO_PAD.encode(DATA);
    let documents = [
        generated(&quote),
        json!({ "Quote": URL_SAFE.encode(&header), "EnclaveHeldData": data }),
        json!({ "quote": URL_SAFE_NO_PAD.encode(&header), "runtimeData": { "data": data, "dataType": "Binary" } }),
        json!({ "quote": URL_SAFE_NO_PAD.encode(&quote), "runtimeData": { "data": data } }),
    ];
    for document in documents {
        let text = document.to_string();
        assert_eq!(Kind::of_text(text.as_bytes()).unwrap().0, Kind::HeldData, "{text}");
        let report_data = verify(&site, text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(report_data[..32], *digest(&SHA256, DATA).as_ref());
    }
}

#[test]
fn a_quote_behind_open_enclaves_header_is_a_quote() {
    let (site, quote) = quoted();
    let header = wrapped(&quote);
    for text in
        [header.clone(), hex::encode(&header).into(), STANDARD.encode(&header).into(), URL_SAFE.encode(&header).into()]
    {
        assert_eq!(Kind::of_text(&text), Some((Kind::Quote, quote.clone())));
        assert!(verify(&site, &text).is_ok());
    }
    // Of another length than the header says, it is nothing.
    let cut = &header[..header.len() - 1];
    assert_eq!(Kind::of_text(cut), None);
}

#[test]
fn other_data_and_other_words_are_refused() {
    let (site, quote) = quoted();
    let code = |document: &Value| refusal(&site, document);
    for (member, value, expected) in [
        ("EnclaveHeldDataHex", json!("00"), "held-data-mismatch"),
        ("MrEnclaveHex", json!("33".repeat(32)), "stated-of-another-quote"),
        ("MrSignerHex", json!("33".repeat(32)), "stated-of-another-quote"),
        // What no field of a quote holds.
        ("ProductIdHex", json!("03".repeat(16)), "stated-of-another-quote"),
        ("SecurityVersion", json!(0x1_0004), "stated-of-another-quote"),
    ] {
        let mut document = generated(&quote);
        document[member] = value;
        assert_eq!(code(&document), expected, "{member}");
    }
    // A quote that was changed behind its report data belongs to its data still, and is no quote.
    let mut changed = quote.clone();
    changed[48] ^= 1;
    let request = json!({ "Quote": URL_SAFE.encode(&changed), "EnclaveHeldData": URL_SAFE.encode(DATA) });
    assert_eq!(code(&request), "quote-signature");
}

/// What would not be looked at must not seem to have been.
#[test]
fn a_document_with_more_in_it_is_refused() {
    let (site, quote) = quoted();
    let mut document = generated(&quote);
    document["Nonce"] = json!("00");
    assert_eq!(refusal(&site, &document), "malformed-evidence");
}

#[test]
fn evidence_of_a_trust_domain_is_not_spoken_of_as_an_enclave() {
    let site = Site::found(fixed_clock(NOW)).unwrap();
    let td = site.boot(&TdConfig::new("td", files::generate("kernel"))).unwrap();
    let quote = td.evidence(&[0; 64]).unwrap().quote;
    let (_, of_sgx) = quoted();
    let mut document = generated(&of_sgx);
    document["QuoteHex"] = hex::encode(&quote).into();
    let Err(Error::Refused { error, .. }) = verify(&site, document.to_string().as_bytes()) else { panic!() };
    assert_eq!(error.code(), "stated-of-another-quote", "{error}");
}
