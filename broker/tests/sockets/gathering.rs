//! Publications that wait for others to go with.

use std::time::{Duration, Instant};

use daemoneye_broker::{Bytes, Client, Interest, Outcome};
use tokio::time::timeout;

use crate::place::{PATIENCE, Place, numbered, received};

const LINGER: Duration = Duration::from_millis(400);

async fn publish(publisher: &Client, numbers: std::ops::Range<u64>) {
    for number in numbers {
        publisher.publish("t", numbered(number, 8)).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_gathered_goes_together_in_time() {
    let place = Place::new();
    let broker = place.bind();
    for publisher in place.both_ways(&broker, "publisher").await {
        let publisher = publisher.gathering(LINGER);
        let mut subscription = place.client("subscriber").await.subscribe(&Interest::new("t")).await.unwrap();
        // Twice: the clock begins anew.
        for numbers in [0..10, 10..20] {
            let start = Instant::now();
            publish(&publisher, numbers.clone()).await;
            for number in numbers {
                assert_eq!(received(&mut subscription).await, numbered(number, 8));
            }
            assert!(start.elapsed() >= LINGER && start.elapsed() < 5 * LINGER, "{:?}", start.elapsed());
        }
        let start = Instant::now();
        // Much of it does not wait, and neither does a question, with what comes before it.
        for number in 20..400 {
            publisher.publish("t", numbered(number, 1024)).await.unwrap();
        }
        let outcome = publisher.request("nobody", Bytes::new(), PATIENCE).await.unwrap();
        assert_eq!(outcome, Outcome::Nobody);
        for number in 20..400 {
            assert_eq!(received(&mut subscription).await, numbered(number, 1024));
        }
        publish(&publisher, 400..410).await;
        timeout(PATIENCE, publisher.close()).await.unwrap();
        for number in 400..410 {
            assert_eq!(received(&mut subscription).await, numbered(number, 8));
        }
        assert!(start.elapsed() < LINGER, "{:?}", start.elapsed());
    }
}
