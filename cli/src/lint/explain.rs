//! `lint --explain`: what a code means, why, and what to do, from the same descriptions as everything else.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style as Paint};
use anyhow::anyhow;
use daemoneye_dsl::diagnostic::{Diagnostic, Safety, Severity, Source, nearest};
use daemoneye_dsl::format::format;
use daemoneye_dsl::lints::{self, Check, Lint};
use daemoneye_dsl::tables::Catalog;
use serde_json::{Map, Value, json};

use crate::output::{Format, Json, print, write_json};
use crate::render::{Align, Cell, Column, Table};
use crate::screen::{Screen, painted, wrapped};
use crate::{Ending, Globals};

/// Columns of running text, however wide the screen is.
const TEXT_WIDTH: usize = 100;

pub(super) fn run(asked: &str, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let form = Format::of_text(globals.output)?;
    let all = || lints::ALL.iter().chain(daemoneye_settings::lints::ALL).copied();
    let lints: Vec<_> = if asked == "all" {
        all().collect()
    } else {
        let known = |lint: &&Lint| lint.code.eq_ignore_ascii_case(asked) || lint.name == asked;
        vec![all().find(known).ok_or_else(|| unknown(asked, all()))?]
    };
    if let Some(form) = form {
        write_objects(&lints, form, screen)?;
    } else if asked == "all" {
        let rows = lints.iter().map(|lint| row(lint)).collect();
        let mut columns: Vec<_> = ["code", "severity", "fix", "name"].map(|name| Column::new(name, Align::Left)).into();
        columns.push(Column::new("what is found", Align::Text));
        let table = Table { columns, rows, header: true, indent: 0 };
        print(screen, |out| table.write(out, Format::Table, screen, globals))?;
    } else {
        let text: String = lints.iter().map(|lint| page(lint, screen)).collect();
        print(screen, |out| out.write_all(text.as_bytes()))?;
    }
    Ok(Ending::Done { found: false, degraded: false })
}

fn unknown<'a>(asked: &str, all: impl Iterator<Item = &'a Lint>) -> anyhow::Error {
    let lints: Vec<_> = all.collect();
    let known = lints.iter().flat_map(|lint| [lint.code, lint.name]);
    let meant = nearest(asked, known).map(|meant| format!("did you mean {meant}? ")).unwrap_or_default();
    anyhow!("no code or name `{asked}`; {meant}`daemoneye-cli lint --explain all` lists them")
}

fn write_objects(lints: &[&Lint], form: Json, screen: &Screen) -> anyhow::Result<()> {
    let object = |lint: &&Lint| {
        let fix = example(lint).1.iter().find_map(Diagnostic::offered_fix).map(|fix| match fix.safety {
            Safety::Safe => "safe",
            Safety::ChangesMeaning => "changes meaning",
        });
        let object = json!({
            "code": lint.code, "name": lint.name, "severity": lint.severity, "summary": lint.summary, "why": lint.why,
            "bad": lint.fires.shown(), "good": lint.silent.shown(), "fix": fix,
        });
        if let Value::Object(object) = object { object } else { Map::new() }
    };
    print(screen, |out| write_json(out, form, lints.iter().map(object)))?;
    Ok(())
}

fn row(lint: &Lint) -> Vec<Cell> {
    let fix = example(lint).1.iter().find_map(Diagnostic::offered_fix).map_or("", |fix| match fix.safety {
        Safety::Safe => "safe",
        Safety::ChangesMeaning => "unsafe",
    });
    let severity = Cell::painted(lint.severity.name(), paint_of(lint.severity));
    vec![Cell::new(lint.code), severity, Cell::new(fix), Cell::new(lint.name), Cell::new(lint.summary)]
}

fn paint_of(severity: Severity) -> Paint {
    match severity {
        Severity::Error => AnsiColor::Red.on_default().bold(),
        Severity::Warning => AnsiColor::Yellow.on_default().bold(),
        Severity::Note => AnsiColor::Green.on_default().bold(),
    }
}

/// The bad example and the findings of this code in it.
fn example(lint: &Lint) -> (Source, Vec<Diagnostic>) {
    let (source, mut found) = if daemoneye_settings::lints::ALL.iter().any(|own| own.code == lint.code) {
        daemoneye_settings::lints::example(lint)
    } else {
        let source = lint.fires.source();
        let catalog = Catalog::builtin();
        let found = match lint.check {
            Check::Compiler | Check::Rule(_) => lint.fires.findings(),
            Check::Planner => lints::lint(&source, &catalog, &daemoneye_planner::lint).diagnostics,
            Check::Formatter => format(&source, &catalog).err().unwrap_or_default(),
        };
        (source, found)
    };
    found.retain(|it| it.code == lint.code);
    (source, found)
}

fn page(lint: &Lint, screen: &Screen) -> String {
    let width = screen.width.min(TEXT_WIDTH);
    let style = screen.out;
    let bold = |text: &str| painted(style, Paint::new().bold(), text);
    let severity = painted(style, paint_of(lint.severity), &format!("{}[{}]", lint.severity.name(), lint.code));
    let (source, found) = example(lint);
    let mut out = format!("{severity} {}\n\n", bold(lint.name));
    let paragraph = |out: &mut String, text: &str| {
        for part in text.split("\n\n") {
            writeln!(out, "{}\n", wrapped(&part.replace('\n', " "), width, "")).expect("a String takes every write");
        }
    };
    paragraph(&mut out, lint.summary);
    paragraph(&mut out, lint.why);
    writeln!(out, "{}\n", bold("Instead of")).expect("a String takes every write");
    out.push_str(&indented(lint.fires.shown()));
    for finding in found.iter().take(1) {
        writeln!(out, "{}\n", finding.render(&source, style)).expect("a String takes every write");
    }
    writeln!(out, "{}\n", bold("write")).expect("a String takes every write");
    out.push_str(&indented(lint.silent.shown()));
    let fix = found.iter().find_map(Diagnostic::offered_fix).map(|fix| fix.safety);
    paragraph(&mut out, &remedy(lint, fix));
    out
}

fn indented(text: &str) -> String {
    let lines: String = text.lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n").collect();
    format!("{lines}\n")
}

/// What a program can do about it, and how to live with it.
fn remedy(lint: &Lint, fix: Option<Safety>) -> String {
    let code = lint.code;
    let fix = match fix {
        Some(Safety::Safe) => "`lint --fix` can mend it.\n\n",
        Some(Safety::ChangesMeaning) => {
            "`lint --fix --unsafe-fixes` can mend it; the rule may then find other rows than before.\n\n"
        }
        None => "",
    };
    if lint.severity == Severity::Error && !lint.judges() {
        return format!("{fix}What does not compile has to be mended: {code} cannot be allowed.");
    }
    format!(
        "{fix}Where it is right as it is, say so and why: `-- lint: allow({code}) reason` behind the line or above it, or \
         in the header for the whole file. Without a reason it allows nothing (DE011); once nothing is found there any \
         more, it is reported itself (DE012)."
    )
}
