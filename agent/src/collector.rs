//! The collector as a child: started, started again when it ends, and ended with the agent.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use daemoneye_broker::{Backoff, Delivery, Door, Key, Role};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::audit::{self, Audit};
use crate::serve::now;

/// What the collector is called on record.
const NAME: &str = "procmond";
/// How long a collector may take to end by itself.
const END_TIME: Duration = Duration::from_secs(3);

/// Collectors that are remembered, whoever started them; of one that is forgotten the start is on record again.
const STRANGERS_MAX: usize = 64;

/// Collectors that were not started here.
#[derive(Default)]
pub(crate) struct Strangers {
    /// Those of which the start is on record: their process, and when it began.
    known: VecDeque<(Option<u32>, Option<String>)>,
}

impl Strangers {
    /// Puts on record, beside what goes on, which program reports, where that is the first time.
    pub(crate) fn note(&mut self, delivery: &Delivery, door: &Door, audit: &Audit) {
        let Some(publisher) = delivery.publisher().filter(|publisher| publisher.role == Role::Collector) else {
            return;
        };
        let pid = publisher.peer.pid;
        if pid.is_some_and(|pid| door.is_expected(pid)) {
            return;
        }
        let process = PathBuf::from(format!("/proc/{}", pid.unwrap_or(0)));
        let known = (pid, audit::began(&process));
        if self.known.contains(&known) {
            return;
        }
        if self.known.len() >= STRANGERS_MAX {
            self.known.pop_front();
        }
        self.known.push_back(known.clone());
        let (audit, at) = (audit.clone(), now());
        let (actor, name) = (audit::actor_of(delivery), publisher.name.clone());
        tokio::task::spawn_blocking(move || {
            let program = audit::stranger_program(&process, known.1.as_deref());
            for fact in audit::stranger(at, actor, &name, &program) {
                audit.note(fact);
            }
        });
    }
}

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

/// What a collector is told when it is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Orders {
    /// Its arguments.
    pub(crate) args: Vec<OsString>,
    /// What its environment has besides ours.
    pub(crate) variables: BTreeMap<String, String>,
}

/// Gives other orders, if they are others.
pub(crate) fn tell(orders: &watch::Sender<Option<Orders>>, new: Orders) {
    orders.send_if_modified(|told| {
        let differs = told.as_ref() != Some(&new);
        *told = Some(new);
        differs
    });
}

/// Keeps a collector running that has the latest orders, until there are none. Its standard input is a pipe by which it
/// gets the key that lets it in, and that the system closes with the agent, however the agent ends; that is the
/// collector's sign to end.
pub(crate) async fn keep(program: PathBuf, door: Door, mut told: watch::Receiver<Option<Orders>>, audit: Audit) {
    let mut backoff = Backoff::default();
    while let Some(orders) = latest(&mut told) {
        match start(&program, &orders) {
            Ok(mut child) => {
                tracing::info!(pid = child.id(), program = %program.display(), "collector started");
                let began = tokio::time::Instant::now();
                let pid = child.id();
                let noting = note_start(&audit, &program, pid);
                // Waiting for a child closes its standard input, unless that is held apart.
                let input = match let_in(&mut child, &door).await {
                    Ok(input) => Some(input),
                    Err(error) => {
                        tracing::error!("{error:#}");
                        None
                    }
                };
                tokio::select! {
                    ended = child.wait() => match ended {
                        Ok(status) => {
                            tracing::warn!(%status, "the collector ended; starting it again");
                            note_end(noting, &audit, pid, Err(&format!("by itself: {status}"))).await;
                        }
                        Err(error) => tracing::error!(%error, "cannot wait for the collector"),
                    },
                    () = others(&mut told, &orders) => {
                        drop(input);
                        let ended = end(child).await;
                        note_end(noting, &audit, pid, ended).await;
                        pid.inspect(|pid| door.forget(*pid));
                        backoff.reset();
                        continue;
                    }
                }
                pid.inspect(|pid| door.forget(*pid));
                if began.elapsed() > Duration::from_mins(1) {
                    backoff.reset();
                }
            }
            Err(error) => tracing::error!(%error, program = %program.display(), "cannot start the collector"),
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next_delay()) => {}
            () = others(&mut told, &orders) => {}
        }
    }
}

/// The latest orders; none where there are to be no more, or nobody is left to give them.
fn latest(told: &mut watch::Receiver<Option<Orders>>) -> Option<Orders> {
    told.has_changed().ok()?;
    told.borrow_and_update().clone()
}

/// Returns once there are other orders than these, or nobody is left to give them.
async fn others(told: &mut watch::Receiver<Option<Orders>>, orders: &Orders) {
    let _other_or_gone = told.wait_for(|latest| latest.as_ref() != Some(orders)).await.is_ok();
}

fn start(program: &Path, orders: &Orders) -> std::io::Result<Child> {
    Command::new(program)
        .args(&orders.args)
        .envs(&orders.variables)
        .args(["--exit-with-stdin", "--key", "-"])
        // A snapshot is made of few large buffers: given back to the system at once, they halve the collector's memory.
        .env("MALLOC_MMAP_THRESHOLD_", "131072")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

/// Gives a collector a key of its own; what keeps it alive while it is held.
async fn let_in(child: &mut Child, door: &Door) -> anyhow::Result<ChildStdin> {
    let key = Key::generate().context("cannot make a key for the collector")?;
    let (pid, input) = (child.id(), child.stdin.take());
    let (Some(pid), Some(mut input)) = (pid, input) else { bail!("the collector ended at once") };
    door.expect(pid, key.clone());
    let line = zeroize::Zeroizing::new(format!("{}\n", *key.to_text()));
    input.write_all(line.as_bytes()).await.context("cannot give the collector its key")?;
    Ok(input)
}

/// Puts on record which program runs, beside it: reading the file takes a while.
fn note_start(audit: &Audit, program: &Path, pid: Option<u32>) -> JoinHandle<()> {
    let process = pid.map_or_else(|| program.to_owned(), |pid| Path::new("/proc").join(pid.to_string()));
    let (audit, at) = (audit.clone(), now());
    tokio::task::spawn_blocking(move || {
        for fact in audit::started(at, NAME, pid, &audit::program(&process)) {
            audit.note(fact);
        }
    })
}

/// Puts on record how it ended, after its start.
async fn note_end(noting: JoinHandle<()>, audit: &Audit, pid: Option<u32>, ended: Result<(), &str>) {
    if noting.await.is_err() {
        tracing::error!(pid, "the start of the collector is not on record: its thread failed");
    }
    audit.note(audit::stopped(now(), NAME, pid, ended.is_ok(), ended.err().unwrap_or("it was told to")));
}

/// Lets a collector end whose standard input is closed; or says how it ended instead.
async fn end(mut child: Child) -> Result<(), &'static str> {
    if tokio::time::timeout(END_TIME, child.wait()).await.is_err() {
        tracing::warn!(pid = child.id(), "the collector did not end in time and is killed");
        if let Err(error) = child.kill().await {
            tracing::error!(%error, "cannot kill the collector");
        }
        return Err("it did not end in time and was killed");
    }
    Ok(())
}
