//! LIKE, GLOB and REGEXP.

use super::{Generator, Sql, quoted, sql};

pub(super) const FORMS: &[&str] = &["like", "like escape", "like dynamic", "glob", "glob dynamic", "regexp"];

impl Generator<'_> {
    pub(super) fn pattern(&mut self, next: usize) -> Sql {
        let of = self.texty(next);
        let not: Sql = (*self.random.pick(&["", "NOT "])).into();
        match self.random.below(8) {
            0..=2 => {
                self.note("like");
                let pattern: Sql = quoted(self.random.word(&[
                    "%", "", "a%", "%A", "%b%", "_", "%_%", "a\\%", "É", "%é%", "5%", "%.0", "a%b", "__", "%a%b%c%",
                ]))
                .into();
                sql!("({} {}LIKE {})", of, not, pattern)
            }
            3 => {
                self.note("like escape");
                let pattern: Sql = quoted(self.random.word(&["a\\%b", "a\\_b", "%\\%%", "\\", "a\\", "a\\\\b"])).into();
                sql!("({} {}LIKE {} ESCAPE '\\')", of, not, pattern)
            }
            4 => {
                self.note("like dynamic");
                let pattern = self.text(next);
                sql!("({} {}LIKE {})", of, not, pattern)
            }
            5 => {
                self.note("glob");
                let pattern: Sql = quoted(self.random.word(&[
                    "*", "a*", "[a-c]*", "?", "[^a]*", "*[0-9]", "[", "[]]", "*sh", "[[]x]", "[é]", "a?c", "/*/sh", "",
                    "[^]]*", "[a-]", "[-a]", "*[", "[x",
                ]))
                .into();
                sql!("({} GLOB {})", of, pattern)
            }
            6 => {
                self.note("glob dynamic");
                let pattern = self.text(next);
                sql!("({} GLOB {})", of, pattern)
            }
            _ => {
                self.note("regexp");
                let pattern: Sql =
                    quoted(self.random.word(&["a", "^a", "[0-9]+", "b$", "(?i)ABC", "^$", ".", "é|5", "^/usr"])).into();
                sql!("({} REGEXP {})", of, pattern)
            }
        }
    }
}
