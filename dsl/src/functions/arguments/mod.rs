//! Functions of command lines and of arguments.

mod arg_after;
mod args;
mod has_flag;
mod has_short_flag;

use super::Group;

pub(super) static ARGUMENTS: Group = Group {
    title: "Command lines",
    doc: "`argv` is a JSON array of text, such as the column of that name or what `args` gives; what is none gives NULL. \
          Rules over it do not depend on order, quoting or spaces. The program, its first element, is no argument.",
    functions: &[&arg_after::ARG_AFTER, &args::ARGS, &has_flag::HAS_FLAG, &has_short_flag::HAS_SHORT_FLAG],
};

/// The elements after the program.
fn arguments(argv: &str) -> Option<Vec<String>> {
    let mut elements: Vec<String> = serde_json::from_str(argv).ok()?;
    if !elements.is_empty() {
        elements.remove(0);
    }
    Some(elements)
}

/// What follows the `=` when the argument is the flag with its value in one.
fn attached<'a>(argument: &'a str, flag: &str) -> Option<&'a str> {
    argument.strip_prefix(flag)?.strip_prefix('=')
}
