//! `cargo xtask corpora`: what each fuzz target begins with, out of the public vectors and of what a demo keeps. A corpus is made where it is used
//! and not kept in the repository: most of it is other projects' data.

use anyhow::{Context, Result, ensure};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where to take them from.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// A directory that `sealwright demo --keep DIR` has filled.
    #[arg(long, value_name = "DIR")]
    kept: PathBuf,
    /// The public test vectors.
    #[arg(long, value_name = "DIR", env = "SEALWRIGHT_VECTORS", default_value = "../shared/vectors")]
    vectors: PathBuf,
}

/// The longest input, in bytes: longer ones cost a fuzzer more than they show.
const MAX_INPUT: usize = 200_000;
/// How deep JSON is searched for evidence in its texts.
const MAX_DEPTH: usize = 5;
/// The extension of PCK certificates with SGX's values (Intel SGX PCK Certificate and CRL Profile, 1.2.840.113741.1.13.1), in DER.
const SGX_EXTENSION: [u8; 12] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01, 0x04];

/// A target, and where inputs of its format lie.
struct Source {
    target: &'static str,
    /// Folders of the vectors.
    vectors: &'static [&'static str],
    /// How names of the demo's files end.
    kept: &'static [&'static str],
}

const fn source(target: &'static str, vectors: &'static [&'static str], kept: &'static [&'static str]) -> Source {
    Source { target, vectors, kept }
}

const SOURCES: [Source; 25] = [
    source("canonical_log", &["eventlog"], &["runtime.log"]),
    source("cca", &["cca"], &[]),
    source("certificate", &["quote", "snp", "nvidia", "ratls"], &[".der", ".pem"]),
    source("collateral", &["quote"], &["collateral.json"]),
    source("collateral_export", &[], &["simulated.json"]),
    source("csv", &["csv"], &[]),
    source("firmware_event", &["eventlog/ccel"], &["ccel.bin"]),
    source("hcl", &["vtpm"], &[]),
    source("ima", &["eventlog"], &[]),
    source("jws", &["appraise/tokens"], &[".jwt", ".jws"]),
    source("key_protocol", &["kbs", "cca"], &["evidence.json"]),
    source("nitro", &["appraise/nitro"], &[]),
    source("nvidia", &["nvidia"], &[]),
    source("policy", &["appraise"], &[]),
    source("quote", &["quote", "vtpm"], &["quote.bin"]),
    source("ratls", &["ratls"], &[]),
    source("receipt", &[], &["receipt.jws"]),
    source("reference", &[], &["reference.json", "td.json"]),
    source("runtime_event", &[], &["runtime.log"]),
    source("sealed", &[], &[".sealed"]),
    source("sev", &["snp/sev"], &[]),
    source("snp", &["snp", "vtpm"], &[]),
    source("tcg2", &["eventlog"], &["ccel.bin"]),
    source("token", &["appraise/tokens"], &[".jwt", ".jws"]),
    source("tpm", &["tpm-quote", "vtpm"], &[]),
];

/// Inputs, each once.
type Corpus = BTreeSet<Vec<u8>>;

/// Writes a corpus for each target into `fuzz/corpus`.
pub(crate) fn make(root: &Path, options: &Options) -> Result<()> {
    let write = |target: &str, corpus: &Corpus| {
        ensure!(!corpus.is_empty(), "nothing was found for the target {target}");
        let folder = root.join("fuzz/corpus").join(target);
        fs::create_dir_all(&folder)?;
        for (place, input) in corpus.iter().enumerate() {
            fs::write(folder.join(format!("seed-{place:05}")), input)?;
        }
        eprintln!("{target}: {} inputs", corpus.len());
        Ok(())
    };
    for Source { target, vectors, kept } in SOURCES {
        let mut corpus = Corpus::new();
        for folder in vectors {
            each_file(&options.vectors.join(folder), &mut |_, bytes| in_every_form(&bytes, MAX_DEPTH, &mut corpus))?;
        }
        each_file(&options.kept, &mut |path, bytes| {
            if kept.iter().any(|end| path.to_string_lossy().ends_with(end)) {
                in_every_form(&bytes, MAX_DEPTH, &mut corpus);
            }
        })?;
        write(target, &corpus)?;
    }
    write("evidence", &evidence(root, &options.vectors)?)?;
    write("model_protocols", &requests(root)?)?;
    write("pck", &extensions(&options.vectors)?)
}

/// Calls for each file of a folder, and of those within it.
fn each_file(folder: &Path, found: &mut impl FnMut(&Path, Vec<u8>)) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            each_file(&path, found)?;
        } else if path.is_file() {
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            found(&path, bytes);
        }
    }
    Ok(())
}

/// Bytes, and what is written in them: as hex or base64, in PEM, in the parts of a JWS, in the texts of JSON.
fn in_every_form(bytes: &[u8], depth: usize, corpus: &mut Corpus) {
    if bytes.len() <= MAX_INPUT {
        corpus.insert(bytes.to_vec());
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    corpus.extend(decoded(text).filter(|bytes| bytes.len() <= MAX_INPUT));
    corpus.extend(pem(text));
    if text.split('.').count() == 3 {
        corpus.extend(text.split('.').filter_map(decoded));
    }
    if let Ok(json) = serde_json::from_str(text) {
        texts(&json, depth, corpus);
    }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let text: String = text.split_whitespace().collect();
    let digits = text.strip_prefix("0x").unwrap_or(&text);
    let decoded = hex::decode(digits).ok().or_else(|| STANDARD.decode(&text).ok());
    decoded.or_else(|| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()).filter(|bytes| bytes.len() > 16)
}

/// The bytes of each block of PEM (RFC 7468).
fn pem(text: &str) -> Vec<Vec<u8>> {
    let blocks = text.split("-----BEGIN ").skip(1);
    let base64 = blocks.filter_map(|block| Some(block.split_once("-----")?.1.split_once("-----END")?.0));
    base64.filter_map(decoded).collect()
}

/// What stands in the texts of a document, and each object in it by itself.
fn texts(json: &Value, depth: usize, corpus: &mut Corpus) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match json {
        Value::String(text) if text.len() > 40 => in_every_form(text.as_bytes(), depth, corpus),
        Value::Array(values) => values.iter().for_each(|value| texts(value, depth, corpus)),
        Value::Object(members) => {
            corpus.insert(json.to_string().into_bytes());
            members.values().for_each(|value| texts(value, depth, corpus));
        }
        _ => {}
    }
}

/// Evidence with one file beside it, as the target takes them apart: the length of the file in two bytes, big-endian, the file, the evidence.
fn evidence(root: &Path, vectors: &Path) -> Result<Corpus> {
    let table: Value = serde_json::from_slice(&fs::read(root.join("crates/cli/tests/vectors.json"))?)?;
    let mut corpus = Corpus::new();
    for case in table["verify"].as_array().context("the table of verdicts")? {
        let read = |name: &Value| fs::read(vectors.join(name.as_str().unwrap_or_default())).ok();
        let Some(evidence) = read(&case["evidence"]) else { continue };
        let lists = ["collateral", "anchors"].into_iter().filter_map(|member| case[member].as_array()).flatten();
        let files = lists.chain(["signature", "pcrs", "vtpm_quote"].map(|member| &case[member])).filter_map(read);
        for beside in files.chain([Vec::new()]) {
            let Ok(length) = u16::try_from(beside.len()) else { continue };
            corpus.insert([&length.to_be_bytes()[..], &beside, &evidence].concat());
        }
    }
    Ok(corpus)
}

/// Requests to a model server behind the digit of their route.
fn requests(root: &Path) -> Result<Corpus> {
    let samples: Value = serde_json::from_slice(&fs::read(root.join("solutions/sealed-model/samples.json"))?)?;
    let pixels = &samples["samples"][0]["inputs"]["pixels"];
    let tensor = serde_json::json!({ "name": "pixels", "datatype": "FP32", "shape": [1, 64], "data": pixels });
    let bodies = [
        ('0', serde_json::json!({ "instances": [pixels] })),
        ('0', serde_json::json!({ "inputs": { "pixels": [pixels] }, "signature_name": "serving_default" })),
        ('1', serde_json::json!({ "id": "1", "inputs": [tensor], "outputs": [{ "name": "probabilities" }] })),
    ];
    Ok(bodies.into_iter().map(|(route, body)| format!("{route}{body}").into_bytes()).collect())
}

/// The values of SGX's extension in the certificates of quotes and collateral.
fn extensions(vectors: &Path) -> Result<Corpus> {
    let (mut found, mut corpus) = (Corpus::new(), Corpus::new());
    each_file(&vectors.join("quote"), &mut |_, bytes| in_every_form(&bytes, MAX_DEPTH, &mut found))?;
    let chains: Vec<_> = found.iter().flat_map(|bytes| pem(&String::from_utf8_lossy(bytes))).collect();
    found.extend(chains);
    for bytes in &found {
        for (at, _) in bytes.windows(SGX_EXTENSION.len()).enumerate().filter(|(_, window)| *window == SGX_EXTENSION) {
            // An OCTET STRING with its length in two bytes.
            if let [0x82, high, low, rest @ ..] =
                bytes.get(at..).unwrap_or_default().get(SGX_EXTENSION.len()..).unwrap_or_default()
            {
                corpus.extend(rest.get(..usize::from(u16::from_be_bytes([*high, *low]))).map(<[u8]>::to_vec));
            }
        }
    }
    Ok(corpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_corpus() {
        let mut targets: BTreeSet<_> = fs::read_dir(crate::workspace_root().join("fuzz/targets"))
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        for known in SOURCES.iter().map(|source| source.target).chain(["evidence", "model_protocols", "pck"]) {
            assert!(targets.remove(known), "{known}");
        }
        assert_eq!(targets, BTreeSet::new());
    }

    #[test]
    fn what_is_written_in_text_is_found() {
        let evidence = [0xab; 40];
        let block = format!("-----BEGIN X-----\n{}\n-----END X-----\n", STANDARD.encode(evidence));
        let json = serde_json::json!({ "list": [{ "quote": URL_SAFE_NO_PAD.encode(evidence) }] });
        let jws = format!("e30.{}.e30", URL_SAFE_NO_PAD.encode(evidence));
        for text in [hex::encode(evidence), STANDARD.encode(evidence), block, jws, json.to_string()] {
            let mut corpus = Corpus::new();
            in_every_form(text.as_bytes(), MAX_DEPTH, &mut corpus);
            assert!(corpus.contains(text.as_bytes()) && corpus.contains(&evidence[..]), "{text}");
        }
    }
}
