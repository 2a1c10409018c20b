//! Flags that take a secret in one program and something else in another, from the manual pages of each.

/// A flag of one program.
#[derive(Debug)]
pub(super) struct Flag {
    /// As it is written.
    pub(super) name: &'static str,
    pub(super) form: Form,
    pub(super) part: Part,
    /// Only after this word.
    pub(super) after: Option<&'static str>,
}

/// Where the value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `-pVALUE`; a bare `-p` asks.
    Attached,
    /// `-p VALUE`.
    Next,
    /// Either; for a long flag `--name=VALUE`.
    Either,
    /// Either, and as the last of several letters: `-su VALUE`.
    Bundled,
}

/// Which part of the value is the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// What follows the first of these.
    After(u8),
    /// What follows `pass:`; the other ways say where the secret is.
    Passphrase,
}

/// Programs and their flags.
#[derive(Debug)]
pub(super) struct Program {
    /// All that are called like this.
    pub(super) names: &'static [&'static str],
    pub(super) flags: &'static [Flag],
}

const fn flag(name: &'static str, form: Form, part: Part) -> Flag {
    Flag { name, form, part, after: None }
}

const fn flag_after(after: &'static str, name: &'static str, form: Form, part: Part) -> Flag {
    Flag { name, form, part, after: Some(after) }
}

/// Every program that has such flags.
pub(super) const ALL: &[Program] = &[
    // A separate word after `-p` is the database: https://dev.mysql.com/doc/refman/8.4/en/connection-options.html
    Program {
        names: &[
            "mysql",
            "mysqldump",
            "mysqladmin",
            "mysqlimport",
            "mysqlcheck",
            "mysqlshow",
            "mysqlbinlog",
            "mysqlslap",
            "mariadb",
            "mariadb-dump",
            "mariadb-admin",
            "mariadb-import",
            "mariadb-check",
            "mariadb-backup",
            "mycli",
        ],
        flags: &[flag("-p", Form::Attached, Part::Whole)],
    },
    Program { names: &["sshpass"], flags: &[flag("-p", Form::Either, Part::Whole)] },
    Program { names: &["redis-cli", "valkey-cli"], flags: &[flag("-a", Form::Next, Part::Whole)] },
    Program {
        names: &["curl"],
        flags: &[
            flag("-u", Form::Bundled, Part::After(b':')),
            flag("--user", Form::Either, Part::After(b':')),
            flag("-U", Form::Either, Part::After(b':')),
            flag("--proxy-user", Form::Either, Part::After(b':')),
        ],
    },
    Program {
        names: &["http", "https", "xh"],
        flags: &[flag("-a", Form::Either, Part::After(b':')), flag("--auth", Form::Either, Part::After(b':'))],
    },
    Program { names: &["lftp"], flags: &[flag("-u", Form::Either, Part::After(b','))] },
    Program {
        names: &["mongo", "mongosh", "mongodump", "mongorestore", "mongoexport", "mongoimport", "mongostat"],
        flags: &[flag("-p", Form::Either, Part::Whole)],
    },
    Program {
        names: &["docker", "podman", "nerdctl", "buildah", "helm", "skopeo", "oras", "az", "oc"],
        flags: &[flag_after("login", "-p", Form::Either, Part::Whole)],
    },
    Program {
        names: &["ldapsearch", "ldapadd", "ldapmodify", "ldapdelete", "ldapmodrdn", "ldapcompare", "ldapwhoami"],
        flags: &[flag("-w", Form::Either, Part::Whole)],
    },
    Program {
        names: &["ldappasswd"],
        flags: &[
            flag("-w", Form::Either, Part::Whole),
            flag("-s", Form::Either, Part::Whole),
            flag("-a", Form::Either, Part::Whole),
        ],
    },
    Program {
        names: &["smbclient", "rpcclient", "smbget", "smbmap", "net"],
        flags: &[flag("-U", Form::Either, Part::After(b'%')), flag("--user", Form::Either, Part::After(b'%'))],
    },
    Program {
        names: &["openssl"],
        flags: &[
            flag("-passin", Form::Next, Part::Passphrase),
            flag("-passout", Form::Next, Part::Passphrase),
            flag("-pass", Form::Next, Part::Passphrase),
            flag_after("enc", "-k", Form::Next, Part::Whole),
            flag_after("enc", "-K", Form::Next, Part::Whole),
        ],
    },
    Program { names: &["zip", "unzip"], flags: &[flag("-P", Form::Either, Part::Whole)] },
    Program {
        names: &["7z", "7za", "7zr", "7zz", "rar", "unrar"],
        flags: &[flag("-p", Form::Attached, Part::Whole), flag("-hp", Form::Attached, Part::Whole)],
    },
    Program { names: &["sqlcmd", "bcp"], flags: &[flag("-P", Form::Either, Part::Whole)] },
    Program { names: &["ipmitool"], flags: &[flag("-P", Form::Either, Part::Whole)] },
    Program { names: &["xfreerdp", "wlfreerdp"], flags: &[flag("/p:", Form::Attached, Part::Whole)] },
    // Under a wrapper: the names that it looks for are no programs.
    Program { names: &["find"], flags: &[] },
];

/// Programs that run another one, which stands among their arguments.
const WRAPPERS: &[&str] = &[
    "sudo",
    "doas",
    "env",
    "nohup",
    "time",
    "timeout",
    "nice",
    "ionice",
    "setsid",
    "stdbuf",
    "exec",
    "xargs",
    "parallel",
    "watch",
    "strace",
    "ssh",
    "sshpass",
    "docker",
    "podman",
    "nerdctl",
    "kubectl",
    "chroot",
    "nsenter",
    "runuser",
    "systemd-run",
    "flock",
    "command",
    "busybox",
    "unbuffer",
    "script",
    "su",
    "proxychains",
];

/// Programs whose bare `--password` asks for it, so that the next word is something else.
const ASKING: &[&str] = &["psql", "pg_dump", "pg_restore", "pg_dumpall", "createdb", "dropdb", "pg_basebackup"];

/// The flags of the program with this name.
pub(super) fn flags(name: &[u8]) -> Option<&'static [Flag]> {
    ALL.iter().find(|program| is_one_of(program.names, name)).map(|program| program.flags)
}

/// Whether the program runs another.
pub(super) fn is_wrapper(name: &[u8]) -> bool {
    is_one_of(WRAPPERS, name)
}

/// Whether the first word that is no flag of this wrapper is the program that it runs, known or not.
pub(super) fn runs_its_first_word(name: &[u8]) -> bool {
    name == b"sshpass"
}

/// Whether the program asks when `--password` has no `=`.
pub(super) fn asks(name: &[u8]) -> bool {
    is_one_of(ASKING, name) || is_one_of(ALL[0].names, name)
}

fn is_one_of(names: &[&str], name: &[u8]) -> bool {
    names.iter().any(|known| known.as_bytes() == name)
}
