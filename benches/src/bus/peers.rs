//! The servers that our broker is measured against, where they are installed.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::bus::child::{Running, wait_until};

/// A program of this name, in the folders where they are.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/bin")]);
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// Starts `nats-server` on a port of the loopback; none where it is not installed.
pub fn nats() -> anyhow::Result<Option<(Running, u16)>> {
    let Some(program) = find("nats-server") else { return Ok(None) };
    // Free now, and hardly taken by another in the moment that it takes.
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let running = Running::start(&program, &["-a", "127.0.0.1", "-p", &port.to_string()])?;
    wait_until("nats-server", || TcpStream::connect(("127.0.0.1", port)).is_ok())?;
    Ok(Some((running, port)))
}

/// Starts `redis-server` at a socket in this folder, keeping nothing; none where it is not installed.
pub fn redis(folder: &Path) -> anyhow::Result<Option<(Running, PathBuf)>> {
    let Some(program) = find("redis-server") else { return Ok(None) };
    let socket = folder.join("redis.sock");
    let text = socket.to_str().context("a folder whose name is no text")?;
    let folder = folder.to_str().context("a folder whose name is no text")?;
    let settings = ["--port", "0", "--unixsocket", text, "--save", "", "--appendonly", "no", "--dir", folder];
    let running = Running::start(&program, &settings)?;
    wait_until("redis-server", || std::os::unix::net::UnixStream::connect(&socket).is_ok())?;
    Ok(Some((running, socket)))
}
