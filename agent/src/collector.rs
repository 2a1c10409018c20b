//! The collector as a child: started, started again when it ends, and ended with the agent.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use daemoneye_broker::Backoff;
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// How long a collector may take to end by itself.
const END_TIME: Duration = Duration::from_secs(3);

/// The `procmond` beside the agent's own executable.
pub(crate) fn find() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find the agent's own executable")?;
    let path = own.with_file_name(format!("procmond{}", std::env::consts::EXE_SUFFIX));
    if !path.is_file() {
        bail!(
            "there is no procmond at {}: build it (cargo build --bins), or run it yourself and use --collector wait",
            path.display()
        );
    }
    Ok(path)
}

/// Keeps a collector running until `stop` says so. Its standard input is a pipe that the system closes with the agent,
/// however the agent ends; that is the collector's sign to end.
pub(crate) async fn keep(program: PathBuf, args: Vec<OsString>, mut stop: watch::Receiver<bool>) {
    let mut backoff = Backoff::default();
    loop {
        match start(&program, &args) {
            Ok(mut child) => {
                tracing::info!(pid = child.id(), program = %program.display(), "collector started");
                let began = tokio::time::Instant::now();
                // Waiting for a child closes its standard input, unless that is held apart.
                let input = child.stdin.take();
                tokio::select! {
                    ended = child.wait() => match ended {
                        Ok(status) => tracing::warn!(%status, "the collector ended; starting it again"),
                        Err(error) => tracing::error!(%error, "cannot wait for the collector"),
                    },
                    () = asked(&mut stop) => {
                        drop(input);
                        return end(child).await;
                    }
                }
                if began.elapsed() > Duration::from_mins(1) {
                    backoff.reset();
                }
            }
            Err(error) => tracing::error!(%error, program = %program.display(), "cannot start the collector"),
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next_delay()) => {}
            () = asked(&mut stop) => return,
        }
    }
}

/// Returns once `stop` is set, or nobody is left to set it.
async fn asked(stop: &mut watch::Receiver<bool>) {
    let _set_or_gone = stop.wait_for(|stop| *stop).await.is_ok();
}

fn start(program: &Path, args: &[OsString]) -> std::io::Result<Child> {
    Command::new(program)
        .args(args)
        .arg("--exit-with-stdin")
        // A snapshot is made of few large buffers: given back to the system at once, they halve the collector's memory.
        .env("MALLOC_MMAP_THRESHOLD_", "131072")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

async fn end(mut child: Child) {
    if tokio::time::timeout(END_TIME, child.wait()).await.is_err() {
        tracing::warn!(pid = child.id(), "the collector did not end in time and is killed");
        if let Err(error) = child.kill().await {
            tracing::error!(%error, "cannot kill the collector");
        }
    }
}
