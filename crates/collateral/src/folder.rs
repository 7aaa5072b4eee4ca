//! Reading a folder that others write.

use crate::Error;
use rustix::fs::OFlags;
use std::{
    fs::{self, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// The names of a folder's files with this ending, sorted. Names that begin with a dot are passed over.
pub(crate) fn files(folder: &Path, ending: &str, most: usize) -> Result<Vec<String>, Error> {
    let unreadable = |source| Error::Folder { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        if !name.ends_with(ending) || name.starts_with('.') {
            continue;
        }
        if names.len() == most {
            return Err(Error::TooMany { path: folder.to_owned(), most });
        }
        names.push(name);
    }
    names.sort_unstable();
    Ok(names)
}

/// The file's bytes, one more than `most` at most. A pipe of that name is not waited for, and with it every look at the folder.
pub(crate) fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let at_once = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(at_once).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let mut bytes = Vec::new();
    file.take((most as u64).saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}
