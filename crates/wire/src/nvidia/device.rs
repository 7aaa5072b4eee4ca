//! The extension of a GPU's certificate that names the firmware to which the key was given.

use crate::{Digest, Error};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Encode, Reader as _, Sequence, SliceReader, Tag};

/// OID of the extension, 2.23.133.5.4.1 in the arc of TCG's DICE.
pub const COMPOSITE_DEVICE_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.5.4.1");

const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const FIELD: &str = "CompositeDeviceID";

/// `CompositeDeviceID` (RIoT, the predecessor of TCG's DICE attestation architecture, as certificates of GPUs have it):
/// `SEQUENCE { version INTEGER, deviceID SubjectPublicKeyInfo, fwid SEQUENCE { hashAlg OBJECT IDENTIFIER, fwid OCTET STRING } }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompositeDeviceId<'a> {
    /// SubjectPublicKeyInfo in DER of the layer below, which issued the certificate.
    pub device_id: &'a [u8],
    /// SHA-384 of the firmware to which the certificate's key was given.
    pub fwid: Digest<48>,
}

#[derive(Sequence)]
struct Fwid<'a> {
    algorithm: ObjectIdentifier,
    digest: &'a OctetStringRef,
}

impl<'a> CompositeDeviceId<'a> {
    /// Reads the extension's value (the contents of its OCTET STRING).
    ///
    /// # Errors
    /// When it has another shape or version, or the digest is not SHA-384.
    pub fn from_der(value: &'a [u8]) -> Result<Self, Error> {
        let (version, device_id, fwid) = read(value).map_err(|error| malformed(&error))?;
        if version != 1 {
            return Err(Error::unexpected(FIELD, 0, "version 1", version));
        }
        let digest = <[u8; 48]>::try_from(fwid.digest.as_bytes()).ok().filter(|_| fwid.algorithm == SHA384);
        let digest = digest.ok_or_else(|| Error::unexpected(FIELD, 0, "a SHA-384 digest", fwid.algorithm))?;
        Ok(Self { device_id, fwid: Digest(digest) })
    }

    /// Writes the extension's value.
    ///
    /// # Errors
    /// When `device_id` is too long for DER.
    pub fn to_der(&self) -> Result<Vec<u8>, Error> {
        let write = || -> Result<Vec<u8>, der::Error> {
            let fwid = Fwid { algorithm: SHA384, digest: OctetStringRef::new(&self.fwid.0)? };
            let content = [1u8.to_der()?.as_slice(), self.device_id, &fwid.to_der()?].concat();
            AnyRef::new(Tag::Sequence, &content)?.to_der()
        };
        write().map_err(|error| malformed(&error))
    }
}

fn read(value: &[u8]) -> Result<(u8, &[u8], Fwid<'_>), der::Error> {
    let mut reader = SliceReader::new(value)?;
    let fields = reader.sequence(|inner: &mut SliceReader<'_>| {
        Ok::<_, der::Error>((inner.decode()?, inner.tlv_bytes()?, inner.decode()?))
    })?;
    reader.finish()?;
    Ok(fields)
}

fn malformed(error: &der::Error) -> Error {
    let at = error.position().and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
    Error::unexpected(FIELD, at, "DER of this extension", error)
}
