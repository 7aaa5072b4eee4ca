//! Attestation tokens of Arm CCA: a collection of two signed claims sets, one of the platform and one of the realm, whose key the platform
//! vouches for.
//!
//! Sources: draft-ffm-rats-cca-token (revisions 00 to 03); Arm, Realm Management Monitor specification (DEN0137), section A7.2 "Realm
//! attestation". Three generations are in the field: the profile of Arm's first firmware, in a collection with tag 399, whose realm has no
//! profile and a bare point as key; that of 2023; and that of 2024, in a collection with tag 907.

use crate::Error;
use crate::cbor::{self, Cbor};
use crate::cose::Sign1;
use minicbor::data::{Tag, Type};

mod platform;
mod realm;
mod store;

pub use platform::{Component, Lifecycle, PlatformClaims, PlatformProfile};
pub use realm::{RealmClaims, RealmProfile};
pub use store::{Entry, PlatformKey, Store};

/// The tag of a collection in Arm's first firmware.
pub const TAG_COLLECTION: u64 = 399;
/// The tag of a collection as a conceptual message wrapper (draft-ffm-rats-cca-token, section 3).
pub const TAG_CMW: u64 = 907;
/// The longest token that is read, in bytes; the realm services interface hands out at most 4 KiB.
pub const MAX_TOKEN: usize = 16 << 10;
/// The content format of `application/eat+cwt` (CoAP content formats), which a wrapper's records name.
const EAT_CWT: u64 = 263;

const PLATFORM_TOKEN: i64 = 44_234;
const REALM_TOKEN: i64 = 44_241;
const FIELD: &str = "CCA token";

/// A hash algorithm by the name that claims give it (IANA, "Hash Function Textual Names").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// sha-256.
    Sha256,
    /// sha-384.
    Sha384,
    /// sha-512.
    Sha512,
}

impl Hash {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    fn read(cbor: &mut Cbor<'_>, field: &'static str) -> Result<Self, Error> {
        let at = cbor.offset();
        match cbor.text(field)? {
            "sha-256" => Ok(Self::Sha256),
            "sha-384" => Ok(Self::Sha384),
            "sha-512" => Ok(Self::Sha512),
            other => Err(Error::unexpected(field, at, "sha-256, sha-384 or sha-512", other)),
        }
    }
}

/// A token, parsed and borrowed from its bytes. Nothing about it has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// The platform's signed message, as it stands in the collection.
    pub platform: Sign1<'a>,
    /// What the platform says.
    pub platform_claims: PlatformClaims<'a>,
    /// The realm's signed message, as it stands in the collection.
    pub realm: Sign1<'a>,
    /// What the realm management monitor says of the realm.
    pub realm_claims: RealmClaims<'a>,
}

impl<'a> Token<'a> {
    /// Reads a token that is all of `input`.
    ///
    /// # Errors
    /// When it is no collection of these two, a message or a claims set is malformed, a claim is missing, twice or of another size, or
    /// something follows.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        if input.len() > MAX_TOKEN {
            return Err(Error::too_long(FIELD, 0, MAX_TOKEN, input.len()));
        }
        let (platform, realm) = collection(input)?;
        let ((platform, platform_at), (realm, realm_at)) = (message(platform)?, message(realm)?);
        let platform_claims = PlatformClaims::read(&mut Cbor::within(platform.payload, platform_at))?;
        let realm_claims = RealmClaims::read(&mut Cbor::within(realm.payload, realm_at))?;
        Ok(Self { platform, platform_claims, realm, realm_claims })
    }
}

/// A byte string of the input, and where it begins.
type Placed<'a> = (&'a [u8], usize);

/// The signed message that is all of a byte string, and where its payload begins in the input.
fn message((bytes, base): Placed<'_>) -> Result<(Sign1<'_>, usize), Error> {
    let message = Sign1::parse(bytes).map_err(|error| error.at(base))?;
    Ok((message, base.saturating_add(message.payload_at)))
}

/// The two records of a collection.
fn collection(input: &[u8]) -> Result<(Placed<'_>, Placed<'_>), Error> {
    let mut cbor = Cbor::new(input);
    let wrapped = match cbor.tag(FIELD)? {
        TAG_COLLECTION => false,
        TAG_CMW => true,
        other => return Err(Error::unexpected(FIELD, 0, "tag 399 or 907", other)),
    };
    let (mut platform, mut realm) = (None, None);
    cbor.each_entry(FIELD, 4, |cbor| {
        let at = cbor.offset();
        if wrapped && cbor.kind(FIELD)? == Type::String {
            return collection_type(cbor);
        }
        let place = match cbor.label(FIELD)? {
            Some(PLATFORM_TOKEN) => &mut platform,
            Some(REALM_TOKEN) => &mut realm,
            _ => return Err(Error::unexpected(FIELD, at, "the keys 44234 and 44241", "another key")),
        };
        cbor::once(FIELD, at, place, record(cbor, wrapped)?)
    })?;
    cbor.end(FIELD)?;
    let platform = cbor::required(FIELD, "a platform token (44234)", platform)?;
    Ok((platform, cbor::required(FIELD, "a realm token (44241)", realm)?))
}

/// `__cmwc_t`, by which a wrapper may name the type of its collection (draft-ietf-rats-msg-wrap, section 3.3).
fn collection_type(cbor: &mut Cbor<'_>) -> Result<(), Error> {
    let at = cbor.offset();
    match cbor.text(FIELD)? {
        "__cmwc_t" => cbor.skip(FIELD),
        other => Err(Error::unexpected(FIELD, at, "the keys 44234, 44241 and __cmwc_t", other)),
    }
}

/// A token: by itself, or in a wrapper with its content format.
fn record<'a>(cbor: &mut Cbor<'a>, wrapped: bool) -> Result<Placed<'a>, Error> {
    if wrapped {
        cbor.elements(FIELD, 2)?;
        let at = cbor.offset();
        let format = cbor.unsigned(FIELD)?;
        if format != EAT_CWT {
            return Err(Error::unexpected(FIELD, at, "content format 263", format));
        }
    }
    let bytes = cbor.bytes(FIELD)?;
    Ok((bytes, cbor.offset().saturating_sub(bytes.len())))
}

/// Writes a collection of two signed messages, in the form of their generation.
///
/// # Errors
/// None that memory does not cause.
pub fn encode(platform: &[u8], realm: &[u8], tag: u64) -> Result<Vec<u8>, Error> {
    cbor::write(FIELD, |encoder| {
        encoder.tag(Tag::new(tag))?.map(2)?;
        for (label, token) in [(PLATFORM_TOKEN, platform), (REALM_TOKEN, realm)] {
            encoder.i64(label)?;
            if tag == TAG_CMW {
                encoder.array(2)?.u64(EAT_CWT)?;
            }
            encoder.bytes(token)?;
        }
        Ok(())
    })
}

/// A digest of `cca-hash-type`: 32, 48 or 64 bytes.
fn digest<'a>(cbor: &mut Cbor<'a>, field: &'static str) -> Result<&'a [u8], Error> {
    let at = cbor.offset();
    let digest = cbor.bytes(field)?;
    if matches!(digest.len(), 32 | 48 | 64) {
        return Ok(digest);
    }
    Err(Error::unexpected(field, at, "32, 48 or 64 bytes", digest.len()))
}

/// An instance id: a UEID of type RAND (EAT, RFC 9711, section 4.2.1).
fn instance_id<'a>(cbor: &mut Cbor<'a>, field: &'static str) -> Result<&'a [u8; 33], Error> {
    let at = cbor.offset();
    let id = cbor.array::<33>(field)?;
    match id {
        [0x01, ..] => Ok(id),
        [other, ..] => Err(Error::unexpected(field, at, "a UEID that begins with 0x01", format_args!("{other:#04x}"))),
    }
}
