//! Queries around SELECTs: WITH, UNION and its like, VALUES, and the queries within queries.

use sqlparser::ast;
use sqlparser::keywords::Keyword;

use super::Checker;
use super::coerce::cast;
use super::select::unique;
use crate::diagnostic::{Diagnostic, Span};
use crate::expr::{Expr, ExprKind};
use crate::limits::{OPERANDS_MAX, QUERIES_MAX};
use crate::query::{Body, Derived, From, Output, Query, Recursive, Select, SetOp, SetOperation, SortKey, Working};
use crate::types::Type;

/// A common table expression that can be named.
#[derive(Clone)]
pub(super) struct Cte {
    name: String,
    /// How many rows lay around it where it was written.
    level: usize,
    rows: Rows,
}

/// What a common table expression gives.
#[derive(Clone)]
enum Rows {
    Query(Query),
    Recursive(Recursive),
    /// It is being defined: its own rows of the round before.
    Working(Working),
    /// It has an error, which was said.
    Unknown,
}

impl Checker<'_> {
    /// A whole query, with what stands before and after it.
    pub(super) fn query(&mut self, query: &ast::Query) -> Option<Query> {
        let span = self.span(query);
        self.queries += 1;
        if self.queries > QUERIES_MAX {
            return self.error("DE028", span, format!("more than {QUERIES_MAX} queries in one statement"));
        }
        let ast::Query {
            with,
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
            let (what, keyword) =
                if query.fetch.is_some() { ("FETCH", Keyword::FETCH) } else { ("this clause", Keyword::FOR) };
            return self.unsupported(self.keyword_from(keyword, 0).unwrap_or(span), what);
        };
        if !locks.is_empty() || !pipe_operators.is_empty() {
            return self.unsupported(self.keyword_from(Keyword::FOR, 0).unwrap_or(span), "this clause");
        }
        let known = self.ctes.len();
        if let Some(with) = with {
            self.with(with)?;
        }
        let made = self.ordered(body, order_by.as_ref(), limit_clause.as_ref(), &span);
        self.ctes.truncate(known);
        made
    }

    fn ordered(
        &mut self,
        body: &ast::SetExpr,
        order_by: Option<&ast::OrderBy>,
        limits: Option<&ast::LimitClause>,
        span: &Span,
    ) -> Option<Query> {
        let mut query = match body {
            ast::SetExpr::Select(select) => return self.select(select, order_by, limits, span),
            ast::SetExpr::Query(inner) => {
                let inner = self.query(inner)?;
                if order_by.is_none() && limits.is_none() {
                    return Some(inner);
                }
                through(inner, None)
            }
            ast::SetExpr::Values(values) => self.values(values, span)?,
            ast::SetExpr::SetOperation { .. } => self.set_operation(body, span)?,
            _ => return self.unsupported(span.clone(), "this statement"),
        };
        query.order = self.order_of(order_by, &query.output)?;
        (query.limit, query.offset) = self.limits(limits)?;
        Some(query)
    }

    /// ORDER BY of a query that is no SELECT: by number or by name of a column of the result.
    fn order_of(&mut self, order: Option<&ast::OrderBy>, output: &[Output]) -> Option<Vec<SortKey>> {
        let Some(order) = order else { return Some(vec![]) };
        let span = self.span(order);
        let ast::OrderBy { kind: ast::OrderByKind::Expressions(terms), interpolate: None } = order else {
            return self.unsupported(span, "this form of ORDER BY");
        };
        let mut keys = Vec::new();
        for term in terms {
            let span = self.span(&term.expr);
            let key = self.sort_key(term, &span)?;
            let node = match &term.expr {
                ast::Expr::Collate { expr, .. } => expr,
                node => node,
            };
            let column = match node {
                ast::Expr::Identifier(name) => {
                    output.iter().position(|column| column.name.eq_ignore_ascii_case(&name.value))
                }
                node => self.ordinal(node, output.len(), &span)?,
            };
            let Some(column) = column else {
                let names: Vec<_> = output.iter().map(|column| column.name.as_str()).collect();
                let diagnostic =
                    Diagnostic::error("DE235", span, "ORDER BY of several queries names a column of their result");
                self.diagnostics.push(diagnostic.help(format!("columns: {}", names.join(", "))));
                return None;
            };
            keys.push(SortKey { column, ..key });
        }
        Some(keys)
    }

    fn values(&mut self, values: &ast::Values, span: &Span) -> Option<Query> {
        if values.explicit_row || values.value_keyword {
            return self.unsupported(span.clone(), "this form of VALUES");
        }
        let mut rows: Vec<Vec<Expr>> = Vec::new();
        for row in &values.rows {
            let row: Vec<_> = row.content.iter().map(|node| self.expr(node)).collect();
            let row = row.into_iter().collect::<Option<Vec<_>>>()?;
            if rows.first().is_some_and(|first| first.len() != row.len()) {
                let message = format!("rows of {} and of {} values", rows[0].len(), row.len());
                return self.error("DE237", span.clone(), message);
            }
            rows.push(row);
        }
        let width = rows.first().map_or(0, Vec::len);
        let mut output = Vec::new();
        for at in 0..width {
            let column = rows.iter_mut().map(|row| std::mem::replace(&mut row[at], Expr::null())).collect();
            let (column, ty) = self.unify(column, span, &format!("column {} of VALUES", at + 1))?;
            let null = column.iter().all(Expr::is_null);
            for (row, value) in rows.iter_mut().zip(column) {
                row[at] = value;
            }
            let name = format!("column{}", at + 1);
            output.push(Output { name, ty, null, identity: false, volatile: false, group_key: false });
        }
        Some(Query { body: Body::Values(rows), output, order: vec![], limit: None, offset: 0 })
    }

    /// SQLite groups all set operations from left to right, whereas the parser lets INTERSECT bind more tightly.
    fn set_operation(&mut self, body: &ast::SetExpr, span: &Span) -> Option<Query> {
        let (first, rest) = self.operands(body, span)?;
        let mut left = self.apart(|checker| checker.ordered(first, None, None, span))?;
        for (op, operand) in rest {
            let right = self.apart(|checker| checker.ordered(operand, None, None, span))?;
            left = self.together(op, left, right, span)?;
        }
        Some(left)
    }

    /// The operands of a chain in the order of the text, each further one with what joins it to those before.
    fn operands<'n>(
        &mut self,
        body: &'n ast::SetExpr,
        span: &Span,
    ) -> Option<(&'n ast::SetExpr, Vec<(SetOp, &'n ast::SetExpr)>)> {
        let mut chain: Vec<(Option<SetOp>, &ast::SetExpr)> = vec![(None, body)];
        let mut at = 0;
        while let Some((before, node)) = chain.get(at).copied() {
            let ast::SetExpr::SetOperation { left, op, set_quantifier, right } = node else {
                at += 1;
                continue;
            };
            if chain.len() >= OPERANDS_MAX {
                let message = format!("more than {OPERANDS_MAX} operands of UNION, INTERSECT and EXCEPT");
                return self.error("DE028", span.clone(), message);
            }
            let op = match (op, set_quantifier) {
                (ast::SetOperator::Union, ast::SetQuantifier::All) => SetOp::UnionAll,
                (ast::SetOperator::Union, ast::SetQuantifier::None | ast::SetQuantifier::Distinct) => SetOp::Union,
                (ast::SetOperator::Intersect, ast::SetQuantifier::None | ast::SetQuantifier::Distinct) => {
                    SetOp::Intersect
                }
                (ast::SetOperator::Except, ast::SetQuantifier::None | ast::SetQuantifier::Distinct) => SetOp::Except,
                (op, quantifier) => return self.unsupported(span.clone(), format!("{op} {quantifier}").trim()),
            };
            chain.splice(at..=at, [(before, &**left), (Some(op), &**right)]);
        }
        let mut chain = chain.into_iter();
        let (_, first) = chain.next()?;
        Some((first, chain.filter_map(|(op, node)| Some((op?, node))).collect()))
    }

    /// Two queries as one relation of common types.
    fn together(&mut self, op: SetOp, left: Query, right: Query, span: &Span) -> Option<Query> {
        let (ours, theirs) = (left.output.len(), right.output.len());
        if ours != theirs {
            let message = format!("{} joins queries of {ours} and of {theirs} columns", op.name());
            return self.error("DE237", span.clone(), message);
        }
        let mut types = Vec::new();
        for (one, other) in left.output.iter().zip(&right.output) {
            types.push(self.common(one, other, op, span)?);
        }
        let output = left.output.iter().zip(&right.output).zip(&types).map(|((one, other), ty)| Output {
            name: one.name.clone(),
            ty: *ty,
            null: one.null && other.null,
            identity: one.identity && other.identity,
            volatile: one.volatile || other.volatile,
            group_key: false,
        });
        let output = output.collect();
        let (left, right) = (through(left, Some(&types)), through(right, Some(&types)));
        let body = Body::Set(Box::new(SetOperation { op, left, right }));
        Some(Query { body, output, order: vec![], limit: None, offset: 0 })
    }

    fn common(&mut self, one: &Output, other: &Output, op: SetOp, span: &Span) -> Option<Type> {
        match (one.ty, other.ty) {
            (ty, _) if other.null => Some(ty),
            (_, ty) if one.null => Some(ty),
            (ty, same) if ty == same => Some(ty),
            (a, b) if a.is_numeric() && b.is_numeric() => {
                Some(if a == Type::Real || b == Type::Real { Type::Real } else { Type::Integer })
            }
            (a, b) => {
                let message = format!("column `{}` of {} is {a} in one query and {b} in another", one.name, op.name());
                let diagnostic = Diagnostic::error("DE205", span.clone(), message);
                self.diagnostics.push(diagnostic.help("convert one of them with CAST"));
                None
            }
        }
    }

    fn with(&mut self, with: &ast::With) -> Option<()> {
        for (at, cte) in with.cte_tables.iter().enumerate() {
            let span = self.ident_span(&cte.alias.name);
            let same = |other: &ast::Cte| other.alias.name.value.eq_ignore_ascii_case(&cte.alias.name.value);
            if with.cte_tables[..at].iter().any(same) {
                let message = format!("two queries are called `{}` here", cte.alias.name.value);
                let diagnostic = Diagnostic::error("DE210", span, message).help("give one of them another name");
                self.diagnostics.push(diagnostic);
                return None;
            }
            if cte.from.is_some() || cte.alias.at.is_some() {
                return self.unsupported(span, "this form of WITH");
            }
            let name = cte.alias.name.value.clone();
            // Names of columns are given with the CTE, so they are not the alias's at its use.
            let rows = self.cte_rows(cte, &name, with.recursive).unwrap_or(Rows::Unknown);
            self.ctes.push(Cte { name, level: self.around.len(), rows });
        }
        Some(())
    }

    fn cte_rows(&mut self, cte: &ast::Cte, name: &str, recursive: bool) -> Option<Rows> {
        let span = self.ident_span(&cte.alias.name);
        let names = &cte.alias.columns;
        if recursive && let Some(split) = self.recursion(&cte.query, name, &span) {
            return self.recursive(split?, name, names, &span).map(Rows::Recursive);
        }
        let mut query = self.query_apart(&cte.query)?;
        self.rename(&mut query.output, names, &span)?;
        Some(Rows::Query(query))
    }

    /// A query in FROM or WITH: it sees the rows around the one that names it, not its neighbours.
    pub(super) fn query_apart(&mut self, query: &ast::Query) -> Option<Query> {
        self.apart(|checker| checker.query(query))
    }

    /// A translation that sees nothing of the SELECT around it.
    fn apart<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let own = std::mem::take(&mut self.scope);
        let state = (self.aggregates.take(), self.windows.take());
        let named = std::mem::take(&mut self.named_windows);
        let made = work(self);
        (self.aggregates, self.windows) = state;
        self.named_windows = named;
        self.scope = own;
        made
    }

    /// A query in an expression: it sees the row that the expression is evaluated for.
    pub(super) fn inner_query(&mut self, query: &ast::Query) -> Option<Query> {
        let own = std::mem::take(&mut self.scope);
        self.around.push(own);
        let made = self.query_apart(query);
        self.scope = self.around.pop().expect("pushed above");
        made
    }

    pub(super) fn rename(
        &mut self,
        output: &mut [Output],
        names: &[ast::TableAliasColumnDef],
        span: &Span,
    ) -> Option<()> {
        if names.is_empty() {
            return Some(());
        }
        if names.len() != output.len() {
            let message = format!("{} names for {} columns", names.len(), output.len());
            return self.error("DE237", span.clone(), message);
        }
        for (column, name) in output.iter_mut().zip(names) {
            if name.data_type.is_some() {
                return self.unsupported(self.ident_span(&name.name), "a type here");
            }
            column.name.clone_from(&name.name.value);
        }
        Some(())
    }

    /// The common table expression of that name, as it stands in FROM here.
    pub(super) fn cte(&mut self, name: &ast::Ident, alias: &str) -> Option<Option<From>> {
        let found = self.ctes.iter().rev().find(|cte| cte.name.eq_ignore_ascii_case(&name.value)).cloned();
        let Some(Cte { level, rows, .. }) = found else { return Some(None) };
        // Rows around it are further out where it is used deeper.
        let deeper = self.around.len() - level;
        let shift = |query: &mut Query| {
            query.outer_mut(&mut |expr, _| {
                if let ExprKind::Outer { level, .. } = &mut expr.kind {
                    *level += deeper;
                }
            });
        };
        let alias = alias.to_owned();
        Some(Some(match rows {
            Rows::Query(mut query) => {
                shift(&mut query);
                From::Query(Box::new(Derived { query, alias }))
            }
            Rows::Recursive(mut recursive) => {
                shift(&mut recursive.base);
                shift(&mut recursive.step);
                From::Recursive(Box::new(Recursive { alias, ..recursive }))
            }
            Rows::Working(working) => {
                if deeper > 0 {
                    let message = format!("`{}` cannot be read in a subquery of its own definition", name.value);
                    return self.error("DE238", self.ident_span(name), message);
                }
                self.working_reads += 1;
                From::Working(Working { alias, ..working })
            }
            Rows::Unknown => return None,
        }))
    }

    /// Splits a query that names itself into the operands before and from the first that does; nothing for one that
    /// does not.
    fn recursion<'n>(&mut self, query: &'n ast::Query, name: &str, span: &Span) -> Option<Option<Split<'n>>> {
        if !matches!(&*query.body, ast::SetExpr::SetOperation { .. }) || query.with.is_some() {
            return None;
        }
        let Some((first, rest)) = self.operands(&query.body, span) else { return Some(None) };
        let at = rest.iter().position(|(_, operand)| names_table(operand, name))?;
        let (base, steps) = rest.split_at(at);
        let all = steps[0].0;
        if steps.iter().any(|(op, _)| *op != all || !matches!(op, SetOp::Union | SetOp::UnionAll)) {
            let message = format!("`{name}` names itself after something other than UNION or UNION ALL");
            return Some(self.error("DE238", span.clone(), message));
        }
        if query.order_by.is_some() {
            return Some(self.unsupported(span.clone(), "ORDER BY within WITH RECURSIVE"));
        }
        let base = std::iter::once((SetOp::UnionAll, first)).chain(base.iter().copied()).collect();
        let steps = steps.iter().map(|(_, step)| *step).collect();
        Some(Some(Split { base, steps, distinct: all == SetOp::Union, limits: query.limit_clause.as_ref() }))
    }

    fn recursive(
        &mut self,
        split: Split<'_>,
        name: &str,
        names: &[ast::TableAliasColumnDef],
        span: &Span,
    ) -> Option<Recursive> {
        let mut base: Option<Query> = None;
        for (op, operand) in split.base {
            let next = self.apart(|checker| checker.ordered(operand, None, None, span))?;
            base = Some(match base {
                None => next,
                Some(base) => self.together(op, base, next, span)?,
            });
        }
        let mut base = base?;
        self.rename(&mut base.output, names, span)?;
        self.recursions += 1;
        let id = self.recursions;
        let working = Working { id, alias: name.to_owned(), columns: base.output.clone() };
        self.ctes.push(Cte { name: name.to_owned(), level: self.around.len(), rows: Rows::Working(working) });
        let mut step: Option<Query> = None;
        for operand in split.steps {
            let reads = self.working_reads;
            let next = self.apart(|checker| checker.ordered(operand, None, None, span));
            let reads = self.working_reads - reads;
            let next = next?;
            if reads != 1 || next.is_grouped() || has_windows(&next) {
                let message = format!("each query after UNION reads `{name}` once, without aggregates or windows");
                return self.error("DE238", span.clone(), message);
            }
            step = Some(match step {
                None => next,
                Some(step) => self.together(SetOp::UnionAll, step, next, span)?,
            });
        }
        self.ctes.pop();
        let (mut step, limits) = (step?, self.limits(split.limits)?);
        if limits.1 > 0 {
            return self.unsupported(span.clone(), "OFFSET within WITH RECURSIVE");
        }
        if step.output.len() != base.output.len() {
            let message = format!("queries of {} and of {} columns", base.output.len(), step.output.len());
            return self.error("DE237", span.clone(), message);
        }
        let types: Vec<_> = base.output.iter().map(|column| column.ty).collect();
        for (one, other) in base.output.iter().zip(&step.output) {
            let fits = one.ty == other.ty || other.null || one.ty == Type::Real && other.ty.is_numeric();
            if !fits {
                let message =
                    format!("column `{}` of `{name}` begins as {} and goes on as {}", one.name, one.ty, other.ty);
                let diagnostic = Diagnostic::error("DE205", span.clone(), message);
                self.diagnostics.push(diagnostic.help("the first query decides: convert there with CAST"));
                return None;
            }
        }
        step = through(step, Some(&types));
        Some(Recursive { alias: name.to_owned(), id, base, step, distinct: split.distinct, limit: limits.0 })
    }
}

/// A recursive query's parts.
struct Split<'n> {
    base: Vec<(SetOp, &'n ast::SetExpr)>,
    steps: Vec<&'n ast::SetExpr>,
    distinct: bool,
    limits: Option<&'n ast::LimitClause>,
}

/// Whether FROM names that table, in the operand itself or in a query in its FROM.
fn names_table(operand: &ast::SetExpr, name: &str) -> bool {
    let in_factor = |factor: &ast::TableFactor| factor_names(factor, name);
    match operand {
        ast::SetExpr::Select(select) => {
            let joined = select.from.iter().flat_map(|from| from.joins.iter().map(|join| &join.relation));
            select.from.iter().map(|from| &from.relation).chain(joined).any(in_factor)
        }
        ast::SetExpr::Query(query) => names_table(&query.body, name),
        ast::SetExpr::SetOperation { left, right, .. } => names_table(left, name) || names_table(right, name),
        _ => false,
    }
}

fn factor_names(factor: &ast::TableFactor, name: &str) -> bool {
    match factor {
        ast::TableFactor::Table { name: table, .. } => {
            super::expr::single_name(table).is_some_and(|table| table.value.eq_ignore_ascii_case(name))
        }
        ast::TableFactor::Derived { subquery, .. } => names_table(&subquery.body, name),
        ast::TableFactor::NestedJoin { table_with_joins, .. } => {
            let joined = table_with_joins.joins.iter().map(|join| &join.relation);
            std::iter::once(&table_with_joins.relation).chain(joined).any(|factor| factor_names(factor, name))
        }
        _ => false,
    }
}

fn has_windows(query: &Query) -> bool {
    matches!(&query.body, Body::Select(select) if !select.windows.is_empty())
}

/// A query around `query` with the same columns, of `types`; the query itself where nothing is to be done.
pub(super) fn through(query: Query, types: Option<&[Type]>) -> Query {
    let same = types.is_some_and(|types| query.output.iter().zip(types).all(|(column, ty)| column.ty == *ty));
    let plain = query.order.is_empty() && query.limit.is_none() && query.offset == 0;
    if same && plain {
        return query;
    }
    let columns = query.output.iter().enumerate().map(|(at, column)| {
        let expr = Expr::column(at, column.ty, column.name.as_str());
        match types {
            Some(types) => cast(expr, types[at]),
            None => expr,
        }
    });
    let columns = columns.collect();
    let mut output = query.output.clone();
    for (column, ty) in output.iter_mut().zip(types.unwrap_or_default()) {
        column.ty = *ty;
    }
    let from = From::Query(Box::new(Derived { query, alias: String::new() }));
    let select = Select { from, filter: None, group: None, windows: vec![], columns, distinct: false };
    Query { body: Body::Select(Box::new(select)), output, order: vec![], limit: None, offset: 0 }
}

/// The names of a query's columns, each once.
pub(super) fn make_unique(output: &mut Vec<Output>) {
    let mut named = Vec::with_capacity(output.len());
    for column in output.drain(..) {
        let name = unique(column.name.clone(), &named);
        named.push(Output { name, ..column });
    }
    *output = named;
}
