//! Who writes the log: whoever has an entry while nobody else does, and otherwise the one thread that takes whatever is waiting, writes it,
//! makes it durable once, and answers all who wait.
//!
//! Handing an entry to the thread and waiting for it costs about as much processor time as writing it, so on a disk that answers quickly
//! an entry that is alone is written where it is. It holds up its thread for no longer than judging the evidence has; a disk that takes
//! longer is left to the thread until it has become quick again.

use super::{ChainError, Entry, FORMAT, Head, MAX_LINE, chain};
use crate::files::FileError;
use rustix::fs::OFlags;
use sealwright_wire::Digest;
use serde::Serialize;
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, TryLockError},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// The most entries that wait. Whoever comes after them waits for a place.
const QUEUE: usize = 1024;
/// The most entries that are made durable at once.
const BATCH: usize = 256;
/// How long a write may have taken if the next entry is to be written where it is.
const PROMPT: Duration = Duration::from_millis(1);

/// Why an entry was not recorded. The decision that it is about must not be carried out.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The file cannot be written.
    #[error("the audit log cannot be written: {0}")]
    Write(Arc<io::Error>),
    /// The entry does not fit in a line.
    #[error("an audit entry of {0} bytes; at most {MAX_LINE} fit in a line")]
    TooLong(usize),
    /// The log is closed.
    #[error("the audit log is closed")]
    Closed,
}

/// Where an entry was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The entry's number.
    pub seq: u64,
}

struct Job {
    entry: Entry,
    done: oneshot::Sender<Result<Recorded, AuditError>>,
}

/// A log that is open for writing. Dropping it closes it, after the entries that wait.
pub struct Audit {
    path: PathBuf,
    queue: Option<mpsc::Sender<Job>>,
    writer: Arc<Mutex<Writer>>,
    head: Arc<Mutex<Head>>,
    thread: Option<JoinHandle<()>>,
}

impl Audit {
    /// Opens the log at `path`, or creates it readable by its owner only, and goes on after `known`, the last entry that is known to have
    /// been written. What an interrupted write left behind is cut off: it was never acknowledged. Returns how many bytes that were.
    ///
    /// # Errors
    /// When entries are missing or changed, or the file cannot be read or written.
    pub fn open(path: &Path, known: Head) -> Result<(Self, u64), ChainError> {
        let dsync = i32::try_from(OFlags::DSYNC.bits()).unwrap_or_default();
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).custom_flags(dsync).open(path);
        let mut file = file.map_err(FileError::io(path))?;
        let (head, torn) = chain::resume(&mut file, path, known)?;
        if torn > 0 {
            file.set_len(head.end).and_then(|()| file.sync_all()).map_err(FileError::io(path))?;
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            crate::files::sync_folder(folder)?;
        }
        let shared = Arc::new(Mutex::new(head));
        let (queue, waiting) = mpsc::channel(QUEUE);
        let writer = Writer { file, head, shared: Arc::clone(&shared), broken: None, prompt: true };
        let writer = Arc::new(Mutex::new(writer));
        let of_thread = Arc::clone(&writer);
        let thread =
            std::thread::Builder::new().name("audit".to_owned()).spawn(move || write_waiting(&of_thread, waiting));
        let thread = Some(thread.map_err(FileError::io(path))?);
        Ok((Self { path: path.to_owned(), queue: Some(queue), writer, head: shared, thread }, torn))
    }

    /// Records an entry; durable on return.
    ///
    /// # Errors
    /// When it could not be made durable. The caller must then not do what the entry says.
    pub async fn record(&self, entry: Entry) -> Result<Recorded, AuditError> {
        let queue = self.queue.as_ref().ok_or(AuditError::Closed)?;
        if let Some(outcome) = self.write_alone(&entry) {
            return outcome;
        }
        let (done, answer) = oneshot::channel();
        queue.send(Job { entry, done }).await.map_err(|_| AuditError::Closed)?;
        answer.await.map_err(|_| AuditError::Closed)?
    }

    /// Writes the entry here and now, unless somebody else is writing or the disk is slow.
    fn write_alone(&self, entry: &Entry) -> Option<Result<Recorded, AuditError>> {
        let mut writer = match self.writer.try_lock() {
            Ok(writer) => writer,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        if writer.prompt { writer.write_batch(std::iter::once(entry)).pop() } else { None }
    }

    /// The last `count` lines that are durable, oldest first, as they stand in the file; fewer when they are long.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn last(&self, count: usize) -> Result<String, ChainError> {
        chain::last(&self.path, self.head().end, count)
    }

    /// The last entry that is durable.
    pub fn head(&self) -> Head {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has nothing left to write.
            drop(thread.join());
        }
    }
}

struct Writer {
    file: File,
    head: Head,
    shared: Arc<Mutex<Head>>,
    /// Set when the end of the file is not known any more; nothing is written after that.
    broken: Option<Arc<io::Error>>,
    /// Whether the last write took no longer than [`PROMPT`].
    prompt: bool,
}

/// What the thread does, until the log is closed.
fn write_waiting(writer: &Mutex<Writer>, mut waiting: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(BATCH);
    while waiting.blocking_recv_many(&mut jobs, BATCH) > 0 {
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        let outcomes = writer.write_batch(jobs.iter().map(|job| &job.entry));
        drop(writer);
        for (job, outcome) in jobs.drain(..).zip(outcomes) {
            // Whoever has stopped waiting does not need the answer.
            drop(job.done.send(outcome));
        }
    }
}

impl Writer {
    fn write_batch<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>) -> Vec<Result<Recorded, AuditError>> {
        let (mut head, mut bytes) = (self.head, Vec::new());
        let mut outcomes: Vec<_> = entries.map(|entry| append(&mut head, &mut bytes, entry)).collect();
        if let Err(error) = self.write_durably(&bytes) {
            outcomes.fill(Err(AuditError::Write(error)));
            return outcomes;
        }
        self.head = head;
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = head;
        outcomes
    }

    fn write_durably(&mut self, bytes: &[u8]) -> Result<(), Arc<io::Error>> {
        if let Some(error) = &self.broken {
            return Err(Arc::clone(error));
        }
        // The file was opened so that a write returns when it is durable.
        let begun = Instant::now();
        let written = self.file.write_all(bytes);
        self.prompt = begun.elapsed() <= PROMPT;
        let error = match written {
            Ok(()) => return Ok(()),
            Err(error) => Arc::new(error),
        };
        tracing::error!(%error, "the audit log cannot be written");
        // Half a batch may be in the file. It was acknowledged to nobody, so it is taken back; where even that fails, the log stays shut.
        if self.file.set_len(self.head.end).and_then(|()| self.file.sync_data()).is_err() {
            self.broken = Some(Arc::clone(&error));
        }
        Err(error)
    }
}

/// A line as it is written.
#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    seq: u64,
    prev: Digest<32>,
    #[serde(flatten)]
    entry: &'a Entry,
}

/// Appends the line of `entry` to `bytes`, unless it is too long for one.
fn append(head: &mut Head, bytes: &mut Vec<u8>, entry: &Entry) -> Result<Recorded, AuditError> {
    let seq = head.seq.saturating_add(1);
    let line = serde_json::to_vec(&Line { v: FORMAT, seq, prev: head.sha256, entry });
    let line = line.map_err(|error| AuditError::Write(Arc::new(error.into())))?;
    if line.len() > MAX_LINE {
        return Err(AuditError::TooLong(line.len()));
    }
    *head = head.after(&line);
    bytes.extend_from_slice(&line);
    bytes.push(b'\n');
    Ok(Recorded { seq })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Decided, Event, Summary, verify};
    use sealwright_wire::time::UnixTime;

    fn entry(n: u64) -> Entry {
        let mut entry = Entry::new(UnixTime(1_000 + n), Event::Attest, Decided::No);
        entry.resource = Some(format!("repo/type/{n}"));
        entry
    }

    /// A log of `count` entries in a folder of its own, and its head.
    async fn log_of(count: u64) -> (tempfile::TempDir, PathBuf, Head) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let (audit, torn) = Audit::open(&path, Head::START).unwrap();
        assert_eq!(torn, 0);
        for n in 1..=count {
            assert_eq!(audit.record(entry(n)).await.unwrap(), Recorded { seq: n });
        }
        let head = audit.head();
        (folder, path, head)
    }

    #[tokio::test]
    async fn entries_are_numbered_chained_and_found_again() {
        let (_folder, path, head) = log_of(3).await;
        assert_eq!(verify(&path).unwrap(), Summary { first: 1, prev: Digest::ZERO, head, torn: 0 });
        let (audit, _) = Audit::open(&path, head).unwrap();
        assert_eq!(audit.record(entry(4)).await.unwrap().seq, 4);
        drop(audit);
        assert_eq!(verify(&path).unwrap().head.seq, 4);
    }

    #[tokio::test]
    async fn the_last_lines_can_be_read_while_it_is_open() {
        let (_folder, path, head) = log_of(5).await;
        let (audit, _) = Audit::open(&path, head).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        let last = |count| audit.last(count).unwrap();
        assert_eq!(last(100), whole);
        assert_eq!(last(2), whole.split_inclusive('\n').skip(3).collect::<String>());
        assert_eq!(last(0), "");
    }

    #[tokio::test]
    async fn entries_behind_the_known_head_are_kept() {
        let (_folder, path, head) = log_of(3).await;
        let (audit, _) = Audit::open(&path, Head::START).unwrap();
        assert_eq!(audit.head(), head);
    }

    #[tokio::test]
    async fn a_torn_line_is_cut_off_and_said() {
        let (_folder, path, head) = log_of(2).await;
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"v\":1,\"seq\":3,\"pr").unwrap();
        assert_eq!(verify(&path).unwrap().torn, 18);
        let (audit, torn) = Audit::open(&path, head).unwrap();
        assert_eq!((audit.head(), torn), (head, 18));
        assert_eq!(audit.record(entry(3)).await.unwrap().seq, 3);
        drop(audit);
        assert_eq!(verify(&path).unwrap().head.seq, 3);
    }

    #[tokio::test]
    async fn what_is_behind_the_last_line_is_a_no_unless_the_next_line_could_begin_so() {
        let (_folder, path, head) = log_of(2).await;
        let whole = std::fs::read(&path).unwrap();
        let next = format!(r#"{{"v":1,"seq":3,"prev":"{}","at":1"#, head.sha256);
        for cut in 0..next.len() {
            std::fs::write(&path, [&whole[..], &next.as_bytes()[..cut]].concat()).unwrap();
            assert_eq!(verify(&path).unwrap().torn, cut as u64);
            if cut > 0 {
                let mut other = next.as_bytes()[..cut].to_vec();
                other[cut.min(88) - 1] ^= 1;
                std::fs::write(&path, [&whole[..], &other].concat()).unwrap();
                let error = verify(&path).unwrap_err();
                assert!(
                    matches!(error, ChainError::Torn { offset, seq: 3, .. } if offset == head.end),
                    "{cut}: {error}"
                );
            }
        }
        // The place of another line, and bytes that are none.
        for other in [r#"{"v":1,"seq":4,"#, r#"{"v":2"#, "\0\0\0\0", " "] {
            std::fs::write(&path, [&whole[..], other.as_bytes()].concat()).unwrap();
            assert_eq!(verify(&path).unwrap_err().code(), Some("audit-log-torn"), "{other:?}");
        }
    }

    #[tokio::test]
    async fn a_file_without_a_whole_line_is_no_log() {
        let (_folder, path, _) = log_of(1).await;
        let line = std::fs::read(&path).unwrap();
        for bytes in [&b""[..], b"\x80random", &line[..line.len() - 1]] {
            std::fs::write(&path, bytes).unwrap();
            let error = verify(&path).unwrap_err();
            assert!(matches!(error, ChainError::Empty { bytes: length } if length == bytes.len() as u64), "{error}");
        }
        assert_eq!(verify(Path::new("/dev/null")).unwrap_err().code(), Some("audit-log-empty"));
    }

    #[tokio::test]
    async fn a_moved_away_log_goes_on_in_a_new_file() {
        let (_folder, path, head) = log_of(2).await;
        std::fs::rename(&path, path.with_extension("old")).unwrap();
        let (audit, _) = Audit::open(&path, head).unwrap();
        audit.record(entry(3)).await.unwrap();
        drop(audit);
        let summary = verify(&path).unwrap();
        assert_eq!((summary.first, summary.prev, summary.head.seq), (3, head.sha256, 3));
    }

    /// After the log was moved away, a broker may be killed before it has noted the beginning of the new one, even in the middle of it.
    #[tokio::test]
    async fn a_new_file_that_nobody_noted_goes_on_where_it_ends() {
        for (known, then) in [(1, 1), (1, 3), (30, 1), (30, 2)] {
            let (_folder, path, head) = log_of(known).await;
            std::fs::rename(&path, path.with_extension("old")).unwrap();
            let (audit, _) = Audit::open(&path, head).unwrap();
            for n in 1..=then {
                let mut entry = entry(known + n);
                entry.headline = "longer than the file before".repeat(20);
                audit.record(entry).await.unwrap();
            }
            drop(audit);
            let (audit, torn) = Audit::open(&path, head).unwrap();
            assert_eq!((audit.record(entry(0)).await.unwrap().seq, torn), (known + then + 1, 0));
            drop(audit);
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            file.set_len(40).unwrap();
            let (audit, torn) = Audit::open(&path, head).unwrap();
            assert_eq!((audit.record(entry(0)).await.unwrap().seq, torn), (known + 1, 40));
        }
    }

    /// What begins elsewhere is no new file: here the entry right behind the known one is missing.
    #[tokio::test]
    async fn a_new_file_that_does_not_go_on_behind_the_known_entry_is_refused() {
        let (_folder, path, head) = log_of(30).await;
        std::fs::rename(&path, path.with_extension("old")).unwrap();
        let (audit, _) = Audit::open(&path, head).unwrap();
        audit.record(entry(31)).await.unwrap();
        audit.record(entry(32)).await.unwrap();
        drop(audit);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.split_inclusive('\n').skip(1).collect::<String>()).unwrap();
        assert!(matches!(Audit::open(&path, head), Err(ChainError::Removed { .. })));
    }

    #[tokio::test]
    async fn removing_or_changing_any_line_shows() {
        let (_folder, path, head) = log_of(4).await;
        let lines: Vec<String> =
            std::fs::read_to_string(&path).unwrap().lines().map(|line| format!("{line}\n")).collect();
        for at in 0..lines.len() {
            let mut without = lines.clone();
            without.remove(at);
            std::fs::write(&path, without.concat()).unwrap();
            let last = at == lines.len() - 1;
            // Cutting the end leaves a chain that holds together; the head that is kept elsewhere shows it.
            assert!(at == 0 || last || verify(&path).is_err(), "line {at} removed");
            assert!(Audit::open(&path, head).is_err(), "line {at} removed");
        }
        let whole = lines.concat().into_bytes();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            let same = verify(&path).is_ok_and(|summary| summary.head == head);
            assert!(!same, "byte {at} changed");
        }
        std::fs::write(&path, whole).unwrap();
        assert!(Audit::open(&path, head).is_ok());
    }

    #[tokio::test]
    async fn waiting_requests_share_one_batch_and_each_gets_its_own_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let audit = Arc::new(Audit::open(&path, Head::START).unwrap().0);
        let requests: Vec<_> = (0..200)
            .map(|n| {
                let audit = Arc::clone(&audit);
                tokio::spawn(async move { audit.record(entry(n)).await.unwrap().seq })
            })
            .collect();
        let mut numbers = Vec::new();
        for request in requests {
            numbers.push(request.await.unwrap());
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=200).collect::<Vec<_>>());
        assert_eq!(verify(&path).unwrap().head, audit.head());
    }

    #[tokio::test]
    async fn an_entry_that_fits_in_no_line_is_refused_and_breaks_nothing() {
        let (_folder, path, head) = log_of(1).await;
        let (audit, _) = Audit::open(&path, head).unwrap();
        let mut long = entry(2);
        long.headline = "x".repeat(MAX_LINE);
        assert!(matches!(audit.record(long).await, Err(AuditError::TooLong(_))));
        assert_eq!(audit.record(entry(2)).await.unwrap().seq, 2);
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_written_refuses() {
        let (audit, _) = Audit::open(Path::new("/dev/full"), Head::START).unwrap();
        assert!(matches!(audit.record(entry(1)).await, Err(AuditError::Write(_))));
        assert!(matches!(audit.record(entry(1)).await, Err(AuditError::Write(_))));
    }

    #[tokio::test]
    async fn a_slow_disk_is_left_to_the_thread_until_it_is_quick_again() {
        let (_folder, path, head) = log_of(1).await;
        let (audit, _) = Audit::open(&path, head).unwrap();
        audit.writer.lock().unwrap().prompt = false;
        assert!(audit.write_alone(&entry(2)).is_none());
        assert_eq!(audit.record(entry(2)).await.unwrap().seq, 2);
        audit.writer.lock().unwrap().prompt = true;
        assert_eq!(audit.write_alone(&entry(3)).unwrap().unwrap().seq, 3);
        assert_eq!(verify(&path).unwrap().head, audit.head());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_finds_somebody_writing_waits_for_the_thread() {
        let (_folder, path, head) = log_of(1).await;
        let audit = Arc::new(Audit::open(&path, head).unwrap().0);
        let writing = audit.writer.lock().unwrap();
        assert!(audit.write_alone(&entry(2)).is_none());
        let other = Arc::clone(&audit);
        let waiting = tokio::spawn(async move { other.record(entry(2)).await.unwrap().seq });
        drop(writing);
        assert_eq!(waiting.await.unwrap(), 2);
    }
}
