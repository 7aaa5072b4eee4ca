//! Signatures of a TPM.

use super::{MAX_ECC, MAX_RSA, alg, write_sized};
use crate::{Error, Reader, tcg2::AlgorithmId};

/// `TPMT_SIGNATURE` (Tables "Definition of TPMT_SIGNATURE Structure", "TPMS_SIGNATURE_RSASSA", "TPMS_SIGNATURE_ECDSA"), of the schemes that
/// sign quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature<'a> {
    /// RSASSA-PKCS1-v1_5.
    RsaSsa {
        /// Hash over the message.
        hash: AlgorithmId,
        /// As long as the key's modulus.
        signature: &'a [u8],
    },
    /// RSASSA-PSS. The salt's length is the TPM's: that of the hash, or as long as the key allows.
    RsaPss {
        /// Hash over the message and in the mask.
        hash: AlgorithmId,
        /// As long as the key's modulus.
        signature: &'a [u8],
    },
    /// ECDSA.
    Ecdsa {
        /// Hash over the message.
        hash: AlgorithmId,
        /// Big-endian; leading zeros may be missing.
        r: &'a [u8],
        /// Big-endian; leading zeros may be missing.
        s: &'a [u8],
    },
}

impl<'a> Signature<'a> {
    /// Parses a signature as `TPM2_Quote` returns it and `tpm2_quote -f tss` writes it.
    ///
    /// # Errors
    /// When the scheme or its hash is another, a part is cut short or over its limit, or anything follows.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let scheme = reader.u16_be("TPMT_SIGNATURE.sigAlg")?;
        let signature = match scheme {
            alg::RSASSA => Self::RsaSsa { hash: hash(&mut reader)?, signature: rsa(&mut reader)? },
            alg::RSAPSS => Self::RsaPss { hash: hash(&mut reader)?, signature: rsa(&mut reader)? },
            alg::ECDSA => Self::Ecdsa {
                hash: hash(&mut reader)?,
                r: reader.sized_be("TPMS_SIGNATURE_ECDSA.signatureR", MAX_ECC)?,
                s: reader.sized_be("TPMS_SIGNATURE_ECDSA.signatureS", MAX_ECC)?,
            },
            other => {
                let found = format_args!("{other:#06x}");
                return Err(Error::unexpected("TPMT_SIGNATURE.sigAlg", 0, "RSASSA, RSAPSS or ECDSA", found));
            }
        };
        reader.finish("TPMT_SIGNATURE")?;
        Ok(signature)
    }

    /// The hash over the message, which is the one over the PCRs too.
    pub const fn hash(&self) -> AlgorithmId {
        match self {
            Self::RsaSsa { hash, .. } | Self::RsaPss { hash, .. } | Self::Ecdsa { hash, .. } => *hash,
        }
    }

    /// The scheme's name: `rsassa`, `rsapss` or `ecdsa`.
    pub const fn scheme(&self) -> &'static str {
        match self {
            Self::RsaSsa { .. } => "rsassa",
            Self::RsaPss { .. } => "rsapss",
            Self::Ecdsa { .. } => "ecdsa",
        }
    }

    /// Writes the structure.
    ///
    /// # Errors
    /// When a part is over its limit.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        let (scheme, hash) = match self {
            Self::RsaSsa { hash, .. } => (alg::RSASSA, hash),
            Self::RsaPss { hash, .. } => (alg::RSAPSS, hash),
            Self::Ecdsa { hash, .. } => (alg::ECDSA, hash),
        };
        out.extend_from_slice(&scheme.to_be_bytes());
        out.extend_from_slice(&hash.0.to_be_bytes());
        match self {
            Self::RsaSsa { signature, .. } | Self::RsaPss { signature, .. } => {
                write_sized(&mut out, "TPMS_SIGNATURE_RSA.sig", signature, MAX_RSA)?;
            }
            Self::Ecdsa { r, s, .. } => {
                write_sized(&mut out, "TPMS_SIGNATURE_ECDSA.signatureR", r, MAX_ECC)?;
                write_sized(&mut out, "TPMS_SIGNATURE_ECDSA.signatureS", s, MAX_ECC)?;
            }
        }
        Ok(out)
    }
}

fn hash(reader: &mut Reader<'_>) -> Result<AlgorithmId, Error> {
    let at = reader.offset();
    let hash = AlgorithmId(reader.u16_be("TPMT_SIGNATURE.hash")?);
    let known = [AlgorithmId::SHA1, AlgorithmId::SHA256, AlgorithmId::SHA384, AlgorithmId::SHA512];
    if !known.contains(&hash) {
        return Err(Error::unexpected("TPMT_SIGNATURE.hash", at, "SHA-1, SHA-256, SHA-384 or SHA-512", hash));
    }
    Ok(hash)
}

fn rsa<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Error> {
    reader.sized_be("TPMS_SIGNATURE_RSA.sig", MAX_RSA)
}
