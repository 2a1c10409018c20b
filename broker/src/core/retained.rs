//! The last retained message of each topic.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::parcel::Entry;
use crate::topic::{Pattern, Topic};

/// Topics that have a retained message.
const TOPICS_LEN_MAX: usize = 4096;
/// Bytes of all retained messages.
const BYTES_MAX: usize = 16 << 20;

/// The retained messages, by topic.
#[derive(Debug, Default)]
pub(super) struct Retained {
    entries: BTreeMap<Bytes, Entry>,
    bytes: usize,
}

impl Retained {
    /// Keeps a message in place of the last of its topic; false where there is no room. An empty one is kept for
    /// nobody: it only removes the last.
    pub(super) fn keep(&mut self, entry: &Entry) -> bool {
        if let Some(last) = self.entries.remove(&entry.topic) {
            self.bytes -= last.cost();
        }
        if entry.payload.is_empty() {
            return true;
        }
        if self.entries.len() >= TOPICS_LEN_MAX || self.bytes + entry.cost() > BYTES_MAX {
            return false;
        }
        let copy = Entry {
            topic: Bytes::copy_from_slice(&entry.topic),
            payload: Bytes::copy_from_slice(&entry.payload),
            request: 0,
            retain: true,
        };
        self.bytes += copy.cost();
        self.entries.insert(copy.topic.clone(), copy);
        true
    }

    /// Those that a pattern matches, by topic.
    pub(super) fn matching(&self, pattern: &Pattern) -> Vec<Entry> {
        let matches = |entry: &&Entry| {
            let topic = std::str::from_utf8(&entry.topic).ok().and_then(|topic| Topic::parse(topic).ok());
            topic.is_some_and(|topic| pattern.matches(&topic))
        };
        self.entries.values().filter(matches).cloned().collect()
    }
}
