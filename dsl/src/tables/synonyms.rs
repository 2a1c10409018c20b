//! What osquery, Sigma, Sysmon and Defender call our tables and the columns of `processes`.

/// Their name and ours.
const SYNONYMS: [(&str, &str); 25] = [
    ("path", "executable_path"),
    ("cmdline", "command_line"),
    ("command", "command_line"),
    ("args", "argv"),
    ("parent", "ppid"),
    ("parent_pid", "ppid"),
    ("uid", "user_id"),
    ("gid", "group_id"),
    ("username", "user_name"),
    ("user", "user_name"),
    ("exe", "executable_path"),
    ("image", "executable_path"),
    ("commandline", "command_line"),
    ("currentdirectory", "cwd"),
    ("processid", "pid"),
    ("parentprocessid", "ppid"),
    ("on_disk", "file_exists"),
    ("resident_size", "memory_usage"),
    ("state", "status"),
    ("hashes", "executable_hash"),
    ("sha256", "executable_hash"),
    ("tty", "terminal"),
    ("processguid", "proc_id"),
    ("parentprocessguid", "parent_id"),
    ("utctime", "start_time"),
];

/// The column of ours that a name from elsewhere means.
pub fn synonym(foreign: &str) -> Option<&'static str> {
    let found = SYNONYMS.iter().find(|(name, _)| foreign.eq_ignore_ascii_case(name));
    found.map(|(_, own)| *own)
}

/// Their tables and ours.
const TABLES: [(&str, &str); 10] = [
    ("ps", "processes"),
    ("pslist", "processes"),
    ("tasklist", "processes"),
    ("win32_process", "processes"),
    ("process_events", "process_starts"),
    ("bpf_process_events", "process_starts"),
    ("es_process_events", "process_starts"),
    ("process_creation", "process_starts"),
    ("deviceprocessevents", "process_starts"),
    ("process_termination", "process_exits"),
];

/// The table of ours that a name from elsewhere means.
pub fn table_synonym(foreign: &str) -> Option<&'static str> {
    let found = TABLES.iter().find(|(name, _)| foreign.eq_ignore_ascii_case(name));
    found.map(|(_, own)| *own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Catalog;

    #[test]
    fn every_synonym_means_a_column_that_has_not_that_name() {
        let catalog = Catalog::builtin();
        let processes = catalog.table("processes").unwrap();
        for (foreign, own) in SYNONYMS {
            assert!(processes.column(own).is_some(), "{own}");
            assert!(processes.column(foreign).is_none(), "{foreign}");
        }
        for (foreign, own) in TABLES {
            assert!(catalog.table(own).is_some() && catalog.table(foreign).is_none(), "{foreign}");
        }
        assert_eq!(synonym("CommandLine"), Some("command_line"));
        assert_eq!(synonym("command_line"), None);
    }
}
