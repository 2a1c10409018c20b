//! The settings of the running agent: read at start, read again when it is told to.
//!
//! What is wrong is refused whole, and what was in force stays. Some settings are taken up at start only; a change of
//! those is named until it is undone or the agent is started again.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use daemoneye_dsl::diagnostic::Style;
use daemoneye_dsl::types::display_interval;
use daemoneye_settings::choices::LogForm;
use daemoneye_settings::list::{ALL, Effect, Setting};
use daemoneye_settings::logging::{self, Logging};
use daemoneye_settings::{Effective, Error, Finding, Problems, Settings, Sources};

use serde_json::{Map, Value, json};

use crate::collector::Orders;

/// Problems of one reading that are on record.
const REFUSALS_MAX: usize = 16;

/// What is in force.
pub(crate) struct InForce {
    sources: Sources,
    logging: Logging,
    started: Effective,
    latest: Effective,
}

impl InForce {
    /// Reads the settings and starts the log. What is wrong is drawn where nobody has said how to log.
    pub(crate) fn start(sources: Sources) -> Result<Self, Problems> {
        let started = sources.load()?;
        let logging = Logging::start(&started.settings.log);
        started.remarks.iter().for_each(|remark| tracing::warn!("{remark}"));
        let files: Vec<_> = started.files.iter().map(|path| path.display().to_string()).collect();
        tracing::debug!(files = files.join(", "), "settings read");
        Ok(Self { sources, logging, latest: started.clone(), started })
    }

    /// What counts now. `data`, `socket` and what else is taken up at start only is in [`InForce::started`].
    pub(crate) fn now(&self) -> &Settings {
        &self.latest.settings
    }

    /// What was read at start.
    pub(crate) fn started(&self) -> &Settings {
        &self.started.settings
    }

    /// Reads everything again; gives what changed, or what is wrong, for the record.
    pub(crate) fn reload(&mut self) -> Result<Map<String, Value>, Vec<String>> {
        let new = match self.sources.load() {
            Ok(new) => new,
            Err(Problems(problems)) => {
                problems.iter().for_each(log_problem);
                tracing::error!(problems = problems.len(), "settings refused; those before stay in force");
                return Err(problems.iter().take(REFUSALS_MAX).map(ToString::to_string).collect());
            }
        };
        new.remarks.iter().for_each(|remark| tracing::warn!("{remark}"));
        let mut changed = Map::new();
        for change in new.changes(&self.latest).filter(|change| change.setting.effect == Effect::Reload) {
            changed.insert(change.setting.name.to_owned(), new.value(change.setting));
            let origin = new.origin(change.setting).to_string();
            tracing::info!(
                setting = change.setting.name,
                old = change.old,
                new = change.new,
                origin,
                "setting changed"
            );
        }
        for change in new.changes(&self.started).filter(|change| change.setting.effect == Effect::Restart) {
            let origin = new.origin(change.setting).to_string();
            let (setting, old, new) = (change.setting.name, change.old, change.new);
            tracing::warn!(setting, old, new, origin, "setting changed; it takes effect when the agent is restarted");
        }
        self.logging.set_levels(&new.settings.log);
        self.latest = new;
        Ok(changed)
    }

    /// Every setting with the value in force and where it is said.
    pub(crate) fn to_json(&self) -> Value {
        ALL.iter().map(|setting| Value::Object(self.in_force(setting).describe(setting))).collect()
    }

    /// The value in force of every setting, for the record.
    pub(crate) fn values(&self) -> Value {
        let value = |setting: &&Setting| (setting.name.to_owned(), self.in_force(setting).value(setting));
        let values: Map<_, _> =
            ALL.iter().filter(|setting| setting.effect != Effect::EachRun).map(|it| value(&it)).collect();
        json!({"settings": values})
    }

    fn in_force(&self, setting: &Setting) -> &Effective {
        match setting.effect {
            Effect::Restart => &self.started,
            Effect::Reload | Effect::EachRun => &self.latest,
        }
    }

    /// How findings are drawn on standard error, where the log is for people.
    pub(crate) fn drawing(&self) -> Option<Style> {
        let human = self.started().log.format == LogForm::Human;
        human.then(|| Style { colour: std::io::stderr().is_terminal(), ..Style::default() })
    }

    /// What the collector is told. It reads no settings by itself: they may be wrong by now, and it has to start.
    pub(crate) fn orders(&self, socket: &std::path::Path) -> Orders {
        let told = &self.now().collector;
        let micros = i64::try_from(told.interval.as_micros()).unwrap_or(i64::MAX);
        let mut args: Vec<OsString> = vec!["--no-config".into(), "--socket".into(), socket.into()];
        let interval = display_interval(micros);
        args.extend(["--interval", &interval, "--redact", told.redact.word()].map(OsString::from));
        args.extend(told.redact_names.iter().map(|name| OsString::from(format!("--redact-name={name}"))));
        let mut log = self.now().log.clone();
        log.format = self.started().log.format;
        Orders { args, variables: logging::variables(&log, "collector") }
    }

    /// The rule paths that count now.
    pub(crate) fn rule_paths(&self) -> Vec<PathBuf> {
        self.now().rule_paths()
    }
}

fn log_problem(problem: &Error) {
    match problem {
        Error::Found(found) => {
            let Finding { source, diagnostic } = &**found;
            let (line, column) = source.position(diagnostic.span().start);
            let help = diagnostic.help.as_ref().map(|help| help.text.as_str()).unwrap_or_default();
            let (file, code) = (&source.path, diagnostic.code);
            tracing::error!(file, line, column, code, help, "{}", diagnostic.message);
        }
        other => tracing::error!("{other}"),
    }
}

/// Draws what is wrong where there is no log yet.
pub(crate) fn draw(problems: &Problems) {
    let style = Style { colour: std::io::stderr().is_terminal(), ..Style::default() };
    let mut err = anstream::stderr();
    for problem in &problems.0 {
        let _nobody_reads = writeln!(err, "{}\n", problem.render(style));
    }
}
