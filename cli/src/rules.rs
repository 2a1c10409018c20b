//! `rules`: which rules there are, what they say, whether they can work here, and the end of a quarantine.

mod release;

use std::path::{Path, PathBuf};

use anstyle::Style as Paint;
use daemoneye_dsl::diagnostic::Severity;
use daemoneye_dsl::header::{self, Header, Status};
use daemoneye_dsl::query::CheckedRule;
use daemoneye_dsl::ruleset::{RuleFile, RuleSet};
use daemoneye_dsl::tables::{Access, Catalog};
use daemoneye_dsl::types::display_interval;
use serde_json::{Map, Value, json};

use crate::output::{Format, print, write_json};
use crate::page::Page;
use crate::render::{Align, Cell, Column, Extent, Table};
use crate::screen::{Mark, Screen, count, paint_of};
use crate::{Ending, Globals, files, hunt, sources, with_exit_codes};

/// Look at rules, and let quarantined ones run again.
#[derive(Debug, clap::Args)]
pub(crate) struct Rules {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(List),
    Show(Show),
    Release(release::Release),
}

/// List rules and whether they can work here.
///
/// `needs history` rules run in the agent, and in a hunt where there is an agent's store; `limited` ones read columns
/// that nothing collects yet.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
struct List {
    /// Rule files and folders of them [default: ./rules, else the installed rules]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// Show what a rule says: its header and its SQL.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
struct Show {
    /// Rules by name, id, tag or technique
    #[arg(value_name = "RULE", required = true)]
    names: Vec<String>,
    /// A rule file or a folder of them; may be repeated [default: ./rules, else the installed rules]
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  daemoneye-cli rules list
  daemoneye-cli rules list -o ndjson | jq -r 'select(.state != \"ok\") | .rule'
  daemoneye-cli rules show reverse_shell";

pub(crate) fn run(rules: &Rules, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    match &rules.command {
        Command::List(list) => list.run(globals, screen),
        Command::Show(show) => show.run(globals, screen),
        Command::Release(release) => release.run(globals, screen),
    }
}

/// One line of the list.
struct Listed<'a> {
    tactic: &'a str,
    name: &'a str,
    header: Option<&'a Header>,
    state: String,
    path: &'a str,
}

impl<'a> Listed<'a> {
    fn of(file: &'a RuleFile) -> Self {
        let folder = Path::new(&file.source.path).parent().and_then(Path::file_name);
        Self {
            tactic: folder.and_then(|name| name.to_str()).unwrap_or_default(),
            name: file.source.stem(),
            header: file.rule.as_ref().and_then(|rule| rule.header.as_ref()),
            state: state(file),
            path: &file.source.path,
        }
    }

    fn techniques(&self) -> String {
        self.header.map(|header| hunt::techniques(&header.tags)).unwrap_or_default()
    }

    fn cells(&self) -> Vec<Cell> {
        let level = self.header.map(|header| Cell::painted(header.level.name(), paint_of(header.level)));
        vec![
            Cell::new(self.name),
            level.unwrap_or_else(|| Cell::new("")),
            Cell::new(self.header.map(|header| status_name(header.status)).unwrap_or_default()),
            Cell::new(self.techniques()),
            Cell::new(self.state.as_str()),
        ]
    }

    fn to_json(&self) -> Map<String, Value> {
        let techniques = self.techniques();
        let object = json!({
            "rule": self.name,
            "tactic": self.tactic,
            "level": self.header.map(|header| header.level),
            "status": self.header.map(|header| status_name(header.status)),
            "techniques": techniques.split_whitespace().collect::<Vec<_>>(),
            "state": self.state,
            "path": self.path,
        });
        object.as_object().cloned().unwrap_or_default()
    }
}

impl List {
    fn run(&self, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
        let found = files::rules(&self.paths, &globals.settings)?;
        let set = RuleSet::check(
            found.sources,
            &Catalog::builtin().with_lists(found.lists).with_limits(globals.settings.limits),
        );
        let mut listed: Vec<_> = set.files.iter().map(Listed::of).collect();
        listed.sort_by_key(|rule| (rule.tactic, rule.name));
        let extent = write_list(&listed, globals, screen)?;
        let ok = listed.iter().filter(|rule| rule.state == "ok").count();
        let cut = if extent == Extent::Cut { " · values cut to fit (--full shows them)" } else { "" };
        let rules = count(listed.len(), "rule", "rules");
        screen.say(Mark::Note, &format!("{rules} from {} · {ok} ok{cut}", found.place));
        let refused = set.refused().count();
        if refused > 0 {
            let rules = count(refused, "rule was", "rules were");
            screen.say(Mark::Note, &format!("{rules} refused: `daemoneye-cli lint` says why"));
        }
        for error in &found.unreadable {
            screen.say(Mark::Warning, &error.to_string());
        }
        Ok(Ending::Done { found: false, degraded: !found.unreadable.is_empty() })
    }
}

fn write_list(listed: &[Listed<'_>], globals: &Globals, screen: &Screen) -> anyhow::Result<Extent> {
    let form = Format::of_data(globals.output);
    if let Some(form) = form.json() {
        print(screen, |out| write_json(out, form, listed.iter().map(Listed::to_json)))?;
        return Ok(Extent::Whole);
    }
    let columns = vec![
        // A handle that is cut could not be typed.
        Column::new("rule", Align::Left),
        Column::new("level", Align::Left),
        Column::new("status", Align::Left),
        Column::new("techniques", Align::Text),
        Column::new("state", Align::Text),
    ];
    let table = Table { columns, rows: listed.iter().map(Listed::cells).collect(), header: true, indent: 0 };
    Ok(print(screen, |out| table.write(out, form, screen, globals))?.unwrap_or(Extent::Whole))
}

/// Whether the rule can work on this system, and if not, why.
fn state(file: &RuleFile) -> String {
    let Some(rule) = &file.rule else {
        let first = file.diagnostics.iter().find(|it| it.severity == Severity::Error);
        return format!("refused: {}", first.map_or("an error", |it| it.code));
    };
    let platforms = rule.header.as_ref().map(|header| header.platform.as_slice()).unwrap_or_default();
    if !platforms.iter().any(|platform| platform == std::env::consts::OS) {
        return "other platform".to_owned();
    }
    let absent: Vec<_> = rule.query.columns_read().into_iter().map(|(_, column)| column).collect();
    let absent: Vec<_> = absent.iter().filter(|it| it.access == Access::Uncollected).map(|it| &*it.name).collect();
    match (absent.is_empty(), sources::stored_tables(&rule.query).is_empty()) {
        (false, _) => format!("limited: {}", absent.join(", ")),
        (true, false) => "needs history".to_owned(),
        (true, true) => "ok".to_owned(),
    }
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Experimental => "experimental",
        Status::Test => "test",
        Status::Stable => "stable",
        Status::Deprecated => "deprecated",
        Status::Unsupported => "unsupported",
    }
}

impl Show {
    fn run(&self, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
        let found = files::rules(&self.rules, &globals.settings)?;
        let set = RuleSet::check(
            found.sources,
            &Catalog::builtin().with_lists(found.lists).with_limits(globals.settings.limits),
        );
        let chosen = hunt::choose(&set, &self.names)?;
        let refused = chosen.draw_refused(&self.names, screen);
        let object = |rule: &&CheckedRule| Some(to_json(rule, rule.header.as_ref()?));
        if let Some(form) = Format::of_text(globals.output)? {
            print(screen, |out| write_json(out, form, chosen.rules.iter().filter_map(object)))?;
        } else {
            let mut page = Page::new(screen, globals.full);
            let rules = chosen.rules.iter().filter_map(|rule| Some((rule, rule.header.as_ref()?)));
            for (at, (rule, header)) in rules.enumerate() {
                if at > 0 {
                    page.blank();
                }
                write(rule, header, &mut page);
            }
            page.print()?;
        }
        if refused { Ok(Ending::Refused) } else { Ok(Ending::Done { found: false, degraded: false }) }
    }
}

fn write(rule: &CheckedRule, header: &Header, page: &mut Page<'_>) {
    let level = Cell::painted(header.level.name(), paint_of(header.level));
    page.line(0, &[Cell::painted(rule.name(), Paint::new().bold()), level, Cell::new(status_name(header.status))]);
    page.fields(&fields(rule, header));
    page.blank();
    page.lines(2, sql(rule));
}

fn fields(rule: &CheckedRule, header: &Header) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("title", title(header)),
        ("description", header.description.split_whitespace().collect::<Vec<_>>().join(" ")),
        ("tags", header.tags.join(", ")),
        ("platform", header.platform.join(", ")),
    ];
    fields.extend(header.author.clone().map(|author| ("author", author)));
    fields.extend(header.dedup.as_ref().map(|dedup| {
        let columns: Vec<_> = dedup.columns.iter().map(|(name, _)| name.as_str()).collect();
        let window = display_interval(dedup.window_micros).replace('µ', "u");
        ("dedup", format!("{} for {window}", columns.join(", ")))
    }));
    fields.extend(header.falsepositives.iter().map(|it| ("may also be", it.clone())));
    fields.extend(header.references.iter().map(|it| ("reference", it.clone())));
    fields.extend([("id", header.id.clone()), ("revision", rule.revision.clone()), ("path", rule.source.path.clone())]);
    fields
}

fn title(header: &Header) -> String {
    header.title.render(|column| format!("{{{column}}}"))
}

/// The text without its header.
fn sql(rule: &CheckedRule) -> &str {
    let (_, start) = header::read(&rule.source, &mut Vec::new());
    rule.source.text[start..].trim()
}

fn to_json(rule: &CheckedRule, header: &Header) -> Map<String, Value> {
    let dedup = header.dedup.as_ref().map(|dedup| {
        let columns: Vec<_> = dedup.columns.iter().map(|(name, _)| name).collect();
        json!({"columns": columns, "window_seconds": dedup.window_micros / daemoneye_dsl::types::MICROS_PER_SEC})
    });
    let object = json!({
        "rule": rule.name(), "id": header.id, "revision": rule.revision, "title": title(header),
        "level": header.level, "status": status_name(header.status), "description": header.description,
        "tags": header.tags, "platform": header.platform, "author": header.author, "dedup": dedup,
        "falsepositives": header.falsepositives, "references": header.references,
        "path": rule.source.path, "sql": sql(rule),
    });
    object.as_object().cloned().unwrap_or_default()
}
