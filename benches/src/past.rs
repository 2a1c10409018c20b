//! Weeks of a busy host, made up, the same in every run: processes as the shared snapshot generator draws them (a few
//! dozen programs, command lines of about 150 bytes of words, paths and numbers, unlike each other), a constant number
//! alive, and as many of them gone and come between two snapshots.

use anyhow::Context;
use arrow_array::RecordBatch;
use daemoneye_dsl::ipc;
use daemoneye_dsl::tables::{Process, schema_of, version_columns};
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp};
use daemoneye_storage::{Error, ProcessChange, Store};

use crate::host::versions;

/// Alive at any moment.
pub const ALIVE: usize = 10_000;
/// The days that it goes back.
pub const DAYS: i64 = 30;
/// When the first snapshot was taken.
pub const BEGIN: Timestamp = Timestamp(1_790_000_000 * MICROS_PER_SEC);
/// A literal that [`NEEDLES`] command lines have.
pub const NEEDLE: &str = "stratum+tcp://pool.odd.example";
/// How many command lines have [`NEEDLE`].
pub const NEEDLES: usize = 40;

const USERS: &[(&str, i64, u32)] = &[
    ("root", 0, 30),
    ("www-data", 33, 8),
    ("postgres", 70, 5),
    ("nobody", 65_534, 3),
    ("sshd", 105, 3),
    ("systemd-network", 100, 2),
    ("alice", 1000, 10),
    ("bob", 1001, 10),
    ("carol", 1002, 10),
    ("dave", 1003, 10),
];
const PROGRAMS: &[(&str, &str)] = &[
    ("systemd", "/usr/lib/systemd/systemd"),
    ("sshd", "/usr/sbin/sshd"),
    ("cron", "/usr/sbin/cron"),
    ("nginx", "/usr/sbin/nginx"),
    ("php-fpm", "/usr/sbin/php-fpm8.2"),
    ("postgres", "/usr/lib/postgresql/16/bin/postgres"),
    ("containerd-shim", "/usr/bin/containerd-shim-runc-v2"),
    ("java", "/usr/lib/jvm/java-17-openjdk/bin/java"),
    ("node", "/usr/bin/node"),
    ("python3", "/usr/bin/python3.11"),
    ("chrome", "/opt/google/chrome/chrome"),
    ("bash", "/bin/bash"),
    ("sh", "/bin/sh"),
    ("zsh", "/usr/bin/zsh"),
    ("curl", "/usr/bin/curl"),
    ("wget", "/usr/bin/wget"),
    ("nc", "/usr/bin/nc"),
    ("socat", "/usr/bin/socat"),
    ("openssl", "/usr/bin/openssl"),
    ("perl", "/usr/bin/perl"),
    ("awk", "/usr/bin/awk"),
    ("find", "/usr/bin/find"),
    ("grep", "/bin/grep"),
    ("tar", "/bin/tar"),
    ("git", "/usr/bin/git"),
    ("ls", "/bin/ls"),
    ("make", "/usr/bin/make"),
    ("gcc", "/usr/bin/gcc-12"),
];
const WORDS: &str = "config server worker cache session proxy static upload backup release deploy metrics health queue \
                     index shard replica tenant gateway service module vendor assets bundle target debug build test \
                     report export import archive batch stream event handler consumer producer scheduler daemon agent \
                     monitor";
const ENDINGS: &[&str] =
    &["conf", "json", "yaml", "toml", "log", "py", "js", "rb", "sh", "so", "jar", "sql", "txt", "tar.gz", "pem"];
const FOLDERS: &[&str] =
    &["/etc", "/var/lib", "/var/log", "/opt", "/srv", "/home/alice", "/usr/share", "/tmp", "/var/www"];

/// A past of so many versions.
#[derive(Clone, Debug)]
pub struct Past {
    state: u64,
    words: Vec<&'static str>,
    started: usize,
    versions: usize,
    alive: Vec<Process>,
}

/// What one snapshot changes.
#[derive(Debug)]
pub struct Step {
    time: Timestamp,
    previous: Option<Timestamp>,
    started: RecordBatch,
    exited: RecordBatch,
}

impl Past {
    /// One that ends when this many processes were started.
    pub fn of(versions: usize) -> Self {
        let words = WORDS.split_whitespace().collect();
        Self { state: 20_240_607, words, started: 0, versions, alive: vec![] }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.state >> 33).expect("31 bits") % bound
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn word(&mut self) -> &'static str {
        let at = self.below(self.words.len());
        self.words[at]
    }

    fn path(&mut self) -> String {
        let mut path = self.one(FOLDERS).to_owned();
        for _ in 0..=self.below(4) {
            path = format!("{path}/{}", self.word());
        }
        format!("{path}/{}.{}", self.word(), self.one(ENDINGS))
    }

    /// What an executable's hash is made up to be.
    pub fn hash(path: &str) -> String {
        let mixed = |hash: u128, byte| hash.wrapping_mul(0x1_0000_01b3).wrapping_add(u128::from(byte) << 64 | 0xb);
        format!("{:064x}", path.bytes().fold(7, mixed))
    }

    fn option(&mut self) -> String {
        match self.below(100) {
            0..35 => {
                let name = format!("--{}-{}", self.word(), self.word());
                match self.below(3) {
                    0 => format!("{name}={}", 1 + self.below(65_535)),
                    1 => format!("{name}={}", self.path()),
                    _ => format!("{name}={}", self.word()),
                }
            }
            35..55 => format!("-{} {}", char::from(b"abcdefgh"[self.below(8)]), self.path()),
            55..70 => format!("--{}", self.word()),
            70..85 => self.path(),
            _ => format!("https://{}.example.com/{}?id={}", self.word(), self.word(), self.below(10_000_000)),
        }
    }

    fn process(&mut self, seen: Timestamp, interval: i64) -> Process {
        let n = self.started;
        self.started += 1;
        let (name, path) = match self.below(1000) {
            0..15 => {
                let name: String = (0..8).map(|_| char::from(b"abcdefghijklmnop0123456789"[self.below(26)])).collect();
                (name.clone(), format!("{}/{name}", self.one(&["/tmp", "/dev/shm", "/var/tmp"])))
            }
            _ => {
                let (name, path) = self.one(PROGRAMS);
                (name.to_owned(), path.to_owned())
            }
        };
        // About the generator's distribution of lengths: 20 to 400 bytes, 150 in the mean.
        let len = 20 + (0..4).map(|_| self.below(66)).sum::<usize>();
        let mut line = if self.below(10) < 6 { path.clone() } else { name.clone() };
        if n % (self.versions / NEEDLES).max(1) == 7 && n / (self.versions / NEEDLES).max(1) < NEEDLES {
            line = format!("{line} -o {NEEDLE}:3333");
        }
        while line.len() < len {
            line = format!("{line} {}", self.option());
        }
        let parent =
            if self.alive.is_empty() || self.below(10) < 3 { None } else { Some(self.below(self.alive.len())) };
        let parent = parent.map(|at| (self.alive[at].proc_id.clone(), self.alive[at].pid));
        let mut weight = u32::try_from(self.below(91)).expect("small");
        let user = USERS.iter().find(|(_, _, share)| {
            let found = weight < *share;
            weight = weight.saturating_sub(*share);
            found
        });
        let (user_name, user_id, _) = user.unwrap_or(&USERS[0]);
        let back = i64::try_from(self.below(usize::try_from(interval / 10_000).expect("positive"))).expect("small");
        Process {
            proc_id: id(n),
            parent_id: Some(parent.as_ref().map_or_else(|| id(0), |(id, _)| id.clone())),
            pid: i64::try_from(2 + n * 2 % 4_194_304).expect("small"),
            ppid: Some(parent.map_or(1, |(_, pid)| pid)),
            executable_hash: Some(Self::hash(&path)),
            hash_algorithm: Some("sha256".to_owned()),
            argv: Some(serde_json::to_string(&line.split(' ').collect::<Vec<_>>()).expect("texts are JSON")),
            name,
            executable_path: Some(path),
            command_line: Some(line),
            cwd: Some("/".to_owned()),
            user_id: Some(*user_id),
            user_name: Some((*user_name).to_owned()),
            group_id: Some(*user_id),
            session_id: Some(i64::try_from(n / 64).expect("small")),
            start_time: Some(Timestamp(seen.0 - back * 10_000)),
            accessible: true,
            file_exists: Some(true),
            on_disk_mismatch: Some(false),
            ..Process::default()
        }
    }

    /// What the next snapshot changes, if it was not the last: `churn` processes come, and once enough are alive, as
    /// many go.
    pub fn next(&mut self, churn: usize) -> Option<Step> {
        let left = self.versions - self.started;
        if left == 0 {
            return None;
        }
        let snapshots = i64::try_from(1 + (self.versions.saturating_sub(ALIVE)).div_ceil(churn)).expect("small");
        let interval = DAYS * 86_400 * MICROS_PER_SEC / snapshots;
        let number = if self.started == 0 { 0 } else { 1 + (self.started.saturating_sub(ALIVE)) / churn };
        let time = Timestamp(BEGIN.0 + i64::try_from(number).expect("small") * interval);
        let count = left.min(if self.started == 0 { ALIVE } else { churn });
        let gone = if self.started == 0 { 0 } else { count };
        let exited: Vec<_> = (0..gone)
            .map(|_| {
                let at = self.below(self.alive.len());
                self.alive.swap_remove(at)
            })
            .collect();
        let started: Vec<_> = (0..count).map(|_| self.process(time, interval)).collect();
        let step = Step {
            time,
            previous: (number > 0).then(|| Timestamp(time.0 - interval)),
            started: versions(&started),
            exited: versions(&exited),
        };
        self.alive.extend(started);
        Some(step)
    }
}

/// Ids are hashes: spread over the whole range.
fn id(n: usize) -> String {
    format!("{:016x}", (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

impl Step {
    /// As bytes, for another process.
    pub fn encode(&self) -> Vec<u8> {
        let (started, exited) = (ipc::encode(&self.started), ipc::encode(&self.exited));
        let mut bytes = self.time.0.to_le_bytes().to_vec();
        bytes.extend(self.previous.map_or(i64::MIN, |previous| previous.0).to_le_bytes());
        bytes.extend((started.len() as u64).to_le_bytes());
        bytes.extend(started);
        bytes.extend(exited);
        bytes
    }

    /// What [`Step::encode`] made.
    pub fn decode(bytes: &[u8]) -> anyhow::Result<Self> {
        let (numbers, rows) = bytes.split_at_checked(24).context("it is cut off")?;
        let number = |at: usize| i64::from_le_bytes(numbers[at * 8..at * 8 + 8].try_into().expect("eight bytes"));
        let (started, exited) = rows.split_at_checked(usize::try_from(number(2))?).context("it is cut off")?;
        let schema = schema_of(&version_columns());
        Ok(Self {
            time: Timestamp(number(0)),
            previous: Some(Timestamp(number(1))).filter(|previous| previous.0 != i64::MIN),
            started: ipc::decode(started, &schema)?,
            exited: ipc::decode(exited, &schema)?,
        })
    }

    /// Versions that are new.
    pub fn rows(&self) -> usize {
        self.started.num_rows()
    }

    /// Records it in a transaction of its own.
    pub fn record(&self, store: &Store) -> Result<(), Error> {
        let changed = self.started.slice(0, 0);
        let mut txn = store.begin()?;
        txn.record_processes(&ProcessChange {
            time: self.time,
            previous_time: self.previous,
            baseline: self.previous.is_none(),
            started: &self.started,
            changed: &changed,
            exited: &self.exited,
        })?;
        txn.commit()
    }
}
