//! One SELECT, clause by clause. Every field of the parser's nodes is looked at: one that is set and has no translation
//! is an error.

use sqlparser::ast;
use sqlparser::keywords::Keyword;

use super::expr::single_name;
use super::scope::Scope;
use super::window::placed;
use super::{Aliases, Checker};
use crate::diagnostic::{Diagnostic, Span};
use crate::expr::{Collation, Expr, ExprKind};
use crate::limits::COLUMNS;
use crate::query::{Bare, Body, Group, Output, Query, Select, SortKey};
use crate::types::{Type, Value};

/// An expression of the SELECT list before grouping.
pub(super) struct Item {
    alias: Option<String>,
    expr: Expr,
    /// How it is ordered by its name or number.
    collation: Collation,
    span: Span,
}

impl Checker<'_> {
    /// SELECT with the ORDER BY and LIMIT that follow it.
    pub(super) fn select(
        &mut self,
        select: &ast::Select,
        order_by: Option<&ast::OrderBy>,
        limits: Option<&ast::LimitClause>,
        span: &Span,
    ) -> Option<Query> {
        self.refuse_clauses(select, span)?;
        // Without a FROM that is understood, every name would be one more error.
        let from = self.from(&select.from)?;
        self.named_windows(&select.named_window)?;
        self.aggregates = Some(Vec::new());
        self.windows = Some(Vec::new());
        // Their names can be used from here on, as in SQLite.
        let mut aliases = Aliases::new();
        let items = self.items(select, &mut aliases);
        let order = {
            self.scope.aliases = aliases;
            items.as_ref().and_then(|items| self.of_own_rows(|checker| checker.order_by(order_by, items)))
        };
        let windows = self.windows.take().unwrap_or_default();
        let having = select.having.as_ref().map(|having| (self.condition_of(having), self.span(having)));
        let aggregates = self.aggregates.take().unwrap_or_default();
        let filter = select.selection.as_ref().map(|filter| self.row_condition(filter));
        let keys = self.group_keys(select);
        self.scope.aliases.clear();
        let (limit, offset) = self.limits(limits)?;

        let (keys, mut items, order) = (keys?, items?, order?);
        if let Some((_, span)) = having.as_ref().filter(|_| keys.is_empty() && aggregates.is_empty()) {
            let diagnostic =
                Diagnostic::error("DE230", span.clone(), "HAVING chooses among groups, and there are none");
            self.diagnostics.push(diagnostic.help("choose rows with WHERE, or make groups with GROUP BY"));
            return None;
        }
        let filter = filter.map_or(Some(None), |filter| filter.map(Some))?;
        let visible = items.len();
        let order = sort_keys(order, &mut items);
        self.within_columns(items.len(), span)?;
        let distinct = self.distinct(select.distinct.as_ref(), visible, items.len(), span)?;
        let mut made = Select { from, filter, group: None, windows, columns: vec![], distinct };
        if !keys.is_empty() || !aggregates.is_empty() || having.is_some() {
            made.group = Some(Group { keys, aggregates, bare: Bare::default(), having: None });
        }
        let output = self.outputs(items, visible, having, &mut made)?;
        Some(Query { body: Body::Select(Box::new(made)), output, order, limit, offset })
    }

    /// A translation that cannot name the rows around the query.
    fn of_own_rows<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let hidden = std::mem::replace(&mut self.hidden, self.around.len());
        let made = work(self);
        self.hidden = hidden;
        made
    }

    /// A condition on rows: neither aggregates nor windows have a value yet.
    fn row_condition(&mut self, node: &ast::Expr) -> Option<Expr> {
        let condition = self.condition_of(node)?;
        let width = self.scope.width();
        if condition.columns().last().is_none_or(|last| *last < width) {
            return Some(condition);
        }
        let span = self.span(node);
        let diagnostic = Diagnostic::error("DE230", span, "WHERE looks at single rows, before aggregates and windows");
        self.diagnostics.push(diagnostic.help("filter groups with HAVING, windows in a query around this one"));
        None
    }

    fn within_columns(&mut self, columns: usize, span: &Span) -> Option<()> {
        let allowed = self.catalog.limits().columns;
        if columns <= allowed {
            return Some(());
        }
        let advice = "ORDER BY terms that are no columns count as well";
        self.diagnostics.push(COLUMNS.exceeded(allowed, span.clone(), advice));
        None
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
            named_window: _,
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

    fn group_keys(&mut self, select: &ast::Select) -> Option<Vec<Expr>> {
        let ast::GroupByExpr::Expressions(nodes, modifiers) = &select.group_by else {
            let span = self.span(&select.group_by);
            return self.unsupported(span, "GROUP BY ALL");
        };
        if !modifiers.is_empty() {
            let span = self.span(&select.group_by);
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
            ast::Expr::Identifier(name) if self.is_column(name) => None,
            ast::Expr::Identifier(name) => aliased(name),
            _ => {
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
        };
        let key = match meant {
            Some(item) => self.folded(item)?,
            None => self.of_own_rows(|checker| checker.folded(node))?,
        };
        if key.columns().last().is_none_or(|last| *last < self.scope.width()) {
            return Some(key);
        }
        let diagnostic =
            Diagnostic::error("DE230", self.span(node), "GROUP BY looks at single rows, before aggregates");
        self.diagnostics.push(diagnostic.help("put the query into FROM and group its result"));
        None
    }

    /// The position that an integer literal in GROUP BY or ORDER BY means.
    pub(super) fn ordinal(&mut self, node: &ast::Expr, items: usize, span: &Span) -> Option<Option<usize>> {
        let Some(number) = whole_number(node) else { return Some(None) };
        match usize::try_from(number) {
            Ok(number) if (1..=items).contains(&number) => Some(Some(number - 1)),
            _ => {
                let message = format!("there is no column number {number}: the result has {items}");
                self.error("DE233", span.clone(), message)
            }
        }
    }

    /// A value of the result. A collation changes no value; it is carried to the ORDER BY of the statement's own result, and
    /// nobody else looks at that. Elsewhere it would have to be carried on.
    fn item(&mut self, node: &ast::Expr, select: &ast::Select) -> Option<(Expr, Option<Collation>)> {
        let whole = match &*self.rule.query.body {
            ast::SetExpr::Select(own) => std::ptr::eq(own.as_ref(), select),
            _ => false,
        };
        let all = matches!(select.distinct, None | Some(ast::Distinct::All));
        if whole && all { self.collated(node) } else { Some((self.expr(node)?, None)) }
    }

    /// What rows are grouped by: text that is compared without case, in lower case.
    pub(super) fn folded(&mut self, node: &ast::Expr) -> Option<Expr> {
        let (expr, collation) = self.collated(node)?;
        if collation == Some(Collation::NoCase) && expr.ty == Type::Text {
            let span = self.span(node);
            return self.registered("lower", &[expr], &[node], &span);
        }
        Some(expr)
    }

    fn items(&mut self, select: &ast::Select, aliases: &mut Aliases) -> Option<Vec<Item>> {
        let mut items = Vec::new();
        let mut sound = true;
        for item in &select.projection {
            let span = self.span(item);
            self.within_columns(items.len(), &span)?;
            match item {
                ast::SelectItem::UnnamedExpr(node) => match self.item(node, select) {
                    Some((expr, collation)) => {
                        let collation = collation.unwrap_or_default();
                        items.push(Item { alias: own_name(node, &expr), expr, collation, span });
                    }
                    None => sound = false,
                },
                ast::SelectItem::ExprWithAlias { expr: node, alias } => {
                    let made = self.item(node, select);
                    // A name for a value with a collation would be compared without it.
                    if !matches!(made, Some((_, Some(_)))) {
                        aliases.push((alias.value.clone(), made.as_ref().map(|(expr, _)| expr.clone())));
                    }
                    match made {
                        Some((expr, collation)) => {
                            let (alias, collation) = (Some(alias.value.clone()), collation.unwrap_or_default());
                            items.push(Item { alias, expr, collation, span });
                        }
                        None => sound = false,
                    }
                }
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
        if let Some(table) = table.filter(|table| !self.scope.has_alias(&table.value)) {
            return self.unknown_alias::<()>(table).is_some();
        }
        let exprs: Vec<_> = match table {
            Some(table) => {
                let columns = self.scope.columns(Some(&table.value)).into_iter();
                columns.map(|it| (self.scope.expr(it), it.2.name.clone())).collect()
            }
            None => {
                let columns = self.scope.unqualified(0, self.scope.len()).into_iter();
                columns.map(|it| (self.scope.merged(it), it.2.name.clone())).collect()
            }
        };
        if exprs.is_empty() {
            let message = "`*` stands for no column here";
            self.diagnostics.push(Diagnostic::error("DE201", span.clone(), message));
            return false;
        }
        let collation = Collation::default();
        let item = |(expr, name)| Item { alias: Some(name), expr, collation, span: span.clone() };
        items.extend(exprs.into_iter().map(item));
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
        let mut key = self.sort_key(term, &span)?;
        let (node, own) = match &term.expr {
            ast::Expr::Collate { expr, .. } => (&**expr, true),
            node => (node, false),
        };
        let by_alias = |name: &str| {
            items.iter().position(|item| item.alias.as_deref().is_some_and(|alias| alias.eq_ignore_ascii_case(name)))
        };
        let place = match node {
            ast::Expr::Identifier(name) if by_alias(&name.value).is_some() => by_alias(&name.value),
            _ => self.ordinal(node, items.len(), &span)?,
        };
        let place = match place {
            Some(at) => {
                key.collation = if own { key.collation } else { items[at].collation };
                Ok(at)
            }
            None => {
                let expr = self.expr(node)?;
                let collation = key.collation;
                items.iter().position(|item| item.expr == expr).ok_or(Item { alias: None, expr, collation, span })
            }
        };
        Some((place, key))
    }

    /// The direction, collation and place of NULLs of an ORDER BY term.
    pub(super) fn sort_key(&mut self, term: &ast::OrderByExpr, span: &Span) -> Option<SortKey> {
        let descending = match (&term.options.sort, &term.with_fill) {
            (None | Some(ast::OrderBySort::Asc), None) => false,
            (Some(ast::OrderBySort::Desc), None) => true,
            _ => return self.unsupported(span.clone(), "this form of ORDER BY"),
        };
        let collation = match &term.expr {
            ast::Expr::Collate { collation, .. } => self.collation(collation)?,
            _ => Collation::default(),
        };
        // NULL is less than everything, as in SQLite.
        let nulls_first = term.options.nulls_first.unwrap_or(!descending);
        Some(SortKey { column: 0, descending, nulls_first, collation })
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

    pub(super) fn limits(&mut self, clause: Option<&ast::LimitClause>) -> Option<(Option<u64>, u64)> {
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

    /// Puts every expression over the row that it is evaluated on, HAVING and windows first, and names the columns.
    fn outputs(
        &mut self,
        items: Vec<Item>,
        visible: usize,
        having: Option<(Option<Expr>, Span)>,
        select: &mut Select,
    ) -> Option<Vec<Output>> {
        let facts: Vec<_> = items.iter().map(|item| facts(&self.scope, &item.expr)).collect();
        let named = |item: Item| {
            let name = item.alias.or_else(|| self.scope.name_of(&item.expr));
            (name, Some(item.expr), item.span)
        };
        let mut items: Vec<_> = items.into_iter().map(named).collect();
        let mut width = self.scope.width();
        let mut sound = true;
        if let Some(group) = &mut select.group {
            if let Some((having, span)) = having {
                group.having = having.and_then(|having| self.regroup(having, group, &span));
                sound &= group.having.is_some();
            }
            for (_, expr, span) in &mut items {
                *expr = expr.take().and_then(|expr| self.regroup(expr, group, span));
                sound &= expr.is_some();
            }
            let span = items.first().map_or(0..0, |(_, _, span)| span.clone());
            for operand in select.windows.iter_mut().flat_map(|window| window.exprs_mut()) {
                let own = std::mem::replace(operand, Expr::null());
                match self.regroup(own, group, &span) {
                    Some(expr) => *operand = expr,
                    None => sound = false,
                }
            }
            width = group.keys.len() + group.aggregates.len() + group.bare.columns.len();
        }
        if !sound {
            return None;
        }
        let keys = select.group.as_ref().map_or(0, |group| group.keys.len());
        let mut outputs: Vec<Output> = Vec::new();
        for (at, ((alias, expr, _), (identity, volatile))) in items.into_iter().zip(facts).enumerate() {
            let expr = placed(expr?, width);
            if at < visible {
                let group_key = matches!(expr.kind, ExprKind::Column { index, .. } if index < keys);
                let name = unique(alias.unwrap_or_else(|| column_name(&expr)), &outputs);
                let volatile = volatile || select.group.is_some() && !group_key;
                let null = expr.is_null();
                outputs.push(Output { name, ty: expr.ty, null, identity, volatile, group_key });
            }
            select.columns.push(expr);
        }
        Some(outputs)
    }
}

/// The name of a column whose expression does not tell it: a join merged it out of two, it is always NULL, or it belongs
/// to a row around.
fn own_name(node: &ast::Expr, expr: &Expr) -> Option<String> {
    match node {
        _ if matches!(expr.kind, ExprKind::Column { .. }) => None,
        ast::Expr::Identifier(name) => Some(name.value.clone()),
        ast::Expr::CompoundIdentifier(parts) => parts.last().map(|name| name.value.clone()),
        _ => None,
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

/// An integer literal with or without signs. One that needs more than 32 bits is any other constant, as in SQLite.
fn whole_number(node: &ast::Expr) -> Option<i32> {
    match node {
        ast::Expr::Nested(inner) | ast::Expr::UnaryOp { op: ast::UnaryOperator::Plus, expr: inner } => {
            whole_number(inner)
        }
        ast::Expr::UnaryOp { op: ast::UnaryOperator::Minus, expr } => whole_number(expr)?.checked_neg(),
        ast::Expr::Value(ast::ValueWithSpan { value: ast::Value::Number(text, _), .. }) => text.parse().ok(),
        _ => None,
    }
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
fn facts(scope: &Scope, expr: &Expr) -> (bool, bool) {
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
pub(super) fn unique(name: String, outputs: &[Output]) -> String {
    let taken = |name: &str| outputs.iter().any(|output| output.name == name);
    if !taken(&name) {
        return name;
    }
    let numbered = (1..=outputs.len()).map(|number| format!("{name}_{number}"));
    numbered.into_iter().find(|name| !taken(name)).unwrap_or_else(|| format!("{name}_{}", outputs.len() + 1))
}
