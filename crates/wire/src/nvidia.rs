//! Attestation reports of NVIDIA's GPUs (Hopper): an SPDM 1.1 request for measurements and its signed response, as the driver hands them out
//! one behind the other.
//!
//! Sources: DMTF DSP0274 1.1.1 (Security Protocol and Data Model), section 10.11 "GET_MEASUREMENTS request and MEASUREMENTS response
//! messages", tables 42 to 46; for the opaque data, which SPDM leaves to the vendor, NVIDIA's nvtrust (`spdm_msrt_resp_msg`). All integers are
//! little-endian.
//!
//! Real reports carry zero bytes behind their signature: these are counted in [`Report::trailing`]. Anything else there is refused.

use crate::{Digest, Error, Reader};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

mod device;
mod field;

pub use device::{COMPOSITE_DEVICE_ID, CompositeDeviceId};
pub use field::{Field, FieldKind};

/// SPDMVersion: 1.1.
pub const SPDM_VERSION: u8 = 0x11;
/// RequestResponseCode of GET_MEASUREMENTS.
pub const GET_MEASUREMENTS: u8 = 0xe0;
/// RequestResponseCode of MEASUREMENTS.
pub const MEASUREMENTS: u8 = 0x60;
/// Param1 of the request, bit 0: the response shall be signed.
pub const SIGNATURE_REQUESTED: u8 = 0x01;
/// Param2 of the request: all measurements.
pub const ALL_MEASUREMENTS: u8 = 0xff;
/// MeasurementSpecification of blocks, bit 0: DMTF.
pub const DMTF: u8 = 0x01;
/// Length of an ECDSA P-384 signature, (r, s).
pub const SIGNATURE_LEN: usize = 96;
/// The longest report that is read, in bytes; those of Hopper have about 4 KiB.
pub const MAX_REPORT: usize = 64 << 10;
/// The most fields of opaque data that are accepted. There are 36 types.
pub const MAX_FIELDS: usize = 128;

/// GET_MEASUREMENTS (DSP0274 table 42), 37 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// SPDMVersion, [`SPDM_VERSION`] (offset 0).
    pub version: u8,
    /// RequestResponseCode, [`GET_MEASUREMENTS`] (1).
    pub code: u8,
    /// Param1, request attributes: [`SIGNATURE_REQUESTED`] (2).
    pub attributes: u8,
    /// Param2, measurement operation: [`ALL_MEASUREMENTS`] (3).
    pub operation: u8,
    /// Nonce: what the verifier chose (4).
    pub nonce: [u8; 32],
    /// SlotIDParam: which certificate chain of the device signs (36).
    pub slot: u8,
}

const _: () = assert!(size_of::<Request>() == 37);

impl Request {
    /// The request for a signed response with all measurements under slot 0.
    pub const fn new(nonce: [u8; 32]) -> Self {
        Self {
            version: SPDM_VERSION,
            code: GET_MEASUREMENTS,
            attributes: SIGNATURE_REQUESTED,
            operation: ALL_MEASUREMENTS,
            nonce,
            slot: 0,
        }
    }

    fn check(&self) -> Result<(), Error> {
        constant("SPDMVersion of the request", 0, "0x11 (1.1)", SPDM_VERSION, self.version)?;
        constant("RequestResponseCode of the request", 1, "0xe0 (GET_MEASUREMENTS)", GET_MEASUREMENTS, self.code)?;
        constant("Param1 of the request", 2, "1 (signature requested)", SIGNATURE_REQUESTED, self.attributes)?;
        constant("Param2 of the request", 3, "0xff (all measurements)", ALL_MEASUREMENTS, self.operation)
    }
}

/// The start of MEASUREMENTS (DSP0274 table 44), 8 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHeader {
    /// SPDMVersion, [`SPDM_VERSION`] (offset 0).
    pub version: u8,
    /// RequestResponseCode, [`MEASUREMENTS`] (1).
    pub code: u8,
    /// Param1: reserved where all measurements were requested (2).
    pub param1: u8,
    /// Param2: slot of the certificate chain that signs, in the low half (3).
    pub param2: u8,
    /// NumberOfBlocks (4).
    pub number_of_blocks: u8,
    /// MeasurementRecordLength, 24 bits (5).
    pub record_length: [u8; 3],
}

const _: () = assert!(size_of::<ResponseHeader>() == 8);

/// The start of a measurement block in DMTF's form (DSP0274 tables 45 and 46), 7 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// Index, from 1 (offset 0).
    pub index: u8,
    /// MeasurementSpecification, [`DMTF`] (1).
    pub specification: u8,
    /// MeasurementSize: bytes of the three following fields (2).
    pub size: zerocopy::little_endian::U16,
    /// DMTFSpecMeasurementValueType: bits 0 to 6 say what was measured (1 is mutable firmware), bit 7 that the value is no digest (4).
    pub value_type: u8,
    /// DMTFSpecMeasurementValueSize (5).
    pub value_size: zerocopy::little_endian::U16,
}

const _: () = assert!(size_of::<BlockHeader>() == 7);

/// Bytes of a block's header that MeasurementSize counts.
const COUNTED: usize = 3;

/// A measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// Index, from 1.
    pub index: u8,
    /// DMTFSpecMeasurementValueType.
    pub value_type: u8,
    /// The value: 48 bytes of SHA-384 on Hopper.
    pub value: &'a [u8],
}

impl Block<'_> {
    /// The value as SHA-384, if it has its length.
    pub fn sha384(&self) -> Option<Digest<48>> {
        self.value.try_into().ok().map(Digest)
    }
}

/// A report, parsed and borrowed from its bytes. Nothing about it has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report<'a> {
    /// What was asked.
    pub request: &'a Request,
    /// The start of the response.
    pub response: &'a ResponseHeader,
    /// The measurements, each index once, in the response's order.
    pub blocks: Vec<Block<'a>>,
    /// Nonce: what the device chose.
    pub nonce: &'a [u8; 32],
    /// OpaqueData: the device's further fields, each kind once, in the response's order.
    pub fields: Vec<Field<'a>>,
    /// The bytes that the device signed: request and response up to the signature.
    pub signed: &'a [u8],
    /// ECDSA P-384 signature (r, s) over SHA-384 of [`signed`](Self::signed).
    pub signature: &'a [u8; SIGNATURE_LEN],
    /// How many zero bytes follow.
    pub trailing: usize,
}

impl<'a> Report<'a> {
    /// Reads a report that is all of `input`.
    ///
    /// # Errors
    /// When a message is of another version or kind, unsigned or not for all measurements; when lengths do not add up; when an index or a
    /// kind of field comes twice; when anything but zeros follows.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        if input.len() > MAX_REPORT {
            return Err(Error::too_long("attestation report", 0, MAX_REPORT, input.len()));
        }
        let mut reader = Reader::new(input);
        let request = reader.structure::<Request>("GET_MEASUREMENTS")?;
        request.check()?;
        let response = response_header(&mut reader)?;
        let [low, middle, high] = response.record_length;
        let record_len = usize::try_from(u32::from_le_bytes([low, middle, high, 0])).unwrap_or(usize::MAX);
        let record = reader.sub("MeasurementRecord", record_len)?;
        let blocks = blocks(record, usize::from(response.number_of_blocks))?;
        let nonce = reader.array("Nonce")?;
        let opaque_len = usize::from(reader.u16("OpaqueLength")?);
        let fields = field::fields(reader.sub("OpaqueData", opaque_len)?)?;
        let signed = input.get(..reader.offset()).unwrap_or_default();
        let signature = reader.array("Signature")?;
        let trailing = reader.rest();
        if trailing.iter().any(|byte| *byte != 0) {
            reader.finish("attestation report")?;
        }
        Ok(Self { request, response, blocks, nonce, fields, signed, signature, trailing: trailing.len() })
    }

    /// The content of a field, if the report has it.
    pub fn field(&self, kind: FieldKind) -> Option<&'a [u8]> {
        self.fields.iter().find(|field| field.kind == kind).map(|field| field.data)
    }
}

fn response_header<'a>(reader: &mut Reader<'a>) -> Result<&'a ResponseHeader, Error> {
    let at = reader.offset();
    let header = reader.structure::<ResponseHeader>("MEASUREMENTS")?;
    constant("SPDMVersion of the response", at, "0x11 (1.1)", SPDM_VERSION, header.version)?;
    let at = at.saturating_add(1);
    constant("RequestResponseCode of the response", at, "0x60 (MEASUREMENTS)", MEASUREMENTS, header.code)?;
    Ok(header)
}

fn blocks<'a>(mut record: Reader<'a>, count: usize) -> Result<Vec<Block<'a>>, Error> {
    let mut blocks: Vec<Block<'a>> = Vec::new();
    for _ in 0..count {
        let at = record.offset();
        let block = block(&mut record)?;
        if blocks.iter().any(|other| other.index == block.index) {
            return Err(Error::unexpected("Index", at, "each index once", block.index));
        }
        blocks.push(block);
    }
    record.finish("MeasurementRecord")?;
    Ok(blocks)
}

fn block<'a>(record: &mut Reader<'a>) -> Result<Block<'a>, Error> {
    let at = record.offset();
    let header = record.structure::<BlockHeader>("measurement block")?;
    if header.index == 0 {
        return Err(Error::unexpected("Index", at, "an index from 1", 0));
    }
    constant("MeasurementSpecification", at.saturating_add(1), "1 (DMTF)", DMTF, header.specification)?;
    let value_size = usize::from(header.value_size.get());
    if usize::from(header.size.get()) != value_size.saturating_add(COUNTED) {
        let (at, found) = (at.saturating_add(2), header.size.get());
        return Err(Error::unexpected("MeasurementSize", at, "3 more than the value's size", found));
    }
    let value = record.bytes("DMTFSpecMeasurementValue", value_size)?;
    Ok(Block { index: header.index, value_type: header.value_type, value })
}

fn constant(field: &'static str, at: usize, expected: &'static str, wanted: u8, found: u8) -> Result<(), Error> {
    if wanted == found {
        return Ok(());
    }
    Err(Error::unexpected(field, at, expected, format_args!("{found:#04x}")))
}

/// The parts of a report, to be written.
#[derive(Clone, Debug)]
pub struct Builder<'a> {
    /// What was asked.
    pub request: Request,
    /// The measurements.
    pub blocks: Vec<Block<'a>>,
    /// The device's nonce.
    pub nonce: [u8; 32],
    /// The device's further fields.
    pub fields: Vec<Field<'a>>,
}

impl Builder<'_> {
    /// Writes a report, with the signature that `sign` makes over the bytes given to it: ECDSA P-384 with SHA-384, (r, s).
    ///
    /// # Errors
    /// When a part is too long for its length field.
    pub fn encode(&self, sign: impl FnOnce(&[u8]) -> [u8; SIGNATURE_LEN]) -> Result<Vec<u8>, Error> {
        let record = self.record()?;
        let opaque = field::encode(&self.fields)?;
        let mut bytes = self.request.as_bytes().to_vec();
        let [low, middle, high, over] = u32_len("MeasurementRecordLength", record.len())?.to_le_bytes();
        if over != 0 {
            return Err(Error::too_long("MeasurementRecordLength", 0, 0x00ff_ffff, record.len()));
        }
        let number_of_blocks = u8::try_from(self.blocks.len())
            .map_err(|_| Error::too_long("NumberOfBlocks", 0, usize::from(u8::MAX), self.blocks.len()))?;
        let header = ResponseHeader {
            version: SPDM_VERSION,
            code: MEASUREMENTS,
            param1: 0,
            param2: self.request.slot,
            number_of_blocks,
            record_length: [low, middle, high],
        };
        bytes.extend(header.as_bytes());
        bytes.extend(record);
        bytes.extend(self.nonce);
        bytes.extend(u16_len("OpaqueLength", opaque.len())?.to_le_bytes());
        bytes.extend(opaque);
        let signature = sign(&bytes);
        bytes.extend(signature);
        Ok(bytes)
    }

    fn record(&self) -> Result<Vec<u8>, Error> {
        let mut record = Vec::new();
        for block in &self.blocks {
            let header = BlockHeader {
                index: block.index,
                specification: DMTF,
                size: u16_len("MeasurementSize", block.value.len().saturating_add(COUNTED))?.into(),
                value_type: block.value_type,
                value_size: u16_len("DMTFSpecMeasurementValueSize", block.value.len())?.into(),
            };
            record.extend(header.as_bytes());
            record.extend(block.value);
        }
        Ok(record)
    }
}

fn u16_len(field: &'static str, len: usize) -> Result<u16, Error> {
    u16::try_from(len).map_err(|_| Error::too_long(field, 0, usize::from(u16::MAX), len))
}

fn u32_len(field: &'static str, len: usize) -> Result<u32, Error> {
    u32::try_from(len).map_err(|_| Error::too_long(field, 0, usize::MAX, len))
}
