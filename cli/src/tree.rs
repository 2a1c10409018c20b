//! `tree`: what runs now, below what started it.
//!
//! The parent is the present one, as the system has it. Rows are read one after the other while processes come and go,
//! so a parent may be missing, or two rows each other's parent; such a process begins a tree of its own.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

use anstyle::Style as Paint;
use anyhow::bail;
use daemoneye_collectors::Snapshot;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::diagnostic::nearest;
use daemoneye_dsl::tables::Process;
use daemoneye_dsl::types::{Timestamp, Value};
use daemoneye_settings::Settings;
use serde_json::{Map, json};

use crate::hunt::{self, Hit, Subject};
use crate::output::{Format, Json, print, write_json};
use crate::page::{Branch, Page};
use crate::progress::Progress;
use crate::query::incomplete;
use crate::render::{Cell, Extent};
use crate::screen::{Mark, Screen, count, glyphs, paint_of};
use crate::{Ending, Globals, files, live, with_exit_codes};

/// Show what runs as a tree.
///
/// Processes that rules find now are marked with the gravest of them. With a name or a pid, or with `--hits`, only
/// those processes, with everything above and below them. JSON output is one row a process, in the order of the tree,
/// with its `depth` and its `hits`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(crate) struct Tree {
    /// Only processes with this name or pid [default: all]
    #[arg(value_name = "NAME|PID")]
    only: Option<String>,
    /// Only processes that rules find now
    #[arg(long, conflicts_with_all = ["only", "no_hits"])]
    hits: bool,
    /// Do not look with rules
    #[arg(long, conflicts_with = "rules")]
    no_hits: bool,
    /// A rule file or a folder of them; may be repeated [default: ./rules, else the installed rules]
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Show each kernel thread, not only their number
    #[arg(long)]
    all: bool,
}

const EXAMPLES: &str = "\
Examples:
  daemoneye-cli tree
  daemoneye-cli tree --hits              what rules find, where it comes from
  daemoneye-cli tree nginx
  daemoneye-cli tree -o ndjson | jq 'select(.depth > 5) | .name'";

/// Columns of the JSON form, after `depth`.
const COLUMNS: [&str; 8] =
    ["pid", "ppid", "name", "user_name", "command_line", "proc_id", "kernel_thread", "start_time"];

pub(crate) fn run(tree: &Tree, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let started = Instant::now();
    let form = Format::of_data(Format::without_tables(globals.output)?);
    let now = live::now();
    let snapshot = {
        let _shown = Progress::begin(screen, "reading the processes");
        live::snapshot(now)?
    };
    let mut forest = Forest::of(&snapshot);
    let looked = tree.look(&mut forest, &snapshot, now, (&globals.settings, screen))?;
    let matched = if tree.hits { Some(forest.hit()) } else { tree.matched(&forest)? };
    let kept = match &matched {
        Some(matched) => forest.related(matched),
        None => vec![true; forest.processes.len()],
    };
    let elapsed_ms = started.elapsed().as_millis();
    let extent = match form.json() {
        Some(form) => write_rows(&forest, &kept, form, screen)?,
        None => tree.draw(&forest, kept.clone(), matched.as_deref(), globals, screen)?,
    };
    let shown = kept.iter().filter(|it| **it).count();
    let all = forest.processes.len();
    let number = count(all, "process", "processes");
    let mut parts = vec![if shown < all { format!("{shown} of {number}") } else { number }];
    parts.extend(looked.said);
    parts.push(live::note(&snapshot));
    parts.extend((extent == Extent::Cut).then(|| "values cut to fit (--full shows them)".to_owned()));
    parts.push(format!("{elapsed_ms} ms"));
    screen.say(Mark::Note, &parts.join(" · "));
    let completeness = snapshot.completeness.clone().and(&looked.completeness);
    if !completeness.is_complete() {
        screen.say(Mark::Warning, &incomplete(&completeness));
    }
    Ok(Ending::Done { found: false, degraded: !completeness.is_complete() })
}

/// What came of looking with rules.
#[derive(Default)]
struct Looked {
    /// `4 hits of 11 rules from rules`, if rules looked.
    said: Option<String>,
    completeness: Completeness,
}

impl Tree {
    /// Marks what the rules find.
    fn look(
        &self,
        forest: &mut Forest,
        snapshot: &Snapshot,
        now: Timestamp,
        (settings, screen): (&Settings, &Screen),
    ) -> anyhow::Result<Looked> {
        if self.no_hits {
            return Ok(Looked::default());
        }
        let found = match files::rules(&self.rules, settings) {
            Ok(found) => found,
            // Processes are there without rules, unless it is rules that were asked for.
            Err(error) if self.hits || !self.rules.is_empty() => return Err(error),
            Err(_) => {
                screen.say(Mark::Note, "no rules found, so none are marked: name them with --rules PATH");
                return Ok(Looked::default());
            }
        };
        let hits = hunt::hits(found, snapshot, now, &Progress::begin(screen, "running rules"))?;
        hits.silent.iter().for_each(|why| screen.say(Mark::Warning, why));
        let elsewhere = forest.mark(hits.found);
        if elsewhere > 0 {
            let matches = count(elsewhere, "match names", "matches name");
            screen.say(Mark::Note, &format!("{matches} no process that runs now: `daemoneye-cli hunt` shows them"));
        }
        let number = forest.processes.iter().map(|process| process.hits.len()).sum();
        let said = Some(format!("{} of {}", count(number, "hit", "hits"), hits.looked));
        Ok(Looked { said, completeness: hits.completeness })
    }

    /// Which processes are asked for, if not all.
    fn matched(&self, forest: &Forest) -> anyhow::Result<Option<Vec<bool>>> {
        let Some(word) = &self.only else { return Ok(None) };
        let pid = word.parse().ok();
        let is_meant = |process: &Row| Some(process.pid) == pid || process.name == *word;
        let matched: Vec<_> = forest.processes.iter().map(is_meant).collect();
        if !matched.contains(&true) {
            let near = nearest(word, forest.processes.iter().map(|process| process.name.as_str()));
            let next = near.map_or("`daemoneye-cli tree` shows all".to_owned(), |it| format!("did you mean `{it}`?"));
            bail!("no process has the name or pid `{word}`; {next}");
        }
        Ok(Some(matched))
    }

    fn draw(
        &self,
        forest: &Forest,
        mut kept: Vec<bool>,
        matched: Option<&[bool]>,
        globals: &Globals,
        screen: &Screen,
    ) -> anyhow::Result<Extent> {
        let mut folded = 0;
        if !self.all && matched.is_none() {
            for (kept, process) in kept.iter_mut().zip(&forest.processes) {
                folded += usize::from(process.kernel_thread);
                *kept = !process.kernel_thread;
            }
        }
        let branch = |node: Node| {
            let process = &forest.processes[node.at];
            let place = match matched {
                _ if !process.hits.is_empty() => Place::Meant,
                Some(matched) if matched[node.at] => Place::Meant,
                Some(_) => Place::Around,
                None => Place::Plain,
            };
            let is_meant = matched.is_some_and(|matched| matched[node.at]);
            let mark = process
                .mark(screen)
                .or_else(|| is_meant.then(|| Cell::painted(glyphs(screen.out, "◄"), Paint::new().bold())));
            Branch { depth: node.depth, is_last: node.is_last, cells: process.cells(place), mark }
        };
        let branches: Vec<_> = forest.walk(&kept).into_iter().map(branch).collect();
        let mut page = Page::new(screen, globals.full);
        page.tree(0, &branches);
        if folded > 0 {
            let threads = count(folded, "kernel thread", "kernel threads");
            page.line(0, &[Cell::painted(format!("{threads} (--all shows them)"), Paint::new().dimmed())]);
        }
        Ok(page.print()?.unwrap_or(Extent::Whole))
    }
}

fn write_rows(forest: &Forest, kept: &[bool], form: Json, screen: &Screen) -> anyhow::Result<Extent> {
    let objects = forest.walk(kept).into_iter().map(|node| {
        let columns = COLUMNS.iter().zip(&forest.processes[node.at].values);
        let columns = columns.map(|(name, value)| ((*name).to_owned(), value.to_json()));
        let hits = forest.processes[node.at].hits.iter();
        let hits = hits.map(|hit| json!({"level": hit.level, "rule": hit.rule, "title": hit.title})).collect();
        let depth = ("depth".to_owned(), node.depth.into());
        std::iter::once(depth).chain(columns).chain([("hits".to_owned(), hits)]).collect::<Map<_, _>>()
    });
    print(screen, |out| write_json(out, form, objects))?;
    Ok(Extent::Whole)
}

/// The processes and who is whose parent.
struct Forest {
    /// By pid.
    processes: Vec<Row>,
    /// The position of each one's parent.
    parents: Vec<Option<usize>>,
}

struct Row {
    pid: i64,
    name: String,
    kernel_thread: bool,
    /// Of [`COLUMNS`].
    values: Vec<Value>,
    /// What rules find of it, the gravest first.
    hits: Vec<Hit>,
}

/// What a process is in what is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// One of all.
    Plain,
    /// What was asked for, or hit.
    Meant,
    /// Above or below that.
    Around,
}

/// A process at its place in a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    at: usize,
    depth: usize,
    is_last: bool,
}

impl Row {
    fn cells(&self, place: Place) -> Vec<Cell> {
        let text = |at: usize| self.values[at].as_text().unwrap_or_default();
        let (name, rest) = match place {
            Place::Plain => (Paint::new(), Paint::new()),
            Place::Meant => (Paint::new().bold(), Paint::new()),
            Place::Around => (Paint::new().dimmed(), Paint::new().dimmed()),
        };
        let handle = format!("{}[{}]", self.name, self.pid);
        vec![Cell::painted(handle, name), Cell::painted(text(3), rest), Cell::painted(text(4), rest)]
    }

    /// `◄ high reverse_shell +1`, if a rule finds it.
    fn mark(&self, screen: &Screen) -> Option<Cell> {
        let (gravest, others) = self.hits.split_first()?;
        let more = if others.is_empty() { String::new() } else { format!(" +{}", others.len()) };
        let text = format!("{} {} {}{more}", glyphs(screen.out, "◄"), gravest.level.name(), gravest.rule);
        Some(Cell::painted(text, paint_of(gravest.level)))
    }
}

impl Forest {
    fn of(snapshot: &Snapshot) -> Self {
        let columns = Process::columns();
        let places = COLUMNS.map(|name| columns.iter().position(|it| it.name == name).expect("a column of processes"));
        let row = |at: usize| {
            let values: Vec<_> = places.iter().map(|column| Value::at(snapshot.rows.column(*column), at)).collect();
            let row = Row {
                pid: values[0].as_integer().unwrap_or_default(),
                name: values[2].as_text().unwrap_or_default().to_owned(),
                kernel_thread: values[6] == Value::Boolean(true),
                values,
                hits: Vec::new(),
            };
            (row.values[1].as_integer(), row)
        };
        Self::new((0..snapshot.rows.num_rows()).map(row).collect())
    }

    /// Processes, each with its parent's pid.
    fn new(mut processes: Vec<(Option<i64>, Row)>) -> Self {
        processes.sort_by_key(|(_, process)| process.pid);
        let places: HashMap<_, _> = processes.iter().enumerate().map(|(at, (_, it))| (it.pid, at)).collect();
        let parents = processes.iter().map(|(parent, _)| places.get(parent.as_ref()?).copied()).collect();
        Self { parents, processes: processes.into_iter().map(|(_, process)| process).collect() }
    }

    /// Gives each hit to its process; tells how many have none here.
    fn mark(&mut self, hits: Vec<Hit>) -> usize {
        let mut elsewhere = 0;
        for hit in hits {
            let is_subject = |process: &Row| match &hit.subject {
                Subject { proc_id: Some(id), .. } => process.values[5].as_text() == Some(id),
                Subject { pid, .. } => *pid == Some(process.pid),
            };
            match self.processes.iter().position(is_subject) {
                Some(at) => self.processes[at].hits.push(hit),
                None => elsewhere += 1,
            }
        }
        elsewhere
    }

    /// Which processes rules find.
    fn hit(&self) -> Vec<bool> {
        self.processes.iter().map(|process| !process.hits.is_empty()).collect()
    }

    /// The matched processes with all that is above and below them.
    fn related(&self, matched: &[bool]) -> Vec<bool> {
        let mut kept = vec![false; matched.len()];
        let whole = vec![true; matched.len()];
        // Within a walk everything below a node follows it, deeper than it.
        let mut below: Option<usize> = None;
        for node in self.walk(&whole) {
            below = below.filter(|depth| node.depth > *depth).or(matched[node.at].then_some(node.depth));
            kept[node.at] = below.is_some();
        }
        for at in (0..matched.len()).filter(|at| matched[*at]) {
            let mut above = self.parents[at];
            while let Some(parent) = above.filter(|parent| !kept[*parent]) {
                kept[parent] = true;
                above = self.parents[parent];
            }
        }
        kept
    }

    /// The kept processes, each after its parent.
    fn walk(&self, kept: &[bool]) -> Vec<Node> {
        let mut children = vec![Vec::new(); kept.len()];
        let mut roots = Vec::new();
        for at in (0..kept.len()).filter(|at| kept[*at]) {
            match self.parents[at].filter(|parent| kept[*parent] && *parent != at) {
                Some(parent) => children[parent].push(at),
                None => roots.push(at),
            }
        }
        let mut met: Vec<_> = kept.iter().map(|kept| !kept).collect();
        let mut nodes = Vec::new();
        // After the roots, what no root leads to: a ring of parents is entered at its lowest pid.
        for start in roots.into_iter().chain(0..kept.len()) {
            let mut rest = vec![Node { at: start, depth: 0, is_last: true }];
            while let Some(node) = rest.pop() {
                if std::mem::replace(&mut met[node.at], true) {
                    continue;
                }
                nodes.push(node);
                let below = children[node.at].iter().filter(|at| !met[**at]).rev().enumerate();
                rest.extend(below.map(|(back, at)| Node { at: *at, depth: node.depth + 1, is_last: back == 0 }));
            }
        }
        nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forest(pids: &[(i64, i64)]) -> Forest {
        let row = |(pid, parent): &(i64, i64)| {
            (
                Some(*parent),
                Row { pid: *pid, name: pid.to_string(), kernel_thread: false, values: vec![], hits: vec![] },
            )
        };
        Forest::new(pids.iter().map(row).collect())
    }

    fn walked(forest: &Forest, kept: &[bool]) -> Vec<(String, usize, bool)> {
        let nodes = forest.walk(kept).into_iter();
        nodes.map(|node| (forest.processes[node.at].name.clone(), node.depth, node.is_last)).collect()
    }

    #[test]
    fn every_process_is_there_once_even_in_a_ring() {
        let forest = forest(&[(1, 0), (7, 8), (8, 7), (3, 1), (2, 1), (4, 2), (9, 9), (5, 99)]);
        let expected = [
            ("1", 0, true),
            ("2", 1, false),
            ("4", 2, true),
            ("3", 1, true),
            ("5", 0, true),
            ("9", 0, true),
            ("7", 0, true),
            ("8", 1, true),
        ];
        let expected = expected.map(|(name, depth, is_last)| (name.to_owned(), depth, is_last));
        assert_eq!(walked(&forest, &[true; 8]), expected);
    }

    #[test]
    fn what_is_asked_for_comes_with_what_is_above_and_below() {
        let forest = forest(&[(1, 0), (2, 1), (3, 2), (4, 3), (5, 2), (6, 1)]);
        let matched: Vec<_> = forest.processes.iter().map(|it| it.pid == 3).collect();
        let kept = forest.related(&matched);
        let names: Vec<_> = walked(&forest, &kept).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["1", "2", "3", "4"]);
        let ring = super::tests::forest(&[(7, 8), (8, 7), (9, 8)]);
        assert_eq!(ring.related(&[false, true, false]), [true, true, true]);
    }

    #[test]
    fn a_chain_of_any_depth_is_walked() {
        let chain: Vec<_> = (1..100_000).map(|pid| (pid, pid - 1)).collect();
        let forest = forest(&chain);
        let nodes = forest.walk(&vec![true; chain.len()]);
        assert_eq!(nodes.last().map(|node| node.depth), Some(99_998));
    }
}
