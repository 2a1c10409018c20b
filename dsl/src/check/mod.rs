//! From what was written to what it means: names, then types, then header against query.
//!
//! The SELECT is translated node by node into [`crate::query`]; a node without a translation is an error at its place.
//! Nothing is denied by name, so there is nothing to get around. All errors of a statement are found in one run: where
//! one expression fails, its neighbours are still checked.

mod affinity;
mod aggregate;
mod calls;
mod case;
mod coerce;
mod comparisons;
mod expr;
mod from;
mod function;
mod literals;
mod queries;
mod scope;
mod select;
mod window;

pub(crate) use window::NAMES as WINDOW_FUNCTIONS;

use sqlparser::ast::{self, Spanned};
use sqlparser::keywords::Keyword;

use crate::ast::Rule;
use crate::diagnostic::{Diagnostic, Severity, Source, Span, nearest};
use crate::expr::Expr;
use crate::header::{self, Header, Part};
use crate::limits::OPERATIONS_MAX;
use crate::lints::suppress;
use crate::lists::List;
use crate::parameters::Parameters;
use crate::parse;
use crate::query::{Absent, Aggregate, CheckedRule, Query, Window};
use crate::tables::{Catalog, Kind};

/// What compiling gave: the rule, unless an error stands in the way, and every finding.
#[derive(Debug)]
pub struct Checked {
    /// The rule, if it compiles and can run.
    pub rule: Option<CheckedRule>,
    /// The rule, if it compiles and cannot run yet: for `explain`.
    pub unavailable: Option<CheckedRule>,
    /// Errors and warnings in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiles a rule file, which needs a header and takes no parameters.
pub fn check_rule(source: &Source, catalog: &Catalog) -> Checked {
    let mut checked = check_rule_unsuppressed(source, catalog);
    suppress::in_compile(source, &mut checked.diagnostics);
    checked
}

/// Compiles a file to be run once: a statement without a header is one as well.
pub fn check_once(source: &Source, catalog: &Catalog) -> Checked {
    let mut checked = compile(source, catalog, &Parameters::default(), false);
    suppress::in_compile(source, &mut checked.diagnostics);
    checked
}

/// [`check_rule`] with the findings that the file allows.
pub(crate) fn check_rule_unsuppressed(source: &Source, catalog: &Catalog) -> Checked {
    compile(source, catalog, &Parameters::default(), true)
}

/// Compiles a statement typed by hand; a header is checked if there is one.
pub fn check_query(source: &Source, catalog: &Catalog) -> Checked {
    check_query_with(source, catalog, &Parameters::default())
}

/// Compiles a statement with values for its parameters.
pub fn check_query_with(source: &Source, catalog: &Catalog, parameters: &Parameters) -> Checked {
    compile(source, catalog, parameters, false)
}

fn compile(source: &Source, catalog: &Catalog, parameters: &Parameters, header_needed: bool) -> Checked {
    let mut diagnostics = Vec::new();
    let rule = compile_into(source, catalog, parameters, header_needed, &mut diagnostics);
    diagnostics.sort_by_key(|diagnostic| diagnostic.span().start);
    let errors = || diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    let rule = rule.filter(|_| errors().all(|error| error.code == UNAVAILABLE));
    let (rule, unavailable) = if errors().next().is_none() { (rule, None) } else { (None, rule) };
    Checked { rule, unavailable, diagnostics }
}

fn compile_into(
    source: &Source,
    catalog: &Catalog,
    parameters: &Parameters,
    header_needed: bool,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<CheckedRule> {
    let scanned = parse::scan(source, catalog.limits(), diagnostics)?;
    let annotations = scanned.annotations.clone();
    let has_header = header_needed || !annotations.is_empty();
    let header = has_header.then(|| header::check(source, &annotations, diagnostics)).flatten();
    let mut absent = Vec::new();
    let compiled = parse::on_stack_for(parse::is_small(&scanned.tokens), || {
        let rule = parse::parse(source, scanned, diagnostics)?;
        let query = Checker::new(&rule, catalog, parameters, diagnostics, &mut absent).statement();
        Some((query, rule.canonical_sql))
    });
    let (query, canonical_sql) = compiled.unwrap_or_else(|unable| {
        diagnostics.push(*unable);
        None
    })?;
    let query = query?;
    if let Some(header) = &header {
        check_header_columns(header, &query, diagnostics);
    }
    refuse_auto_joins(&query, diagnostics);
    let revision = revision(&header::canonical(&annotations), &canonical_sql, &query.lists());
    Some(CheckedRule { source: source.clone(), header, annotations, revision, absent, query })
}

/// DE312: no collector answers questions so far.
const UNAVAILABLE: &str = "DE312";

fn refuse_auto_joins(query: &Query, diagnostics: &mut Vec<Diagnostic>) {
    for auto in query.auto_joins() {
        let message = format!("AUTO JOIN is not available yet: {} cannot be asked", auto.collector);
        let help = "write JOIN: it looks at what is collected; `daemoneye-cli explain` shows how this would run";
        diagnostics.push(Diagnostic::error(UNAVAILABLE, auto.place.span(), message).help(help));
    }
}

fn revision(header: &str, sql: &str, lists: &[&List]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(header.len() as u64).to_le_bytes());
    hasher.update(header.as_bytes());
    hasher.update(sql.as_bytes());
    let statement = hasher.finalize();
    if lists.is_empty() {
        return statement.to_hex()[..12].to_owned();
    }
    let mut hasher = blake3::Hasher::new_derive_key("daemoneye rule with lists");
    hasher.update(statement.as_bytes());
    for list in lists {
        hasher.update(&(list.values.len() as u64).to_le_bytes());
        for text in std::iter::once(&list.name).chain(&list.values) {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
    }
    hasher.finalize().to_hex()[..12].to_owned()
}

/// DE115, DE118: what the header names, the query must return. DE117: an alert must say which process it is about.
fn check_header_columns(header: &Header, query: &Query, diagnostics: &mut Vec<Diagnostic>) {
    let names: Vec<_> = query.output.iter().map(|output| output.name.as_str()).collect();
    let titled = header.title.parts.iter().filter_map(|part| match part {
        Part::Column(name, span) => Some((name.as_str(), span, "DE115", "title")),
        Part::Text(_) => None,
    });
    let keyed = header.dedup.iter().flat_map(|dedup| &dedup.columns);
    let keyed = keyed.map(|(name, span)| (name.as_str(), span, "DE118", "dedup key"));
    for (name, span, code, what) in titled.chain(keyed).filter(|(name, ..)| !names.contains(name)) {
        let braces = if code == "DE115" { ("{", "}") } else { ("", "") };
        let message = format!("the {what} uses `{name}`, which the query does not return");
        let diagnostic = Diagnostic::error(code, span.clone(), message).label("would be empty in every alert");
        diagnostics.push(match nearest(name, names.iter().copied()) {
            Some(known) => {
                diagnostic.patch(format!("the query returns `{known}`"), format!("{}{known}{}", braces.0, braces.1))
            }
            None => diagnostic.help(format!("the query returns {}", names.join(", "))),
        });
    }
    // Records of a file need not be about processes.
    let tables = query.tables();
    let foreign = tables
        .iter()
        .all(|it| it.table.kind == Kind::Records && !it.table.columns.iter().any(|column| column.identity));
    let keyed = query.is_grouped() || header.dedup.is_some() || (foreign && !tables.is_empty());
    if !keyed && !query.output.iter().any(|output| output.identity) {
        let message = "the query returns no `proc_id`, so alerts are told apart by every column it returns";
        diagnostics.push(Diagnostic::warning("DE117", 0..0, message).help("add `proc_id` to the SELECT list"));
    }
}

/// The state of checking one statement.
struct Checker<'a> {
    rule: &'a Rule,
    catalog: &'a Catalog,
    parameters: &'a Parameters,
    diagnostics: &'a mut Vec<Diagnostic>,
    absent: &'a mut Vec<Absent>,
    scope: scope::Scope,
    /// The rows around the query that is being translated, the outermost first.
    around: Vec<scope::Scope>,
    /// How many of them cannot be named here: GROUP BY and ORDER BY speak of their own query's rows, as in SQLite.
    hidden: usize,
    /// The common table expressions that can be named, the last first.
    ctes: Vec<queries::Cte>,
    /// Aggregates met so far, where they are allowed; their values follow the input row's columns.
    aggregates: Option<Vec<Aggregate>>,
    /// Windows met so far, where they are allowed.
    windows: Option<Vec<Window>>,
    named_windows: Vec<(String, window::Definition)>,
    /// Operations around the one that is being translated.
    depth: usize,
    /// Operations so far, repeats included.
    operations: usize,
    /// Joins, queries and recursions so far, and how often a recursion read itself.
    joins: usize,
    queries: usize,
    recursions: usize,
    working_reads: usize,
    /// `FOR SYSTEM_TIME` and `AUTO JOIN` clauses that found their table.
    versions_used: usize,
    autos_used: usize,
}

/// Expressions of the SELECT list by the names given to them; none for one with an error, which was said.
type Aliases = Vec<(String, Option<Expr>)>;

impl<'a> Checker<'a> {
    fn new(
        rule: &'a Rule,
        catalog: &'a Catalog,
        parameters: &'a Parameters,
        diagnostics: &'a mut Vec<Diagnostic>,
        absent: &'a mut Vec<Absent>,
    ) -> Self {
        Self {
            rule,
            catalog,
            parameters,
            diagnostics,
            absent,
            scope: scope::Scope::default(),
            around: vec![],
            hidden: 0,
            ctes: vec![],
            aggregates: None,
            windows: None,
            named_windows: vec![],
            depth: 0,
            operations: 0,
            joins: 0,
            queries: 0,
            recursions: 0,
            working_reads: 0,
            versions_used: 0,
            autos_used: 0,
        }
    }

    /// The whole statement.
    fn statement(mut self) -> Option<Query> {
        let rule = self.rule;
        let query = self.query(&rule.query);
        // A clause that stands anywhere else would be passed over in silence.
        if query.is_some() && self.versions_used < rule.versions.len() {
            let span = rule.versions.first().map_or(0..0, |version| version.span.clone());
            return self.error("DE001", span, "FOR SYSTEM_TIME stands after a table or its alias");
        }
        if query.is_some() && self.autos_used < rule.autos.len() {
            let span = rule.autos.first().map_or(0..0, |auto| auto.span.clone());
            return self.error("DE001", span, "AUTO JOIN stands between two tables of a FROM");
        }
        query
    }

    /// Counts operations, also those that a translation repeats; nothing once there are too many.
    fn spend(&mut self, operations: usize, span: &Span) -> Option<()> {
        let before = self.operations;
        self.operations = before.saturating_add(operations);
        if self.operations <= OPERATIONS_MAX {
            return Some(());
        }
        if before <= OPERATIONS_MAX {
            let message = format!("more than {OPERATIONS_MAX} operations once everything is spelled out");
            let help = "BETWEEN, coalesce, nullif and CASE repeat their operands: nest them less";
            self.diagnostics.push(Diagnostic::error("DE027", span.clone(), message).help(help));
        }
        None
    }

    /// Reports an error and gives nothing, so that `return self.error(…)` ends a translation.
    fn error<T>(&mut self, code: &'static str, span: Span, message: impl Into<String>) -> Option<T> {
        self.diagnostics.push(Diagnostic::error(code, span, message));
        None
    }

    /// The error for a node that has no translation.
    fn unsupported<T>(&mut self, span: Span, what: &str) -> Option<T> {
        self.diagnostics.push(Diagnostic::error("DE004", span, format!("{what} is not part of the dialect")));
        None
    }

    /// The place of a node. Some of the parser's nodes know no place; then the place of the whole statement serves.
    fn span(&self, node: &impl Spanned) -> Span {
        let found = self.rule.positions.span(node.span());
        found.or_else(|| self.rule.positions.span(self.rule.query.span())).unwrap_or(0..0)
    }

    /// The place of a node with the parenthesis that closes it: the parser leaves that out where it ends a list or a query.
    fn closed(&self, node: &ast::Expr, span: Span) -> Span {
        use ast::Expr::{Cast, Exists, Function, InList, InSubquery, Subquery, Tuple};
        if !matches!(
            node,
            Cast { .. } | Exists { .. } | Function(_) | InList { .. } | InSubquery { .. } | Subquery(_) | Tuple(_)
        ) {
            return span;
        }
        let rest = &self.rule.source.text[span.end..];
        let blank = rest.len() - rest.trim_start().len();
        if rest[blank..].starts_with(')') { span.start..span.end + blank + 1 } else { span }
    }

    /// The first place of a keyword at or after `from`.
    fn keyword_from(&self, keyword: Keyword, from: usize) -> Option<Span> {
        let found = self.rule.keywords.iter().find(|(own, span)| *own == keyword && span.start >= from);
        found.map(|(_, span)| span.clone())
    }

    /// The word before the parenthesis that opens before `span`: the parser's place of some calls is their arguments'.
    fn head(&self, span: &Span) -> Span {
        let before = self.rule.source.text[..span.start].trim_end();
        let Some(before) = before.strip_suffix('(').map(str::trim_end) else { return span.clone() };
        let start = before.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
        if start < before.len() { start..before.len() } else { span.clone() }
    }

    /// The place of a name.
    fn ident_span(&self, ident: &sqlparser::ast::Ident) -> Span {
        let written = || {
            // The parser gives no place to a name in single quotes or behind `@`, and knows no spaces in the latter.
            let text = &self.rule.source.text;
            let quoted = format!("'{}'", ident.value);
            let named = text.find(&quoted).map(|at| at..at + quoted.len());
            named.or_else(|| text.find('@').filter(|_| ident.value.starts_with('@')).map(|at| at..at + 1))
        };
        self.rule.positions.span(ident.span).or_else(written).unwrap_or(0..0)
    }
}
