//! New text for what is wrong with a header.

use super::{Annotation, lines};
use crate::diagnostic::{Source, Span};

/// The place where `@id` belongs, and the annotation with an id.
pub(super) fn new_id(source: &Source, annotations: &[Annotation]) -> (Span, String) {
    let id = made_id(source);
    if let Some(empty) = annotations.iter().find(|annotation| annotation.key == "id") {
        let end = empty.lines.first().map_or(empty.key_span.end + 1, |(_, span)| span.end);
        return (empty.key_span.end + 1..end, format!(" {id}"));
    }
    // `-- ` stands before the key of the first.
    let start = annotations.first().map_or(0, |first| first.key_span.start - 3);
    (start..start, format!("-- @id: {id}\n"))
}

/// A UUID for this file.
///
/// This crate reads no randomness, so that compiling a text twice gives the same findings. The id is therefore derived
/// from the path and the text: as unlike any other as these are, and of version 8, which RFC 9562 keeps for such ids.
fn made_id(source: &Source) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("daemoneye rule id");
    hasher.update(&(source.path.len() as u64).to_le_bytes());
    hasher.update(source.path.as_bytes());
    hasher.update(source.text.as_bytes());
    let mut hex: Vec<char> = hasher.finalize().to_hex().chars().take(32).collect();
    hex[12] = '8';
    // The variant: two bits are fixed, two are left.
    hex[16] = ['8', '9', 'a', 'b'][hex[16].to_digit(16).map_or(0, |digit| digit as usize % 4)];
    let group = |digits: std::ops::Range<usize>| hex[digits].iter().collect::<String>();
    [group(0..8), group(8..12), group(12..16), group(16..20), group(20..32)].join("-")
}

/// The edits that take the annotation whose line starts at `start`, with its continuation, to the end of the header.
pub(super) fn moved(text: &str, start: usize, header_end: usize) -> Vec<(Span, String)> {
    let comment = |line: &str| line.trim_start().strip_prefix("--").map(str::to_owned);
    let mut taken = String::new();
    let mut end = start;
    for (at, line) in lines(text).filter(|(at, _)| *at >= start) {
        let Some(body) = comment(line) else { break };
        if at > start && !body.starts_with("  ") {
            break;
        }
        taken.extend(["--", body.trim_end(), "\n"]);
        end = at + line.len();
    }
    let newline = text[end..].find('\n').map_or(text.len(), |len| end + len + 1);
    vec![(header_end..header_end, taken), (start..newline, String::new())]
}

#[cfg(test)]
mod tests {
    use crate::check::check_rule;
    use crate::diagnostic::{Source, apply};
    use crate::tables::Catalog;

    fn fixed(text: &str) -> String {
        let mut source = Source { path: "rules/x.sql".to_owned(), text: text.to_owned() };
        for _ in 0..4 {
            let found = check_rule(&source, &Catalog::builtin()).diagnostics;
            source.text = apply(&source.text, found.iter().filter_map(|it| it.offered_fix())).0;
        }
        let left: Vec<_> = check_rule(&source, &Catalog::builtin()).diagnostics;
        assert!(left.is_empty(), "{left:?}\n{}", source.text);
        source.text
    }

    const REST: &str = "-- @title: t\n-- @level: low\n-- @status: test\n-- @tags: attack.execution\n";

    #[test]
    fn a_missing_id_is_made_and_stays() {
        let rest = format!("{REST}-- @description: d\n-- @platform: linux\nSELECT proc_id FROM processes\n");
        let one = fixed(&rest);
        assert_eq!(one, fixed(&rest));
        let id = one.lines().next().unwrap().strip_prefix("-- @id: ").unwrap();
        assert_eq!((id.len(), &id[14..15]), (36, "8"), "{id}");
        assert!("89ab".contains(&id[19..20]), "{id}");
        assert_ne!(one.lines().next(), fixed(&rest.replace("@title: t", "@title: u")).lines().next());
        let empty = fixed(&format!("-- a comment\n-- @id:  \n{rest}"));
        assert!(empty.starts_with("-- a comment\n-- @id: ") && empty.contains("-8"), "{empty}");
    }

    #[test]
    fn late_annotations_move_into_the_header() {
        let text = format!(
            "-- @id: 00000000-0000-4000-8000-000000000000\n{REST}\nSELECT proc_id\n  -- @description:\n  --   Two\n  --   \
             lines.\n  -- and a comment\nFROM processes\n-- @platform: linux"
        );
        // An id keeps its rule's alerts: one that was only misplaced is not replaced.
        let id = "-- @id: 00000000-0000-4000-8000-00000000000a";
        let misplaced = format!("{REST}-- @description: d\n-- @platform: linux\nSELECT proc_id FROM processes\n{id}\n");
        assert!(fixed(&misplaced).contains(id) && fixed(&misplaced).matches("@id").count() == 1);
        assert_eq!(
            fixed(&text),
            format!(
                "-- @id: 00000000-0000-4000-8000-000000000000\n{REST}-- @description:\n--   Two\n--   lines.\n-- @platform: linux\n\nSELECT proc_id\n  -- and a \
                 comment\nFROM processes\n"
            )
        );
    }
}
