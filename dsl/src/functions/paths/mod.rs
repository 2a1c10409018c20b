//! Functions of paths: of their letters, never of a disk.

mod basename;
mod dirname;
mod extension;
mod path_contains;
mod path_normalize;

use super::Group;

pub(super) static PATHS: Group = Group {
    title: "Paths",
    doc: "Paths of Unix, taken apart by their letters: no disk is read and no link followed. Letters compare exactly.",
    functions: &[
        &basename::BASENAME,
        &dirname::DIRNAME,
        &extension::EXTENSION,
        &path_contains::PATH_CONTAINS,
        &path_normalize::PATH_NORMALIZE,
    ],
};

/// The shortest path that leads to the same place when no component is a link.
fn normalized(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => {
                parts.pop();
            }
            // There is nothing above the root.
            ("..", None) if absolute => {}
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::normalized;

    proptest! {
        #[test]
        fn a_normal_path_stays(path in "(/|[ab.]|\\.\\.){0,12}") {
            let once = normalized(&path);
            prop_assert_eq!(normalized(&once), once.clone());
            prop_assert!(once.starts_with('/') == path.starts_with('/'));
            prop_assert!(!once.contains("//") && !once.contains("/./"));
        }
    }
}
