//! Why: the layers hold only while something holds them. The graph of our crates is the one that was decided, one crate
//! alone names the database, and the language and the planner stay functions of what they are given.

#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use daemoneye_tests::project;
use serde_json::Value;

/// What each crate may depend on, and does unless it is said to be an upper bound.
const LAYERS: [(&str, &[&str]); 8] = [
    ("dsl", &[]),
    ("broker", &[]),
    ("storage", &["dsl"]),
    ("planner", &["dsl", "storage"]),
    ("settings", &["dsl"]),
    ("collectors", &["broker", "dsl", "settings"]),
    ("agent", &["broker", "dsl", "planner", "settings", "storage"]),
    ("cli", &["broker", "collectors", "dsl", "planner", "settings", "storage"]),
];
/// The client of many parts takes them up one by one.
const UPPER_BOUND: &str = "cli";
/// The crates that see time and rows only as arguments.
const PURE: [&str; 2] = ["dsl", "planner"];
/// Ways to a clock, a file, a socket, another process or the environment.
const IMPURE: [&str; 8] =
    ["std::fs", "std::env", "std::net", "std::os", "std::process", "std::thread::sleep", "SystemTime", "Instant::now"];

/// The normal dependencies of every package of the workspace, by its name without our prefix.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--no-deps", "--format-version", "1", "--offline"];
    let output = Command::new(cargo).args(arguments).current_dir(project()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages.map(|package| (short(&package["name"]), normal(package))).collect()
}

fn normal(package: &Value) -> BTreeSet<String> {
    let all = package["dependencies"].as_array().unwrap().iter();
    all.filter(|dependency| dependency["kind"].is_null()).map(|dependency| short(&dependency["name"])).collect()
}

fn short(name: &Value) -> String {
    let name = name.as_str().unwrap();
    name.strip_prefix("daemoneye-").unwrap_or(name).to_owned()
}

#[test]
fn our_crates_depend_on_each_other_as_decided() {
    let found = dependencies();
    let ours: BTreeSet<_> = found.keys().cloned().collect();
    let outside_the_product = BTreeSet::from(["tests".to_owned(), "benches".to_owned()]);
    let decided: BTreeSet<_> = LAYERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(&ours - &outside_the_product, decided, "a new crate needs its place in the diagram");
    for (name, may) in LAYERS {
        let may: BTreeSet<_> = may.iter().map(|name| (*name).to_owned()).collect();
        let does = &found[name] & &ours;
        assert!(does.is_subset(&may), "{name} depends on {does:?}, and may on {may:?}");
        assert!(name == UPPER_BOUND || does == may, "{name} depends on {does:?} only; the diagram says {may:?}");
    }
}

#[test]
fn only_storage_names_the_database_and_only_the_edges_are_asynchronous() {
    for (name, dependencies) in dependencies() {
        assert_eq!(dependencies.contains("redb"), name == "storage", "{name}");
        let may_wait = ["broker", "collectors", "agent", "cli", "benches"].contains(&name.as_str());
        assert!(may_wait || !dependencies.contains("tokio"), "{name} depends on tokio");
    }
}

#[test]
fn the_language_and_the_planner_are_functions_of_what_they_are_given() {
    for name in PURE {
        let folder = project().join(name);
        let settings = fs::read_to_string(folder.join("clippy.toml")).unwrap();
        for needed in ["SystemTime::now", "Instant::now", "fs::File", "fs::read", "UnixStream", "TcpStream", "env::var"]
        {
            assert!(settings.contains(needed), "{name}/clippy.toml does not disallow {needed}");
        }
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{name} has lints of its own");
        for path in sources(&folder.join("src")) {
            let text = fs::read_to_string(&path).unwrap();
            let product = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            for way in IMPURE {
                assert!(!product.contains(way), "{} names {way}", path.display());
            }
            assert!(!text.contains("allow(clippy::disallowed"), "{} lifts the ban", path.display());
        }
    }
    // The lints are warnings by default; this is what makes them a ban.
    let checked = fs::read_to_string(project().join(".ci/run")).unwrap();
    assert!(checked.contains("cargo clippy --workspace --all-targets --locked -- --deny warnings"));
}

/// The Rust files below a folder, those of its tests aside.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let below = folders.iter().filter(|path| !path.ends_with("tests")).flat_map(|path| sources(path));
    files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")).chain(below).collect()
}
