//! How much text one snapshot may have.
//!
//! Arguments, environments and paths are as long as their owner likes. So that nobody can make a snapshot that fits
//! neither the memory nor one message, each process has an even share, and what goes beyond it comes out of a common
//! pool. Once that is empty a process that exceeds its share loses the JSON columns, then the ends of the others:
//! cutting the long never hides the short.

use daemoneye_dsl::tables::Process;

/// Bytes that the shares of all processes have together.
const SHARES_LEN: usize = 16 << 20;
/// Bytes of the pool.
const POOL_LEN: usize = 40 << 20;
/// The share of a process among few, and among very many.
const SHARE_LEN: (usize, usize) = (8 << 10, 256);

/// What is left for the processes that come.
#[derive(Debug)]
pub(super) struct Budget {
    share: usize,
    pool: usize,
}

impl Budget {
    /// For a snapshot of so many processes.
    pub(super) fn new(processes: usize) -> Self {
        let share = (SHARES_LEN / processes.max(1)).clamp(SHARE_LEN.1, SHARE_LEN.0);
        Self { share, pool: POOL_LEN }
    }

    /// Makes the row fit; says whether that took something away.
    pub(super) fn fit(&mut self, row: &mut Process) -> bool {
        let excess = text_len(row).saturating_sub(self.share);
        if excess <= self.pool {
            self.pool -= excess;
            return false;
        }
        row.environment_vars = None;
        row.argv = None;
        for text in [&mut row.command_line, &mut row.executable_path, &mut row.cwd].into_iter().flatten() {
            text.truncate(text.floor_char_boundary(self.share / 4));
        }
        true
    }
}

fn text_len(row: &Process) -> usize {
    let texts = [&row.environment_vars, &row.argv, &row.command_line, &row.executable_path, &row.cwd];
    texts.into_iter().flatten().map(String::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(len: usize) -> Process {
        Process { command_line: Some("é".repeat(len / 2)), argv: Some("[]".to_owned()), ..Process::default() }
    }

    #[test]
    fn the_long_are_cut_and_the_short_are_not() {
        let mut budget = Budget::new(100);
        let mut kept = 0;
        for _ in 0..100 {
            let mut long = row(1 << 20);
            budget.fit(&mut long);
            kept += text_len(&long);
            let mut short = row(1000);
            assert!(!budget.fit(&mut short));
            assert_eq!(short, row(1000));
        }
        assert!(kept > POOL_LEN - (1 << 20) && kept <= POOL_LEN + SHARES_LEN, "{kept}");
        let mut last = row(1 << 20);
        assert!(budget.fit(&mut last));
        assert_eq!((last.argv, last.command_line.map(|line| line.len())), (None, Some(2048)));
    }

    #[test]
    fn the_share_shrinks_with_the_number() {
        assert_eq!(Budget::new(0).share, 8 << 10);
        assert_eq!(Budget::new(10_000).share, 1677);
        assert_eq!(Budget::new(10_000_000).share, 256);
    }
}
