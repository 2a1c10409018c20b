//! Real processes to look at: started here, and stopped with this value.

use std::collections::VecDeque;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// Seconds after which they would end by themselves, if whoever started them was killed.
const LIFE_SECS: usize = 900;

/// Sleeping processes.
#[derive(Debug)]
pub struct Crowd {
    children: VecDeque<Child>,
    /// Ever started.
    started: usize,
}

impl Crowd {
    /// Starts that many. Command line and environment are of the usual length, whoever starts them.
    pub fn start(count: usize) -> anyhow::Result<Self> {
        let mut crowd = Self { children: VecDeque::with_capacity(count), started: 0 };
        (0..count).try_for_each(|_| crowd.grow())?;
        Ok(crowd)
    }

    fn grow(&mut self) -> anyhow::Result<()> {
        self.started += 1;
        // `sleep` takes any number of digits; these make each command line another one.
        let time = format!("{LIFE_SECS}.{:080}{:06}", 0, self.started);
        let child = Command::new("sleep").arg(time).env_clear().envs(environment()).stdin(Stdio::null()).spawn();
        self.children.push_back(child.with_context(|| format!("cannot start process {}", self.started))?);
        Ok(())
    }

    /// Ends the oldest and starts as many new ones.
    pub fn exchange(&mut self, count: usize) -> anyhow::Result<()> {
        for mut oldest in self.children.drain(..count.min(self.children.len())).collect::<Vec<_>>() {
            oldest.kill()?;
            oldest.wait()?;
            self.grow()?;
        }
        Ok(())
    }

    /// Their pids.
    pub fn pids(&self) -> impl Iterator<Item = u32> + '_ {
        self.children.iter().map(Child::id)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.children {
            // One that has ended cannot be killed, and is what is wanted.
            drop(child.kill());
        }
        for child in &mut self.children {
            drop(child.wait());
        }
    }
}

/// What a service manager gives its services, about 700 bytes.
fn environment() -> impl Iterator<Item = (&'static str, String)> {
    let usual = [
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("LANG", "C.UTF-8"),
        ("HOME", "/var/lib/service"),
        ("USER", "service"),
        ("LOGNAME", "service"),
        ("SHELL", "/usr/sbin/nologin"),
        ("INVOCATION_ID", "5f1d7a84db0f4d0ba4dfb6e0b0f5d1c2"),
        ("JOURNAL_STREAM", "8:48213"),
        ("RUNTIME_DIRECTORY", "/run/service"),
        ("STATE_DIRECTORY", "/var/lib/service"),
    ];
    let settings = (0..8).map(|_| "setting=value-of-some-length").collect::<Vec<_>>().join(",");
    usual.map(|(name, value)| (name, value.to_owned())).into_iter().chain([("SERVICE_OPTIONS", settings)])
}
