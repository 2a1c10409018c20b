use super::{Check, Example, Lint, Subject};
use crate::diagnostic::{Diagnostic, Severity};

pub(super) static ORDER_OR_LIMIT: Lint = Lint {
    code: "DE308",
    name: "order-or-limit",
    severity: Severity::Warning,
    summary: "A rule orders or limits the rows that it returns.",
    why: "Every row of a rule is an alert, whatever its place: ORDER BY changes nothing, and costs an evaluation from the \
          beginning at each change. LIMIT drops matches, and with each row that comes or goes it may drop others: alerts \
          are lost and found again.",
    fires: Example::Statement("SELECT proc_id, name FROM processes WHERE name = 'xmrig' ORDER BY pid LIMIT 5"),
    silent: Example::Statement("SELECT proc_id, name FROM processes WHERE name = 'xmrig'"),
    check: Check::Rule(check),
};

fn check(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    if subject.header().is_none() {
        return;
    }
    let query = &subject.rule.query;
    if query.limit.is_some() || query.offset > 0 {
        let finding = ORDER_OR_LIMIT.at(subject.last_word("LIMIT"), "LIMIT drops matches of a rule");
        found.push(finding.help("remove it; `@dedup` keeps alerts from repeating"));
    } else if !query.order.is_empty() {
        let finding = ORDER_OR_LIMIT.at(subject.last_word("ORDER"), "ORDER BY means nothing in a rule");
        found.push(finding.help("remove it: each row is an alert of its own"));
    }
}
