//! Whatever the text, compiling and running it over small tables ends soon, with rows or with an error.
//!
//! The texts are valid statements with tokens deleted, doubled, exchanged and put in: close enough to the grammar that many
//! still compile, and mean what nobody would write.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use daemoneye_dsl::check::check_query;
use daemoneye_dsl::diagnostic::{Source, Style};
use daemoneye_dsl::types::Timestamp;

use super::differential::report;
use super::generator::Mode;
use super::random::{Random, shrunk};
use super::setting;
use super::statement::statement;
use super::world::{EPOCH, World};
use crate::dataflow::{Changes, Dataflow};

/// One text may take so long, on a busy machine and without optimisation.
const LONGEST: Duration = Duration::from_secs(20);

#[test]
fn mutated_statements_end() {
    let (cases, seed) = (setting("CASES", 3_000), setting("SEED", 1));
    let (mut compiled, mut failed, mut slowest) = (0, 0, Duration::ZERO);
    for number in 0..cases {
        let world = World::random(&mut Random::new(seed.wrapping_mul(1 << 37).wrapping_add(number / 20)));
        let mut random = Random::new(seed.wrapping_mul(1 << 38).wrapping_add(number));
        let text = mutated(&world, &mut random);
        let (ended, took) = timed(|| end(&world, &text));
        slowest = slowest.max(took);
        assert!(took < LONGEST, "{took:?} for {text}");
        match ended {
            Ok(Ended::Rows) => compiled += 1,
            Ok(Ended::Failed) => failed += 1,
            Ok(Ended::Refused) => {}
            Err(()) => {
                let panics = |tape: &[usize]| end(&world, &mutated(&world, &mut Random::replay(tape))).is_err();
                let tape = shrunk(random.into_tape(), &mut |tape| panics(tape));
                panic!("seed {seed}, case {number}: {}", mutated(&world, &mut Random::replay(&tape)));
            }
        }
    }
    report(&format!("{cases} texts, {compiled} ran, {failed} reached a bound, the slowest took {slowest:?}"));
    assert!(compiled * 100 > cases * 5, "only {compiled} of {cases} texts ran");
}

#[test]
fn random_words_end() {
    let (cases, seed) = (setting("CASES", 1_500), setting("SEED", 1));
    let mut ran = 0;
    for number in 0..cases {
        let mut random = Random::new(seed.wrapping_mul(1 << 39).wrapping_add(number));
        let world = World::random(&mut random);
        let mut words = tokens(&statement(&world, &mut random, Mode::Free).ours);
        words.extend(WORDS.iter().map(|word| (*word).to_owned()));
        let drawn: Vec<_> = (0..=random.below(12)).map(|_| random.pick(&words).clone()).collect();
        for text in [
            drawn.join(" "),
            format!("SELECT {}", drawn.join(" ")),
            format!("SELECT * FROM t0 WHERE {}", drawn.join(" ")),
        ] {
            let (ended, took) = timed(|| end(&world, &text));
            assert!(took < LONGEST && ended.is_ok(), "seed {seed}, case {number}, {took:?}: {text}");
            ran += u64::from(!matches!(ended, Ok(Ended::Refused)));
        }
    }
    report(&format!("{cases} times three texts, of which {ran} ran"));
    assert!(ran > 0, "none of {cases} texts ran");
}

enum Ended {
    Refused,
    Rows,
    Failed,
}

#[expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let done = work();
    (done, start.elapsed())
}

/// Compiles the text and runs it once and installed; a panic is an error.
fn end(world: &World, text: &str) -> Result<Ended, ()> {
    let work = AssertUnwindSafe(|| {
        let source = Source::query(text);
        let checked = check_query(&source, &world.catalog());
        checked.diagnostics.iter().for_each(|it| drop(it.render(&source, Style::default())));
        let Some(rule) = checked.rule else {
            assert!(!checked.diagnostics.is_empty(), "refused without a reason");
            return Ended::Refused;
        };
        drop(crate::explain(&rule.query));
        let plan = crate::plan(&rule.query);
        let whole = crate::execute(&plan, world, Timestamp(EPOCH));
        let mut dataflow = Dataflow::default();
        dataflow.install(&plan);
        let loaded = dataflow.load(world, Timestamp(EPOCH)).is_ok_and(|all| all.iter().all(|(_, it)| it.is_ok()));
        let stepped = dataflow.step(world, &Changes::default(), Timestamp(EPOCH + 1));
        if whole.is_ok() && loaded && stepped.iter().all(|(_, it)| it.is_ok()) { Ended::Rows } else { Ended::Failed }
    });
    std::panic::catch_unwind(work).map_err(drop)
}

fn mutated(world: &World, random: &mut Random) -> String {
    let mut tokens = tokens(&statement(world, random, Mode::Free).ours);
    for _ in 0..=random.below(2) {
        let (at, other) = (random.below(tokens.len().max(1)), random.below(tokens.len().max(1)));
        match random.below(10) {
            _ if tokens.is_empty() => break,
            0 => drop(tokens.remove(at)),
            1 => tokens.insert(at, tokens[at].clone()),
            2 => tokens.swap(at, other),
            3 => tokens[at] = (*random.pick(WORDS)).to_owned(),
            _ => {
                let alike = tokens.iter().map(String::as_str).chain(WORDS.iter().copied());
                let alike: Vec<_> = alike.filter(|token| class(token) == class(&tokens[at])).collect();
                tokens[at] = (*random.pick(&alike)).to_owned();
            }
        }
    }
    tokens.join(" ")
}

/// What a token could be exchanged for with some hope.
fn class(token: &str) -> usize {
    let first = token.chars().next().unwrap_or_default();
    let kinds = [first.is_ascii_lowercase(), first.is_uppercase(), first.is_ascii_digit() || first == '\''];
    kinds.iter().position(|is| *is).unwrap_or(3)
}

/// Words that are likely to mean something where they are put.
const WORDS: &[&str] = &[
    "*",
    "(",
    ")",
    ",",
    "NULL",
    "NOT",
    "0",
    "-1",
    "9223372036854775807",
    "1e308",
    "''",
    "AND",
    "OR",
    "=",
    "<",
    "t0",
    "t1.i",
    "ALL",
    "DISTINCT",
    "LIMIT",
    "ORDER BY",
    "UNION ALL",
    "EXCEPT",
    "RIGHT",
    "FULL",
    "NATURAL",
    "ROWS",
    "RANGE",
    "UNBOUNDED PRECEDING",
    "OVER ()",
    "count(*)",
    "max",
    "lag",
    "ntile",
    "nth_value",
    "group_concat",
    "x'00'",
    "now()",
    "INTERVAL '1 day'",
    "COLLATE NOCASE",
    "IS",
    "IN ()",
    "VALUES (1)",
    "(SELECT 1)",
    "EXISTS",
    "AS",
    "GROUP BY 1",
    "1",
];

/// The words, numbers, quoted texts and signs of a statement.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut quoted = false;
    let mut before = ' ';
    for c in text.chars() {
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
        let is_sign = |c: char| "<>=|!".contains(c);
        let glued =
            quoted || is_word(before) && is_word(c) || is_sign(before) && is_sign(c) || (before, c) == ('\'', '\'');
        match tokens.last_mut() {
            Some(last) if glued => last.push(c),
            _ if c.is_whitespace() => {}
            _ => tokens.push(c.to_string()),
        }
        quoted ^= c == '\'';
        before = c;
    }
    tokens
}

#[test]
fn statements_are_cut_into_tokens() {
    assert_eq!(tokens("SELECT a.b, 'it''s' || 1.5<=2"), ["SELECT", "a.b", ",", "'it''s'", "||", "1.5", "<=", "2"]);
}
