//! Processes written down by hand, and the tables that a rule sees over them.
//!
//! A process is a JSON object in the vocabulary of `processes`. What is left out is made up as it would be on a plain
//! host: the arguments from `argv` (a list), the name from the first of them, the program from the name, the parent
//! from `ppid`. `environment_vars` is an object, `start_time` a number of seconds before now. `repeat` makes copies with
//! pids that follow each other and `{n}` counted up. Every process is in `processes` and has just been seen to start.

use arrow_array::RecordBatch;
use daemoneye_collectors::redact::Redactor;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::{Kind, Process};
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp, Type, Value};
use daemoneye_planner::View;
use daemoneye_storage::{Each, Error, Reader, Scan, StoredProcess};
use serde_json::{Map, Value as Json};

/// Characters that Linux keeps of a name.
const NAME_LEN_MAX: usize = 15;

/// The time at which rules look at such rows: 2026-01-01, noon.
pub const NOW: Timestamp = Timestamp(1_767_268_800 * MICROS_PER_SEC);

/// The processes that one JSON object stands for; or what is wrong with it.
pub fn processes(spec: &Map<String, Json>) -> Result<Vec<Process>, String> {
    let count = spec.get("repeat").map_or(Ok(1), |times| times.as_i64().ok_or("`repeat` is no number"))?;
    (0..count).map(|n| process(spec, n)).collect()
}

/// Fills in the parents of processes that name theirs by `ppid`.
pub fn link(processes: &mut [Process]) {
    let ids: Vec<_> = processes.iter().map(|process| (process.pid, process.proc_id.clone())).collect();
    for process in processes {
        let parent = ids.iter().find(|(pid, _)| Some(*pid) == process.ppid);
        process.parent_id = process.parent_id.take().or_else(|| parent.map(|(_, id)| id.clone()));
    }
}

/// The arguments of a process as its columns hold them once the collector has replaced what looks like a secret.
pub fn set_arguments(process: &mut Process, arguments: &[String]) {
    let arguments = without_secrets(arguments, |redactor, area| redactor.arguments(area).into_owned());
    process.command_line = Some(arguments.join(" ").trim_end_matches(' ').to_owned());
    if process.name.is_empty() {
        let first = arguments.first().map_or("", String::as_str);
        process.name = first.rsplit('/').next().unwrap_or_default().chars().take(NAME_LEN_MAX).collect();
    }
    process.argv = Some(Json::from(arguments).to_string());
}

fn set_environment(process: &mut Process, variables: &Map<String, Json>) -> Option<()> {
    let entry = |(name, value): (&String, &Json)| Some(format!("{name}={}", value.as_str()?));
    let entries: Option<Vec<_>> = variables.iter().map(entry).collect();
    let entries = without_secrets(&entries?, |redactor, area| redactor.environment(area).into_owned());
    let pairs = entries.iter().filter_map(|entry| entry.split_once('='));
    let object: Map<String, Json> = pairs.map(|(name, value)| (name.to_owned(), value.into())).collect();
    process.environment_vars = Some(Json::Object(object).to_string());
    Some(())
}

/// Each text as the collector would pass it on.
fn without_secrets(texts: &[String], replace: impl Fn(&Redactor, &[u8]) -> Vec<u8>) -> Vec<String> {
    let area: String = texts.iter().flat_map(|text| [text.as_str(), "\0"]).collect();
    let replaced = replace(&Redactor::with_host_id(b"a host of a test"), area.as_bytes());
    let replaced = String::from_utf8(replaced).expect("a token is text");
    replaced.split_terminator('\0').map(str::to_owned).collect()
}

fn process(spec: &Map<String, Json>, n: i64) -> Result<Process, String> {
    let mut process = Process {
        file_exists: Some(true),
        accessible: true,
        user_id: Some(1000),
        start_time: Some(NOW),
        session_id: Some(1),
        collection_time: NOW,
        ..Process::default()
    };
    for (column, value) in spec {
        set(&mut process, column, value, n).ok_or_else(|| format!("`{column}` cannot be {value}"))?;
    }
    let free = process.pid == 0;
    process.pid = if free { 1000 + n } else { process.pid + n };
    if process.proc_id.is_empty() {
        process.proc_id = format!("{:016x}", process.pid);
    }
    if process.executable_path.is_none() && !spec.contains_key("executable_path") {
        process.executable_path = Some(format!("/usr/bin/{}", process.name));
    }
    if process.user_name.is_none() {
        process.user_name = process.user_id.map(|id| if id == 0 { "root" } else { "user" }.to_owned());
    }
    Ok(process)
}

/// Nothing if the value is not of the column, or there is no such column.
fn set(process: &mut Process, column: &str, value: &Json, n: i64) -> Option<()> {
    let text = |value: &Json| value.as_str().map(|text| text.replace("{n}", &n.to_string()));
    let optional = |value: &Json| if value.is_null() { Some(None) } else { text(value).map(Some) };
    match column {
        "repeat" => {}
        "pid" => process.pid = value.as_i64()?,
        "ppid" => process.ppid = Some(value.as_i64()?),
        "user_id" => process.user_id = Some(value.as_i64()?),
        "session_id" => process.session_id = Some(value.as_i64()?),
        "kernel_thread" => process.kernel_thread = value.as_bool()?,
        "file_exists" => process.file_exists = Some(value.as_bool()?),
        "name" => process.name = text(value)?,
        "executable_path" => process.executable_path = optional(value)?,
        "cwd" => process.cwd = optional(value)?,
        "terminal" => process.terminal = optional(value)?,
        "container_id" => process.container_id = optional(value)?,
        "parent_id" => process.parent_id = optional(value)?,
        "user_name" => process.user_name = optional(value)?,
        "environment_vars" => set_environment(process, value.as_object()?)?,
        "start_time" => process.start_time = Some(Timestamp(NOW.0 - value.as_i64()? * MICROS_PER_SEC)),
        "argv" => {
            let arguments: Option<Vec<_>> = value.as_array()?.iter().map(text).collect();
            set_arguments(process, &arguments?);
        }
        _ => return None,
    }
    Some(())
}

/// The tables over these processes.
pub struct Rows {
    processes: RecordBatch,
}

impl Rows {
    /// All of them are alive and have just started.
    pub fn new(processes: &[Process]) -> Self {
        Self { processes: Process::batch(processes) }
    }

    /// What a rule reads from.
    pub fn view(&self) -> View<'_> {
        View::new(Some(&self.processes), Some(self))
    }
}

impl Reader for Rows {
    fn visit(&self, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
        let len = self.processes.num_rows();
        if scan.table.kind != Kind::Events {
            return Err(Error::Refused(format!("`{}` is not among the rows of a test", scan.table.name)));
        }
        let column = |at: &usize| match &*scan.table.columns[*at].name {
            "observed_at" | "last_seen_at" => Type::Timestamp.array(vec![Value::Timestamp(NOW.0); len]),
            "observed_by" => Type::Text.array(vec![Value::Text("snapshot".into()); len]),
            name => self.processes.column_by_name(name).expect("a column of processes").clone(),
        };
        let fields = scan.columns.iter().map(|at| (scan.table.columns[*at].name.as_ref(), column(at), true));
        let rows = RecordBatch::try_from_iter_with_nullable(fields).expect("columns of one length");
        let _only_one = each(rows);
        Ok(Completeness::default())
    }

    fn process(&self, _proc_id: &str) -> Result<Option<StoredProcess>, Error> {
        Ok(None)
    }
}
