//! Where lines break, and how far they are indented.
//!
//! ```text
//! SELECT                                     a column a line, AS below AS
//!     child.proc_id,
//!     parent.name AS parent_name
//! FROM processes AS child
//! JOIN processes AS parent ON parent.proc_id = child.parent_id
//! WHERE child.name IN ('sh', 'bash')         AND and OR end where WHERE does
//!   AND (   parent.name = 'nginx'
//!        OR parent.name = 'httpd' AND child.user_id = 0)
//! ```
//!
//! What fits on its line stays on it. Lists fill lines. A query in parentheses is four columns further in. Comments stay
//! with the word before them on their line, or above the word that follows.

use sqlparser::keywords::Keyword;

use super::tree::{self, Clause, Node, Part};
use super::words::{Kind, Word, gap};

/// Columns of a line, where a line can be broken.
const WIDTH: usize = 100;
/// Columns of a query or a list of columns that stands on one line.
const SHORT: usize = 72;
/// Columns of a SELECT that may stand on one line.
const SHORT_LEN: usize = 4;
/// Columns before AS that are filled up for the sake of another.
const ALIGNED_MAX: usize = 40;
const INDENT: usize = 4;

/// The words laid out, ending with a line break.
pub(super) fn laid_out(words: &[Word<'_>], newline: &str) -> String {
    let mut layout = Layout { words, newline, text: String::new(), base: 0, must_break: false };
    let nodes = tree::read(words);
    let is_end = |node: &Node| matches!(node, Node::Word(at) if words[*at].kind == Kind::Semicolon);
    let statement = nodes.iter().rposition(|node| !is_end(node)).map_or(0, |at| at + 1);
    layout.query(&nodes[..statement], 0);
    layout.base = 0;
    layout.inline(&nodes[statement..]);
    for comment in words.iter().filter(|word| word.kind == Kind::End).flat_map(|word| &word.above) {
        if !layout.is_line_start() {
            layout.line(0);
        }
        layout.text.push_str(comment);
    }
    if !layout.text.is_empty() {
        layout.text.push_str(newline);
    }
    layout.text
}

struct Layout<'a> {
    words: &'a [Word<'a>],
    newline: &'a str,
    text: String,
    /// Where a line begins that a comment forces.
    base: usize,
    /// A comment goes to the end of the line.
    must_break: bool,
}

impl Layout<'_> {
    fn query(&mut self, nodes: &[Node], indent: usize) {
        if self.fits(nodes, SHORT + indent) {
            return self.inline(nodes);
        }
        for (at, part) in tree::clauses(nodes, self.words).into_iter().enumerate() {
            if at > 0 {
                self.line(indent);
            }
            self.clause(part, indent);
        }
    }

    fn clause(&mut self, (clause, name, body): Part<'_>, indent: usize) {
        self.base = indent;
        self.inline(name);
        let items = tree::items(body, self.words);
        match clause {
            Clause::Select if items.len() > SHORT_LEN || !self.fits(body, SHORT + indent) => {
                self.list(&items, indent + INDENT);
            }
            Clause::From if items.len() > 1 && !self.fits(body, WIDTH) => self.list(&items, indent + INDENT),
            Clause::Nameless | Clause::Set | Clause::Select | Clause::From => self.inline(body),
            Clause::With => self.each(&items, indent),
            Clause::Join => self.join(body, indent),
            Clause::Condition => self.condition(body),
            Clause::Keys => self.fill(&items, self.column() + 1),
        }
    }

    /// The parts of WITH, each on a line of its own behind the first.
    fn each(&mut self, items: &[&[Node]], indent: usize) {
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.line(indent);
            }
            self.inline(item);
        }
    }

    fn join(&mut self, body: &[Node], indent: usize) {
        let on = body.iter().position(|node| node.is(Keyword::ON, self.words));
        let Some(on) = on.filter(|_| !self.fits(body, WIDTH)) else { return self.inline(body) };
        self.inline(&body[..on]);
        if !self.fits(&body[on..], WIDTH) {
            self.line(indent + INDENT / 2);
        }
        self.inline(&body[on..=on]);
        self.condition(&body[on + 1..]);
    }

    /// What follows WHERE, HAVING or ON: an operand a line, what joins them ending where that word does.
    fn condition(&mut self, nodes: &[Node]) {
        let end = self.column();
        self.joined(nodes, end, end + 1);
    }

    /// Operands that begin at column `from`, with what joins them before.
    fn joined(&mut self, nodes: &[Node], end: usize, from: usize) {
        let (keyword, operands) = self.operands(nodes);
        let start = end.saturating_sub(if keyword == Keyword::OR { 2 } else { 3 });
        for (at, operand) in operands.iter().enumerate() {
            let mut operand = *operand;
            if at > 0 {
                self.line(start);
                self.inline(&operand[..1]);
                operand = &operand[1..];
            }
            self.base = from;
            self.operand(operand);
        }
    }

    /// The operands of OR, which binds less, else of AND.
    fn operands<'b>(&self, nodes: &'b [Node]) -> (Keyword, Vec<&'b [Node]>) {
        let of_or = tree::operands(nodes, Keyword::OR, self.words);
        if of_or.len() > 1 {
            return (Keyword::OR, of_or);
        }
        (Keyword::AND, tree::operands(nodes, Keyword::AND, self.words))
    }

    /// One operand; where it is joined by AND below an OR and too long, further in.
    fn operand(&mut self, nodes: &[Node]) {
        let parts = tree::operands(nodes, Keyword::AND, self.words);
        if parts.len() == 1 || self.fits(nodes, WIDTH) {
            return self.inline(nodes);
        }
        let from = self.base + 2;
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                self.line(from);
            }
            self.inline(part);
        }
    }

    /// An item a line.
    fn list(&mut self, items: &[&[Node]], indent: usize) {
        let split = |item: &[Node]| {
            let at = item.iter().rposition(|node| node.is(Keyword::AS, self.words)).filter(|at| *at > 0)?;
            let (left, right) = (self.flat(&item[..at])?, self.flat(&item[at..])?);
            self.flat(item)?;
            Some((left, right)).filter(|(left, _)| left.chars().count() <= ALIGNED_MAX)
        };
        let split: Vec<_> = items.iter().map(|item| split(item)).collect();
        let width = split.iter().flatten().map(|(left, _)| left.chars().count()).max().unwrap_or(0);
        for (item, split) in items.iter().zip(split) {
            self.line(indent);
            match (split, item.first(), item.last()) {
                (Some((left, right)), Some(first), Some(last)) => {
                    self.above(first.first());
                    let pad = width - left.chars().count();
                    self.text.extend([left, " ".repeat(pad + 1), right]);
                    self.behind(last.last());
                }
                _ => self.inline(item),
            }
        }
    }

    /// Items on as few lines as they need, which begin at column `from`.
    fn fill(&mut self, items: &[&[Node]], from: usize) {
        self.base = from;
        for (at, item) in items.iter().enumerate() {
            // Behind the last one a parenthesis may close.
            if at > 0 && !self.fits(item, WIDTH - 1) {
                self.line(from);
            }
            self.inline(item);
        }
    }

    /// Everything on this line, but for groups that are too long for it.
    fn inline(&mut self, nodes: &[Node]) {
        for node in nodes {
            match node {
                Node::Word(at) => self.word(*at),
                Node::Group { open, nodes: inner, close } => {
                    if self.fits(std::slice::from_ref(node), WIDTH) {
                        self.word(*open);
                        self.inline(inner);
                        self.word(*close);
                    } else if self.words[*open].is(Keyword::CASE) {
                        self.case(*open, inner, *close);
                    } else {
                        self.group(*open, inner, *close);
                    }
                }
            }
        }
    }

    fn case(&mut self, open: usize, nodes: &[Node], close: usize) {
        self.word(open);
        let indent = self.column() - "CASE".len();
        let begins = |node: &Node| node.is(Keyword::WHEN, self.words) || node.is(Keyword::ELSE, self.words);
        let mut starts: Vec<_> = (0..nodes.len()).filter(|at| begins(&nodes[*at])).collect();
        self.inline(&nodes[..starts.first().copied().unwrap_or(nodes.len())]);
        starts.push(nodes.len());
        for pair in starts.windows(2) {
            self.line(indent + INDENT);
            self.inline(&nodes[pair[0]..pair[1]]);
        }
        self.line(indent);
        self.word(close);
    }

    fn group(&mut self, open: usize, nodes: &[Node], close: usize) {
        let indent = self.indentation();
        self.word(open);
        let is_query = [Keyword::SELECT, Keyword::WITH, Keyword::VALUES];
        if nodes.first().is_some_and(|node| is_query.iter().any(|keyword| node.is(*keyword, self.words))) {
            self.line(indent + INDENT);
            self.query(nodes, indent + INDENT);
            self.line(indent);
            return self.word(close);
        }
        let (before, inner) = (self.base, self.column());
        let (keyword, operands) = self.operands(nodes);
        let items = tree::items(nodes, self.words);
        if operands.len() > 1 && items.len() == 1 {
            let len = if keyword == Keyword::OR { 2 } else { 3 };
            self.text.push_str(&" ".repeat(len + 1));
            self.joined(nodes, inner + len, inner + len + 1);
        } else {
            self.fill(&items, inner);
        }
        self.word(close);
        self.base = before;
    }

    /// One word, with the space before it and its comments.
    fn word(&mut self, at: usize) {
        self.above(at);
        let ends_with_space = self.text.ends_with(' ');
        if gap(self.words, at) && !self.is_line_start() && !ends_with_space {
            self.text.push(' ');
        }
        self.text.push_str(self.words[at].text);
        self.behind(at);
    }

    fn above(&mut self, at: usize) {
        let above = &self.words[at].above;
        if (self.must_break || !above.is_empty()) && !self.is_line_start() {
            self.line(self.base);
        }
        for comment in above {
            self.text.push_str(comment);
            self.line(self.base);
        }
    }

    fn behind(&mut self, at: usize) {
        for comment in &self.words[at].behind {
            self.text.push_str("  ");
            self.text.push_str(comment);
            self.must_break = true;
        }
    }

    /// Whether the nodes fit on this line, which ends at column `width`, and no comment breaks it.
    fn fits(&self, nodes: &[Node], width: usize) -> bool {
        let Some(first) = nodes.first().map(Node::first) else { return true };
        let begins_line = self.is_line_start();
        let breaks = self.must_break || !self.words[first].above.is_empty();
        (begins_line || !breaks)
            && self.flat(nodes).is_some_and(|text| {
                let gap = gap(self.words, first) && !begins_line;
                self.column() + usize::from(gap) + text.chars().count() <= width
            })
    }

    /// The nodes on one line, if no comment within and no line break in a string keeps them from that.
    fn flat(&self, nodes: &[Node]) -> Option<String> {
        let (first, last) = (nodes.first()?.first(), nodes.last()?.last());
        let mut text = String::new();
        for at in first..=last {
            let word = &self.words[at];
            let at_edge = (at == first || word.above.is_empty()) && (at == last || word.behind.is_empty());
            if !at_edge || word.text.contains('\n') {
                return None;
            }
            if at > first && gap(self.words, at) {
                text.push(' ');
            }
            text.push_str(word.text);
        }
        Some(text)
    }

    fn line(&mut self, indent: usize) {
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.text.push_str(self.newline);
        self.text.push_str(&" ".repeat(indent));
        (self.base, self.must_break) = (indent, false);
    }

    fn current_line(&self) -> &str {
        &self.text[self.text.rfind('\n').map_or(0, |at| at + 1)..]
    }

    fn column(&self) -> usize {
        self.current_line().chars().count()
    }

    fn is_line_start(&self) -> bool {
        self.current_line().trim().is_empty()
    }

    fn indentation(&self) -> usize {
        let line = self.current_line();
        line.chars().count() - line.trim_start().chars().count()
    }
}
