//! The socket file: who may open it, and what may be in its way.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;

use daemoneye_broker::{Broker, Client, Error, Settings};

use crate::place::Place;

#[tokio::test]
async fn it_is_for_its_user_alone_or_for_a_group_too() {
    let place = Place::new();
    let broker = place.bind();
    let mode = || place.path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    broker.shutdown().await;

    let ours = place.path.parent().unwrap().metadata().unwrap().gid();
    // Only root may give a file to a group that it is not in.
    let group = if are_we_root() { ours + 4242 } else { ours };
    let broker = Broker::bind(&place.path, Settings { group: Some(group), ..place.settings() }).unwrap();
    assert_eq!((mode(), place.path.metadata().unwrap().gid()), (0o660, group));
    place.client("client").await;
    broker.shutdown().await;

    if !are_we_root() {
        let error = Broker::bind(&place.path, Settings { group: Some(0), ..place.settings() }).unwrap_err();
        assert!(matches!(error, Error::Listen { .. }), "{error}");
        assert!(!place.path.exists(), "nothing is left that looks like a broker");
    }
}

fn are_we_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

#[tokio::test]
async fn one_broker_listens_at_a_path_and_a_stale_file_is_replaced() {
    let place = Place::new();
    let broker = place.bind();
    let error = Broker::bind(&place.path, place.settings()).unwrap_err();
    assert!(matches!(error, Error::InUse { .. }));
    let expected = format!("another broker already listens at {}; stop", place.path.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
    place.client("client").await;
    broker.shutdown().await;
    assert!(!place.path.exists());

    // Nobody listens any more, but the file is there.
    drop(UnixListener::bind(&place.path).unwrap());
    let broker = place.bind();
    place.client("client").await;
    broker.shutdown().await;
}

#[tokio::test]
async fn what_is_no_socket_stays() {
    let place = Place::new();
    std::fs::File::create(&place.path).unwrap().write_all(b"precious").unwrap();
    let link = place.path.with_extension("link");
    std::os::unix::fs::symlink(&place.path, &link).unwrap();
    for path in [&place.path, &link] {
        let error = Broker::bind(path, place.settings()).unwrap_err();
        assert!(matches!(error, Error::NotASocket { .. }));
        let expected = format!("cannot listen at {}: the file there is not a socket; move it away", path.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
    assert_eq!(std::fs::read(&place.path).unwrap(), b"precious");
}

#[tokio::test]
async fn a_path_that_cannot_be_says_so() {
    let place = Place::new();
    let folder = place.path.parent().unwrap();
    let long = folder.join("x".repeat(120));
    let expected = format!(
        "socket path {} has {} bytes, at most 107 are possible; choose a shorter one",
        long.display(),
        long.as_os_str().len()
    );
    assert_eq!(Broker::bind(&long, place.settings()).unwrap_err().to_string(), expected);
    assert_eq!(Client::connect(&long, &place.identity("client")).await.unwrap_err().to_string(), expected);
    let kept = Client::keep(&long, place.identity("client"), daemoneye_broker::Backoff::default()).unwrap();
    assert!(kept.closed().await.to_string().ends_with(&expected), "it will not get shorter");
    let longest = folder.join("x".repeat(107 - folder.as_os_str().len() - 1));
    Broker::bind(&longest, place.settings()).unwrap().shutdown().await;

    let nowhere = folder.join("none").join("broker.sock");
    let error = Broker::bind(&nowhere, place.settings()).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot listen at {}: ", nowhere.display())), "{error}");
    let error = Client::connect(&nowhere, &place.identity("client")).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot connect to the broker at {}: ", nowhere.display())), "{error}");
}
