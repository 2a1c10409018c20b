//! From the layers to the settings in force: defaults, files, environment, flags; what comes later goes before.
//!
//! figment merges the layers and keeps, for every value, the metadata of what gave it; each assignment is a provider of
//! its own, so that origin is exact to the line. Nothing is used unless everything is right: all layers are checked
//! first, and all that is wrong is told at once.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use daemoneye_dsl::diagnostic::{Diagnostic, Source};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use crate::check::{self, Set};
use crate::list::{ALL, Kind, LOG_VARIABLE, SHORT_VARIABLES, Setting, Unset, VARIABLE_PREFIX, find};
use crate::paths::is_root;
use crate::places::{self, Layer, Places};
use crate::problem::{Error, Problems};
use crate::typed::Settings;

/// What a flag says: the last layer.
#[derive(Clone, Debug, Default)]
pub struct Flags(Vec<Assigned>);

/// Where settings are said.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Which files are read.
    pub files: Files,
    /// The environment's variables that begin with `DAEMONEYE_`.
    pub variables: Vec<(OsString, OsString)>,
    /// What flags say.
    pub flags: Flags,
}

/// Which files are read.
#[derive(Clone, Debug)]
pub enum Files {
    /// Those of the usual places that are there.
    Usual,
    /// This one, which has to be there.
    Named(PathBuf),
    /// None.
    None,
}

/// The settings in force, and where each comes from.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The settings.
    pub settings: Settings,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// What is worth a warning.
    pub remarks: Vec<String>,
    figment: Figment,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

/// A value of a setting, from one place.
#[derive(Clone, Debug)]
struct Assigned {
    setting: &'static Setting,
    value: Value,
    origin: String,
}

const DEFAULT: &str = "default";

impl Provider for Assigned {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let value = self
            .setting
            .name
            .rsplit('.')
            .fold(self.value.clone(), |value, key| Value::from(Dict::from([(key.to_owned(), value)])));
        Ok(Profile::Default.collect(value.into_dict().expect("a name has at least one part")))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Flags {
    /// A flag with a value, checked by [`flag`](crate::flag()) already.
    pub fn text(&mut self, name: &'static str, flag: &str, text: Option<&str>) {
        let Some(text) = text else { return };
        let setting = find(name).expect("a setting of the list");
        let value = setting.kind.of_text(text).expect("the flag's parser has checked it");
        self.push(setting, flag, value);
    }

    /// A flag that may be given several times.
    pub fn list<T: AsRef<str>>(&mut self, name: &'static str, flag: &str, items: &[T]) {
        if items.is_empty() {
            return;
        }
        let setting = find(name).expect("a setting of the list");
        let items: Vec<_> = items.iter().map(|item| item.as_ref().to_owned()).collect();
        self.push(setting, flag, Value::from(items));
    }

    /// A flag without a value.
    pub fn switch(&mut self, name: &'static str, flag: &str, on: bool) {
        if on {
            self.push(find(name).expect("a setting of the list"), flag, Value::from(true));
        }
    }

    fn push(&mut self, setting: &'static Setting, flag: &str, value: Value) {
        self.0.push(Assigned { setting, value, origin: format!("flag {flag}") });
    }
}

impl Default for Settings {
    fn default() -> Self {
        Sources { files: Files::None, variables: vec![], flags: Flags::default() }.flags_alone()
    }
}

impl Sources {
    /// Those of this process.
    pub fn here(files: Files, flags: Flags) -> Self {
        let ours = |name: &OsString| name.to_string_lossy().starts_with(VARIABLE_PREFIX);
        Self { files, variables: std::env::vars_os().filter(|(name, _)| ours(name)).collect(), flags }
    }

    /// What holds where only the flags count.
    pub fn flags_alone(&self) -> Settings {
        let mut layers = Layers::default();
        layers.defaults();
        layers.assigned.extend(self.flags.0.iter().cloned());
        layers.effective().expect("defaults and flags are right").settings
    }

    /// Reads and checks every layer.
    pub fn load(&self) -> Result<Effective, Problems> {
        let mut layers = Layers::default();
        layers.defaults();
        match &self.files {
            Files::Usual => layers.usual(&Places::usual()),
            Files::Named(path) => layers.file(path),
            Files::None => {}
        }
        layers.variables(&self.variables);
        layers.assigned.extend(self.flags.0.iter().cloned());
        layers.effective()
    }
}

#[derive(Default)]
struct Layers {
    assigned: Vec<Assigned>,
    problems: Vec<Error>,
    files: Vec<PathBuf>,
    remarks: Vec<String>,
}

impl Layers {
    fn defaults(&mut self) {
        for setting in ALL {
            let value = match setting.default {
                Unset::Word(word) => Value::from(word),
                Unset::Number(number) => Value::from(number),
                Unset::Off => Value::from(false),
                Unset::Empty => Value::from(Vec::<String>::new()),
                Unset::Found(_) => continue,
            };
            self.assigned.push(Assigned { setting, value, origin: DEFAULT.to_owned() });
        }
    }

    fn usual(&mut self, places: &Places) {
        let mut last: Option<(Layer, PathBuf)> = None;
        for place in places.look() {
            match place.found {
                Ok(false) => {}
                Ok(true) => {
                    let before = last.take().filter(|(layer, _)| *layer == place.layer);
                    if let Some((_, first)) = before {
                        self.problems.push(Error::TwoFiles(first, place.path.clone()));
                    } else {
                        self.file(&place.path);
                    }
                    last = Some((place.layer, place.path));
                }
                Err(error) => {
                    let folder = place.path.parent().unwrap_or(&place.path).display().to_string();
                    let remark = format!("cannot look for settings in {folder}: {error}; they do not count");
                    if !self.remarks.contains(&remark) {
                        self.remarks.push(remark);
                    }
                }
            }
        }
    }

    fn file(&mut self, path: &Path) {
        let (form, source) = match places::read(path, is_root()) {
            Ok(read) => read,
            Err(error) => return self.problems.push(error),
        };
        self.files.push(path.to_owned());
        let (sets, findings) = check::read(form, &source.text);
        for Set { setting, value, span } in sets {
            let (line, _) = source.position(span.start);
            let value = below(path, setting.kind, value);
            self.assigned.push(Assigned { setting, value, origin: format!("{}:{line}", source.path) });
        }
        self.problems.extend(findings.into_iter().map(|finding| Error::found(&source, finding)));
    }

    fn variables(&mut self, variables: &[(OsString, OsString)]) {
        let mut variables: Vec<_> = variables.iter().collect();
        // The one that sets several goes before those that set one.
        variables.sort_by_key(|(name, _)| (name.to_string_lossy() != LOG_VARIABLE, name.clone()));
        for (name, value) in variables {
            let name = name.to_string_lossy();
            let source = Source { path: format!("environment variable {name}"), text: value.to_string_lossy().into() };
            let refused = if value.to_str().is_none() {
                Some(Diagnostic::error("DE901", 0..0, "the value is no UTF-8 text"))
            } else if name == LOG_VARIABLE {
                self.log_levels(&source)
            } else {
                self.variable(&name, &source)
            };
            self.problems.extend(refused.map(|finding| Error::found(&source, finding)));
        }
    }

    /// One variable, and what is wrong with it.
    fn variable(&mut self, name: &str, source: &Source) -> Option<Diagnostic> {
        let short = SHORT_VARIABLES.iter().find(|(own, _)| *own == name).map(|(_, name)| *name);
        let rest = name.strip_prefix(VARIABLE_PREFIX).unwrap_or(name);
        let dotted = short.map_or_else(|| rest.replace("__", ".").to_ascii_lowercase(), str::to_owned);
        self.text(&dotted, &source.text, 0, source)
    }

    /// `debug`, `info,engine=trace`.
    fn log_levels(&mut self, source: &Source) -> Option<Diagnostic> {
        let mut start = 0;
        for part in source.text.split(',') {
            let refused = match part.split_once('=') {
                _ if part.trim().is_empty() => None,
                Some((component, word)) => {
                    let at = start + component.len() + 1;
                    self.text(&format!("log.levels.{}", component.trim()), word, at, source)
                }
                None => self.text("log.level", part, start, source),
            };
            if refused.is_some() {
                return refused;
            }
            start += part.len() + 1;
        }
        None
    }

    /// Takes what a part of a variable, from `start` on, says of the setting of that name.
    fn text(&mut self, name: &str, text: &str, start: usize, source: &Source) -> Option<Diagnostic> {
        let span = start..start + text.len();
        let Some(setting) = find(name) else { return Some(check::unknown(name, span)) };
        match setting.kind.of_text(text.trim()) {
            Ok(value) => self.assigned.push(Assigned { setting, value, origin: source.path.clone() }),
            Err(fault) => return Some(check::finding(setting, fault, span)),
        }
        None
    }

    fn effective(self) -> Result<Effective, Problems> {
        let Self { assigned, problems, files, remarks } = self;
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let figment = assigned.into_iter().fold(Figment::new(), Figment::merge);
        let settings = figment.extract().expect("checked values have the types of their settings");
        Ok(Effective { settings, files, remarks, figment })
    }
}

/// A relative path starts where the file lies that says it.
fn below(file: &Path, kind: Kind, value: Value) -> Value {
    let folder = file.parent().unwrap_or(Path::new(""));
    let joined = |path: &str| folder.join(path).to_string_lossy().into_owned();
    match (kind, &value) {
        (Kind::Path, Value::String(_, path)) => Value::from(joined(path)),
        (Kind::Paths, Value::Array(_, items)) => {
            Value::from(items.iter().filter_map(Value::as_str).map(joined).collect::<Vec<_>>())
        }
        _ => value,
    }
}

impl Effective {
    /// The value of a setting, as it was said or found.
    pub fn value(&self, setting: &Setting) -> serde_json::Value {
        let text = |path: &Path| serde_json::Value::from(path.display().to_string());
        self.said(setting).unwrap_or_else(|| match setting.name {
            "data" => text(self.settings.data_dir().path()),
            "socket" => text(&self.settings.socket()),
            "key" => text(&self.settings.key_to(&self.settings.socket())),
            "group" | "ledger.export" => "none".into(),
            "ledger.path" => text(&self.settings.ledger_in(&self.settings.data_dir())),
            "rules.paths" => self.settings.rule_paths().iter().map(|path| text(path)).collect(),
            // What else has no value of its own is the level of a component.
            _ => self.settings.log.level.word().into(),
        })
    }

    /// A setting with its value, for programs.
    pub fn describe(&self, setting: &Setting) -> serde_json::Map<String, serde_json::Value> {
        let object = serde_json::json!({
            "setting": setting.name,
            "value": self.value(setting),
            "origin": self.origin(setting).to_string(),
            "effect": setting.effect.word(),
            "variable": setting.variable(),
        });
        object.as_object().cloned().unwrap_or_default()
    }

    fn said(&self, setting: &Setting) -> Option<serde_json::Value> {
        let value = self.figment.find_value(setting.name).ok()?;
        serde_json::to_value(value).ok()
    }

    /// Where that value comes from.
    pub fn origin(&self, setting: &Setting) -> Origin {
        let said = self.figment.find_metadata(setting.name).map(|metadata| metadata.name.to_string());
        Origin(said.unwrap_or_else(|| DEFAULT.to_owned()))
    }

    /// The settings that are said otherwise than before, with the old and the new value.
    pub fn changes<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = Change> + 'a {
        ALL.iter().filter(|setting| before.said(setting) != self.said(setting)).map(|setting| Change {
            setting,
            old: shown(&before.value(setting)),
            new: shown(&self.value(setting)),
        })
    }
}

/// A setting that changed.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which.
    pub setting: &'static Setting,
    /// What it was.
    pub old: String,
    /// What it is.
    pub new: String,
}

/// A value for people.
pub fn shown(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
