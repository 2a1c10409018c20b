//! `explain`: how a rule or a statement is run, and what that means for the agent.
//!
//! Without a flag it reads nothing but rules. `--state`, `--analyze` and `--why-not` look at what is there now, as `query`
//! does, and say what became of it.

mod analyze;
mod state;
mod why_not;

use std::path::PathBuf;

use anstyle::Style as Paint;
use anyhow::bail;
use daemoneye_dsl::check::check_query;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::header::{DEDUP_WINDOW_DEFAULT_MICROS, Header};
use daemoneye_dsl::lists;
use daemoneye_dsl::match_key::MatchKey;
use daemoneye_dsl::query::CheckedRule;
use daemoneye_dsl::ruleset::RuleSet;
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp, display_interval};
use daemoneye_planner::{Plan, explain, matches_are_events, plan, recomputed};
use serde_json::{Map, Value, json};

use self::analyze::Analyzed;
use self::state::State;
use self::why_not::Answer;
use crate::agent::Asking;
use crate::file_table::{FileArguments, FileTables, NowArgument};
use crate::output::{Format, Json, print, write_json};
use crate::page::Page;
use crate::progress::Progress;
use crate::query::incomplete;
use crate::render::Cell;
use crate::screen::{Mark, Screen, paint_of};
use crate::sources::Sources;
use crate::timeout::TimeoutArgument;
use crate::{Ending, Globals, files, hunt, live, with_exit_codes};

/// Show how a rule or a statement is run.
///
/// The plan, the tables it reads, whether the agent runs it on what changed or takes parts of it anew, and what tells
/// one match from another. Reads nothing but the rules; needs no agent and no rights. With --state, --analyze or
/// --why-not it runs once over what is there now: what the agent sees, if it answers, else a live snapshot and the
/// agent's store, or the files of --table.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Explain {
    /// Rules by name, id, tag or technique, or one statement in quotes
    #[arg(value_name = "RULE|SQL", required = true)]
    what: Vec<String>,
    /// Show the plan after each step that changed it
    #[arg(long, group = "view")]
    steps: bool,
    /// Run it once as the agent does, and show its operators: which step on changes, which are taken anew, what each
    /// holds, and how the rows that concern it are found
    #[arg(long, group = "view", group = "looks")]
    state: bool,
    /// Evaluate it once, and show the rows and the time of every operation
    #[arg(long, group = "view", group = "looks")]
    analyze: bool,
    /// Say what keeps this row of the rule's first table from being a match: a process by its pid, or a row by some of
    /// its columns, as a JSON object
    #[arg(long, value_name = "PID|ROW", group = "view", group = "looks", allow_hyphen_values = true)]
    why_not: Option<String>,
    /// A rule file or a folder of them; may be repeated [default: ./rules, else the installed rules]
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// The agent's data directory [default: the agent's own]
    #[arg(long, value_name = "DIR", requires = "looks")]
    data: Option<PathBuf>,
    #[command(flatten)]
    files: FileArguments,
    #[command(flatten)]
    moment: NowArgument,
    /// Ask no agent: take a snapshot of this moment, and read the store
    #[arg(long, requires = "looks")]
    live: bool,
    #[command(flatten)]
    patience: TimeoutArgument,
}

const EXAMPLES: &str = "\
Examples:
  daemoneye-cli explain reverse_shell
  daemoneye-cli explain --steps \"SELECT c.pid FROM processes c
                                 JOIN processes p ON p.proc_id = c.parent_id
                                 WHERE p.name = 'nginx'\"
  daemoneye-cli explain -o json reverse_shell | jq .key

  What does the rule keep in memory on this host, and what costs it time?
    daemoneye-cli explain --state reverse_shell
    daemoneye-cli explain --analyze reverse_shell

  Why is this process no match, or this record of a log?
    daemoneye-cli explain reverse_shell --why-not 4821
    daemoneye-cli explain reverse_shell --table processes=sysmon.jsonl \\
      --why-not '{\"name\": \"bash\", \"user_name\": \"www-data\"}'";

pub(crate) fn run(asked: &Explain, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let form = Format::of_text(globals.output)?;
    let files = asked.files.load(screen)?;
    let catalog = files.catalog();
    let view = asked.view(form, &files, (globals, screen));
    if let Some(sql) = asked.statement()? {
        let catalog =
            catalog.with_lists(files::lists(&asked.rules, &globals.settings)).with_limits(globals.settings.limits);
        let source = Source::query(sql);
        let checked = check_query(&source, &catalog);
        screen.draw(&checked.diagnostics, &source);
        let Some(rule) = checked.rule.or(checked.unavailable) else { return Ok(Ending::Refused) };
        return view.show(&[&rule]);
    }
    let found = files::rules(&asked.rules, &globals.settings)?;
    let set = RuleSet::check(found.sources, &catalog.with_lists(found.lists).with_limits(globals.settings.limits))
        .with_unavailable();
    let chosen = hunt::choose(&set, &asked.what)?;
    let refused = chosen.draw_refused(&asked.what, screen);
    let ending = view.show(&chosen.rules)?;
    if refused { Ok(Ending::Refused) } else { Ok(ending) }
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

    fn view<'a>(
        &'a self,
        form: Option<Json>,
        files: &'a FileTables,
        (globals, screen): (&'a Globals, &'a Screen),
    ) -> View<'a> {
        View { asked: self, form, files, globals, screen }
    }

    /// Whether rows are looked at.
    fn looks(&self) -> bool {
        self.state || self.analyze || self.why_not.is_some()
    }
}

/// What rules are shown with.
struct View<'a> {
    asked: &'a Explain,
    form: Option<Json>,
    files: &'a FileTables,
    globals: &'a Globals,
    screen: &'a Screen,
}

impl View<'_> {
    fn show(&self, rules: &[&CheckedRule]) -> anyhow::Result<Ending> {
        let mut explained: Vec<_> = rules.iter().map(|rule| Explained::of(rule)).collect();
        let (mut completeness, mut origins) = (Completeness::default(), Vec::new());
        if self.asked.looks() {
            let shown = Progress::begin(self.screen, "looking");
            (completeness, origins) = self.look(&mut explained)?;
            drop(shown);
        }
        self.write(&explained)?;
        if !origins.is_empty() {
            self.screen.say(Mark::Note, &origins.join(" · "));
        }
        for it in &explained {
            it.analyzed.as_ref().map_or(Ok(()), Analyzed::failed)?;
        }
        if !completeness.is_complete() {
            self.screen.say(Mark::Warning, &incomplete(&completeness));
        }
        Ok(Ending::Done { found: false, degraded: !completeness.is_complete() })
    }

    /// Looks at what is there; gives what was missing of it, and where it was.
    fn look(&self, explained: &mut [Explained<'_>]) -> anyhow::Result<(Completeness, Vec<String>)> {
        let (asked, settings) = (self.asked, &self.globals.settings);
        let moment = asked.moment.moment()?;
        let asks = !asked.live && self.files.is_empty();
        let agent = asks.then(|| Asking::find(asked.data.as_ref(), settings, self.screen)).flatten();
        let mut completeness = Completeness::default();
        if let Some(agent) = agent.as_ref().filter(|_| asked.analyze)
            && let Some(origin) = analyzed_by(agent, explained, (moment, asked.patience))?
        {
            let all = explained.iter().map(|it| it.completeness(Completeness::default()));
            return Ok((all.fold(completeness, |all, one| all.and(&one)), vec![origin]));
        }
        let mut look = |now| match agent.as_ref().map(Asking::processes).transpose()?.flatten() {
            Some(seen) => Ok(seen),
            None => live::snapshot(now).map(Into::into),
        };
        let queries: Vec<_> = explained.iter().map(|it| &it.rule.query).collect();
        let sources = match &agent {
            Some(agent) => Sources::of_agent(&queries, (agent, asked.patience.limit()), self.files, moment, &mut look)?,
            None => Sources::open(&queries, (asked.data.as_ref(), settings), self.files, moment, &mut look)?,
        };
        for it in explained {
            it.look(asked, &sources)?;
            completeness = completeness.and(&it.completeness(sources.completeness(&it.rule.query)));
        }
        Ok((completeness, sources.origins()))
    }

    fn write(&self, explained: &[Explained<'_>]) -> anyhow::Result<()> {
        if let Some(form) = self.form {
            print(self.screen, |out| write_json(out, form, explained.iter().map(Explained::to_json)))?;
            return Ok(());
        }
        let mut page = Page::new(self.screen, self.globals.full);
        for (at, it) in explained.iter().enumerate() {
            if at > 0 {
                page.blank();
            }
            it.write(&mut page, self.asked.steps);
        }
        page.print()?;
        Ok(())
    }
}

/// Has the agent analyze them; gives where it looked, or nothing where it has seen no snapshot yet.
fn analyzed_by(
    agent: &Asking,
    explained: &mut [Explained<'_>],
    how: (Option<Timestamp>, TimeoutArgument),
) -> anyhow::Result<Option<String>> {
    let mut looked = None;
    for it in explained {
        let Some((analyzed, origin)) = Analyzed::by(agent, (it.rule, &it.plan), how)? else { return Ok(None) };
        it.analyzed = Some(analyzed);
        looked = Some(origin);
    }
    Ok(looked)
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
    state: Option<State>,
    analyzed: Option<Analyzed>,
    answer: Option<Answer>,
}

impl<'a> Explained<'a> {
    fn of(rule: &'a CheckedRule) -> Self {
        let header = rule.header.as_ref();
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
            state: None,
            analyzed: None,
            answer: None,
        }
    }

    /// Runs it over what is there.
    fn look(&mut self, asked: &Explain, sources: &Sources<'_>) -> anyhow::Result<()> {
        let named = |error: anyhow::Error| match self.header {
            Some(_) => error.context(self.rule.name().to_owned()),
            None => error,
        };
        if asked.state {
            self.state = Some(State::of(&self.plan, sources).map_err(named)?);
        }
        if asked.analyze {
            self.analyzed = Some(Analyzed::of(&self.plan, sources, asked.patience));
        }
        if let Some(row) = &asked.why_not {
            self.answer = Some(Answer::of(self.rule, row, sources).map_err(named)?);
        }
        Ok(())
    }

    /// What was missing from what was looked at, which is complete but for `sources`.
    fn completeness(&self, sources: Completeness) -> Completeness {
        let looks = self.state.iter().map(|it| &it.completeness).chain(self.analyzed.iter().map(|it| &it.completeness));
        let looks = looks.chain(self.answer.iter().map(Answer::completeness));
        let mut all = looks.fold(sources, Completeness::and);
        if !self.rule.absent.is_empty() {
            all.add(Reason::ColumnAbsentInData);
        }
        all
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
        if let Some(answer) = &self.answer {
            return answer.write(page, &self.rule.source);
        }
        let tables = self.tables();
        let window = display_interval(self.window_micros).replace('µ', "u");
        let mut fields = vec![
            ("reads", if tables.is_empty() { "no table".to_owned() } else { tables.join(", ") }),
            ("runs", self.runs()),
            (
                "matches",
                if self.events { "are events: they have no end" } else { "hold until they are gone" }.to_owned(),
            ),
            ("key", format!("{} ({})", self.key_names().join(", "), self.key.chosen_as)),
            ("window", format!("{window}, in which the same key counts up one alert")),
        ];
        fields.extend(self.state.iter().flat_map(State::fields));
        fields.extend(self.analyzed.iter().flat_map(Analyzed::fields));
        page.fields(&fields);
        if let Some(state) = &self.state {
            return state.write(page);
        }
        if let Some(analyzed) = &self.analyzed {
            return analyzed.write(page);
        }
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
        let mut object = object.as_object().cloned().unwrap_or_default();
        object.extend(self.state.iter().map(|it| ("state".to_owned(), it.to_json())));
        object.extend(self.answer.iter().map(|it| ("why_not".to_owned(), it.to_json(&self.rule.source))));
        object.extend(self.analyzed.iter().map(|it| ("analysis".to_owned(), it.to_json())));
        object
    }
}
