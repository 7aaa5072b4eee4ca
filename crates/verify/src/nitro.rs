//! Attestation documents of AWS Nitro enclaves (AWS Nitro Enclaves NSM API, "Verifying the root of trust").
//!
//! A document carries its own certificates, and its signer's lives for three hours from its start, with no time before it. The
//! certificates are therefore verified at the time at which the document says that it was made, and that time is held against the
//! verifier's clock: neither old documents nor such from the future are believed.

use crate::certificate::Profile;
use crate::chain::Chain;
use crate::{Anchors, Claims, Error, Facts, Part, crypto, hash, window::Window};
use sealwright_wire::cose::Algorithm;
use sealwright_wire::nitro::{Document, Statement};
use sealwright_wire::{Digest, Tee, time::UnixTime};
use serde::Serialize;
use std::collections::BTreeMap;

/// How old a document may be, and how far the clocks may be apart, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The longest time since the document was made. There is no revocation: this alone bounds how long a stolen document is of use.
    pub max_age: u64,
    /// How far in the future the document's time may lie, because clocks differ.
    pub clock_skew: u64,
}

impl Default for Freshness {
    /// Five minutes of age, one of skew.
    fn default() -> Self {
        Self { max_age: 300, clock_skew: 60 }
    }
}

/// Claims of a Nitro enclave; names as in [`sealwright_wire::nitro::Statement`]. Absent ones are absent in JSON too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NitroClaims {
    /// Instance and enclave.
    pub module_id: String,
    /// When the document was made.
    pub timestamp: UnixTime,
    /// The registers: `pcr0` (image), `pcr1` (kernel and boot ramdisk), `pcr2` (application), `pcr3` (role), `pcr4` (instance), `pcr8`
    /// (signer of the image), and whatever the enclave locked. As JSON they are among the others.
    #[serde(flatten)]
    pub pcrs: BTreeMap<String, Digest<48>>,
    /// A key of the enclave's own choice.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "hex_option")]
    pub public_key: Option<Vec<u8>>,
    /// Data of the enclave's own choice; also the facts' `report_data`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "hex_option")]
    pub user_data: Option<Vec<u8>>,
    /// A nonce of the enclave's caller.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "hex_option")]
    pub nonce: Option<Vec<u8>>,
}

impl NitroClaims {
    fn new(statement: &Statement<'_>) -> Self {
        let register = |(index, value): &(u8, Digest<48>)| (format!("pcr{index}"), *value);
        Self {
            module_id: statement.module_id.to_owned(),
            timestamp: made_at(statement),
            pcrs: statement.pcrs.iter().map(register).collect(),
            public_key: statement.public_key.map(<[u8]>::to_vec),
            user_data: statement.user_data.map(<[u8]>::to_vec),
            nonce: statement.nonce.map(<[u8]>::to_vec),
        }
    }
}

/// Verifies an attestation document: the chain in it at the document's own time, its signature, and its age at `at`.
///
/// `report_data` of the facts is the document's `user_data`, empty where it has none. `debug` tells that a register of the enclave's
/// measurement (0, 1 or 2) is all zero or missing, which is what a debug enclave shows. `collateral_expires` is the end of the document's
/// age.
///
/// # Errors
/// When the document is malformed or signed with another algorithm than ES384; when its chain does not lead to an anchor of the Nitro PKI,
/// or was not valid when the document was made; when the signature does not verify; when the document is too old or from the future.
pub fn verify(document: &[u8], anchors: &Anchors, at: UnixTime, freshness: Freshness) -> Result<Facts, Error> {
    let part = Part::NitroDocument;
    let parsed = Document::parse(document).map_err(|source| Error::Malformed { part, source })?;
    let Document { message, statement } = &parsed;
    if message.algorithm != Algorithm::Es384 {
        return Err(Error::Profile { part, rule: "signature algorithm ES384", found: message.algorithm.name().into() });
    }
    let made = made_at(statement);
    let issuers = statement.cabundle.iter().rev().copied();
    let chain: Vec<_> = std::iter::once(statement.certificate).chain(issuers).collect();
    let chain = Chain::verify(&chain, Profile::NITRO, anchors)?;
    let signed = message.signed_bytes().map_err(|source| Error::Malformed { part, source })?;
    if !crypto::verify_p384(chain.leaf.key(), &signed, message.signature) {
        return Err(Error::Signature { part, signer: Part::EvidenceLeaf.name() });
    }
    chain.window.check(made)?;
    let expires = UnixTime(made.0.saturating_add(freshness.max_age));
    Window::new(part, UnixTime(made.0.saturating_sub(freshness.clock_skew)), expires).check(at)?;
    Ok(Facts {
        tee: Tee::Nitro,
        anchor: chain.anchor,
        at,
        collateral_expires: expires,
        tcb: None,
        debug: Some(debug(statement)),
        report_data: statement.user_data.unwrap_or_default().to_vec(),
        evidence_sha384: hash::sha384(&[document]),
        quote_version: None,
        trailing_bytes: 0,
        claims: Claims::Nitro(NitroClaims::new(statement)),
        log: None,
    })
}

/// The second in which the document was made.
const fn made_at(statement: &Statement<'_>) -> UnixTime {
    UnixTime(statement.timestamp / 1000)
}

/// No measurement is all zero but in debug mode.
fn debug(statement: &Statement<'_>) -> bool {
    [0, 1, 2].into_iter().any(|index| statement.pcr(index).is_none_or(Digest::is_zero))
}

#[allow(clippy::ref_option)] // as serde calls it
pub(crate) fn hex_option<S: serde::Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    match bytes {
        Some(bytes) => serializer.serialize_str(&hex::encode(bytes)),
        None => serializer.serialize_none(),
    }
}
