//! The worst that somebody could send: what is as small as its format lets it be, as often as fits; what nests as deep as it is long; what states
//! another length than it has; and what is wrong all along.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sealwright_wire::{
    cca, jws, kbs::Message as _, nitro, nvidia, ratls, receipt, reference, sealed, tcg2::event_type,
};

/// How long an input is, where its format has no lower limit.
const SIZE: usize = 128 << 10;

/// What of a document is hostile: its name, and what it is repeated of.
const SMALL: [(&str, &str); 6] = [
    ("numbers", "0"),
    ("lists", "[]"),
    ("objects", r#"{"":0}"#),
    ("texts", r#""""#),
    ("lists in lists", "[[[[[[[[]]]]]]]]"),
    ("escaped letters", r#""\u0041""#),
];

/// An input, and which parsers take it: without them it would not be known whether any of them read it to its end.
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) taken_by: &'static [&'static str],
}

fn input(name: impl Into<String>, bytes: impl Into<Vec<u8>>, taken_by: &'static [&'static str]) -> Input {
    Input { name: name.into(), bytes: bytes.into(), taken_by }
}

/// `head`, so many of `item` that the whole has `size` bytes, with `between` between them, and `tail`.
fn many(size: usize, head: &[u8], item: &[u8], between: &[u8], tail: &[u8]) -> Vec<u8> {
    let times = (size - head.len() - tail.len()) / (item.len() + between.len());
    [head, &vec![item; times].join(between), tail].concat()
}

/// As [`many`], with an item that is told its number.
fn numbered(size: usize, head: &str, item: impl Fn(usize) -> String, tail: &str) -> Vec<u8> {
    let mut text = head.to_owned();
    for number in 0.. {
        let item = item(number);
        if text.len() + item.len() + tail.len() + 1 > size {
            break;
        }
        if number > 0 {
            text.push(',');
        }
        text.push_str(&item);
    }
    (text + tail).into_bytes()
}

/// `text` with a list of small values in place of its `@`.
fn stuffed(text: &str, item: &str, size: usize) -> Vec<u8> {
    let (head, tail) = text.split_once('@').expect("a place");
    many(size, format!("{head}[").as_bytes(), item.as_bytes(), b",", format!("]{tail}").as_bytes())
}

/// All of them.
pub(crate) fn all() -> Vec<Input> {
    [noise(), json(), collateral(), tokens(), evidence(), cbor(), der(), firmware(), ima(), canonical()]
        .into_iter()
        .flatten()
        .collect()
}

/// What is of no format, and opens, ends or announces something with each byte.
fn noise() -> Vec<Input> {
    let bytes = [0x00, 0x0a, 0x20, 0x30, 0x3a, 0x5b, 0x7b, 0x7f, 0x81, 0x9f, 0xa1, 0xbf, 0xc0, 0xff];
    let all_one = bytes.map(|byte| input(format!("nothing but {byte:#04x}"), vec![byte; SIZE], &[]));
    let pairs: [&[u8]; 4] = [&[0x82, 0x9f], b"{\"\":", &[0x30, 0x80], &[0x9f, 0x82, 0xbf, 0x00]];
    let repeated = pairs.map(|pair| input(format!("nothing but {}", pair.escape_ascii()), pair.repeat(SIZE / 4), &[]));
    all_one.into_iter().chain(repeated).collect()
}

/// JSON of no kind in particular, and texts where a number should be, which an error would have to say.
fn json() -> Vec<Input> {
    let mut inputs = Vec::new();
    for (name, item) in SMALL {
        inputs.push(input(format!("{name} in an unknown member"), stuffed(r#"{"x":@}"#, item, SIZE), &[]));
        inputs.push(input(format!("{name} without an object"), stuffed("@", item, SIZE), &[]));
    }
    for member in
        ["version", "tee", "alg", "keys", "id", "pcrs", "ak_public", "cert_chain", "evidence", "nonce", "domain"]
    {
        let letters = "\u{7f}".repeat(SIZE);
        inputs.push(input(format!("a long {member}"), format!(r#"{{"{member}":"{letters}"}}"#), &[]));
    }
    let members = numbered(SIZE, "{", |number| format!(r#""{number:x}":0"#), "}");
    inputs.push(input("members", members, &[]));
    inputs
}

const QE_IDENTITY: &str = r#"{"id":"QE","version":2,"issueDate":"2026-01-01T00:00:00Z","nextUpdate":"2026-01-01T00:00:00Z","tcbEvaluationDataNumber":1,"miscselect":"00000000","miscselectMask":"00000000","attributes":"00000000000000000000000000000000","attributesMask":"00000000000000000000000000000000","mrsigner":"0000000000000000000000000000000000000000000000000000000000000000","isvprodid":1,"tcbLevels":["#;
const TCB_INFO: &str = r#"{"id":"SGX","version":3,"issueDate":"2026-01-01T00:00:00Z","nextUpdate":"2026-01-01T00:00:00Z","fmspc":"000000000000","pceId":"0000","tcbType":0,"tcbEvaluationDataNumber":1,"tcbLevels":["#;
/// The last levels that a document may have.
const LEVELS: usize = 1024;

fn collateral() -> Vec<Input> {
    let signature = "00".repeat(64);
    let signed = |member: &str| format!(r#"{{"{member}":{{}},"signature":"{signature}","x":@}}"#);
    let bundle = format!(
        r#"{{"pck_crl_issuer_chain":"","root_ca_crl":"","pck_crl":"","tcb_info_issuer_chain":"","tcb_info":"","tcb_info_signature":"{signature}","qe_identity_issuer_chain":"","qe_identity":"","qe_identity_signature":"{signature}","x":@}}"#
    );
    let qve = format!(
        r#"{{"root_ca_crl":"","qve_identity_issuer_chain":"","qve_identity":"","qve_identity_signature":"{signature}","x":@}}"#
    );
    let component = r#"{"svn":0}"#;
    let tcb = format!(r#"{{"pcesvn":0,"sgxtcbcomponents":[{}]}}"#, [component; 16].join(","));
    let tdx = format!(r#"{{"pcesvn":0,"sgxtcbcomponents":[{0}],"tdxtcbcomponents":[{0}]}}"#, [component; 16].join(","));
    let dated = |tcb: &str, rest: &str| format!(r#"[{tcb},"2026-01-01T00:00:00Z","Revoked"{rest}]"#);
    let levels = |level: &str, times: usize| format!("{TCB_INFO}{}]}}", vec![level; times].join(","));
    let mut inputs = Vec::new();
    for (name, level) in [
        ("levels", dated(&tcb, "")),
        ("levels with TDX", dated(&tdx, "")),
        ("levels with an advisory", dated(&tcb, r#",[""]"#)),
        ("levels with five advisories", dated(&tcb, r#",["","","","",""]"#)),
    ] {
        inputs.push(input(format!("TCB info: {name}"), levels(&level, LEVELS / 2 + 1), &["collateral TCB info"]));
        inputs.push(input(format!("TCB info: all {name}"), levels(&level, LEVELS), &["collateral TCB info"]));
    }
    let listed = dated("[0,null,null,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]", "");
    inputs.push(input("TCB info: levels as lists", levels(&listed, LEVELS), &[]));
    let advisories = dated(&tcb, &format!(",[{}]", [r#""""#; 256].join(",")));
    inputs.push(input("TCB info: advisories", levels(&advisories, 256), &["collateral TCB info"]));
    let endless = stuffed(&format!("{TCB_INFO}{}]}}", dated(&tcb, ",@")), r#""""#, SIZE);
    inputs.push(input("TCB info: advisories without end", endless, &[]));
    let module = r#"{"id":"","mrsigner":"","attributes":"","attributesMask":"","tcbLevels":[]}"#;
    let modules = stuffed(&format!(r#"{TCB_INFO}],"tdxModuleIdentities":@}}"#), module, SIZE);
    inputs.push(input("TCB info: modules", modules, &[]));
    let module = format!(
        r#"{{"id":"","mrsigner":"{}","attributes":"{1}","attributesMask":"{1}","tcbLevels":[[[0],"2026-01-01T00:00:00Z","Revoked"]]}}"#,
        "00".repeat(48),
        "00".repeat(8)
    );
    let modules = vec![module; LEVELS].join(",");
    let modules = format!(r#"{TCB_INFO}],"tdxModuleIdentities":[{modules}]}}"#);
    inputs.push(input("TCB info: all modules", modules, &["collateral TCB info"]));
    let levels = vec![dated("[0]", ""); LEVELS].join(",");
    inputs.push(input("QE identity: levels", format!("{QE_IDENTITY}{levels}]}}"), &["collateral QE identity"]));
    for (name, item) in SMALL {
        let tcb_info = stuffed(&format!(r#"{TCB_INFO}],"x":@}}"#), item, SIZE);
        inputs.push(input(format!("TCB info: {name}"), tcb_info, &["collateral TCB info"]));
        let identity = stuffed(&format!(r#"{QE_IDENTITY}],"x":@}}"#), item, SIZE);
        inputs.push(input(format!("QE identity: {name}"), identity, &["collateral QE identity"]));
        let tcb_info = stuffed(&signed("tcbInfo"), item, SIZE);
        inputs.push(input(format!("signed TCB info: {name}"), tcb_info, &["collateral TCB info, signed"]));
        let identity = stuffed(&signed("enclaveIdentity"), item, SIZE);
        inputs.push(input(format!("signed identity: {name}"), identity, &["collateral QE identity, signed"]));
        inputs.push(input(format!("bundle: {name}"), stuffed(&bundle, item, SIZE), &["collateral bundle"]));
        inputs.push(input(format!("QvE: {name}"), stuffed(&qve, item, SIZE), &["collateral of the QvE"]));
        let amd = stuffed(r#"{"cert_chain":"","x":@}"#, item, SIZE);
        inputs.push(input(format!("AMD's bundle: {name}"), amd, &["snp bundle"]));
    }
    let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    inputs.push(input("PEM: eight certificates", pem.repeat(8), &["collateral PEM"]));
    inputs.push(input("PEM: certificates", pem.repeat(SIZE / pem.len()), &[]));
    let lines = many(SIZE, &pem.as_bytes()[..28], &[b'A'; 64], b"\n", b"\nAA==\n-----END CERTIFICATE-----\n");
    inputs.push(input("PEM: one long certificate", lines, &["collateral PEM"]));
    inputs
}

/// Tokens, receipts, reference values, and what the key protocol and the exchange of evidence send.
fn tokens() -> Vec<Input> {
    let mut inputs = Vec::new();
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let header = part(br#"{"alg":"ES256"}"#);
    for (name, item) in SMALL {
        let claims = stuffed(r#"{"x":@}"#, item, jws::MAX_COMPACT * 3 / 4 - 1024);
        inputs.push(input(format!("token: {name}"), format!("{header}.{}.AA", part(&claims)), &[]));
        let long = stuffed(r#"{"alg":"ES256","x":@}"#, item, jws::MAX_HEADER);
        inputs.push(input(format!("token's header: {name}"), long.clone(), &[]));
        inputs.push(input(format!("token with a header: {name}"), format!("{}..AA", part(&long)), &[]));
        inputs.push(input(
            format!("receipt: {name}"),
            stuffed(r#"{"version":1,"x":@}"#, item, receipt::MAX_CLAIMS),
            &[],
        ));
        for (member, rest) in [
            ("profile", r#""inputs":[],"values":{}"#),
            ("inputs", r#""profile":{},"values":{}"#),
            ("values", r#""inputs":[],"profile":{}"#),
            ("taken_from_log", r#""inputs":[],"profile":{},"values":{}"#),
        ] {
            let values =
                stuffed(&format!(r#"{{"version":1,"tee":"tdx",{rest},"{member}":@}}"#), item, reference::MAX_FILE);
            inputs.push(input(format!("reference values: {name} as {member}"), values, &[]));
        }
    }
    // What costs as much as it may.
    let dear = numbered(4 << 10, "{", |number| format!(r#""{number}":"0123456789""#), "}");
    inputs.push(input("a claim set of members", dear, &["jws object"]));
    let dear = many(
        64 << 10,
        br#"{"x":["#,
        br#"{"":"0123456789012345678901234567890123456789012345678901234567890123456789"}"#,
        b",",
        b"]}",
    );
    inputs.push(input("a claim set of objects", dear.clone(), &["jws object"]));
    inputs.push(input("a token of objects", format!("{header}.{}.AA", part(&dear)), &["jws"]));
    let dear = many(8 << 10, br#"{"alg":"ES256","x":["#, br#""012345678901234567890123456789""#, b",", b"]}");
    inputs.push(input("a header of texts", dear, &["jws header"]));
    let claims = |head: &str, item: fn(usize) -> String| {
        numbered(reference::MAX_FILE, &format!(r#"{{"version":1,"tee":"tdx","inputs":[],{head}"#), item, "}}")
    };
    let profile = claims(r#""values":{},"profile":{"#, |number| format!(r#""{number:x}":"""#));
    inputs.push(input("reference values: a long profile", profile, &[]));
    let values = claims(r#""profile":{},"values":{"#, |number| format!(r#""{number:x}":[""]"#));
    inputs.push(input("reference values: many claims", values, &[]));
    let prelude = |json: &[u8]| {
        let length = u32::try_from(json.len()).unwrap().to_le_bytes();
        [&sealed::MAGIC[..], &1u16.to_le_bytes(), &length, json].concat()
    };
    for (name, item) in SMALL {
        inputs.push(input(
            format!("sealed: {name}"),
            prelude(&stuffed(r#"{"name":@}"#, item, sealed::MAX_HEADER)),
            &[],
        ));
    }
    let name = "\u{7f}".repeat(sealed::MAX_HEADER - 400);
    let named = format!(
        r#"{{"chunk_size":65536,"cleartext_len":0,"file_id":"{}","key":"kbs:///a/b/c","kind":"k","name":"{name}","version":1}}"#,
        "00".repeat(32)
    );
    inputs.push(input("sealed: a long name", prelude(named.as_bytes()), &[]));
    let response = stuffed(r#"{"evidence":"","x":@}"#, "0", ratls::AttestResponse::LIMIT);
    inputs.push(input("exchange: numbers", response, &[]));
    let response = format!(r#"{{"evidence":"{}"}}"#, "AAAA".repeat(SIZE));
    inputs.push(input("exchange: evidence", response, &["ratls response"]));
    inputs
}

/// Documents and files of TPMs, Azure's guests, Arm's platforms and GPUs.
fn evidence() -> Vec<Input> {
    let mut inputs = Vec::new();
    for (name, item) in SMALL {
        let tpm = stuffed(r#"{"ak_public":"","tpm_quote":{"signature":"","message":"","pcrs":@}}"#, item, SIZE);
        inputs.push(input(format!("TPM evidence: {name}"), tpm, &[]));
        let dump = r#"{"Static":{},"AK":{"Public":""},"Quote":{"Quote":"","Signature":""},"Log":{"Raw":"","PCRs":@}}"#;
        inputs.push(input(format!("TPM dump: {name}"), stuffed(dump, item, SIZE), &[]));
        for (member, text) in [
            ("the report", r#"{"hcl_report":@}"#),
            ("the message", r#"{"hcl_report":"","tpm_quote":{"message":@}}"#),
            ("the registers", r#"{"hcl_report":"","tpm_quote":{"message":"","signature":"","pcrs":@}}"#),
            ("one register", r#"{"hcl_report":"","tpm_quote":{"message":"","signature":"","pcrs":[@]}}"#),
        ] {
            inputs.push(input(format!("vTPM evidence: {name} as {member}"), stuffed(text, item, SIZE), &[]));
        }
        for (member, text) in [
            ("keys", r#"{"keys":@}"#),
            ("operations", r#"{"keys":[{"kid":"","key_ops":@}]}"#),
            ("all", r#"{"vm-configuration":{"x":@}}"#),
        ] {
            inputs.push(input(format!("runtime claims: {name} as {member}"), stuffed(text, item, SIZE), &[]));
        }
    }
    let registers = format!("[{}]", vec![format!(r#""{}""#, "00".repeat(32)); 24].join(","));
    let numbers = many(SIZE, b"[", b"0", b",", b"]");
    let vtpm = format!(
        r#"{{"hcl_report":{0},"tpm_quote":{{"message":{0},"signature":"","pcrs":{registers}}}}}"#,
        String::from_utf8(numbers).unwrap()
    );
    inputs.push(input("vTPM evidence of numbers", vtpm, &["hcl evidence"]));
    let key = r#"{"kid":"","key_ops":[],"kty":"","e":"","n":""}"#;
    inputs.push(input("runtime claims: small keys", stuffed(r#"{"keys":@}"#, key, SIZE), &[]));
    inputs.push(input("runtime claims: keys as lists", stuffed(r#"{"keys":@}"#, r#"["",[],"","",""]"#, SIZE), &[]));
    let entry = format!(
        r#"{{"pkey":{{"kty":"EC","crv":"P-256","x":"{0}","y":"{0}"}},"implementation-id":"{1}","instance-id":"{1}00"}}"#,
        "A".repeat(43),
        "00".repeat(32)
    );
    inputs.push(input("CCA store", stuffed("@", &entry, SIZE), &["cca store"]));
    let listed = format!(r#"[["EC","P-256","{0}","{0}"],"{1}","{1}00"]"#, "A".repeat(43), "00".repeat(32));
    inputs.push(input("CCA store of lists", stuffed("@", &listed, SIZE), &["cca store"]));
    inputs.push(input("PCR YAML: banks", "sha1:\n".repeat(SIZE / 6), &[]));
    let line = format!("0: 0x{}\n", "0".repeat(SIZE));
    inputs.push(input("PCR YAML: a long value", format!("sha1:\n{line}"), &[]));
    inputs.push(input("PCR YAML: a long line", format!("sha1:\n{}\n", "\u{7f}".repeat(SIZE)), &[]));
    let entry = |number: usize| {
        [&u128::try_from(number + 1).unwrap().to_le_bytes()[..], &1560u32.to_le_bytes(), &[0; 4]].concat()
    };
    let table = |entries: usize| [(0..entries).flat_map(entry).collect(), vec![0; 24]].concat();
    inputs.push(input("SNP certificates", table(64), &["snp certificates"]));
    inputs.push(input("SNP certificates without end", table(SIZE / 24), &[]));
    let builder = |fields: u16, blocks: u8| {
        let fields =
            (0..fields).map(|kind| nvidia::Field { kind: nvidia::FieldKind::from_number(kind), data: &[] }).collect();
        let blocks = (1..=blocks).map(|index| nvidia::Block { index, value_type: 0, value: &[] }).collect();
        let builder = nvidia::Builder { request: nvidia::Request::new([0; 32]), blocks, nonce: [0; 32], fields };
        builder.encode(|_| [0; nvidia::SIGNATURE_LEN]).unwrap()
    };
    inputs.push(input("GPU report", builder(128, 255), &["nvidia report"]));
    inputs.push(input("GPU report: fields without end", builder(16_000, 0), &[]));
    inputs
}

/// One item of CBOR that is no smaller than its length, in the hope that somebody passes over it.
fn nested() -> Vec<(&'static str, Vec<u8>)> {
    let flat = [&[0x9f][..], &vec![0; SIZE], &[0xff]].concat();
    let text = [&[0x7f][..], &vec![0x60; SIZE], &[0xff]].concat();
    let within = [vec![0x9f; 31], vec![0; SIZE], vec![0xff; 31]].concat();
    vec![
        ("lists without end", vec![0x9f; SIZE]),
        ("lists of one", vec![0x81; SIZE]),
        ("lists of two without end", [0x82, 0x9f].repeat(SIZE / 2)),
        ("maps without end", [0xbf, 0x00].repeat(SIZE / 2)),
        ("tags", [vec![0xc0; SIZE], vec![0]].concat()),
        ("a count of all", [vec![0x9b; 1], vec![0xff; 8], vec![0; SIZE]].concat()),
        ("numbers", flat),
        ("pieces of text", text),
        ("numbers in lists", within),
    ]
}

fn cbor() -> Vec<Input> {
    let mut inputs = Vec::new();
    for (name, item) in nested() {
        let signed = [&[0x84, 0x43, 0xa1, 0x01, 0x26, 0xa1, 0x18, 0x63], &item[..], &[0x40, 0x41, 0]].concat();
        let is_whole = matches!(name, "tags" | "numbers" | "pieces of text" | "numbers in lists");
        inputs.push(input(format!("COSE: {name}"), signed, if is_whole { &["cose message"] } else { &[] }));
        let key = [
            &[0xa5, 0x18, 0x63],
            &item[..],
            &[0x01, 0x02, 0x20, 0x01, 0x21, 0x58, 32],
            &[0; 32],
            &[0x22, 0x58, 32],
            &[0; 32],
        ];
        inputs.push(input(format!("COSE key: {name}"), key.concat(), if is_whole { &["cose key"] } else { &[] }));
        let hash = [&[0x82, 0x01, 0x58, 32][..], &[0; 32]].concat();
        let claims = [&[0xa2, 0x61, b'x'], &item[..], &[0x6b], b"pubkey-hash", &[0x58, 36], &hash];
        inputs.push(input(format!("claims: {name}"), claims.concat(), if is_whole { &["ratls claims"] } else { &[] }));
        for (kind, limit) in [("Nitro", nitro::MAX_DOCUMENT), ("CCA", cca::MAX_TOKEN)] {
            let item = &item[..limit - 64];
            let length = u16::try_from(item.len() + 3).unwrap().to_be_bytes();
            let payload = [&[0xa1, 0x61, b'x'], item].concat();
            let signed =
                [&[0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0, 0x59], &length[..], &payload, &[0x41, 0]].concat();
            inputs.push(input(format!("{kind}: {name}"), signed.clone(), &["cose message"]));
            let collection = [&[0xd9, 0x01, 0x8f, 0xa1, 0x19, 0xac, 0xca, 0x59], &length[..], &payload].concat();
            inputs.push(input(format!("{kind} in a collection: {name}"), collection, &[]));
        }
        let record = [&[0xa4, 0x01, 0x00, 0x03, 0xa0, 0x04, 0x00, 0x61, b'x'], &item[..]].concat();
        inputs.push(input(format!("CEL-CBOR: {name}"), record, if is_whole { &["cel"] } else { &[] }));
    }
    let bundle = |item: &[u8]| {
        many(
            nitro::MAX_DOCUMENT - 64,
            &[0xa1, 0x68, b'c', b'a', b'b', b'u', b'n', b'd', b'l', b'e', 0x9f],
            item,
            b"",
            b"",
        )
    };
    for item in [&[0x40][..], &[0x41, 0]] {
        let payload = bundle(item);
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        let signed = [&[0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0, 0x59], &length[..], &payload, &[0x41, 0]].concat();
        inputs.push(input("Nitro: a bundle of nothing", signed, &["cose message"]));
    }
    inputs
}

/// A value of DER with its tag and length.
fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).unwrap().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    match value.len() {
        short @ 0..128 => [&[tag, u8::try_from(short).unwrap()], value].concat(),
        _ => [&[tag, 0x80 | u8::try_from(length.len()).unwrap()], &length[..], value].concat(),
    }
}

fn der() -> Vec<Input> {
    let mut deep = Vec::new();
    while deep.len() < 32 << 10 {
        deep = tlv(0x30, &deep);
    }
    let pairs = tlv(0x30, &[0x30, 0x05, 0x06, 0x01, 0x2a, 0x05, 0x00].repeat(SIZE / 7));
    let empty = tlv(0x30, &[0x30, 0x00].repeat(SIZE / 2));
    let numbers = tlv(0x30, &[0x02, 0x01, 0x00].repeat(SIZE / 3));
    let long = tlv(0x30, &[tlv(0x02, &vec![0x7f; SIZE]), tlv(0x02, &vec![0x7f; SIZE])].concat());
    let text = tlv(0x16, &vec![b'a'; SIZE]);
    let extension = tlv(0x30, &[tlv(0x06, &[0x2a]), tlv(0x04, &[])].concat());
    let extensions = tlv(0xa3, &tlv(0x30, &extension.repeat(8 << 10)));
    let (algorithm, key) = (tlv(0x30, &tlv(0x06, &[0x2a])), tlv(0x03, &[0, 0]));
    let fields = [tlv(0x02, &[1]), algorithm.clone(), tlv(0x30, &[]), tlv(0x30, &[]), tlv(0x30, &[])].concat();
    let info = tlv(0x30, &[algorithm.clone(), key.clone()].concat());
    let signed = tlv(0x30, &[fields, info, extensions].concat());
    let certificate = tlv(0x30, &[signed, algorithm, key].concat());
    vec![
        input("DER: deep", deep, &[]),
        input("DER: pairs", pairs, &[]),
        input("DER: nothing", empty, &[]),
        input("DER: numbers", numbers, &[]),
        input("DER: two long numbers", long, &["tpm ECDSA"]),
        input("DER: a long text", text, &[]),
        input("DER: extensions", certificate, &["ratls certificate"]),
    ]
}

/// A record of a crypto-agile log whose one bank has digests of a byte.
fn record(event_type: u32, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_le_bytes();
    [&[0; 4], &event_type.to_le_bytes()[..], &[1, 0, 0, 0, 0x77, 0x77, 1], &length, data].concat()
}

/// A log of these records behind a header.
fn log(records: &[u8]) -> Vec<u8> {
    let spec_id = [b"Spec ID Event03\0", &[0, 0, 0, 0, 0, 2, 0, 2, 1, 0, 0, 0, 0x77, 0x77, 1, 0, 0][..]].concat();
    let length = u32::try_from(spec_id.len()).unwrap().to_le_bytes();
    [&[0; 4], &event_type::EV_NO_ACTION.to_le_bytes()[..], &[0; 20], &length, &spec_id, records].concat()
}

fn firmware() -> Vec<Input> {
    use event_type::*;
    let mut inputs = vec![input("TCG2: records", log(&record(EV_ACTION, &[]).repeat(SIZE / 19)), &["tcg2"])];
    let old = [&1u32.to_le_bytes()[..], &EV_ACTION.to_le_bytes(), &[1; 20], &[0; 4]].concat();
    inputs.push(input("TPM 1.2: records", old.repeat(SIZE / 32), &["tcg12", "tcg2"]));
    let node = |kind: u8, sub_kind: u8, data: &[u8]| {
        [&[kind, sub_kind][..], &u16::try_from(data.len() + 4).unwrap().to_le_bytes(), data].concat()
    };
    let mut paths = vec![
        ("pieces", node(0x7f, 1, &[]).repeat(SIZE / 4)),
        ("nodes of no kind", node(255, 255, &[]).repeat(SIZE / 4)),
    ];
    let kinds = (1..6).flat_map(|kind| (0..16).map(move |sub_kind| node(kind, sub_kind, &[])));
    paths.push(("nodes of every kind", kinds.collect::<Vec<_>>().concat().repeat(SIZE / 320)));
    let full = (1..6).flat_map(|kind| (0..32).map(move |sub_kind| node(kind, sub_kind, &[0xff; 40])));
    paths.push(("nodes with data", full.collect::<Vec<_>>().concat().repeat(SIZE / 7040)));
    paths.push(("names", node(4, 4, &[0xff; 2]).repeat(SIZE / 6)));
    for (kind, sub_kind) in (1..6u8).flat_map(|kind| (0..32u8).map(move |sub_kind| (kind, sub_kind))) {
        for length in [0, 2, 20, 38] {
            paths.push(("one kind", node(kind, sub_kind, &vec![0xff; length]).repeat((4 << 10) / (4 + length))));
        }
    }
    for (name, path) in paths {
        let image = [&[0xff; 24][..], &(path.len() as u64).to_le_bytes(), &path].concat();
        let option = [&[0, 0, 0, 0, 0xff, 0xff, 0, 0], &path[..]].concat();
        if name != "one kind" {
            let of_log = log(&record(EV_EFI_BOOT_SERVICES_APPLICATION, &image));
            inputs.push(input(format!("an image from a path of {name}"), of_log, &["tcg2"]));
            inputs.push(input(format!("an option with a path of {name}"), option, &["uefi load option"]));
        }
        inputs.push(input(format!("a path of {name}"), path, &["uefi device path"]));
    }
    let no_text = vec![0xff; SIZE];
    let variable = [&[0; 16], &(SIZE as u64 / 2).to_le_bytes()[..], &[0; 8], &no_text].concat();
    inputs.push(input("a variable with a long name", variable.clone(), &["tcg2 variable"]));
    let lone = [0x00, 0xd8].repeat(SIZE / 2);
    inputs.push(input("text of half a character each", lone, &["uefi text"]));
    let wide: Vec<u8> = ".\u{e9}".repeat(SIZE / 4).encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, event_type, data) in [
        ("a long variable", EV_EFI_VARIABLE_BOOT, variable),
        ("a long section", EV_IPL, wide),
        ("a long command", EV_IPL, [b"grub_cmd: ".to_vec(), vec![0x7f; SIZE]].concat()),
        ("a long action", EV_EFI_ACTION, vec![b'a'; SIZE]),
        (
            "a long tag",
            EV_EVENT_TAG,
            [&0x4141_454c_u32.to_le_bytes()[..], &(16u32 << 10).to_le_bytes(), &[0x7f; 16 << 10]].concat(),
        ),
    ] {
        inputs.push(input(format!("TCG2: {name}"), log(&record(event_type, &data)), &["tcg2"]));
    }
    let event = |text: &[u8]| {
        let length = u32::try_from(text.len()).unwrap().to_le_bytes();
        [&0x4141_454c_u32.to_le_bytes()[..], &length, text].concat()
    };
    let words = [b"a b ", &vec![b'c'; (16 << 10) - 4][..]].concat();
    inputs.push(input("a runtime event", event(&words), &["aael"]));
    inputs.push(input("a runtime event of one word", event(&[0x7f; 16 << 10]), &[]));
    inputs.push(input("a runtime event that steers", event(&[b"a b ", &[0x7f; (16 << 10) - 4][..]].concat()), &[]));
    let text = "\u{7f}".repeat(SIZE);
    inputs.push(input(
        "a runtime event in JSON",
        format!(r#"{{"domain":"a","operation":"b","content":"{text}"}}"#),
        &[],
    ));
    let lists = |size: u32| {
        [&[0; 16][..], &(28 + size).to_le_bytes(), &[0; 4], &16u32.to_le_bytes(), &vec![0; size as usize]].concat()
    };
    inputs.push(input("small lists of signatures", lists(16).repeat(SIZE / 44), &["uefi signatures"]));
    inputs.push(input("small signatures", lists(16 << 10), &["uefi signatures"]));
    let table = |entries: u64| {
        let mut header = vec![0; 92];
        header[84..88].copy_from_slice(&128u32.to_le_bytes());
        [header, entries.to_le_bytes().to_vec(), vec![0xff; 128 * 2000]].concat()
    };
    inputs.push(input("partitions", table(2000), &["uefi partitions"]));
    inputs.push(input("more partitions than there are", table(u64::MAX), &[]));
    inputs
}

fn ima() -> Vec<Input> {
    let ascii = |digest: usize, rest: &str| format!("0 {} {rest}\n", "0".repeat(2 * digest));
    let wide = ["n"; 16].join("|");
    let binary = |template: &str, data: &[u8]| {
        let length = |len: usize| u32::try_from(len).unwrap().to_le_bytes();
        [&[1, 0, 0, 0][..], &[1; 20], &length(template.len()), template.as_bytes(), &length(data.len()), data].concat()
    };
    let lines = |line: String| line.repeat(SIZE / line.len());
    vec![
        input("IMA: lines", lines(ascii(20, "n ")), &["ima", "ima ASCII"]),
        input(
            "IMA: lines of many fields",
            lines(ascii(20, &format!("{wide} {}", " ".repeat(15)))),
            &["ima", "ima ASCII"],
        ),
        input("IMA: one long path", ascii(20, &format!("n-ng {}", "\u{7f}".repeat(SIZE))), &["ima", "ima ASCII"]),
        input("IMA: one long signature", ascii(20, &format!("sig {}", "00".repeat(SIZE / 2))), &["ima", "ima ASCII"]),
        input("IMA: a long word that is no hex", [b"0 ".to_vec(), vec![0xff; SIZE], b" n \n".to_vec()].concat(), &[]),
        input("IMA: a long template of nothing", ascii(20, &"|".repeat(SIZE)), &[]),
        input("IMA: records", binary("n", &[0; 4]).repeat(SIZE / 37), &["ima", "ima binary, SHA-1"]),
        input("IMA: records of many fields", binary(&wide, &[0; 64]).repeat(SIZE / 127), &["ima", "ima binary, SHA-1"]),
        input("IMA: a record of many fields of nothing", binary(&["n"; 1000].join("|"), &[]), &[]),
    ]
}

fn canonical() -> Vec<Input> {
    let value =
        |kind: u8, value: &[u8]| [&[kind][..], &u32::try_from(value.len()).unwrap().to_be_bytes(), value].concat();
    let record = [value(0, &[0]), value(1, &[0]), value(3, &[]), value(9, &[])].concat();
    let digests: Vec<u8> = (64..80).flat_map(|algorithm| value(algorithm, &[0])).collect();
    let banks = [value(0, &[0]), value(1, &[0]), value(3, &digests), value(9, &[])].concat();
    let listed = r#"[null,0,null,[],"",0]"#;
    let object = r#"{"pcr":0,"digests":[],"content_type":"","content":0}"#;
    let sequence = |item: &str| format!("\u{1e}{item}").repeat(SIZE / (item.len() + 1));
    let digests = |item: &str| stuffed(r#"[[null,0,null,@,"",0]]"#, item, SIZE);
    let cbor = [0xa3, 0x01, 0x00, 0x03, 0xa0, 0x04, 0x00].repeat(SIZE / 7);
    let systemd = r#"{"pcr":0,"digests":[],"content_type":"systemd","content":{"string":""}}"#;
    vec![
        input("CEL-TLV: records", record.repeat(SIZE / record.len()), &["cel"]),
        input("CEL-TLV: records of many banks", banks.repeat(SIZE / banks.len()), &["cel"]),
        input("CEL-JSON: records", stuffed("@", object, SIZE), &["cel"]),
        input("CEL-JSON: records as lists", stuffed("@", listed, SIZE), &["cel"]),
        input("CEL-JSON: of systemd", stuffed("@", systemd, SIZE), &["cel"]),
        input("CEL-JSON: numbers", stuffed("@", "0", SIZE), &[]),
        input("CEL-JSON: digests", digests(r#"{"hashAlg":"","digest":""}"#), &[]),
        input("CEL-JSON: digests as lists", digests(r#"["",""]"#), &[]),
        input("CEL-JSON sequence: records", sequence(listed), &["cel"]),
        input("CEL-JSON sequence: nothing", sequence(" "), &["cel"]),
        input("CEL-CBOR: records", [vec![0x9f], cbor.clone(), vec![0xff]].concat(), &["cel"]),
        input("CEL-CBOR: records in no list", cbor, &["cel"]),
    ]
}
