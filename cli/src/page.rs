//! What people read that is no table: lines, named fields and trees, fitted to the screen.
//!
//! Text from outside is neutralised here as in a table. A field breaks between words; a line of a tree stays one line,
//! and its last cell gives way.

use anstyle::Style as Paint;
use daemoneye_dsl::diagnostic::Style;

use crate::output::print;
use crate::render::{Cell, Extent};
use crate::screen::{Screen, glyphs, painted, wrapped};
use crate::shown::Shown;

/// Spaces before a field, and between its name and its value.
const INDENT: usize = 2;
const GAP: usize = 2;
/// Columns that the name of a field takes at most.
const NAMES_MAX: usize = 24;
/// Columns of the word how a thing is, and of what the thing is called.
const WORDS_WIDTH: usize = 7;
const THINGS_WIDTH: usize = 9;
/// Columns that one level of a tree takes.
const STEP: usize = 3;
/// Columns that text keeps at least, however narrow the screen is.
const ROOM_MIN: usize = 16;

/// A text on its way to the screen.
pub(crate) struct Page<'a> {
    screen: &'a Screen,
    full: bool,
    text: String,
    extent: Extent,
}

/// One line of a tree, in the order in which they are drawn: a node, then what is below it.
pub(crate) struct Branch {
    /// 0 for a root.
    pub(crate) depth: usize,
    /// No other node with this parent follows.
    pub(crate) is_last: bool,
    /// What stands there; the last cell is cut where there is no room.
    pub(crate) cells: Vec<Cell>,
    /// Our own word about it, at the end of the line.
    pub(crate) mark: Option<Cell>,
}

impl<'a> Page<'a> {
    pub(crate) fn new(screen: &'a Screen, full: bool) -> Self {
        Self { screen, full, text: String::new(), extent: Extent::Whole }
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// Cells on one line, after `indent` spaces.
    pub(crate) fn line(&mut self, indent: usize, cells: &[Cell]) {
        let room = self.room(indent);
        let (line, _) = self.row(cells, room);
        self.end_line(&format!("{}{line}", " ".repeat(indent)));
    }

    /// `name  value` lines; what is too wide goes on below the value. Nothing in a value begins a line of its own.
    pub(crate) fn fields<N: AsRef<str>, V: AsRef<str>>(&mut self, fields: &[(N, V)]) {
        let style = self.style();
        let names = fields
            .iter()
            .map(|(name, _)| Shown::new(name.as_ref(), style.ascii).width())
            .max()
            .unwrap_or(0)
            .min(NAMES_MAX);
        let indent = " ".repeat(INDENT + names + GAP);
        let room = self.room(indent.len());
        for (name, value) in fields {
            let (name, width) = Shown::new(name.as_ref(), style.ascii).fit(names);
            let pad = " ".repeat(names - width + GAP);
            let value = wrapped(&Shown::new(value.as_ref(), style.ascii).to_string(), room, "")
                .replace('\n', &format!("\n{indent}"));
            let name = painted(style, Paint::new().dimmed(), &name);
            self.end_line(&format!("{}{name}{pad}{value}", " ".repeat(INDENT)));
        }
    }

    /// What is to be said about one thing: how it is, its name, and lines about it, which break between words. Nothing
    /// in a line begins one of its own.
    pub(crate) fn finding(&mut self, (word, paint): (&str, Paint), name: &str, lines: &[String]) {
        let style = self.style();
        let indent = WORDS_WIDTH + THINGS_WIDTH + 2 * GAP;
        let room = self.room(indent);
        for (at, line) in lines.iter().enumerate() {
            let line = glyphs(style, line);
            let line = wrapped(&Shown::new(&line, style.ascii).to_string(), room, "  ");
            let line = line.replace('\n', &format!("\n{}", " ".repeat(indent)));
            let start = if at == 0 {
                let pad = |text: &str, width: usize| " ".repeat(width.saturating_sub(text.len()) + GAP);
                let word = format!("{}{}", painted(style, paint, word), pad(word, WORDS_WIDTH));
                format!("{word}{}{}", painted(style, Paint::new().bold(), name), pad(name, THINGS_WIDTH))
            } else {
                " ".repeat(indent)
            };
            self.end_line(&format!("{start}{line}"));
        }
    }

    /// A text that breaks between words, after `indent` spaces. Nothing in it begins a line of its own.
    pub(crate) fn text(&mut self, indent: usize, text: &str) {
        let shown = Shown::new(text, self.style().ascii).to_string();
        for line in wrapped(&shown, self.room(indent), "").lines() {
            self.end_line(&format!("{}{line}", " ".repeat(indent)));
        }
    }

    /// A text whose lines stay lines, each after `indent` spaces.
    pub(crate) fn lines(&mut self, indent: usize, text: &str) {
        for line in text.lines() {
            let line = Shown::new(line, self.style().ascii).to_string();
            self.end_line(&format!("{}{line}", " ".repeat(indent)));
        }
    }

    /// A tree, after `indent` spaces.
    pub(crate) fn tree(&mut self, indent: usize, branches: &[Branch]) {
        // By depth, whether a line goes on down to a further node there.
        let mut goes_on: Vec<bool> = Vec::new();
        for branch in branches {
            goes_on.truncate(branch.depth);
            let start = format!("{}{}", " ".repeat(indent), self.stem(&goes_on, branch));
            goes_on.push(!branch.is_last);
            let start_width = start.chars().count();
            let mark_room = self.room(start_width + GAP + ROOM_MIN);
            let (mark, mark_width) = branch.mark.as_ref().map_or((String::new(), 0), |mark| {
                let (mark, width) = mark.drawn(self.style(), mark_room);
                (format!("{}{mark}", " ".repeat(GAP)), width + GAP)
            });
            let room = self.room(start_width + mark_width);
            let (line, _) = self.row(&branch.cells, room);
            self.end_line(&format!("{}{line}{mark}", glyphs(self.style(), &start)));
        }
    }

    /// A tree that was drawn already, its lines broken between words below themselves.
    pub(crate) fn outline(&mut self, indent: usize, tree: &str) {
        for line in tree.lines() {
            let text = line.trim_start_matches(['│', '├', '└', '─', ' ']);
            let stem = &line[..line.len() - text.len()];
            let below = stem.replace(['├'], "│").replace(['└', '─'], " ");
            let start = " ".repeat(indent);
            let shown = Shown::new(text, self.style().ascii).to_string();
            let room = self.room(indent + stem.chars().count() + 2);
            let broken = wrapped(&shown, room, "");
            for (at, part) in broken.lines().enumerate() {
                let stem = glyphs(self.style(), if at == 0 { stem } else { &below });
                let further = if at == 0 { "" } else { "  " };
                self.end_line(&format!("{start}{stem}{further}{part}"));
            }
        }
    }

    /// A line of a tree that was drawn already, beside cells of one width; what is too long goes on below itself.
    pub(crate) fn outline_beside(&mut self, indent: usize, cells: &[Cell], (stem, text): (&str, &str)) {
        let room = self.room(indent);
        let (beside, width) = self.row(cells, room);
        let below = stem.replace(['├'], "│").replace(['└', '─'], " ");
        let shown = Shown::new(text, self.style().ascii).to_string();
        let room = self.room(indent + width + GAP + stem.chars().count() + 2);
        for (at, part) in wrapped(&shown, room, "").lines().enumerate() {
            let (beside, stem, further) = if at == 0 { (beside.as_str(), stem, "") } else { ("", &*below, "  ") };
            let gap = " ".repeat(if at == 0 { GAP } else { width + GAP });
            let stem = glyphs(self.style(), stem);
            self.end_line(&format!("{}{beside}{gap}{stem}{further}{part}", " ".repeat(indent)));
        }
    }

    /// What was drawn for the screen already, as findings are.
    pub(crate) fn drawn(&mut self, drawn: &str) {
        self.text.push_str(drawn);
        self.text.push('\n');
    }

    /// Writes it to standard output; nothing is given where the reader went away.
    pub(crate) fn print(self) -> anyhow::Result<Option<Extent>> {
        let written = print(self.screen, |out| out.write_all(self.text.as_bytes()))?;
        Ok(written.map(|()| self.extent))
    }

    /// The lines before a node. Of a deep one only the nearest levels, so that there is room for the node itself.
    fn stem(&self, goes_on: &[bool], branch: &Branch) -> String {
        // A root has no line before it, and what is below it none for it.
        let Some(above) = branch.depth.checked_sub(1).map(|_| &goes_on[1..]) else { return String::new() };
        let shown = above.len().min(self.screen.width / 2 / STEP);
        let hidden = if shown < above.len() { "…" } else { "" };
        let lines = above[above.len() - shown..].iter().map(|goes_on| if *goes_on { "│  " } else { "   " });
        let own = if branch.is_last { "└─ " } else { "├─ " };
        format!("{hidden}{}{own}", lines.collect::<String>())
    }

    fn row(&mut self, cells: &[Cell], room: usize) -> (String, usize) {
        let (mut line, mut used) = (String::new(), 0);
        for cell in cells {
            let gap = if used > 0 { 2 } else { 0 };
            let left = if self.full { usize::MAX } else { room.saturating_sub(used + gap) };
            let whole = cell.width(self.style());
            if whole > left {
                self.extent = Extent::Cut;
            }
            if whole == 0 || left == 0 {
                continue;
            }
            let (text, width) = cell.drawn(self.style(), left);
            line.push_str(&" ".repeat(gap));
            line.push_str(&text);
            used += gap + width;
        }
        (line, used)
    }

    fn end_line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn room(&self, used: usize) -> usize {
        self.screen.width.saturating_sub(used).max(ROOM_MIN)
    }

    /// Whether nothing is cut.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// How the stream looks that it goes to.
    pub(crate) fn style(&self) -> Style {
        self.screen.out
    }
}
