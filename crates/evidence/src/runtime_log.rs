//! The record of what a workload measured into RTMR3 after boot: a file of TCG2 records on the guest's own disk or tmpfs.
//!
//! The register and the file are two things, and a process can die between them. So the record is first written to a file
//! beside the log (`.pending`: u64 length of the log, record), then the register is extended, then the record joins the log; whoever comes next finds a
//! pending record and sees from the register's value whether it counts. An exclusive lock on the log covers the whole.

use crate::Error;
use aws_lc_rs::digest::{SHA384, digest};
use sealwright_wire::{
    Digest,
    aael::{MR_INDEX, RuntimeEvent},
    tcg2::{AlgorithmId, Log, Writer, event_type::EV_EVENT_TAG},
};
use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The most that the runtime log may hold, in bytes.
pub(crate) const MAX_RUNTIME_LOG: usize = 4 << 20;

/// The log while this process holds its lock; dropping it releases the lock.
pub(crate) struct Locked {
    path: PathBuf,
    file: File,
}

/// The register that the log explains.
pub(crate) trait Register {
    fn read(&self) -> Result<Digest<48>, Error>;
    fn extend(&self, digest: &Digest<48>) -> Result<(), Error>;
}

impl Locked {
    /// Locks the log if there is one, so that a reader needs no right to make one. Waits for whoever holds it.
    pub(crate) fn open_existing(path: &Path) -> Result<Option<Self>, Error> {
        match fs::metadata(path) {
            Ok(_) => Self::open(path).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("look at", path)(error)),
        }
    }

    /// Locks the log, making it and its directory when they are not there yet. Waits for whoever holds it.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(Error::io("make directory", directory))?;
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let file = options.open(path).map_err(Error::io("open", path))?;
        file.lock().map_err(Error::io("lock", path))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// The records, after a record that a dead process left pending has been settled.
    pub(crate) fn records(&mut self, register: &dyn Register) -> Result<Vec<u8>, Error> {
        let records = read_bounded(&self.file, &self.path)?;
        let pending_path = self.pending_path();
        match fs::read(&pending_path) {
            Ok(pending) => self.settle(records, &pending, register),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(records),
            Err(error) => Err(Error::io("read", pending_path)(error)),
        }
    }

    /// Finishes what a dead process began: the register says whether its record counts. A pending file that was cut short
    /// does not, because the register is touched only after that file is complete.
    fn settle(&mut self, mut records: Vec<u8>, pending: &[u8], register: &dyn Register) -> Result<Vec<u8>, Error> {
        let value = register.read()?;
        if let Some((length, record)) = pending.split_first_chunk::<8>() {
            // The process may have died in the midst of the append.
            records.truncate(usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX));
            self.file.set_len(records.len() as u64).map_err(Error::io("cut", &self.path))?;
            let with_pending = [records.as_slice(), record].concat();
            if value != replay(&records)? && replay(&with_pending).is_ok_and(|after| after == value) {
                self.append(record)?;
                records = with_pending;
            }
        }
        let replayed = replay(&records)?;
        if value != replayed {
            return Err(self.diverged(value, replayed));
        }
        self.forget_pending()?;
        Ok(records)
    }

    /// Extends the register with the event and records it.
    pub(crate) fn extend(&mut self, register: &dyn Register, event: &RuntimeEvent) -> Result<(), Error> {
        let records = self.records(register)?;
        let (value, replayed) = (register.read()?, replay(&records)?);
        if value != replayed {
            return Err(self.diverged(value, replayed));
        }
        let data = event.to_data();
        let measured = sha384(&data);
        let record = record(&measured, &data)?;
        if records.len() + record.len() > MAX_RUNTIME_LOG {
            let source = sealwright_wire::Error::too_long(
                "runtime log",
                records.len(),
                MAX_RUNTIME_LOG,
                records.len() + record.len(),
            );
            return Err(Error::Format { what: "the runtime log is full", source });
        }
        self.write_pending(records.len(), &record)?;
        if let Err(error) = register.extend(&measured) {
            self.forget_pending()?;
            return Err(error);
        }
        self.append(&record)?;
        self.forget_pending()
    }

    fn append(&mut self, record: &[u8]) -> Result<(), Error> {
        self.file.write_all(record).and_then(|()| self.file.sync_data()).map_err(Error::io("append to", &self.path))
    }

    fn write_pending(&self, length: usize, record: &[u8]) -> Result<(), Error> {
        let path = self.pending_path();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let write = || {
            let mut file = options.open(&path)?;
            file.write_all(&[&(length as u64).to_le_bytes(), record].concat())?;
            file.sync_data()
        };
        write().map_err(Error::io("write", &path))
    }

    fn forget_pending(&self) -> Result<(), Error> {
        let path = self.pending_path();
        fs::remove_file(&path).map_err(Error::io("remove", path))
    }

    fn pending_path(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".pending");
        name.into()
    }

    fn diverged(&self, register: Digest<48>, replayed: Digest<48>) -> Error {
        Error::Diverged { log: self.path.clone(), register: register.to_string(), replayed: replayed.to_string() }
    }
}

/// The boot's log with the runtime records behind it; `None` when there is neither.
pub(crate) fn join(boot: Option<&[u8]>, records: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let boot = match boot {
        Some(boot) => Log::parse(boot).map_err(Error::format("boot event log"))?.used().to_vec(),
        None if records.is_empty() => return Ok(None),
        None => header()?,
    };
    let joined = [boot.as_slice(), records].concat();
    Log::parse(&joined).map_err(Error::format("event log with its runtime records"))?;
    Ok(Some(joined))
}

/// What the records make of RTMR3.
fn replay(records: &[u8]) -> Result<Digest<48>, Error> {
    let log = [header()?.as_slice(), records].concat();
    let log = Log::parse(&log).map_err(Error::format("runtime log"))?;
    let mut value = Digest::<48>::ZERO;
    for event in log.events().filter(|event| event.mr_index == MR_INDEX) {
        let digest = event.digests.get(AlgorithmId::SHA384).unwrap_or_default();
        value = sha384(&[value.as_ref(), digest].concat());
    }
    Ok(value)
}

fn record(measured: &Digest<48>, data: &[u8]) -> Result<Vec<u8>, Error> {
    let make = || {
        let mut writer = Writer::new(1, &[AlgorithmId::SHA384])?;
        let header = writer.as_bytes().len();
        writer.event(MR_INDEX, EV_EVENT_TAG, &[measured.as_ref()], data)?;
        Ok(writer.as_bytes()[header..].to_vec())
    };
    make().map_err(Error::format("runtime event"))
}

fn header() -> Result<Vec<u8>, Error> {
    let writer = Writer::new(1, &[AlgorithmId::SHA384]).map_err(Error::format("event log header"))?;
    Ok(writer.into_bytes())
}

fn read_bounded(mut file: &File, path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let limit = MAX_RUNTIME_LOG as u64 + 1;
    std::io::Seek::rewind(&mut file).map_err(Error::io("read", path))?;
    file.take(limit).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() > MAX_RUNTIME_LOG {
        let source = sealwright_wire::Error::too_long("runtime log", 0, MAX_RUNTIME_LOG, bytes.len());
        return Err(Error::Format { what: "runtime log", source });
    }
    Ok(bytes)
}

fn sha384(data: &[u8]) -> Digest<48> {
    let mut value = Digest::ZERO;
    value.0.copy_from_slice(digest(&SHA384, data).as_ref());
    value
}
