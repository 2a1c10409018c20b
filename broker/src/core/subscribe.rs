//! Subscriptions that come and go.

use std::time::Duration;

use super::subscription::Subscription;
use super::{ConnectionId, Core, PATIENCE_MAX, SUBSCRIPTIONS_LEN_MAX, Stage};
use crate::message::{Code, Fault, Outcome, Subscribe, Subscribed, Unsubscribe, WhenFull, check_name, truncated};
use crate::parcel::Parcel;
use crate::queue::Item;
use crate::routes::Target;
use crate::topic::Pattern;

impl Core {
    pub(super) fn subscribe(&mut self, from: ConnectionId, body: &Subscribe, now: Duration) -> Result<(), Fault> {
        let id = body.subscription;
        if self.connection(from).subscriptions.contains_key(&id) {
            return Err(Fault::new(Code::Protocol, format!("subscription {id} exists already")));
        }
        let when_full =
            WhenFull::try_from(body.when_full).map_err(|error| Fault::new(Code::Protocol, error.to_string()))?;
        let pattern = match self.permit(from, body) {
            Ok(pattern) => pattern,
            Err(reason) => {
                let reason = truncated(reason);
                self.note("subscription_refused", from, &reason, now);
                self.reply(from, Subscribed { subscription: id, refused: Some(reason) });
                return Ok(());
            }
        };
        let group = (!body.group.is_empty()).then(|| body.group.as_str().into());
        let patience = Duration::from_millis(body.patience_ms.into()).min(PATIENCE_MAX);
        let subscription =
            Subscription::new(pattern.clone(), group.clone(), body.room(), (when_full, patience), body.answers);
        self.connection(from).subscriptions.insert(id, subscription);
        self.routes.insert((from, id), pattern.clone(), group);
        self.reply(from, Subscribed { subscription: id, refused: None });
        if body.retained {
            for entry in self.retained.matching(&pattern) {
                if let Some(rest) = self.offer((from, id), Parcel::from(entry), None, now) {
                    self.miss((from, id), rest.len());
                }
            }
        }
        Ok(())
    }

    /// The pattern that a client may subscribe to, or why it may not.
    fn permit(&mut self, from: ConnectionId, body: &Subscribe) -> Result<Pattern, String> {
        let connection = self.connection(from);
        if connection.subscriptions.len() >= SUBSCRIPTIONS_LEN_MAX {
            return Err(format!("{SUBSCRIPTIONS_LEN_MAX} subscriptions of one client, no more are allowed"));
        }
        if !body.group.is_empty() {
            check_name(&body.group)?;
        }
        let pattern = Pattern::parse(body.pattern.as_str()).map_err(|error| error.to_string())?;
        let Stage::Open(publisher) = &connection.stage else { return Err("not connected".to_owned()) };
        let role = publisher.role;
        let own = pattern
            .as_str()
            .strip_prefix("reply.")
            .is_none_or(|rest| rest.split('.').next() == Some(&from.0.to_string()));
        if self.routes.tree().may_subscribe(role, &pattern) && own {
            return Ok(pattern);
        }
        Err(format!("no {role} may subscribe to `{pattern}`"))
    }

    /// The window of a subscription opens again.
    pub(super) fn taken(&mut self, (id, number): Target, up_to: u64) {
        let connection = self.connection(id);
        let Some(subscription) = connection.subscriptions.get_mut(&number) else { return };
        let was_ready = subscription.is_ready();
        subscription.taken(up_to);
        if !was_ready && subscription.is_ready() {
            connection.ready.push_back(number);
            self.wake(id);
        }
    }

    pub(super) fn unsubscribe(&mut self, from: ConnectionId, body: &Unsubscribe, now: Duration) {
        let connection = self.connection(from);
        let Some(subscription) = connection.subscriptions.remove(&body.subscription) else { return };
        connection.ready.retain(|ready| *ready != body.subscription);
        let who_left = format!("subscriber `{}` unsubscribed", connection.stage.name().unwrap_or("unnamed"));
        self.routes.remove((from, body.subscription));
        self.abandon((from, body.subscription), subscription, &who_left, now);
        self.resume_all(now);
    }

    /// Sees to what waited for a subscription that is no more: others of its group get what nobody has seen, and what it
    /// got and did not answer is lost.
    pub(super) fn abandon(&mut self, target: Target, mut subscription: Subscription, who_left: &str, now: Duration) {
        self.queued_bytes -= subscription.queued_bytes();
        let mut number = subscription.first_queued();
        let queued = std::iter::from_fn(|| subscription.pop());
        let parcels: Vec<_> =
            queued.filter_map(|item| if let Item::Parcel(it) = item { Some(it) } else { None }).collect();
        for mut parcel in parcels {
            let publisher = parcel.publisher().cloned();
            while let Some(entry) = parcel.pop() {
                let publication = subscription.forget(number);
                if let Some(publication) = publication {
                    self.asked.wait_no_more(publication, target, number);
                }
                number += 1;
                let lives = |(id, _): &Target| !self.connections[id].is_ended;
                let group = subscription.group.as_ref();
                let heir = group.and_then(|group| self.routes.members(&subscription.pattern, group).find(lives));
                let left = heir
                    .map(|heir| (heir, self.offer(heir, Parcel::from(entry).by(publisher.clone()), publication, now)));
                let is_inherited = matches!(left, Some((_, None)));
                if let Some((heir, Some(rest))) = left {
                    // Nobody is there to wait with it.
                    self.miss(heir, rest.len());
                }
                match publication {
                    Some(publication) if is_inherited => self.conclude(publication),
                    Some(publication) => self.refuse(publication, format!("{who_left} before it got it")),
                    None => {}
                }
            }
        }
        for publication in subscription.unanswered() {
            self.settle(publication, Outcome::Lost(format!("{who_left} before it answered")));
        }
    }
}
