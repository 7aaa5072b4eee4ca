//! Facts, reference values and a policy make a [`Verdict`], its [`Explanation`] and the signed [`Token`] (EAR). Owns the
//! policy language. Runs where the relying party runs.
//!
//! Pure: no I/O, no clock, no network; time is an argument. The flow:
//!
//! ```text
//! Facts ---- Appraiser::appraise ----> Verdict ---- Verdict::token ----> Token
//!            Policy, References,                    Issuer
//!            Trust, Binding
//! text ----- TokenVerifier::verify --> VerifiedToken -- Release::decide --> Decision
//!            configured keys                            Policy, Resource
//! ```
//!
//! No is the default: [`Verdict::is_affirming`] needs evidence made for this conversation ([`Binding`]), a policy that
//! evaluates to claims of the right type, and every check passed. Every no has a reason: the first failed [`Check`], with a
//! stable code, what was expected, what was found, and what to do.
//!
//! A policy is untrusted input. The built-in ones run in this process ([`InProcess`]); what somebody else wrote is checked
//! and evaluated in a process with limits, whose whole life is [`worker::run`].
#![forbid(unsafe_code)]
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

pub mod ar4si;
mod document;
mod engine;
mod evaluator;
mod explain;
mod functions;
mod key;
mod lint;
mod output;
mod plain;
mod policy;
mod reference;
mod release;
mod token;
mod verdict;
mod verifier;
pub mod worker;

pub use ar4si::{Tier, TrustClaim, TrustVector};
pub use document::Document;
pub use evaluator::{Evaluator, Failure, InProcess, Judgement, Output, Unconfined, Warning};
pub use explain::{Answer, Check, Explanation, MAX_TEXT, Outcome};
pub use key::{ES256, KeyError, SigningKey, VerifyingKey};
pub use plain::{Plain, is_plain};
pub use policy::{Kind, MAX_EXPONENT, MAX_ID, MAX_NESTING, MAX_POLICY, Policy, PolicyError};
pub use reference::{References, Trust};
pub use release::{Decision, Release, Resource};
pub use token::{Issuer, LIFETIME, MAX_CLAIMS, PROFILE, Token, TokenError};
pub use verdict::{Appraiser, Binding, Verdict};
pub use verifier::{LEEWAY, TokenRefusal, TokenVerifier, VerifiedToken};
