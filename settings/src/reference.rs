//! What the list says, for people (`docs/settings.md`) and for editors (a JSON Schema).

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::list::{
    ALL, COMPONENTS, Effect, Kind, LOG_VARIABLE, NAMES_LEN_MAX, PATHS_LEN_MAX, SHORT_VARIABLES, Setting, Unset, User,
};

/// The reference as Markdown.
pub fn markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    let mut table = "";
    for setting in ALL {
        let own = setting.name.split_once('.').map_or("", |(table, _)| table);
        if own != table {
            table = own;
            // A String takes every write.
            let _written = write!(text, "\n## {own}\n").is_ok();
        }
        text.push_str(&entry(setting));
    }
    text
}

const INTRODUCTION: &str = "\
# Settings

Written from `settings/src/list.rs`; `just reference` writes it anew.

Each setting takes its value from the last of these that says one:

1. the built-in default
2. the system's file, `/etc/daemoneye/daemoneye.toml`
3. the user's file, `$XDG_CONFIG_HOME/daemoneye/daemoneye.toml`, else `~/.config/daemoneye/daemoneye.toml`
4. the project's file, `./daemoneye.toml`
5. an environment variable
6. a flag

Instead of `.toml` a file may end in `.yaml`, `.yml` or `.json`; two files in one place are an error. `--config FILE` takes the place of 2 to 4. Lists are replaced, not joined. In a file a relative path starts where the file lies, elsewhere in the working directory. In variables, items of a list are parted by commas.

Unknown names, wrong types and values that are not allowed are errors with their place (DE901 not the form, DE902 unknown, DE903 wrong type, DE904 not allowed, DE905 file longer than 64 KiB); nothing is used unless everything is right. Run as root, a file is refused if anybody else may write to it or to a folder above it.

`daemoneye-cli config show` says what is in force and where it comes from, `config check` what is wrong, `config path` which files are looked for, and `config schema` prints a JSON Schema for editors. On SIGHUP the agent reads everything again: with a mistake it keeps what it had and says why; otherwise settings marked *reload* take effect, rules are read anew, and it names those that wait for the next start.
";

fn entry(setting: &Setting) -> String {
    let users: Vec<_> = setting.users.iter().map(|user| user.name()).collect();
    let default = match setting.default {
        Unset::Word(word) => format!("`{word}`"),
        Unset::Number(number) => format!("`{number}`"),
        Unset::Off => "`false`".to_owned(),
        Unset::Empty => "none".to_owned(),
        Unset::Found(what) => what.to_owned(),
    };
    let mut text = format!(
        "\n### `{}`\n\n{}\n\n- Allowed: {}\n- Default: {default}\n- Variable: `{}`{}\n- Takes effect: {}\n- Read by: {}\n",
        setting.name,
        setting.doc,
        setting.kind.allowed(),
        setting.variable(),
        short(setting),
        match setting.effect {
            Effect::Reload => "on reload (SIGHUP)",
            Effect::Restart => "at the next start",
            Effect::EachRun => "with the next command",
        },
        users.join(", "),
    );
    if let Kind::Choice(choices) = setting.kind
        && !setting.name.starts_with("log.levels.")
    {
        text.push('\n');
        for choice in choices {
            let _written = writeln!(text, "- `{}`: {}", choice.word, choice.doc).is_ok();
        }
    }
    text
}

fn short(setting: &Setting) -> String {
    let short = SHORT_VARIABLES.iter().find(|(_, name)| *name == setting.name);
    match short {
        Some((variable, _)) => format!(", or `{variable}`"),
        None if setting.name == "log.level" => {
            let engine = COMPONENTS[0].name;
            format!(", or `{LOG_VARIABLE}`, which takes the levels of components too: `info,{engine}=debug`")
        }
        None => String::new(),
    }
}

/// A JSON Schema (2020-12) of a file of settings.
pub fn schema() -> Value {
    let mut root = table("Settings of DaemonEye");
    root.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    for setting in ALL {
        let mut at = &mut root;
        let (tables, key) = setting.name.rsplit_once('.').map_or(("", setting.name), |parts| parts);
        for name in tables.split('.').filter(|name| !name.is_empty()) {
            let properties = at["properties"].as_object_mut().expect("a table has properties");
            let below = properties.entry(name).or_insert_with(|| table(name).into());
            at = below.as_object_mut().expect("a table is an object");
        }
        at["properties"][key] = property(setting);
    }
    root.into()
}

fn table(title: &str) -> Map<String, Value> {
    let object = json!({"title": title, "type": "object", "additionalProperties": false, "properties": {}});
    object.as_object().cloned().unwrap_or_default()
}

fn property(setting: &Setting) -> Value {
    let mut schema = match setting.kind {
        Kind::Path | Kind::Command | Kind::Group => json!({"type": "string", "minLength": 1}),
        Kind::Url => json!({"type": "string", "format": "uri", "pattern": "^https?://"}),
        Kind::Paths => json!({"type": "array", "maxItems": PATHS_LEN_MAX, "items": {"type": "string", "minLength": 1}}),
        Kind::Duration { .. } => json!({"type": "string", "pattern": DURATION}),
        Kind::Choice(choices) => {
            let words = choices.iter().map(|choice| json!({"const": choice.word, "description": choice.doc}));
            json!({"type": "string", "oneOf": words.collect::<Vec<_>>()})
        }
        Kind::Number { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::Switch => json!({"type": "boolean"}),
        Kind::Names => {
            let name = json!({"type": "string", "pattern": "^-*[A-Za-z0-9_.][A-Za-z0-9_.-]*$"});
            json!({"type": "array", "maxItems": NAMES_LEN_MAX, "items": name})
        }
    };
    let users: Vec<_> = setting.users.iter().copied().map(User::name).collect();
    let (doc, allowed) = (setting.doc, setting.kind.allowed());
    schema["description"] = format!("{doc} Allowed: {allowed}. Read by {}.", users.join(", ")).into();
    match setting.default {
        Unset::Word(word) => schema["default"] = word.into(),
        Unset::Number(number) => schema["default"] = number.into(),
        Unset::Off => schema["default"] = false.into(),
        Unset::Empty => schema["default"] = json!([]),
        Unset::Found(_) => {}
    }
    schema
}

/// Numbers with units; the bounds are in the description, for a pattern cannot say them.
const DURATION: &str = "^\\s*(\\d+(\\.\\d+)?\\s*[A-Za-zµ]+\\s*)+$";
