//! Canonical event logs: what userspace measured, or a whole boot.

use super::{DataMatch, Error, MAX_REGISTERS, Replay, matches};
use sealwright_wire::cel::{Content, Log, Record, Register};
use sealwright_wire::tcg2::{AlgorithmId, Digested, digested};

/// Replays a canonical event log.
///
/// # Errors
/// When a record names a PCR that no machine has.
pub fn replay_cel(log: &Log<'_>) -> Result<Replay, Error> {
    let mut replay = Replay::default();
    replay.join_cel(log)?;
    Ok(replay)
}

impl Replay {
    /// Extends the registers by the records of a canonical event log, as behind a firmware's. A bank that a record leaves out, though the
    /// firmware's log or another record has it, is missing for the record's register.
    ///
    /// # Errors
    /// When a record names a PCR that no machine has.
    pub fn join_cel(&mut self, log: &Log<'_>) -> Result<(), Error> {
        for record in log.records() {
            record.digests.iter().for_each(|(algorithm, _)| self.add_bank(*algorithm));
        }
        for (place, record) in log.records().enumerate().filter(|(_, record)| record.extends()) {
            let Register::Pcr(mr_index) = record.register else {
                self.nv_records = self.nv_records.saturating_add(1);
                continue;
            };
            if mr_index >= MAX_REGISTERS {
                return Err(Error::NoRegister { record: place, mr_index, expected: "0 to 23" });
            }
            for bank in &mut self.banks {
                bank.extend(mr_index, record.digest(bank.algorithm), place);
            }
        }
        Ok(())
    }
}

/// Whether what a record says is what its digests are over.
pub fn cel_matches_digest(record: &Record<'_>) -> DataMatch {
    let digests = || record.digests.iter().map(|(algorithm, digest)| (*algorithm, digest.as_ref()));
    match &record.content {
        Content::PcClient { event_type, data } => matches(digested(*event_type, data), digests()),
        Content::ImaTemplate { data, .. } => {
            // Banks for which the kernel has no hash hold the SHA-1 digest, padded: the bank that says so is SHA-1's own.
            let sha1 = record.digest(AlgorithmId::SHA1).map(|digest| (AlgorithmId::SHA1, digest));
            match sha1 {
                Some(sha1) => matches(Digested::Bytes(data), [sha1]),
                None => matches(Digested::Bytes(data), digests()),
            }
        }
        // Some kinds measure a secret, of which the text is the name.
        Content::Systemd(said) => match &said.text {
            Some(text) if matches(Digested::Bytes(text.as_bytes()), digests()) == DataMatch::Yes => DataMatch::Yes,
            _ => DataMatch::NotApplicable,
        },
        Content::Other { .. } => DataMatch::NotApplicable,
    }
}
