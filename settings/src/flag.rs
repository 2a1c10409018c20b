//! The parser of a flag that is a setting: what it takes and what it says is what files take and say.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser, ValueParser};

use crate::list::{Kind, find};

/// The parser for the flag that sets `name`; it gives the text as it was written.
///
/// # Panics
///
/// Where there is no such setting.
pub fn flag(name: &'static str) -> ValueParser {
    let kind = find(name).expect("a setting of the list").kind;
    if let Kind::Choice(choices) = kind {
        let values = choices.iter().map(|choice| PossibleValue::new(choice.word).help(choice.doc));
        return ValueParser::new(PossibleValuesParser::new(values).map(|word| word));
    }
    ValueParser::new(move |text: &str| -> Result<String, String> {
        let checked =
            if matches!(kind, Kind::Names | Kind::Paths) { kind.of_list(&[text]) } else { kind.of_text(text) };
        checked.map(|_| text.to_owned()).map_err(|fault| format!("{}; {}", fault.message, fault.help))
    })
}
