//! The lists beside the rules: `lists/NAME.txt` in a folder of rules, or in the one above it.

use std::path::{Path, PathBuf};

use daemoneye_dsl::limits::LIST_LEN_MAX;
use daemoneye_dsl::lists::{List, Lists};

use crate::paths::{Unreadable, read_text};

/// The name of the folder.
const FOLDER: &str = "lists";

/// The lists for the rules at `paths`, and what could not be read: that is said, and to rules it is a list that cannot
/// be used.
pub fn rule_lists(paths: &[PathBuf]) -> (Lists, Vec<Unreadable>) {
    let (mut lists, mut unreadable) = (Lists::default(), Vec::new());
    for folder in folders(paths) {
        let files = match files(&folder) {
            Ok(files) => files,
            Err(error) => {
                unreadable.push(Unreadable::new(&folder, error));
                continue;
            }
        };
        for path in files {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = read_text(&path, LIST_LEN_MAX).map_err(|error| error.to_string());
            let list = text.and_then(|text| List::parse(&name, &text));
            let why = list.as_ref().err().cloned();
            let fits = lists.add(&name, list);
            let why = if fits { why } else { Some("there are more lists than can be had; remove some".to_owned()) };
            unreadable.extend(why.map(|why| Unreadable::new(&path, std::io::Error::other(why))));
        }
    }
    (lists, unreadable)
}

/// The files that lists for the rules at `paths` come from. A folder that cannot be read stands for what is in it.
pub fn list_files(paths: &[PathBuf]) -> Vec<PathBuf> {
    folders(paths).into_iter().flat_map(|folder| files(&folder).unwrap_or_else(|_| vec![folder])).collect()
}

fn folders(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut folders: Vec<_> = paths.iter().filter_map(|path| folder(path)).collect();
    folders.sort();
    folders.dedup();
    folders
}

/// The nearest folder of lists: where the rule file or folder is, else one above.
fn folder(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let start = usize::from(!path.is_dir());
    let nearest = path.ancestors().skip(start).take(2).map(|folder| folder.join(FOLDER)).find(|it| it.is_dir())?;
    // Two ways to one folder are one.
    Some(nearest.canonicalize().unwrap_or(nearest))
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_nearest_folder_counts_and_what_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs::create_dir_all(at("rules/execution")).unwrap();
        fs::create_dir_all(at("rules/lists")).unwrap();
        fs::write(at("rules/lists/web.txt"), "nginx\n").unwrap();
        fs::write(at("rules/lists/bad.txt"), b"\xff\n").unwrap();
        fs::write(at("rules/lists/readme.md"), "no list").unwrap();
        fs::write(at("rules/execution/x.sql"), "SELECT 1").unwrap();
        for paths in [&["rules"][..], &["rules/execution"], &["rules/execution/x.sql"], &["rules", "rules/execution"]] {
            let paths: Vec<_> = paths.iter().map(|path| at(path)).collect();
            let (lists, unreadable) = rule_lists(&paths);
            assert_eq!(lists.names().collect::<Vec<_>>(), ["bad", "web"], "{paths:?}");
            assert_eq!(lists.get("web").unwrap().values, ["nginx"]);
            assert!(lists.get("bad").is_err());
            assert!(unreadable.len() == 1 && unreadable[0].to_string().contains("bad.txt"), "{unreadable:?}");
        }
        let (none, unreadable) = rule_lists(&[at("nowhere/x.sql")]);
        assert!(none.names().next().is_none() && unreadable.is_empty());
    }
}
