//! `/proc/PID/status`: `Key:\tvalues` lines. Taken only for the real user and group, which `stat` does not have.

/// The real user and group.
pub fn parse(text: &[u8]) -> Option<(u32, u32)> {
    // The name comes first and cannot fake a line: the kernel escapes newlines in this file.
    let mut lines = text.split(|byte| *byte == b'\n');
    let user = lines.find_map(|line| first_number(line.strip_prefix(b"Uid:")?))?;
    let group = lines.find_map(|line| first_number(line.strip_prefix(b"Gid:")?))?;
    Some((user, group))
}

fn first_number(values: &[u8]) -> Option<u32> {
    str::from_utf8(values).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_of_each_line_is_the_real_one() {
        let text = b"Name:\tbash\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t4711\nPPid:\t4700\nTracerPid:\t0\n\
            Uid:\t1000\t0\t0\t0\nGid:\t1001\t5\t5\t5\nFDSize:\t256\n";
        assert_eq!(parse(text), Some((1000, 1001)));
        assert_eq!(parse(b"Name:\tUid:\\n0\nUid:\t4294967295\t0\t0\t0\nGid:\t7\n"), Some((u32::MAX, 7)));
        assert_eq!(parse(b"Name:\tbash\nUid:\t1000\n"), None);
        assert_eq!(parse(b"Uid:\tx\nGid:\t1\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
            let _either = parse(&bytes);
        }
    }
}
