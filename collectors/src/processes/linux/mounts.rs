//! `/proc/self/mountinfo`: whether `/proc` hides the processes of others.

/// Whether the mount at `/proc` has a `hidepid` that hides anything.
pub fn hides_processes(text: &[u8]) -> bool {
    // Of several mounts at one place the last is the one that is seen.
    let mut lines = text.split(|byte| *byte == b'\n').rev();
    lines.find_map(hides).unwrap_or(false)
}

/// `ID PARENT MAJ:MIN ROOT /proc OPTIONS … - TYPE SOURCE SUPER_OPTIONS`; nothing for other mounts.
fn hides(line: &[u8]) -> Option<bool> {
    let mut fields = line.split(|byte| *byte == b' ');
    if fields.nth(4)? != b"/proc" {
        return None;
    }
    let mut after = fields.skip_while(|field| *field != b"-");
    let options = after.nth(3)?;
    Some(options.split(|byte| *byte == b',').any(|option| match option.strip_prefix(b"hidepid=") {
        Some(mode) => !matches!(mode, b"0" | b"off"),
        None => false,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_options_of_proc_count() {
        let line = |options: &str| format!("22 27 0:21 / /proc rw,nosuid,relatime shared:12 - proc proc {options}\n");
        for (options, expected) in [
            ("rw", false),
            ("rw,hidepid=2", true),
            ("rw,gid=4,hidepid=invisible", true),
            ("rw,hidepid=ptraceable", true),
            ("rw,hidepid=off", false),
            ("rw,hidepid=0", false),
        ] {
            assert_eq!(hides_processes(line(options).as_bytes()), expected, "{options}");
        }
        let elsewhere = "30 27 0:22 / /chroot/proc rw - proc proc rw,hidepid=2\n".to_owned();
        assert!(!hides_processes((elsewhere + &line("rw")).as_bytes()));
        assert!(hides_processes((line("rw") + &line("rw,hidepid=1")).as_bytes()));
        assert!(!hides_processes(b""));
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(bytes in any::<Vec<u8>>()) {
            let _either = hides_processes(&bytes);
        }
    }
}
