//! Reading and writing files, with the path in every error and a limit on every read.

use anyhow::{Context, Result, bail};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file that is read bit by bit, whatever its length.
pub(crate) fn open(path: &Path) -> Result<BufReader<File>> {
    File::open(path).map(BufReader::new).with_context(|| format!("cannot open {}", path.display()))
}

/// A whole file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let shown = path.display();
    let mut bytes = Vec::new();
    open(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {shown}"))?;
    if u64::try_from(bytes.len())? > limit {
        bail!("{shown} is larger than {limit} bytes");
    }
    Ok(bytes)
}

/// Writes a file that must not be there yet; `mode` are its permissions.
pub(crate) fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let shown = path.display();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| format!("cannot create {shown}"))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).with_context(|| format!("cannot write {shown}"))
}

/// Writes a file, replacing an old one at once or not at all.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut pending = Pending::beside(path)?;
    pending.writer().write_all(bytes).with_context(|| format!("cannot write {}", path.display()))?;
    pending.replace()
}

/// A file for what anybody may see that gets its name once it is whole, in place of a file that has it. Until then it lies beside
/// its place under another name, and is removed when this is dropped; if the process is killed, it stays.
pub(crate) struct Pending {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl Pending {
    /// An empty file beside `path`.
    pub(crate) fn beside(path: &Path) -> Result<Self> {
        let dir = folder(path);
        let file = NamedTempFile::new_in(dir).with_context(|| format!("cannot create a file in {}", dir.display()))?;
        Ok(Self { file: BufWriter::new(file), path: path.to_owned() })
    }

    /// What writes into it.
    pub(crate) const fn writer(&mut self) -> &mut impl Write {
        &mut self.file
    }

    /// Gives it its name, in place of a file that has it.
    pub(crate) fn replace(self) -> Result<()> {
        let Self { file, path } = self;
        let cannot = || format!("cannot write {}", path.display());
        let file = file.into_inner().map_err(|error| error.into_error()).with_context(cannot)?;
        file.as_file().sync_all().with_context(cannot)?;
        file.persist(&path).with_context(|| format!("cannot replace {}", path.display()))?;
        Ok(())
    }
}

/// A file for what nobody else may see, which has no name until it is whole. However the process ends before that, the system
/// frees its bytes: there is nothing to clean up, and nobody who must.
pub(crate) struct Unnamed {
    file: BufWriter<File>,
    path: PathBuf,
}

impl Unnamed {
    /// An empty file in the folder of `path`, readable by its owner alone. On a file system that has no such files there is no other
    /// way: one with a name would stay where a kill leaves it.
    pub(crate) fn beside(path: &Path) -> Result<Self> {
        let dir = folder(path);
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR).with_context(|| format!("{}", dir.display()));
        let file = file.map_err(|error| match error.downcast_ref() {
            // What is refused is the kind of file; kernels that do not know it at all see a folder opened for writing.
            Some(&(Errno::OPNOTSUPP | Errno::ISDIR)) => error.context(
                "this file system has no files without a name, so an interrupted run could leave a part of the output behind; \
                 write to another one (ext4, XFS, Btrfs and tmpfs have them)",
            ),
            _ => error.context("cannot create a file"),
        });
        Ok(Self { file: BufWriter::new(File::from(file?)), path: path.to_owned() })
    }

    /// What writes into it.
    pub(crate) const fn writer(&mut self) -> &mut impl Write {
        &mut self.file
    }

    /// Gives it its name, which no other file may have.
    pub(crate) fn create(self) -> Result<()> {
        let Self { file, path } = self;
        let cannot = || format!("cannot write {}", path.display());
        let file = file.into_inner().map_err(|error| error.into_error()).with_context(cannot)?;
        file.sync_all().with_context(cannot)?;
        // By this path, because the call that takes the descriptor itself is for the privileged.
        let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
        linkat(CWD, unnamed, CWD, &path, AtFlags::SYMLINK_FOLLOW)
            .with_context(|| format!("cannot create {}", path.display()))
    }
}

/// The folder that a file is in.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_name_is_refused_where_there_are_none_and_says_what_to_do() {
        // Of the file systems that every machine has.
        let refused = Unnamed::beside(Path::new("/proc/opened")).err().unwrap();
        let text = format!("{refused:#}");
        // Whoever may not write there at all is told that.
        assert!(text.contains("write to another one") || text.contains("Permission denied"), "{text}");
        let missing = Unnamed::beside(Path::new("/no/such/folder/opened")).err().unwrap();
        assert!(format!("{missing:#}").contains("cannot create a file: /no/such/folder"), "{missing:#}");
    }
}
