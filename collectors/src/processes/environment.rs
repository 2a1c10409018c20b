//! The environment of a process: `NAME=value` entries, each ended by a NUL, as in `/proc/PID/environ`.

use super::json;

/// Bytes of environment that are kept of one process.
pub const ENVIRONMENT_LEN_MAX: usize = 64 << 10;

/// The entries as a JSON object in their order. A name that comes twice is there twice (programs take the first); an
/// entry without `=`, which only a process that overwrote its memory has, gets the value null.
pub fn parse(area: &[u8]) -> String {
    let entries = area.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
    json::object(entries.map(|entry| {
        // A leading `=` belongs to the name, as in the hidden variables of ported programs.
        match entry.iter().skip(1).position(|byte| *byte == b'=') {
            Some(at) => (&entry[..=at], Some(&entry[at + 2..])),
            None => (entry, None),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entries_become_an_object() {
        assert_eq!(parse(b"A=1\0B=x=y\0EMPTY=\0"), r#"{"A":"1","B":"x=y","EMPTY":""}"#);
        assert_eq!(parse(b""), "{}");
        assert_eq!(parse(b"A=1\0A=2\0"), r#"{"A":"1","A":"2"}"#);
        assert_eq!(parse(b"a title\0\0\0=C:=c\0="), r#"{"a title":null,"=C:":"c","=":null}"#);
        assert_eq!(parse(b"N\xff=\x1b"), "{\"N\\\\xff\":\"\\u001b\"}");
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_object(bytes in any::<Vec<u8>>()) {
            let parsed: serde_json::Value = serde_json::from_str(&parse(&bytes)).unwrap();
            prop_assert!(parsed.is_object());
        }
    }
}
