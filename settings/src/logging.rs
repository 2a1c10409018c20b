//! The log of the agent and of procmond: one line for one event, on standard error, for people or as JSON.
//!
//! ```text
//! 2026-11-22T23:28:09.123456Z  INFO engine: alert raised alert=3 rule=suspect source=5f2… sequence=7
//! {"time":"2026-11-22T23:28:09.123456Z","level":"info","component":"engine","message":"alert raised","alert":3,…}
//! ```
//!
//! The fields of the spans around an event stand after its own: what is logged while a snapshot is handled carries the
//! snapshot's source and sequence, so one search follows it from the collector to the alert.
//!
//! Must hold: no value can end a line, act on a terminal, change the reading order or hide, and none can pass for two.
//! For people, values are shown through [`Untrusted`] and quoted where they hold what parts fields; in JSON such
//! characters are `\u` escapes. So call sites log values as they are. No value is longer than a bound.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};

use daemoneye_dsl::untrusted::Untrusted;
use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Map, Serializer, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

use crate::choices::{Level, LogForm};
use crate::list::{COMPONENTS, Component, find};
use crate::typed::Log;

/// Bytes of one value; more is cut, and said to be.
const VALUE_LEN_MAX: usize = 4096;
/// The keys of a JSON line that are not fields.
const OWN_KEYS: [&str; 4] = ["time", "level", "component", "message"];

/// The log while the program runs: its levels can be changed.
#[derive(Debug)]
pub struct Logging {
    levels: reload::Handle<Targets, Registry>,
}

impl Logging {
    /// Sends every event of this program to standard error, panics included. To be called once.
    pub fn start(log: &Log) -> Self {
        let colour = log.format == LogForm::Human
            && io::stderr().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let (filter, levels) = reload::Layer::new(targets(log));
        Registry::default().with(filter).with(lines(log.format, colour, io::stderr)).init();
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let what = panic.payload_as_str().unwrap_or("no message");
            tracing::error!(place, "this is a bug, please report it: {what}");
        }));
        Self { levels }
    }

    /// From now on these levels count; the form of lines stays.
    pub fn set_levels(&self, log: &Log) {
        // The subscriber lives as long as the program.
        let _there_is_one = self.levels.reload(targets(log)).is_ok();
    }
}

fn lines<S, W>(form: LogForm, colour: bool, writer: W) -> impl tracing_subscriber::Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .fmt_fields(SpanFields)
        .event_format(Lines { form, colour })
        .with_ansi(false)
        .log_internal_errors(false)
        .with_writer(writer)
}

fn targets(log: &Log) -> Targets {
    let level = |component: &Component| filter(*log.levels.get(component.name).unwrap_or(&log.level));
    COMPONENTS.iter().fold(Targets::new().with_default(filter(log.level)), |targets, component| {
        component.targets.iter().fold(targets, |targets, target| targets.with_target(*target, level(component)))
    })
}

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    }
}

/// The component that a line comes from.
fn component(target: &str) -> &str {
    let within = |own: &&str| target.strip_prefix(*own).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    let matches =
        COMPONENTS.iter().flat_map(|component| component.targets.iter().map(move |own| (own, component.name)));
    let longest = matches.filter(|(own, _)| within(own)).max_by_key(|(own, _)| own.len());
    longest.map_or_else(|| target.split("::").next().unwrap_or(target), |(_, name)| name)
}

/// Writes events.
struct Lines {
    form: LogForm,
    colour: bool,
}

/// Keeps the fields of a span as a JSON object, to be written with the events in it.
struct SpanFields;

/// Fields on the way to a line, in their order.
#[derive(Default)]
struct Fields {
    message: String,
    values: Map<String, Value>,
}

/// Text up to a bound. Writing more fails, which ends the formatting of the value.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = VALUE_LEN_MAX.saturating_sub(self.0.len());
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let end = text.floor_char_boundary(room);
        self.0.push_str(&text[..end]);
        self.0.push_str(" … (cut)");
        Err(fmt::Error)
    }
}

fn bounded(value: fmt::Arguments<'_>) -> String {
    let mut text = Bounded(String::new());
    // What fails half way is shown as far as it came.
    let _whole = text.write_fmt(value).is_ok();
    text.0
}

impl Fields {
    /// A repeated name, or one of ours, is told apart by an underscore: no field stands for another.
    fn put(&mut self, name: &str, value: Value) {
        let mut name = name.to_owned();
        while self.values.contains_key(&name) || OWN_KEYS.contains(&name.as_str()) {
            name.push('_');
        }
        self.values.insert(name, value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = bounded(format_args!("{value:?}"));
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field.name(), text.into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = bounded(format_args!("{value}"));
        let causes = std::iter::successors(value.source(), |cause| cause.source());
        causes.take(8).for_each(|cause| text.push_str(&bounded(format_args!(": {cause}"))));
        self.record_debug(field, &format_args!("{text}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value.into());
    }
}

impl<'w> FormatFields<'w> for SpanFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut own = Fields::default();
        fields.record(&mut own);
        writer.write_str(&json(&own.values))
    }

    fn add_fields(&self, current: &'w mut FormattedFields<Self>, fields: &tracing::span::Record<'_>) -> fmt::Result {
        let mut own = Fields { message: String::new(), values: parsed(&current.fields) };
        let mut added = Fields::default();
        fields.record(&mut added);
        own.values.extend(added.values);
        current.fields = json(&own.values);
        Ok(())
    }
}

impl<S> FormatEvent<S, SpanFields> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, SpanFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let Some(own) = extensions.get::<FormattedFields<SpanFields>>() else { continue };
            for (name, value) in parsed(&own.fields) {
                // An event that names the same thing itself knows better.
                fields.values.entry(name).or_insert(value);
            }
        }
        let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        let line = match self.form {
            LogForm::Json => json_line(time, event.metadata(), fields),
            LogForm::Human => human_line(&time, event.metadata(), &fields, self.colour),
        };
        writeln!(writer, "{line}")
    }
}

fn parsed(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}

fn human_line(time: &str, metadata: &Metadata<'_>, fields: &Fields, colour: bool) -> String {
    let (dim, bold, paint, plain) = match (colour, *metadata.level()) {
        (false, _) => ("", "", "", ""),
        (true, tracing::Level::ERROR) => ("\u{1b}[2m", "\u{1b}[1m", "\u{1b}[31m", "\u{1b}[0m"),
        (true, tracing::Level::WARN) => ("\u{1b}[2m", "\u{1b}[1m", "\u{1b}[33m", "\u{1b}[0m"),
        (true, tracing::Level::INFO) => ("\u{1b}[2m", "\u{1b}[1m", "\u{1b}[32m", "\u{1b}[0m"),
        (true, _) => ("\u{1b}[2m", "\u{1b}[1m", "\u{1b}[34m", "\u{1b}[0m"),
    };
    let component = Untrusted(component(metadata.target())).terminal();
    let message = Untrusted(&fields.message).terminal();
    let mut line = format!(
        "{dim}{time}{plain} {paint}{:>5}{plain} {dim}{component}:{plain} {bold}{message}{plain}",
        metadata.level()
    );
    for (name, value) in &fields.values {
        let name = Untrusted(name).terminal();
        // A String takes every write.
        let _written = write!(line, " {dim}{name}={plain}{}", field_text(value)).is_ok();
    }
    line
}

/// A value as one word: what holds a blank, a quote or an equals sign is quoted, so that no value looks like two.
fn field_text(value: &Value) -> String {
    let Value::String(text) = value else { return value.to_string() };
    let is_word = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '=' | '\\'));
    if is_word {
        return Untrusted(text).terminal().to_string();
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", Untrusted(&escaped).terminal())
}

fn json_line(time: String, metadata: &Metadata<'_>, fields: Fields) -> String {
    let own = [
        time.into(),
        metadata.level().as_str().to_ascii_lowercase().into(),
        component(metadata.target()).into(),
        fields.message.into(),
    ];
    let own = OWN_KEYS.iter().map(|key| (*key).to_owned()).zip(own);
    json(&own.chain(fields.values).collect())
}

/// JSON with every character escaped that could act on whoever shows it.
fn json(object: &Map<String, Value>) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, Escaping);
    object.serialize(&mut serializer).expect("values of JSON can be written to memory");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let is_plain = |text: &str| Untrusted(text).terminal().is_plain();
        if is_plain(fragment) {
            return writer.write_all(fragment.as_bytes());
        }
        for c in fragment.chars() {
            let mut buffer = [0; 4];
            let text = c.encode_utf8(&mut buffer);
            if is_plain(text) {
                writer.write_all(text.as_bytes())?;
            } else {
                c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(writer, "\\u{unit:04x}"))?;
            }
        }
        Ok(())
    }
}

/// What has to be in the environment of a program that this one starts, so that it logs as this one does, at the level
/// of `component`.
pub fn variables(log: &Log, component: &str) -> BTreeMap<String, String> {
    let level = log.levels.get(component).unwrap_or(&log.level).word();
    // The level of the component too: a variable that was inherited would go before the general one.
    let own = format!("log.levels.{component}");
    [("log.format", log.format.word()), ("log.level", level), (&own, level)]
        .into_iter()
        .filter_map(|(name, word)| Some((find(name)?.variable(), word.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged by `events`.
    fn logged(form: LogForm, log: &Log, events: impl FnOnce()) -> String {
        written(form, false, log, events)
    }

    fn written(form: LogForm, colour: bool, log: &Log, events: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = Registry::default().with(targets(log)).with(lines(form, colour, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, events);
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    fn all() -> Log {
        Log { level: Level::Trace, format: LogForm::Human, levels: BTreeMap::new() }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Hostile(String, #[source] Option<Box<Hostile>>);

    /// One event with the text in every kind of field, and in a span around it.
    fn hostile_events(text: &str) {
        let error = Hostile(text.to_owned(), Some(Box::new(Hostile(text.to_owned(), None))));
        let error: &(dyn std::error::Error + 'static) = &error;
        let span = tracing::error_span!("snapshot", source = text, late = tracing::field::Empty, sequence = 7);
        span.record("late", text);
        let _entered = span.enter();
        tracing::warn!(text, display = %text, debug = ?text, error, bytes = text.as_bytes(), n = -1_i64, real = f64::NAN, yes = true, big = u128::MAX, "said: {text}");
    }

    fn is_safe(c: char) -> bool {
        c == '\n' || matches!(c, '⟦' | '⟧') || Untrusted(c.encode_utf8(&mut [0; 4])).terminal().is_plain()
    }

    fn check_hostile(text: &str) {
        let human = logged(LogForm::Human, &all(), || hostile_events(text));
        assert_eq!(human.matches('\n').count(), 1, "{human}");
        assert!(human.chars().all(is_safe), "{human:?}");
        // What the event says of itself stands there once, whatever a value pretends.
        let json = logged(LogForm::Json, &all(), || hostile_events(text));
        assert_eq!(json.matches('\n').count(), 1, "{json}");
        assert!(json.chars().all(|c| is_safe(c) && !matches!(c, '⟦' | '⟧')), "{json:?}");
        let line: Map<String, Value> = serde_json::from_str(&json).unwrap();
        for key in ["text", "display", "source", "late"] {
            assert_eq!(line[key], text, "JSON keeps values exact");
        }
        assert_eq!(line["message"], format!("said: {text}"));
        assert_eq!(line["error"], format!("{text}: {text}"));
        assert_eq!((&line["sequence"], &line["level"]), (&7.into(), &"warn".into()));
    }

    #[test]
    fn hostile_text_stays_one_value_on_one_line() {
        for text in [
            "a\nb",
            "\r\n2026-11-22T00:00:00Z ERROR agent: forged",
            "\u{1b}]52;c;AAAA\u{7}\u{1b}[2J",
            "exe\u{202e}gpj \u{200b}\u{feff}",
            "\u{9b}31m\u{85}\u{2028}\u{2029}",
            "x\" sequence=9 \\",
            "{\"a\":1}",
            "\u{e0041}\u{ad}⟦\\n⟧",
            "",
        ] {
            check_hostile(text);
        }
    }

    proptest! {
        #[test]
        fn any_text_stays_one_value_on_one_line(text in any::<String>()) {
            check_hostile(&text);
        }
    }

    #[test]
    fn a_value_cannot_pass_for_a_field() {
        let line = logged(LogForm::Human, &all(), || tracing::info!(rule = "x sequence=9", alert = 1, "alert raised"));
        assert!(line.ends_with("INFO settings: alert raised rule=\"x sequence=9\" alert=1\n"), "{line}");
        let line = logged(LogForm::Json, &all(), || tracing::info!(level = "none", time = 1, "x"));
        let line: Map<String, Value> = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["level"], &line["level_"], &line["time_"]), (&"info".into(), &"none".into(), &1.into()));
    }

    #[test]
    fn on_a_terminal_only_our_own_paint_takes_effect() {
        let line = written(LogForm::Human, true, &all(), || tracing::warn!(name = "\u{1b}[31mred", "x"));
        assert!(line.contains("\u{1b}[33m WARN\u{1b}[0m"), "{line:?}");
        let paint = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[33m"];
        let bare = paint.iter().fold(line, |line, paint| line.replace(paint, ""));
        assert!(!bare.contains('\u{1b}') && bare.contains("name=⟦\\e⟧[31mred"), "{bare:?}");
    }

    #[test]
    fn values_are_bounded() {
        let line = logged(LogForm::Human, &all(), || tracing::info!(text = "é".repeat(1 << 20), "x"));
        assert!(line.len() < VALUE_LEN_MAX + 200 && line.contains("(cut)"), "{}", line.len());
    }

    #[test]
    fn each_component_has_its_level() {
        let log = Log { level: Level::Warn, levels: BTreeMap::from([("engine".to_owned(), Level::Debug)]), ..all() };
        let line = logged(LogForm::Human, &log, || {
            tracing::info!(target: "daemoneye_agent::sinks", "not this");
            tracing::debug!(target: "daemoneye_agent::agent", "this");
            tracing::info!(target: "somebody::else", "nor this");
            tracing::warn!(target: "daemoneye_agent", "and this");
        });
        let heard: Vec<_> = line.lines().map(|line| line.split_once("Z ").unwrap().1.trim()).collect();
        assert_eq!(heard, ["DEBUG engine: this", "WARN agent: and this"]);
    }
}
