//! The header in its usual form: annotations in the order of [`KEYS`], what continues them three spaces in.
//!
//! Comments among them stay before the annotation that they stood before; those at the top stay at the top.

use crate::header::{Annotation, KEYS};

/// Spaces between the dashes and the text of a continuation.
const INDENT: usize = 3;

struct Block<'a> {
    /// Comments before it.
    above: Vec<&'a str>,
    annotation: &'a Annotation,
    /// What follows the dashes on the lines that continue it.
    more: Vec<&'a str>,
}

/// `text`, the lines of the header, laid out.
pub(super) fn laid_out(text: &str, annotations: &[Annotation], newline: &str) -> String {
    let mut top: Vec<&str> = Vec::new();
    let mut above: Vec<&str> = Vec::new();
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let range = start..start + line.len();
        start = range.end;
        let line = line.trim_end();
        let at = blocks.len();
        let continues =
            |block: &Block<'_>| block.annotation.lines[1..].iter().any(|(_, span)| range.contains(&span.start));
        if annotations.get(at).is_some_and(|annotation| range.contains(&annotation.key_span.start)) {
            let above = std::mem::take(&mut above);
            blocks.push(Block { above, annotation: &annotations[at], more: vec![] });
        } else if let Some(block) = blocks.last_mut().filter(|block| continues(block)) {
            block.more.push(line.strip_prefix("--").unwrap_or(line));
        } else if blocks.is_empty() {
            top.push(line);
        } else {
            above.push(line);
        }
    }
    // What is not known keeps its place behind what is.
    blocks.sort_by_key(|block| KEYS.iter().position(|key| *key == block.annotation.key).unwrap_or(KEYS.len()));
    let top = top.iter().skip_while(|line| line.is_empty()).map(ToString::to_string);
    let mut lines: Vec<String> = top.collect();
    for block in &blocks {
        lines.extend(block.above.iter().map(ToString::to_string));
        lines.extend(block.lines());
    }
    lines.extend(above.iter().map(ToString::to_string));
    lines.into_iter().flat_map(|line| [line, newline.to_owned()]).collect()
}

impl Block<'_> {
    fn lines(&self) -> Vec<String> {
        let Annotation { key, lines, .. } = self.annotation;
        let mut all = vec![format!("-- @{key}: {}", lines[0].0).trim_end().to_owned()];
        let indent = |line: &str| line.len() - line.trim_start().len();
        let least = self.more.iter().filter(|line| !line.trim().is_empty()).map(|line| indent(line)).min().unwrap_or(0);
        all.extend(self.more.iter().map(|line| {
            // What is indented further, such as a list in a list, stays so.
            let deeper = indent(line).saturating_sub(least);
            format!("--{}{}", " ".repeat(INDENT + deeper), line.trim())
        }));
        all
    }
}
