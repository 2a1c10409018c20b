//! Text that an attacker may have chosen, and the only way to print it.
//!
//! Process names, paths and command lines hold whatever their owner put there: escape sequences that clear a screen or
//! set its clipboard, newlines that fake a log line, bidirectional controls that reverse what is read. [`Untrusted`]
//! has no `Display`, so such text cannot reach a terminal or a log by accident; [`Untrusted::terminal`] writes it with
//! every dangerous character made visible. JSON needs no neutralising beyond its own escapes and keeps the text exact.

use std::fmt::{self, Write};

/// Text from outside, not yet fit to be shown.
#[derive(Clone, Copy)]
pub struct Untrusted<'a>(pub &'a str);

impl<'a> Untrusted<'a> {
    /// A form that is safe on a terminal and in a log line: one line, no control takes effect, nothing is hidden.
    pub fn terminal(self) -> Terminal<'a> {
        Terminal(self.0)
    }
}

/// See [`Untrusted::terminal`].
#[derive(Clone, Copy)]
pub struct Terminal<'a>(&'a str);

impl Terminal<'_> {
    /// Whether the text needs no neutralising.
    pub fn is_plain(self) -> bool {
        !self.0.contains(is_dangerous)
    }
}

impl fmt::Display for Terminal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(start) = rest.find(is_dangerous) {
            f.write_str(&rest[..start])?;
            let tail = &rest[start..];
            let len = tail.find(|c| !is_dangerous(c)).unwrap_or(tail.len());
            f.write_char('⟦')?;
            tail[..len].chars().try_for_each(|c| write_visible(c, f))?;
            f.write_char('⟧')?;
            rest = &tail[len..];
        }
        f.write_str(rest)
    }
}

fn write_visible(c: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match c {
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        '\u{1b}' => f.write_str("\\e"),
        _ => write!(f, "\\u{{{:x}}}", u32::from(c)),
    }
}

/// Characters that act on a terminal, change the reading order, or cannot be seen; and our own brackets, so that
/// nobody can forge a neutralised run.
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // Hangul fillers: letters without a shape
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
            | '⟦' | '⟧')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        Untrusted(text).terminal().to_string()
    }

    #[test]
    fn controls_become_visible() {
        assert_eq!(shown("plain ünïcode 漢字"), "plain ünïcode 漢字");
        assert_eq!(shown("a\u{1b}]52;c;\u{7}b"), "a⟦\\e⟧]52;c;⟦\\u{7}⟧b");
        assert_eq!(shown("one\ntwo\r\n"), "one⟦\\n⟧two⟦\\r\\n⟧");
        assert_eq!(shown("exe\u{202e}gpj"), "exe⟦\\u{202e}⟧gpj");
        assert_eq!(shown("⟦\\e⟧"), "⟦\\u{27e6}⟧\\e⟦\\u{27e7}⟧");
    }

    proptest! {
        #[test]
        fn nothing_dangerous_survives(text in any::<String>()) {
            let shown = shown(&text);
            let safe = !shown.chars().any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
            prop_assert!(safe);
        }
    }
}
