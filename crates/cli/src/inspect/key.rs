//! Keys by themselves: public ones are printed, of private ones it is only said that they are.

use super::{Inspected, certificate};
use crate::fields::{Fields, Value};
use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use sealwright_verify::pem;
use sealwright_wire::cca::Store;
use serde_json::{Map, Value as Json};
use x509_cert::der::{Decode, asn1::ObjectIdentifier};
use x509_cert::spki::SubjectPublicKeyInfoRef;

/// The largest keys in JSON that are read, in bytes: values in memory take up to a hundred times the length of their text.
const MAX_KEYS: usize = 256 << 10;
/// Members of a JSON Web Key that are secret (RFC 7518, section 6).
const SECRET: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A key in PEM.
pub(super) fn pem(text: &[u8]) -> Option<Result<Inspected>> {
    if text.starts_with(b"-----BEGIN PUBLIC KEY-----") {
        return public(&pem::public_key(text));
    }
    let rest = text.strip_prefix(b"-----BEGIN ")?;
    let label = rest.get(..rest.windows(5).position(|window| window == b"-----")?)?;
    let label = str::from_utf8(label).ok().filter(|label| label.ends_with("PRIVATE KEY"))?;
    Some(Ok(Inspected::new("private key, not shown", Fields::new().with("label", label))))
}

/// A `SubjectPublicKeyInfo` in DER.
pub(super) fn public(der: &[u8]) -> Option<Result<Inspected>> {
    let key = SubjectPublicKeyInfoRef::from_der(der).ok()?;
    let curve = key.algorithm.parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
    let fields = Fields::new()
        .with("algorithm", key.algorithm.oid.to_string())
        .with_some("curve", curve.map(|oid| oid.to_string()))
        .hex("public_key", key.subject_public_key.raw_bytes());
    Some(Ok(Inspected::new("public key (SubjectPublicKeyInfo)", fields)))
}

/// A JSON Web Key, or a set of them (RFC 7517, sections 4 and 5).
pub(super) fn web(text: &[u8]) -> Result<Inspected> {
    if text.len() > MAX_KEYS {
        bail!("keys of over {MAX_KEYS} bytes");
    }
    let document: Map<String, Json> = serde_json::from_slice(text)?;
    if document.get("kty").is_some_and(Json::is_string) {
        let (kind, fields) = web_key(&document);
        return Ok(Inspected::new(kind, fields));
    }
    let keys = document.get("keys").and_then(Json::as_array).context("a document of no known kind")?;
    let keys: Option<Vec<_>> = keys.iter().map(|key| key.as_object().map(|key| web_key(key).1)).collect();
    Ok(Inspected::new("JSON Web Key Set", Fields::new().with("keys", keys.context("a key that is no object")?)))
}

fn web_key(key: &Map<String, Json>) -> (&'static str, Fields) {
    let secret = |name: &String| SECRET.contains(&name.as_str());
    let kind =
        if key.keys().any(secret) { "JSON Web Key, private: its secret is not shown" } else { "JSON Web Key, public" };
    let shown = key.iter().filter(|(name, _)| !secret(name));
    (kind, shown.fold(Fields::new(), |fields, (name, value)| fields.with(name.clone(), member(name, value))))
}

/// The value of a member, or what the certificates in it say (`x5c`: RFC 7517, section 4.7).
fn member(name: &str, value: &Json) -> Value {
    let certificates = if name == "x5c" { certificates(value) } else { None };
    certificates.map_or_else(|| value.clone().into(), Into::into)
}

fn certificates(chain: &Json) -> Option<Vec<Fields>> {
    let of_text = |text: &Json| certificate::of_der(&STANDARD.decode(text.as_str()?).ok()?).ok();
    chain.as_array()?.iter().map(of_text).collect()
}

/// A store of the keys of Arm CCA platforms.
pub(super) fn cca_store(bytes: &[u8]) -> Option<Result<Inspected>> {
    let text = bytes.trim_ascii_start();
    if !text.starts_with(b"[") {
        return None;
    }
    let store = Store::from_json(text).ok()?;
    let entries = store.0.iter().map(|entry| {
        Fields::new()
            .with("implementation_id", entry.implementation_id.to_string())
            .with("instance_id", entry.instance_id.to_string())
            .with("curve", format!("{:?}", entry.key.curve))
            .hex("x", &entry.key.x)
            .hex("y", &entry.key.y)
    });
    let fields = Fields::new().with("platforms", entries.collect::<Vec<_>>());
    Some(Ok(Inspected::new("keys of Arm CCA platforms", fields)))
}
