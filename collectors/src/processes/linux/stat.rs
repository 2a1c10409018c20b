//! `/proc/PID/stat`: one line, `pid (name) state ppid …`.
//!
//! The name is whatever the process chose, parentheses, spaces and newlines included; no field after it can hold a
//! parenthesis, so the last `)` ends it.

/// The kernel's mark of its own threads, in `flags`.
const PF_KTHREAD: u32 = 0x0020_0000;

/// What we take from the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// One letter.
    pub state: u8,
    /// Zero for the first process, and for one whose parent is outside the PID namespace.
    pub ppid: i64,
    /// The pid of the session's leader; zero for kernel threads.
    pub session: i64,
    /// The controlling terminal's device number, zero for none.
    pub tty: u32,
    /// Whether this is a thread of the kernel.
    pub kernel_thread: bool,
    /// Processor time in user and kernel mode, in ticks.
    pub cpu_ticks: u64,
    /// Number of threads.
    pub threads: i64,
    /// Ticks since boot.
    pub start_ticks: u64,
    /// Resident pages.
    pub resident_pages: i64,
}

/// Reads the line as the short name (at most 15 bytes for a program, 63 for a kernel thread) and the rest; nothing
/// where it is not such a line.
pub fn parse(line: &[u8]) -> Option<(&[u8], Stat)> {
    let open = line.iter().position(|byte| *byte == b'(')?;
    let close = line.iter().rposition(|byte| *byte == b')')?;
    let name = line.get(open + 1..close)?;
    let mut fields = Fields(str::from_utf8(&line[close + 1..]).ok()?.split_ascii_whitespace());
    // Numbered as in proc(5), where the pid is 1 and the name 2.
    let state = *fields.text(3, 3)?.as_bytes().first()?;
    let ppid = fields.number(4, 4)?;
    let session = fields.number(5, 6)?;
    // Printed as a signed number though it is a bit pattern.
    let tty: i64 = fields.number(7, 7)?;
    let flags: u32 = fields.number(8, 9)?;
    let user_ticks: u64 = fields.number(10, 14)?;
    let kernel_ticks = fields.number(15, 15)?;
    let threads = fields.number(16, 20)?;
    let start_ticks = fields.number(21, 22)?;
    let resident_pages = fields.number(23, 24)?;
    let tty = u32::try_from(tty & 0xffff_ffff).ok()?;
    let kernel_thread = flags & PF_KTHREAD != 0;
    let cpu_ticks = user_ticks.saturating_add(kernel_ticks);
    Some((name, Stat { state, ppid, session, tty, kernel_thread, cpu_ticks, threads, start_ticks, resident_pages }))
}

struct Fields<'a>(std::str::SplitAsciiWhitespace<'a>);

impl<'a> Fields<'a> {
    /// Field `wanted`, where `next` is the number of the field that comes next.
    fn text(&mut self, next: usize, wanted: usize) -> Option<&'a str> {
        self.0.nth(wanted - next)
    }

    fn number<T: std::str::FromStr>(&mut self, next: usize, wanted: usize) -> Option<T> {
        self.text(next, wanted)?.parse().ok()
    }
}

/// The word for a state letter; nothing for letters of kernels we do not know.
pub fn status(state: u8) -> Option<&'static str> {
    Some(match state {
        b'R' => "running",
        b'S' => "sleeping",
        b'D' => "disk-sleep",
        b'T' => "stopped",
        b't' => "tracing",
        b'Z' => "zombie",
        b'X' | b'x' => "dead",
        b'I' => "idle",
        _ => return None,
    })
}

impl Stat {
    /// Whether the first thread has ended: the process waits for its parent, or lives on in other threads.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHELL: &str = "4711 (bash) S 4700 4711 4711 34817 4711 4194304 3261 58321 1 120 17 5 96 45 20 0 1 0 139207 \
        7831552 1294 18446744073709551615 1 1 0 0 0 0 65536 3670020 1266777851 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

    fn renamed(name: &[u8]) -> Vec<u8> {
        let (before, after) = SHELL.split_once("bash").unwrap();
        [before.as_bytes(), name, after.as_bytes()].concat()
    }

    #[test]
    fn a_shell() {
        let expected = Stat {
            state: b'S',
            ppid: 4700,
            session: 4711,
            tty: 34817,
            kernel_thread: false,
            cpu_ticks: 22,
            threads: 1,
            start_ticks: 139_207,
            resident_pages: 1294,
        };
        assert_eq!(parse(SHELL.as_bytes()), Some((&b"bash"[..], expected)));
    }

    #[test]
    fn a_name_may_hold_anything() {
        for name in [&b"a) R (b"[..], b"two\nlines", b"x) S 1 1 1", b"", b" ", b")", b"(", b"\xff\x1b[2J"] {
            let line = renamed(name);
            let (read, stat) = parse(&line).unwrap();
            assert_eq!((read, stat.ppid, stat.start_ticks), (name, 4700, 139_207));
        }
    }

    #[test]
    fn a_kernel_thread() {
        let line =
            b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 3 0 0 20 0 1 0 4 0 0 18446744073709551615 0 0 0 0 0 0 \
            0 2147483647 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
        let (_, stat) = parse(line).unwrap();
        assert!(stat.kernel_thread);
        assert_eq!((stat.ppid, stat.session, stat.tty, stat.start_ticks), (0, 0, 0, 4));
    }

    #[test]
    fn a_zombie_has_zero_memory_and_minus_ones() {
        let line = b"900 (sh <defunct>) Z 1 -1 -1 0 -1 4228108 0 0 0 0 0 0 0 0 20 0 1 0 77 0 0 0 0\n";
        let (_, stat) = parse(line).unwrap();
        assert!(stat.has_ended());
        assert_eq!((stat.session, stat.resident_pages, stat.start_ticks), (-1, 0, 77));
    }

    #[test]
    fn a_negative_terminal_is_a_bit_pattern() {
        let line = SHELL.replace(" 34817 ", " -2147449599 ");
        assert_eq!(parse(line.as_bytes()).unwrap().1.tty, 0x8000_8501);
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let end = SHELL.find(" 1294").unwrap();
        for len in 0..=end {
            assert_eq!(parse(&SHELL.as_bytes()[..len]), None, "{len}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>(), name in any::<Vec<u8>>()) {
            let _either = parse(&bytes);
            let line = renamed(&name);
            prop_assert_eq!(parse(&line).unwrap().0, &name[..]);
        }
    }
}
