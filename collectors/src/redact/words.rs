//! Words: the arguments of a process, or what a shell would make of a text.
//!
//! The shell's grammar is followed only as far as finding values takes: blanks part words, operators part commands,
//! quotes hold together. A quote that nothing closes is an ordinary character.

use std::ops::Range;

/// One word, without the quotes around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) range: Range<usize>,
    /// Whether a command begins with it.
    pub(super) first: bool,
}

/// The arguments in an area where each ends with a NUL.
pub(super) fn arguments(area: &[u8]) -> Vec<Word> {
    let mut start = 0;
    let arguments = area.split(|byte| *byte == 0).map(|argument| {
        let range = start..start + argument.len();
        start = range.end + 1;
        Word { first: range.start == 0, range }
    });
    arguments.collect()
}

/// The words of a shell command.
pub(super) fn shell(text: &[u8], within: Range<usize>) -> Vec<Word> {
    let mut words = Vec::new();
    let (mut at, mut first) = (within.start, true);
    while at < within.end {
        match text[at] {
            b'\n' | b';' | b'|' | b'&' | b'(' | b')' | b'`' => first = true,
            byte if ends_word(byte) => {}
            _ => {
                let end = word_end(&text[..within.end], at);
                words.push(Word { range: unquoted(text, at..end), first });
                first = false;
                at = end;
                continue;
            }
        }
        at += 1;
    }
    words
}

fn ends_word(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b';' | b'|' | b'&' | b'(' | b')' | b'`' | b'<' | b'>')
}

fn word_end(text: &[u8], start: usize) -> usize {
    let mut at = start;
    while at < text.len() && !ends_word(text[at]) {
        at = match text[at] {
            b'\\' => at + 2,
            b'\'' | b'"' => closing(text, at).map_or(at + 1, |end| end + 1),
            _ => at + 1,
        };
    }
    at.min(text.len())
}

/// Where the quote that opens at `start` closes.
fn closing(text: &[u8], start: usize) -> Option<usize> {
    let quote = text[start];
    let mut at = start + 1;
    while at < text.len() {
        match text[at] {
            byte if byte == quote => return Some(at),
            b'\\' if quote == b'"' => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// What is inside of the quotes, if one pair is around all of it.
pub(super) fn unquoted(text: &[u8], range: Range<usize>) -> Range<usize> {
    let quoted = matches!(text[range.clone()].first(), Some(b'\'' | b'"'));
    if quoted && closing(&text[..range.end], range.start) == Some(range.end - 1) {
        return range.start + 1..range.end - 1;
    }
    range
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<(&str, bool)> {
        shell(text.as_bytes(), 0..text.len()).into_iter().map(|word| (&text[word.range], word.first)).collect()
    }

    #[test]
    fn words_are_those_of_a_shell() {
        assert_eq!(split("a 'b c';\"d\\\" e\"|f"), [("a", true), ("b c", false), ("d\\\" e", true), ("f", true)]);
        assert_eq!(split("x=\"1 2\" don't y\\ z"), [("x=\"1 2\"", true), ("don't", false), ("y\\ z", false)]);
        assert_eq!(split("$(mysql -p1)"), [("$", true), ("mysql", true), ("-p1", false)]);
        assert_eq!(split("' \\"), [("'", true), ("\\", false)]);
    }

    #[test]
    fn arguments_are_what_a_nul_ends() {
        let words: Vec<_> = arguments(b"a\0\0b c\0").into_iter().map(|word| word.range).collect();
        assert_eq!(words, [0..1, 2..2, 3..6, 7..7]);
    }
}
