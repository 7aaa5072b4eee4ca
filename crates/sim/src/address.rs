//! Where a socket is, whatever the length of its path.

use std::{
    fs::File,
    io,
    os::{
        fd::AsRawFd,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

/// A path to a socket that fits into the 108 bytes of a Unix socket's address. A longer one is taken by the way of its open folder.
pub(crate) struct Address {
    path: PathBuf,
    /// Open as long as the path is used.
    _folder: Option<File>,
}

impl Address {
    /// # Errors
    /// When the folder cannot be opened, or the name alone is too long.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(Self { path: path.to_owned(), _folder: None });
        };
        if SocketAddr::from_pathname(path).is_ok() {
            return Ok(Self { path: path.to_owned(), _folder: None });
        }
        let folder = File::open(folder)?;
        let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
        SocketAddr::from_pathname(&path)?;
        Ok(Self { path, _folder: Some(folder) })
    }

    /// Listens there.
    ///
    /// # Errors
    /// As [`UnixListener::bind`].
    pub(crate) fn bind(&self) -> io::Result<UnixListener> {
        UnixListener::bind(&self.path)
    }
}

/// Connects to whoever listens on the socket at `path`.
///
/// # Errors
/// When nobody does.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    let address = Address::of(path)?;
    UnixStream::connect(&address.path)
}
