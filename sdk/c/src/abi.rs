//! The functions of `include/sealwright.h`, under their names there, and all the `unsafe` that there is.
//!
//! # Safety
//! Each function relies on what the header asks of its callers: a pointer is NULL, or
//!
//! - a request or verdict that this library handed out and that was not freed, and that nobody else uses in a way that the header forbids;
//! - data that can be read for its length, a text that can be read to its NUL, or a place that can be written.
#![allow(clippy::missing_safety_doc, reason = "said once, above")]

use crate::{
    Request, Verdict,
    failure::{Code, Failure, c_string, guarded},
    kind,
};
use sealwright_verify::{any::Kind, snp::Revocation};
use std::{
    ffi::{CStr, CString, c_char, c_void},
    ptr, slice,
};

/// The package's version as C has it.
const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

/// Frees a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_string_free(message: *mut c_char) {
    if !message.is_null() {
        // SAFETY: it came of `CString::into_raw` in `told`, and is freed once.
        drop(unsafe { CString::from_raw(message) });
    }
}

/// The library's version.
#[unsafe(no_mangle)]
pub extern "C" fn sealwright_version() -> *const c_char {
    VERSION.as_ptr()
}

/// A request to verify at a point in time.
#[unsafe(no_mangle)]
pub extern "C" fn sealwright_request_new(unix_time: u64) -> *mut Request {
    guarded(|| Ok(Box::into_raw(Box::new(Request::new(unix_time))))).unwrap_or(ptr::null_mut())
}

/// Frees a request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_request_free(request: *mut Request) {
    // SAFETY: it came of `Box::into_raw`, and is freed once.
    unsafe { free(request) }
}

/// Adds what one file of the vendor's holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_request_add_collateral(
    request: *mut Request,
    data: *const c_void,
    length: usize,
    message: *mut *mut c_char,
) -> i32 {
    // SAFETY: the pointers are as the module says.
    unsafe { change(request, message, |request| request.add_collateral(bytes(data, length)?)) }
}

/// Adds a root to trust.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_request_add_root(
    request: *mut Request,
    name: *const c_char,
    data: *const c_void,
    length: usize,
    message: *mut *mut c_char,
) -> i32 {
    // SAFETY: the pointers are as the module says.
    unsafe {
        change(request, message, |request| {
            request.add_root(text("name", name)?, bytes(data, length)?);
            Ok(())
        })
    }
}

/// The event log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_request_set_event_log(
    request: *mut Request,
    data: *const c_void,
    length: usize,
    message: *mut *mut c_char,
) -> i32 {
    // SAFETY: the pointers are as the module says.
    unsafe { keep(request, data, length, message, |request| &mut request.event_log) }
}

/// The IMA list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_request_set_ima(
    request: *mut Request,
    data: *const c_void,
    length: usize,
    message: *mut *mut c_char,
) -> i32 {
    // SAFETY: the pointers are as the module says.
    unsafe { keep(request, data, length, message, |request| &mut request.ima) }
}

/// The canonical event log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_request_set_cel(
    request: *mut Request,
    data: *const c_void,
    length: usize,
    message: *mut *mut c_char,
) -> i32 {
    // SAFETY: the pointers are as the module says.
    unsafe { keep(request, data, length, message, |request| &mut request.cel) }
}

/// The signature of a TPM's quote.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_request_set_signature(
    request: *mut Request,
    data: *const c_void,
    length: usize,
    message: *mut *mut c_char,
) -> i32 {
    // SAFETY: the pointers are as the module says.
    unsafe { keep(request, data, length, message, |request| &mut request.signature) }
}

/// The PCRs of a TPM's quote.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_request_set_pcrs(
    request: *mut Request,
    data: *const c_void,
    length: usize,
    message: *mut *mut c_char,
) -> i32 {
    // SAFETY: the pointers are as the module says.
    unsafe { keep(request, data, length, message, |request| &mut request.pcrs) }
}

/// The attestation key of a TPM's quote.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_request_set_key(
    request: *mut Request,
    data: *const c_void,
    length: usize,
    message: *mut *mut c_char,
) -> i32 {
    // SAFETY: the pointers are as the module says.
    unsafe { keep(request, data, length, message, |request| &mut request.key) }
}

/// The vTPM's quote beside an HCL report.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_request_set_vtpm_quote(
    request: *mut Request,
    data: *const c_void,
    length: usize,
    message: *mut *mut c_char,
) -> i32 {
    // SAFETY: the pointers are as the module says.
    unsafe { keep(request, data, length, message, |request| &mut request.vtpm_quote) }
}

/// The trust domain's quote beside an HCL report.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_request_set_td_quote(
    request: *mut Request,
    data: *const c_void,
    length: usize,
    message: *mut *mut c_char,
) -> i32 {
    // SAFETY: the pointers are as the module says.
    unsafe { keep(request, data, length, message, |request| &mut request.td_quote) }
}

/// Believes a chain of AMD's without the revocation list of its root.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_request_allow_missing_amd_crl(
    request: *mut Request,
    message: *mut *mut c_char,
) -> i32 {
    // SAFETY: the pointers are as the module says.
    unsafe {
        change(request, message, |request| {
            request.revocation = Revocation::IfPresent;
            Ok(())
        })
    }
}

/// How old a Nitro document may be.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_request_set_max_age(
    request: *mut Request,
    seconds: u64,
    message: *mut *mut c_char,
) -> i32 {
    // SAFETY: the pointers are as the module says.
    unsafe {
        change(request, message, |request| {
            request.freshness.max_age = seconds;
            Ok(())
        })
    }
}

/// The worst TCB status that is good enough.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_request_require(
    request: *mut Request,
    status: *const c_char,
    message: *mut *mut c_char,
) -> i32 {
    // SAFETY: the pointers are as the module says.
    unsafe { change(request, message, |request| request.require(text("status", status)?)) }
}

/// The kind of evidence in words.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_kind(evidence: *const c_void, length: usize) -> *const c_char {
    let name = guarded(|| {
        // SAFETY: the pointer is as the module says.
        let evidence = unsafe { bytes(evidence, length) }?;
        Ok(Kind::of_text(evidence).map(|(kind, _)| kind::name(kind).as_ptr()))
    });
    name.ok().flatten().unwrap_or(ptr::null())
}

/// Verifies evidence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_verify(
    request: *const Request,
    evidence: *const c_void,
    length: usize,
    verdict: *mut *mut Verdict,
    message: *mut *mut c_char,
) -> i32 {
    let judged = guarded(|| {
        if verdict.is_null() {
            return Err(Failure::null("verdict"));
        }
        // SAFETY: the pointers are as the module says; nobody changes the request meanwhile.
        let (request, evidence) = unsafe { (request.as_ref(), bytes(evidence, length)) };
        request.ok_or_else(|| Failure::null("request"))?.verify(evidence?)
    });
    let (handle, done) = match judged {
        Ok(judged) => (Box::into_raw(Box::new(judged)), Ok(())),
        Err(failure) => (ptr::null_mut(), Err(failure)),
    };
    if !verdict.is_null() {
        // SAFETY: the place can be written, as the module says.
        unsafe { verdict.write(handle) };
    }
    // SAFETY: likewise.
    unsafe { told(done, message) }
}

/// Frees a verdict.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_verdict_free(verdict: *mut Verdict) {
    // SAFETY: it came of `Box::into_raw`, and is freed once.
    unsafe { free(verdict) }
}

/// Whether the evidence is genuine at a status that is good enough.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_verdict_accepted(verdict: *const Verdict) -> bool {
    // SAFETY: the pointer is as the module says.
    unsafe { verdict.as_ref() }.is_some_and(|verdict| verdict.accepted)
}

/// Whether the vendor vouches for the evidence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_verdict_genuine(verdict: *const Verdict) -> bool {
    // SAFETY: the pointer is as the module says.
    unsafe { verdict.as_ref() }.is_some_and(|verdict| verdict.genuine)
}

/// Whether the evidence comes from a simulator: 1, 0, or -1 where that is not known.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_verdict_simulated(verdict: *const Verdict) -> i32 {
    // SAFETY: the pointer is as the module says.
    unsafe { verdict.as_ref() }.and_then(|verdict| verdict.simulated).map_or(-1, i32::from)
}

/// Why the evidence is not genuine, as a stable word.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_verdict_reason_code(verdict: *const Verdict) -> *const c_char {
    // SAFETY: the pointer is as the module says.
    let reason = unsafe { verdict.as_ref() }.and_then(|verdict| verdict.reason.as_ref());
    reason.map_or(ptr::null(), |reason| reason.code.as_ptr())
}

/// Why the evidence is not genuine, for people.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_verdict_reason(verdict: *const Verdict) -> *const c_char {
    // SAFETY: the pointer is as the module says.
    let reason = unsafe { verdict.as_ref() }.and_then(|verdict| verdict.reason.as_ref());
    reason.map_or(ptr::null(), |reason| reason.message.as_ptr())
}

/// What the evidence was made to bind.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_verdict_report_data(verdict: *const Verdict, length: *mut usize) -> *const u8 {
    if length.is_null() {
        return ptr::null();
    }
    // SAFETY: the pointer is as the module says.
    let data = unsafe { verdict.as_ref() }.and_then(|verdict| verdict.report_data.as_deref());
    // SAFETY: the place can be written, as the module says.
    unsafe { length.write(data.map_or(0, <[u8]>::len)) };
    data.map_or(ptr::null(), <[u8]>::as_ptr)
}

/// The JSON document.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwright_verdict_json(verdict: *const Verdict) -> *const c_char {
    // SAFETY: the pointer is as the module says.
    unsafe { verdict.as_ref() }.map_or(ptr::null(), |verdict| verdict.json.as_ptr())
}

/// Data from outside. It must be there while what this returns is used.
unsafe fn bytes<'a>(data: *const c_void, length: usize) -> Result<&'a [u8], Failure> {
    if data.is_null() {
        return Err(Failure::null("data"));
    }
    if length == 0 || isize::try_from(length).is_err() {
        return Err(Failure::new(Code::Length, format!("a length of {length} bytes")));
    }
    // SAFETY: not NULL, readable for its length as the module says, and the length is one that a slice may have; a byte is always aligned.
    Ok(unsafe { slice::from_raw_parts(data.cast(), length) })
}

/// A text from outside. It must be there while what this returns is used.
unsafe fn text<'a>(argument: &str, text: *const c_char) -> Result<&'a str, Failure> {
    if text.is_null() {
        return Err(Failure::null(argument));
    }
    // SAFETY: not NULL, and readable to its NUL as the module says.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|error| Failure::new(Code::NotUtf8, format!("{argument} is no UTF-8: {error}")))
}

/// Changes a request.
unsafe fn change(
    request: *mut Request,
    message: *mut *mut c_char,
    setting: impl FnOnce(&mut Request) -> Result<(), Failure>,
) -> i32 {
    // SAFETY: NULL, or a request that nobody else uses now, as the module says.
    let request = unsafe { request.as_mut() };
    let done = request.ok_or_else(|| Failure::null("request")).and_then(|request| request.change(setting));
    // SAFETY: the place can be written, as the module says.
    unsafe { told(done, message) }
}

/// Keeps data in its place of a request.
unsafe fn keep(
    request: *mut Request,
    data: *const c_void,
    length: usize,
    message: *mut *mut c_char,
    place: fn(&mut Request) -> &mut Option<Vec<u8>>,
) -> i32 {
    // SAFETY: the pointers are as the module says.
    unsafe {
        change(request, message, |request| {
            *place(request) = Some(bytes(data, length)?.to_vec());
            Ok(())
        })
    }
}

/// A result's number, and its message where there is a place for it.
unsafe fn told(done: Result<(), Failure>, message: *mut *mut c_char) -> i32 {
    let (code, text) = match done {
        Ok(()) => (Code::Ok, None),
        Err(failure) => (failure.code, Some(failure.message)),
    };
    if !message.is_null() {
        let text = text.map_or(ptr::null_mut(), |text| c_string(&text).into_raw());
        // SAFETY: not NULL, and can be written as the module says.
        unsafe { message.write(text) };
    }
    code as i32
}

/// Frees what this library handed out in a box.
unsafe fn free<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: it came of `Box::into_raw`, and is freed once.
        drop(unsafe { Box::from_raw(handle) });
    }
}
