//! What was found damaged in this process, each part once, for whoever keeps the record.
//!
//! Of the process, as the log is: whoever meets a damaged part sets it aside and goes on, knowing neither why it was
//! read nor who should be told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// Parts that are remembered; damage beyond is in the log only.
const PARTS_MAX: usize = 1024;

/// Something that is damaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// What the log and errors call it.
    pub part: String,
    /// What is wrong with it.
    pub why: String,
}

#[derive(Default)]
struct Found {
    /// The parts, with what was wrong with each.
    known: HashMap<String, String>,
    untaken: VecDeque<Damage>,
}

static FOUND: Mutex<Option<Found>> = Mutex::new(None);

/// Remembers a part that was set aside; false where that was known, and why.
pub(crate) fn is_news(part: &str, why: &str) -> bool {
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    let Found { known, untaken } = found.get_or_insert_default();
    if known.get(part).is_some_and(|before| before == why) {
        return false;
    }
    if known.len() < PARTS_MAX {
        known.insert(part.to_owned(), why.to_owned());
        untaken.push_back(Damage { part: part.to_owned(), why: why.to_owned() });
    }
    true
}

/// What was found since this was last asked; the same part comes again only for another reason.
pub fn take_damage() -> Vec<Damage> {
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    found.as_mut().map(|found| found.untaken.drain(..).collect()).unwrap_or_default()
}
