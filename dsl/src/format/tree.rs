//! Words as a tree: what stands in parentheses, or between CASE and END, is one node of what it stands in.

use sqlparser::keywords::Keyword;

use super::words::{Kind, Word};

/// A word, or a group of them.
#[derive(Debug)]
pub(super) enum Node {
    /// The word at this place.
    Word(usize),
    /// From an opening word to a closing one.
    Group { open: usize, nodes: Vec<Node>, close: usize },
}

impl Node {
    /// Its first word.
    pub(super) fn first(&self) -> usize {
        match self {
            Self::Word(at) | Self::Group { open: at, .. } => *at,
        }
    }

    /// Its last word.
    pub(super) fn last(&self) -> usize {
        match self {
            Self::Word(at) | Self::Group { close: at, .. } => *at,
        }
    }

    pub(super) fn is(&self, keyword: Keyword, words: &[Word<'_>]) -> bool {
        matches!(self, Self::Word(at) if words[*at].is(keyword))
    }
}

/// The tree of all words but the last, which is none.
pub(super) fn read(words: &[Word<'_>]) -> Vec<Node> {
    let mut nodes = Vec::new();
    // Groups that are open: their first word, and the nodes around them.
    let mut open: Vec<(usize, Vec<Node>)> = Vec::new();
    for (at, word) in words.iter().enumerate().filter(|(_, word)| word.kind != Kind::End) {
        let is_case = |at: usize| words[at].is(Keyword::CASE);
        let closes = match word.kind {
            Kind::Close => open.last().is_some_and(|(at, _)| !is_case(*at)),
            Kind::Keyword(Keyword::END) => open.last().is_some_and(|(at, _)| is_case(*at)),
            _ => false,
        };
        if word.kind == Kind::Open || is_case(at) {
            open.push((at, std::mem::take(&mut nodes)));
        } else if let Some((first, around)) = closes.then(|| open.pop()).flatten() {
            let inner = std::mem::replace(&mut nodes, around);
            nodes.push(Node::Group { open: first, nodes: inner, close: at });
        } else {
            nodes.push(Node::Word(at));
        }
    }
    // What was never closed does not parse, and is not formatted; nothing of it is lost all the same.
    while let Some((first, mut around)) = open.pop() {
        around.push(Node::Word(first));
        around.append(&mut nodes);
        nodes = around;
    }
    nodes
}

/// The nodes cut behind each comma, which stays with what is before it.
pub(super) fn items<'a>(nodes: &'a [Node], words: &[Word<'_>]) -> Vec<&'a [Node]> {
    let is_comma = |node: &Node| matches!(node, Node::Word(at) if words[*at].kind == Kind::Comma);
    nodes.split_inclusive(is_comma).collect()
}

/// The operands that `keyword` joins, each but the first with it; the AND of BETWEEN joins nothing.
pub(super) fn operands<'a>(nodes: &'a [Node], keyword: Keyword, words: &[Word<'_>]) -> Vec<&'a [Node]> {
    let mut operands = Vec::new();
    let (mut start, mut in_between) = (0, false);
    for (at, node) in nodes.iter().enumerate() {
        if node.is(Keyword::BETWEEN, words) {
            in_between = true;
        } else if node.is(Keyword::AND, words) && in_between {
            in_between = false;
        } else if node.is(keyword, words) && at > start {
            operands.push(&nodes[start..at]);
            start = at;
        }
    }
    operands.push(&nodes[start..]);
    operands
}

/// What a part of a query is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clause {
    /// Whatever stands before the first.
    Nameless,
    With,
    Select,
    From,
    Join,
    /// WHERE, HAVING.
    Condition,
    /// GROUP BY, ORDER BY, LIMIT, WINDOW, VALUES: a list on few lines.
    Keys,
    /// UNION and its like.
    Set,
}

/// One clause: what it is, its name, and the rest.
pub(super) type Part<'a> = (Clause, &'a [Node], &'a [Node]);

/// A query cut into its clauses.
pub(super) fn clauses<'a>(nodes: &'a [Node], words: &[Word<'_>]) -> Vec<Part<'a>> {
    let mut starts: Vec<(usize, Clause, usize)> = Vec::new();
    let mut at = 0;
    while at < nodes.len() {
        let Some((clause, len)) = clause(nodes, at, words) else {
            at += 1;
            continue;
        };
        starts.push((at, clause, len));
        at += len;
    }
    if starts.first().is_none_or(|(at, ..)| *at > 0) {
        starts.insert(0, (0, Clause::Nameless, 0));
    }
    let ends = starts.iter().skip(1).map(|(at, ..)| *at).chain([nodes.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|((at, clause, len), end)| (*clause, &nodes[*at..at + len], &nodes[at + len..end]))
        .collect()
}

/// The clause that begins at a node, and of how many words its name is.
fn clause(nodes: &[Node], at: usize, words: &[Word<'_>]) -> Option<(Clause, usize)> {
    let is = |at: usize, keyword| nodes.get(at).is_some_and(|node| node.is(keyword, words));
    let Node::Word(word) = nodes[at] else { return None };
    let Kind::Keyword(keyword) = words[word].kind else { return None };
    let by = |len| if is(at + 1, Keyword::BY) { Some((Clause::Keys, len)) } else { None };
    match keyword {
        Keyword::WITH => {
            let recursive = matches!(nodes.get(at + 1), Some(Node::Word(next)) if words[*next].text.eq_ignore_ascii_case("recursive"));
            Some((Clause::With, 1 + usize::from(recursive)))
        }
        Keyword::SELECT => {
            Some((Clause::Select, 1 + usize::from(is(at + 1, Keyword::DISTINCT) || is(at + 1, Keyword::ALL))))
        }
        Keyword::FROM if at == 0 || !is(at - 1, Keyword::DISTINCT) => Some((Clause::From, 1)),
        Keyword::WHERE | Keyword::HAVING => Some((Clause::Condition, 1)),
        Keyword::GROUP | Keyword::ORDER => by(2),
        Keyword::LIMIT | Keyword::VALUES => Some((Clause::Keys, 1)),
        Keyword::WINDOW if is(at + 2, Keyword::AS) => Some((Clause::Keys, 1)),
        Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT => {
            Some((Clause::Set, 1 + usize::from(is(at + 1, Keyword::ALL) || is(at + 1, Keyword::DISTINCT))))
        }
        Keyword::NATURAL
        | Keyword::LEFT
        | Keyword::RIGHT
        | Keyword::FULL
        | Keyword::INNER
        | Keyword::CROSS
        | Keyword::JOIN => {
            let len = (0..4).find(|len| is(at + len, Keyword::JOIN))? + 1;
            Some((Clause::Join, len))
        }
        _ => None,
    }
}
