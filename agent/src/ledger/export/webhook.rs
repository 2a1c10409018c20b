//! A server that takes checkpoints: each is the body of a POST.
//!
//! An outgoing connection for each, closed after it, off unless the settings name a server. It is not sent elsewhere: what
//! redirects is an answer that does not accept.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use ureq::Agent;

/// How long one attempt may take in all, and how long until there is a connection.
const TIME: Duration = Duration::from_secs(30);
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// Bytes of a token.
const TOKEN_LEN_MAX: u64 = 8 << 10;

/// The way there.
#[derive(Debug)]
pub(crate) struct Webhook {
    url: String,
    /// The file with what proves there who this is.
    token: Option<PathBuf>,
    agent: Agent,
}

impl Webhook {
    /// The settings were checked one by one; fails where they do not go together.
    pub(crate) fn new(url: &str, token: Option<&Path>) -> anyhow::Result<Self> {
        ensure!(
            token.is_none() || url.starts_with("https://") || is_local(url),
            "`ledger.webhook_token` would go to {url} for everybody to read: name an https URL, or leave it out"
        );
        Ok(Self::within(TIME, url, token))
    }

    fn within(time: Duration, url: &str, token: Option<&Path>) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(time))
            .timeout_connect(Some(time.min(CONNECT_TIME)))
            .max_redirects(0)
            .http_status_as_error(false)
            .max_idle_connections(0)
            .user_agent(concat!("daemoneye-agent/", env!("CARGO_PKG_VERSION")));
        Self { url: url.to_owned(), token: token.map(Path::to_owned), agent: config.build().new_agent() }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Sends a note; or says why it was not taken.
    pub(super) fn post(&self, note: &str) -> Result<(), String> {
        let mut request = self.agent.post(&self.url).content_type("text/plain; charset=utf-8");
        if let Some(path) = &self.token {
            // Read each time: whoever renews it need not restart the agent.
            request = request.header("Authorization", format!("Bearer {}", token(path)?));
        }
        let answer = request.send(note).map_err(|error| error.to_string())?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(format!("the server answers {status}")) }
    }
}

fn token(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(TOKEN_LEN_MAX).read_to_string(&mut text));
    read.map_err(|error| format!("cannot read the token in {}: {error}", path.display()))?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{} holds no token: it has to be one word of ASCII characters", path.display()));
    }
    Ok(token.to_owned())
}

/// Whether it stays on this host.
fn is_local(url: &str) -> bool {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    // Before an @ stands who one is, and the host behind it.
    !authority.contains('@') && matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::sync::mpsc::{Receiver, channel};

    use super::super::{Exporter, Place};
    use super::*;

    /// A server that gives these answers, one to each connection; then it is gone. An empty answer never comes.
    fn server(answers: &'static [&'static str]) -> (String, Receiver<(String, String)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/checkpoints?host=7", listener.local_addr().unwrap());
        let (heard, requests) = channel();
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                let mut lines = BufReader::new(stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    lines.read_line(&mut head).unwrap();
                }
                let head = head.to_lowercase();
                let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                let mut body = vec![0; len.parse().unwrap()];
                lines.read_exact(&mut body).unwrap();
                heard.send((head, String::from_utf8(body).unwrap())).unwrap();
                let mut stream = lines.into_inner();
                stream.write_all(answer.as_bytes()).unwrap();
                silent.extend(answer.is_empty().then_some(stream));
            }
            heard.send(("gone".to_owned(), String::new())).unwrap();
            std::thread::park();
        });
        (url, requests)
    }

    const DONE: &str = "HTTP/1.1 204 No Content\r\n\r\n";
    const BROKEN: &str = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
    const ELSEWHERE: &str =
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    const NOTE: &str = "origin\n7\nroot\n\n— key signature\n";

    #[test]
    fn what_is_posted_is_the_note_with_the_token_of_the_moment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let (url, requests) = server(&[DONE, DONE]);
        let webhook = Webhook::new(&url, Some(&path)).unwrap();
        assert!(webhook.post(NOTE).unwrap_err().starts_with("cannot read the token"));
        for token in ["one", "two"] {
            std::fs::write(&path, format!("{token}\n")).unwrap();
            webhook.post(NOTE).unwrap();
            let (head, body) = requests.recv().unwrap();
            assert_eq!(body, NOTE);
            for line in [
                "post /checkpoints?host=7 http/1.1",
                "content-type: text/plain; charset=utf-8",
                "user-agent: daemoneye-agent/",
            ] {
                assert!(head.contains(line), "{head}");
            }
            assert!(head.contains(&format!("authorization: bearer {token}\r\n")), "{head}");
        }
        std::fs::write(&path, "two words").unwrap();
        assert!(webhook.post(NOTE).unwrap_err().contains("holds no token"));
    }

    #[test]
    fn a_server_that_does_not_accept_is_named() {
        let nobody = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
        let post = |url: &str| Webhook::within(Duration::from_millis(300), url, None).post(NOTE).unwrap_err();
        assert!(post(&nobody).contains("refused"), "{}", post(&nobody));
        let (url, _requests) = server(&[BROKEN, ELSEWHERE, "", "nonsense\r\n\r\n"]);
        assert_eq!(post(&url), "the server answers 500 Internal Server Error");
        assert_eq!(post(&url), "the server answers 307 Temporary Redirect");
        assert!(post(&url).contains("timeout"), "it hangs");
        assert!(!post(&url).is_empty());
    }

    #[test]
    fn a_token_does_not_travel_in_the_open() {
        let token = Some(Path::new("/token"));
        for url in ["https://vault.example/", "http://127.0.0.1:80/", "http://localhost", "http://[::1]:8/a:b"] {
            assert!(Webhook::new(url, token).is_ok(), "{url}");
        }
        for url in [
            "http://vault.example/",
            "http://localhost.example",
            "http://127.0.0.1.example:80/",
            "http://localhost:80@vault.example/",
        ] {
            let why = Webhook::new(url, token).unwrap_err().to_string();
            assert!(why.contains("https"), "{why}");
            assert!(Webhook::new(url, None).is_ok());
        }
    }

    #[test]
    fn what_was_not_taken_is_posted_again_and_of_several_the_newest() {
        let (url, requests) = server(&[BROKEN, DONE, DONE]);
        let exporter = Exporter::start(Place::Webhook(Webhook::new(&url, None).unwrap())).unwrap();
        exporter.export("1");
        assert_eq!(requests.recv().unwrap().1, "1");
        // Both wait until the pause after the failure is over.
        exporter.export("2");
        exporter.export("3");
        exporter.export_cosigned("1 cosigned");
        assert_eq!(requests.recv().unwrap().1, "1 cosigned");
        assert_eq!(requests.recv().unwrap().1, "3");
        exporter.finish();
        assert_eq!(requests.recv().unwrap().0, "gone", "each is taken once");
    }
}
