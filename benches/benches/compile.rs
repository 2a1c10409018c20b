//! How long does it take to compile a rule, and to lint 1,600?
//!
//! The rules are those of the product and, where the shared corpora are, the queries converted from Sigma below a
//! header; repeated under other ids until there are 1,600. Every one has to compile, and the linter has to find the
//! faults planted in some, before anything is timed. Beside it: what sqlparser alone takes to read the same text, which
//! is what nobody who uses it can be faster than, and what SQLite takes to prepare the statements that it understands.
//!
//! Figures are processor time of the whole process, as long statements are compiled on a thread of their own.

#![expect(clippy::print_stdout, reason = "printing is what this does")]

use std::hint::black_box;
use std::path::Path;

use anyhow::{Context, ensure};
use daemoneye_benches::measure::{Samples, Verdict, number, size_or};
use daemoneye_dsl::check::check_rule;
use daemoneye_dsl::diagnostic::{Source, error_count};
use daemoneye_dsl::lints::EXAMPLE_HEADER;
use daemoneye_dsl::ruleset::RuleSet;
use daemoneye_dsl::tables::{Catalog, Column, Kind, Table};
use daemoneye_dsl::types::Type;
use daemoneye_settings::paths::rule_sources;
use rusqlite::Connection;
use sqlparser::dialect::SQLiteDialect;
use sqlparser::parser::Parser;

const ROUNDS: usize = 15;
const RULES: usize = 1_600;
/// Microseconds of processor time for the middle one of the Sigma rules.
const TYPICAL_MAX: f64 = 50.0;
/// For the middle one of the product's, which have regular expressions: reading one takes about 30.
const FLOOR_MAX: f64 = 10_000.0;
/// For all together.
const LINT_MAX: f64 = 150_000.0;

fn main() -> anyhow::Result<()> {
    let mut verdict = Verdict::default();
    let own = own_rules()?;
    report("the product's rules", &own, &Catalog::builtin(), FLOOR_MAX, &mut verdict)?;
    let (sigma, catalog) = sigma_rules()?;
    if sigma.is_empty() {
        println!("the Sigma corpus is not here: not measured\n");
    } else {
        report("Sigma, process_creation", &sigma, &catalog, TYPICAL_MAX, &mut verdict)?;
    }
    let mut all: Vec<_> = own.into_iter().chain(sigma).collect();
    let kinds = all.len();
    let wanted = size_or(RULES);
    for at in 0..wanted.saturating_sub(kinds) {
        let again = &all[at % kinds];
        all.push(Source { path: format!("rules/copy_{at}.sql"), text: again.text.clone() });
    }
    all.truncate(wanted);
    for (at, source) in all.iter_mut().enumerate() {
        let id = source.text.find("-- @id: ").context("a rule without an id")? + "-- @id: ".len();
        source.text.replace_range(id..id + 36, &format!("{at:08x}-0000-4000-8000-000000000000"));
    }
    lint(&all, &catalog, &mut verdict)?;
    verdict.finish()
}

/// Compiles each, in turns with sqlparser and SQLite.
fn report(name: &str, rules: &[Source], catalog: &Catalog, most: f64, verdict: &mut Verdict) -> anyhow::Result<()> {
    for source in rules {
        let found = check_rule(source, catalog);
        ensure!(found.rule.is_some(), "{} does not compile: {:?}", source.path, found.diagnostics);
    }
    let statements: Vec<_> = rules.iter().map(statement).collect();
    let sqlite = Connection::open_in_memory()?;
    for table in ["processes", "process_starts", "process_creation"] {
        let columns: Vec<_> = catalog.table(table).into_iter().flat_map(|table| &table.columns).collect();
        let columns: Vec<_> = columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        if !columns.is_empty() {
            sqlite.execute_batch(&format!("CREATE TABLE {table} ({})", columns.join(", ")))?;
        }
    }
    let understood: Vec<_> = statements.iter().filter(|sql| sqlite.prepare(sql).is_ok()).collect();
    let parsed = statements.iter().filter(|sql| Parser::parse_sql(&SQLiteDialect {}, sql).is_ok()).count();
    let (mut ours, mut parser, mut peer) = (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        ours.process_cpu(|| {
            for source in rules {
                drop(black_box(check_rule(source, catalog)));
            }
        });
        parser.process_cpu(|| {
            for sql in &statements {
                drop(black_box(Parser::parse_sql(&SQLiteDialect {}, sql)));
            }
        });
        peer.process_cpu(|| {
            for sql in &understood {
                drop(black_box(sqlite.prepare(sql)));
            }
        });
    }
    let bytes: usize = statements.iter().map(String::len).sum();
    let each = ours.median_micros() / number(rules.len());
    let typical = middle(rules, catalog);
    let (parse, prepare) =
        (parser.median_micros() / number(rules.len()), peer.median_micros() / number(understood.len()));
    println!("{name}: {} rules of {} bytes of SQL on average", rules.len(), bytes / rules.len());
    println!("  compiled, header and all      {each:8.1} µs each, the middle one {typical:.1} µs");
    println!("  sqlparser alone               {parse:8.1} µs each ({parsed} of them parse)  ratio {:.2}", each / parse);
    println!(
        "  SQLite prepares               {prepare:8.1} µs each (the {} that it understands)  ratio {:.2}\n",
        understood.len(),
        each / prepare
    );
    verdict.expect(typical <= most, || {
        format!("{name}: {typical:.1} µs for the middle rule, of which {most} are allowed")
    });
    Ok(())
}

/// What the typical rule takes: half of them take less.
fn middle(rules: &[Source], catalog: &Catalog) -> f64 {
    let one = |source: &Source| {
        let mut samples = Samples::default();
        for _ in 0..ROUNDS {
            drop(samples.process_cpu(|| black_box(check_rule(source, catalog))));
        }
        samples.median_micros()
    };
    let mut each: Vec<_> = rules.iter().map(one).collect();
    each.sort_by(f64::total_cmp);
    each[each.len() / 2]
}

/// Lints all, after checking that what is planted is found.
fn lint(all: &[Source], catalog: &Catalog, verdict: &mut Verdict) -> anyhow::Result<()> {
    let lint = |sources: Vec<Source>| RuleSet::lint(sources, catalog, &daemoneye_planner::lint);
    let mut faulty = all.to_vec();
    for source in faulty.iter_mut().take(10) {
        source.text = source.text.replacen("SELECT", "SELECT no_such_column,", 1);
    }
    let errors = |set: &RuleSet| set.files.iter().filter(|file| error_count(&file.diagnostics) > 0).count();
    ensure!(errors(&lint(faulty)) == 10, "the linter does not find what was planted");
    let clean = lint(all.to_vec());
    ensure!(errors(&clean) == 0, "{} of the rules do not compile", errors(&clean));
    let mut samples = Samples::default();
    for _ in 0..ROUNDS {
        let sources = all.to_vec();
        drop(samples.process_cpu(|| black_box(lint(sources))));
    }
    let whole = samples.median_micros();
    println!("{} rules linted in {:.1} ms: {:.1} µs each", all.len(), whole / 1e3, whole / number(all.len()));
    verdict.expect(whole <= LINT_MAX, || format!("{:.0} ms to lint, of which 150 are allowed", whole / 1e3));
    Ok(())
}

/// The SQL below the header.
fn statement(source: &Source) -> String {
    let lines = source.text.lines().skip_while(|line| line.starts_with("--") || line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn own_rules() -> anyhow::Result<Vec<Source>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    rule_sources(&[folder]).into_iter().map(|source| source.map_err(anyhow::Error::from)).collect()
}

/// The converted queries below a header, and a catalog with the table that they read.
fn sigma_rules() -> anyhow::Result<(Vec<Source>, Catalog)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora/sigma");
    let mut catalog = Catalog::builtin();
    if !folder.is_dir() {
        return Ok((vec![], catalog));
    }
    let mut names = std::collections::BTreeSet::new();
    for line in std::fs::read_to_string(folder.join("process_creation.events.jsonl"))?.lines() {
        let record: serde_json::Value = serde_json::from_str(line)?;
        names.extend(record.as_object().into_iter().flat_map(|record| record.keys().cloned()));
    }
    let column = |name: String| Column::new(name, Type::Text, true, "A field of the records.");
    catalog = catalog.with(Table {
        name: "process_creation".into(),
        doc: "The records.".into(),
        kind: Kind::Records,
        columns: names.into_iter().map(column).collect(),
    });
    let found = rule_sources(&[folder.join("process_creation")]).into_iter().collect::<Result<Vec<_>, _>>()?;
    let rules = found.into_iter().map(|it| Source { text: format!("{EXAMPLE_HEADER}{}", it.text), ..it });
    Ok((rules.collect(), catalog))
}
