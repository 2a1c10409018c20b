//! Text on the screen: neutralised, measured in columns, and cut in the middle without tearing a marker.
//!
//! [`Shown`] is the only form in which this program puts text from outside into a table or a message. What a character
//! becomes is decided by [`Untrusted`]; this adds widths, and in ASCII mode marks what is not ASCII as well.

use std::borrow::Cow;
use std::fmt::{self, Write};

use daemoneye_dsl::untrusted::Untrusted;
use unicode_width::UnicodeWidthChar;

/// Marks stacked on one letter that are shown as they are; names need one or two, the rest is mischief.
const STACKED_MAX: usize = 2;

/// Text from outside, fit to be shown.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'a> {
    raw: &'a str,
    ascii: bool,
}

/// A character as it is shown; escapes stand in brackets together with their neighbours.
struct Atom<'a> {
    text: Cow<'a, str>,
    width: usize,
    is_escape: bool,
}

impl<'a> Shown<'a> {
    pub(crate) fn new(raw: &'a str, ascii: bool) -> Self {
        Self { raw, ascii }
    }

    /// The columns it takes.
    pub(crate) fn width(self) -> usize {
        if self.is_plain_ascii() { self.raw.len() } else { width(self.brackets(), self.atoms()) }
    }

    /// It, or its head and tail where it is wider than `columns`, and the columns that takes.
    pub(crate) fn fit(self, columns: usize) -> (String, usize) {
        let whole = self.width();
        if whole <= columns {
            return (self.to_string(), whole);
        }
        let atoms: Vec<_> = self.atoms().collect();
        let (head, tail) = self.cut(&atoms, columns);
        let ellipsis = self.ellipsis();
        let mut out = String::new();
        self.write(&mut out, head).expect("a String takes every write");
        out.push_str(ellipsis);
        self.write(&mut out, tail).expect("a String takes every write");
        (out, width(self.brackets(), head) + ellipsis.chars().count() + width(self.brackets(), tail))
    }

    /// The longest head and tail, about equally wide, that fit with an ellipsis between them.
    fn cut<'b>(self, atoms: &'b [Atom<'a>], columns: usize) -> (&'b [Atom<'a>], &'b [Atom<'a>]) {
        let room = columns.saturating_sub(self.ellipsis().chars().count());
        let head_len = self.fitting(atoms.iter(), room.div_ceil(2));
        let head_width = width(self.brackets(), atoms[..head_len].iter());
        let tail_len = self.fitting(atoms[head_len..].iter().rev(), room - head_width);
        let mut tail = &atoms[atoms.len() - tail_len..];
        // A mark without its letter would sit on the ellipsis.
        while tail.first().is_some_and(|atom| atom.width == 0) {
            tail = &tail[1..];
        }
        (&atoms[..head_len], tail)
    }

    /// How many atoms fit in `room`.
    fn fitting<'b>(self, atoms: impl Iterator<Item = &'b Atom<'a>>, room: usize) -> usize
    where
        'a: 'b,
    {
        let (mut used, mut in_escape) = (0, false);
        let fits = |atom: &&Atom<'_>| {
            used += atom.width + if atom.is_escape && !in_escape { 2 * self.brackets().0.chars().count() } else { 0 };
            in_escape = atom.is_escape;
            used <= room
        };
        atoms.take_while(fits).count()
    }

    fn is_plain_ascii(self) -> bool {
        self.raw.bytes().all(|byte| (0x20..0x7f).contains(&byte))
    }

    fn ellipsis(self) -> &'static str {
        if self.ascii { "..." } else { "…" }
    }

    fn brackets(self) -> (&'static str, &'static str) {
        if self.ascii { ("[[", "]]") } else { ("⟦", "⟧") }
    }

    fn atoms(self) -> impl Iterator<Item = Atom<'a>> {
        let mut stacked = 0;
        self.raw.char_indices().map(move |(at, c)| {
            let text = &self.raw[at..at + c.len_utf8()];
            let columns = c.width().unwrap_or(0);
            stacked = if columns == 0 { stacked + 1 } else { 0 };
            if !Untrusted(text).terminal().is_plain() {
                let marked = Untrusted(text).terminal().to_string();
                let escape = marked.trim_start_matches('⟦').trim_end_matches('⟧').to_owned();
                Atom { width: escape.len(), text: escape.into(), is_escape: true }
            } else if stacked > STACKED_MAX || (self.ascii && !c.is_ascii()) {
                let escape = format!("\\u{{{:x}}}", u32::from(c));
                Atom { width: escape.len(), text: escape.into(), is_escape: true }
            } else {
                Atom { text: text.into(), width: columns, is_escape: false }
            }
        })
    }

    fn write<'b>(self, out: &mut impl Write, atoms: impl IntoIterator<Item = &'b Atom<'a>>) -> fmt::Result
    where
        'a: 'b,
    {
        let (open, close) = self.brackets();
        let mut in_escape = false;
        for atom in atoms {
            if atom.is_escape != in_escape {
                out.write_str(if in_escape { close } else { open })?;
                in_escape = atom.is_escape;
            }
            out.write_str(&atom.text)?;
        }
        if in_escape { out.write_str(close) } else { Ok(()) }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_plain_ascii() {
            return f.write_str(self.raw);
        }
        self.write(f, &self.atoms().collect::<Vec<_>>())
    }
}

fn width<'a, A: std::borrow::Borrow<Atom<'a>>>(brackets: (&str, &str), atoms: impl IntoIterator<Item = A>) -> usize {
    let (mut sum, mut in_escape) = (0, false);
    for atom in atoms {
        let atom = atom.borrow();
        if atom.is_escape && !in_escape {
            sum += brackets.0.chars().count() + brackets.1.chars().count();
        }
        in_escape = atom.is_escape;
        sum += atom.width;
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unicode(raw: &str) -> Shown<'_> {
        Shown::new(raw, false)
    }

    #[test]
    fn controls_are_marked_and_counted() {
        let hostile = unicode("a\u{1b}[2J\nb漢字");
        assert_eq!(hostile.to_string(), "a⟦\\e⟧[2J⟦\\n⟧b漢字");
        assert_eq!(hostile.width(), 17);
        assert_eq!(unicode("\u{1b}\n\u{7}").to_string(), "⟦\\e\\n\\u{7}⟧");
        let ascii = Shown::new("é\u{1b}漢x", true);
        assert_eq!(ascii.to_string(), "[[\\u{e9}\\e\\u{6f22}]]x");
        assert_eq!(ascii.width(), ascii.to_string().len());
    }

    #[test]
    fn the_middle_is_cut_and_wide_characters_stay_whole() {
        assert_eq!(unicode("/usr/lib/systemd/systemd").fit(11).0, "/usr/…stemd");
        assert_eq!(Shown::new("/usr/lib/systemd/systemd", true).fit(11).0, "/usr...temd");
        assert_eq!(unicode("漢字漢字漢字").fit(7).0, "漢…漢字");
        assert_eq!(unicode("short").fit(5).0, "short");
    }

    #[test]
    fn a_cut_closes_the_marker_it_meets() {
        let raw = "\u{1b}".repeat(20);
        assert_eq!(unicode(&raw).fit(13).0, "⟦\\e\\e⟧…⟦\\e\\e⟧");
        assert_eq!(unicode("ab\u{202e}cd").fit(9).0, "ab…cd");
    }

    #[test]
    fn letters_carry_few_marks() {
        assert_eq!(unicode("e\u{301}!").to_string(), "e\u{301}!");
        let piled = format!("e{}!", "\u{301}".repeat(50));
        assert!(unicode(&piled).to_string().starts_with("e\u{301}\u{301}⟦\\u{301}"));
    }

    proptest! {
        #[test]
        fn what_is_measured_is_what_is_written(raw in "[a-z\u{1b}\n漢é\u{301}⟦]{0,30}", columns in 1usize..40) {
            for ascii in [false, true] {
                let shown = Shown::new(&raw, ascii);
                let whole = shown.to_string();
                prop_assert_eq!(shown.width(), whole.chars().map(|c| c.width().unwrap_or(0)).sum::<usize>());
                let (cut, width) = shown.fit(columns);
                prop_assert_eq!(width, cut.chars().map(|c| c.width().unwrap_or(0)).sum::<usize>());
                let bound = columns.max(if ascii { 3 } else { 1 });
                prop_assert!(width <= bound, "{:?} takes {} of {}", cut, width, bound);
                let count = |c: char| cut.matches(c).count();
                prop_assert_eq!(count('⟦'), count('⟧'));
                prop_assert!(!cut.chars().any(char::is_control));
            }
        }
    }
}
