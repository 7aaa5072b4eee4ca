//! An IMA list against PCR 10.

use super::{Boot, IMA_PCR, differs};
use crate::hash::{Hash, Value};
use crate::replay::Error;
use crate::replay::ima::{Checked, digests};
use sealwright_wire::ima;
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
    hashed: Value,
    /// With the SHA-1 of the template data, filled up with zeros (earlier, and where the kernel lacks the algorithm).
    padded: Value,
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
        let mut entries = Checked::new(list)?;
        let mut covered = 0usize;
        let found = loop {
            if let Some(found) = reached(&chains) {
                break Some(found);
            }
            let Some(entry) = entries.next(None) else { break None };
            let (entry, data, line) = entry?;
            if entry.pcr != IMA_PCR {
                return Err(Error::ImaRegister { line, register: entry.pcr, expected: "10" });
            }
            chains.iter_mut().for_each(|chain| chain.extend(&digests(&entry, data, chain.hash)));
            covered = line;
        };
        let Some(found) = found else {
            let end = chains.first();
            let bank = end.map_or(AlgorithmId::SHA256, |chain| chain.bank);
            let replayed = end.map(|chain| chain.hashed.as_bytes().to_vec());
            return Err(differs(IMA_PCR, bank, replayed.as_ref(), quoted, covered));
        };
        Ok(Self { given: true, covered, behind: entries.rest()?, ..found })
    }
}

/// Whether all banks have the quoted value, and in which of them the digests were filled up.
fn reached(chains: &[Chain<'_>]) -> Option<List> {
    let mut padded = Vec::new();
    for chain in chains {
        match (chain.hashed.as_bytes() == chain.quoted, chain.padded.as_bytes() == chain.quoted) {
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
        let start = boot.value((pcr, bank))?.as_slice().into();
        Some(Self { bank, hash, quoted, hashed: start, padded: start })
    }

    fn extend(&mut self, (hashed, padded): &(Value, Value)) {
        self.hashed = self.hash.extend(&self.hashed, hashed.as_bytes());
        self.padded = self.hash.extend(&self.padded, padded.as_bytes());
    }
}
