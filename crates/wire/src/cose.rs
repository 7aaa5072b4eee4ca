//! COSE (RFC 9052): messages that one key signed, and that key.
//!
//! Only what evidence uses is read: `COSE_Sign1` with ECDSA, its payload inside, no external data; and keys of two coordinates.

use crate::Error;
use crate::cbor::{self, Cbor};
use minicbor::data::{Tag, Type};

/// The CBOR tag of `COSE_Sign1` (RFC 9052, section 2, table 1). Messages come with it and without.
pub const TAG_SIGN1: u64 = 18;
/// The most parameters of a header that are read.
const MAX_PARAMETERS: usize = 32;

/// Label of the algorithm in headers (RFC 9052, section 3.1).
const ALG: i64 = 1;
/// Label of the list of parameters that must be understood (RFC 9052, section 3.1).
const CRIT: i64 = 2;

/// A signature algorithm (RFC 9053, section 2.1, table 1). Signatures are (r, s), each as long as the curve's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// ES256 (-7): ECDSA with SHA-256.
    Es256,
    /// ES384 (-35): ECDSA with SHA-384.
    Es384,
    /// ES512 (-36): ECDSA with SHA-512.
    Es512,
}

impl Algorithm {
    /// Its name in the registry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
        }
    }

    /// Its number in the registry.
    pub const fn number(self) -> i64 {
        match self {
            Self::Es256 => -7,
            Self::Es384 => -35,
            Self::Es512 => -36,
        }
    }

    fn from_number(number: i64, at: usize) -> Result<Self, Error> {
        match number {
            -7 => Ok(Self::Es256),
            -35 => Ok(Self::Es384),
            -36 => Ok(Self::Es512),
            other => Err(Error::unexpected("alg", at, "-7 (ES256), -35 (ES384) or -36 (ES512)", other)),
        }
    }
}

/// `COSE_Sign1` (RFC 9052, section 4.2), borrowed. Nothing about it has been verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sign1<'a> {
    /// Whether the message bears the tag [`TAG_SIGN1`].
    pub tagged: bool,
    /// The protected header as it was signed: CBOR of a map.
    pub protected: &'a [u8],
    /// How it is signed, from the protected header.
    pub algorithm: Algorithm,
    /// What is signed.
    pub payload: &'a [u8],
    /// Where the payload begins in the input.
    pub payload_at: usize,
    /// The signature, (r, s).
    pub signature: &'a [u8],
}

impl<'a> Sign1<'a> {
    /// Reads a message that is all of `input`.
    ///
    /// # Errors
    /// When it is none, its algorithm is unknown or not protected, its payload is detached, it has parameters that must be
    /// understood, or something follows it.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        let mut message = Cbor::new(input);
        let tagged = message.kind("COSE_Sign1")? == Type::Tag;
        if tagged {
            let tag = message.tag("COSE_Sign1")?;
            if tag != TAG_SIGN1 {
                return Err(Error::unexpected("COSE_Sign1", 0, "tag 18 or none", tag));
            }
        }
        message.elements("COSE_Sign1", 4)?;
        let mut header = message.clone();
        let protected = message.bytes("protected header")?;
        let algorithm = read_protected(&mut header.wrapped("protected header")?)?;
        read_unprotected(&mut message)?;
        let payload = message.bytes("payload")?;
        let payload_at = message.offset().saturating_sub(payload.len());
        let signature = message.bytes("signature")?;
        message.end("COSE_Sign1")?;
        Ok(Self { tagged, protected, algorithm, payload, payload_at, signature })
    }

    /// The bytes that the key signed: `Sig_structure` (RFC 9052, section 4.4) without external data.
    ///
    /// # Errors
    /// None that memory does not cause.
    pub fn signed_bytes(&self) -> Result<Vec<u8>, Error> {
        sig_structure(self.protected, self.payload)
    }

    /// Writes the message.
    ///
    /// # Errors
    /// None that memory does not cause.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        cbor::write("COSE_Sign1", |encoder| {
            if self.tagged {
                encoder.tag(Tag::new(TAG_SIGN1))?;
            }
            encoder.array(4)?.bytes(self.protected)?.map(0)?.bytes(self.payload)?.bytes(self.signature)?;
            Ok(())
        })
    }
}

/// Exactly one algorithm, and nothing that must be understood.
fn read_protected(header: &mut Cbor<'_>) -> Result<Algorithm, Error> {
    let mut algorithm = None;
    header.each_entry("protected header", MAX_PARAMETERS, |header| {
        let at = header.offset();
        match header.label("protected header")? {
            Some(ALG) => {
                let number = header.integer("alg")?;
                cbor::once("protected header", at, &mut algorithm, Algorithm::from_number(number, at)?)
            }
            Some(CRIT) => Err(Error::unexpected("crit", at, "no parameter that must be understood", "crit")),
            _ => header.skip("protected header"),
        }
    })?;
    header.end("protected header")?;
    cbor::required("protected header", "the parameter alg (1)", algorithm)
}

/// Anything but what belongs into the protected header.
fn read_unprotected(message: &mut Cbor<'_>) -> Result<(), Error> {
    message.each_entry("unprotected header", MAX_PARAMETERS, |header| {
        let at = header.offset();
        match header.label("unprotected header")? {
            Some(label @ (ALG | CRIT)) => {
                Err(Error::unexpected("unprotected header", at, "alg and crit in the protected header only", label))
            }
            _ => header.skip("unprotected header"),
        }
    })
}

/// CBOR of a protected header that names the algorithm and nothing else.
///
/// # Errors
/// None that memory does not cause.
pub fn protected_header(algorithm: Algorithm) -> Result<Vec<u8>, Error> {
    cbor::write("protected header", |encoder| {
        encoder.map(1)?.i64(ALG)?.i64(algorithm.number())?;
        Ok(())
    })
}

/// What a signer signs for this protected header and payload: `Sig_structure` (RFC 9052, section 4.4) without external data.
///
/// # Errors
/// None that memory does not cause.
pub fn sig_structure(protected: &[u8], payload: &[u8]) -> Result<Vec<u8>, Error> {
    cbor::write("Sig_structure", |encoder| {
        encoder.array(4)?.str("Signature1")?.bytes(protected)?.bytes(&[])?.bytes(payload)?;
        Ok(())
    })
}

/// A curve of elliptic-curve keys (RFC 9053, section 7.1, table 18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Curve {
    /// P-256 (1).
    P256,
    /// P-384 (2).
    P384,
    /// P-521 (3).
    P521,
}

impl Curve {
    /// The length of a coordinate in bytes.
    pub const fn width(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    const fn number(self) -> i64 {
        match self {
            Self::P256 => 1,
            Self::P384 => 2,
            Self::P521 => 3,
        }
    }
}

/// A `COSE_Key` of type EC2 (RFC 9053, section 7.1.1): a public key as its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// The curve.
    pub curve: Curve,
    /// First coordinate, big-endian, as long as the curve has it.
    pub x: &'a [u8],
    /// Second coordinate, likewise. Compressed points are not read.
    pub y: &'a [u8],
}

impl<'a> Key<'a> {
    /// Reads a key that is all of `input`. Other parameters, as the key's name or its uses, are skipped.
    ///
    /// # Errors
    /// When it is of another type or curve, or a coordinate is missing or of another length.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        const FIELD: &str = "COSE_Key";
        let mut cbor = Cbor::new(input);
        let (mut kty, mut curve, mut x, mut y) = (None, None, None, None);
        cbor.each_entry(FIELD, MAX_PARAMETERS, |cbor| {
            let at = cbor.offset();
            match cbor.label(FIELD)? {
                Some(1) => cbor::once(FIELD, at, &mut kty, cbor.integer("kty")?),
                Some(-1) => cbor::once(FIELD, at, &mut curve, cbor.integer("crv")?),
                Some(-2) => cbor::once(FIELD, at, &mut x, cbor.bytes("x")?),
                Some(-3) => cbor::once(FIELD, at, &mut y, cbor.bytes("y")?),
                _ => cbor.skip(FIELD),
            }
        })?;
        cbor.end(FIELD)?;
        if kty != Some(2) {
            return Err(Error::unexpected("kty", 0, "2 (EC2)", format!("{kty:?}")));
        }
        let curve = match curve {
            Some(1) => Curve::P256,
            Some(2) => Curve::P384,
            Some(3) => Curve::P521,
            other => {
                return Err(Error::unexpected("crv", 0, "1 (P-256), 2 (P-384) or 3 (P-521)", format!("{other:?}")));
            }
        };
        let coordinate = |field, value: Option<&'a [u8]>| match value {
            Some(value) if value.len() == curve.width() => Ok(value),
            other => {
                let found = other.map_or_else(|| "none".to_owned(), |value| format!("{} bytes", value.len()));
                Err(Error::unexpected(field, 0, "a coordinate of the curve's length", found))
            }
        };
        Ok(Self { curve, x: coordinate("x", x)?, y: coordinate("y", y)? })
    }

    /// Writes the key.
    ///
    /// # Errors
    /// None that memory does not cause.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        cbor::write("COSE_Key", |encoder| {
            encoder.map(4)?.i64(1)?.i64(2)?.i64(-1)?.i64(self.curve.number())?;
            encoder.i64(-2)?.bytes(self.x)?.i64(-3)?.bytes(self.y)?;
            Ok(())
        })
    }

    /// The point in uncompressed form (SEC 1, section 2.3.3): 0x04, x, y.
    pub fn point(&self) -> Vec<u8> {
        [&[0x04], self.x, self.y].concat()
    }
}
