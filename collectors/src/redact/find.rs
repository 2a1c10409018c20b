//! Where the secrets are.
//!
//! Almost every process has none, so one search for words that any secret of ours is near comes first; only what has
//! such a word is taken apart.

use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};

use super::names::{self, Kind};
use super::patterns;
use super::programs::{self, Flag, Form, Part};
use super::words::{self, Word, unquoted};

/// Quotes within quotes that are looked into.
const DEPTH_MAX: u8 = 4;

/// Words of `find` that a command follows.
const RUNS_NEXT: [&[u8]; 4] = [b"-exec", b"-execdir", b"-ok", b"-okdir"];

/// Everything that is looked for.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// Names besides ours, in their normal form.
    also: Vec<String>,
    /// Met in every secret's neighbourhood.
    hint: Regex,
    /// The same without programs: environments are longer than arguments and hardly ever hold commands.
    variable_hint: Regex,
    patterns: Vec<Regex>,
}

impl Rules {
    pub(super) fn new(also: &[String]) -> Self {
        let also: Vec<_> = also.iter().map(|name| names::normal(name.as_bytes())).collect();
        let names = ["pass", "pwd"].iter().chain(names::PARTS).copied().chain(also.iter().map(String::as_str));
        let names = names.map(|name| regex::escape(name).replace('_', "[-_.]"));
        let programs = programs::ALL.iter().filter(|program| !program.flags.is_empty());
        let programs = programs.flat_map(|program| program.names).map(|name| format!(r"\b{}\b", regex::escape(name)));
        let names = names.chain(patterns::HINTS.iter().map(|word| regex::escape(word))).collect::<Vec<_>>().join("|");
        let hint = any_case(&programs.fold(names.clone(), |all, program| all + "|" + &program));
        Self { also, hint, variable_hint: any_case(&names), patterns: patterns::compiled() }
    }

    fn is_secret(&self, name: &str, kind: Kind) -> bool {
        names::is_secret(name, kind) || self.also.iter().any(|also| also == name)
    }
}

/// Anchored, because a search for so many beginnings stops to look at every other byte; reading on does not.
fn any_case(pattern: &str) -> Regex {
    RegexBuilder::new(&format!(r"\A(?s:.)*?(?:{pattern})"))
        .case_insensitive(true)
        .unicode(false)
        .build()
        .expect("names are escaped")
}

/// Looks through one area.
pub(super) struct Finder<'a> {
    rules: &'a Rules,
    area: &'a [u8],
    /// The secrets, in any order; they may overlap.
    pub(super) found: Vec<Range<usize>>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(rules: &'a Rules, area: &'a [u8]) -> Self {
        Self { rules, area, found: Vec::new() }
    }

    /// In arguments.
    pub(super) fn arguments(&mut self) {
        if self.rules.hint.is_match(self.area) {
            let words = words::arguments(self.area);
            self.words(&words, false, 0);
            for word in words {
                self.inside(word.range);
            }
        }
    }

    /// In `NAME=value` entries. One search over all of them finds those that are worth a look.
    pub(super) fn environment(&mut self) {
        let mut at = 0;
        while let Some(hint) = self.rules.variable_hint.shortest_match(&self.area[at..]) {
            let hint = at + hint;
            let is_nul = |byte: &u8| *byte == 0;
            let start = self.area[..hint - 1].iter().rposition(is_nul).map_or(0, |nul| nul + 1);
            let end = self.area[hint..].iter().position(is_nul).map_or(self.area.len(), |len| hint + len);
            self.entry(start..end);
            at = end;
        }
    }

    fn entry(&mut self, entry: Range<usize>) {
        // A leading `=` belongs to the name.
        let equals = self.area[entry.clone()].iter().skip(1).position(|byte| *byte == b'=');
        let equals = equals.map(|at| entry.start + 1 + at);
        let value = equals.map_or(entry.clone(), |at| at + 1..entry.end);
        if let Some(equals) = equals {
            self.named(entry.start..equals, Kind::Variable, value.clone(), false);
        }
        if self.rules.hint.is_match(&self.area[value.clone()]) {
            self.text(value.clone(), 0);
            self.inside(value);
        }
    }

    /// Goes through commands word by word.
    fn words(&mut self, words: &[Word], shell: bool, depth: u8) {
        let mut command = Command::default();
        for word in words {
            let text = &self.area[word.range.clone()];
            if word.first {
                command = Command::default();
            }
            match command.take_expected(text) {
                Some(Expected::Part(part)) => self.part(word.range.clone(), part, shell),
                Some(Expected::Named(name)) => self.value(&name, word.range.clone(), shell),
                None => {
                    if !command.is_script(text) {
                        self.word(&mut command, word.range.clone(), shell);
                    }
                    command.see(text);
                }
            }
            self.text(word.range.clone(), depth);
        }
    }

    /// One word that is not a value.
    fn word(&mut self, command: &mut Command<'a>, range: Range<usize>, shell: bool) {
        let text = &self.area[range.clone()];
        for flag in command.flags.iter().filter(|flag| command.allows(flag)) {
            match met(flag, text) {
                Some(Met::Attached(at)) => self.part(range.start + at..range.end, flag.part, shell),
                Some(Met::Next) => command.expected = Some(Expected::Part(flag.part)),
                None => continue,
            }
            return;
        }
        let kind = if text.starts_with(b"-") { Kind::Flag } else { Kind::Variable };
        if let Some(equals) = text.iter().position(|byte| *byte == b'=') {
            self.named(range.start..range.start + equals, kind, range.start + equals + 1..range.end, shell);
        } else if kind == Kind::Flag && !command.asks {
            command.expected = self.names_secret(range, kind).map(Expected::Named);
        }
    }

    /// The words of a text that has several, or of a value that has.
    fn text(&mut self, range: Range<usize>, depth: u8) {
        let has_blank = self.area[range.clone()].iter().any(u8::is_ascii_whitespace);
        if !has_blank || depth == DEPTH_MAX {
            return;
        }
        let words = words::shell(self.area, range.clone());
        match &words[..] {
            // `--option="several words"`
            [only] if only.range == range => {
                let equals = self.area[range.clone()].iter().position(|byte| *byte == b'=');
                let value = equals.map(|at| unquoted(self.area, range.start + at + 1..range.end));
                if let Some(value) = value {
                    self.text(value, depth + 1);
                }
            }
            words => self.words(words, true, depth + 1),
        }
    }

    /// What stands in the middle of an argument: patterns, and `name=value` among others.
    fn inside(&mut self, range: Range<usize>) {
        let text = &self.area[range.clone()];
        for pattern in &self.rules.patterns {
            for found in pattern.captures_iter(text) {
                let secret = found.get(1).expect("each pattern has one group").range();
                self.found.push(range.start + secret.start..range.start + secret.end);
            }
        }
        self.assignments(range);
    }

    fn assignments(&mut self, range: Range<usize>) {
        let text = &self.area[..range.end];
        let shell = text[range.start..].iter().any(u8::is_ascii_whitespace);
        let is_end = |byte: &u8| byte.is_ascii_whitespace() || b"&,;'\"|)`".contains(byte);
        let mut at = range.start;
        while let Some(len) = text[at..].iter().position(|byte| *byte == b'=') {
            let equals = at + len;
            let name =
                text[at..equals].iter().rposition(|byte| !names::is_name_byte(*byte)).map_or(at, |last| at + last + 1);
            let kind = if text[name] == b'-' { Kind::Flag } else { Kind::Variable };
            at = equals + 1;
            if self.names_secret(name..equals, kind).is_some() {
                // Going on behind the value keeps a hostile `token=token=…` from being read again and again.
                at = text[at..].iter().position(is_end).map_or(text.len(), |len| at + len);
                self.named(name..equals, kind, equals + 1..at, shell);
            }
        }
    }

    /// A name with its value.
    fn named(&mut self, name: Range<usize>, kind: Kind, value: Range<usize>, shell: bool) {
        if let Some(name) = self.names_secret(name, kind) {
            self.value(&name, value, shell);
        }
    }

    /// The name's normal form, if it is one of a secret.
    fn names_secret(&self, name: Range<usize>, kind: Kind) -> Option<String> {
        let name = names::bare(&self.area[name]);
        let name = names::is_name(name).then(|| names::normal(name))?;
        self.rules.is_secret(&name, kind).then_some(name)
    }

    /// The value of a secret's name.
    fn value(&mut self, name: &str, value: Range<usize>, shell: bool) {
        let value = if shell { unquoted(self.area, value) } else { value };
        if !names::is_harmless(name, &self.area[value.clone()]) {
            self.secret(value, shell);
        }
    }

    /// The value of a program's own flag.
    fn part(&mut self, value: Range<usize>, part: Part, shell: bool) {
        let value = if shell { unquoted(self.area, value) } else { value };
        let text = &self.area[value.clone()];
        let skipped = match part {
            Part::Whole => Some(0),
            Part::After(separator) => text.iter().position(|byte| *byte == separator).map(|at| at + 1),
            Part::Passphrase => text.starts_with(b"pass:").then_some(5),
        };
        if let Some(skipped) = skipped {
            self.secret(value.start + skipped..value.end, shell);
        }
    }

    fn secret(&mut self, range: Range<usize>, shell: bool) {
        let text = &self.area[range.clone()];
        if !(text.is_empty() || shell && is_expansion(text)) {
            self.found.push(range);
        }
    }
}

/// Whether a shell would put something else there: `$NAME`, `${NAME}`, `$(command)`. The first is not the secret.
fn is_expansion(text: &[u8]) -> bool {
    match text {
        [b'$' | b'`'] | [b'$', b'(' | b'{', ..] | [b'`', ..] => true,
        [b'$', name @ ..] => name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_'),
        _ => false,
    }
}

/// What is known of the command that a word belongs to.
#[derive(Default)]
struct Command<'a> {
    /// The flags of its program, once that has been seen.
    flags: &'static [Flag],
    asks: bool,
    /// The program has been seen, and it runs no other.
    settled: bool,
    wrapped: bool,
    program: &'a [u8],
    last: &'a [u8],
    seen: Vec<&'a [u8]>,
    expected: Option<Expected>,
}

/// The next word is the value of a flag.
enum Expected {
    Part(Part),
    Named(String),
}

impl<'a> Command<'a> {
    /// What this word is to be, unless it is a flag itself.
    fn take_expected(&mut self, text: &[u8]) -> Option<Expected> {
        self.expected.take().filter(|_| !text.starts_with(b"-"))
    }

    /// Whether the word is a command for a shell: what follows `-c`, or has several commands. It may begin with
    /// `NAME=value`, and that value does not reach to its end.
    fn is_script(&self, text: &[u8]) -> bool {
        let after_c = self.last.len() <= 5 && self.last.starts_with(b"-") && self.last.ends_with(b"c");
        let has_blank = text.iter().any(u8::is_ascii_whitespace);
        has_blank && (after_c || !text.starts_with(b"-") && text.iter().any(|byte| b";|&\n".contains(byte)))
    }

    /// Learns which program runs. A wrapper runs the first that we know among its arguments.
    fn see(&mut self, text: &'a [u8]) {
        self.last = text;
        if RUNS_NEXT.contains(&text) {
            *self = Self { last: text, ..Self::default() };
            return;
        }
        // Only a few flags ask for a word before them, and that comes early.
        if self.seen.len() < 8 {
            self.seen.push(text);
        }
        if self.settled || text.starts_with(b"-") || text.contains(&b'=') {
            return;
        }
        let name = text.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let known = programs::flags(name);
        let is_wrapper = programs::is_wrapper(name);
        let ends_wrapper = programs::runs_its_first_word(self.program);
        if known.is_some() || is_wrapper || ends_wrapper {
            self.flags = known.unwrap_or_default();
            self.program = name;
        }
        self.asks = programs::asks(name);
        self.settled = !is_wrapper && (known.is_some() || !self.wrapped || ends_wrapper);
        self.wrapped |= is_wrapper;
    }

    fn allows(&self, flag: &Flag) -> bool {
        flag.after.is_none_or(|word| self.seen.contains(&word.as_bytes()))
    }
}

enum Met {
    Attached(usize),
    Next,
}

/// How the word is this flag.
fn met(flag: &Flag, text: &[u8]) -> Option<Met> {
    let name = flag.name.as_bytes();
    let has_next = flag.form != Form::Attached;
    if text == name {
        return has_next.then_some(Met::Next);
    }
    let bundle = text.len() <= 6 && text.ends_with(&name[1..]) && text[1..].iter().all(u8::is_ascii_alphabetic);
    if flag.form == Form::Bundled && text.starts_with(b"-") && bundle {
        return Some(Met::Next);
    }
    let rest = text.strip_prefix(name).filter(|_| flag.form != Form::Next)?;
    if name.starts_with(b"--") {
        return rest.starts_with(b"=").then_some(Met::Attached(name.len() + 1));
    }
    Some(Met::Attached(name.len()))
}
