//! Platform configuration registers: which are selected, and what they hold.

use super::MAX_DIGEST;
use crate::{Error, Reader, tcg2::AlgorithmId};
use std::collections::BTreeMap;

/// The highest PCR that a selection can name: 4 bytes of bits. A PC client's TPM has PCR 0 to 23.
pub const MAX_PCR: u32 = 31;
/// The most banks of a selection (`HASH_COUNT`, with room).
const MAX_BANKS: usize = 16;
/// The most digests of a `TPML_DIGEST` (Table "Definition of TPML_DIGEST Structure").
const MAX_DIGESTS: usize = 8;

/// `TPMS_PCR_SELECTION` (Table "Definition of TPMS_PCR_SELECTION Structure").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcrSelection {
    /// The bank.
    pub hash: AlgorithmId,
    /// How many bytes of bits there are: 1 to 4, and 3 for a PC client.
    pub size: u8,
    /// Bit `n` selects PCR `n`.
    pub bits: u32,
}

impl PcrSelection {
    /// A selection of a PC client's PCRs (0 to 23); others are left out.
    pub fn new(hash: AlgorithmId, pcrs: impl IntoIterator<Item = u32>) -> Self {
        let bits = pcrs.into_iter().filter(|pcr| *pcr < 24).fold(0, |bits, pcr| bits | (1u32 << pcr));
        Self { hash, size: 3, bits }
    }

    /// The selected PCRs, ascending.
    pub fn pcrs(&self) -> impl Iterator<Item = u32> + use<> {
        let bits = self.bits;
        (0..=MAX_PCR).filter(move |pcr| bits & (1u32 << pcr) != 0)
    }

    /// The bits without their size.
    pub(super) fn from_bits(hash: AlgorithmId, bits: &[u8]) -> Self {
        let mut padded = [0; 4];
        for (place, byte) in padded.iter_mut().zip(bits) {
            *place = *byte;
        }
        Self { hash, size: u8::try_from(bits.len()).unwrap_or(4), bits: u32::from_le_bytes(padded) }
    }
}

/// `TPML_PCR_SELECTION` (Table "Definition of TPML_PCR_SELECTION Structure"): at most one entry per bank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PcrSelections(Vec<PcrSelection>);

impl PcrSelections {
    /// A list of selections.
    ///
    /// # Errors
    /// When a bank comes twice, there are more than 16, or an entry's size is not 1 to 4 bytes or does not hold its bits.
    pub fn new(selections: Vec<PcrSelection>) -> Result<Self, Error> {
        const FIELD: &str = "TPML_PCR_SELECTION.count";
        if selections.len() > MAX_BANKS {
            return Err(Error::too_long(FIELD, 0, MAX_BANKS, selections.len()));
        }
        for (place, selection) in selections.iter().enumerate() {
            check(&selections, place, selection, 0)?;
        }
        Ok(Self(selections))
    }

    /// The selections in their order, which is the order of the digest.
    pub fn iter(&self) -> impl Iterator<Item = &PcrSelection> {
        self.0.iter()
    }

    /// Every selected register in the order of the digest.
    pub fn registers(&self) -> impl Iterator<Item = (AlgorithmId, u32)> {
        self.0.iter().flat_map(|selection| selection.pcrs().map(|pcr| (selection.hash, pcr)))
    }

    /// Reads the list.
    ///
    /// # Errors
    /// As [`PcrSelections::new`], or when it is cut short.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let at = reader.offset();
        let count = reader.u32_be("TPML_PCR_SELECTION.count")?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > MAX_BANKS {
            return Err(Error::too_long("TPML_PCR_SELECTION.count", at, MAX_BANKS, count));
        }
        let mut selections = Vec::with_capacity(count);
        for place in 0..count {
            let at = reader.offset();
            let hash = AlgorithmId(reader.u16_be("TPMS_PCR_SELECTION.hash")?);
            let size_at = reader.offset();
            let size = reader.u8("TPMS_PCR_SELECTION.sizeofSelect")?;
            if !(1..=4).contains(&size) {
                let field = "TPMS_PCR_SELECTION.sizeofSelect";
                return Err(Error::unexpected(field, size_at, "1 to 4 bytes", size));
            }
            let bits = reader.bytes("TPMS_PCR_SELECTION.pcrSelect", usize::from(size))?;
            let selection = PcrSelection::from_bits(hash, bits);
            check(&selections, place, &selection, at)?;
            selections.push(selection);
        }
        Ok(Self(selections))
    }

    /// Writes the list.
    ///
    /// # Errors
    /// Never for a list made by this module; the signature keeps room for limits.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let count = u32::try_from(self.0.len())
            .map_err(|_| Error::too_long("TPML_PCR_SELECTION.count", out.len(), MAX_BANKS, self.0.len()))?;
        out.extend_from_slice(&count.to_be_bytes());
        for selection in &self.0 {
            out.extend_from_slice(&selection.hash.0.to_be_bytes());
            out.push(selection.size);
            out.extend(selection.bits.to_le_bytes().into_iter().take(usize::from(selection.size)));
        }
        Ok(())
    }
}

/// One selection among those before it.
fn check(all: &[PcrSelection], place: usize, selection: &PcrSelection, at: usize) -> Result<(), Error> {
    if all.iter().take(place).any(|earlier| earlier.hash == selection.hash) {
        return Err(Error::unexpected("TPMS_PCR_SELECTION.hash", at, "each bank once", selection.hash));
    }
    let held = selection.bits.to_le_bytes().into_iter().skip(usize::from(selection.size)).all(|byte| byte == 0);
    if !(1..=4).contains(&selection.size) || !held {
        let found = format_args!("{} bytes for {:#x}", selection.size, selection.bits);
        return Err(Error::unexpected("TPMS_PCR_SELECTION.sizeofSelect", at, "1 to 4 bytes that hold the bits", found));
    }
    Ok(())
}

/// `TPML_DIGEST` (Table "Definition of TPML_DIGEST Structure"): at most 8 digests.
///
/// # Errors
/// When there are more, one is longer than 64 bytes, or one is cut short.
pub fn read_digests<'a>(reader: &mut Reader<'a>) -> Result<Vec<&'a [u8]>, Error> {
    let at = reader.offset();
    let count = usize::try_from(reader.u32_be("TPML_DIGEST.count")?).unwrap_or(usize::MAX);
    if count > MAX_DIGESTS {
        return Err(Error::too_long("TPML_DIGEST.count", at, MAX_DIGESTS, count));
    }
    (0..count).map(|_| reader.sized_be("TPML_DIGEST.digests", MAX_DIGEST)).collect()
}

/// Writes a `TPML_DIGEST`.
///
/// # Errors
/// When there are more than 8, or one is longer than 64 bytes.
pub fn write_digests(out: &mut Vec<u8>, digests: &[&[u8]]) -> Result<(), Error> {
    let count = u32::try_from(digests.len()).ok().filter(|_| digests.len() <= MAX_DIGESTS);
    let count = count.ok_or_else(|| Error::too_long("TPML_DIGEST.count", out.len(), MAX_DIGESTS, digests.len()))?;
    out.extend_from_slice(&count.to_be_bytes());
    digests.iter().try_for_each(|digest| super::write_sized(out, "TPML_DIGEST.digests", digest, MAX_DIGEST))
}

/// What PCRs hold, by bank and number. Nothing vouches for a value until a quote is verified that selects it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PcrValues(BTreeMap<(AlgorithmId, u32), Vec<u8>>);

impl PcrValues {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Values of one bank, from PCR 0 on.
    ///
    /// # Errors
    /// As [`PcrValues::insert`].
    pub fn of_bank<'v>(hash: AlgorithmId, values: impl IntoIterator<Item = &'v [u8]>) -> Result<Self, Error> {
        let mut all = Self::new();
        for (pcr, value) in (0..).zip(values) {
            all.insert(hash, pcr, value)?;
        }
        Ok(all)
    }

    /// Adds one value.
    ///
    /// # Errors
    /// When the PCR is over [`MAX_PCR`], has a value already, or the value is not of the bank's size.
    pub fn insert(&mut self, hash: AlgorithmId, pcr: u32, value: &[u8]) -> Result<(), Error> {
        if pcr > MAX_PCR {
            return Err(Error::unexpected("PCR", 0, "0 to 31", pcr));
        }
        if hash.digest_size() != Some(value.len()) {
            let found = format_args!("{} bytes for PCR {pcr} of {hash}", value.len());
            return Err(Error::unexpected("PCR value", 0, "the digest size of the bank", found));
        }
        if self.0.insert((hash, pcr), value.to_vec()).is_some() {
            return Err(Error::unexpected("PCR", 0, "each PCR of a bank once", format_args!("{hash}:{pcr} twice")));
        }
        Ok(())
    }

    /// One value.
    pub fn get(&self, hash: AlgorithmId, pcr: u32) -> Option<&[u8]> {
        self.0.get(&(hash, pcr)).map(Vec::as_slice)
    }

    /// All values, by bank and then by number.
    pub fn iter(&self) -> impl Iterator<Item = (AlgorithmId, u32, &[u8])> {
        self.0.iter().map(|((hash, pcr), value)| (*hash, *pcr, value.as_slice()))
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
