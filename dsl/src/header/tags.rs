//! `@tags`: what a tag looks like. Whether ATT&CK has it is a lint's question.

use super::{Annotation, example};
use crate::diagnostic::Diagnostic;

/// The tags; DE113 for what cannot be one.
pub(super) fn read(annotation: &Annotation, diagnostics: &mut Vec<Diagnostic>) -> Vec<String> {
    let items = annotation.items();
    for (item, span) in items.iter().filter(|(item, _)| !is_tag(item)) {
        let diagnostic = Diagnostic::error("DE113", span.clone(), format!("`{item}` is not a tag"));
        let lower = item.to_ascii_lowercase();
        diagnostics.push(if is_tag(&lower) {
            diagnostic.patch("tags are lower case", lower)
        } else {
            diagnostic.help(example("tags"))
        });
    }
    items.into_iter().map(|(item, _)| item).collect()
}

/// `attack.t1059[.004]`, `attack.<tactic>`, a group or program of ATT&CK (`attack.g0016`, `attack.s0002`),
/// `cve.2021.44228`, or another lower-case dotted name.
fn is_tag(tag: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c))
    };
    let digits = |text: &str, len: usize| text.len() == len && text.chars().all(|c| c.is_ascii_digit());
    let Some(attack) = tag.strip_prefix("attack.") else {
        return tag.contains('.') && tag.split('.').all(is_part);
    };
    if !attack.contains(|c: char| c.is_ascii_digit()) {
        return is_part(attack);
    }
    match attack.strip_prefix('t').map(|id| id.split_once('.').unwrap_or((id, "000"))) {
        Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
        None => attack.strip_prefix(['g', 's']).is_some_and(|id| digits(id, 4)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_follow_attack() {
        for tag in ["attack.t1059", "attack.t1059.004", "attack.execution", "attack.g0016", "cve.2021.44228"] {
            assert!(is_tag(tag), "{tag}");
        }
        for tag in ["attack.T1059", "attack.t105", "attack.t1059.4", "attack.a b", "attack.", "execution", "cve."] {
            assert!(!is_tag(tag), "{tag}");
        }
    }
}
