//! Why a log does not explain the registers.

use crate::hash::Value;
use sealwright_wire::tcg2::AlgorithmId;

/// Why a log does not explain the registers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log is not readable.
    #[error("event log: {0}")]
    Log(#[from] sealwright_wire::Error),
    /// The IMA list is not readable.
    #[error("IMA list: {0}")]
    Ima(sealwright_wire::Error),
    /// The canonical event log is not readable.
    #[error("canonical event log: {0}")]
    Canonical(sealwright_wire::Error),
    /// A record of a canonical event log extends a register in other banks only.
    #[error("canonical event log: record {record} has no {algorithm} digest")]
    CanonicalDigest {
        /// The record's number.
        record: usize,
        /// The bank that it leaves out.
        algorithm: AlgorithmId,
    },
    /// There is an IMA list without the log that comes before it: it explains nothing alone.
    #[error("IMA list: the event log that comes before it is missing")]
    ImaAlone,
    /// The log has no digests of the algorithm that the registers have.
    #[error("event log: no {0} bank")]
    NoBank(AlgorithmId),
    /// An event extends a register in other banks only.
    #[error("event log: record {record} has no {algorithm} digest")]
    NoDigest {
        /// The record's number.
        record: usize,
        /// The bank that it leaves out.
        algorithm: AlgorithmId,
    },
    /// An event extends a register that nothing could confirm.
    #[error("event log: record {record} extends MR index {mr_index}, expected {expected}")]
    NoRegister {
        /// The record's number.
        record: usize,
        /// The index that it names.
        mr_index: u32,
        /// The indexes that there are.
        expected: &'static str,
    },
    /// Two events state where the TPM was started.
    #[error("event log: record {record} states a second startup locality")]
    StartupLocality {
        /// The second record's number.
        record: usize,
    },
    /// A runtime event whose digest is not over its data: the log says something that was not measured.
    #[error("event log: runtime record {record} has digest {stated}, its data hashes to {computed}")]
    RuntimeData {
        /// The record's number.
        record: usize,
        /// The digest in the record.
        stated: Box<Value>,
        /// The digest of the record's data.
        computed: Box<Value>,
    },
    /// A runtime event that is not "domain operation content".
    #[error("event log: runtime record {record}: {error}")]
    RuntimeEvent {
        /// The record's number.
        record: usize,
        /// What is wrong with it.
        error: sealwright_wire::Error,
    },
    /// An IMA line for a register that IMA does not extend.
    #[error("IMA list: line {line} extends register {register}, expected {expected}")]
    ImaRegister {
        /// The line's number, from 1.
        line: usize,
        /// The register that it names.
        register: u32,
        /// The registers that there are.
        expected: &'static str,
    },
    /// An IMA line whose template digest is not the one that extended the register, or not over its fields.
    #[error("IMA list: line {line} has template digest {stated}, its fields hash to {computed}")]
    ImaDigest {
        /// The line's number, from 1.
        line: usize,
        /// The digest in the line, in hex.
        stated: String,
        /// The digest of the fields in the bank's or the list's algorithm, in hex.
        computed: String,
    },
    /// A PCR holds something else than the log explains, at any of its records.
    #[error(
        "{register} ({bank}): the log's {events} events replay to {replayed}, the quote has {quoted}; no part of the log has it"
    )]
    PcrDiffers {
        /// The register's name.
        register: &'static str,
        /// The bank.
        bank: AlgorithmId,
        /// What the whole log gives, in hex.
        replayed: String,
        /// What the quote states, in hex.
        quoted: String,
        /// How many events of the log extend the register.
        events: usize,
    },
    /// A register holds something else than the log explains.
    #[error("{register}: the log's {events} events replay to {replayed}, the quote has {quoted}{}", reached(*.reached_after))]
    Differs {
        /// The register's name.
        register: &'static str,
        /// What the log gives.
        replayed: Box<Value>,
        /// What the quote states.
        quoted: Box<Value>,
        /// How many events of the log extend the register.
        events: usize,
        /// The record after which the replay had the quote's value, when the log goes on behind it: it is newer than the quote.
        reached_after: Option<usize>,
    },
}

fn reached(record: Option<usize>) -> String {
    record
        .map(|record| format!(" (reached after record {record}: the log is newer than the quote)"))
        .unwrap_or_default()
}
