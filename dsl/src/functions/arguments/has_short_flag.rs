//! `has_short_flag`.

use super::arguments;
use crate::functions::characters::Characters;
use crate::functions::{Function, Gives, TEXT};
use crate::types::Type;

pub(super) static HAS_SHORT_FLAG: Function = Function {
    name: "has_short_flag",
    args: &[("argv", TEXT), ("letters", TEXT)],
    returns: Gives::One(Type::Boolean),
    doc: "Whether each of the letters is a short flag, alone or together with others: `-l -a`, `-la` and `-al` all have \
          `la`. Arguments after `--` do not count. A program that takes `-name` for one flag has `n`, `a`, `m`, `e` \
          here: use `has_flag` for those.",
    examples: &[
        ("has_short_flag('[\"nc\",\"-nlvp\",\"4444\"]', 'l')", "TRUE"),
        ("has_short_flag('[\"rm\",\"-r\",\"-f\",\"/\"]', 'rf')", "TRUE"),
        ("has_short_flag('[\"rm\",\"--\",\"-f\"]', 'f')", "FALSE"),
        ("has_short_flag('[\"x\"]', '')", "FALSE"),
    ],
    eval: |call| {
        call.boolean(|row| {
            let (arguments, letters) = (arguments(row.text(0))?, row.text(1));
            let flags = arguments.iter().take_while(|it| *it != "--").filter_map(|it| cluster(it));
            let flags = Characters::of(&flags.collect::<String>());
            Some(!letters.is_empty() && letters.chars().all(|letter| flags.has(letter)))
        })
    },
    ..Function::BASE
};

/// The letters of an argument that is made of short flags.
fn cluster(argument: &str) -> Option<&str> {
    argument.strip_prefix('-').filter(|flags| !flags.starts_with('-'))
}
