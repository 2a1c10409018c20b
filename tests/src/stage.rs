//! A place of its own for one test: below `/tmp`, with a short name, because a socket's path has little room.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use daemoneye_broker::{Client, Credential, Encryption, Identity, Role};
use daemoneye_dsl::alert::Alert;
use daemoneye_dsl::check::check_query;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::tables::Catalog;
use daemoneye_dsl::types::{Timestamp, Value};
use daemoneye_planner::{View, execute, plan};
use daemoneye_storage::{ReadStore, Reader};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Map, Value as Json};
use tempfile::TempDir;

use crate::{Suspect, program, until};

/// The id of the rule that [`Stage::new`] writes.
pub const SUSPECT_RULE: &str = "0f2f7d5c-6f0e-4f7c-9d7e-2f1b5a6c7d8e";
/// How long a collector may live on without its agent.
const ORPHAN_LIFE: Duration = Duration::from_secs(2);

/// The folders of a test, gone when it is dropped.
pub struct Stage {
    folder: TempDir,
}

impl Stage {
    /// A stage with one rule, `suspect`: it finds every process whose program was started from [`Stage::bin`].
    pub fn new() -> Self {
        let stage = Self::without_rules();
        let sql = format!(
            "SELECT proc_id, pid, name, command_line, user_name FROM processes WHERE command_line GLOB '{}/*'",
            stage.bin().display()
        );
        stage.rule("suspect", &(header(SUSPECT_RULE, "{name} runs as pid {pid}") + &sql));
        stage
    }

    /// A stage with an empty folder of rules.
    pub fn without_rules() -> Self {
        let folder = tempfile::Builder::new().prefix("de").tempdir_in("/tmp").expect("/tmp takes a folder");
        let stage = Self { folder };
        for path in [stage.rules(), stage.bin()] {
            fs::create_dir(path).expect("a new folder");
        }
        stage
    }

    /// Everything is below it.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The rules.
    pub fn rules(&self) -> PathBuf {
        self.path().join("rules")
    }

    /// The agent's data.
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Where suspects lie.
    pub fn bin(&self) -> PathBuf {
        self.path().join("bin")
    }

    /// Connects to the agent, showing its key.
    pub async fn client(&self, name: &str, role: Role) -> Client {
        let key = Credential::File(self.socket().with_file_name("agent.key"));
        let identity = Identity { name: name.to_owned(), role, key, encryption: Encryption::IfAsked };
        Client::connect(self.socket(), &identity).await.expect("the agent lets its user in")
    }

    /// The agent's socket.
    pub fn socket(&self) -> PathBuf {
        self.data().join("agent.sock")
    }

    /// Writes a rule and gives its path.
    pub fn rule(&self, name: &str, text: &str) -> PathBuf {
        let path = self.rules().join(name).with_extension("sql");
        fs::write(&path, text).expect("the stage takes files");
        path
    }

    /// The agent, not yet started: quick snapshots, records on standard output, a line for each commit.
    pub fn agent(&self) -> Command {
        self.agent_at(&program("daemoneye-agent"))
    }

    /// The same with another path of the program.
    pub fn agent_at(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.arg("--data").arg(self.data()).arg("--rules").arg(self.rules());
        command.args(["--interval", "100ms", "--output", "ndjson", "-v"]).env_remove("DAEMONEYE_LOG");
        // Whatever is set on the machine that runs the tests.
        command.env("XDG_CONFIG_HOME", self.path());
        command
    }

    /// The agent such that [`crate::Program::limit_files`] does not kill it: the kernel does that to who writes beyond the
    /// bound, unless that signal is ignored.
    pub fn agent_on_a_small_disk(&self) -> Command {
        let inner = self.agent();
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(inner.get_program()).args(inner.get_args());
        shell.env("XDG_CONFIG_HOME", self.path()).env_remove("DAEMONEYE_LOG");
        shell
    }

    /// A collector by itself, not yet started.
    pub fn procmond(&self) -> Command {
        let mut command = Command::new(program("procmond"));
        command.arg("--socket").arg(self.socket()).args(["--interval", "100ms", "-v"]);
        command
    }

    /// A copy of `program` under that name, to be started.
    pub fn copy(&self, program: &str, name: &str) -> PathBuf {
        let path = self.bin().join(name);
        fs::copy(program, &path).unwrap_or_else(|error| panic!("cannot copy {program}: {error}"));
        path
    }

    /// Starts a process that the rule `suspect` finds.
    pub fn suspect(&self, name: &str) -> Suspect {
        Suspect::sleeping(&self.copy("/bin/sleep", name))
    }

    /// The alerts in the store, oldest first.
    pub fn stored(&self) -> Vec<Alert> {
        // One state for both questions: the agent may be writing.
        let view = self.store().read().expect("the store can be read");
        let ids = answer(&view, "SELECT id FROM alerts ORDER BY id");
        let alert = |row: &Map<String, Json>| view.alert(row["id"].as_u64()?).ok()?;
        ids.iter().map(|row| alert(row).expect("an alert that is listed is there")).collect()
    }

    /// What a SELECT about the store gives.
    pub fn query(&self, sql: &str) -> Vec<Map<String, Json>> {
        answer(&self.store(), sql)
    }

    fn store(&self) -> ReadStore {
        ReadStore::open(self.data().join("events.redb")).expect("the store can be opened")
    }

    /// Changes a byte of a block of the store, which nobody has open.
    pub fn damage_a_block(&self) {
        let store = self.data().join("events.redb");
        let mut bytes = fs::read(&store).expect("the store is there");
        // In an alert's record the names stand in quotes.
        let at = bytes.windows(6).position(|window| window.ends_with(b"argv") && window[1] != b'"').map(|at| at + 2);
        bytes[at.expect("a block has its columns' names")] ^= 1;
        fs::write(&store, bytes).expect("the store is the test's own");
    }

    /// The collectors that serve this stage, whoever started them.
    pub fn collectors(&self) -> Vec<Pid> {
        let socket = self.socket();
        let serves = |pid: &Pid| {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut arguments = arguments.split(|byte| *byte == 0);
            let is_procmond = arguments.next().is_some_and(|program| program.ends_with(b"procmond"));
            is_procmond && arguments.any(|argument| argument == socket.as_os_str().as_encoded_bytes())
        };
        let entries = fs::read_dir("/proc").expect("there is a /proc");
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.map(Pid::from_raw).filter(serves).collect()
    }

    /// Fails when a collector outlives its agent.
    pub fn no_collector_is_left(&self) {
        let gone = until(ORPHAN_LIFE, || self.collectors().is_empty().then_some(()));
        assert!(gone.is_some(), "procmond {:?} lives on without its agent", self.collectors());
    }

    /// Lets every user look at the stage.
    pub fn open_to_all(&self) {
        fs::set_permissions(self.path(), fs::Permissions::from_mode(0o755)).expect("the stage is the test's own");
    }
}

/// What outlives its test would burden the next one.
impl Drop for Stage {
    fn drop(&mut self) {
        for pid in self.collectors() {
            let _ended_already = kill(pid, Signal::SIGKILL);
        }
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

fn answer(store: &dyn Reader, sql: &str) -> Vec<Map<String, Json>> {
    let checked = check_query(&Source::query(sql), &Catalog::builtin());
    let rule = checked.rule.unwrap_or_else(|| panic!("{sql}: {:?}", checked.diagnostics));
    let view = View::new(None, Some(store));
    let answer = execute(&plan(&rule.query), &view, Timestamp(0)).expect("the store can be read");
    assert!(answer.completeness.is_complete(), "the store is damaged: {:?}", answer.completeness);
    let names: Vec<_> = rule.query.output.iter().map(|column| &column.name).collect();
    let row = |at| {
        names
            .iter()
            .zip(answer.rows.columns())
            .map(move |(name, column)| ((*name).clone(), Value::at(column, at).to_json()))
    };
    (0..answer.rows.num_rows()).map(|at| row(at).collect()).collect()
}

/// The header of a rule.
pub fn header(id: &str, title: &str) -> String {
    format!(
        "-- @id: {id}\n-- @title: {title}\n-- @level: high\n-- @status: test\n-- @tags: attack.execution, \
         attack.t1204.002\n-- @platform: linux\n-- @description: For a test.\n"
    )
}
