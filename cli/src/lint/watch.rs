//! `lint --watch`: the check again whenever a rule file has changed.
//!
//! Files are looked at, not listened to: that works on every file system and in every container, and a look at a
//! thousand files takes milliseconds.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use daemoneye_settings::Settings;
use daemoneye_settings::paths::rule_files;

use crate::screen::{Mark, Screen, draws_in_place};
use crate::{Ending, signals};

/// How long a change may wait to be seen.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// The whole screen, what was scrolled off it too, and back to its start.
const CLEAR: &[u8] = b"\x1b[2J\x1b[3J\x1b[H";

/// What changes when a file does.
type Stamp = Option<(SystemTime, u64)>;

pub(super) fn run(
    paths: &[PathBuf],
    settings: &Settings,
    screen: &Screen,
    once: impl Fn(&Screen) -> anyhow::Result<Ending>,
) -> anyhow::Result<Ending> {
    let _resized = signals::end_on_request(|| {})?;
    let paths = if paths.is_empty() { settings.rule_paths() } else { paths.to_vec() };
    let mut first = true;
    loop {
        // Looked at before they are read: what changes meanwhile is seen the next time.
        let seen = stamps(&paths);
        if draws_in_place() {
            io::stdout().write_all(CLEAR)?;
            io::stdout().flush()?;
        }
        match once(&screen.measured()) {
            Err(error) if first => return Err(error),
            // A file that an editor is just replacing, or the last one gone: the next change may bring it back.
            Err(error) => screen.say(Mark::Error, &format!("{error:#}")),
            Ok(_) => {}
        }
        if io::stderr().is_terminal() {
            screen.say(Mark::Note, "watching for changes; Ctrl-C ends");
        }
        first = false;
        while stamps(&paths) == seen {
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

fn stamps(paths: &[PathBuf]) -> BTreeMap<PathBuf, Stamp> {
    let stamp = |path: &Path| {
        let known = path.metadata().ok()?;
        Some((known.modified().unwrap_or(SystemTime::UNIX_EPOCH), known.len()))
    };
    rule_files(paths).into_iter().map(|path| (path.clone(), stamp(&path))).collect()
}
