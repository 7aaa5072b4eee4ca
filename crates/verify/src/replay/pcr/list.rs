//! An IMA list against PCR 10.

use super::{Boot, IMA_PCR, differs, extended};
use crate::hash::{Hash, Value};
use crate::replay::Error;
use sealwright_wire::ima::{self, Entry};
use sealwright_wire::tcg2::AlgorithmId;
use sealwright_wire::tpm::PcrValues;

/// The part of an IMA list that a quote covers.
#[derive(Debug, Default)]
pub(super) struct List {
    /// Whether the quote says anything of the list.
    pub(super) given: bool,
    pub(super) covered: usize,
    pub(super) behind: usize,
    /// The banks in which it ends in the quoted value.
    pub(super) replayed: Vec<AlgorithmId>,
    /// Those of them whose digests were filled up.
    pub(super) padded: Vec<AlgorithmId>,
}

/// PCR 10 in one bank, both ways in which kernels extend it.
struct Chain<'q> {
    bank: AlgorithmId,
    hash: Hash,
    quoted: &'q [u8],
    /// With the hash of the template data in this bank's algorithm (Linux 5.8 and later).
    hashed: Vec<u8>,
    /// With the SHA-1 of the template data, filled up with zeros (earlier, and where the kernel lacks the algorithm).
    padded: Vec<u8>,
}

impl List {
    pub(super) fn replay(list: &[u8], boot: &Boot, quoted: &PcrValues) -> Result<Self, Error> {
        let mut chains: Vec<_> =
            quoted.iter().filter_map(|(bank, pcr, value)| Chain::new(bank, pcr, value, boot)).collect();
        if chains.is_empty() {
            // The quote says nothing of PCR 10, so that nothing vouches for the list.
            let behind = ima::entries(list).map_err(Error::Ima)?.count();
            return Ok(Self { behind, ..Self::default() });
        }
        let mut found = reached(&chains);
        let mut lines = 0usize;
        for entry in ima::entries(list).map_err(Error::Ima)? {
            let entry = entry.map_err(Error::Ima)?;
            lines = lines.saturating_add(1);
            if found.is_some() {
                continue;
            }
            check_entry(&entry, lines)?;
            chains.iter_mut().for_each(|chain| chain.extend(&entry));
            found = reached(&chains).map(|padded| List { covered: lines, ..padded });
        }
        let Some(covered) = found else {
            let end = chains.first();
            let bank = end.map_or(AlgorithmId::SHA256, |chain| chain.bank);
            return Err(differs(IMA_PCR, bank, end.map(|chain| &chain.hashed), quoted, lines));
        };
        Ok(Self { given: true, behind: lines.saturating_sub(covered.covered), ..covered })
    }
}

/// Whether all banks have the quoted value, and in which of them the digests were filled up.
fn reached(chains: &[Chain<'_>]) -> Option<List> {
    let mut padded = Vec::new();
    for chain in chains {
        match (chain.hashed == chain.quoted, chain.padded == chain.quoted) {
            (true, _) => {}
            (false, true) => padded.push(chain.bank),
            (false, false) => return None,
        }
    }
    Some(List { replayed: chains.iter().map(|chain| chain.bank).collect(), padded, ..List::default() })
}

impl<'q> Chain<'q> {
    fn new(bank: AlgorithmId, pcr: u32, quoted: &'q [u8], boot: &Boot) -> Option<Self> {
        let hash = Hash::of(bank).filter(|_| pcr == IMA_PCR)?;
        let start = boot.value((pcr, bank))?;
        Some(Self { bank, hash, quoted, hashed: start.clone(), padded: start })
    }

    fn extend(&mut self, entry: &Entry<'_>) {
        let size = self.quoted.len();
        let (hashed, padded) = if entry.is_violation() {
            (vec![0xff; size], vec![0xff; size])
        } else {
            let data = entry.template_data();
            let sha1 = Hash::of(AlgorithmId::SHA1).map(|sha1| sha1.digest(&data));
            let mut padded = sha1.as_ref().map(Value::as_bytes).unwrap_or_default().to_vec();
            padded.resize(size, 0);
            (self.hash.digest(&data).as_bytes().to_vec(), padded)
        };
        self.hashed = extended(self.hash, &self.hashed, &hashed);
        self.padded = extended(self.hash, &self.padded, &padded);
    }
}

/// The register, and the template digest over the fields in the list's own algorithm.
fn check_entry(entry: &Entry<'_>, line: usize) -> Result<(), Error> {
    if entry.pcr != IMA_PCR {
        return Err(Error::ImaRegister { line, register: entry.pcr, expected: "10" });
    }
    if entry.is_violation() {
        return Ok(());
    }
    let stated = &*entry.template_digest;
    let algorithms = [AlgorithmId::SHA1, AlgorithmId::SHA256, AlgorithmId::SHA384, AlgorithmId::SHA512];
    let hash = algorithms.into_iter().filter_map(Hash::of).find(|hash| hash.size() == stated.len());
    let data = entry.template_data();
    if hash.is_some_and(|hash| hash.digest(&data).as_bytes() == stated) {
        return Ok(());
    }
    Err(Error::ImaTemplate { line, stated: hex::encode(stated) })
}
