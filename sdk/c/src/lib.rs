//! The C ABI: `include/sealwright.h` is its documentation, [`abi`] its functions.
//!
//! All that is `unsafe` is in [`abi`]: what came over the boundary is a slice, a `str` or a reference by the time anything else sees it.
#![deny(unsafe_code, unsafe_op_in_unsafe_fn)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

#[allow(unsafe_code)]
pub mod abi;
mod failure;
mod kind;
mod request;
mod verdict;

pub use request::Request;
pub use verdict::Verdict;
