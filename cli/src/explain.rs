//! `explain`: how a rule or a statement is run, and what that means for the agent.

use std::path::PathBuf;

use anstyle::Style as Paint;
use anyhow::bail;
use daemoneye_dsl::check::check_query;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::header::{DEDUP_WINDOW_DEFAULT_MICROS, Header};
use daemoneye_dsl::lists;
use daemoneye_dsl::match_key::MatchKey;
use daemoneye_dsl::query::CheckedRule;
use daemoneye_dsl::ruleset::RuleSet;
use daemoneye_dsl::types::{MICROS_PER_SEC, display_interval};
use daemoneye_planner::{Plan, explain, matches_are_events, plan, recomputed};
use serde_json::{Map, Value, json};

use crate::file_table::FileArguments;
use crate::output::{Format, print, write_json};
use crate::page::Page;
use crate::render::Cell;
use crate::screen::{Screen, paint_of};
use crate::{Ending, Globals, files, hunt, with_exit_codes};

/// Show how a rule or a statement is run.
///
/// The plan, the tables it reads, whether the agent runs it on what changed or takes parts of it anew, and what tells
/// one match from another. Reads nothing but the rules; needs no agent and no rights.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(crate) struct Explain {
    /// Rules by name, id, tag or technique, or one statement in quotes
    #[arg(value_name = "RULE|SQL", required = true)]
    what: Vec<String>,
    /// Show the plan after each step that changed it
    #[arg(long)]
    steps: bool,
    /// A rule file or a folder of them; may be repeated [default: ./rules, else the installed rules]
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    files: FileArguments,
}

const EXAMPLES: &str = "\
Examples:
  daemoneye-cli explain reverse_shell
  daemoneye-cli explain --steps \"SELECT c.pid FROM processes c
                                 JOIN processes p ON p.proc_id = c.parent_id
                                 WHERE p.name = 'nginx'\"
  daemoneye-cli explain -o json reverse_shell | jq .key";

pub(crate) fn run(asked: &Explain, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let form = Format::of_text(globals.output)?;
    let catalog = asked.files.load(screen)?.catalog();
    if let Some(sql) = asked.statement()? {
        let catalog =
            catalog.with_lists(files::lists(&asked.rules, &globals.settings)).with_limits(globals.settings.limits);
        let source = Source::query(sql);
        let checked = check_query(&source, &catalog);
        screen.draw(&checked.diagnostics, &source);
        let Some(rule) = checked.rule.or(checked.unavailable) else { return Ok(Ending::Refused) };
        asked.show(&[(&rule, None)], form, globals, screen)?;
        return Ok(Ending::Done { found: false, degraded: false });
    }
    let found = files::rules(&asked.rules, &globals.settings)?;
    let set = RuleSet::check(found.sources, &catalog.with_lists(found.lists).with_limits(globals.settings.limits))
        .with_unavailable();
    let chosen = hunt::choose(&set, &asked.what)?;
    let refused = chosen.draw_refused(&asked.what, screen);
    let rules: Vec<_> = chosen.rules.iter().map(|rule| (*rule, rule.header.as_ref())).collect();
    asked.show(&rules, form, globals, screen)?;
    if refused { Ok(Ending::Refused) } else { Ok(Ending::Done { found: false, degraded: false }) }
}

impl Explain {
    /// The statement, if it is one: no rule has a space in its name.
    fn statement(&self) -> anyhow::Result<Option<&str>> {
        let is_statement = |word: &str| word.trim().contains(char::is_whitespace);
        match self.what.as_slice() {
            [one] if is_statement(one) => Ok(Some(one)),
            [first, _, ..] if first.eq_ignore_ascii_case("select") => {
                bail!(
                    "the statement came as {} words; put it in quotes: daemoneye-cli explain \"SELECT …\"",
                    self.what.len()
                )
            }
            words if words.iter().any(|word| is_statement(word)) => {
                bail!("one statement at a time, and no rules beside it: daemoneye-cli explain \"SELECT …\"")
            }
            _ => Ok(None),
        }
    }

    fn show(
        &self,
        rules: &[(&CheckedRule, Option<&Header>)],
        form: Option<crate::output::Json>,
        globals: &Globals,
        screen: &Screen,
    ) -> anyhow::Result<()> {
        let explained = rules.iter().map(|(rule, header)| Explained::of(rule, *header));
        if let Some(form) = form {
            print(screen, |out| write_json(out, form, explained.map(|it| it.to_json())))?;
            return Ok(());
        }
        let mut page = Page::new(screen, globals.full);
        for (at, it) in explained.enumerate() {
            if at > 0 {
                page.blank();
            }
            it.write(&mut page, self.steps);
        }
        page.print()?;
        Ok(())
    }
}

/// What is to be said about one rule.
struct Explained<'a> {
    rule: &'a CheckedRule,
    header: Option<&'a Header>,
    plan: Plan,
    /// The clauses that are taken anew.
    anew: Vec<&'static str>,
    events: bool,
    samples: bool,
    key: MatchKey,
    window_micros: i64,
}

impl<'a> Explained<'a> {
    fn of(rule: &'a CheckedRule, header: Option<&'a Header>) -> Self {
        let plan = plan(&rule.query);
        Self {
            anew: recomputed(&plan),
            events: matches_are_events(&plan),
            samples: rule.query.reads_samples(),
            key: rule.match_key(),
            window_micros: header.map_or(DEDUP_WINDOW_DEFAULT_MICROS, Header::window_micros),
            rule,
            header,
            plan,
        }
    }

    /// Every table, `ancestors` and its like too, which are none of the plan's.
    fn tables(&self) -> Vec<String> {
        let mut names: Vec<_> = self.rule.query.tables().iter().map(|table| table.table.name.to_string()).collect();
        names.sort_unstable();
        names.dedup();
        names.extend(self.rule.query.lists().into_iter().map(|list| format!("{}('{}')", lists::NAME, list.name)));
        names
    }

    fn key_names(&self) -> Vec<&str> {
        self.key.columns.iter().map(|at| self.rule.query.output[*at].name.as_str()).collect()
    }

    fn write(&self, page: &mut Page<'_>, steps: bool) {
        let bold = Paint::new().bold();
        match self.header {
            Some(header) => page.line(
                0,
                &[
                    Cell::painted(self.rule.name(), bold),
                    Cell::painted(header.level.name(), paint_of(header.level)),
                    Cell::new(format!("rev {}", self.rule.revision)),
                ],
            ),
            None => page.line(0, &[Cell::painted("statement", bold)]),
        }
        let tables = self.tables();
        let window = display_interval(self.window_micros).replace('µ', "u");
        page.fields(&[
            ("reads", if tables.is_empty() { "no table".to_owned() } else { tables.join(", ") }),
            ("runs", self.runs()),
            (
                "matches",
                if self.events { "are events: they have no end" } else { "hold until they are gone" }.to_owned(),
            ),
            ("key", format!("{} ({})", self.key_names().join(", "), self.key.chosen_as)),
            ("window", format!("{window}, in which the same key counts up one alert")),
        ]);
        let trees = if steps { explain(&self.rule.query) } else { vec![("plan".to_owned(), self.plan.to_string())] };
        for (name, tree) in trees {
            page.line(2, &[Cell::painted(name, Paint::new().dimmed())]);
            page.outline(4, &tree);
        }
    }

    fn runs(&self) -> String {
        let anew = match self.anew.as_slice() {
            [] => "on changes only".to_owned(),
            clauses => format!("{} taken anew at each change; the rest on changes only", clauses.join(", ")),
        };
        if self.samples { format!("{anew}; changes of sampled columns count") } else { anew }
    }

    fn to_json(&self) -> Map<String, Value> {
        let steps = explain(&self.rule.query).into_iter().map(|(step, plan)| json!({"step": step, "plan": plan}));
        let object = json!({
            "rule": self.header.map(|_| self.rule.name()),
            "revision": self.rule.revision,
            "tables": self.tables(),
            "incremental": self.anew.is_empty(),
            "recomputed": self.anew,
            "matches_are_events": self.events,
            "reads_samples": self.samples,
            "key": {"columns": self.key_names(), "chosen_as": self.key.chosen_as},
            "window_seconds": self.window_micros / MICROS_PER_SEC,
            "plan": self.plan.to_string(),
            "steps": steps.collect::<Vec<_>>(),
        });
        object.as_object().cloned().unwrap_or_default()
    }
}
