//! JSON text of byte strings, written straight into one buffer.

use crate::text::text;

/// A JSON array of these strings.
pub(super) fn array<'a>(items: impl Iterator<Item = &'a [u8]>) -> String {
    let mut out = vec![b'['];
    for item in items {
        separate(&mut out);
        string(item, &mut out);
    }
    out.push(b']');
    finish(out)
}

/// A JSON object of these entries in their order, repeats included.
pub(super) fn object<'a>(entries: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>) -> String {
    let mut out = vec![b'{'];
    for (name, value) in entries {
        separate(&mut out);
        string(name, &mut out);
        out.push(b':');
        match value {
            Some(value) => string(value, &mut out),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
    finish(out)
}

fn separate(out: &mut Vec<u8>) {
    if out.len() > 1 {
        out.push(b',');
    }
}

fn string(bytes: &[u8], out: &mut Vec<u8>) {
    serde_json::to_writer(out, text(bytes).as_ref()).expect("a Vec takes every write");
}

fn finish(out: Vec<u8>) -> String {
    String::from_utf8(out).expect("JSON of text is text")
}
