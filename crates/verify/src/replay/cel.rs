//! Canonical event logs: what userspace measured, or a whole boot.

use super::{DataMatch, Error, MAX_REGISTERS, Replay, matches};
use sealwright_wire::cel::{Content, Log, Record, Register};
use sealwright_wire::tcg2::{AlgorithmId, Digested, digested};
use serde::Serialize;

/// What evidence says of a canonical event log that explains its registers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CelCheck {
    /// How many records the part of the log has that the registers cover. Those of registers that the evidence does not state are among them,
    /// and nothing vouches for these.
    pub records: usize,
    /// How many records the log has behind that part: nothing vouches for them.
    pub records_behind: usize,
    /// How many of the covered records extended indexes of non-volatile memory, which are not replayed.
    pub nv_records: usize,
    /// Numbers of the covered records of which what they say is not what their digest is over: do not believe their words.
    pub contradicted: Vec<usize>,
}

impl CelCheck {
    /// Of a log whose first records are covered.
    pub(super) fn of_part(log: &Log<'_>, covered: usize) -> Self {
        let part = || log.records().take(covered);
        let is_nv = |record: &Record<'_>| matches!(record.register, Register::NvIndex(_));
        let contradicted = part().enumerate().filter(|(_, record)| cel_matches_digest(record) == DataMatch::No);
        Self {
            records: covered,
            records_behind: log.record_count().saturating_sub(covered),
            nv_records: part().filter(is_nv).count(),
            contradicted: contradicted.map(|(place, _)| place).collect(),
        }
    }
}

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
