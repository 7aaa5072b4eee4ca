//! Public areas of TPM keys.

use super::{MAX_DIGEST, MAX_ECC, MAX_RSA, alg, write_sized};
use crate::{Error, Reader, tcg2::AlgorithmId};
use der::asn1::{BitStringRef, ObjectIdentifier, UintRef};
use der::{AnyRef, Encode, Sequence};
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

/// The exponent that a public area states as zero (Table "Definition of TPMS_RSA_PARMS Structure").
const DEFAULT_EXPONENT: u32 = 65_537;
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// `TPMA_OBJECT` (Table "Definition of (UINT32) TPMA_OBJECT Bits").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes(pub u32);

impl Attributes {
    /// What an attestation key has: it never leaves its TPM, was made there, and signs only what the TPM itself made.
    pub const ATTESTATION_KEY: Self = Self(0x0005_0032);
    /// Bits that the specification reserves.
    pub const RESERVED: u32 = 0xfff0_f309;

    /// Bit 1: the key never leaves its TPM.
    pub const fn fixed_tpm(self) -> bool {
        self.0 & 1 << 1 != 0
    }

    /// Bit 2: a saved context does not outlive a reset.
    pub const fn st_clear(self) -> bool {
        self.0 & 1 << 2 != 0
    }

    /// Bit 4: the key never gets another parent.
    pub const fn fixed_parent(self) -> bool {
        self.0 & 1 << 4 != 0
    }

    /// Bit 5: the TPM made the private part itself.
    pub const fn sensitive_data_origin(self) -> bool {
        self.0 & 1 << 5 != 0
    }

    /// Bit 6: its authorisation value suffices to use it.
    pub const fn user_with_auth(self) -> bool {
        self.0 & 1 << 6 != 0
    }

    /// Bit 7: its administrator needs a policy.
    pub const fn admin_with_policy(self) -> bool {
        self.0 & 1 << 7 != 0
    }

    /// Bit 10: not subject to the protection against guessing.
    pub const fn no_da(self) -> bool {
        self.0 & 1 << 10 != 0
    }

    /// Bit 11: duplicates are encrypted.
    pub const fn encrypted_duplication(self) -> bool {
        self.0 & 1 << 11 != 0
    }

    /// Bit 16: it signs nothing that pretends to be made by the TPM.
    pub const fn restricted(self) -> bool {
        self.0 & 1 << 16 != 0
    }

    /// Bit 17: it decrypts.
    pub const fn decrypt(self) -> bool {
        self.0 & 1 << 17 != 0
    }

    /// Bit 18: it signs.
    pub const fn sign(self) -> bool {
        self.0 & 1 << 18 != 0
    }

    /// Bit 19: it does not sign X.509 certificates unless told to.
    pub const fn x509_sign(self) -> bool {
        self.0 & 1 << 19 != 0
    }
}

/// `TPMT_SYM_DEF_OBJECT` (Table "Definition of TPMT_SYM_DEF_OBJECT Structure"): how a storage key protects its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symmetric {
    /// The cipher.
    pub algorithm: u16,
    /// Its key's bits.
    pub key_bits: u16,
    /// Its mode.
    pub mode: u16,
}

/// `TPMT_RSA_SCHEME`, `TPMT_ECC_SCHEME` or `TPMT_KDF_SCHEME`: a scheme with the hash that it has, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// The scheme, see [`alg`](super::alg).
    pub algorithm: u16,
    /// Its hash; RSAES has none.
    pub hash: Option<AlgorithmId>,
    /// Its count; ECDAA alone has one.
    pub count: Option<u16>,
}

/// `TPM_ECC_CURVE` (Table "Definition of (UINT16) TPM_ECC_CURVE Constants").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Curve(pub u16);

impl Curve {
    /// P-256.
    pub const NIST_P256: Self = Self(0x0003);
    /// P-384.
    pub const NIST_P384: Self = Self(0x0004);
    /// P-521.
    pub const NIST_P521: Self = Self(0x0005);

    /// Bytes of a coordinate and the curve's name (RFC 5480, 2.1.1.1).
    fn known(self) -> Option<(usize, ObjectIdentifier)> {
        match self {
            Self::NIST_P256 => Some((32, ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"))),
            Self::NIST_P384 => Some((48, ObjectIdentifier::new_unwrap("1.3.132.0.34"))),
            Self::NIST_P521 => Some((66, ObjectIdentifier::new_unwrap("1.3.132.0.35"))),
            _ => None,
        }
    }
}

/// The key itself: `TPMU_PUBLIC_ID` with its own parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// `TPMS_RSA_PARMS` and `TPM2B_PUBLIC_KEY_RSA`.
    Rsa {
        /// Size of the modulus.
        bits: u16,
        /// The exponent as stated; zero stands for 65,537.
        exponent: u32,
        /// The modulus, big-endian.
        modulus: &'a [u8],
    },
    /// `TPMS_ECC_PARMS` and `TPMS_ECC_POINT`.
    Ecc {
        /// The curve.
        curve: Curve,
        /// Key derivation, mostly none.
        kdf: Option<Scheme>,
        /// Big-endian; leading zeros may be missing.
        x: &'a [u8],
        /// Big-endian; leading zeros may be missing.
        y: &'a [u8],
    },
}

/// `TPMT_PUBLIC` of an RSA or ECC key (Table "Definition of TPMT_PUBLIC Structure").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Public<'a> {
    /// Hash of the key's name.
    pub name_alg: AlgorithmId,
    /// What the key may do.
    pub attributes: Attributes,
    /// Digest of the policy that its use needs; empty for none.
    pub auth_policy: &'a [u8],
    /// How it protects its children, where it is a storage key.
    pub symmetric: Option<Symmetric>,
    /// The one scheme that it signs (or decrypts) with; an attestation key has one.
    pub scheme: Option<Scheme>,
    /// The key.
    pub key: Key<'a>,
}

impl<'a> Public<'a> {
    /// Parses a `TPM2B_PUBLIC`, as `tpm2_createak -u` writes it, or the `TPMT_PUBLIC` alone.
    ///
    /// # Errors
    /// When it is no key of RSA or ECC, a field is cut short or contradicts another, or anything follows.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        Self::without_size(input)
            .and_then(|area| Self::parse_area(area).map_err(|e| e.at(input.len().saturating_sub(area.len()))))
    }

    /// The `TPMT_PUBLIC` in either form: what a name is the hash of.
    ///
    /// # Errors
    /// When the length of a `TPM2B_PUBLIC` is not that of the rest.
    pub fn without_size(input: &'a [u8]) -> Result<&'a [u8], Error> {
        let mut reader = Reader::new(input);
        let first = reader.u16_be("TPM2B_PUBLIC.size")?;
        // A type is 1 or 0x23; no public area is so short.
        if matches!(first, alg::RSA | alg::ECC) {
            return Ok(input);
        }
        let area = reader.bytes("TPM2B_PUBLIC.publicArea", usize::from(first))?;
        reader.finish("TPM2B_PUBLIC")?;
        Ok(area)
    }

    fn parse_area(area: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(area);
        let kind = reader.u16_be("TPMT_PUBLIC.type")?;
        if !matches!(kind, alg::RSA | alg::ECC) {
            let found = format_args!("{kind:#06x}");
            return Err(Error::unexpected("TPMT_PUBLIC.type", 0, "RSA (1) or ECC (0x23)", found));
        }
        let name_alg = AlgorithmId(reader.u16_be("TPMT_PUBLIC.nameAlg")?);
        if name_alg.digest_size().is_none() {
            return Err(Error::unexpected("TPMT_PUBLIC.nameAlg", 2, "a hash algorithm", name_alg));
        }
        let attributes = Attributes(reader.u32_be("TPMT_PUBLIC.objectAttributes")?);
        if attributes.0 & Attributes::RESERVED != 0 {
            let found = format_args!("{:#010x}", attributes.0);
            return Err(Error::unexpected("TPMT_PUBLIC.objectAttributes", 4, "no reserved bit", found));
        }
        let auth_policy = reader.sized_be("TPMT_PUBLIC.authPolicy", MAX_DIGEST)?;
        let symmetric = read_symmetric(&mut reader)?;
        let scheme = read_scheme(&mut reader)?;
        let key = if kind == alg::RSA { read_rsa(&mut reader)? } else { read_ecc(&mut reader)? };
        reader.finish("TPMT_PUBLIC")?;
        Ok(Self { name_alg, attributes, auth_policy, symmetric, scheme, key })
    }

    /// The `TPMT_PUBLIC`.
    ///
    /// # Errors
    /// When a field is over its limit.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        let kind = if matches!(self.key, Key::Rsa { .. }) { alg::RSA } else { alg::ECC };
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&self.name_alg.0.to_be_bytes());
        out.extend_from_slice(&self.attributes.0.to_be_bytes());
        write_sized(&mut out, "TPMT_PUBLIC.authPolicy", self.auth_policy, MAX_DIGEST)?;
        match self.symmetric {
            None => out.extend_from_slice(&alg::NULL.to_be_bytes()),
            Some(Symmetric { algorithm, key_bits, mode }) => {
                out.extend([algorithm, key_bits, mode].into_iter().flat_map(u16::to_be_bytes));
            }
        }
        write_scheme(&mut out, self.scheme);
        match self.key {
            Key::Rsa { bits, exponent, modulus } => {
                out.extend_from_slice(&bits.to_be_bytes());
                out.extend_from_slice(&exponent.to_be_bytes());
                write_sized(&mut out, "TPM2B_PUBLIC_KEY_RSA", modulus, MAX_RSA)?;
            }
            Key::Ecc { curve, kdf, x, y } => {
                out.extend_from_slice(&curve.0.to_be_bytes());
                write_scheme(&mut out, kdf);
                write_sized(&mut out, "TPMS_ECC_POINT.x", x, MAX_ECC)?;
                write_sized(&mut out, "TPMS_ECC_POINT.y", y, MAX_ECC)?;
            }
        }
        Ok(out)
    }

    /// The `TPM2B_PUBLIC`.
    ///
    /// # Errors
    /// When a field is over its limit.
    pub fn encode_sized(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        write_sized(&mut out, "TPM2B_PUBLIC", &self.encode()?, usize::from(u16::MAX))?;
        Ok(out)
    }

    /// The key as SubjectPublicKeyInfo in DER (RFC 3279, 2.3.1; RFC 5480, 2), by which certificates and relying parties name it.
    ///
    /// # Errors
    /// When its curve is not P-256, P-384 or P-521, or a coordinate is longer than the curve's.
    pub fn key_info(&self) -> Result<Vec<u8>, Error> {
        match self.key {
            Key::Rsa { exponent, modulus, .. } => {
                let exponent = if exponent == 0 { DEFAULT_EXPONENT } else { exponent };
                rsa_key_info(modulus, &exponent.to_be_bytes())
            }
            Key::Ecc { curve, x, y, .. } => ecc_key_info(curve, x, y),
        }
    }
}

/// RSAPublicKey (RFC 8017, A.1.1).
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

/// SubjectPublicKeyInfo in DER of an RSA key, from its big-endian numbers.
pub(crate) fn rsa_key_info(modulus: &[u8], exponent: &[u8]) -> Result<Vec<u8>, Error> {
    let encoded = || -> Result<Vec<u8>, der::Error> {
        let (modulus, exponent) = (UintRef::new(modulus)?, UintRef::new(exponent)?);
        let key = RsaPublicKey { modulus, exponent }.to_der()?;
        key_info(RSA_ENCRYPTION, AnyRef::NULL, &key)
    };
    encoded().map_err(|error| Error::unexpected("RSA public key", 0, "a modulus and an exponent", error))
}

fn ecc_key_info(curve: Curve, x: &[u8], y: &[u8]) -> Result<Vec<u8>, Error> {
    let Some((size, name)) = curve.known() else {
        let found = format_args!("{:#06x}", curve.0);
        return Err(Error::unexpected("TPMS_ECC_PARMS.curveID", 0, "P-256, P-384 or P-521", found));
    };
    let mut point = vec![4];
    for coordinate in [x, y] {
        let missing = size.checked_sub(coordinate.len());
        let missing = missing.ok_or_else(|| Error::too_long("TPMS_ECC_POINT", 0, size, coordinate.len()))?;
        point.resize(point.len().saturating_add(missing), 0);
        point.extend_from_slice(coordinate);
    }
    key_info(EC_PUBLIC_KEY, AnyRef::from(&name), &point)
        .map_err(|error| Error::unexpected("TPMS_ECC_POINT", 0, "a point", error))
}

fn key_info(oid: ObjectIdentifier, parameters: AnyRef<'_>, bits: &[u8]) -> Result<Vec<u8>, der::Error> {
    let algorithm = AlgorithmIdentifierRef { oid, parameters: Some(parameters) };
    SubjectPublicKeyInfoRef { algorithm, subject_public_key: BitStringRef::from_bytes(bits)? }.to_der()
}

fn read_symmetric(reader: &mut Reader<'_>) -> Result<Option<Symmetric>, Error> {
    let at = reader.offset();
    match reader.u16_be("TPMT_SYM_DEF_OBJECT.algorithm")? {
        alg::NULL => Ok(None),
        algorithm @ (alg::AES | alg::SM4 | alg::CAMELLIA) => Ok(Some(Symmetric {
            algorithm,
            key_bits: reader.u16_be("TPMT_SYM_DEF_OBJECT.keyBits")?,
            mode: reader.u16_be("TPMT_SYM_DEF_OBJECT.mode")?,
        })),
        other => {
            let found = format_args!("{other:#06x}");
            Err(Error::unexpected("TPMT_SYM_DEF_OBJECT.algorithm", at, "AES, SM4, Camellia or none", found))
        }
    }
}

fn read_scheme(reader: &mut Reader<'_>) -> Result<Option<Scheme>, Error> {
    let algorithm = reader.u16_be("TPMT_ASYM_SCHEME.scheme")?;
    if algorithm == alg::NULL {
        return Ok(None);
    }
    let hash = (algorithm != alg::RSAES).then(|| reader.u16_be("TPMT_ASYM_SCHEME.hashAlg")).transpose()?;
    let count = (algorithm == alg::ECDAA).then(|| reader.u16_be("TPMS_SCHEME_ECDAA.count")).transpose()?;
    Ok(Some(Scheme { algorithm, hash: hash.map(AlgorithmId), count }))
}

fn write_scheme(out: &mut Vec<u8>, scheme: Option<Scheme>) {
    let Some(Scheme { algorithm, hash, count }) = scheme else {
        return out.extend_from_slice(&alg::NULL.to_be_bytes());
    };
    let words = [Some(algorithm), hash.map(|hash| hash.0), count];
    out.extend(words.into_iter().flatten().flat_map(u16::to_be_bytes));
}

fn read_rsa<'a>(reader: &mut Reader<'a>) -> Result<Key<'a>, Error> {
    let at = reader.offset();
    let bits = reader.u16_be("TPMS_RSA_PARMS.keyBits")?;
    let exponent = reader.u32_be("TPMS_RSA_PARMS.exponent")?;
    let modulus = reader.sized_be("TPM2B_PUBLIC_KEY_RSA", MAX_RSA)?;
    if modulus.len().checked_mul(8) != Some(usize::from(bits)) {
        let found = format_args!("{bits} bits for {} bytes", modulus.len());
        return Err(Error::unexpected("TPMS_RSA_PARMS.keyBits", at, "the size of the modulus", found));
    }
    Ok(Key::Rsa { bits, exponent, modulus })
}

fn read_ecc<'a>(reader: &mut Reader<'a>) -> Result<Key<'a>, Error> {
    Ok(Key::Ecc {
        curve: Curve(reader.u16_be("TPMS_ECC_PARMS.curveID")?),
        kdf: read_scheme(reader)?,
        x: reader.sized_be("TPMS_ECC_POINT.x", MAX_ECC)?,
        y: reader.sized_be("TPMS_ECC_POINT.y", MAX_ECC)?,
    })
}
