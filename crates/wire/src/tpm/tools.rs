//! Files of `tpm2-tools`: the PCRs that `tpm2_quote -o` writes, and the YAML of `tpm2_pcrread`.
//!
//! `tpm2_quote` writes its message (`-m`) as [`Attest`](super::Attest) and its signature (`-s`) as [`Signature`](super::Signature), or with
//! `-f plain` as what [`plain_signature`] says. The PCR file is the memory image of C structures, little-endian on all machines:
//!
//! ```text
//! u32 count, 16 entries { u16 bank, u8 size, u8[4] bits, u8 padding }          TPML_PCR_SELECTION
//! u32 count, per list { u32 count, 8 entries { u16 size, u8[64] digest } }     TPML_DIGEST
//! ```
//!
//! Source: tpm2-tools, `lib/pcr.c` and `tools/tpm2_quote.c`; tpm2-tss, `include/tss2/tss2_tpm2_types.h`.

use super::{MAX_DIGEST, PcrSelection, PcrSelections, PcrValues, Signature};
use crate::{Error, Reader, tcg2::AlgorithmId};
use der::{Encode, Sequence, asn1::UintRef};

/// The places of a selection list in memory.
const BANKS: usize = 16;
/// The places of a digest list in memory.
const DIGESTS: usize = 8;
/// The most digest lists: 16 banks of 32 registers.
const MAX_LISTS: usize = 64;
/// The longest YAML that is read, in bytes.
pub const MAX_YAML: usize = 1 << 20;

/// Reads the PCR file of `tpm2_quote -o`: what was selected, and the values in that order.
///
/// # Errors
/// When a count or size is over its place, a digest is not of its bank's size, there are fewer or more values than are selected, or
/// anything follows.
pub fn read_pcrs(input: &[u8]) -> Result<(PcrSelections, PcrValues), Error> {
    let mut reader = Reader::new(input);
    let selections = read_selections(&mut reader)?;
    let digests = read_lists(&mut reader)?;
    reader.finish("PCR file")?;
    let selected = selections.registers().count();
    if digests.len() != selected {
        let found = format_args!("{} values for {selected} selected PCRs", digests.len());
        return Err(Error::unexpected("TPML_DIGEST.count", 0, "one value per selected PCR", found));
    }
    let mut values = PcrValues::new();
    for ((hash, pcr), digest) in selections.registers().zip(digests) {
        values.insert(hash, pcr, digest)?;
    }
    Ok((selections, values))
}

fn read_selections(reader: &mut Reader<'_>) -> Result<PcrSelections, Error> {
    let count = limited(reader, "TPML_PCR_SELECTION.count", BANKS)?;
    let mut selections = Vec::new();
    for place in 0..BANKS {
        let hash = AlgorithmId(reader.u16("TPMS_PCR_SELECTION.hash")?);
        let at = reader.offset();
        let size = usize::from(reader.u8("TPMS_PCR_SELECTION.sizeofSelect")?);
        let bits = reader.array::<4>("TPMS_PCR_SELECTION.pcrSelect")?;
        reader.u8("TPMS_PCR_SELECTION padding")?;
        if place >= count {
            continue;
        }
        let Some(bits) = bits.get(..size).filter(|bits| !bits.is_empty()) else {
            return Err(Error::unexpected("TPMS_PCR_SELECTION.sizeofSelect", at, "1 to 4 bytes", size));
        };
        selections.push(PcrSelection::from_bits(hash, bits));
    }
    PcrSelections::new(selections)
}

fn read_lists<'a>(reader: &mut Reader<'a>) -> Result<Vec<&'a [u8]>, Error> {
    let lists = limited(reader, "number of TPML_DIGEST", MAX_LISTS)?;
    let mut digests = Vec::new();
    for _ in 0..lists {
        let count = limited(reader, "TPML_DIGEST.count", DIGESTS)?;
        for place in 0..DIGESTS {
            let at = reader.offset();
            let size = usize::from(reader.u16("TPM2B_DIGEST.size")?);
            let buffer = reader.array::<MAX_DIGEST>("TPM2B_DIGEST.buffer")?;
            if place >= count {
                continue;
            }
            let digest = buffer.get(..size);
            digests.push(digest.ok_or_else(|| Error::too_long("TPM2B_DIGEST.size", at, MAX_DIGEST, size))?);
        }
    }
    Ok(digests)
}

fn limited(reader: &mut Reader<'_>, field: &'static str, limit: usize) -> Result<usize, Error> {
    let at = reader.offset();
    let count = reader.len32(field)?;
    if count > limit {
        return Err(Error::too_long(field, at, limit, count));
    }
    Ok(count)
}

/// Writes the PCR file that `tpm2_checkquote -f` reads.
///
/// # Errors
/// When a selected PCR has no value.
pub fn write_pcrs(selections: &PcrSelections, values: &PcrValues) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    out.extend_from_slice(&len32("TPML_PCR_SELECTION.count", selections.iter().count())?);
    let none = PcrSelection { hash: AlgorithmId(0), size: 0, bits: 0 };
    for selection in selections.iter().chain(std::iter::repeat(&none)).take(BANKS) {
        out.extend_from_slice(&selection.hash.0.to_le_bytes());
        out.push(selection.size);
        out.extend_from_slice(&selection.bits.to_le_bytes());
        out.push(0);
    }
    let digests: Vec<_> = selections
        .registers()
        .map(|(hash, pcr)| {
            let missing = || Error::unexpected("PCR", 0, "a value for each selected PCR", format_args!("{hash}:{pcr}"));
            values.get(hash, pcr).ok_or_else(missing)
        })
        .collect::<Result<_, _>>()?;
    let lists = digests.chunks(DIGESTS);
    out.extend_from_slice(&len32("number of TPML_DIGEST", lists.len())?);
    for list in lists {
        out.extend_from_slice(&len32("TPML_DIGEST.count", list.len())?);
        for digest in list.iter().copied().chain(std::iter::repeat([].as_slice())).take(DIGESTS) {
            let size = u16::try_from(digest.len()).unwrap_or(u16::MAX);
            out.extend_from_slice(&size.to_le_bytes());
            let end = out.len().saturating_add(MAX_DIGEST);
            out.extend_from_slice(digest);
            out.resize(end, 0);
        }
    }
    Ok(out)
}

fn len32(field: &'static str, len: usize) -> Result<[u8; 4], Error> {
    u32::try_from(len).map(u32::to_le_bytes).map_err(|_| Error::too_long(field, 0, BANKS, len))
}

/// Reads the YAML of `tpm2_pcrread` (also its part of the output of `tpm2_quote` and `tpm2_eventlog`, from the line `pcrs:` on, if there is
/// one): banks, and below each `number : 0xhex`. Ends at the first line of another form behind a `pcrs:`.
///
/// # Errors
/// When it is over [`MAX_YAML`], holds no value, or one that is not of its bank's size or comes twice.
pub fn read_yaml(text: &str) -> Result<PcrValues, Error> {
    if text.len() > MAX_YAML {
        return Err(Error::too_long("PCR YAML", 0, MAX_YAML, text.len()));
    }
    let (offset, part, sectioned) = match text.find("pcrs:\n") {
        Some(at) => (at.saturating_add(6), text.get(at.saturating_add(6)..).unwrap_or_default(), true),
        None => (0, text, false),
    };
    let (mut values, mut bank, mut at) = (PcrValues::new(), None, offset);
    for line in part.split_inclusive('\n') {
        let here = at;
        at = at.saturating_add(line.len());
        match yaml_line(line.trim()) {
            Some(YamlLine::Bank(name)) => bank = Some(name),
            Some(YamlLine::Value(pcr, value)) => {
                let Some(hash) = bank else {
                    return Err(Error::unexpected("PCR YAML", here, "a bank before its values", line.trim()));
                };
                values.insert(hash, pcr, &value).map_err(|error| error.at(here))?;
            }
            None if line.trim().is_empty() => {}
            None if sectioned => break,
            None => return Err(Error::unexpected("PCR YAML", here, "a bank, or a PCR and its value", line.trim())),
        }
    }
    if values.is_empty() {
        return Err(Error::unexpected("PCR YAML", offset, "at least one value", "none"));
    }
    Ok(values)
}

enum YamlLine {
    Bank(AlgorithmId),
    Value(u32, Vec<u8>),
}

fn yaml_line(line: &str) -> Option<YamlLine> {
    let (name, value) = line.split_once(':')?;
    let (name, value) = (name.trim(), value.trim());
    if value.is_empty() {
        return AlgorithmId::from_name(name).map(YamlLine::Bank);
    }
    let value = hex::decode(value.strip_prefix("0x")?).ok()?;
    Some(YamlLine::Value(name.parse().ok()?, value))
}

/// Writes values as `tpm2_pcrread` prints them.
pub fn write_yaml(values: &PcrValues) -> String {
    let (mut text, mut bank) = (String::new(), None);
    for (hash, pcr, value) in values.iter() {
        if bank.replace(hash) != Some(hash) {
            text.push_str(&format!("  {hash}:\n"));
        }
        text.push_str(&format!("    {pcr:<2}: 0x{}\n", hex::encode_upper(value)));
    }
    text
}

/// ECDSA-Sig-Value (RFC 3279, 2.2.3).
#[derive(Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// The signature as `tpm2_quote -f plain` writes it and everyone but a TPM reads it: RSA's bytes, ECDSA's two numbers in DER. Scheme and
/// hash are not in it.
///
/// # Errors
/// When ECDSA's numbers cannot be written.
pub fn plain_signature(signature: &Signature<'_>) -> Result<Vec<u8>, Error> {
    match signature {
        Signature::RsaSsa { signature, .. } | Signature::RsaPss { signature, .. } => Ok(signature.to_vec()),
        Signature::Ecdsa { r, s, .. } => {
            let encoded = || -> Result<Vec<u8>, der::Error> {
                EcdsaSignature { r: UintRef::new(r)?, s: UintRef::new(s)? }.to_der()
            };
            encoded().map_err(|error| Error::unexpected("TPMS_SIGNATURE_ECDSA", 0, "two numbers", error))
        }
    }
}

/// Reads the signature file of `tpm2_quote -s`: `TPMT_SIGNATURE`, or with `-f plain` what [`plain_signature`] says, which is then taken for what the
/// tool has a key sign with unless it is told otherwise: SHA-256, and RSASSA-PKCS1-v1_5 of an RSA key.
///
/// # Errors
/// As [`Signature::parse`], where it is not a plain one either.
pub fn read_signature(input: &[u8]) -> Result<Signature<'_>, Error> {
    /// Of keys of 1024, 2048, 3072 and 4096 bits.
    const RSA_SIGNATURES: [usize; 4] = [128, 256, 384, 512];
    let hash = AlgorithmId::SHA256;
    let plain = || match <EcdsaSignature<'_> as der::Decode<'_>>::from_der(input) {
        Ok(EcdsaSignature { r, s }) => Some(Signature::Ecdsa { hash, r: r.as_bytes(), s: s.as_bytes() }),
        Err(_) => RSA_SIGNATURES.contains(&input.len()).then_some(Signature::RsaSsa { hash, signature: input }),
    };
    Signature::parse(input).or_else(|error| plain().ok_or(error))
}

/// An ECDSA signature as `tpm2_quote -f plain` writes it, with the hash that whoever made it knows; r and s big-endian without leading zeros.
///
/// # Errors
/// When it is not two numbers in DER.
pub fn plain_ecdsa(der: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let read = <EcdsaSignature<'_> as der::Decode<'_>>::from_der(der);
    let EcdsaSignature { r, s } =
        read.map_err(|error| Error::unexpected("plain ECDSA signature", 0, "r and s in DER (RFC 3279)", error))?;
    Ok((r.as_bytes().to_vec(), s.as_bytes().to_vec()))
}
