//! Window functions and their frames.

use super::group::{Aggregate, OrderTerm, write_list};
use crate::expr::Expr;
use crate::types::Type;

/// One window function call: a value for each row, from the rows around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// What it computes.
    pub function: WindowFunction,
    /// PARTITION BY: rows with the same values are looked at together.
    pub partition: Vec<Expr>,
    /// ORDER BY within the partition.
    pub order: Vec<OrderTerm>,
    /// Which rows of the partition, seen from each.
    pub frame: Frame,
    /// The result's type.
    pub ty: Type,
}

impl Window {
    /// The expressions it reads.
    pub fn exprs(&self) -> Vec<&Expr> {
        let order = self.order.iter().map(|term| &term.expr);
        self.function.exprs().into_iter().chain(&self.partition).chain(order).collect()
    }

    /// The same, to be changed.
    pub fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        let order = self.order.iter_mut().map(|term| &mut term.expr);
        self.function.exprs_mut().into_iter().chain(&mut self.partition).chain(order).collect()
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.function {
            WindowFunction::Aggregate(aggregate) => write!(f, "{aggregate}")?,
            function => {
                write!(f, "{}(", function.name())?;
                write_list(f, &function.exprs())?;
                f.write_str(")")?;
            }
        }
        f.write_str(" OVER (")?;
        let mut space = "";
        if !self.partition.is_empty() {
            f.write_str("PARTITION BY ")?;
            write_list(f, &self.partition)?;
            space = " ";
        }
        if !self.order.is_empty() {
            write!(f, "{space}ORDER BY ")?;
            write_list(f, &self.order)?;
            space = " ";
        }
        if self.frame != Frame::default() {
            write!(f, "{space}{}", self.frame)?;
        }
        f.write_str(")")
    }
}

/// What a window computes.
#[derive(Clone, Debug, PartialEq)]
pub enum WindowFunction {
    /// An aggregate over the frame.
    Aggregate(Aggregate),
    /// The row's number in its partition.
    RowNumber,
    /// The number of the first of its peers.
    Rank,
    /// The number of its group of peers.
    DenseRank,
    /// (rank - 1) / (rows - 1).
    PercentRank,
    /// The share of rows up to its last peer.
    CumeDist,
    /// The number of its part, of so many equal parts.
    Ntile(Expr),
    /// A value of the row that many rows before (`lag`) or after (`lead`).
    Shift {
        /// The value.
        value: Expr,
        /// How many rows.
        by: Expr,
        /// Where there is no such row.
        otherwise: Expr,
        /// After, else before.
        ahead: bool,
    },
    /// A value of the frame's first row.
    FirstValue(Expr),
    /// Of its last.
    LastValue(Expr),
    /// Of its n-th.
    NthValue(Expr, Expr),
}

impl WindowFunction {
    /// The expressions it reads.
    pub fn exprs(&self) -> Vec<&Expr> {
        match self {
            Self::Aggregate(aggregate) => aggregate.exprs(),
            Self::RowNumber | Self::Rank | Self::DenseRank | Self::PercentRank | Self::CumeDist => vec![],
            Self::Ntile(of) | Self::FirstValue(of) | Self::LastValue(of) => vec![of],
            Self::NthValue(of, number) => vec![of, number],
            Self::Shift { value, by, otherwise, .. } => vec![value, by, otherwise],
        }
    }

    /// The same, to be changed.
    pub fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        match self {
            Self::Aggregate(aggregate) => aggregate.exprs_mut(),
            Self::RowNumber | Self::Rank | Self::DenseRank | Self::PercentRank | Self::CumeDist => vec![],
            Self::Ntile(of) | Self::FirstValue(of) | Self::LastValue(of) => vec![of],
            Self::NthValue(of, number) => vec![of, number],
            Self::Shift { value, by, otherwise, .. } => vec![value, by, otherwise],
        }
    }

    /// As SQL writes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Aggregate(aggregate) => aggregate.kind.name(),
            Self::RowNumber => "row_number",
            Self::Rank => "rank",
            Self::DenseRank => "dense_rank",
            Self::PercentRank => "percent_rank",
            Self::CumeDist => "cume_dist",
            Self::Ntile(_) => "ntile",
            Self::Shift { ahead: false, .. } => "lag",
            Self::Shift { ahead: true, .. } => "lead",
            Self::FirstValue(_) => "first_value",
            Self::LastValue(_) => "last_value",
            Self::NthValue(..) => "nth_value",
        }
    }
}

/// Which rows around a row a window function looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// What the bounds count.
    pub units: FrameUnits,
    /// Where it begins.
    pub start: Bound,
    /// Where it ends.
    pub end: Bound,
}

/// From the first row to the last peer: what SQL takes where no frame is written.
impl Default for Frame {
    fn default() -> Self {
        Self { units: FrameUnits::Range, start: Bound::Unbounded, end: Bound::Offset(0.0) }
    }
}

impl std::fmt::Display for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let units = match self.units {
            FrameUnits::Rows => "ROWS",
            FrameUnits::Range => "RANGE",
            FrameUnits::Groups => "GROUPS",
        };
        let bound = |bound: Bound, side: &str| match bound {
            Bound::Unbounded => format!("UNBOUNDED {side}"),
            Bound::Offset(0.0) => "CURRENT ROW".to_owned(),
            Bound::Offset(by) if by < 0.0 => format!("{} PRECEDING", -by),
            Bound::Offset(by) => format!("{by} FOLLOWING"),
        };
        write!(f, "{units} BETWEEN {} AND {}", bound(self.start, "PRECEDING"), bound(self.end, "FOLLOWING"))
    }
}

/// What a frame's bounds count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameUnits {
    /// Rows.
    Rows,
    /// Differences of the one ORDER BY value; CURRENT ROW means all peers.
    Range,
    /// Groups of peers.
    Groups,
}

/// One end of a frame, from the partition's first row to its last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// The end of the partition that lies in that direction.
    Unbounded,
    /// That far before (negative) or after the row; whole but for RANGE.
    Offset(f64),
}
