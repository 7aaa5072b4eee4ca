//! What reading hostile bytes costs in memory: a few times as much as was sent, whoever reads them and whatever is in them, never a hundred
//! times. A real file costs no more.

#[path = "support/counting.rs"]
mod counting;
#[path = "memory/inputs.rs"]
mod inputs;
#[path = "memory/parsers.rs"]
mod parsers;
mod support;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use counting::peak;
use inputs::Input;
use parsers::PARSERS;
use sealwright_wire::kbs::{Attestation, Message};
use sealwright_wire::{cca, collateral, hcl, ratls, tcg2, tpm};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// How many times its length an input may cost.
const TIMES: usize = 16;
/// What it may cost besides, in bytes: an error's words, a map's first node.
const BESIDES: usize = 4 << 10;

/// Reads an input with every parser, and gives the names of those that took it.
fn read_by_all(name: &str, bytes: &[u8], dearer: &mut Vec<String>) -> Vec<&'static str> {
    let mut taken_by = Vec::new();
    for (parser, read) in PARSERS {
        let (taken, most) = peak(|| read(bytes));
        if most > TIMES * bytes.len() + BESIDES {
            dearer.push(format!("{parser} holds {most} bytes for {} of {name}", bytes.len()));
        }
        if taken {
            taken_by.push(*parser);
        }
    }
    taken_by
}

#[test]
fn a_hostile_input_costs_at_most_sixteen_times_its_length_whoever_reads_it() {
    let (mut dearer, mut otherwise) = (Vec::new(), Vec::new());
    for Input { name, bytes, taken_by } in inputs::all() {
        let found = read_by_all(&name, &bytes, &mut dearer);
        if let Some(missing) = taken_by.iter().find(|parser| !found.contains(parser)) {
            otherwise.push(format!("{missing} refuses {name}"));
        }
    }
    assert!(dearer.is_empty(), "{}", dearer.join("\n"));
    assert!(otherwise.is_empty(), "{}", otherwise.join("\n"));
}

/// Every file below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// What bytes are if they are text in hex, in base64 or around a certificate, and what they hold if they are of a format that holds others.
fn inside(bytes: &[u8]) -> Vec<Vec<u8>> {
    let text: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let mut found: Vec<_> = [hex::decode(&text).ok(), STANDARD.decode(&text).ok()].into_iter().flatten().collect();
    found.extend(collateral::pem_chain("chain", bytes).into_iter().flatten());
    let signed = [collateral::Signed::tcb_info(bytes), collateral::Signed::qe_identity(bytes)];
    found.extend(signed.into_iter().flatten().map(|signed| signed.document.into()));
    if let Ok(certificate) = Certificate::from_der(bytes) {
        let extensions = certificate.tbs_certificate().extensions().into_iter().flatten();
        found.extend(extensions.map(|extension| extension.extn_value.as_bytes().to_vec()));
    }
    found.extend(ratls::TaggedEvidence::parse(bytes).map(|evidence| evidence.claims.to_vec()));
    found.extend(tpm::Evidence::from_json(bytes).map(|evidence| evidence.ak_public));
    let dump = tpm::dump::Dump::from_json(bytes);
    found.extend(dump.into_iter().flat_map(|dump| [dump.key.public, dump.quote.message, dump.log.raw]));
    found.extend(hcl::Evidence::from_json(bytes).map(|evidence| evidence.hcl_report));
    found.extend(hcl::Report::parse(bytes).map(|report| report.claims.to_vec()));
    found.extend(cca::Token::parse(bytes).map(|token| token.realm_claims.public_key.to_vec()));
    found.extend(tcg2::UefiVariable::parse(bytes).map(|variable| variable.data.to_vec()));
    let log = tcg2::Log::parse(bytes);
    found.extend(log.into_iter().flat_map(|log| log.events()).map(|event| event.data.to_vec()));
    found
}

/// Reads a file, what it holds, and what that holds; gives the names of the parsers that took any of it.
fn read_file(name: &str, bytes: &[u8], depth: usize, dearer: &mut Vec<String>) -> BTreeSet<&'static str> {
    let mut used: BTreeSet<_> = read_by_all(name, bytes, dearer).into_iter().collect();
    if depth > 0 {
        let inside = inside(bytes).into_iter().filter(|inner| !inner.is_empty());
        inside.for_each(|inner| used.extend(read_file(name, &inner, depth - 1, dearer)));
    }
    used
}

/// Parsers of what no public file is or holds: our own formats, and what is only ever sent.
const WITHOUT_FILES: &[&str] = &[
    "aael",
    "aael as JSON",
    "acpi TPM2",
    "cel",
    "collateral of the QvE",
    "cose key",
    "ima binary, SHA-256",
    "kbs attestation",
    "kbs challenge",
    "kbs error",
    "kbs response",
    "kbs token",
    "ratls request",
    "ratls response",
    "receipt",
    "reference",
    "sealed",
    "sealed prelude",
    "sev CA",
    "sgx",
    "snp bundle",
    "snp VEK",
    "time",
];

#[test]
fn a_real_file_costs_at_most_sixteen_times_its_length_whoever_reads_it() {
    let Some(vectors) = support::vectors() else { return };
    let (mut paths, mut dearer, mut used) = (Vec::new(), Vec::new(), BTreeSet::new());
    files(&vectors, &mut paths);
    for path in paths {
        used.extend(read_file(&path.display().to_string(), &fs::read(&path).unwrap(), 3, &mut dearer));
    }
    assert!(dearer.is_empty(), "{}", dearer.join("\n"));
    let unused: Vec<_> = PARSERS.iter().map(|(name, _)| *name).filter(|name| !used.contains(name)).collect();
    assert_eq!(unused, WITHOUT_FILES);
}

/// A message of the largest size in which one member is an array of as many `item`s as fit.
fn stuffed(item: &str, place: &str) -> Vec<u8> {
    let message = r#"{"init-data":null,"runtime-data":{"nonce":"n","tee-pubkey":{"kty":"EC","crv":"P-256","alg":"a","x":"","y":""KEY}},"tee-evidence":{"primary_evidence":EVIDENCE,"additional_evidence":""TEE}MESSAGE}"#;
    let times = (Attestation::LIMIT - 400) / (item.len() + 1);
    let array = format!("[{}]", vec![item; times].join(","));
    let fill = |text: &str, name: &str| {
        let value = if name == place { format!(r#","other":{array}"#) } else { String::new() };
        text.replace(name, &value)
    };
    let evidence = if place == "EVIDENCE" { array.as_str() } else { "{}" };
    let message = message.replace("EVIDENCE", evidence);
    ["KEY", "TEE", "MESSAGE"].iter().fold(message, |text, name| fill(&text, name)).into_bytes()
}

#[test]
fn an_attestation_costs_a_few_times_its_length_wherever_it_is_stuffed() {
    for place in ["EVIDENCE", "KEY", "TEE", "MESSAGE"] {
        for item in ["0", "[]", r#"{"":0}"#, r#""""#, "[[[[[[[[]]]]]]]]"] {
            let message = stuffed(item, place);
            assert!(message.len() <= Attestation::LIMIT);
            let (read, most) = peak(|| Attestation::from_json(&message));
            assert!(read.is_ok(), "{place} {item}");
            assert!(most < 3 * message.len(), "{place} {item}: {most} bytes for {}", message.len());
        }
    }
}
