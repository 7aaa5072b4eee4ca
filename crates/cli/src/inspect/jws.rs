//! Signed objects in their compact form: receipts and tokens. No signature is checked here, and the kind says so.

use super::Inspected;
use crate::fields::{Fields, Value};
use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealwright_wire::jws::Compact;
use sealwright_wire::receipt::{self, Receipt};

/// The member that an attestation token has and other tokens have not.
const SUBMODULES: &str = "submods";

/// The largest token that is shown although it is refused, in bytes: values in memory take up to a hundred times the length of their text.
const MAX_UNBELIEVABLE: usize = 64 << 10;

/// Recognises three parts of base64url that begin with a JSON object.
pub(super) fn compact(bytes: &[u8]) -> Option<Result<Inspected>> {
    let text = std::str::from_utf8(bytes.trim_ascii()).ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    // `{"` in base64url.
    let looks = text.starts_with("ey") && text.bytes().all(plain) && text.matches('.').count() == 2;
    looks.then(|| match Compact::parse(text) {
        Ok(jws) => describe(&jws),
        // Tokens that nobody should believe are still shown to whoever asks what they are.
        Err(error) => unbelievable(text, &error.to_string()).ok_or_else(|| error.into()),
    })
}

/// A token whose header or signature no verifier here would take: without a signature, or with members of other types than their RFC's.
fn unbelievable(text: &str, reason: &str) -> Option<Inspected> {
    if text.len() > MAX_UNBELIEVABLE {
        return None;
    }
    let mut parts = text.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let (header, claims, signature) = (parts.next()??, parts.next()??, parts.next()??);
    let object =
        |json: &[u8]| serde_json::from_slice::<serde_json::Map<_, _>>(json).map(serde_json::Value::Object).ok();
    let fields = Fields::new()
        .with("refused_because", reason)
        .with("header", Value::from(object(&header)?))
        .with("claims", Value::from(object(&claims)?))
        .hex("signature", signature);
    Some(Inspected::new("JSON Web Token that is refused", fields))
}

fn describe(jws: &Compact<'_>) -> Result<Inspected> {
    let claims = jws.claims()?;
    let kind = if jws.header().typ.as_deref() == Some(receipt::TYPE) {
        Receipt::from_json(jws.payload()).context("receipt")?;
        "inference receipt, not verified"
    } else if claims.contains_key(SUBMODULES) {
        "attestation token (EAR), not verified"
    } else {
        "JSON Web Token, not verified"
    };
    let fields = Fields::new()
        .with("header", Value::from(serde_json::to_value(jws.header())?))
        .with("claims", Value::from(serde_json::Value::Object(claims)))
        .hex("signature", jws.signature());
    Ok(Inspected::new(kind, fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealwright_wire::jws::{Header, assemble};

    fn signed(claims: &str) -> String {
        let header = Header { typ: Some("JWT".to_owned()), ..Header::new("ES256") };
        assemble(header.encode().unwrap().signing_input(claims.as_bytes()), &[7; 64])
    }

    #[test]
    fn a_token_is_named_and_called_unverified() {
        let token = signed(
            r#"{"iss":"desk","iat":1795132800,"submods":{"cpu0":{"ear.trustworthiness-vector":{"hardware":-1}}}}"#,
        );
        let found = compact(format!("{token}\n").as_bytes()).unwrap().unwrap();
        assert_eq!(found.kind, "attestation token (EAR), not verified");
        let json = serde_json::to_value(&found.fields).unwrap();
        assert_eq!((&json["header"]["alg"], &json["claims"]["iss"]), (&"ES256".into(), &"desk".into()));
        assert_eq!(json["claims"]["submods"]["cpu0"]["ear.trustworthiness-vector"]["hardware"], -1);
        let other = compact(signed(r#"{"sub":"x"}"#).as_bytes()).unwrap().unwrap();
        assert_eq!(other.kind, "JSON Web Token, not verified");
    }

    #[test]
    fn what_is_damaged_is_an_error_and_what_is_something_else_is_left_alone() {
        let token = signed("{}");
        assert!(compact(&token.as_bytes()[..token.len() - 1]).unwrap().is_err());
        assert!(compact(signed("[]").as_bytes()).unwrap().is_err());
        for other in ["", "a.b.c", "eyJ", "ey with.spaces.in it", "ey.b"] {
            assert!(compact(other.as_bytes()).is_none(), "{other:?}");
        }
    }
}
