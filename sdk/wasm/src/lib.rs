//! Verification of evidence from JavaScript: `verify` and `kind`. What they take and give is typed in `types.ts`, which becomes part of the
//! generated `.d.ts`.
//!
//! Nothing is fetched, and nothing trusted but the vendors' built-in roots or what the request names. The library beneath has no clock: where a
//! request names no time, it is JavaScript's.

mod request;

use request::Given;
use sealwright_verify::any::{Kind, Verdict};
use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = include_str!("types.ts");

/// Whether evidence is genuine, and at what level. A refusal is a verdict too.
///
/// # Errors
/// Throws an `Error` with the reason when the request cannot be judged: something that the evidence needs is missing, or what came with it is not
/// what it should be.
#[wasm_bindgen(unchecked_return_type = "Verdict")]
pub fn verify(#[wasm_bindgen(unchecked_param_type = "Request")] request: &JsValue) -> Result<JsValue, JsError> {
    let given = Given::read(request)?;
    let supplied = given.supplied()?;
    let facts = given.request(&supplied).verify(&given.evidence);
    let verdict = Verdict::of(facts, given.require).map_err(|error| request::unusable(&error))?;
    js_sys::JSON::parse(&serde_json::to_string(&verdict)?).map_err(|_| JsError::new("the verdict is no JSON"))
}

/// What kind of evidence these bytes are, in words, by themselves or written as hex, base64 or, of a certificate, PEM; `undefined` when they are none that is known.
#[wasm_bindgen(unchecked_return_type = "Kind | undefined")]
pub fn kind(evidence: &[u8]) -> Option<String> {
    Kind::of_text(evidence).map(|(kind, _)| kind.name().to_owned())
}
