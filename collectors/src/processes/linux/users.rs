//! Names of users, remembered for a while.

use std::collections::HashMap;

use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp};
use nix::unistd::{Uid, User};

/// How long a name is believed. Asking may go to a directory server, so not every snapshot does.
const BELIEVED: i64 = 300 * MICROS_PER_SEC;

/// The names of users met so far.
#[derive(Debug, Default)]
pub(super) struct Users {
    names: HashMap<u32, Option<String>>,
    since: Timestamp,
}

impl Users {
    /// Forgets everything once it is old (or the clock went back).
    pub(super) fn refresh(&mut self, now: Timestamp) {
        if !(0..BELIEVED).contains(&now.0.saturating_sub(self.since.0)) {
            self.names.clear();
            self.since = now;
        }
    }

    /// The name of this user, if the system knows one.
    pub(super) fn name(&mut self, uid: u32) -> Option<String> {
        let ask = || User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
        self.names.entry(uid).or_insert_with(ask).clone()
    }
}
