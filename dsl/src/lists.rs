//! `list('name')`: values that stand in a file beside the rules, one a line.
//!
//! The order and the number of times do not count: a list is a set, and equal sets are one list to a rule's revision.
//! What is wrong with a file is said where a rule asks for it, as well as by whoever reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostic::nearest;
use crate::limits::{LIST_LEN_MAX, LIST_VALUES_MAX, LISTS_MAX};
use crate::tables::{Column, Kind, Table};
use crate::types::Type;

/// The table function's name.
pub const NAME: &str = "list";
/// Its one column.
pub const COLUMN: &str = "value";

/// What a query sees of one.
pub fn table() -> Table {
    Table {
        name: NAME.into(),
        doc: "The values in the file `lists/NAME.txt` beside the rules, one a line, each once.".into(),
        kind: Kind::State,
        columns: vec![Column::new(COLUMN, Type::Text, false, "The line, without the spaces around it.")],
    }
}

/// One list.
#[derive(Debug, PartialEq, Eq)]
pub struct List {
    /// Its name: the stem of its file's.
    pub name: String,
    /// Its values, each once, in order.
    pub values: Vec<String>,
}

impl List {
    /// Reads the text of a list file: one value a line without the spaces around it; lines that are blank or begin with
    /// `#` are none.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        if text.len() > LIST_LEN_MAX {
            return Err(format!("more than the {LIST_LEN_MAX} bytes that a list may have; split it"));
        }
        let lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().map(str::trim);
        let mut values: Vec<_> = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        if values.len() > LIST_VALUES_MAX {
            let message = format!("{} values, of which a list may have {LIST_VALUES_MAX}; split it", values.len());
            return Err(message);
        }
        values.sort_unstable();
        values.dedup();
        Ok(Self { name: name.to_owned(), values: values.into_iter().map(str::to_owned).collect() })
    }
}

/// The lists that rules can ask for, by name. One that cannot be used is kept with the reason.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    known: BTreeMap<String, Result<Arc<List>, String>>,
}

/// Why a list cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoList<'a> {
    /// There is none of that name; one with a name like it.
    Unknown(Option<&'a str>),
    /// Its file cannot be used.
    Unusable(&'a str),
}

impl Lists {
    /// Adds what a file gave. Two files of one name are none: which was meant cannot be told. False if there are too many.
    pub fn add(&mut self, name: &str, list: Result<List, String>) -> bool {
        if self.known.contains_key(name) {
            let message = "there are two files of that name; rename one".to_owned();
            self.known.insert(name.to_owned(), Err(message));
        } else if self.known.len() < LISTS_MAX {
            self.known.insert(name.to_owned(), list.map(Arc::new));
        } else {
            return false;
        }
        true
    }

    /// The list of that name.
    pub fn get(&self, name: &str) -> Result<&Arc<List>, NoList<'_>> {
        match self.known.get(name) {
            Some(Ok(list)) => Ok(list),
            Some(Err(why)) => Err(NoList::Unusable(why)),
            None => Err(NoList::Unknown(nearest(name, self.names()))),
        }
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_a_set_of_lines() {
        let list = List::parse("x", "\u{feff}# servers\nnginx\r\n\n  httpd \nnginx\n#x").unwrap();
        assert_eq!(list.values, ["httpd", "nginx"]);
        assert_eq!(List::parse("x", "httpd\nnginx").unwrap(), list);
        assert!(List::parse("x", "").unwrap().values.is_empty());
    }

    #[test]
    fn lists_are_bounded() {
        assert!(List::parse("x", &"a\n".repeat(LIST_VALUES_MAX)).is_ok());
        assert!(List::parse("x", &"a\n".repeat(LIST_VALUES_MAX + 1)).unwrap_err().contains("values"));
        assert!(List::parse("x", &"a".repeat(LIST_LEN_MAX + 1)).unwrap_err().contains("bytes"));
        let mut lists = Lists::default();
        assert!((0..LISTS_MAX).all(|number| lists.add(&number.to_string(), List::parse("x", ""))));
        assert!(!lists.add("one more", List::parse("x", "")));
    }

    #[test]
    fn two_of_one_name_are_none() {
        let mut lists = Lists::default();
        lists.add("web", List::parse("web", "a"));
        assert_eq!(lists.get("wbe"), Err(NoList::Unknown(Some("web"))));
        lists.add("web", List::parse("web", "b"));
        assert!(matches!(lists.get("web"), Err(NoList::Unusable(_))));
    }
}
