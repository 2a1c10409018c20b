//! Which subscriptions get what is published under a topic.
//!
//! What was found for a topic is kept until a subscription comes or goes, in a bounded number of topics.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use crate::core::ConnectionId;
use crate::topic::{Pattern, TOPIC_LEN_MAX, Topic};
use crate::tree::{Role, Tree};

/// Topics whose routes are kept; with one more, all are found anew.
const ROUTES_LEN_MAX: usize = 4096;

/// One subscription: its connection, and the client's number for it.
pub(crate) type Target = (ConnectionId, u64);

/// Who gets what is published under one topic.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) topic: Topic,
    pub(crate) publishers: &'static [Role],
    /// Those that get each message.
    pub(crate) targets: Vec<Target>,
    /// Those of which one gets each message.
    pub(crate) groups: Vec<Vec<Target>>,
}

impl Route {
    /// Whether messages of both may travel in one parcel.
    pub(crate) fn goes_with(&self, other: &Self) -> bool {
        self.targets == other.targets && self.groups == other.groups && self.publishers == other.publishers
    }
}

/// Every subscription by what it asks for, and routes that were found.
#[derive(Debug)]
pub(crate) struct Routes {
    tree: Tree,
    interests: BTreeMap<Target, (Pattern, Option<Arc<str>>)>,
    found: HashMap<Bytes, Arc<Route>>,
}

impl Routes {
    pub(crate) fn new(tree: Tree) -> Self {
        Self { tree, interests: BTreeMap::new(), found: HashMap::new() }
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Members of a group are those who ask for the same pattern under its name, as in NATS.
    pub(crate) fn insert(&mut self, target: Target, pattern: Pattern, group: Option<Arc<str>>) {
        self.interests.insert(target, (pattern, group));
        self.found.clear();
    }

    pub(crate) fn remove(&mut self, target: Target) {
        self.interests.remove(&target);
        self.found.clear();
    }

    /// The members of a group.
    pub(crate) fn members(&self, pattern: &Pattern, group: &Arc<str>) -> impl Iterator<Item = Target> {
        let interests = self.interests.iter();
        let members = interests.filter(move |(_, (of, name))| of == pattern && name.as_ref() == Some(group));
        members.map(|(target, _)| *target)
    }

    /// The route of a topic, or what is wrong with it.
    pub(crate) fn find(&mut self, topic: &[u8]) -> Result<Arc<Route>, String> {
        if let Some(route) = self.found.get(topic) {
            return Ok(route.clone());
        }
        let text = std::str::from_utf8(topic).map_err(|_| {
            let begin = &topic[..topic.len().min(TOPIC_LEN_MAX)];
            format!("invalid topic \"{}\": not UTF-8", begin.escape_ascii())
        })?;
        let topic = Topic::parse(text).map_err(|error| error.to_string())?;
        let route = Arc::new(self.route(topic));
        if self.found.len() >= ROUTES_LEN_MAX {
            self.found.clear();
        }
        self.found.insert(Bytes::copy_from_slice(route.topic.as_str().as_bytes()), route.clone());
        Ok(route)
    }

    fn route(&self, topic: Topic) -> Route {
        let (mut targets, mut groups) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
        for (target, (pattern, group)) in self.interests.iter().filter(|(_, (pattern, _))| pattern.matches(&topic)) {
            match group {
                Some(group) => groups.entry((pattern.as_str(), group)).or_default().push(*target),
                None => targets.push(*target),
            }
        }
        let publishers = self.tree.publishers(&topic);
        let groups = groups.into_values().collect();
        Route { topic, publishers, targets, groups }
    }
}
