//! Files that are replaced as a whole.

use std::{
    fs::{File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};
use tempfile::Builder;

/// Replaces a file, durable on return: whenever the machine stops, the old one is there or the new one. Until then the new one's name begins with a
/// dot, and nobody looks at it.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut fresh = Builder::new().prefix(".new-").permissions(Permissions::from_mode(0o644)).tempfile_in(folder)?;
    fresh.write_all(bytes)?;
    fresh.as_file().sync_all()?;
    fresh.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}
