//! A Unix socket of mode 0600 that answers messages, a thread per connection, and leaves nothing behind.

use crate::{
    Error,
    address::{Address, connect},
    protocol::{IDLE, MAX_CONNECTIONS, MAX_REQUEST, Refusal, Reply, read_message, write_message},
};
use std::{
    collections::HashMap,
    fs::{self, DirBuilder},
    io::ErrorKind,
    net::Shutdown,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How long a reply may take to be read by a client.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the end of a listener waits for replies that are being written.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause after the system refused a connection, for example for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What answers a message with a message.
pub(crate) type Handler = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// An open socket. Dropping it ends its connections and removes its file.
pub(crate) struct Listener {
    path: PathBuf,
    /// Device and inode of the socket's file, so that another's is never removed.
    file: (u64, u64),
    socket: UnixStream,
    closing: Arc<AtomicBool>,
    connections: Arc<Connections>,
    accepting: Option<JoinHandle<()>>,
}

impl Listener {
    /// Opens a socket at `path` and answers its messages with `handler`.
    pub(crate) fn open(path: &Path, handler: Handler) -> Result<Self, Error> {
        make_way(path)?;
        let listener = bind(path)?;
        let metadata = fs::symlink_metadata(path).map_err(Error::io("look at", path))?;
        let duplicate = listener.try_clone().map_err(Error::io("listen on", path))?;
        let connections = Arc::new(Connections::default());
        let closing = Arc::new(AtomicBool::new(false));
        let accepting = {
            let (connections, closing) = (Arc::clone(&connections), Arc::clone(&closing));
            thread::spawn(move || accept(&listener, &handler, &connections, &closing))
        };
        Ok(Self {
            path: path.to_owned(),
            file: (metadata.dev(), metadata.ino()),
            // The standard library can shut down streams alone; for the system both are sockets.
            socket: UnixStream::from(OwnedFd::from(duplicate)),
            closing,
            connections,
            accepting: Some(accepting),
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        let same = |metadata: fs::Metadata| (metadata.dev(), metadata.ino()) == self.file;
        let ours = fs::symlink_metadata(&self.path).is_ok_and(same);
        // Errors here mean that the socket, the file or the thread is gone already, which is what is wanted. Linux wakes the
        // waiting thread at the shutdown; other systems need a connection.
        let _ = self.socket.shutdown(Shutdown::Both);
        if ours {
            let _ = connect(&self.path);
            let _ = fs::remove_file(&self.path);
        }
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        self.connections.end();
    }
}

/// Removes a socket on which nobody listens; anything else at `path` stays and is an error.
fn make_way(path: &Path) -> Result<(), Error> {
    // A name that is too long could be made by a detour, and nobody could connect to it.
    Address::of(path).map_err(Error::io("listen on", path))?;
    let taken = |by| Err(Error::SocketTaken { path: path.to_owned(), by });
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("look at", path)(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => return taken("a file that is no socket"),
        Ok(_) => {}
    }
    match connect(path) {
        Ok(_) => taken("a process that listens on it"),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(Error::io("remove the dead socket", path))
        }
        Err(error) => Err(Error::io("connect to", path)(error)),
    }
}

/// Binds in a directory that only we can enter, then moves the socket to its place: there is no moment at which others could
/// connect.
fn bind(path: &Path) -> Result<UnixListener, Error> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let antechamber = parent.join(format!(".sw{}.{number}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&antechamber).map_err(Error::io("make directory", &antechamber))?;
    let place = antechamber.join("s");
    let bind = || {
        let listener = Address::of(&place)?.bind()?;
        fs::set_permissions(&place, fs::Permissions::from_mode(0o600))?;
        fs::rename(&place, path)?;
        Ok(listener)
    };
    let bound = bind().map_err(Error::io("listen on", path));
    let _ = fs::remove_file(&place);
    let _ = fs::remove_dir(&antechamber);
    bound
}

fn accept(listener: &UnixListener, handler: &Handler, connections: &Arc<Connections>, closing: &AtomicBool) {
    loop {
        let accepted = listener.accept();
        if closing.load(Ordering::SeqCst) {
            return;
        }
        match accepted {
            Ok((stream, _)) => begin(stream, handler, connections),
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
}

/// Serves a connection on a thread of its own, or tells it that there are too many.
fn begin(mut stream: UnixStream, handler: &Handler, connections: &Arc<Connections>) {
    let limits = stream.set_read_timeout(Some(IDLE)).and_then(|()| stream.set_write_timeout(Some(WRITE_TIMEOUT)));
    let Ok(duplicate) = limits.and_then(|()| stream.try_clone()) else { return };
    let Some(registered) = connections.register(duplicate) else {
        let _ = write_message(&mut stream, &refusal("busy", "too many connections: try again later"));
        return;
    };
    let handler = Arc::clone(handler);
    let spawned = thread::Builder::new().spawn(move || {
        let _registered = registered;
        serve(&mut stream, &handler);
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "could not start a thread for a connection");
    }
}

fn serve(stream: &mut UnixStream, handler: &Handler) {
    loop {
        let answer = match read_message(stream, MAX_REQUEST) {
            Ok(Some(request)) => handler(&request),
            Ok(None) => return,
            Err(error) => {
                // The place of the next message is not known, so this is the last word.
                let _ = write_message(stream, &refusal(error.code(), &error.to_string()));
                return;
            }
        };
        if write_message(stream, &answer).is_err() {
            return;
        }
    }
}

fn refusal(code: &str, message: &str) -> Vec<u8> {
    let refusal = Refusal { code: code.to_owned(), message: message.to_owned() };
    serde_json::to_vec(&Reply::<()>::Error(refusal)).unwrap_or_default()
}

/// The connections that are being served.
#[derive(Default)]
struct Connections {
    open: Mutex<HashMap<u64, UnixStream>>,
    next: AtomicU64,
    gone: Condvar,
}

/// A place among the connections, given up when it is dropped.
struct Registered {
    connections: Arc<Connections>,
    number: u64,
}

impl Connections {
    fn register(self: &Arc<Self>, stream: UnixStream) -> Option<Registered> {
        let mut open = self.lock();
        if open.len() >= MAX_CONNECTIONS {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        open.insert(number, stream);
        Some(Registered { connections: Arc::clone(self), number })
    }

    /// Ends all connections; replies that are being written get through.
    fn end(&self) {
        let open = self.lock();
        for stream in open.values() {
            let _ = stream.shutdown(Shutdown::Read);
        }
        let waited = self.gone.wait_timeout_while(open, CLOSE_TIMEOUT, |open| !open.is_empty());
        let (open, _) = waited.unwrap_or_else(PoisonError::into_inner);
        for stream in open.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, UnixStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.number);
        self.connections.gone.notify_all();
    }
}
