//! The examples in the reference of functions are true.

use daemoneye_dsl::check::check_query;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::functions;
use daemoneye_dsl::tables::Catalog;
use daemoneye_dsl::types::Timestamp;

use super::random::Random;
use super::world::{World, rows_of};

#[test]
fn examples_hold() {
    let world = World::random(&mut Random::new(0));
    for function in functions::ALL {
        for (call, result) in function.examples {
            let sql = format!("SELECT {call}, {result}");
            let checked = check_query(&Source::query(&sql), &Catalog::builtin());
            let rule = checked.rule.unwrap_or_else(|| panic!("{sql}: {:?}", checked.diagnostics));
            let answer = crate::execute(&crate::plan(&rule.query), &world, Timestamp(0)).expect("an answer");
            let rows = rows_of(&answer.rows);
            let [value, expected] = rows[0].as_slice() else { panic!("{sql}: two columns") };
            assert_eq!(value, expected, "{call}");
        }
    }
}
