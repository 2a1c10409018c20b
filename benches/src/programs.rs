//! The programs as they ship, for benches that start them.

use std::path::PathBuf;
use std::process::{Child, Command};

use anyhow::{Context, ensure};

/// Builds what ships, and says where it is.
pub fn build() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let release = own.ancestors().nth(2).context("this program is in no target folder")?;
    let target = release.parent().context("this program is in no target folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--bins", "-p", "daemoneye-agent", "-p", "daemoneye-collectors"])
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    ensure!(built.success(), "cannot build the programs: {built}");
    Ok(target.join("release"))
}

/// A process of ours, killed with this value.
#[derive(Debug)]
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and is what is wanted.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
