//! What a full queue does, each policy with real sockets, exact to the message.

use std::time::{Duration, Instant};

use daemoneye_broker::message::Code;
use daemoneye_broker::{Bytes, Client, Error, Interest, Outcome, Room, Subscription, WhenFull};
use tokio::time::timeout;

use crate::place::{Barrier, Course, Notices, PATIENCE, Place, course, numbered, received};

/// Messages of such a size fill a window soon.
const LEN: usize = 64 << 10;
const COUNT: u64 = 200;
const ROOM: Room = Room { len: 50, bytes: 64 << 20 };

/// How many go out before the queue begins to fill: a window of bytes, and what is sent along with its last message.
const WINDOW: std::ops::RangeInclusive<usize> = 15..=17;

async fn flood(publisher: &Client) {
    for count in 0..COUNT {
        // Time for a window to go out, before any queue is full.
        if count == 30 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        publisher.publish("t", numbered(count, LEN)).await.unwrap();
    }
}

/// A subscriber with such an interest that takes nothing, beside another, while somebody publishes: over the socket and
/// past it, in every combination. Who is beside it gets everything.
async fn beside_another(interest: &Interest, check: impl AsyncFn(&Client, Client, Subscription, &mut Notices)) {
    let place = Place::new();
    let broker = place.bind();
    let mut notices = Notices::of(&broker).await;
    for publisher in place.both_ways(&broker, "publisher").await {
        for subscriber in place.both_ways(&broker, "slow").await {
            let slow = subscriber.subscribe(interest).await.unwrap();
            let beside = place.client("beside").await;
            let mut barrier = Barrier::new(&beside).await;
            let mut other = beside.subscribe(&Interest::new("t")).await.unwrap();
            let both = async { tokio::join!(flood(&publisher), course(&mut other, COUNT)) };
            let ((), whole) = timeout(PATIENCE, both).await.unwrap();
            assert_eq!(whole, Course { came: (0..COUNT).collect(), gaps: vec![] });
            barrier.passed_by(&publisher).await;
            check(&publisher, subscriber, slow, &mut notices).await;
            assert!(notices.is_empty());
        }
    }
    timeout(PATIENCE, broker.shutdown()).await.unwrap();
}

#[tokio::test]
async fn the_oldest_give_way() {
    let interest = Interest::new("t").room(ROOM);
    beside_another(&interest, async |_, _, mut slow, _| {
        let Course { came, gaps } = course(&mut slow, COUNT).await;
        let first = came.len() - ROOM.len;
        assert!(WINDOW.contains(&first), "{first}");
        assert_eq!(gaps, [(first as u64, COUNT - came.len() as u64)], "one gap, before the newest");
    })
    .await;
}

#[tokio::test]
async fn the_newest_are_not_taken() {
    let interest = Interest::new("t").room(ROOM).when_full(WhenFull::DropNewest);
    beside_another(&interest, async |publisher, _, mut slow, _| {
        let Course { came, gaps } = course(&mut slow, COUNT).await;
        assert!(WINDOW.contains(&(came.len() - ROOM.len)), "{}", came.len());
        assert_eq!(gaps, [(came.len() as u64, COUNT - came.len() as u64)], "one gap, after the oldest");
        publisher.publish("t", numbered(0, 8)).await.unwrap();
        assert_eq!(received(&mut slow).await, numbered(0, 8), "there is room again");
    })
    .await;
}

#[tokio::test]
async fn a_publisher_waits_in_vain_once_and_no_longer_than_it_must() {
    let patience = Duration::from_millis(300);
    let interest = Interest::new("t").room(ROOM).blocking(patience);
    let start = Instant::now();
    beside_another(&interest, async |_, _, mut slow, _| {
        let Course { came, gaps } = course(&mut slow, COUNT).await;
        assert!(WINDOW.contains(&(came.len() - ROOM.len)), "{}", came.len());
        assert_eq!(gaps, [(came.len() as u64, COUNT - came.len() as u64)]);
    })
    .await;
    let waited = start.elapsed();
    assert!(
        waited >= 4 * patience && waited < PATIENCE,
        "{waited:?} for four that waited once each, not for each message"
    );
}

#[tokio::test]
async fn a_publisher_waits_for_who_takes_in_time_and_nothing_is_lost() {
    let place = Place::new();
    let broker = place.bind();
    let interest = Interest::new("t").room(Room { len: 2, ..ROOM }).blocking(Duration::from_secs(10));
    for publisher in place.both_ways(&broker, "publisher").await {
        for subscriber in place.both_ways(&broker, "slow").await {
            let mut slow = subscriber.subscribe(&interest).await.unwrap();
            let take = async {
                tokio::time::sleep(Duration::from_millis(200)).await;
                course(&mut slow, COUNT).await
            };
            let ((), whole) = tokio::join!(flood(&publisher), take);
            assert_eq!(whole.gaps, []);
        }
    }
}

/// What a publisher left behind when it went is still to come, or counted.
#[tokio::test]
async fn what_waits_for_room_outlives_its_publisher() {
    const FEW: u64 = 40;
    let place = Place::new();
    let broker = place.bind();
    let room = Room { len: 2, ..ROOM };
    for patience in [Duration::from_millis(100), Duration::from_secs(10)] {
        for subscriber in place.both_ways(&broker, "slow").await {
            for publisher in place.both_ways(&broker, "publisher").await {
                let mut slow = subscriber.subscribe(&Interest::new("t").room(room).blocking(patience)).await.unwrap();
                let publish = async {
                    for count in 0..FEW {
                        publisher.publish("t", numbered(count, LEN)).await.unwrap();
                    }
                    publisher.close().await;
                };
                let take = async {
                    tokio::time::sleep(Duration::from_millis(250)).await;
                    course(&mut slow, FEW).await
                };
                let ((), Course { came, gaps }) = tokio::join!(publish, take);
                match patience.as_secs() {
                    0 => assert!(!gaps.is_empty(), "{came:?}"),
                    _ => assert_eq!(gaps, []),
                }
            }
        }
    }
}

#[tokio::test]
async fn who_asked_for_it_is_let_go() {
    let interest = Interest::new("t").room(ROOM).when_full(WhenFull::Disconnect);
    beside_another(&interest, async |_, subscriber, slow, notices| {
        let error = timeout(PATIENCE, subscriber.closed()).await.unwrap();
        assert!(matches!(&error, Error::Refused(fault) if fault.code() == Code::Slow), "{error:?}");
        let text = "a queue is full, and the subscription asked to be ended then";
        assert_eq!(error.to_string(), format!("refused by the broker: {text}"));
        let notice = notices.next().await;
        assert_eq!((notice.action.as_str(), notice.name.as_str()), ("connection_ended", "slow"));
        assert_eq!(notice.text, text);
        drop(slow);
    })
    .await;
}

/// What waits for a subscriber that cannot answer is refused, so that nobody waits for it in vain.
#[tokio::test]
async fn questions_that_find_no_room_are_refused() {
    let place = Place::new();
    let broker = place.bind();
    let ask = async |publisher: Client, interest: Interest, subscriber: Client| {
        let _mute = subscriber.subscribe(&interest.room(Room { len: 1, bytes: 1 << 20 })).await.unwrap();
        let first = publisher.request("t", "", Duration::from_millis(500));
        let second = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            publisher.request("t", "", PATIENCE).await
        };
        let (first, second) = tokio::join!(first, second);
        let Outcome::Refused(reason) = second.unwrap() else { panic!("it was not refused") };
        (first.map_err(|error| error.to_string()), reason)
    };
    let late = || Err("no answer from the broker within 500ms".to_owned());
    for publisher in place.both_ways(&broker, "publisher").await {
        for subscriber in place.both_ways(&broker, "mute").await {
            let newest = Interest::new("t").answering();
            let refused = ask(publisher.clone(), newest.clone(), subscriber.clone()).await;
            assert_eq!(refused, (late(), "the queue of subscriber `mute` is full".to_owned()));
            let blocking = newest.blocking(Duration::from_millis(100));
            let refused = ask(publisher.clone(), blocking, subscriber.clone()).await;
            assert_eq!(refused, (late(), "subscriber `mute` had no room in time".to_owned()));
        }
    }
}

#[tokio::test]
async fn one_member_of_each_group_gets_each_message() {
    const COUNT: u64 = 500;
    let place = Place::new();
    let broker = place.bind();
    let mut members = Vec::new();
    for group in ["one", "two"] {
        for client in place.both_ways(&broker, "member").await {
            for _ in 0..2 {
                let interest = Interest::new("t").group(group).answering();
                members.push((group, client.subscribe(&interest).await.unwrap()));
            }
        }
    }
    let mut plain = place.client("plain").await.subscribe(&Interest::new("t")).await.unwrap();
    let publisher = place.client("publisher").await;
    let mut asking = Vec::new();
    for count in 0..COUNT {
        let publisher = publisher.clone();
        asking.push(tokio::spawn(async move { publisher.request("t", numbered(count, 8), PATIENCE).await.unwrap() }));
    }
    let mut seen = std::collections::BTreeMap::<_, Vec<u64>>::new();
    let mut shares = Vec::new();
    tokio::time::sleep(Duration::from_millis(200)).await;
    for (group, mut member) in members {
        let mut share = 0;
        while let Ok(payload) = timeout(Duration::from_millis(100), received(&mut member)).await {
            seen.entry(group).or_default().push(crate::place::number(&payload));
            share += 1;
        }
        shares.push(share);
        // What it has not taken goes to others; there is nothing.
        drop(member);
    }
    for task in asking {
        assert_eq!(task.await.unwrap(), Outcome::Accepted(Bytes::new()));
    }
    for numbers in seen.values_mut() {
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..COUNT), "{numbers:?}");
    }
    assert!(shares.iter().all(|share| *share > COUNT / 20), "{shares:?}");
    for _ in 0..COUNT {
        received(&mut plain).await;
    }
    assert!(plain.try_recv().is_none());
}

#[tokio::test]
async fn others_of_a_group_inherit_what_nobody_has_seen() {
    let place = Place::new();
    let broker = place.bind();
    let publisher = place.client("publisher").await;
    for (leaver, heir) in
        place.both_ways(&broker, "leaver").await.into_iter().zip(place.both_ways(&broker, "heir").await)
    {
        let interest = Interest::new("t").group("g").room(ROOM);
        let leaving = leaver.subscribe(&interest).await.unwrap();
        let mut barrier = Barrier::new(&publisher).await;
        // Alone, so that all is meant for it; most waits in the broker.
        for count in 0..40 {
            publisher.publish("t", numbered(count, LEN)).await.unwrap();
        }
        barrier.passed_by(&publisher).await;
        let mut inheriting = heir.subscribe(&interest).await.unwrap();
        drop((leaver, leaving));
        let mut inherited = Vec::new();
        while inherited.last() != Some(&39) {
            inherited.push(crate::place::number(&received(&mut inheriting).await));
        }
        assert!(WINDOW.contains(&(40 - inherited.len())), "{inherited:?}");
        assert!(inherited.is_sorted());
    }
}

#[tokio::test]
async fn the_last_retained_message_comes_first_and_has_its_place_in_the_count() {
    let place = Place::new();
    let broker = place.bind();
    for publisher in place.both_ways(&broker, "publisher").await {
        let mut barrier = Barrier::new(&publisher).await;
        for (topic, payload) in [("h.a", "old"), ("h.a", "new"), ("h.b", "b"), ("h.c", "c"), ("h.c", "")] {
            publisher.publish_retained(topic, payload).await.unwrap();
        }
        publisher.publish("h.a", "not retained").await.unwrap();
        barrier.passed_by(&publisher).await;
        for late in place.both_ways(&broker, "late").await {
            let mut asks = late.subscribe(&Interest::new("h.*").retained()).await.unwrap();
            let mut does_not = late.subscribe(&Interest::new("h.*")).await.unwrap();
            publisher.publish("h.d", "then").await.unwrap();
            let mut came = Vec::new();
            for _ in 0..3 {
                came.push(received(&mut asks).await);
            }
            assert_eq!(came, ["new", "b", "then"]);
            assert_eq!(received(&mut does_not).await, "then");
        }
        // More topics than there is room for.
        let names: Vec<_> = (0..20).map(|n| format!("k.{n:02}")).collect();
        for (n, name) in names.iter().enumerate() {
            publisher.publish_retained(name, numbered(n as u64, 8)).await.unwrap();
        }
        barrier.passed_by(&publisher).await;
        for late in place.both_ways(&broker, "late").await {
            let few = Interest::new("k.*").retained().room(Room { len: 5, bytes: 1 << 20 });
            for interest in [few.clone().when_full(WhenFull::DropNewest), few.blocking(Duration::from_secs(1))] {
                let mut asks = late.subscribe(&interest).await.unwrap();
                assert_eq!(course(&mut asks, 20).await, Course { came: (0..5).collect(), gaps: vec![(5, 15)] });
            }
        }
    }
}
