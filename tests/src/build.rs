//! The programs under test, built the way the test was.

use std::env::{current_exe, var_os};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The workspace.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace")
}

/// One of the workspace's programs, built once for each test executable.
pub fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(build).join(name)
}

/// Builds into the target directory that the running test is in, with its profile: `TARGET/debug/deps/main_job-…`.
fn build() -> PathBuf {
    let own = current_exe().expect("the test has a path");
    let folder = own.ancestors().nth(2).expect("cargo puts tests in TARGET/PROFILE/deps");
    let target = folder.parent().expect("cargo puts tests in TARGET/PROFILE/deps");
    let profile = match folder.file_name().and_then(|name| name.to_str()).expect("profiles have plain names") {
        "debug" => "dev",
        other => other,
    };
    let cargo = var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--workspace", "--bins", "--profile", profile, "--target-dir"]);
    let built = command.arg(target).current_dir(project()).output().expect("cargo can be run");
    assert!(built.status.success(), "the programs do not build:\n{}", String::from_utf8_lossy(&built.stderr));
    folder.to_owned()
}
