//! What is wrong with a rule, where, and what to do about it: data, not failure.
//!
//! Checking collects diagnostics and returns them; [`Diagnostic::render`] draws them as rustc draws its own. Codes are
//! stable and never reused.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level as Title, Patch, Renderer, Snippet};
use serde::Serialize;

use crate::untrusted::Untrusted;

/// A range of bytes in a [`Source`].
pub type Span = Range<usize>;

/// The text of one rule file or statement and what to call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// A path, or `<query>`.
    pub path: String,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// A statement typed by hand.
    pub fn query(text: &str) -> Self {
        Self { path: "<query>".to_owned(), text: text.to_owned() }
    }

    /// The rule's handle: the stem of the file's name.
    pub fn stem(&self) -> &str {
        let file = self.path.rsplit(['/', '\\']).next().unwrap_or_default();
        file.strip_suffix(".sql").unwrap_or(file)
    }

    /// Line and column, both from 1, columns in characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..offset.min(self.text.len())];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// A place for programs: it lies in lines that there are, so the end of a file is the end of its last line.
    pub fn region(&self, span: &Span) -> Region {
        let text =
            self.text.strip_suffix('\n').map_or(self.text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
        let span = clamp(span, text);
        let ((line, column), (end_line, end_column)) = (self.position(span.start), self.position(span.end));
        Region { line, column, end_line, end_column }
    }
}

/// Lines and columns from 1, columns in characters; the end is that of the first character behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Region {
    /// Where it begins.
    pub line: usize,
    /// Where it begins in its line.
    pub column: usize,
    /// Where it ends.
    pub end_line: usize,
    /// Where it ends in that line.
    pub end_column: usize,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It works; there is something to know about it.
    Note,
    /// It works, and probably not as meant.
    Warning,
    /// It does not compile, or must not run.
    Error,
}

impl Severity {
    /// Every one, the gravest first, by name.
    pub const ALL: [(&'static str, Self); 3] =
        [("error", Self::Error), ("warning", Self::Warning), ("note", Self::Note)];

    /// As people and programs read it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, own)| *own == self).expect("every severity is listed").0
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// A code such as `DE201`.
    pub code: &'static str,
    /// How bad.
    pub severity: Severity,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// Where; the first label carries the caret, the others give context.
    pub labels: Vec<Label>,
    /// Why it matters.
    pub note: Option<String>,
    /// What to do.
    pub help: Option<Help>,
}

/// A place and what to say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What is the matter there; may be empty.
    pub text: String,
}

/// Advice, with the new text where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Help {
    /// The advice.
    pub text: String,
    /// What to write instead.
    pub fix: Option<Fix>,
}

/// New text for one or several places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// The places, none overlapping another, and what stands there afterwards.
    pub edits: Vec<(Span, String)>,
    /// Whether a program may apply it unasked.
    pub safety: Safety,
}

/// What a fix does to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Safety {
    /// It finds what it found before; or it meant nothing before, as it did not compile.
    Safe,
    /// It may find other rows than before: what was written is probably not what was meant.
    ChangesMeaning,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, span, message)
    }

    /// A warning at `span`.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, span, message)
    }

    /// A finding at `span`.
    pub fn new(code: &'static str, severity: Severity, span: Span, message: impl Into<String>) -> Self {
        let labels = vec![Label { span, text: String::new() }];
        Self { code, severity, message: message.into(), labels, note: None, help: None }
    }

    /// Says what is the matter at the caret.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.labels[0].text = text.into();
        self
    }

    /// Adds a place that explains.
    #[must_use]
    pub fn context(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Says why it matters.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.note = Some(text.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(Help { text: text.into(), fix: None });
        self
    }

    /// Says what to do and offers the new text for the caret's place. It is safe: for what does not compile, or where
    /// both texts mean the same.
    #[must_use]
    pub fn patch(self, text: impl Into<String>, replacement: impl Into<String>) -> Self {
        let edits = vec![(self.labels[0].span.clone(), replacement.into())];
        self.fix(text, edits, Safety::Safe)
    }

    /// Says what to do and offers the new text.
    #[must_use]
    pub fn fix(mut self, text: impl Into<String>, edits: Vec<(Span, String)>, safety: Safety) -> Self {
        self.help = Some(Help { text: text.into(), fix: Some(Fix { edits, safety }) });
        self
    }

    /// The new text that is offered.
    pub fn offered_fix(&self) -> Option<&Fix> {
        self.help.as_ref().and_then(|help| help.fix.as_ref())
    }

    /// The place of the caret.
    pub fn span(&self) -> &Span {
        &self.labels[0].span
    }

    /// The finding drawn over its source, in Unicode or ASCII, with ANSI colours or without.
    pub fn render(&self, source: &Source, style: Style) -> String {
        let title = match self.severity {
            Severity::Error => Title::ERROR,
            Severity::Warning => Title::WARNING,
            Severity::Note => Title::NOTE,
        };
        let width = style.width.unwrap_or(WIDTH);
        // The source is somebody's file: what could act on a terminal is blanked, byte for byte, so spans stay true.
        let text = blank_controls(&source.text);
        let path = Untrusted(&source.path).terminal().to_string();
        let message = Untrusted(&self.message).terminal().to_string();
        let label_texts: Vec<_> =
            self.labels.iter().map(|label| Untrusted(&label.text).terminal().to_string()).collect();
        let mut snippet = Snippet::source(&text).path(&path).fold(true);
        for (at, (label, label_text)) in self.labels.iter().zip(&label_texts).enumerate() {
            let kind = if at == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let annotation = kind.span(clamp(&label.span, &text));
            snippet = snippet.annotation(if label_text.is_empty() { annotation } else { annotation.label(label_text) });
        }
        let note = self.note.as_ref().map(|note| Untrusted(note).terminal().to_string());
        let title = title.primary_title(&message);
        // What is no finding has no code.
        let title = if self.code.is_empty() { title } else { title.id(self.code) };
        let mut first = title.element(snippet);
        if let Some(note) = &note {
            first = first.element(Title::NOTE.message(note));
        }
        let mut groups = vec![first];
        let help_text = self.help.as_ref().map(|help| Untrusted(&help.text).terminal().to_string());
        if let (Some(help), Some(help_text)) = (&self.help, &help_text) {
            let group = Group::with_title(Title::HELP.secondary_title(help_text));
            // A patch is drawn with its whole line; of a long one the advice alone is shown.
            let fits = |fix: &&Fix| fix.edits.iter().all(|(span, _)| line_len(&text, span) <= width);
            groups.push(match help.fix.as_ref().filter(fits) {
                Some(fix) => {
                    let edits = fix.edits.iter().map(|(span, new)| Patch::new(clamp(span, &text), new.as_str()));
                    group.element(Snippet::source(&text).path(&path).patches(edits))
                }
                None => group,
            });
        }
        let renderer = if style.colour { Renderer::styled() } else { Renderer::plain() };
        let decor = if style.ascii { DecorStyle::Ascii } else { DecorStyle::Unicode };
        renderer.decor_style(decor).term_width(width).render(&groups)
    }

    /// One object: file, line, column, code, severity, message, help.
    pub fn to_json(&self, source: &Source) -> serde_json::Value {
        let Region { line, column, end_line, end_column } = source.region(self.span());
        serde_json::json!({
            "file": source.path, "line": line, "column": column, "end_line": end_line, "end_column": end_column,
            "code": self.code, "severity": self.severity, "message": self.message, "note": self.note,
            "help": self.help.as_ref().map(|help| &help.text), "fix": self.offered_fix().map(|fix| fix.to_json(source)),
        })
    }
}

impl Fix {
    /// The edits by line and column, and whether it is safe.
    fn to_json(&self, source: &Source) -> serde_json::Value {
        let edits = self.edits.iter().map(|(span, new)| {
            let Region { line, column, end_line, end_column } = source.region(span);
            serde_json::json!({
                "line": line, "column": column, "end_line": end_line, "end_column": end_column, "text": new,
            })
        });
        serde_json::json!({"safe": self.safety == Safety::Safe, "edits": edits.collect::<Vec<_>>()})
    }
}

/// `text` with `fixes` applied, and how many of them: one that overlaps another before it is left out.
pub fn apply<'a>(text: &str, fixes: impl IntoIterator<Item = &'a Fix>) -> (String, usize) {
    let mut edits: Vec<&(Span, String)> = Vec::new();
    let mut applied = 0;
    for fix in fixes {
        let touches = |one: &Span, other: &Span| one.start <= other.end && other.start <= one.end;
        let free = |(span, _): &(Span, String)| !edits.iter().any(|(taken, _)| touches(span, taken));
        let fits = |(span, _): &(Span, String)| text.get(span.clone()).is_some();
        if fix.edits.iter().all(|edit| free(edit) && fits(edit)) {
            edits.extend(&fix.edits);
            applied += 1;
        }
    }
    edits.sort_by_key(|(span, _)| span.start);
    let mut new = String::with_capacity(text.len());
    let mut at = 0;
    for (span, replacement) in edits {
        new.push_str(&text[at..span.start]);
        new.push_str(replacement);
        at = span.end;
    }
    new.push_str(&text[at..]);
    (new, applied)
}

/// How [`Diagnostic::render`] draws.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// ANSI colours.
    pub colour: bool,
    /// `-->` and `^^^` instead of box drawing.
    pub ascii: bool,
    /// Columns of the terminal: of longer lines, what is around the place is shown. Where nobody knows, [`WIDTH`].
    pub width: Option<usize>,
}

/// Columns where there is no terminal.
pub const WIDTH: usize = 140;

/// Counts errors: what makes a rule not compile.
pub fn error_count(diagnostics: &[Diagnostic]) -> usize {
    diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
}

/// The known name nearest to `unknown`, near enough to be meant.
pub fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let unknown = unknown.to_ascii_lowercase();
    let scored = known.into_iter().filter_map(|name| {
        let distance = strsim::damerau_levenshtein(&unknown, &name.to_ascii_lowercase());
        let near = distance <= 2 && distance < name.len().max(2) || strsim::jaro_winkler(&unknown, name) >= 0.88;
        near.then_some((distance, name))
    });
    scored.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

fn blank_controls(text: &str) -> String {
    let harmless = |c: char| matches!(c, '\n' | '\t') || Untrusted(c.encode_utf8(&mut [0; 4])).terminal().is_plain();
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if harmless(c) {
            out.push(c);
        } else {
            out.extend(std::iter::repeat_n('?', c.len_utf8()));
        }
        out
    })
}

/// The length of the longest line that a span touches, in bytes.
fn line_len(text: &str, span: &Span) -> usize {
    let span = clamp(span, text);
    let start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[span.end..].find('\n').map_or(text.len(), |len| span.end + len);
    text[start..end].split('\n').map(str::len).max().unwrap_or_default()
}

/// A span that lies in the text and covers at least one character where it can.
fn clamp(span: &Span, text: &str) -> Span {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start);
    start..floor(span.end).max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let source = Source::query("SELECT 'é',\n  x");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(source.text.find(',').unwrap()), (1, 11));
        assert_eq!(source.position(source.text.find('x').unwrap()), (2, 3));
    }

    #[test]
    fn regions_lie_in_lines_that_there_are() {
        let region = |text: &str, span: Span| {
            let Region { line, column, end_line, end_column } = Source::query(text).region(&span);
            (line, column, end_line, end_column)
        };
        assert_eq!(region("ab\ncd\n", 1..5), (1, 2, 2, 3));
        assert_eq!(region("ab\r\ncd\r\n", 8..8), (2, 3, 2, 3));
        assert_eq!(region("ab\r\ncd\r\n", 4..8), (2, 1, 2, 3));
        assert_eq!(region("é", 0..99), (1, 1, 1, 2));
        assert_eq!(region("", 0..0), (1, 1, 1, 1));
    }

    #[test]
    fn a_finding_is_drawn_over_its_source_and_controls_are_blanked() {
        let source = Source { path: "rules/x.sql".to_owned(), text: "SELECT pidd\u{1b} FROM processes".to_owned() };
        let diagnostic = Diagnostic::error("DE201", 7..11, "unknown column `pidd`").patch("did you mean `pid`?", "pid");
        let drawn = diagnostic.render(&source, Style { ascii: true, ..Style::default() });
        assert!(drawn.contains("error[DE201]: unknown column `pidd`"), "{drawn}");
        assert!(drawn.contains("--> rules/x.sql:1:8"), "{drawn}");
        assert!(drawn.contains("^^^^"), "{drawn}");
        assert!(!drawn.contains('\u{1b}'), "{drawn}");
    }

    #[test]
    fn fixes_that_overlap_are_not_both_applied() {
        let fix = |edits: &[(Span, &str)]| Fix {
            edits: edits.iter().map(|(span, new)| (span.clone(), (*new).to_owned())).collect(),
            safety: Safety::Safe,
        };
        let fixes =
            [fix(&[(4..5, "X"), (0..1, "Y")]), fix(&[(4..6, "no")]), fix(&[(8..99, "no")]), fix(&[(7..7, "Z")])];
        assert_eq!(apply("abcdefgh", &fixes), ("YbcdXfgZh".to_owned(), 2));
    }

    #[test]
    fn near_names_are_found() {
        let known = ["pid", "command_line", "user_name"];
        assert_eq!(nearest("pidd", known), Some("pid"));
        assert_eq!(nearest("comand_line", known), Some("command_line"));
        assert_eq!(nearest("zebra", known), None);
    }
}
