//! A request as JavaScript gives it.

use js_sys::{Array, Date, Object, Reflect, Uint8Array};
use sealwright_verify::TcbStatus;
use sealwright_verify::any::{self, Beside, Missing, Request, Root, Supplied};
use sealwright_verify::nitro::Freshness;
use sealwright_verify::snp::Revocation;
use sealwright_wire::time::UnixTime;
use wasm_bindgen::prelude::*;

/// The most bytes of one file, as for the command line.
const MAX_FILE: u32 = 64 << 20;

/// The members that a request may have. Another one is refused: a demand that is misspelled must not seem to have been made.
const MEMBERS: [&str; 15] = [
    "evidence",
    "at",
    "collateral",
    "roots",
    "eventLog",
    "ima",
    "cel",
    "signature",
    "pcrs",
    "key",
    "vtpmQuote",
    "tdQuote",
    "require",
    "withoutCrl",
    "maxAge",
];

/// A request's parts, copied out of JavaScript's memory.
pub(crate) struct Given {
    pub(crate) evidence: Vec<u8>,
    pub(crate) require: Option<TcbStatus>,
    at: UnixTime,
    collateral: Vec<Vec<u8>>,
    roots: Vec<(String, Vec<u8>)>,
    event_log: Option<Vec<u8>>,
    ima: Option<Vec<u8>>,
    cel: Option<Vec<u8>>,
    signature: Option<Vec<u8>>,
    pcrs: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
    vtpm_quote: Option<Vec<u8>>,
    td_quote: Option<Vec<u8>>,
    without_crl: bool,
    max_age: Option<u64>,
}

impl Given {
    pub(crate) fn read(request: &JsValue) -> Result<Self, JsError> {
        let object = request.dyn_ref::<Object>().ok_or_else(|| JsError::new("expected a request: an object"))?;
        for name in Object::keys(object) {
            let name = name.as_string().unwrap_or_default();
            if !MEMBERS.contains(&name.as_str()) {
                return Err(JsError::new(&format!(
                    "a request has no member {name}: it may have {}",
                    MEMBERS.join(", ")
                )));
            }
        }
        let file = |name: &str| member(request, name)?.map(|value| bytes(name, &value)).transpose();
        Ok(Self {
            evidence: file("evidence")?.ok_or_else(|| wrong("evidence", "a Uint8Array"))?,
            require: member(request, "require")?.map(|status| required(&status)).transpose()?,
            at: member(request, "at")?.map_or_else(|| of_date(&Date::new_0()), |at| time(&at))?,
            collateral: member(request, "collateral")?.map_or_else(|| Ok(Vec::new()), |files| list(&files))?,
            roots: member(request, "roots")?.map_or_else(|| Ok(Vec::new()), |roots| named(&roots))?,
            event_log: file("eventLog")?,
            ima: file("ima")?,
            cel: file("cel")?,
            signature: file("signature")?,
            pcrs: file("pcrs")?,
            key: file("key")?,
            vtpm_quote: file("vtpmQuote")?,
            td_quote: file("tdQuote")?,
            without_crl: match member(request, "withoutCrl")? {
                Some(without) => without.as_bool().ok_or_else(|| wrong("withoutCrl", "a boolean"))?,
                None => false,
            },
            max_age: member(request, "maxAge")?
                .map(|age| seconds(&age).ok_or_else(|| wrong("maxAge", "whole seconds")))
                .transpose()?,
        })
    }

    /// What came along, sorted.
    pub(crate) fn supplied(&self) -> Result<Supplied, JsError> {
        let mut supplied = Supplied::default();
        for (index, file) in self.collateral.iter().enumerate() {
            supplied
                .add(file)
                .map_err(|error| JsError::new(&format!("collateral[{index}] is no collateral: {error}")))?;
        }
        Ok(supplied)
    }

    pub(crate) fn request<'a>(&'a self, supplied: &'a Supplied) -> Request<'a> {
        let freshness = Freshness::default();
        Request {
            roots: self.roots.iter().map(|(name, bytes)| Root { name, bytes }).collect(),
            event_log: self.event_log.as_deref(),
            ima: self.ima.as_deref(),
            cel: self.cel.as_deref(),
            signature: self.signature.as_deref(),
            pcrs: self.pcrs.as_deref(),
            key: self.key.as_deref(),
            vtpm_quote: self.vtpm_quote.as_deref(),
            td_quote: self.td_quote.as_deref(),
            revocation: if self.without_crl { Revocation::IfPresent } else { Revocation::Required },
            freshness: Freshness { max_age: self.max_age.unwrap_or(freshness.max_age), ..freshness },
            ..Request::new(supplied, self.at)
        }
    }
}

/// A member that is there: `undefined` is as good as none.
fn member(object: &JsValue, name: &str) -> Result<Option<JsValue>, JsError> {
    let value = Reflect::get(object, &name.into()).map_err(|_| JsError::new(&format!("{name} cannot be read")))?;
    Ok((!value.is_undefined()).then_some(value))
}

fn wrong(name: &str, expected: &str) -> JsError {
    JsError::new(&format!("{name}: expected {expected}"))
}

fn bytes(name: &str, value: &JsValue) -> Result<Vec<u8>, JsError> {
    let array = value.dyn_ref::<Uint8Array>().ok_or_else(|| wrong(name, "a Uint8Array"))?;
    if array.length() > MAX_FILE {
        return Err(wrong(name, &format!("at most {MAX_FILE} bytes")));
    }
    Ok(array.to_vec())
}

fn list(value: &JsValue) -> Result<Vec<Vec<u8>>, JsError> {
    let files = value.dyn_ref::<Array>().ok_or_else(|| wrong("collateral", "an array of Uint8Array"))?;
    files.iter().enumerate().map(|(index, file)| bytes(&format!("collateral[{index}]"), &file)).collect()
}

fn named(value: &JsValue) -> Result<Vec<(String, Vec<u8>)>, JsError> {
    let roots = value.dyn_ref::<Object>().ok_or_else(|| wrong("roots", "an object of Uint8Array by name"))?;
    // An object without names would mean the built-in roots, which somebody who gives one does not expect.
    let names: Vec<_> = Object::keys(roots).iter().filter_map(|name| name.as_string()).collect();
    if names.is_empty() {
        return Err(wrong("roots", "at least one, or no such member for the vendors' built-in roots"));
    }
    let root = |name: String| {
        let root = member(roots, &name)?.unwrap_or(JsValue::UNDEFINED);
        let root = bytes(&format!("roots[{name:?}]"), &root)?;
        Ok((name, root))
    };
    names.into_iter().map(root).collect()
}

fn required(value: &JsValue) -> Result<TcbStatus, JsError> {
    let demanded = value.as_string().and_then(|name| any::demand(&name).ok());
    demanded.ok_or_else(|| wrong("require", "a TCB status such as UpToDate, but for Revoked, which is never accepted"))
}

fn time(value: &JsValue) -> Result<UnixTime, JsError> {
    match value.dyn_ref::<Date>() {
        Some(date) => of_date(date),
        None => seconds(value).map(UnixTime).ok_or_else(|| wrong("at", "a Date, or whole seconds since 1970")),
    }
}

fn of_date(date: &Date) -> Result<UnixTime, JsError> {
    seconds(&(date.get_time() / 1000.0).floor().into()).map(UnixTime).ok_or_else(|| wrong("at", "a Date from 1970 on"))
}

/// A whole number that JavaScript holds exactly.
fn seconds(value: &JsValue) -> Option<u64> {
    let number = value.as_f64()?;
    let whole = (0.0..=js_sys::Number::MAX_SAFE_INTEGER).contains(&number) && number.fract() == 0.0;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // neither, of such a number
    whole.then_some(number as u64)
}

/// A request that makes no sense, in JavaScript's words.
pub(crate) fn unusable(error: &any::Error) -> JsError {
    let member = match error {
        any::Error::Missing { missing, .. } => match missing {
            Missing::Signature => "signature",
            Missing::Pcrs => "pcrs",
            Missing::AttestationKey => "roots",
            Missing::EventLog => "eventLog",
            Missing::VtpmQuote => "vtpmQuote",
            Missing::TdQuote => "tdQuote",
            _ => "collateral",
        },
        any::Error::Unused { beside, .. } => match beside {
            Beside::EventLog => "eventLog",
            Beside::Ima => "ima",
            Beside::Cel => "cel",
            Beside::Signature => "signature",
            Beside::Pcrs => "pcrs",
            Beside::Key => "key",
            Beside::VtpmQuote => "vtpmQuote",
            Beside::TdQuote => "tdQuote",
            Beside::OtherCollateral | Beside::OtherList => "collateral",
        },
        _ => return JsError::new(&error.to_string()),
    };
    JsError::new(&format!("{error} ({member})"))
}
