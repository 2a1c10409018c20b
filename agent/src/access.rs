//! Who may connect to the agent: its broker with its key, and the group that is let in besides its user.

use std::path::Path;

use anyhow::Context;
use daemoneye_broker::{Broker, Gate, Key, Limits, Settings as BrokerSettings, tree};
use daemoneye_settings::Settings;
use daemoneye_settings::choices::Encryption;

/// Listens at the socket, with the key that lies beside it or where the settings say.
pub(crate) fn open(settings: &Settings, socket: &Path) -> anyhow::Result<Broker> {
    let path = settings.key_to(socket);
    let key = Key::load_or_create(&path)?;
    let group = settings.group.as_deref().map(|name| admit(name, &path, socket)).transpose()?;
    let gate = Gate::new(key, own_users());
    let gate = if group.is_some() { gate.open_to_group() } else { gate };
    let gate = if settings.encryption == Encryption::Required { gate.encrypted() } else { gate };
    let limits = Limits { messages_per_sec: Some(MESSAGES_PER_SEC), ..Limits::default() };
    Ok(Broker::bind(socket, BrokerSettings { gate, tree: tree::PRODUCT, limits, group })?)
}

/// What a collector or a person could want to say in a second, many times over.
const MESSAGES_PER_SEC: u32 = 10_000;

/// This user and root, where the system tells who connects.
fn own_users() -> Option<Vec<u32>> {
    #[cfg(unix)]
    let users = Some(vec![0, nix::unistd::geteuid().as_raw()]);
    #[cfg(not(unix))]
    let users = None;
    users
}

/// Lets a group read the key and pass through the folders of both; its number.
#[cfg(unix)]
fn admit(name: &str, key: &Path, socket: &Path) -> anyhow::Result<u32> {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let found = nix::unistd::Group::from_name(name).with_context(|| format!("cannot look for the group {name}"))?;
    let group =
        found.with_context(|| format!("there is no group {name}: make it, or set `group` to another"))?.gid.as_raw();
    let own = nix::unistd::geteuid().as_raw();
    let cannot = |path: &Path| format!("cannot let the group {name} use {}", path.display());
    chown(key, None, Some(group)).with_context(|| cannot(key))?;
    std::fs::set_permissions(key, Permissions::from_mode(0o640)).with_context(|| cannot(key))?;
    for folder in [key, socket].into_iter().filter_map(Path::parent) {
        let file = std::fs::metadata(folder).with_context(|| cannot(folder))?;
        // One that others share is theirs to open or close.
        if file.uid() == own && file.mode().trailing_zeros() >= 3 {
            chown(folder, None, Some(group)).with_context(|| cannot(folder))?;
            let mode = file.mode() & 0o7700 | 0o010;
            std::fs::set_permissions(folder, Permissions::from_mode(mode)).with_context(|| cannot(folder))?;
        }
    }
    Ok(group)
}

#[cfg(not(unix))]
fn admit(name: &str, _key: &Path, _socket: &Path) -> anyhow::Result<u32> {
    anyhow::bail!("`group` is {name}, and this system's sockets have no groups: leave it out")
}
