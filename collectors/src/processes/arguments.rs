//! The arguments of a process, each ended by a NUL, as in `/proc/PID/cmdline`.
//!
//! A process may overwrite its arguments to show a title. Then the last NUL may be missing, or the room left over is
//! full of NULs, which read as empty arguments.

use super::json;
use crate::text::text;

/// Bytes of arguments that are kept of one process.
pub const ARGUMENTS_LEN_MAX: usize = 256 << 10;

/// The columns made from the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// Joined by one space. Empty arguments at the end are left out: they are the room after a title.
    pub command_line: String,
    /// All of them as a JSON array.
    pub argv: String,
}

/// Reads them; where there are none at all, there are none of the columns.
pub fn parse(area: &[u8]) -> Option<Arguments> {
    if area.is_empty() {
        return None;
    }
    let arguments = area.strip_suffix(b"\0").unwrap_or(area);
    Some(Arguments { command_line: command_line(arguments), argv: json::array(arguments.split(|byte| *byte == 0)) })
}

fn command_line(arguments: &[u8]) -> String {
    let end = arguments.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    // Escaping looks at one or two bytes that are never NUL, so it gives the same on the whole as on each argument.
    let mut line = text(&arguments[..end]).into_owned();
    if line.contains('\0') {
        line = line.replace('\0', " ");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(area: &[u8]) -> (String, String) {
        let arguments = parse(area).unwrap();
        (arguments.command_line, arguments.argv)
    }

    #[test]
    fn arguments_keep_their_borders() {
        assert_eq!(
            read(b"sh\0-c\0echo \"a b\"\0"),
            ("sh -c echo \"a b\"".into(), r#"["sh","-c","echo \"a b\""]"#.into())
        );
        assert_eq!(read(b"a\0\0b\0"), ("a  b".into(), r#"["a","","b"]"#.into()));
        assert_eq!(read(b"\0"), (String::new(), r#"[""]"#.into()));
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn titles_come_without_their_padding() {
        assert_eq!(read(b"nginx: worker process").0, "nginx: worker process");
        assert_eq!(
            read(b"postgres: writer\0\0\0\0"),
            ("postgres: writer".into(), r#"["postgres: writer","","",""]"#.into())
        );
    }

    #[test]
    fn bytes_can_be_turned_back() {
        assert_eq!(read(b"a\xff\0\x1b[2J\0"), ("a\\xff \u{1b}[2J".into(), "[\"a\\\\xff\",\"\\u001b[2J\"]".into()));
    }

    proptest! {
        #[test]
        fn the_array_gives_back_the_arguments(list in prop::collection::vec(prop::collection::vec(1u8.., 0..8), 1..5)) {
            let area: Vec<u8> = list.iter().flat_map(|argument| [argument, &b"\0"[..]].concat()).collect();
            let (line, argv) = read(&area);
            let back: Vec<String> = serde_json::from_str(&argv).unwrap();
            prop_assert_eq!(back.iter().map(|argument| crate::text::bytes(argument)).collect::<Vec<_>>(), list);
            let joined = back.join(" ");
            prop_assert_eq!(joined.trim_end_matches(' '), line.trim_end_matches(' '));
        }

        #[test]
        fn any_bytes_are_read(bytes in any::<Vec<u8>>()) {
            prop_assert_eq!(parse(&bytes).is_some(), !bytes.is_empty());
        }
    }
}
