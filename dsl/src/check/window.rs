//! Window functions: calls with OVER.
//!
//! While the SELECT list is translated, a call becomes a column far behind all others ([`WINDOWS`]); once the width of
//! the row is known, [`placed`] moves it to where the planner puts its value.

use sqlparser::ast;

use super::Checker;
use super::coerce::number;
use super::expr::Call;
use crate::diagnostic::{Diagnostic, Span};
use crate::expr::{Expr, ExprKind};
use crate::query::{AggregateKind, Bound, Frame, FrameUnits, OrderTerm, Window, WindowFunction};
use crate::types::{Type, Value};

/// Where windows stand until they are placed: no row is that wide.
pub(super) const WINDOWS: usize = 1 << 40;

/// The functions that only make sense with OVER.
pub(crate) const NAMES: [&str; 11] = [
    "row_number",
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
    "ntile",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "nth_value",
];

/// The expression with windows placed behind a row of `width` columns.
pub(super) fn placed(expr: Expr, width: usize) -> Expr {
    expr.with_columns(&|column| if column >= WINDOWS { width + column - WINDOWS } else { column })
}

/// What stands in OVER, or in a named window.
#[derive(Clone, Default)]
pub(super) struct Definition {
    partition: Vec<Expr>,
    order: Vec<OrderTerm>,
    frame: Option<Frame>,
}

impl Checker<'_> {
    /// WINDOW name AS (…).
    pub(super) fn named_windows(&mut self, definitions: &[ast::NamedWindowDefinition]) -> Option<()> {
        for ast::NamedWindowDefinition(name, definition) in definitions {
            let definition = match definition {
                ast::NamedWindowExpr::NamedWindow(of) => self.named_window(of)?,
                ast::NamedWindowExpr::WindowSpec(spec) => {
                    // Aggregates may stand in it where they may stand in the calls.
                    let outside = self.aggregates.take();
                    self.aggregates = Some(Vec::new());
                    let made = self.definition(spec);
                    let used = self.aggregates.take().is_some_and(|met| !met.is_empty());
                    self.aggregates = outside;
                    if used {
                        let span = self.ident_span(name);
                        return self.unsupported(span, "an aggregate in WINDOW instead of in OVER");
                    }
                    made?
                }
            };
            self.named_windows.push((name.value.clone(), definition));
        }
        Some(())
    }

    fn named_window(&mut self, name: &ast::Ident) -> Option<Definition> {
        let found = self.named_windows.iter().find(|(own, _)| own.eq_ignore_ascii_case(&name.value));
        if let Some((_, definition)) = found {
            return Some(definition.clone());
        }
        let span = self.ident_span(name);
        self.error("DE236", span, format!("unknown window `{}`", name.value))
    }

    /// A call with OVER, as the column that will hold its value.
    pub(super) fn window(&mut self, name: &str, call: &Call<'_>, over: &ast::WindowType, span: &Span) -> Option<Expr> {
        let Some(mut met) = self.windows.take() else {
            let message = format!("`{name}` with OVER cannot stand here: windows belong to SELECT and ORDER BY");
            let diagnostic = Diagnostic::error("DE236", span.clone(), message);
            self.diagnostics.push(diagnostic.help("put the query into FROM and filter its result"));
            return None;
        };
        // Without the list, a window within a window is an error.
        let made = self.window_call(name, call, over, span);
        let made = made.and_then(|window| self.without_windows(window, name, span));
        let column = made.map(|window| {
            let at = met.iter().position(|other| *other == window).unwrap_or(met.len());
            let (ty, name) = (window.ty, window.to_string());
            if at == met.len() {
                met.push(window);
            }
            Expr::column(WINDOWS + at, ty, name)
        });
        self.windows = Some(met);
        column
    }

    /// Names of the result may bring one window into another.
    fn without_windows(&mut self, window: Window, name: &str, span: &Span) -> Option<Window> {
        if window.exprs().into_iter().all(|expr| expr.columns().last().is_none_or(|last| *last < WINDOWS)) {
            return Some(window);
        }
        let diagnostic = Diagnostic::error("DE236", span.clone(), format!("`{name}` cannot hold another window"));
        self.diagnostics.push(diagnostic.help("put the query into FROM and look at its result"));
        None
    }

    fn window_call(&mut self, name: &str, call: &Call<'_>, over: &ast::WindowType, span: &Span) -> Option<Window> {
        let definition = match over {
            ast::WindowType::NamedWindow(name) => self.named_window(name)?,
            ast::WindowType::WindowSpec(spec) => self.definition(spec)?,
        };
        let (function, ty) = self.window_function(name, call, span)?;
        let own_frame = matches!(
            function,
            WindowFunction::Aggregate(_)
                | WindowFunction::FirstValue(_)
                | WindowFunction::LastValue(_)
                | WindowFunction::NthValue(..)
        );
        let frame = definition.frame.filter(|_| own_frame).unwrap_or_default();
        self.frame_fits(&frame, &definition.order, span)?;
        Some(Window { function, partition: definition.partition, order: definition.order, frame, ty })
    }

    /// RANGE with a distance needs one number to measure it on.
    fn frame_fits(&mut self, frame: &Frame, order: &[OrderTerm], span: &Span) -> Option<()> {
        let measured = |bound: Bound| !matches!(bound, Bound::Unbounded | Bound::Offset(0.0));
        if frame.units == FrameUnits::Range && (measured(frame.start) || measured(frame.end)) {
            let sound = matches!(order, [one] if one.expr.ty.is_numeric() || one.expr.is_null());
            if !sound {
                let message = "RANGE with a distance needs exactly one ORDER BY term, a number";
                return self.error("DE236", span.clone(), message);
            }
        }
        Some(())
    }

    fn window_function(&mut self, name: &str, call: &Call<'_>, span: &Span) -> Option<(WindowFunction, Type)> {
        if let Some((_, kind)) = AggregateKind::ALL.iter().find(|(own, _)| *own == name) {
            let aggregate = self.aggregate_call(*kind, call, span)?;
            if aggregate.distinct {
                return self.unsupported(span.clone(), "DISTINCT in a window function");
            }
            let ty = aggregate.ty;
            return Some((WindowFunction::Aggregate(aggregate), ty));
        }
        if !NAMES.contains(&name) {
            return self.error("DE236", span.clone(), format!("`{name}` is not a window function"));
        }
        if call.filter.is_some() {
            return self.unsupported(span.clone(), "FILTER on a function that is not an aggregate");
        }
        let nodes = self.plain_arguments(call.args, span)?;
        let args: Vec<_> = nodes.iter().map(|node| self.expr(node)).collect();
        let mut args = args.into_iter().collect::<Option<Vec<_>>>()?.into_iter();
        let count = args.len();
        let integer =
            |checker: &mut Self, expr: Expr| checker.argument(expr, Type::Integer, span, &format!("`{name}`"));
        let function = match (name, count) {
            ("row_number", 0) => (WindowFunction::RowNumber, Type::Integer),
            ("rank", 0) => (WindowFunction::Rank, Type::Integer),
            ("dense_rank", 0) => (WindowFunction::DenseRank, Type::Integer),
            ("percent_rank", 0) => (WindowFunction::PercentRank, Type::Real),
            ("cume_dist", 0) => (WindowFunction::CumeDist, Type::Real),
            ("ntile", 1) => {
                let parts = args.next()?;
                (WindowFunction::Ntile(integer(self, parts)?), Type::Integer)
            }
            ("first_value", 1) => {
                args.next().map(|of| (of.ty, of)).map(|(ty, of)| (WindowFunction::FirstValue(of), ty))?
            }
            ("last_value", 1) => {
                args.next().map(|of| (of.ty, of)).map(|(ty, of)| (WindowFunction::LastValue(of), ty))?
            }
            ("nth_value", 2) => {
                let (of, at) = (args.next()?, args.next()?);
                let (ty, at) = (of.ty, integer(self, at)?);
                (WindowFunction::NthValue(of, at), ty)
            }
            ("lag" | "lead", 1..=3) => {
                let value = args.next()?;
                let by = args.next().unwrap_or_else(|| Expr::literal(Value::Integer(1), Type::Integer));
                let by = integer(self, by)?;
                let otherwise = args.next().unwrap_or_else(Expr::null);
                let (mut both, ty) = self.unify(vec![value, otherwise], span, name)?;
                let otherwise = both.pop()?;
                let value = both.pop()?;
                (WindowFunction::Shift { value, by, otherwise, ahead: name == "lead" }, ty)
            }
            _ => return self.error("DE242", span.clone(), format!("`{name}` does not take {count} arguments")),
        };
        Some(function)
    }

    fn definition(&mut self, spec: &ast::WindowSpec) -> Option<Definition> {
        let mut made = match &spec.window_name {
            Some(name) => self.named_window(name)?,
            None => Definition::default(),
        };
        for node in &spec.partition_by {
            made.partition.push(self.folded(node)?);
        }
        for term in &spec.order_by {
            made.order.push(self.own_order_term(term)?);
        }
        if let Some(frame) = &spec.window_frame {
            made.frame = Some(self.frame(frame)?);
        }
        Some(made)
    }

    /// An ORDER BY term within a call or a window.
    pub(super) fn own_order_term(&mut self, term: &ast::OrderByExpr) -> Option<OrderTerm> {
        let span = self.span(&term.expr);
        let key = self.sort_key(term, &span)?;
        let node = match &term.expr {
            ast::Expr::Collate { expr, .. } => expr,
            node => node,
        };
        Some(OrderTerm { expr: self.expr(node)?, key })
    }

    fn frame(&mut self, frame: &ast::WindowFrame) -> Option<Frame> {
        let units = match frame.units {
            ast::WindowFrameUnits::Rows => FrameUnits::Rows,
            ast::WindowFrameUnits::Range => FrameUnits::Range,
            ast::WindowFrameUnits::Groups => FrameUnits::Groups,
        };
        let start = self.bound(&frame.start_bound, units, true)?;
        let end = match &frame.end_bound {
            Some(end) => self.bound(end, units, false)?,
            None => Bound::Offset(0.0),
        };
        // Only by its words: 1 PRECEDING AND 2 PRECEDING is a frame without rows.
        if frame.end_bound.as_ref().is_some_and(|end| side(&frame.start_bound) > side(end)) {
            let span = self.bound_span(&frame.start_bound);
            return self.error("DE236", span, "the frame ends before it begins");
        }
        Some(Frame { units, start, end })
    }

    fn bound(&mut self, bound: &ast::WindowFrameBound, units: FrameUnits, starts: bool) -> Option<Bound> {
        let (node, sign) = match bound {
            ast::WindowFrameBound::CurrentRow => return Some(Bound::Offset(0.0)),
            ast::WindowFrameBound::Preceding(None) if starts => return Some(Bound::Unbounded),
            ast::WindowFrameBound::Following(None) if !starts => return Some(Bound::Unbounded),
            ast::WindowFrameBound::Preceding(None) | ast::WindowFrameBound::Following(None) => {
                let span = self.bound_span(bound);
                return self.error("DE236", span, "the frame ends before it begins");
            }
            ast::WindowFrameBound::Preceding(Some(node)) => (node, -1.0),
            ast::WindowFrameBound::Following(Some(node)) => (node, 1.0),
        };
        let span = self.span(&**node);
        let expr = number(self.expr(node)?);
        let whole = units != FrameUnits::Range;
        #[expect(clippy::cast_precision_loss, reason = "a frame of 2^53 rows is the whole partition")]
        let distance = match expr.kind {
            ExprKind::Literal(Value::Integer(rows)) => rows as f64,
            ExprKind::Literal(Value::Real(distance)) if !whole => distance,
            _ => -1.0,
        };
        if distance < 0.0 {
            let message = "a frame's bound is a constant number that is not negative";
            return self.error("DE236", span, message);
        }
        Some(Bound::Offset(sign * distance + 0.0))
    }

    fn bound_span(&self, bound: &ast::WindowFrameBound) -> Span {
        match bound {
            ast::WindowFrameBound::Preceding(Some(node)) | ast::WindowFrameBound::Following(Some(node)) => {
                self.span(&**node)
            }
            _ => self.span(&*self.rule.query),
        }
    }
}

/// Where a bound lies, seen from the current row.
fn side(bound: &ast::WindowFrameBound) -> std::cmp::Ordering {
    match bound {
        ast::WindowFrameBound::Preceding(_) => std::cmp::Ordering::Less,
        ast::WindowFrameBound::CurrentRow => std::cmp::Ordering::Equal,
        ast::WindowFrameBound::Following(_) => std::cmp::Ordering::Greater,
    }
}
