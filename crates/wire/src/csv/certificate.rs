//! The certificates of Hygon's PKI. They have neither dates nor serial numbers, and no revocation lists exist.

use super::{ALGORITHM_SM2_SIGN, CURVE_SM2};
use crate::{Error, Reader};
use std::fmt;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What a key is for (csv-rs `certs::Usage`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Usage(pub u32);

impl Usage {
    /// Hygon root key, signs HSKs.
    pub const HRK: Self = Self(0);
    /// Hygon signing key, signs CEKs.
    pub const HSK: Self = Self(0x13);
    /// No key: an unused place for a signature.
    pub const INVALID: Self = Self(0x1000);
    /// The platform owner's certificate authority, signs PEKs beside the CEK.
    pub const OCA: Self = Self(0x1001);
    /// Platform endorsement key, signs reports.
    pub const PEK: Self = Self(0x1002);
    /// Platform Diffie-Hellman key.
    pub const PDH: Self = Self(0x1003);
    /// Chip endorsement key, signs PEKs.
    pub const CEK: Self = Self(0x1004);

    /// The key's name; `None` for a number that is not known.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::HRK => Some("HRK"),
            Self::HSK => Some("HSK"),
            Self::INVALID => Some("none"),
            Self::OCA => Some("OCA"),
            Self::PEK => Some("PEK"),
            Self::PDH => Some("PDH"),
            Self::CEK => Some("CEK"),
            _ => None,
        }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.0),
        }
    }
}

/// A number of at most 256 bits out of its field of 72 bytes, big-endian; `None` when it is larger.
pub fn number(field: &[u8; 72]) -> Option<[u8; 32]> {
    let (value, rest) = field.split_first_chunk::<32>()?;
    let mut value = *value;
    value.reverse();
    rest.iter().all(|byte| *byte == 0).then_some(value)
}

/// The field of 72 bytes for a big-endian number.
fn field(number: &[u8; 32]) -> [u8; 72] {
    let mut field = [0; 72];
    for (place, byte) in field.iter_mut().zip(number.iter().rev()) {
        *place = *byte;
    }
    field
}

/// A point of the curve (csv-rs `crypto::key::ecc::PubKey`), 148 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// [`CURVE_SM2`] (offset 0x00).
    pub curve: U32,
    /// The point's x (0x04).
    pub x: [u8; 72],
    /// The point's y (0x4C).
    pub y: [u8; 72],
}

const _: () = assert!(size_of::<PublicKey>() == 148);

impl PublicKey {
    /// The key with these big-endian coordinates.
    pub fn new(x: &[u8; 32], y: &[u8; 32]) -> Self {
        Self { curve: U32::new(CURVE_SM2), x: field(x), y: field(y) }
    }

    /// The coordinates, big-endian; `None` when one is over 256 bits.
    pub fn coordinates(&self) -> Option<([u8; 32], [u8; 32])> {
        number(&self.x).zip(number(&self.y))
    }

    /// Checks what every key has; `at` is where the structure begins.
    fn check(&self, at: usize) -> Result<(), Error> {
        let curve = self.curve.get();
        if curve != CURVE_SM2 {
            return Err(Error::unexpected("public key curve", at, "3 (SM2)", curve));
        }
        match self.coordinates() {
            Some(_) => Ok(()),
            None => Err(Error::unexpected("public key", at, "coordinates of 256 bits", "a larger number")),
        }
    }
}

/// An SM2 signature (csv-rs `crypto::sig::ecdsa::Signature`), 144 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Its r (offset 0x00).
    pub r: [u8; 72],
    /// Its s (0x48).
    pub s: [u8; 72],
}

const _: () = assert!(size_of::<Signature>() == 144);

impl Signature {
    /// The signature of two big-endian numbers.
    pub fn new(r: &[u8; 32], s: &[u8; 32]) -> Self {
        Self { r: field(r), s: field(s) }
    }

    /// Both numbers, big-endian; `None` when one is over 256 bits.
    pub fn numbers(&self) -> Option<([u8; 32], [u8; 32])> {
        number(&self.r).zip(number(&self.s))
    }
}

/// A user id in its field, with its size.
fn user_id_field(user_id: &[u8]) -> Result<(U16, [u8; 254]), Error> {
    let mut field = [0; 254];
    let limit = field.len();
    let (Some(place), Ok(size)) = (field.get_mut(..user_id.len()), u16::try_from(user_id.len())) else {
        return Err(Error::too_long("user id", 0, limit, user_id.len()));
    };
    place.copy_from_slice(user_id);
    Ok((U16::new(size), field))
}

fn check_user_id(size: U16, at: usize) -> Result<(), Error> {
    let size = usize::from(size.get());
    if size > 254 { Err(Error::too_long("user id size", at, 254, size)) } else { Ok(()) }
}

/// Certificate of a HRK or HSK (csv-rs `certs::ca::cert::Certificate`), 832 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaCertificate {
    /// Version of the layout: 1 (offset 0x000).
    pub version: U32,
    /// Identity of this key (0x004).
    pub key_id: [u8; 16],
    /// Identity of the key that signed (0x014).
    pub signer_id: [u8; 16],
    /// What the key is for, see [`Usage`] (0x024).
    pub key_usage: U32,
    /// Reserved (0x028).
    pub reserved1: [u8; 24],
    /// The key (0x040).
    pub public_key: PublicKey,
    /// How many bytes the user id has (0x0D4).
    pub user_id_size: U16,
    /// The id under which this key signs, padded with zeros (0x0D6).
    pub user_id: [u8; 254],
    /// Reserved (0x1D4).
    pub reserved2: [u8; 108],
    /// Signature by the signer over everything before (0x240).
    pub signature: Signature,
    /// Reserved, not signed (0x2D0).
    pub reserved3: [u8; 112],
}

const _: () = assert!(size_of::<CaCertificate>() == 832);

impl CaCertificate {
    /// A certificate without its signature: to be signed by what [`signed`](Self::signed) gives.
    ///
    /// # Errors
    /// When the user id is over 254 bytes.
    pub fn new(
        usage: Usage,
        key_id: [u8; 16],
        signer_id: [u8; 16],
        key: PublicKey,
        user_id: &[u8],
    ) -> Result<Self, Error> {
        let (user_id_size, user_id) = user_id_field(user_id)?;
        let (version, key_usage) = (U32::new(1), U32::new(usage.0));
        Ok(Self { version, key_id, signer_id, key_usage, public_key: key, user_id_size, user_id, ..Self::new_zeroed() })
    }

    /// Reads a certificate that is all of `input`.
    ///
    /// # Errors
    /// When it has another size, version or curve, a user id that is too long, or coordinates over 256 bits.
    pub fn parse(input: &[u8]) -> Result<&Self, Error> {
        let mut reader = Reader::new(input);
        let certificate = Self::read(&mut reader)?;
        reader.finish("HRK or HSK certificate")?;
        Ok(certificate)
    }

    fn read<'a>(reader: &mut Reader<'a>) -> Result<&'a Self, Error> {
        let at = reader.offset();
        let certificate: &Self = reader.structure("HRK or HSK certificate")?;
        certificate.check().map_err(|error| error.at(at))?;
        Ok(certificate)
    }

    fn check(&self) -> Result<(), Error> {
        let version = self.version.get();
        if version != 1 {
            return Err(Error::unexpected("certificate version", 0, "1", version));
        }
        self.public_key.check(0x40)?;
        check_user_id(self.user_id_size, 0xd4)
    }

    /// What the key is for.
    pub const fn usage(&self) -> Usage {
        Usage(self.key_usage.get())
    }

    /// The id under which this key signs.
    pub fn user_id(&self) -> &[u8] {
        self.user_id.get(..usize::from(self.user_id_size.get())).unwrap_or(&self.user_id)
    }

    /// The bytes that the signer signs: all before the signature.
    pub fn signed(&self) -> &[u8] {
        self.as_bytes().get(..0x240).unwrap_or_default()
    }
}

/// A place for a signature in a [`Certificate`] (csv-rs `certs::csv::cert::Signatures`), 520 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateSignature {
    /// What the signer's key is for; [`Usage::INVALID`] where there is no signature (offset 0x000).
    pub key_usage: U32,
    /// [`ALGORITHM_SM2_SIGN`], or 0 where there is no signature (0x004).
    pub algorithm: U32,
    /// The signature (0x008).
    pub signature: Signature,
    /// Reserved (0x098).
    pub reserved: [u8; 368],
}

const _: () = assert!(size_of::<CertificateSignature>() == 520);

impl CertificateSignature {
    /// A signature by a key of this usage.
    pub fn new(usage: Usage, signature: Signature) -> Self {
        let (key_usage, algorithm) = (U32::new(usage.0), U32::new(ALGORITHM_SM2_SIGN));
        Self { key_usage, algorithm, signature, reserved: [0; 368] }
    }

    /// No signature.
    pub fn none() -> Self {
        Self { key_usage: U32::new(Usage::INVALID.0), ..Self::new_zeroed() }
    }

    /// What the signer's key is for; `None` where there is no signature.
    pub fn usage(&self) -> Option<Usage> {
        let usage = Usage(self.key_usage.get());
        (usage != Usage::INVALID && self.algorithm.get() != 0).then_some(usage)
    }
}

/// Certificate of a CEK, PEK, OCA or PDH (csv-rs `certs::csv::cert::Certificate`), 2084 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Version of the layout: 1, or 2 where there is a signer id (offset 0x000).
    pub version: U32,
    /// Major version of the firmware's interface (0x004).
    pub api_major: u8,
    /// Minor version of the firmware's interface (0x005).
    pub api_minor: u8,
    /// Reserved (0x006).
    pub reserved1: U16,
    /// What the key is for, see [`Usage`] (0x008).
    pub key_usage: U32,
    /// What the key is used with, [`ALGORITHM_SM2_SIGN`] for keys that sign (0x00C).
    pub algorithm: U32,
    /// The key (0x010).
    pub public_key: PublicKey,
    /// How many bytes the user id has (0x0A4).
    pub user_id_size: U16,
    /// The id under which this key signs, padded with zeros (0x0A6).
    pub user_id: [u8; 254],
    /// Identity of the HSK that signed a CEK; zero in others (0x1A4).
    pub signer_id: [u8; 16],
    /// Reserved (0x1B4).
    pub reserved2: [u8; 608],
    /// One or two signatures over everything before (0x414).
    pub signatures: [CertificateSignature; 2],
}

const _: () = assert!(size_of::<Certificate>() == 2084);

impl Certificate {
    /// A certificate of a key that signs, of version 2 with a signer id and of version 1 with zeros for it, without signatures: to be signed by
    /// what [`signed`](Self::signed) gives.
    ///
    /// # Errors
    /// When the user id is over 254 bytes.
    pub fn new(usage: Usage, signer_id: [u8; 16], key: PublicKey, user_id: &[u8]) -> Result<Self, Error> {
        let (user_id_size, user_id) = user_id_field(user_id)?;
        Ok(Self {
            version: U32::new(if signer_id == [0; 16] { 1 } else { 2 }),
            api_major: 1,
            key_usage: U32::new(usage.0),
            algorithm: U32::new(ALGORITHM_SM2_SIGN),
            public_key: key,
            user_id_size,
            user_id,
            signer_id,
            signatures: [CertificateSignature::none(); 2],
            ..Self::new_zeroed()
        })
    }

    /// Reads a certificate that is all of `input`.
    ///
    /// # Errors
    /// When it has another size, version or curve, a user id that is too long, or coordinates over 256 bits.
    pub fn parse(input: &[u8]) -> Result<&Self, Error> {
        let mut reader = Reader::new(input);
        let certificate = Self::read(&mut reader)?;
        reader.finish("CEK or PEK certificate")?;
        Ok(certificate)
    }

    fn read<'a>(reader: &mut Reader<'a>) -> Result<&'a Self, Error> {
        let at = reader.offset();
        let certificate: &Self = reader.structure("CEK or PEK certificate")?;
        certificate.check().map_err(|error| error.at(at))?;
        Ok(certificate)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let version = self.version.get();
        if !(1..=2).contains(&version) {
            return Err(Error::unexpected("certificate version", 0, "1 or 2", version));
        }
        self.public_key.check(0x10)?;
        check_user_id(self.user_id_size, 0xa4)
    }

    /// What the key is for.
    pub const fn usage(&self) -> Usage {
        Usage(self.key_usage.get())
    }

    /// The id under which this key signs.
    pub fn user_id(&self) -> &[u8] {
        self.user_id.get(..usize::from(self.user_id_size.get())).unwrap_or(&self.user_id)
    }

    /// The bytes that the signers sign: all before the signatures.
    pub fn signed(&self) -> &[u8] {
        self.as_bytes().get(..0x414).unwrap_or_default()
    }
}

/// What Hygon's service hands out for a chip (`https://cert.hygon.cn/hsk_cek?snumber=`): its HSK and CEK in a row, 2916 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HskCek<'a> {
    /// The HSK's certificate.
    pub hsk: &'a CaCertificate,
    /// The CEK's certificate.
    pub cek: &'a Certificate,
}

impl<'a> HskCek<'a> {
    /// Reads the pair.
    ///
    /// # Errors
    /// When the input has another size, or one of the certificates is none.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let pair = Self { hsk: CaCertificate::read(&mut reader)?, cek: Certificate::read(&mut reader)? };
        reader.finish("HSK and CEK certificates")?;
        Ok(pair)
    }

    /// Writes the pair.
    pub fn encode(&self) -> Vec<u8> {
        [self.hsk.as_bytes(), self.cek.as_bytes()].concat()
    }
}
