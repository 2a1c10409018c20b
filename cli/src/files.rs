//! Where rules and statements come from: files, folders, standard input.

use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use anyhow::bail;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::limits::{Limits, TEXT};
use daemoneye_dsl::lists::Lists;
use daemoneye_settings::Settings;
use daemoneye_settings::lists::rule_lists;
use daemoneye_settings::paths::{Unreadable, rule_sources};

use crate::{failed, path_remedy};

/// Rule files and where they were found.
pub(crate) struct Found {
    /// What was searched, for people.
    pub(crate) place: String,
    /// The files, ordered by path.
    pub(crate) sources: Vec<Source>,
    /// Why others, and lists beside them, could not be read; together with `sources` at least one.
    pub(crate) unreadable: Vec<Unreadable>,
    /// The lists that they can ask for.
    pub(crate) lists: Lists,
    /// How large they may be.
    pub(crate) limits: Limits,
}

/// The rule files in `paths`, else where the settings say, else in the first of the usual places that there is.
pub(crate) fn rules(paths: &[PathBuf], settings: &Settings) -> anyhow::Result<Found> {
    let paths = if paths.is_empty() { settings.rule_paths() } else { paths.to_vec() };
    if paths.is_empty() {
        bail!("no rules found here; name a folder of them, or files that end in .sql");
    }
    // A path that was named has to be there, however many others are.
    for path in &paths {
        let unable = |error| failed(format!("cannot open {}", path.display()), &error, path_remedy(&error));
        path.metadata().map_err(unable)?;
    }
    let place = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    let (mut sources, mut unreadable) = (Vec::new(), Vec::new());
    let (lists, unreadable_lists) = rule_lists(&paths);
    for source in rule_sources(&paths) {
        match source {
            Ok(source) => sources.push(source),
            Err(error) => unreadable.push(error),
        }
    }
    if sources.is_empty() && unreadable.is_empty() {
        bail!("no rule in {place}; name a folder with files that end in .sql");
    }
    unreadable.extend(unreadable_lists);
    Ok(Found { place, sources, unreadable, lists, limits: settings.limits })
}

/// The lists beside the rules, for a statement that is typed by hand. One that cannot be read is an error where it is
/// asked for.
pub(crate) fn lists(paths: &[PathBuf], settings: &Settings) -> Lists {
    if paths.is_empty() { rule_lists(&settings.rule_paths()).0 } else { rule_lists(paths).0 }
}

/// The statement in the file at `path`; `-` is standard input.
pub(crate) fn statement(path: &Path) -> anyhow::Result<Source> {
    if path == Path::new("-") {
        if io::stdin().is_terminal() {
            bail!("standard input is a terminal; pipe the statement in, or give it as the argument");
        }
        let unable = |error| failed("cannot read the statement from standard input", &error, path_remedy(&error));
        let text = bounded(io::stdin().lock()).map_err(unable)?;
        return Ok(Source { path: "<stdin>".to_owned(), text });
    }
    let shown = path.display();
    let unable = |error| failed(format!("cannot open {shown}"), &error, path_remedy(&error));
    let text = std::fs::File::open(path).and_then(bounded).map_err(unable)?;
    Ok(Source { path: shown.to_string(), text })
}

/// The text, of which one character more than is allowed is read; the checker says that it is too long.
fn bounded(input: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    input.take(TEXT.max as u64 + 4).read_to_end(&mut bytes)?;
    let whole = bytes.len() <= TEXT.max;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) if !whole && error.utf8_error().error_len().is_none() => {
            Ok(String::from_utf8_lossy(error.as_bytes()).into_owned())
        }
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is not UTF-8 text from byte {at} on")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_rules_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let error = rules(&[dir.path().to_owned()], &Settings::default()).err().unwrap().to_string();
        assert!(error.contains(&*dir.path().to_string_lossy()) && error.contains(".sql"), "{error}");
    }

    #[test]
    fn text_is_bounded_and_utf8() {
        assert_eq!(bounded("SELECT 1".as_bytes()).unwrap(), "SELECT 1");
        assert!(bounded(io::repeat(b'x')).unwrap().len() > TEXT.max);
        assert!(bounded("é".repeat(TEXT.max).as_bytes()).unwrap().len() > TEXT.max);
        assert!(bounded(&b"SELECT \xff"[..]).unwrap_err().to_string().contains("byte 7"));
    }
}
