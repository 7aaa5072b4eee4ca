//! Certificates of AMD SEV from before SEV-SNP: a platform's (OCA, PEK, PDH, CEK) and AMD's own (ARK, ASK). Guests of SEV-SNP are vouched for by
//! X.509 certificates alone: these are read so that whoever has them is told what they are.
//!
//! Source: AMD, Secure Encrypted Virtualization API, 55766, its appendices on the formats of certificates.

use crate::{Error, Reader};
use zerocopy::{
    FromBytes, Immutable, KnownLayout, Unaligned,
    little_endian::{U16, U32},
};

/// The version of both formats.
const VERSION: u32 = 1;
/// The largest modulus of a CA, in bits.
const MAX_BITS: u32 = 4096;

/// What a key is for (55766, table "Key Usage Enumeration").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage(pub u32);

impl Usage {
    /// The key's name; `None` for a number that is not known.
    pub const fn name(self) -> Option<&'static str> {
        match self.0 {
            0x0000 => Some("ARK"),
            0x0013 => Some("ASK"),
            0x1000 => Some("none"),
            0x1001 => Some("OCA"),
            0x1002 => Some("PEK"),
            0x1003 => Some("PDH"),
            0x1004 => Some("CEK"),
            _ => None,
        }
    }
}

/// An algorithm (55766, table "Algorithm Enumeration").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithm(pub u32);

impl Algorithm {
    /// The algorithm's name; `None` for a number that is not known.
    pub const fn name(self) -> Option<&'static str> {
        match self.0 {
            0x000 => Some("none"),
            0x001 => Some("RSA with SHA-256"),
            0x002 => Some("ECDSA with SHA-256"),
            0x003 => Some("ECDH with SHA-256"),
            0x101 => Some("RSA with SHA-384"),
            0x102 => Some("ECDSA with SHA-384"),
            0x103 => Some("ECDH with SHA-384"),
            _ => None,
        }
    }
}

/// A signature in a certificate.
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Signature {
    /// What the key that signed is for.
    pub usage: U32,
    /// Its algorithm.
    pub algorithm: U32,
    /// The signature as the algorithm has it, padded with zeros.
    pub bytes: [u8; 512],
}

/// The certificate of a platform's key.
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Certificate {
    /// 1 (offset 0x000).
    pub version: U32,
    /// The firmware's API, major version (0x004).
    pub api_major: u8,
    /// The firmware's API, minor version (0x005).
    pub api_minor: u8,
    /// Zero (0x006).
    pub reserved: U16,
    /// What the key is for (0x008).
    pub pubkey_usage: U32,
    /// Its algorithm (0x00C).
    pub pubkey_algo: U32,
    /// The key as the algorithm has it, padded with zeros (0x010).
    pub pubkey: [u8; 1028],
    /// Who signed it (0x414).
    pub signatures: [Signature; 2],
}

const _: () = assert!(size_of::<Certificate>() == 0x824);

impl Certificate {
    /// Reads a certificate that is all of `input`.
    ///
    /// # Errors
    /// When it has another size or version, or its key is for nothing that is known or of no known algorithm.
    pub fn parse(input: &[u8]) -> Result<&Self, Error> {
        let mut reader = Reader::new(input);
        let certificate: &Self = reader.structure("SEV certificate")?;
        reader.finish("SEV certificate")?;
        check_version(certificate.version)?;
        check("PUBKEY_USAGE", 0x008, certificate.usage().name(), certificate.pubkey_usage)?;
        check("PUBKEY_ALGO", 0x00c, certificate.algorithm().name(), certificate.pubkey_algo)?;
        Ok(certificate)
    }

    /// What the key is for.
    pub const fn usage(&self) -> Usage {
        Usage(self.pubkey_usage.get())
    }

    /// The key's algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        Algorithm(self.pubkey_algo.get())
    }
}

/// The fixed part of a certificate of AMD's.
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct CaHeader {
    /// 1 (offset 0x00).
    pub version: U32,
    /// The key's name (0x04).
    pub key_id: [u8; 16],
    /// The name of the key that signed it (0x14).
    pub certifying_id: [u8; 16],
    /// What the key is for (0x24).
    pub key_usage: U32,
    /// Zero (0x28).
    pub reserved: [u8; 16],
    /// Size of the public exponent in bits (0x38).
    pub pubexp_size: U32,
    /// Size of the modulus in bits, 2048 or 4096 (0x3C).
    pub modulus_size: U32,
}

const _: () = assert!(size_of::<CaHeader>() == 0x40);

/// The uses of an ARK and of an ASK.
const CA_USAGES: [u32; 2] = [0x0000, 0x0013];
/// The sizes of their moduli in bits.
const CA_MODULI: [u32; 2] = [2048, 4096];

/// A certificate of AMD's: an RSA key and its signature.
#[derive(Clone, Copy)]
pub struct CaCertificate<'a> {
    /// Its fixed part.
    pub header: &'a CaHeader,
    /// The public exponent, little-endian.
    pub exponent: &'a [u8],
    /// The modulus, little-endian.
    pub modulus: &'a [u8],
    /// The signature, as long as the modulus, little-endian.
    pub signature: &'a [u8],
}

impl<'a> CaCertificate<'a> {
    /// Reads a certificate that is all of `input`.
    ///
    /// # Errors
    /// When it is cut short or longer, of another version or use, or of a size that no CA has.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let header: &CaHeader = reader.structure("SEV CA certificate")?;
        check_version(header.version)?;
        if !CA_USAGES.contains(&header.key_usage.get()) {
            let found = format_args!("{:#x}", header.key_usage);
            return Err(Error::unexpected("KEY_USAGE", 0x24, "that of an ARK or ASK", found));
        }
        if !CA_MODULI.contains(&header.modulus_size.get()) {
            return Err(Error::unexpected("MODULUS_SIZE", 0x3c, "2048 or 4096 bits", header.modulus_size));
        }
        let modulus_size = bytes("MODULUS_SIZE", 0x3c, header.modulus_size)?;
        let exponent = reader.bytes("PUBEXP", bytes("PUBEXP_SIZE", 0x38, header.pubexp_size)?)?;
        let modulus = reader.bytes("MODULUS", modulus_size)?;
        let signature = reader.bytes("SIGNATURE", modulus_size)?;
        reader.finish("SEV CA certificate")?;
        Ok(Self { header, exponent, modulus, signature })
    }

    /// What the key is for.
    pub const fn usage(&self) -> Usage {
        Usage(self.header.key_usage.get())
    }
}

/// Whether bytes begin like a certificate of AMD's: by their version, the use of an ARK or ASK, and a size of its modulus.
pub fn looks_like_ca(bytes: &[u8]) -> bool {
    CaHeader::ref_from_prefix(bytes).is_ok_and(|(header, _)| {
        header.version.get() == VERSION
            && CA_USAGES.contains(&header.key_usage.get())
            && CA_MODULI.contains(&header.modulus_size.get())
    })
}

fn check_version(version: U32) -> Result<(), Error> {
    if version.get() == VERSION { Ok(()) } else { Err(Error::unexpected("VERSION", 0, "1", version)) }
}

fn check(field: &'static str, offset: usize, name: Option<&str>, number: U32) -> Result<(), Error> {
    let unknown = || Error::unexpected(field, offset, "a number of the specification", format_args!("{number:#x}"));
    name.map(|_| ()).ok_or_else(unknown)
}

/// A size in bits as bytes.
fn bytes(field: &'static str, offset: usize, bits: U32) -> Result<usize, Error> {
    let bits = bits.get();
    let wrong = || Error::unexpected(field, offset, "whole bytes, up to 4096 bits", bits);
    if bits > MAX_BITS || !bits.is_multiple_of(8) {
        return Err(wrong());
    }
    usize::try_from(bits / 8).map_err(|_| wrong())
}
