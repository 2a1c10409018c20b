//! SELECT, clause by clause. Every field of the parser's nodes is looked at: one that is set and has no translation is
//! an error.

use std::sync::Arc;

use sqlparser::ast;
use sqlparser::keywords::Keyword;

use super::expr::single_name;
use super::{Checker, scope};
use crate::diagnostic::{Diagnostic, Span};
use crate::expr::{Expr, ExprKind};
use crate::limits::{JOINS_MAX, OUTPUT_MAX};
use crate::query::{From, Group, Join, JoinKind, Output, Query, Right, SortKey, TableRef};
use crate::tables::ancestors;
use crate::types::{Type, Value};

/// An expression of the SELECT list before grouping.
struct Item {
    alias: Option<String>,
    expr: Expr,
    span: Span,
}

impl Checker<'_> {
    /// The whole statement.
    pub(super) fn query(mut self, query: &ast::Query) -> Option<Query> {
        let span = self.span(query);
        let ast::Query {
            with: None,
            body,
            order_by,
            limit_clause,
            fetch: None,
            locks,
            for_clause: None,
            settings: None,
            format_clause: None,
            pipe_operators,
        } = query
        else {
            let (what, keyword) = match () {
                () if query.with.is_some() => ("WITH", Keyword::WITH),
                () if query.fetch.is_some() => ("FETCH", Keyword::FETCH),
                () => ("this clause", Keyword::FOR),
            };
            return self.unsupported(self.keyword_from(keyword, 0).unwrap_or(span), what);
        };
        if !locks.is_empty() || !pipe_operators.is_empty() {
            return self.unsupported(self.keyword_from(Keyword::FOR, 0).unwrap_or(span), "this clause");
        }
        let select = match &**body {
            ast::SetExpr::Select(select) => select,
            ast::SetExpr::Query(inner) if order_by.is_none() && limit_clause.is_none() => return self.query(inner),
            ast::SetExpr::SetOperation { op, .. } => {
                let keyword = match op {
                    ast::SetOperator::Union => Keyword::UNION,
                    ast::SetOperator::Intersect => Keyword::INTERSECT,
                    ast::SetOperator::Except | ast::SetOperator::Minus => Keyword::EXCEPT,
                };
                return self.unsupported(self.keyword_from(keyword, 0).unwrap_or(span), &op.to_string());
            }
            ast::SetExpr::Values(_) => {
                return self.unsupported(self.keyword_from(Keyword::VALUES, 0).unwrap_or(span), "VALUES");
            }
            _ => return self.unsupported(span, "this statement"),
        };
        self.refuse_clauses(select, &span)?;
        let from = self.from(&select.from);
        let filter = match (&select.selection, from.is_some()) {
            (Some(filter), true) => Some(self.condition_of(filter)),
            _ => None,
        };
        // Without a FROM that is understood, every name would be one more error.
        let from = from?;
        let keys = self.group_keys(select);
        self.aggregates = Some(Vec::new());
        let items = self.items(&select.projection);
        let having = select.having.as_ref().map(|having| (self.condition_of(having), self.span(having)));
        let order = items.as_ref().and_then(|items| self.order_by(order_by.as_ref(), items));
        let (limit, offset) = self.limits(limit_clause.as_ref())?;
        let aggregates = self.aggregates.take().unwrap_or_default();

        let (keys, mut items, order) = (keys?, items?, order?);
        let filter = filter.map_or(Some(None), |filter| filter.map(Some))?;
        let grouped = !keys.is_empty() || !aggregates.is_empty() || having.is_some();
        let visible = items.len();
        let sort = sort_keys(order, &mut items);
        self.within_columns(items.len(), &span)?;
        let group = if grouped {
            let having = match having {
                Some((having, span)) => Some(self.regroup(having?, &keys, &span)?),
                None => None,
            };
            Some(Group { keys, aggregates, having })
        } else {
            None
        };
        let distinct = self.distinct(select.distinct.as_ref(), visible, items.len(), &span)?;
        let output = self.outputs(items, group.as_ref())?;
        Some(Query { from, filter, group, output, visible, distinct, order: sort, limit, offset })
    }

    fn within_columns(&mut self, columns: usize, span: &Span) -> Option<()> {
        if columns <= OUTPUT_MAX {
            return Some(());
        }
        self.error("DE025", span.clone(), format!("more than {OUTPUT_MAX} columns in the result and its ORDER BY"))
    }

    fn refuse_clauses(&mut self, select: &ast::Select, span: &Span) -> Option<()> {
        let ast::Select {
            select_token: _,
            optimizer_hints,
            distinct: _,
            select_modifiers,
            top,
            top_before_distinct: _,
            projection: _,
            exclude,
            into,
            from: _,
            lateral_views,
            prewhere,
            selection: _,
            connect_by,
            group_by: _,
            cluster_by,
            distribute_by,
            sort_by,
            having: _,
            named_window,
            qualify,
            window_before_qualify: _,
            value_table_mode,
            flavor,
        } = select;
        let set = [
            (!optimizer_hints.is_empty(), "an optimizer hint"),
            (select_modifiers.is_some(), "this SELECT modifier"),
            (top.is_some(), "TOP"),
            (exclude.is_some(), "EXCLUDE"),
            (!lateral_views.is_empty(), "LATERAL VIEW"),
            (prewhere.is_some(), "PREWHERE"),
            (!connect_by.is_empty(), "CONNECT BY"),
            (!cluster_by.is_empty() || !distribute_by.is_empty() || !sort_by.is_empty(), "this clause"),
            (!named_window.is_empty(), "WINDOW"),
            (qualify.is_some(), "QUALIFY"),
            (value_table_mode.is_some(), "AS STRUCT or AS VALUE"),
            (*flavor != ast::SelectFlavor::Standard, "FROM before SELECT"),
        ];
        if into.is_some() {
            return self.unsupported(self.keyword_from(Keyword::INTO, 0).unwrap_or(span.clone()), "INTO");
        }
        match set.iter().find(|(is_set, _)| *is_set) {
            Some((_, what)) => self.unsupported(span.clone(), what),
            None => Some(()),
        }
    }

    fn from(&mut self, tables: &[ast::TableWithJoins]) -> Option<From> {
        let mut from: Option<From> = None;
        let mut count = 0;
        for table in tables {
            let steps = std::iter::once((&table.relation, None))
                .chain(table.joins.iter().map(|join| (&join.relation, Some(join))));
            for (relation, join) in steps {
                count += 1;
                if count > JOINS_MAX + 1 {
                    let span = self.span(relation);
                    return self.error("DE026", span, format!("more than {JOINS_MAX} joins"));
                }
                from = Some(match (from.take(), join) {
                    (None, _) => self.first_table(relation)?,
                    (Some(left), None) => self.join(left, relation, JoinKind::Inner, None)?,
                    (Some(left), Some(join)) => {
                        let (kind, on) = self.join_kind(join)?;
                        self.join(left, relation, kind, on)?
                    }
                });
            }
        }
        Some(from.unwrap_or(From::Nothing))
    }

    fn first_table(&mut self, relation: &ast::TableFactor) -> Option<From> {
        match self.relation(relation)? {
            (None, table) => {
                self.scope.push(table.clone());
                Some(From::Table(table))
            }
            (Some(_), _) => {
                let span = self.span(relation);
                let message = "`ancestors` needs a process from a table to its left";
                let diagnostic = Diagnostic::error("DE232", span, message);
                let help = "write FROM processes AS p JOIN ancestors(p.proc_id) AS a ON a.depth <= 4";
                self.diagnostics.push(diagnostic.help(help));
                None
            }
        }
    }

    fn join(
        &mut self,
        left: From,
        relation: &ast::TableFactor,
        kind: JoinKind,
        on: Option<&ast::Expr>,
    ) -> Option<From> {
        let (process, table) = self.relation(relation)?;
        if self.scope.has_alias(&table.alias) {
            let message = format!("two tables are called `{}` here", table.alias);
            let diagnostic = Diagnostic::error("DE210", self.span(relation), message);
            self.diagnostics.push(diagnostic.help("give one of them another name: `processes AS parent`"));
            return None;
        }
        self.scope.push(table.clone());
        let on = match on {
            Some(on) => Some(self.condition_of(on)?),
            None => None,
        };
        let right = match process {
            Some(process) => Right::Ancestors { process, table },
            None => Right::From(From::Table(table)),
        };
        Some(From::Join(Box::new(Join { left, right, kind, on })))
    }

    fn join_kind<'n>(&mut self, join: &'n ast::Join) -> Option<(JoinKind, Option<&'n ast::Expr>)> {
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
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => {
                let span = self.keyword_before(Keyword::RIGHT, span.start).unwrap_or(span);
                let diagnostic = Diagnostic::error("DE004", span, "RIGHT JOIN is not part of the dialect");
                self.diagnostics.push(diagnostic.help("exchange the tables and write LEFT JOIN"));
                return None;
            }
            JoinOperator::FullOuter(_) => {
                return self.unsupported(self.keyword_before(Keyword::FULL, span.start).unwrap_or(span), "FULL JOIN");
            }
            _ => return self.unsupported(span, "this kind of join"),
        };
        match constraint {
            JoinConstraint::On(on) => Some((kind, Some(on))),
            JoinConstraint::None => Some((kind, None)),
            JoinConstraint::Using(_) => {
                self.unsupported(self.keyword_from(Keyword::USING, span.end).unwrap_or(span), "USING")
            }
            JoinConstraint::Natural => {
                self.unsupported(self.keyword_before(Keyword::NATURAL, span.start).unwrap_or(span), "NATURAL JOIN")
            }
        }
    }

    /// A table, or `ancestors(process)` with its argument.
    fn relation(&mut self, relation: &ast::TableFactor) -> Option<(Option<Expr>, TableRef)> {
        let span = self.span(relation);
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
        } = relation
        else {
            let what = match relation {
                ast::TableFactor::Derived { .. } => "a subquery in FROM",
                ast::TableFactor::Table { version: Some(_), .. } => "FOR SYSTEM_TIME",
                _ => "this form of table",
            };
            return self.unsupported(span, what);
        };
        if !with_hints.is_empty() || !partitions.is_empty() || !index_hints.is_empty() {
            return self.unsupported(span, "a hint");
        }
        let Some(ident) = single_name(name) else {
            return self.unsupported(span, "a table name of several parts");
        };
        let alias = self.alias(alias.as_ref(), &ident.value)?;
        let Some(args) = args else {
            let table = self.table(ident)?;
            return Some((None, TableRef { table, alias }));
        };
        if !ident.value.eq_ignore_ascii_case(ancestors::NAME) {
            let diagnostic =
                Diagnostic::error("DE202", self.ident_span(ident), format!("unknown table function `{}`", ident.value));
            self.diagnostics.push(diagnostic.help("the table functions are: ancestors(proc_id)"));
            return None;
        }
        let [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(process))] = args.args.as_slice() else {
            return self.error("DE205", span, "`ancestors` takes one `proc_id`");
        };
        let process_expr = self.expr(process)?;
        let process_span = self.span(process);
        let process = self.argument(process_expr, Type::Text, &process_span, "`ancestors`")?;
        Some((Some(process), TableRef { table: Arc::new(ancestors::table()), alias }))
    }

    fn alias(&mut self, alias: Option<&ast::TableAlias>, name: &str) -> Option<String> {
        let Some(alias) = alias else { return Some(name.to_owned()) };
        let span = self.ident_span(&alias.name);
        if !alias.columns.is_empty() {
            return self.unsupported(span, "an alias with column names");
        }
        Some(alias.name.value.clone())
    }

    fn group_keys(&mut self, select: &ast::Select) -> Option<Vec<Expr>> {
        let span = self.span(&select.group_by);
        let ast::GroupByExpr::Expressions(nodes, modifiers) = &select.group_by else {
            return self.unsupported(span, "GROUP BY ALL");
        };
        if !modifiers.is_empty() {
            return self.unsupported(span, "this form of GROUP BY");
        }
        let keys: Vec<_> = nodes.iter().map(|node| self.group_key(node, select)).collect();
        keys.into_iter().collect()
    }

    /// A key may be an expression, the number of a column of the result, or its alias (a column's name goes before).
    fn group_key(&mut self, node: &ast::Expr, select: &ast::Select) -> Option<Expr> {
        let aliased = |name: &ast::Ident| {
            select.projection.iter().find_map(|item| match item {
                ast::SelectItem::ExprWithAlias { expr, alias } if alias.value.eq_ignore_ascii_case(&name.value) => {
                    Some(expr)
                }
                _ => None,
            })
        };
        let meant = match node {
            ast::Expr::Identifier(name) if !self.is_column(name) => aliased(name),
            ast::Expr::Value(_) => {
                let span = self.span(node);
                let items = select.projection.len();
                match self.ordinal(node, items, &span)? {
                    Some(at) => match &select.projection[at] {
                        ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. } => Some(expr),
                        _ => return self.unsupported(span, "GROUP BY the number of a `*`"),
                    },
                    None => None,
                }
            }
            _ => None,
        };
        self.expr(meant.unwrap_or(node))
    }

    fn is_column(&self, name: &ast::Ident) -> bool {
        self.scope.columns(None).iter().any(|(_, _, column)| column.name.eq_ignore_ascii_case(&name.value))
    }

    /// The position that an integer literal in GROUP BY or ORDER BY means.
    fn ordinal(&mut self, node: &ast::Expr, items: usize, span: &Span) -> Option<Option<usize>> {
        let ast::Expr::Value(ast::ValueWithSpan { value: ast::Value::Number(text, _), .. }) = node else {
            return Some(None);
        };
        match text.parse::<usize>() {
            Ok(number) if (1..=items).contains(&number) => Some(Some(number - 1)),
            Ok(number) => {
                let message = format!("there is no column number {number}: the result has {items}");
                self.error("DE233", span.clone(), message)
            }
            Err(_) => Some(None),
        }
    }

    fn items(&mut self, projection: &[ast::SelectItem]) -> Option<Vec<Item>> {
        let mut items = Vec::new();
        let mut sound = true;
        for item in projection {
            let span = self.span(item);
            self.within_columns(items.len(), &span)?;
            match item {
                ast::SelectItem::UnnamedExpr(node) => match self.expr(node) {
                    Some(expr) => items.push(Item { alias: scope::absent_name(node, &expr), expr, span }),
                    None => sound = false,
                },
                ast::SelectItem::ExprWithAlias { expr: node, alias } => match self.expr(node) {
                    Some(expr) => items.push(Item { alias: Some(alias.value.clone()), expr, span }),
                    None => sound = false,
                },
                ast::SelectItem::Wildcard(options) if plain(options) => sound &= self.wildcard(None, &span, &mut items),
                ast::SelectItem::QualifiedWildcard(ast::SelectItemQualifiedWildcardKind::ObjectName(name), options)
                    if plain(options) =>
                {
                    sound &= self.wildcard(single_name(name), &span, &mut items);
                }
                _ => {
                    sound = false;
                    self.unsupported::<()>(span, "this form of column");
                }
            }
        }
        sound.then_some(items)
    }

    fn wildcard(&mut self, table: Option<&ast::Ident>, span: &Span, items: &mut Vec<Item>) -> bool {
        let columns = self.scope.columns(table.map(|table| table.value.as_str()));
        let exprs: Vec<_> = columns
            .into_iter()
            .map(|(index, table, column)| (self.scope.expr(index, table, column), column.name.to_string()))
            .collect();
        if exprs.is_empty() {
            let message = "`*` stands for no column here";
            self.diagnostics.push(Diagnostic::error("DE201", span.clone(), message));
            return false;
        }
        items.extend(exprs.into_iter().map(|(expr, name)| Item { alias: Some(name), expr, span: span.clone() }));
        true
    }

    /// The ORDER BY terms: a position among the items, or an expression of its own.
    fn order_by(
        &mut self,
        order: Option<&ast::OrderBy>,
        items: &[Item],
    ) -> Option<Vec<(Result<usize, Item>, SortKey)>> {
        let Some(order) = order else { return Some(vec![]) };
        let span = self.span(order);
        let ast::OrderBy { kind: ast::OrderByKind::Expressions(terms), interpolate: None } = order else {
            return self.unsupported(span, "this form of ORDER BY");
        };
        terms.iter().map(|term| self.order_term(term, items)).collect()
    }

    fn order_term(&mut self, term: &ast::OrderByExpr, items: &[Item]) -> Option<(Result<usize, Item>, SortKey)> {
        let span = self.span(&term.expr);
        let descending = match (&term.options.sort, &term.with_fill) {
            (None | Some(ast::OrderBySort::Asc), None) => false,
            (Some(ast::OrderBySort::Desc), None) => true,
            _ => return self.unsupported(span, "this form of ORDER BY"),
        };
        let (node, collation) = match &term.expr {
            ast::Expr::Collate { expr, .. } => (&**expr, self.collated(&term.expr)?.1),
            node => (node, None),
        };
        let by_alias = |name: &str| {
            items.iter().position(|item| item.alias.as_deref().is_some_and(|alias| alias.eq_ignore_ascii_case(name)))
        };
        let place = match node {
            ast::Expr::Identifier(name) if by_alias(&name.value).is_some() => by_alias(&name.value),
            _ => self.ordinal(node, items.len(), &span)?,
        };
        let place = match place {
            Some(at) => Ok(at),
            None => {
                let expr = self.expr(node)?;
                items.iter().position(|item| item.expr == expr).ok_or(Item { alias: None, expr, span })
            }
        };
        // NULL is less than everything, as in SQLite.
        let nulls_first = term.options.nulls_first.unwrap_or(!descending);
        let key = SortKey { column: 0, descending, nulls_first, collation: collation.unwrap_or_default() };
        Some((place, key))
    }

    fn distinct(&mut self, distinct: Option<&ast::Distinct>, visible: usize, all: usize, span: &Span) -> Option<bool> {
        match distinct {
            None | Some(ast::Distinct::All) => Some(false),
            Some(ast::Distinct::Distinct) if visible == all => Some(true),
            Some(ast::Distinct::Distinct) => {
                let message = "with DISTINCT, ORDER BY can only name columns of the result";
                self.error("DE234", self.keyword_from(Keyword::ORDER, 0).unwrap_or(span.clone()), message)
            }
            Some(ast::Distinct::On(_)) => {
                self.unsupported(self.keyword_from(Keyword::DISTINCT, 0).unwrap_or(span.clone()), "DISTINCT ON")
            }
        }
    }

    fn limits(&mut self, clause: Option<&ast::LimitClause>) -> Option<(Option<u64>, u64)> {
        let (limit, offset) = match clause {
            None => (None, None),
            Some(ast::LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
            }
            Some(ast::LimitClause::OffsetCommaLimit { offset, limit }) => (Some(limit), Some(offset)),
            Some(clause) => {
                let span = self.span(clause);
                return self.unsupported(span, "LIMIT BY");
            }
        };
        let limit = match limit {
            Some(node) => self.count(node, "LIMIT")?,
            None => None,
        };
        let offset = match offset {
            Some(node) => self.count(node, "OFFSET")?,
            None => None,
        };
        Some((limit, offset.unwrap_or(0)))
    }

    /// A constant number of rows; a negative one means none, as in SQLite.
    fn count(&mut self, node: &ast::Expr, of: &str) -> Option<Option<u64>> {
        let expr = self.expr(node)?;
        match expr.as_literal() {
            Some(Value::Integer(number)) => Some(u64::try_from(*number).ok()),
            _ => {
                let span = self.span(node);
                self.error("DE205", span, format!("{of} takes a constant INTEGER"))
            }
        }
    }

    fn outputs(&mut self, items: Vec<Item>, group: Option<&Group>) -> Option<Vec<Output>> {
        let mut outputs: Vec<Output> = Vec::new();
        let mut sound = true;
        for item in items {
            let (identity, volatile) = facts(&self.scope, &item.expr);
            let own_name = self.scope.name_of(&item.expr);
            let expr = match group {
                Some(group) => self.regroup(item.expr, &group.keys, &item.span),
                None => Some(item.expr),
            };
            let Some(expr) = expr else {
                sound = false;
                continue;
            };
            let group_key = group
                .is_some_and(|group| matches!(expr.kind, ExprKind::Column { index, .. } if index < group.keys.len()));
            let name = unique(item.alias.or(own_name).unwrap_or_else(|| column_name(&expr)), &outputs);
            let volatile = volatile || group.is_some() && !group_key;
            outputs.push(Output { name, expr, identity, volatile, group_key });
        }
        sound.then_some(outputs)
    }
}

/// Gives every ORDER BY term its column, appending those that the author did not select.
fn sort_keys(order: Vec<(Result<usize, Item>, SortKey)>, items: &mut Vec<Item>) -> Vec<SortKey> {
    let mut place = |place: Result<usize, Item>| {
        place.unwrap_or_else(|item| {
            items.push(item);
            items.len() - 1
        })
    };
    order.into_iter().map(|(at, key)| SortKey { column: place(at), ..key }).collect()
}

fn plain(options: &ast::WildcardAdditionalOptions) -> bool {
    let ast::WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike: None,
        opt_exclude: None,
        opt_except: None,
        opt_replace: None,
        opt_rename: None,
        opt_alias: None,
    } = options
    else {
        return false;
    };
    true
}

/// Whether the value names a process, and whether it changes without the row changing.
fn facts(scope: &scope::Scope, expr: &Expr) -> (bool, bool) {
    let column = |index: usize| scope.column_at(index);
    let identity = match &expr.kind {
        ExprKind::Column { index, .. } => column(*index).is_some_and(|column| column.identity),
        _ => false,
    };
    let volatile = expr.columns().into_iter().any(|index| column(index).is_some_and(|column| column.volatile));
    (identity, volatile || expr.uses_now())
}

fn column_name(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Column { name, .. } if !name.contains('(') => name.rsplit('.').next().unwrap_or_default().to_owned(),
        _ => expr.to_string(),
    }
}

/// Equal names get `_1`, `_2`, so that a row is a JSON object without repeats.
fn unique(name: String, outputs: &[Output]) -> String {
    let taken = |name: &str| outputs.iter().any(|output| output.name == name);
    if !taken(&name) {
        return name;
    }
    let numbered = (1..=outputs.len()).map(|number| format!("{name}_{number}"));
    numbered.into_iter().find(|name| !taken(name)).unwrap_or_else(|| format!("{name}_{}", outputs.len() + 1))
}
