//! A request that is no administrator's, as an explanation has it.

use super::{AdminError, TYPE, WINDOW};
use sealwright_appraise::{Check, Outcome};

impl AdminError {
    /// The failed check: what was wanted, what came instead, and what to do.
    pub(crate) fn check(&self) -> Check {
        let check = Check::new(Outcome::Failed, self.code(), self.claim());
        let check = check.source("the configured administrators' keys").remedy(self.remedy());
        match self {
            Self::Missing => check.expected("a signed request in `Authorization: Bearer`").actual("none"),
            Self::Malformed(found) => check.expected(format_args!("a JWT of the type {TYPE}")).actual(found),
            Self::UnknownKey(key) => check.expected("the key of a configured administrator").actual(key),
            Self::Signature => check.expected("a signature of the key that `kid` names").actual("another"),
            Self::OtherBroker { signed, here } => check.expected(here).actual(signed),
            Self::OtherRequest { signed, sent, .. } => check.expected(sent).actual(signed),
            Self::OtherBody => check.expected("the digest of the body that was sent").actual("another"),
            Self::Stale { signed, now } => {
                check.expected(format_args!("{now}, {WINDOW} s more or less")).actual(signed)
            }
            Self::BeforeStart { signed, from } => check.expected(format_args!("{from} or later")).actual(signed),
            Self::Replayed => check.expected("one that was not used before").actual("one that was"),
            Self::TooMany => check.expected("room to remember it").actual("none"),
        }
    }

    /// The reason as a stable word.
    const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "signature-missing",
            Self::Malformed(_) => "signed-request-malformed",
            Self::UnknownKey(_) => "administrator-unknown",
            Self::Signature => "signature-invalid",
            Self::OtherBroker { .. } => "signed-for-another-broker",
            Self::OtherRequest { .. } | Self::OtherBody => "signed-for-another-request",
            Self::Stale { .. } => "clocks-differ",
            Self::BeforeStart { .. } => "signed-before-start",
            Self::Replayed => "signed-request-used",
            Self::TooMany => "signed-requests-too-many",
        }
    }

    const fn claim(&self) -> &'static str {
        match self {
            Self::Missing | Self::Malformed(_) | Self::Signature => "authorization",
            Self::UnknownKey(_) => "kid",
            Self::OtherBroker { .. } => "aud",
            Self::OtherRequest { claim, .. } => claim,
            Self::OtherBody => "digest",
            Self::Stale { .. } | Self::BeforeStart { .. } => "iat",
            Self::Replayed | Self::TooMany => "jti",
        }
    }

    const fn remedy(&self) -> &'static str {
        match self {
            Self::Missing | Self::Malformed(_) => "use `sealwright broker`, or sign as docs/formats.md says",
            Self::UnknownKey(_) => {
                "add this key's public half to the broker's configuration, or sign with a key that is there"
            }
            Self::OtherBroker { .. } => {
                "sign it for this broker, and send it here directly: nothing between may end TLS. Two brokers must not have one TLS key"
            }
            Self::Signature | Self::OtherRequest { .. } | Self::OtherBody => {
                "sign the request that is sent; nothing may change it on its way"
            }
            Self::Stale { .. } => "set both clocks",
            Self::BeforeStart { .. } => "sign it again; if that is refused too, set both clocks",
            Self::Replayed => "sign each request anew",
            Self::TooMany => "wait a minute",
        }
    }
}
