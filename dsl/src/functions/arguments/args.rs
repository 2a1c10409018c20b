//! `args`.
//!
//! Not the crate `shlex`: it takes `#` for the start of a comment and gives up at a quote that is never closed, and
//! either would let a command line hide the rest of itself.

use crate::functions::{Function, TEXT};
use crate::limits::WORDS_MAX;

pub(super) static ARGS: Function = Function {
    name: "args",
    args: &[("command_line", TEXT)],
    doc: "The words of a command line as a JSON array, cut as a POSIX shell cuts them: by white space, quotes and \
          backslashes worked out, nothing expanded. A quote that is never closed reaches to the end. NULL for more than \
          4,096 words. Where there is an `argv`, use that: it needs no guessing.",
    examples: &[
        ("args('sh -c ''id; w'' a\\ b')", "'[\"sh\",\"-c\",\"id; w\",\"a b\"]'"),
        ("args('curl \"http://h/#x\"''''')", "'[\"curl\",\"http://h/#x\"]'"),
        ("args('')", "'[]'"),
    ],
    eval: |call| {
        call.text(|row| {
            let words = words(row.text(0))?;
            Some(serde_json::Value::from(words).to_string())
        })
    },
    ..Function::BASE
};

fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => word.get_or_insert_default().extend(chars.by_ref().take_while(|c| *c != '\'')),
            '"' => {
                let word = word.get_or_insert_default();
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    // Within double quotes a backslash keeps these four, ends lines, and else stands for itself.
                    match (c, chars.peek()) {
                        ('\\', Some('\n')) => drop(chars.next()),
                        ('\\', Some('$' | '`' | '"' | '\\')) => word.extend(chars.next()),
                        _ => word.push(c),
                    }
                }
            }
            '\\' => match chars.next() {
                Some('\n') => {}
                Some(c) => word.get_or_insert_default().push(c),
                None => word.get_or_insert_default().push('\\'),
            },
            c => word.get_or_insert_default().push(c),
        }
        if words.len() > WORDS_MAX {
            return None;
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{WORDS_MAX, words};

    #[test]
    fn words_are_a_shell_s() {
        for (line, expected) in [
            ("a  b\tc", &["a", "b", "c"][..]),
            ("''", &[""]),
            ("a''b", &["ab"]),
            ("\"a \\\"b\\\" \\x\"", &["a \"b\" \\x"]),
            ("'never closed # x", &["never closed # x"]),
            ("a # b", &["a", "#", "b"]),
            ("end\\", &["end\\"]),
            ("a\\\nb", &["ab"]),
        ] {
            assert_eq!(words(line).unwrap(), expected, "{line}");
        }
        assert_eq!(words(&"a ".repeat(WORDS_MAX + 1)), None);
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(expected in prop::collection::vec("[a-z '\"\\\\#\n]{0,6}", 0..5)) {
            let quoted: Vec<_> = expected.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
            prop_assert_eq!(words(&quoted.join(" ")).unwrap(), expected);
        }
    }
}
