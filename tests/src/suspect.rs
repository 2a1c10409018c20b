//! A process that a rule is to find, or that looks much like one.

use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::{PATIENCE, until};

/// A running process, ended with all that it started when dropped.
pub struct Suspect(Child);

impl Suspect {
    /// Starts `program`, a copy of `sleep`, for longer than any test runs.
    pub fn sleeping(program: &Path) -> Self {
        let mut command = Command::new(program);
        command.arg("600");
        Self::start(command)
    }

    /// Starts anything else. Its standard input stays open and says nothing.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        Self(spawn(&mut command))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Ends it.
    pub fn end(self) {
        drop(self);
    }
}

impl Drop for Suspect {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.0.id().try_into().expect("pids are positive"));
        let _ended_already = killpg(group, Signal::SIGKILL);
        let _status = self.0.wait();
    }
}

/// Starts a program that may have just been written.
///
/// Another test that starts one at this moment holds the new file open between its fork and its exec, and a file that
/// somebody may write to cannot be run: then it is tried again.
pub(crate) fn spawn(command: &mut Command) -> Child {
    let spawned = until(PATIENCE, || match command.spawn() {
        Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => None,
        other => Some(other),
    });
    let spawned = spawned.expect("nobody holds a program for long");
    spawned.unwrap_or_else(|error| panic!("cannot start {}: {error}", command.get_program().display()))
}
