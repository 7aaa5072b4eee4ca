//! Why a call was of no use, and what keeps a panic on this side.

use sealwright_verify::any::{self, NotCollateral};
use std::{
    ffi::CString,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// The numbers of the header's `SEALWRIGHT_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Code {
    Ok = 0,
    NullArgument = 1,
    Length = 2,
    NotUtf8 = 3,
    NotCollateral = 4,
    NotAStatus = 5,
    Missing = 6,
    Unused = 7,
    NotARoot = 8,
    Unusable = 9,
    Internal = 10,
}

/// A result that is none.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn null(argument: &str) -> Self {
        Self::new(Code::NullArgument, format!("{argument} is NULL"))
    }
}

impl From<NotCollateral> for Failure {
    fn from(error: NotCollateral) -> Self {
        Self::new(Code::NotCollateral, error.to_string())
    }
}

impl From<any::Error> for Failure {
    fn from(error: any::Error) -> Self {
        let code = match &error {
            any::Error::Missing { .. } => Code::Missing,
            any::Error::Unused { .. } => Code::Unused,
            any::Error::Root { .. } => Code::NotARoot,
            _ => Code::Unusable,
        };
        Self::new(code, error.to_string())
    }
}

/// Does something of which no panic comes out.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // What was being changed is given up by the caller: see `Request::change`.
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Failure::new(Code::Internal, "a fault of this library: please report it")))
}

/// Text as C has it. A NUL inside would hide what follows, and becomes U+FFFD.
pub(crate) fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_numbers_results_as_the_library_does() {
        use Code::{
            Internal, Length, Missing, NotARoot, NotAStatus, NotCollateral, NotUtf8, NullArgument, Ok, Unusable, Unused,
        };
        let ours = [
            Ok,
            NullArgument,
            Length,
            NotUtf8,
            NotCollateral,
            NotAStatus,
            Missing,
            Unused,
            NotARoot,
            Unusable,
            Internal,
        ];
        let ours: Vec<_> = ours.iter().map(|code| (format!("{code:?}").to_uppercase(), *code as i32)).collect();
        let header = include_str!("../include/sealwright.h");
        let (_, results) = header.split_once("typedef int32_t sealwright_result;").unwrap();
        let (results, _) = results.split_once("};").unwrap();
        let theirs = results.lines().filter_map(|line| {
            let (name, number) = line.trim().strip_prefix("SEALWRIGHT_")?.trim_end_matches(',').split_once(" = ")?;
            Some((name.replace('_', ""), number.parse().unwrap()))
        });
        assert_eq!(theirs.collect::<Vec<_>>(), ours);
    }

    #[test]
    fn a_panic_is_a_failure() {
        let failure =
            guarded(|| -> Result<(), Failure> { panic!("meant to be seen in the test's output") }).unwrap_err();
        assert_eq!(failure.code, Code::Internal);
    }

    #[test]
    fn a_nul_inside_a_text_hides_nothing() {
        assert_eq!(c_string("a\0b").to_str(), Ok("a\u{fffd}b"));
    }
}
