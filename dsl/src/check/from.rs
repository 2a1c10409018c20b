//! FROM: tables, queries, table functions and joins.

use std::sync::Arc;

use sqlparser::ast;
use sqlparser::keywords::Keyword;

use super::Checker;
use super::coerce::cast;
use super::expr::single_name;
use super::queries::make_unique;
use super::scope::Joined;
use crate::ast::{Auto, Moment, Version};
use crate::diagnostic::{Diagnostic, Span, nearest};
use crate::expr::{Collation, Comparison, Expr, ExprKind, Place};
use crate::functions::{Known, known_elsewhere};
use crate::limits::JOINS;
use crate::lists::{self, List, NoList};
use crate::query::{self, Body, Derived, From, Join, JoinKind, ListRef, Output, Part, Query, Right, Select, TableRef};
use crate::tables::lineage::Lineage;
use crate::tables::{Kind, processes_at};
use crate::types::{Type, Value};

/// What stands between two commas or joins.
enum Relation {
    Rows(From),
    /// `ancestors(process)` or `descendants(process)`, which needs the rows to its left.
    Lineage {
        lineage: Lineage,
        process: Expr,
        table: TableRef,
    },
}

/// How a join finds its pairs.
enum Constraint<'n> {
    None,
    On(&'n ast::Expr),
    Using(Vec<&'n ast::Ident>),
    Natural,
}

impl Checker<'_> {
    pub(super) fn from(&mut self, tables: &[ast::TableWithJoins]) -> Option<From> {
        let mut from: Option<From> = None;
        for table in tables {
            from = Some(match from {
                None => self.chain(table, None)?,
                Some(left) => self.chain(table, Some(left))?,
            });
        }
        Some(from.unwrap_or(From::Nothing))
    }

    /// A table with the joins after it, after what a comma stands behind.
    fn chain(&mut self, table: &ast::TableWithJoins, left: Option<From>) -> Option<From> {
        let mut from = match left {
            None => self.first(&table.relation)?,
            Some(left) => self.join(left, &table.relation, JoinKind::Inner, Constraint::None)?,
        };
        for join in &table.joins {
            let (kind, constraint) = self.join_kind(join)?;
            let start = self.span(&join.relation).start;
            let rule = self.rule;
            from = match rule.autos.iter().find(|auto| auto.table == start) {
                Some(auto) => self.auto_join(from, &join.relation, &constraint, auto)?,
                None => self.join(from, &join.relation, kind, constraint)?,
            };
        }
        Some(from)
    }

    fn first(&mut self, node: &ast::TableFactor) -> Option<From> {
        match self.relation(node)? {
            Relation::Rows(from) => Some(from),
            // The process is a constant, or of a row around this query.
            Relation::Lineage { lineage, process, table } => {
                self.scope.push_part(Part::Table(&table));
                let right = Right::Lineage { lineage, process, table };
                Some(From::Join(Box::new(Join {
                    left: From::Nothing,
                    right,
                    kind: JoinKind::Inner,
                    on: None,
                    auto: None,
                })))
            }
        }
    }

    /// An inner join whose right side a collector is asked for. WHEN decides for which rows on the left, so it sees them
    /// alone.
    fn auto_join(
        &mut self,
        left: From,
        node: &ast::TableFactor,
        constraint: &Constraint<'_>,
        auto: &Auto,
    ) -> Option<From> {
        self.autos_used += 1;
        let when = auto.when.as_ref().map(|when| self.asks_nothing(when, "WHEN"));
        let Constraint::On(on) = constraint else {
            let diagnostic = Diagnostic::error("DE001", auto.span.clone(), "AUTO JOIN needs ON: what is asked for");
            self.diagnostics.push(diagnostic.help("write AUTO JOIN table ON table.column = …"));
            return None;
        };
        let joined = self.join(left, node, JoinKind::Inner, Constraint::On(on))?;
        let From::Join(mut join) = joined else { unreachable!("a join was made") };
        let subquery = join.on.as_ref().is_some_and(asks);
        let collector = match &join.right {
            Right::From(From::Table(table)) => match table.table.collector() {
                Some(collector) => collector,
                None => {
                    let message = format!("nobody can be asked for rows of `{}`", table.table.name);
                    let diagnostic = Diagnostic::error("DE313", auto.span.clone(), message);
                    self.diagnostics
                        .push(diagnostic.help("AUTO JOIN asks a collector; write JOIN for what is recorded"));
                    return None;
                }
            },
            _ => {
                let span = self.span(node);
                return self.unsupported(span, "AUTO JOIN with what is no table of a collector");
            }
        };
        if subquery {
            let span = self.span(*on);
            return self.unsupported(span, "a subquery in the ON of AUTO JOIN");
        }
        let when = when.map_or(Some(None), |when| when.map(Some))?;
        join.auto = Some(query::Auto { collector, when, place: Place::from(&auto.span) });
        Some(From::Join(join))
    }

    /// A condition without a subquery.
    fn asks_nothing(&mut self, node: &ast::Expr, clause: &str) -> Option<Expr> {
        let condition = self.condition_of(node)?;
        if asks(&condition) {
            let span = self.span(node);
            return self.unsupported(span, &format!("a subquery in the {clause} of AUTO JOIN"));
        }
        Some(condition)
    }

    fn join(
        &mut self,
        left: From,
        node: &ast::TableFactor,
        kind: JoinKind,
        constraint: Constraint<'_>,
    ) -> Option<From> {
        let span = self.span(node);
        self.joins += 1;
        let allowed = self.catalog.limits().joins;
        if self.joins > allowed {
            self.diagnostics.push(JOINS.exceeded(allowed, span, "split the statement into several"));
            return None;
        }
        let (relations, width) = (self.scope.len(), self.scope.width());
        let right = match self.relation(node)? {
            Relation::Rows(from) => Right::From(from),
            Relation::Lineage { lineage, process, table } if !kind.keeps_right() => {
                self.named_once(&table.alias, &span)?;
                self.scope.push_part(Part::Table(&table));
                Right::Lineage { lineage, process, table }
            }
            Relation::Lineage { lineage, .. } => {
                return self.unsupported(span, &format!("a join that keeps `{lineage}` without their process"));
            }
        };
        let lineage = match right {
            Right::Lineage { lineage, .. } => Some(lineage),
            Right::From(_) => None,
        };
        let on = match constraint {
            Constraint::None => None,
            Constraint::On(on) => Some(self.join_condition(on, kind, width, lineage)?),
            Constraint::Using(names) => self.using(&names, kind, relations, &span)?,
            Constraint::Natural => self.natural(kind, relations, &span)?,
        };
        Some(From::Join(Box::new(Join { left, right, kind, on, auto: None })))
    }

    /// ON. In an outer join a subquery in it may look at one side only.
    fn join_condition(
        &mut self,
        node: &ast::Expr,
        kind: JoinKind,
        width: usize,
        lineage: Option<Lineage>,
    ) -> Option<Expr> {
        let on = self.condition_of(node)?;
        let (mut both_sides, mut asks) = (false, false);
        on.walk(&mut |expr| {
            if matches!(expr.kind, ExprKind::Subquery(_)) {
                asks = true;
                let columns = expr.columns();
                let is_left = |column: &usize| *column < width;
                both_sides |= columns.iter().any(is_left) && !columns.iter().all(is_left);
            }
        });
        if both_sides && kind != JoinKind::Inner {
            let span = self.span(node);
            return self.unsupported(span, "a subquery over both sides in the ON of an outer join");
        }
        if let Some(lineage) = lineage.filter(|_| asks && kind != JoinKind::Inner) {
            let span = self.span(node);
            return self.unsupported(span, &format!("a subquery in the ON of an outer join with `{lineage}`"));
        }
        Some(on)
    }

    /// NATURAL: the columns that both sides have.
    fn natural(&mut self, kind: JoinKind, relations: usize, span: &Span) -> Option<Option<Expr>> {
        let left = self.scope.unqualified(0, relations);
        let right = self.scope.unqualified(relations, self.scope.len());
        let shared = right
            .iter()
            .map(|it| &it.2.name)
            .filter(|name| left.iter().any(|(_, _, column)| column.name.eq_ignore_ascii_case(name)));
        let shared: Vec<_> = shared.cloned().collect();
        let names: Vec<_> = shared.iter().map(|name| ast::Ident::new(name.as_str())).collect();
        self.using(&names.iter().collect::<Vec<_>>(), kind, relations, span)
    }

    /// USING: each column is compared with its namesake, and from here on both are one to unqualified names and `*`.
    fn using(&mut self, names: &[&ast::Ident], kind: JoinKind, relations: usize, span: &Span) -> Option<Option<Expr>> {
        let mut conditions = Vec::new();
        for name in names {
            let left = self.one_of(name, 0, relations, "left", span)?;
            let right = self.one_of(name, relations, self.scope.len(), "right", span)?;
            let ((left_at, left), (right_at, right)) = (left, right);
            conditions.push(self.compare(Comparison::Equal, left.clone(), right.clone(), Collation::Binary, span)?);
            let merged = match kind {
                JoinKind::Inner | JoinKind::Left => left,
                JoinKind::Right | JoinKind::Full => {
                    let (both, ty) = self.unify(vec![left, right], span, "USING")?;
                    coalesce(both, ty)
                }
            };
            if let Some(column) = self.scope.column_at_mut(left_at) {
                column.joined = Joined::As(merged);
            }
            if let Some(column) = self.scope.column_at_mut(right_at) {
                column.joined = Joined::Away;
            }
        }
        Some(Expr::all(conditions))
    }

    /// The column of that name among some relations.
    fn one_of(
        &mut self,
        name: &ast::Ident,
        first: usize,
        end: usize,
        side: &str,
        span: &Span,
    ) -> Option<(usize, Expr)> {
        let columns = self.scope.unqualified(first, end).into_iter();
        let found: Vec<_> = columns.filter(|(_, _, column)| column.name.eq_ignore_ascii_case(&name.value)).collect();
        match found.as_slice() {
            [one] => Some((one.0, self.scope.merged(*one))),
            [] => {
                let message = format!("no column `{}` on the {side} side of USING", name.value);
                self.error("DE201", span.clone(), message)
            }
            [..] => self.error("DE210", span.clone(), format!("`{}` is ambiguous on the {side} side", name.value)),
        }
    }

    fn join_kind<'n>(&mut self, join: &'n ast::Join) -> Option<(JoinKind, Constraint<'n>)> {
        use ast::{JoinConstraint, JoinOperator};
        let span = self.span(&join.relation);
        if join.global {
            return self.unsupported(span, "GLOBAL JOIN");
        }
        let (kind, constraint) = match &join.join_operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) | JoinOperator::CrossJoin(constraint) => {
                (JoinKind::Inner, constraint)
            }
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (JoinKind::Left, constraint),
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => (JoinKind::Right, constraint),
            JoinOperator::FullOuter(constraint) => (JoinKind::Full, constraint),
            _ => return self.unsupported(span, "this kind of join"),
        };
        let constraint = match constraint {
            JoinConstraint::On(on) => Constraint::On(on),
            JoinConstraint::None => Constraint::None,
            JoinConstraint::Natural => Constraint::Natural,
            JoinConstraint::Using(names) => match names.iter().map(single_name).collect() {
                Some(names) => Constraint::Using(names),
                None => {
                    let span = self.keyword_from(Keyword::USING, span.end).unwrap_or(span);
                    return self.unsupported(span, "a name of several parts in USING");
                }
            },
        };
        Some((kind, constraint))
    }

    /// A table, a query or joins in parentheses; their columns are visible afterwards, those of relatives not yet.
    fn relation(&mut self, node: &ast::TableFactor) -> Option<Relation> {
        let span = self.span(node);
        match node {
            ast::TableFactor::Table { .. } => self.named(node, &span),
            ast::TableFactor::Derived { lateral: false, subquery, alias, sample: None } => {
                let mut query = self.query_apart(subquery)?;
                let (name, columns) = match alias {
                    Some(alias) => (alias.name.value.clone(), alias.columns.as_slice()),
                    None => (String::new(), [].as_slice()),
                };
                self.rename(&mut query.output, columns, &span)?;
                make_unique(&mut query.output);
                self.named_once(&name, &span)?;
                let from = From::Query(Box::new(Derived { query, alias: name }));
                self.scope.push(&from);
                Some(Relation::Rows(from))
            }
            ast::TableFactor::NestedJoin { table_with_joins, alias: None } => {
                let start = self.scope.width();
                let mut from = self.chain(table_with_joins, None)?;
                if from.exprs_mut().iter().any(|expr| expr.columns().first().is_some_and(|first| *first < start)) {
                    return self.error("DE202", span, "a join in parentheses looks at a table outside of them");
                }
                Some(Relation::Rows(from))
            }
            ast::TableFactor::Derived { lateral: true, .. } => self.unsupported(span, "LATERAL"),
            _ => self.unsupported(span, "this form of table"),
        }
    }

    /// A table, a common table expression, or a table function with its argument.
    fn named(&mut self, node: &ast::TableFactor, span: &Span) -> Option<Relation> {
        let ast::TableFactor::Table {
            name,
            alias,
            args,
            with_hints,
            version: None,
            with_ordinality: false,
            partitions,
            json_path: None,
            sample: None,
            index_hints,
        } = node
        else {
            return self.unsupported(span.clone(), "this form of table");
        };
        if !with_hints.is_empty() || !partitions.is_empty() || !index_hints.is_empty() {
            return self.unsupported(span.clone(), "a hint");
        }
        let Some(ident) = single_name(name) else {
            return self.unsupported(span.clone(), "a table name of several parts");
        };
        let place = Place::from(&self.ident_span(ident));
        let node_alias = alias;
        let alias = self.alias(alias.as_ref(), &ident.value)?;
        let ends = [Some(ident), node_alias.as_ref().map(|alias| &alias.name)];
        let ends = ends.into_iter().flatten().map(|ident| self.ident_span(ident).end).collect::<Vec<_>>();
        let rule = self.rule;
        let version = rule.versions.iter().find(|version| ends.contains(&version.after));
        let Some(args) = args else {
            let from = match (version, self.cte(ident, &alias)?) {
                (Some(version), None) => self.at_moment(ident, version, &alias)?,
                (Some(version), Some(_)) => {
                    let message = format!("`{}` is a query: put FOR SYSTEM_TIME at the tables in it", ident.value);
                    return self.error("DE214", version.span.clone(), message);
                }
                (None, Some(from)) => from,
                (None, None) => {
                    From::Table(TableRef { table: self.table(ident)?, alias: alias.clone(), place, as_of: None })
                }
            };
            self.versions_used += usize::from(version.is_some());
            self.named_once(&alias, span)?;
            self.scope.push(&from);
            return Some(Relation::Rows(from));
        };
        if ident.value.eq_ignore_ascii_case(lists::NAME) {
            let from = From::List(ListRef { list: self.list(&args.args, ident)?, alias });
            if let From::List(list) = &from {
                self.named_once(&list.alias, span)?;
            }
            self.scope.push(&from);
            return Some(Relation::Rows(from));
        }
        let Some(lineage) = Lineage::named(&ident.value) else {
            return self.unknown_table_function(ident);
        };
        let [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(process))] = args.args.as_slice() else {
            return self.error("DE242", span.clone(), format!("`{lineage}` takes one `proc_id`"));
        };
        let process_expr = self.expr(process)?;
        let process_span = self.span(process);
        let process = self.argument(process_expr, Type::Text, &process_span, &format!("`{lineage}`"))?;
        let table = TableRef { table: Arc::new(lineage.table()), alias, place, as_of: None };
        Some(Relation::Lineage { lineage, process, table })
    }

    /// The list that the argument of `list` names.
    fn list(&mut self, args: &[ast::FunctionArg], function: &ast::Ident) -> Option<Arc<List>> {
        let name = match args {
            [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(ast::Expr::Value(value)))] => match &value.value {
                ast::Value::SingleQuotedString(name) => Some((name, self.rule.positions.span(value.span)?)),
                _ => None,
            },
            _ => None,
        };
        let Some((name, span)) = name else {
            let span = match args {
                [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(given))] => self.span(given),
                _ => self.ident_span(function),
            };
            let diagnostic = Diagnostic::error("DE205", span, "`list` takes one name in quotes");
            self.diagnostics.push(diagnostic.help("list('web_servers') is the file lists/web_servers.txt"));
            return None;
        };
        let catalog = self.catalog;
        let why = match catalog.lists().get(name) {
            Ok(list) => return Some(list.clone()),
            Err(why) => why,
        };
        let diagnostic = |message| Diagnostic::error("DE219", span.clone(), message);
        self.diagnostics.push(match why {
            NoList::Unusable(why) => diagnostic(format!("the list `{name}` cannot be used: {why}")),
            NoList::Unknown(Some(near)) => diagnostic(format!("unknown list `{name}`"))
                .patch(format!("did you mean `{near}`?"), format!("'{near}'")),
            NoList::Unknown(None) => diagnostic(format!("unknown list `{name}`"))
                .help(format!("write its values, one a line, to lists/{name}.txt beside the rules")),
        });
        None
    }

    fn unknown_table_function<T>(&mut self, name: &ast::Ident) -> Option<T> {
        if let Some(Known::Forbidden(why)) = known_elsewhere(&name.value) {
            return self.forbidden_function(&name.value, why, &self.ident_span(name));
        }
        let message = format!("unknown table function `{}`", name.value);
        let diagnostic = Diagnostic::error("DE202", self.ident_span(name), message);
        let known = Lineage::ALL.map(Lineage::name).into_iter().chain([lists::NAME]);
        self.diagnostics.push(match nearest(&name.value, known) {
            Some(near) => diagnostic.patch(format!("did you mean `{near}`?"), near),
            None => diagnostic.help("the table functions are: ancestors(proc_id), descendants(proc_id), list('name')"),
        });
        None
    }

    /// `processes FOR SYSTEM_TIME …`: the versions that the record has of that moment, as rows of the table, with the
    /// samples that held then. BETWEEN two moments there may be many of a version; they are NULL.
    fn at_moment(&mut self, name: &ast::Ident, version: &Version, alias: &str) -> Option<From> {
        let table = self.table(name)?;
        let record = self.catalog.table("processes_history").filter(|_| table.name == "processes").cloned();
        let Some(record) = record else {
            let message = format!("`{}` has no versions: only `processes` can be asked for a past moment", name.value);
            return self.error("DE214", version.span.clone(), message);
        };
        let (first, last) = match &version.moment {
            Moment::At(moment) => (self.moment(moment, &version.span)?, self.moment(moment, &version.span)?),
            Moment::Between(first, last) => (self.moment(first, &version.span)?, self.moment(last, &version.span)?),
        };
        // The records of a file that stands for the table have no samples.
        let sampled = matches!(version.moment, Moment::At(_)) && record.kind != Kind::Records;
        let (record, as_of) = if sampled { (Arc::new(processes_at()), Some(first.clone())) } else { (record, None) };
        let column = |name: &str| {
            let (at, column) = record.column(name).expect("a column of the record");
            Expr::column(at, column.ty, name)
        };
        let compare = |op, left, right| {
            let (left, right) = (Box::new(left), Box::new(right));
            Expr::boolean(ExprKind::Compare { op, left, right, collation: Collation::Binary })
        };
        let begun = compare(Comparison::LessEqual, column("seen_from"), last);
        let lives = Expr::boolean(ExprKind::IsNull(Box::new(column("seen_to"))));
        let ended_after = compare(Comparison::Greater, column("seen_to"), first);
        let filter = Expr::all([begun, Expr::boolean(ExprKind::Or(vec![lives, ended_after]))]);
        let (mut columns, mut output) = (Vec::new(), Vec::new());
        for own in &table.columns {
            let recorded = record.column(&own.name).map(|(at, _)| Expr::column(at, own.ty, &*own.name));
            output.push(Output {
                name: own.name.to_string(),
                ty: own.ty,
                null: false,
                identity: own.identity,
                volatile: own.volatile,
                group_key: false,
            });
            columns.push(recorded.unwrap_or_else(|| Expr::literal(Value::Null, own.ty)));
        }
        let from = From::Table(TableRef {
            alias: record.name.to_string(),
            table: record,
            place: Place::from(&self.ident_span(name)),
            as_of,
        });
        let select = Select { from, filter, group: None, windows: vec![], columns, distinct: false };
        let body = Body::Select(Box::new(select));
        let query = Query { body, output, order: vec![], limit: None, offset: 0 };
        Some(From::Query(Box::new(Derived { query, alias: alias.to_owned() })))
    }

    /// A constant moment: a literal, a parameter, or `now()` with an INTERVAL.
    fn moment(&mut self, node: &ast::Expr, span: &Span) -> Option<Expr> {
        let own = std::mem::take(&mut self.scope);
        let around = std::mem::take(&mut self.around);
        let moment = self.expr(node);
        (self.scope, self.around) = (own, around);
        let as_moment = Expr::literal(Value::Null, Type::Timestamp);
        let met = match super::coerce::meet(Expr { kind: ExprKind::Now, ..as_moment }, moment?, (true, false)) {
            super::coerce::Meeting::Same(_, moment) if !moment.is_null() => Some(moment),
            _ => None,
        };
        let constant = met.filter(|moment| {
            let mut asks = false;
            moment.walk(&mut |expr| asks |= matches!(expr.kind, ExprKind::Subquery(_)));
            !asks && moment.ty == Type::Timestamp
        });
        if constant.is_none() {
            let diagnostic = Diagnostic::error("DE206", span.clone(), "FOR SYSTEM_TIME takes a constant moment");
            self.diagnostics.push(diagnostic.help("write '2026-11-22 10:30:00', or now() - INTERVAL '1 hour'"));
        }
        constant
    }

    /// Two tables of one name could not be told apart.
    fn named_once(&mut self, alias: &str, span: &Span) -> Option<()> {
        if alias.is_empty() || !self.scope.has_alias(alias) {
            return Some(());
        }
        let diagnostic = Diagnostic::error("DE210", span.clone(), format!("two tables are called `{alias}` here"));
        self.diagnostics.push(diagnostic.help("give one of them another name: `processes AS parent`"));
        None
    }

    fn alias(&mut self, alias: Option<&ast::TableAlias>, name: &str) -> Option<String> {
        let Some(alias) = alias else { return Some(name.to_owned()) };
        if !alias.columns.is_empty() || alias.at.is_some() {
            let span = self.ident_span(&alias.name);
            return self.unsupported(span, "an alias with column names");
        }
        Some(alias.name.value.clone())
    }
}

/// Whether it has a subquery.
fn asks(expr: &Expr) -> bool {
    let mut found = false;
    expr.walk(&mut |expr| found |= matches!(expr.kind, ExprKind::Subquery(_)));
    found
}

/// The first of two values that is not NULL.
fn coalesce(both: Vec<Expr>, ty: Type) -> Expr {
    let mut both = both.into_iter().map(|expr| cast(expr, ty));
    let (first, second) = (both.next().unwrap_or_else(Expr::null), both.next().unwrap_or_else(Expr::null));
    let is_null = Expr::boolean(ExprKind::IsNull(Box::new(first.clone())));
    Expr::new(ExprKind::Case { branches: vec![(is_null, second)], otherwise: Box::new(first) }, ty)
}
