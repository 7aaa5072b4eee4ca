//! IMA lists: what the kernel measured behind the firmware's log.

use super::{Error, MAX_REGISTERS, Register, Replay, replay};
use crate::hash::{Hash, Value};
use sealwright_wire::ima::{self, Entry};
use sealwright_wire::tcg2::AlgorithmId;

/// The MR index of RTMR2, which IMA extends.
pub(super) const RTMR2: u32 = 3;
/// What IMA's lists call the register of a TDX guest: PCR 10, or RTMR 2 where a kernel patched for TDX names it itself.
const TDX_NAMES: [u32; 2] = [10, 2];

/// How far a register covers a list: kernels go on measuring while a quote is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// How many entries of the list the register covers.
    pub entries: usize,
    /// Whether the kernel had no hash for the bank, so that it extended the SHA-1 template digest padded with zeros.
    pub padded: bool,
}

/// Replays a CCEL and then an IMA list in either form, which extends RTMR2 (MR index 3) without leaving records in the CCEL.
///
/// # Errors
/// As [`replay`]; and when a line names another register, or its SHA-384 template digest is not over its fields.
pub fn replay_with_ima(log: &[u8], list: &[u8]) -> Result<Replay, Error> {
    let mut replay = replay(log)?;
    for digest in TdxDigests::new(list)? {
        replay.extend_rtmr2(&digest?);
    }
    Ok(replay)
}

/// An entry, the bytes that its template digest is over, and its number from 1.
type Line<'a, 'd> = (Entry<'a>, &'d [u8], usize);

/// The entries of a list, each checked against the digest that its line has.
pub(super) struct Checked<'a> {
    entries: ima::Entries<'a>,
    line: usize,
    data: Vec<u8>,
}

impl<'a> Checked<'a> {
    pub(super) fn new(list: &'a [u8]) -> Result<Self, Error> {
        Ok(Self { entries: ima::entries(list).map_err(Error::Ima)?, line: 0, data: Vec::new() })
    }

    /// The next entry. `hash` is that of the list's template digests.
    pub(super) fn next(&mut self, hash: Option<Hash>) -> Option<Result<Line<'a, '_>, Error>> {
        let entry = match self.entries.next()? {
            Ok(entry) => entry,
            Err(error) => return Some(Err(Error::Ima(error))),
        };
        self.line = self.line.saturating_add(1);
        entry.template_data_into(&mut self.data);
        let line = self.line;
        if entry.is_violation() {
            return Some(Ok((entry, &self.data, line)));
        }
        let computed = hash.or_else(|| list_hash(&entry)).map(|hash| hash.digest(&self.data));
        match computed {
            Some(computed) if computed.as_bytes() == &*entry.template_digest => Some(Ok((entry, &self.data, line))),
            _ => {
                let stated = hex::encode(&entry.template_digest);
                let computed = computed.map_or_else(|| "nothing known".to_owned(), |computed| format!("{computed:?}"));
                Some(Err(Error::ImaDigest { line, stated, computed }))
            }
        }
    }

    /// How many entries are left, which are read and not checked.
    pub(super) fn rest(self) -> Result<usize, Error> {
        self.entries
            .map(|entry| entry.map_err(Error::Ima))
            .try_fold(0usize, |count, entry| entry.map(|_| count.saturating_add(1)))
    }
}

/// The hash of a list's template digests, by their size. SM3 has the size of SHA-256: it is told from it by the digest of the file.
fn list_hash(entry: &Entry<'_>) -> Option<Hash> {
    let sm3 = entry.file_digest().is_some_and(|(algorithm, _)| algorithm == "sm3_256" || algorithm == "sm3-256");
    let algorithm = match entry.template_digest.len() {
        20 => AlgorithmId::SHA1,
        32 if sm3 => AlgorithmId::SM3_256,
        32 => AlgorithmId::SHA256,
        48 => AlgorithmId::SHA384,
        64 => AlgorithmId::SHA512,
        _ => return None,
    };
    Hash::of(algorithm)
}

/// What an entry extends a bank with, where the kernel has the bank's hash and where it has not.
pub(super) fn digests(entry: &Entry<'_>, data: &[u8], hash: Hash) -> (Value, Value) {
    if entry.is_violation() {
        let ones = Value::filled(0xff, hash.size());
        return (ones, ones);
    }
    let sha1 = match entry.template_digest.len() {
        20 => Value::padded(&entry.template_digest, hash.size()),
        // A list of another algorithm does not hold what such a bank is extended with.
        _ => Hash::of(AlgorithmId::SHA1)
            .map_or(Value::padded(&[], hash.size()), |sha1| Value::padded(sha1.digest(data).as_bytes(), hash.size())),
    };
    (hash.digest(data), sha1)
}

impl Replay {
    /// Extends the registers that an IMA list in either form names, in every bank that was replayed so far: PCR 10 of a TPM unless the
    /// kernel or its policy say otherwise. Where a kernel has no hash for a bank, [`Register::value_if_padded`] holds.
    ///
    /// # Errors
    /// When the list is not readable, a line names a register that no machine has, or its template digest is not over its fields.
    pub fn join_ima(&mut self, list: &[u8]) -> Result<(), Error> {
        let mut entries = Checked::new(list)?;
        while let Some(entry) = entries.next(None) {
            let (entry, data, line) = entry?;
            if entry.pcr >= MAX_REGISTERS {
                return Err(Error::ImaRegister { line, register: entry.pcr, expected: "0 to 23" });
            }
            for bank in &mut self.banks {
                let (hash, legacy) = (bank.hash, bank.algorithm == AlgorithmId::SHA1);
                if let Some(register) = bank.register(entry.pcr) {
                    register.extend_ima(hash, &digests(&entry, data, hash), legacy);
                }
            }
            self.ima_lines = self.ima_lines.saturating_add(1);
        }
        Ok(())
    }

    /// How far a register that was read elsewhere covers an IMA list, which is not joined by this: the first entry behind which the register,
    /// as replayed so far, holds `seen`. `None` when it does so behind no entry.
    ///
    /// # Errors
    /// When the list is not readable up to there, or a template digest is not over its line's fields.
    pub fn ima_covered(
        &self,
        list: &[u8],
        mr_index: u32,
        algorithm: AlgorithmId,
        seen: &[u8],
    ) -> Result<Option<Covered>, Error> {
        let (Some(register), Some(hash)) = (self.any(mr_index, algorithm), Hash::of(algorithm)) else {
            return Ok(None);
        };
        let (mut register, mut entries) = (register.clone(), Checked::new(list)?);
        let mut covered = 0usize;
        loop {
            if register.equals(seen) || register.value_if_padded() == Some(seen) {
                return Ok(Some(Covered { entries: covered, padded: !register.equals(seen) }));
            }
            let Some(entry) = entries.next(None) else { return Ok(None) };
            let (entry, data, line) = entry?;
            if entry.pcr == mr_index {
                register.extend_ima(hash, &digests(&entry, data, hash), algorithm == AlgorithmId::SHA1);
            }
            covered = line;
        }
    }

    /// What the kernel writes as the first entry of its list, `boot_aggregate`: H over the PCRs of the firmware and the boot loader in a bank,
    /// 0 to 7 in SHA-1 and 0 to 9 in others (Linux, `ima_calc_boot_aggregate_tfm`). `None` without the bank, or where an event left it out.
    pub fn boot_aggregate(&self, algorithm: AlgorithmId) -> Option<Value> {
        let hash = Hash::of(algorithm)?;
        let last = if algorithm == AlgorithmId::SHA1 { 7 } else { 9 };
        let mut registers = Vec::new();
        for mr_index in 0..=last {
            let register = self.any(mr_index, algorithm).filter(|register| register.left_out.is_none())?;
            registers.extend_from_slice(register.value());
        }
        Some(hash.digest(&registers))
    }

    pub(super) fn extend_rtmr2(&mut self, digest: &Value) {
        self.add_bank(AlgorithmId::SHA384);
        if let Some(bank) = self.banks.iter_mut().find(|bank| bank.algorithm == AlgorithmId::SHA384) {
            bank.extend(RTMR2, Some(digest.as_bytes()), 0);
        }
        self.ima_lines = self.ima_lines.saturating_add(1);
    }
}

impl Register {
    /// Extends the register with what the kernel has for the bank, and the padded register with what it has without a hash for it.
    fn extend_ima(&mut self, hash: Hash, digests: &(Value, Value), legacy: bool) {
        let (native, padded) = digests;
        if !legacy {
            self.padded = Some(hash.extend(self.padded.as_ref().unwrap_or(&self.value), padded.as_bytes()));
        }
        self.value = hash.extend(&self.value, native.as_bytes());
        self.count(native.as_bytes());
    }
}

/// The digests with which an IMA list extends RTMR2, each checked against its line's fields.
pub(super) struct TdxDigests<'a> {
    entries: Checked<'a>,
}

impl<'a> TdxDigests<'a> {
    pub(super) fn new(list: &'a [u8]) -> Result<Self, Error> {
        Ok(Self { entries: Checked::new(list)? })
    }
}

impl Iterator for TdxDigests<'_> {
    type Item = Result<Value, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let hash = Hash::of(AlgorithmId::SHA384)?;
        Some(self.entries.next(Some(hash))?.and_then(|(entry, data, line)| {
            if !TDX_NAMES.contains(&entry.pcr) {
                return Err(Error::ImaRegister { line, register: entry.pcr, expected: "PCR 10 (or RTMR 2)" });
            }
            Ok(digests(&entry, data, hash).0)
        }))
    }
}
