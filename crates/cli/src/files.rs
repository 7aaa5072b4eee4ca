//! Reading and writing files, with the path in every error and a limit on every read.

use anyhow::{Context, Result, bail};
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Write};
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

/// A file that gets its name once it is whole. Until then it lies beside its place, readable by its owner alone, and is
/// removed when this is dropped.
pub(crate) struct Pending {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl Pending {
    /// An empty file beside `path`.
    pub(crate) fn beside(path: &Path) -> Result<Self> {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = NamedTempFile::new_in(dir).with_context(|| format!("cannot create a file in {}", dir.display()))?;
        Ok(Self { file: BufWriter::new(file), path: path.to_owned() })
    }

    /// What writes into it.
    pub(crate) const fn writer(&mut self) -> &mut impl Write {
        &mut self.file
    }

    /// Gives it its name, in place of a file that has it.
    pub(crate) fn replace(self) -> Result<()> {
        let (file, path) = self.written()?;
        file.persist(&path).with_context(|| format!("cannot replace {}", path.display()))?;
        Ok(())
    }

    /// Gives it its name, which no other file may have.
    pub(crate) fn create(self) -> Result<()> {
        let (file, path) = self.written()?;
        file.persist_noclobber(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(())
    }

    fn written(self) -> Result<(NamedTempFile, PathBuf)> {
        let Self { file, path } = self;
        let cannot = || format!("cannot write {}", path.display());
        let file = file.into_inner().map_err(|error| error.into_error()).with_context(cannot)?;
        file.as_file().sync_all().with_context(cannot)?;
        Ok((file, path))
    }
}
