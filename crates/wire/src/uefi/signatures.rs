//! Signature databases: PK, KEK, db, dbx, MokList.

use crate::tcg2::Guid;
use crate::{Error, Reader};

/// `EFI_CERT_SHA256_GUID`: a hash of an image.
pub const CERT_SHA256: Guid =
    Guid([0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40, 0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28]);
/// `EFI_CERT_SHA384_GUID`: a hash of an image.
pub const CERT_SHA384: Guid =
    Guid([0x07, 0x53, 0x3e, 0xff, 0xd0, 0x9f, 0xc9, 0x48, 0x85, 0xf1, 0x8a, 0xd5, 0x6c, 0x70, 0x1e, 0x01]);
/// `EFI_CERT_SHA512_GUID`: a hash of an image.
pub const CERT_SHA512: Guid =
    Guid([0xae, 0x0f, 0x3e, 0x09, 0xc4, 0xa6, 0x50, 0x4f, 0x9f, 0x1b, 0xd4, 0x1e, 0x2b, 0x89, 0xc1, 0x9a]);
/// `EFI_CERT_RSA2048_GUID`: a modulus.
pub const CERT_RSA2048: Guid =
    Guid([0xe8, 0x66, 0x57, 0x3c, 0x9c, 0x26, 0x34, 0x4e, 0xaa, 0x14, 0xed, 0x77, 0x6e, 0x85, 0xb3, 0xb6]);
/// `EFI_CERT_X509_GUID`: a certificate in DER.
pub const CERT_X509: Guid =
    Guid([0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72]);
/// `EFI_CERT_X509_SHA256_GUID`: the hash of a certificate's signed part, and a time.
pub const CERT_X509_SHA256: Guid =
    Guid([0x92, 0xa4, 0xd2, 0x3b, 0xc0, 0x96, 0x79, 0x40, 0xb4, 0x20, 0xfc, 0xf9, 0x8e, 0xf1, 0x03, 0xed]);

/// `EFI_SIGNATURE_LIST` (UEFI 2.10, section 32.4.1): signatures of one type and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureList<'a> {
    /// What its signatures are, for example [`CERT_X509`].
    pub signature_type: Guid,
    /// Size of the list in bytes, its header included.
    pub list_size: u32,
    /// What the type has before the signatures; no type has anything.
    pub header: &'a [u8],
    /// Size of each signature with its owner, in bytes.
    pub signature_size: u32,
    signatures: &'a [u8],
}

/// `EFI_SIGNATURE_DATA`: who added the signature, and the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature<'a> {
    /// Who added it.
    pub owner: Guid,
    /// A certificate or a hash, as the list's type says.
    pub data: &'a [u8],
}

impl<'a> Signature<'a> {
    /// Reads one signature with its owner, as `EV_EFI_VARIABLE_AUTHORITY` holds it.
    ///
    /// # Errors
    /// When there is not even an owner.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let owner = Guid(*reader.array("EFI_SIGNATURE_DATA.SignatureOwner")?);
        Ok(Self { owner, data: reader.rest() })
    }
}

impl<'a> SignatureList<'a> {
    /// The lists of a database, one after another.
    pub fn all(database: &'a [u8]) -> SignatureLists<'a> {
        SignatureLists { reader: Reader::new(database) }
    }

    /// The signatures in order.
    pub fn signatures(&self) -> Signatures<'a> {
        Signatures { rest: self.signatures, size: usize::try_from(self.signature_size).unwrap_or(usize::MAX) }
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let begin = reader.offset();
        let signature_type = Guid(*reader.array("EFI_SIGNATURE_LIST.SignatureType")?);
        let list_size = reader.u32("EFI_SIGNATURE_LIST.SignatureListSize")?;
        let header_size = reader.len32("EFI_SIGNATURE_LIST.SignatureHeaderSize")?;
        let at = reader.offset();
        let signature_size = reader.u32("EFI_SIGNATURE_LIST.SignatureSize")?;
        if signature_size < 16 {
            return Err(Error::unexpected("EFI_SIGNATURE_LIST.SignatureSize", at, "an owner at least", signature_size));
        }
        let header = reader.bytes("EFI_SIGNATURE_LIST.SignatureHeader", header_size)?;
        let taken = reader.offset().saturating_sub(begin);
        let left = usize::try_from(list_size).ok().and_then(|size| size.checked_sub(taken));
        let even =
            left.filter(|left| left.checked_rem(usize::try_from(signature_size).unwrap_or(usize::MAX)) == Some(0));
        let Some(left) = even else {
            let expected = "a header and whole signatures";
            return Err(Error::unexpected("EFI_SIGNATURE_LIST.SignatureListSize", begin, expected, list_size));
        };
        let signatures = reader.bytes("EFI_SIGNATURE_LIST.Signatures", left)?;
        Ok(Self { signature_type, list_size, header, signature_size, signatures })
    }

    /// Writes a list of signatures that all have one size.
    ///
    /// # Errors
    /// When they have not, or are too many for 32 bits.
    pub fn encode(signature_type: Guid, signatures: &[(Guid, &[u8])]) -> Result<Vec<u8>, Error> {
        const FIELD: &str = "EFI_SIGNATURE_LIST.Signatures";
        let size = signatures.first().map_or(0, |(_, data)| data.len()).saturating_add(16);
        if signatures.iter().any(|(_, data)| data.len().saturating_add(16) != size) {
            return Err(Error::unexpected(FIELD, 28, "signatures of one size", "several sizes"));
        }
        let total = size.saturating_mul(signatures.len()).saturating_add(28);
        let (Ok(total), Ok(size)) = (u32::try_from(total), u32::try_from(size)) else {
            return Err(Error::too_long(FIELD, 28, u32::MAX as usize, total));
        };
        let mut bytes = signature_type.0.to_vec();
        for number in [total, 0, size] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for (owner, data) in signatures {
            bytes.extend_from_slice(&owner.0);
            bytes.extend_from_slice(data);
        }
        Ok(bytes)
    }
}

/// Iterates over the lists of a database; ends after the first error.
#[derive(Clone, Debug)]
pub struct SignatureLists<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for SignatureLists<'a> {
    type Item = Result<SignatureList<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let list = SignatureList::read(&mut self.reader);
        if list.is_err() {
            self.reader = Reader::new(&[]);
        }
        Some(list)
    }
}

/// Iterates over the signatures of a list.
#[derive(Clone, Debug)]
pub struct Signatures<'a> {
    rest: &'a [u8],
    size: usize,
}

impl<'a> Iterator for Signatures<'a> {
    type Item = Signature<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (signature, rest) = self.rest.split_at_checked(self.size)?;
        self.rest = rest;
        Signature::parse(signature).ok()
    }
}
