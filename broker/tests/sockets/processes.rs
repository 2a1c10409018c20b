//! Brokers and clients in processes of their own, stopped and killed.
//!
//! The test binary starts itself again with [`ROLE`] set; the test `child` then plays that role and tells what happens
//! line by line.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use daemoneye_broker::{
    Backoff, Broker, Bytes, Client, Credential, Error, Event, Gap, Identity, Interest, Key, Outcome, Role,
};
use tokio::time::{sleep, timeout};

use crate::place::{Barrier, PATIENCE, Place, course, event, number, numbered, received};

const ROLE: &str = "DAEMONEYE_BROKER_TEST_ROLE";
const SOCKET: &str = "DAEMONEYE_BROKER_TEST_SOCKET";
const KEY: &str = "DAEMONEYE_BROKER_TEST_KEY";
const MARK: &str = "child: ";
/// The role that may open few files.
const GATHERS: &str = "gathers";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = PathBuf::from(std::env::var(SOCKET).unwrap());
    let place = Place::at(path, Key::from_text(&std::env::var(KEY).unwrap()).unwrap());
    match role.as_str() {
        "broker" => {
            let _broker = place.bind();
            tell("ready");
            std::future::pending::<()>().await;
        }
        "answers" => subscriber(&place, &Interest::new("t.>").answering(), true).await,
        "holds" => subscriber(&place, &Interest::new("t.>").answering(), false).await,
        "listens" => subscriber(&place, &Interest::new("t.>"), false).await,
        "blocks" => subscriber(&place, &Interest::new("t.>").blocking(Duration::from_millis(300)), false).await,
        "publishes" => publisher(&place).await,
        "comes and goes" => comes_and_goes(&place).await,
        GATHERS => gatherer(&place).await,
        _ => panic!("{role}"),
    }
}

/// Tells of every delivery; after one under `t.end` also of how many came, and what was missing.
async fn subscriber(place: &Place, interest: &Interest, answers: bool) {
    let client = place.client("child").await;
    let mut subscription = client.subscribe(interest).await.unwrap();
    tell("ready");
    let (mut held, mut got, mut gaps) = (Vec::new(), 0, Vec::new());
    while let Some(event) = subscription.recv().await {
        let delivery = match event {
            Event::Message(delivery) => delivery,
            Event::Gap(Gap::Dropped(messages)) => {
                gaps.push((got, messages));
                continue;
            }
            Event::Gap(Gap::Away) => break,
        };
        got += 1;
        match delivery.topic() {
            "t.end" => tell(&format!("end got={got} gaps={gaps:?}")),
            "t.quiet" => {}
            _ => tell(&format!("{} bytes {:08x}", delivery.payload.len(), crc32c::crc32c(&delivery.payload))),
        }
        if answers {
            delivery.acknowledge();
        } else {
            held.push(delivery);
        }
    }
    tell("closed");
}

/// Asks about one number after the other until it is killed, and tells of those that were accepted.
async fn publisher(place: &Place) {
    let client = place.client("child").await;
    tell("ready");
    for count in 0.. {
        client.publish("t.plain", numbered(count, 100)).await.unwrap();
        if count % 50 == 0 {
            let outcome = client.request("t.asked", numbered(count, 8), PATIENCE).await.unwrap();
            assert_eq!(outcome, Outcome::Accepted(Bytes::new()));
            tell(&count.to_string());
        }
    }
}

/// Has no descriptor left when it begins to gather.
async fn gatherer(place: &Place) {
    let client = place.client("child").await.gathering(Duration::from_millis(2));
    let _all: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    tell("ready");
    for count in 0..10 {
        client.publish("t.gathered", numbered(count, 8)).await.unwrap();
        sleep(Duration::from_millis(5)).await;
    }
    // Nothing else has it go.
    std::future::pending::<()>().await;
}

async fn comes_and_goes(place: &Place) {
    let broker = place.bind();
    let inside = broker.client("inside").unwrap();
    let mut subscription = inside.subscribe(&Interest::new("t").answering()).await.unwrap();
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mut before = None;
    for round in 0..500 {
        let client = place.client("guest").await;
        let idle = client.subscribe(&Interest::new("u.*").retained()).await.unwrap();
        match round % 4 {
            // It leaves with something under way, in each of the ways there are.
            0 => assert_eq!(client.close().await, 0),
            1 => {
                let (outcome, _) = tokio::join!(client.request("t", "", PATIENCE), received(&mut subscription));
                outcome.unwrap();
            }
            2 => drop(timeout(Duration::from_millis(1), client.request("t", "", PATIENCE)).await),
            _ => client.publish("u.x", vec![0; 10_000]).await.unwrap(),
        }
        drop(idle);
        if round == 20 {
            settled(&broker).await;
            before = Some((open(), alive()));
        }
        while subscription.try_recv().is_some() {}
    }
    settled(&broker).await;
    let (fds, tasks) = before.unwrap();
    assert!(open() <= fds, "{} descriptors, {fds} before", open());
    assert!(alive() <= tasks, "{} tasks, {tasks} before", alive());
    assert_eq!(broker.queued_bytes(), 0);
    drop((subscription, inside));
    broker.shutdown().await;
    tell("ready");
}

/// Waits until only the client inside is left, and tasks that ended are gone.
async fn settled(broker: &Broker) {
    let settling = async {
        while broker.connections_len() > 1 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, settling).await.unwrap();
    sleep(Duration::from_millis(200)).await;
}

fn tell(text: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{MARK}{text}").unwrap();
}

/// A process of this binary in a role, killed when dropped.
struct Player {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Player {
    fn start(role: &str, place: &Place) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(&program);
        if role == GATHERS {
            command = Command::new("sh");
            command.args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""]).arg(program);
        }
        let mut process = command
            .args(["processes::child", "--exact", "--nocapture"])
            .env(ROLE, role)
            .env(SOCKET, &place.path)
            .env(KEY, place.key.to_text().as_str())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut player = Self { process, lines };
        assert_eq!(player.told(), "ready");
        player
    }

    /// The next thing it tells; the rest of its output is the test harness's.
    fn told(&mut self) -> String {
        self.heard().expect("the child tells more")
    }

    /// The next thing it tells, unless it was killed.
    fn heard(&mut self) -> Option<String> {
        let marked = |line: std::io::Result<String>| line.unwrap().split_once(MARK).map(|(_, text)| text.to_owned());
        self.lines.by_ref().find_map(marked)
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _status = self.process.wait();
    }
}

/// Bytes that do not repeat.
fn noise(len: usize) -> Bytes {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state >> 33
    };
    (0..len).map(|_| u8::try_from(next() & 0xff).unwrap()).collect()
}

fn accepted() -> Outcome {
    Outcome::Accepted(Bytes::new())
}

/// The timer that ends a wait is a descriptor.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_gathered_goes_where_no_descriptor_is_left() {
    let place = Place::new();
    let broker = place.bind();
    let client = broker.client("subscriber").unwrap();
    let mut gathered = client.subscribe(&Interest::new("t.gathered")).await.unwrap();
    let player_place = Place::at(place.path.clone(), place.key.clone());
    let _publisher = tokio::task::spawn_blocking(move || Player::start(GATHERS, &player_place)).await.unwrap();
    for count in 0..10 {
        assert_eq!(received(&mut gathered).await, numbered(count, 8));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_batches_arrive_intact() {
    let place = Place::new();
    let broker = Player::start("broker", &place);
    let mut subscriber = Player::start("answers", &place);
    let publisher = place.client("publisher").await;
    for len in [0, 65_535, 65_537, 8 << 20, daemoneye_broker::message::PAYLOAD_LEN_MAX] {
        let payload = noise(len);
        assert_eq!(publisher.request("t.large", payload.clone(), PATIENCE).await.unwrap(), accepted());
        assert_eq!(subscriber.told(), format!("{len} bytes {:08x}", crc32c::crc32c(&payload)));
    }
    let before = broker.resident_kib();
    let payload = noise(8 << 20);
    for _ in 0..20 {
        assert_eq!(publisher.request("t.quiet", payload.clone(), PATIENCE).await.unwrap(), accepted());
    }
    let grown = broker.resident_kib().saturating_sub(before);
    assert!(grown < 40 << 10, "{grown} KiB over 20 batches of 8 MiB, one after the other");
}

/// What such a process told at the end: messages that came, and where how many are missing.
fn told_at_end(told: &str) -> (u64, Vec<(u64, u64)>) {
    let numbers: Vec<u64> = told.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    (numbers[0], numbers[1..].chunks(2).map(|pair| (pair[0], pair[1])).collect())
}

/// One that is stopped has its queue in the broker, and nobody else's: the publisher waits for it as its policy says,
/// the others get everything, and it learns to the message what it missed.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_subscriber_is_its_own_trouble() {
    const COUNT: u64 = 2_000;
    for role in ["listens", "blocks"] {
        let place = Place::new();
        let broker = place.bind();
        let mut stopped = Player::start(role, &place);
        let mut healthy = Player::start("answers", &place);
        let publisher = place.client("publisher").await;
        stopped.signal("-STOP");
        let payload = noise(64 << 10);
        let start = Instant::now();
        for _ in 0..COUNT {
            assert_eq!(publisher.request("t.quiet", payload.clone(), PATIENCE).await.unwrap(), accepted());
        }
        let elapsed = start.elapsed();
        assert!(elapsed < Duration::from_secs(15), "{elapsed:?} beside one that is stopped");
        assert!(role == "listens" || elapsed > Duration::from_millis(300), "{elapsed:?}");
        assert!(broker.queued_bytes() < 20 << 20, "{} bytes", broker.queued_bytes());
        publisher.publish("t.end", "").await.unwrap();
        assert_eq!(healthy.told(), format!("end got={} gaps=[]", COUNT + 1));
        stopped.signal("-CONT");
        // The last is so small that there is room for it behind the others.
        let (got, gaps) = told_at_end(&stopped.told());
        let [(_, missing)] = gaps[..] else { panic!("one gap, not {gaps:?}") };
        assert_eq!(got + missing, COUNT + 1);
        assert!(missing > COUNT / 2, "{missing}");
        broker.shutdown().await;
        assert_eq!(stopped.told(), "closed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_subscriber_was_asked_is_lost() {
    let place = Place::new();
    let _broker = Player::start("broker", &place);
    let mut subscriber = Player::start("holds", &place);
    let publisher = place.client("publisher").await;
    let kill = async {
        let told = tokio::task::spawn_blocking(move || (subscriber.told(), subscriber)).await.unwrap();
        assert!(told.0.starts_with("1 bytes"));
        told.1.signal("-KILL");
    };
    let (outcome, ()) = tokio::join!(publisher.request("t.x", "x", PATIENCE), kill);
    let reason = "subscriber `child` disconnected before it answered".to_owned();
    assert_eq!(outcome.unwrap(), Outcome::Lost(reason));
    assert_eq!(publisher.request("t.x", "x", PATIENCE).await.unwrap(), Outcome::Nobody);
}

/// A publisher that is killed at any moment leaves a beginning of what it said, in order and whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_killed_at_any_moment_leaves_a_beginning() {
    let place = Place::new();
    let broker = place.bind();
    for round in 0..15 {
        let client = broker.client("subscriber").unwrap();
        let mut plain = client.subscribe(&Interest::new("t.plain").blocking(PATIENCE)).await.unwrap();
        let mut asked = client.subscribe(&Interest::new("t.asked").answering()).await.unwrap();
        let place = Place::at(place.path.clone(), place.key.clone());
        let publisher = tokio::task::spawn_blocking(move || Player::start("publishes", &place)).await.unwrap();
        let answering = async {
            loop {
                received(&mut asked).await;
            }
        };
        tokio::select! {
            () = sleep(Duration::from_micros(700 * round * round)) => {}
            () = answering => {}
        }
        publisher.signal("-KILL");
        let told = tokio::task::spawn_blocking(move || {
            let mut publisher = publisher;
            std::iter::from_fn(|| publisher.heard()).last()
        });
        let last_accepted = told.await.unwrap().map(|count| count.parse::<u64>().unwrap());
        let gone = async {
            while broker.connections_len() > 1 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, gone).await.unwrap();
        let publish = async {
            // What it left behind may wait for room still, so that this is not before it.
            sleep(Duration::from_millis(100)).await;
            client.publish("t.plain", "end").await.unwrap();
        };
        let take = async {
            let mut next = 0;
            loop {
                let payload = received(&mut plain).await;
                if payload == "end" {
                    return next;
                }
                assert_eq!((number(&payload), payload.len()), (next, 100));
                next += 1;
            }
        };
        let ((), next) = tokio::join!(publish, take);
        assert!(last_accepted.is_none_or(|count| next > count), "{next} came, {last_accepted:?} was accepted");
    }
}

/// Whatever the broker's end cuts short: each number is accepted once, in order; what was accepted was done; what was
/// done without being accepted was told as an error, and nothing that was answered before counts after.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_killed_at_any_moment_doubles_and_reorders_nothing_that_was_accepted() {
    const ROUNDS: u64 = 12;
    let place = Place::new();
    let mut broker = Player::start("broker", &place);
    let keep = |name: &str| Client::keep(&place.path, place.identity(name), Backoff::default()).unwrap();
    let (asker, worker) = (keep("asker"), keep("worker"));
    let mut work = worker.subscribe(&Interest::new("work").answering()).await.unwrap();
    let mut plain = worker.subscribe(&Interest::new("plain")).await.unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let asking = tokio::spawn({
        let stopped = stopped.clone();
        async move {
            let (mut next, mut failed) = (0, Vec::new());
            while !*stopped.borrow() {
                asker.publish("plain", numbered(next, 8)).await.unwrap();
                match asker.request("work", numbered(next, 8), PATIENCE).await {
                    Ok(Outcome::Accepted(reply)) => {
                        assert_eq!(number(&reply), next, "the answer to another question");
                        next += 1;
                    }
                    Ok(Outcome::Nobody) => sleep(Duration::from_millis(1)).await,
                    Ok(Outcome::Refused(reason) | Outcome::Lost(reason)) => {
                        assert!(reason.contains("disconnected"), "{reason}");
                        failed.push(next);
                    }
                    Err(Error::Closed(reason)) => {
                        assert!(reason.ends_with("may have been done"), "{reason}");
                        failed.push(next);
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            (next, failed)
        }
    });
    let working = tokio::spawn(async move {
        let mut done = Vec::new();
        while !*stopped.borrow() {
            let Ok(event) = timeout(Duration::from_millis(50), work.recv()).await else { continue };
            if let Some(Event::Message(delivery)) = event {
                done.push(number(&delivery.payload));
                let reply = delivery.payload.clone();
                // Some answers come late, perhaps after a loss.
                if done.len() % 64 == 0 {
                    sleep(Duration::from_millis(20)).await;
                }
                delivery.reply(reply);
            }
        }
        let mut heard = Vec::new();
        while let Some(event) = plain.try_recv() {
            if let Event::Message(delivery) = event {
                heard.push(number(&delivery.payload));
            }
        }
        (done, heard)
    });
    for round in 0..ROUNDS {
        sleep(Duration::from_micros(20_000 + 7_919 * round * round % 50_000)).await;
        broker.signal("-KILL");
        drop(broker);
        let again = Place::at(place.path.clone(), place.key.clone());
        broker = tokio::task::spawn_blocking(move || Player::start("broker", &again)).await.unwrap();
    }
    sleep(Duration::from_millis(500)).await;
    stop.send_replace(true);
    let (next, failed) = timeout(PATIENCE, asking).await.unwrap().unwrap();
    let (done, heard) = timeout(PATIENCE, working).await.unwrap().unwrap();
    assert!(done.is_sorted() && heard.is_sorted(), "in order");
    let once = |count: &u64| done.iter().filter(|it| *it == count).count();
    for count in 0..next {
        let times = once(&count);
        assert!(times >= 1, "{count} was accepted and never done");
        let errors = failed.iter().filter(|it| **it == count).count();
        assert!(times <= 1 + errors, "{count} was done {times} times after {errors} errors");
    }
    assert!(next > ROUNDS, "{next} in {ROUNDS} rounds");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_come_back_after_the_broker_was_killed() {
    let place = Place::new();
    let broker = Player::start("broker", &place);
    let once = place.client("once").await;
    let mut ends = once.subscribe(&Interest::new("t.>")).await.unwrap();
    let kept = Client::keep(&place.path, place.identity("kept"), Backoff::default()).unwrap();
    let mut goes_on = kept.subscribe(&Interest::new("t.>")).await.unwrap();
    let _holds = Player::start("holds", &place);
    let asking = tokio::spawn({
        let kept = kept.clone();
        async move { kept.request("t.quiet", "x", PATIENCE).await }
    });
    assert_eq!(received(&mut goes_on).await, "x");
    broker.signal("-KILL");
    let Err(Error::Closed(reason)) = asking.await.unwrap() else { panic!("it has no outcome") };
    assert!(reason.ends_with("what was asked may have been done"), "{reason}");
    assert_eq!(received(&mut ends).await, "x");
    assert!(matches!(event(&mut ends).await, Some(Event::Gap(Gap::Away))));
    assert!(event(&mut ends).await.is_none());
    let error = timeout(PATIENCE, once.closed()).await.unwrap();
    assert!(matches!(error, Error::Closed(_)), "{error}");
    drop(broker);
    assert!(place.path.exists(), "a killed broker leaves its socket file");

    kept.publish("t.x", "waits").await.unwrap();
    let again = Place::at(place.path.clone(), place.key.clone());
    let _broker = tokio::task::spawn_blocking(move || Player::start("broker", &again)).await.unwrap();
    assert!(matches!(event(&mut goes_on).await, Some(Event::Gap(Gap::Away))));
    // Its subscriptions come first, so that it hears what waited.
    assert_eq!(received(&mut goes_on).await, "waits");
    assert_eq!(kept.shed(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_and_goes_leaves_nothing_behind() {
    let place = Place::new();
    let told = tokio::task::spawn_blocking(move || drop(Player::start("comes and goes", &place)));
    told.await.unwrap();
}

/// Peers at fault by the thousand take no memory.
#[tokio::test(flavor = "multi_thread")]
async fn peers_at_fault_take_no_memory() {
    use crate::peer::{Peer, claim};
    let place = Place::new();
    let broker = Player::start("broker", &place);
    let fill = || {
        for n in 0..500u32 {
            let mut peer = if n % 2 == 0 { Peer::connect(&place) } else { Peer::proved(&place, Role::Collector) };
            peer.write(&claim((64 << 20) - n % 2));
            peer.write(&noise(4096));
        }
    };
    fill();
    let resident = broker.resident_kib();
    fill();
    let grown = broker.resident_kib().saturating_sub(resident);
    assert!(grown < 8 << 10, "{grown} KiB");
    place.client("other").await.publish("t", "").await.unwrap();
}

/// An hour of silence, by tokio's clock: both sides go on on pings.
#[tokio::test(start_paused = true)]
async fn an_idle_hour_changes_nothing() {
    let place = Place::new();
    let broker = place.bind();
    let subscriber = place.client("subscriber").await;
    let mut plain = subscriber.subscribe(&Interest::new("t")).await.unwrap();
    let publisher = place.client("publisher").await;
    let mut barrier = Barrier::new(&subscriber).await;
    let numbers = [publisher.connection(), subscriber.connection()];
    sleep(Duration::from_hours(1)).await;
    assert_eq!(broker.connections_len(), 2);
    publisher.publish("t", numbered(0, 8)).await.unwrap();
    barrier.passed_by(&publisher).await;
    assert_eq!(course(&mut plain, 1).await.gaps, []);
    assert_eq!(numbers, [publisher.connection(), subscriber.connection()]);
}

/// A process that stands in for a collector proves itself by the key that it was given, as the process that it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_given_to_a_process_is_for_that_process() {
    let place = Place::new();
    let broker = place.bind();
    let sleeper = Command::new("sleep").arg("60").spawn().unwrap();
    let key = Key::generate().unwrap();
    broker.door().expect(sleeper.id(), key.clone());
    let identity = Identity { key: Credential::Spawned(key), ..place.identity("thief") };
    let error = Client::connect(&place.path, &identity).await.unwrap_err().to_string();
    assert_eq!(error, "refused by the broker: no collector of this process number was started here");
    let mut sleeper = sleeper;
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
}
