//! Files of settings of every form, good and bad, from the text to what is in force; and what is generated from the
//! list.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use daemoneye_dsl::diagnostic::{Source, Style};
use daemoneye_settings::choices::{Level, Mode};
use daemoneye_settings::list::{ALL, Effect, Kind};
use daemoneye_settings::{Effective, Files, Flags, Form, Settings, Sources, check_text, reference, shown};
use proptest::prelude::*;

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Name, form and text of every file of the corpus.
fn corpus() -> Vec<(String, Form, String)> {
    let folder = project().join("tests/corpus/settings");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let file = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, Form::of(&path).unwrap(), fs::read_to_string(&path).unwrap())
    };
    paths.into_iter().map(file).collect()
}

fn from_text(name: &str, text: &str, variables: &[(&str, &str)]) -> Result<Effective, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
    let sources = Sources { files: Files::Named(path), variables, flags: Flags::default() };
    sources.load().map_err(|problems| problems.to_string().replace(&format!("{}/", dir.path().display()), ""))
}

#[test]
fn good_files_have_no_finding_and_bad_ones_have_some_at_their_place() {
    let files = corpus();
    for form in ["toml", "yaml", "json"] {
        let of_form = files.iter().filter(|(name, ..)| name.ends_with(form));
        assert!(of_form.count() >= 12, "a dozen of {form}");
    }
    for (name, form, text) in files {
        let findings = check_text(form, &text);
        assert_eq!(name.starts_with("good"), findings.is_empty(), "{name}: {findings:?}");
        let source = Source { path: name.clone(), text };
        for finding in findings {
            assert!(finding.span().end <= source.text.len() && finding.help.is_some(), "{name}: {finding:?}");
            let drawn = finding.render(&source, Style::default());
            let harmless = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
            assert!(drawn.chars().all(harmless) && drawn.contains(&name), "{drawn}");
        }
    }
}

#[test]
fn the_three_forms_say_the_same() {
    let texts: Vec<_> = corpus().into_iter().filter(|(name, ..)| name.starts_with("good-all")).collect();
    let loaded: Vec<_> = texts.iter().map(|(name, _, text)| from_text(name, text, &[]).unwrap()).collect();
    let values = |effective: &Effective| -> Vec<_> {
        // Relative paths start where the file lies, and that is another folder each time.
        let local = ["socket", "key", "rules.paths", "ledger.path"];
        ALL.iter().filter(|it| !local.contains(&it.name)).map(|it| (it.name, effective.value(it))).collect()
    };
    assert_eq!(values(&loaded[0]), values(&loaded[1]));
    assert_eq!(values(&loaded[0]), values(&loaded[2]));
    let settings = &loaded[0].settings;
    assert_eq!((settings.collector.mode, settings.collector.interval.as_secs()), (Mode::Wait, 90));
    assert_eq!(settings.log.levels["collector"], Level::Trace);
    assert!(settings.socket().is_absolute() && settings.rules.paths[1] == Path::new("/opt/rules"));
    let sources = Sources { files: Files::None, variables: vec![], flags: Flags::default() };
    let default = sources.load().unwrap();
    assert_eq!(default.settings, Settings::default());
    for setting in ALL {
        let is_level = setting.name.starts_with("log.levels.");
        assert!(is_level || loaded[0].value(setting) != default.value(setting), "{} is as by default", setting.name);
        let origin = loaded[0].origin(setting).to_string();
        assert!(origin.contains("good-all"), "{}: {origin}", setting.name);
    }
}

/// The names of the fields that the programs read.
fn fields(value: &serde_json::Value, prefix: &str, into: &mut BTreeSet<String>) {
    for (key, below) in value.as_object().unwrap() {
        let name = format!("{prefix}{key}");
        match below {
            serde_json::Value::Object(_) => fields(below, &format!("{name}."), into),
            _ => drop(into.insert(name)),
        }
    }
}

#[test]
fn the_list_and_what_the_programs_read_are_the_same() {
    let (name, _, text) = corpus().into_iter().find(|(name, ..)| name == "good-all.toml").unwrap();
    let all_set = from_text(&name, &text, &[]).unwrap().settings;
    let mut read = BTreeSet::new();
    fields(&serde_json::to_value(all_set).unwrap(), "", &mut read);
    assert_eq!(read, ALL.iter().map(|setting| setting.name.to_owned()).collect());
}

#[test]
fn what_comes_later_goes_before_and_every_value_knows_its_origin() {
    let text = "collector.interval = '5s'\ncollector.mode = 'wait'\nlog.level = 'warn'\nlog.levels.store = 'error'\n";
    let variables = [
        ("DAEMONEYE_COLLECTOR__INTERVAL", "7s"),
        ("DAEMONEYE_LOG", "debug,engine=trace,store=info"),
        ("DAEMONEYE_LOG__LEVELS__STORE", "warn"),
        ("DAEMONEYE_COLOR", "never"),
        ("DAEMONEYE_COLLECTOR__REDACT_NAMES", "a, b"),
    ];
    let effective = from_text("daemoneye.toml", text, &variables).unwrap();
    let of = |name: &str| {
        let setting = ALL.iter().find(|setting| setting.name == name).unwrap();
        let origin = effective.origin(setting).to_string();
        (shown(&effective.value(setting)), origin.rsplit('/').next().unwrap().to_owned())
    };
    for (name, value, origin) in [
        ("collector.interval", "7s", "environment variable DAEMONEYE_COLLECTOR__INTERVAL"),
        ("collector.mode", "wait", "daemoneye.toml:2"),
        ("collector.redact", "all", "default"),
        ("collector.redact_names", "a, b", "environment variable DAEMONEYE_COLLECTOR__REDACT_NAMES"),
        ("log.level", "debug", "environment variable DAEMONEYE_LOG"),
        ("log.levels.engine", "trace", "environment variable DAEMONEYE_LOG"),
        ("log.levels.store", "warn", "environment variable DAEMONEYE_LOG__LEVELS__STORE"),
        ("log.levels.sinks", "debug", "default"),
        ("cli.color", "never", "environment variable DAEMONEYE_COLOR"),
    ] {
        assert_eq!(of(name), (value.to_owned(), origin.to_owned()), "{name}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let text = "collector.interval = 'soon'\nx.y = 1\n";
    let variables = [("DAEMONEYE_COLOUR", "red"), ("DAEMONEYE_LOG", "info,engine=loud"), ("DAEMONEYE_DATA", "")];
    let said = from_text("daemoneye.toml", text, &variables).unwrap_err();
    for expected in [
        "daemoneye.toml:1:22: DE904: `collector.interval`: `soon` is not a duration; write a number and a unit, from 10ms to 1d, such as 30s",
        "daemoneye.toml:2:1: DE902: unknown setting `x`",
        "environment variable DAEMONEYE_COLOUR:1:1: DE902: unknown setting `colour`",
        "environment variable DAEMONEYE_LOG:1:13: DE904: `log.levels.engine`: `loud` is not among the words allowed",
        "environment variable DAEMONEYE_DATA:1:1: DE904: `data`: it is empty",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
}

#[test]
fn a_file_that_is_too_long_is_said_to_be() {
    let text = format!("# {}\n", "x".repeat(70_000));
    let said = from_text("daemoneye.yaml", &text, &[]).unwrap_err();
    assert!(said.contains("DE905") && said.contains("65536 bytes are the most"), "{said}");
}

#[test]
fn the_reference_is_current() {
    let path = project().join("docs/settings.md");
    let text = reference::markdown();
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "docs/settings.md is not what the list says: `just reference` writes it anew");
    for setting in ALL {
        assert!(text.contains(&format!("### `{}`", setting.name)) && text.contains(&setting.variable()));
    }
}

#[test]
fn the_schema_has_every_setting_at_its_place() {
    let schema = reference::schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    for setting in ALL {
        let at = setting.name.split('.').fold(&schema, |at, key| &at["properties"][key]);
        assert!(at["description"].as_str().unwrap().starts_with(setting.doc), "{}", setting.name);
        let ty = match setting.kind {
            Kind::Path | Kind::Command | Kind::Group | Kind::Url | Kind::Duration { .. } | Kind::Choice(_) => "string",
            Kind::Paths | Kind::Names => "array",
            Kind::Number { .. } => "integer",
            Kind::Switch => "boolean",
        };
        assert_eq!(at["type"], ty, "{}", setting.name);
    }
    assert_eq!(schema["properties"]["collector"]["additionalProperties"], false);
    assert!(ALL.iter().any(|setting| setting.effect == Effect::Restart));
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>(), near in "[a-z.:= \\n\\[\\]{}\"'#&*,0-9-]{0,80}") {
        for form in [Form::Toml, Form::Yaml, Form::Json] {
            for text in [&text, &near] {
                for finding in check_text(form, text) {
                    finding.render(&Source { path: "x".to_owned(), text: text.clone() }, Style::default());
                }
            }
        }
    }

    #[test]
    fn no_part_of_a_good_file_panics(at in 0_usize..1200, with in any::<char>()) {
        for (_, form, text) in corpus() {
            let at = text.floor_char_boundary(at.min(text.len()));
            check_text(form, &text[..at]);
            let mut changed = text.clone();
            changed.insert(at, with);
            check_text(form, &changed);
        }
    }
}
