//! Attestation documents of AWS Nitro enclaves: a `COSE_Sign1` whose payload holds the enclave's registers, its own words, and the
//! chain of the key that signed it.
//!
//! Source: AWS Nitro Enclaves NSM API, "Verifying the root of trust", section 2.2.2 "Attestation document specification". Where real
//! documents differ from it, they are followed: absent fields are `null` although it says that no field may be, and since 2025 the
//! payload's map is of indefinite length.

use crate::cbor::{self, Cbor};
use crate::cose::{self, Sign1};
use crate::{Digest, Error};

/// The longest document that is read, in bytes. The security module's answers are shorter.
pub const MAX_DOCUMENT: usize = 16 << 10;
/// How many registers there can be; the specification names 0 to 31.
pub const MAX_PCRS: usize = 32;
/// The most certificates of `cabundle` that are read; documents have four.
pub const MAX_CABUNDLE: usize = 8;
/// The longest certificate, public key, user data or nonce, in bytes.
pub const MAX_FIELD: usize = 1024;
/// The most members of the payload that are read; the specification has nine.
const MAX_MEMBERS: usize = 32;

const FIELD: &str = "attestation document";

/// What the enclave's security module says (specification, "attestation_document"), borrowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// Name of the module that made the document: instance and enclave.
    pub module_id: &'a str,
    /// When it was made, in milliseconds since 1970 (UTC).
    pub timestamp: u64,
    /// The locked platform configuration registers, in ascending order: index and SHA-384 value. Registers 0 to 15 are always there.
    pub pcrs: Vec<(u8, Digest<48>)>,
    /// DER certificate of the key that signed the document; valid for three hours.
    pub certificate: &'a [u8],
    /// DER certificates of the issuers, root first, the certificate's own issuer last.
    pub cabundle: Vec<&'a [u8]>,
    /// A public key of the enclave's own choice, to which secrets can be encrypted.
    pub public_key: Option<&'a [u8]>,
    /// Data of the enclave's own choice.
    pub user_data: Option<&'a [u8]>,
    /// A nonce of the enclave's caller.
    pub nonce: Option<&'a [u8]>,
}

/// An attestation document, parsed and borrowed from its bytes. Nothing about it has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document<'a> {
    /// The signed message.
    pub message: Sign1<'a>,
    /// Its payload.
    pub statement: Statement<'a>,
}

impl<'a> Document<'a> {
    /// Reads a document that is all of `input`, with the tag of `COSE_Sign1` or without. Members that the specification does not name
    /// are skipped: the security module signed them, and none of them can change the others' meaning.
    ///
    /// # Errors
    /// When it is none, a member is missing, twice or outside its limits, or something follows.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        if input.len() > MAX_DOCUMENT {
            return Err(Error::too_long(FIELD, 0, MAX_DOCUMENT, input.len()));
        }
        let message = Sign1::parse(input)?;
        let statement = Statement::parse(message.payload).map_err(|error| error.at(message.payload_at))?;
        Ok(Self { message, statement })
    }
}

/// The members while they are read.
#[derive(Default)]
struct Members<'a> {
    module_id: Option<&'a str>,
    digest: Option<&'a str>,
    timestamp: Option<u64>,
    pcrs: Option<Vec<(u8, Digest<48>)>>,
    certificate: Option<&'a [u8]>,
    cabundle: Option<Vec<&'a [u8]>>,
    public_key: Option<Option<&'a [u8]>>,
    user_data: Option<Option<&'a [u8]>>,
    nonce: Option<Option<&'a [u8]>>,
}

impl<'a> Members<'a> {
    fn read_one(&mut self, cbor: &mut Cbor<'a>) -> Result<(), Error> {
        let at = cbor.offset();
        match cbor.name(FIELD)? {
            Some("module_id") => cbor::once(FIELD, at, &mut self.module_id, module_id(cbor)?),
            Some("digest") => cbor::once(FIELD, at, &mut self.digest, digest(cbor)?),
            Some("timestamp") => cbor::once(FIELD, at, &mut self.timestamp, timestamp(cbor)?),
            Some("pcrs") => cbor::once(FIELD, at, &mut self.pcrs, pcrs(cbor)?),
            Some("certificate") => cbor::once(FIELD, at, &mut self.certificate, certificate(cbor, "certificate")?),
            Some("cabundle") => cbor::once(FIELD, at, &mut self.cabundle, cabundle(cbor)?),
            Some("public_key") => cbor::once(FIELD, at, &mut self.public_key, public_key(cbor)?),
            Some("user_data") => cbor::once(FIELD, at, &mut self.user_data, free(cbor, "user_data")?),
            Some("nonce") => cbor::once(FIELD, at, &mut self.nonce, free(cbor, "nonce")?),
            _ => cbor.skip(FIELD),
        }
    }
}

impl<'a> Statement<'a> {
    fn parse(payload: &'a [u8]) -> Result<Self, Error> {
        let mut cbor = Cbor::new(payload);
        let mut members = Members::default();
        cbor.each_entry(FIELD, MAX_MEMBERS, |cbor| members.read_one(cbor))?;
        cbor.end(FIELD)?;
        cbor::required(FIELD, "the member digest", members.digest)?;
        Ok(Self {
            module_id: cbor::required(FIELD, "the member module_id", members.module_id)?,
            timestamp: cbor::required(FIELD, "the member timestamp", members.timestamp)?,
            pcrs: cbor::required(FIELD, "the member pcrs", members.pcrs)?,
            certificate: cbor::required(FIELD, "the member certificate", members.certificate)?,
            cabundle: cbor::required(FIELD, "the member cabundle", members.cabundle)?,
            public_key: members.public_key.flatten(),
            user_data: members.user_data.flatten(),
            nonce: members.nonce.flatten(),
        })
    }

    /// Writes the payload as security modules of 2022 to 2025 do: a map of definite length in the specification's order, `null` for what
    /// is absent.
    ///
    /// # Errors
    /// None that memory does not cause.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        cbor::write(FIELD, |encoder| {
            encoder.map(9)?.str("module_id")?.str(self.module_id)?.str("digest")?.str("SHA384")?;
            encoder.str("timestamp")?.u64(self.timestamp)?.str("pcrs")?.map(cbor::count(self.pcrs.len()))?;
            for (index, value) in &self.pcrs {
                encoder.u8(*index)?.bytes(&value.0)?;
            }
            encoder.str("certificate")?.bytes(self.certificate)?;
            encoder.str("cabundle")?.array(cbor::count(self.cabundle.len()))?;
            for certificate in &self.cabundle {
                encoder.bytes(certificate)?;
            }
            for (name, value) in [("public_key", self.public_key), ("user_data", self.user_data), ("nonce", self.nonce)]
            {
                encoder.str(name)?;
                match value {
                    Some(value) => encoder.bytes(value)?,
                    None => encoder.null()?,
                };
            }
            Ok(())
        })
    }

    /// Writes a document, with the signature that `sign` makes over the bytes given to it: ECDSA P-384 with SHA-384, (r, s).
    ///
    /// # Errors
    /// None that memory does not cause.
    pub fn document(&self, sign: impl FnOnce(&[u8]) -> [u8; 96]) -> Result<Vec<u8>, Error> {
        let algorithm = cose::Algorithm::Es384;
        let (protected, payload) = (cose::protected_header(algorithm)?, self.encode()?);
        let signature = sign(&cose::sig_structure(&protected, &payload)?);
        let message = Sign1 {
            tagged: false,
            protected: &protected,
            algorithm,
            payload: &payload,
            payload_at: 0,
            signature: &signature,
        };
        message.encode()
    }

    /// The value of a register, if the document has it.
    pub fn pcr(&self, index: u8) -> Option<&Digest<48>> {
        self.pcrs.iter().find(|(found, _)| *found == index).map(|(_, value)| value)
    }
}

fn module_id<'a>(cbor: &mut Cbor<'a>) -> Result<&'a str, Error> {
    let at = cbor.offset();
    match cbor.text("module_id")? {
        "" => Err(Error::unexpected("module_id", at, "a name", "an empty one")),
        name => Ok(name),
    }
}

fn digest<'a>(cbor: &mut Cbor<'a>) -> Result<&'a str, Error> {
    let at = cbor.offset();
    match cbor.text("digest")? {
        digest @ "SHA384" => Ok(digest),
        other => Err(Error::unexpected("digest", at, "SHA384", other)),
    }
}

fn timestamp(cbor: &mut Cbor<'_>) -> Result<u64, Error> {
    let at = cbor.offset();
    match cbor.unsigned("timestamp")? {
        0 => Err(Error::unexpected("timestamp", at, "a time", 0)),
        time => Ok(time),
    }
}

fn pcrs(cbor: &mut Cbor<'_>) -> Result<Vec<(u8, Digest<48>)>, Error> {
    let mut found: Vec<(u8, Digest<48>)> = Vec::new();
    let start = cbor.offset();
    cbor.each_entry("pcrs", MAX_PCRS, |cbor| {
        let at = cbor.offset();
        let index = cbor.unsigned("pcrs")?;
        let Some(place) = u8::try_from(index).ok().filter(|place| usize::from(*place) < MAX_PCRS) else {
            return Err(Error::unexpected("pcrs", at, "an index from 0 to 31", index));
        };
        if found.iter().any(|(other, _)| *other == place) {
            return Err(Error::unexpected("pcrs", at, "each register once", index));
        }
        found.push((place, Digest(*cbor.array("pcrs")?)));
        Ok(())
    })?;
    if found.is_empty() {
        return Err(Error::unexpected("pcrs", start, "1 to 32 registers", "none"));
    }
    found.sort_unstable_by_key(|(index, _)| *index);
    Ok(found)
}

fn certificate<'a>(cbor: &mut Cbor<'a>, field: &'static str) -> Result<&'a [u8], Error> {
    let at = cbor.offset();
    let certificate = cbor.bytes(field)?;
    within_limits(field, at, certificate, 1)
}

fn cabundle<'a>(cbor: &mut Cbor<'a>) -> Result<Vec<&'a [u8]>, Error> {
    let (at, mut found) = (cbor.offset(), Vec::new());
    cbor.each_element("cabundle", MAX_CABUNDLE, |cbor| {
        found.push(certificate(cbor, "cabundle")?);
        Ok(())
    })?;
    if found.is_empty() {
        return Err(Error::unexpected("cabundle", at, "at least one certificate", "none"));
    }
    Ok(found)
}

fn public_key<'a>(cbor: &mut Cbor<'a>) -> Result<Option<&'a [u8]>, Error> {
    cbor.optional("public_key", |cbor| {
        let at = cbor.offset();
        let key = cbor.bytes("public_key")?;
        within_limits("public_key", at, key, 1)
    })
}

/// Bytes of the caller's own choice: none at all are allowed.
fn free<'a>(cbor: &mut Cbor<'a>, field: &'static str) -> Result<Option<&'a [u8]>, Error> {
    cbor.optional(field, |cbor| {
        let at = cbor.offset();
        let bytes = cbor.bytes(field)?;
        within_limits(field, at, bytes, 0)
    })
}

fn within_limits<'a>(field: &'static str, at: usize, bytes: &'a [u8], least: usize) -> Result<&'a [u8], Error> {
    match bytes.len() {
        len if len > MAX_FIELD => Err(Error::too_long(field, at, MAX_FIELD, len)),
        len if len < least => Err(Error::unexpected(field, at, "at least one byte", len)),
        _ => Ok(bytes),
    }
}
