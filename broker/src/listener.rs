//! Where a broker is found: the socket file, and the loop that accepts connections.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use interprocess::local_socket::tokio::{Listener, Stream, prelude::*};
use interprocess::local_socket::{ConnectOptions, ListenerOptions, Name};
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

use crate::broker::Shared;
use crate::error::Error;
use crate::gate::Peer;
use crate::message::{Code, Fault, Message};

/// Bytes of a socket's path: `sun_path` less its terminating zero.
#[cfg(unix)]
const PATH_LEN_MAX: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

/// How long to wait for whoever may listen at a path already.
#[cfg(unix)]
const PROBE_SECS: u64 = 1;
/// How long to wait after the system refused to accept, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who the system lets open the socket besides its user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    /// Members of this group.
    pub(crate) group: Option<u32>,
}

/// Listens at `path`. A socket file that nobody listens at is replaced. (Two brokers that start at the same moment
/// over such a file may both pass; what keeps two agents apart is the lock on their store.)
pub(crate) fn listen(path: &Path, access: Access) -> Result<Listener, Error> {
    let name = socket_name(path)?;
    remove_stale(path)?;
    let options = ListenerOptions::new().name(name);
    #[cfg(unix)]
    let options = interprocess::os::unix::local_socket::ListenerOptionsExt::mode(options, 0o600);
    let failed = |source| Error::Listen { path: path.to_owned(), source };
    let listener = options.create_tokio().map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => Error::InUse { path: path.to_owned() },
        _ => failed(source),
    })?;
    open_to_group(path, access).map_err(failed)?;
    Ok(listener)
}

/// The group first, then what it may: in between nobody has more than before.
#[cfg(unix)]
fn open_to_group(path: &Path, Access { group }: Access) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let Some(group) = group else { return Ok(()) };
    std::os::unix::fs::chown(path, None, Some(group))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))
}

/// Pipes have no groups: nobody is let in whom nobody meant.
#[cfg(windows)]
fn open_to_group(_path: &Path, Access { group }: Access) -> io::Result<()> {
    let refused = || io::Error::new(io::ErrorKind::Unsupported, "pipes have no groups; leave `group` out");
    group.map_or(Ok(()), |_| Err(refused()))
}

/// What the system says about the process at the other end.
pub(crate) fn peer(stream: &Stream) -> Peer {
    use interprocess::local_socket::traits::StreamCommon;
    let Ok(credentials) = stream.peer_creds() else { return Peer::default() };
    #[cfg(unix)]
    return Peer {
        uid: credentials.euid(),
        gid: credentials.egid(),
        pid: credentials.pid().and_then(|pid| u32::try_from(pid).ok()),
    };
    #[cfg(windows)]
    Peer { pid: credentials.pid(), ..Peer::default() }
}

/// Connects to whoever listens at `path`.
pub(crate) async fn connect(path: &Path) -> Result<Stream, Error> {
    let options = ConnectOptions::new().name(socket_name(path)?);
    let failed = |source| Error::Connect { path: path.to_owned(), source };
    options.connect_tokio().await.map_err(failed)
}

#[cfg(unix)]
fn socket_name(path: &Path) -> Result<Name<'_>, Error> {
    use interprocess::local_socket::{GenericFilePath, ToFsName};
    let len = path.as_os_str().len();
    if len > PATH_LEN_MAX {
        return Err(Error::PathTooLong { path: path.to_owned(), len, max: PATH_LEN_MAX });
    }
    path.to_fs_name::<GenericFilePath>().map_err(|error| unnameable(path, &error))
}

/// Windows keeps pipes in a name space of their own: the last component of the path names the pipe.
#[cfg(windows)]
fn socket_name(path: &Path) -> Result<Name<'_>, Error> {
    use interprocess::local_socket::{GenericNamespaced, ToNsName};
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_ns_name::<GenericNamespaced>().map_err(|error| unnameable(path, &error))
}

fn unnameable(path: &Path, error: &io::Error) -> Error {
    Error::Invalid(format!("invalid socket path {}: {error}", path.display()))
}

#[cfg(unix)]
fn remove_stale(path: &Path) -> Result<(), Error> {
    use interprocess::local_socket::traits::Stream as _;
    use std::os::unix::fs::FileTypeExt;
    let failed = |source| Error::Listen { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(file) if !file.file_type().is_socket() => return Err(Error::NotASocket { path: path.to_owned() }),
        Ok(_) => {}
    }
    let wait = interprocess::ConnectWaitMode::Timeout(Duration::from_secs(PROBE_SECS));
    let probe = ConnectOptions::new().name(socket_name(path)?).wait_mode(wait);
    match interprocess::local_socket::Stream::from_options(&probe) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(failed),
        // Whoever is too busy to answer is alive.
        Ok(_) => Err(Error::InUse { path: path.to_owned() }),
        Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
            Err(Error::InUse { path: path.to_owned() })
        }
        Err(error) => Err(failed(error)),
    }
}

/// A pipe goes with the process that made it.
#[cfg(windows)]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
fn remove_stale(_path: &Path) -> Result<(), Error> {
    Ok(())
}

/// Accepts connections for as long as it is polled; the socket file goes when it is dropped.
pub(crate) async fn accept(listener: Listener, path: PathBuf, shared: Arc<Shared>) {
    let limit = shared.limits.connections_len;
    loop {
        match listener.accept().await {
            Ok(stream) if shared.outside_len() < limit => shared.admit(stream),
            Ok(stream) => {
                let reason = format!("{limit} connections already, try later");
                shared.refuse(peer(&stream), &reason);
                turn_away(&stream, reason).await;
            }
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn turn_away(mut stream: &Stream, reason: String) {
    tracing::warn!(reason, "a connection is turned away");
    let fault = Fault::new(Code::Busy, reason);
    let mut frame = BytesMut::new();
    Message::from(fault).encode(&mut frame);
    // A fresh socket has room for so little; whoever does not get it sees the connection close.
    let _unread = timeout(ACCEPT_PAUSE, stream.write_all(&frame)).await;
}
