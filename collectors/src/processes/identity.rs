//! `proc_id`: the name of a process for its whole life.
//!
//! Pids are reused and start times in seconds collide when they are, so a process is (boot, pid, raw start ticks). The
//! id is the first 8 bytes, as 16 lower-case hex digits, of BLAKE3 over these 48 bytes:
//!
//! ```text
//!  0..16  "daemoneye.proc.1"    keeps these hashes apart from every other use
//! 16..32  boot id               the 16 bytes of the system's boot UUID; zeros where there is none
//! 32..40  pid                   u64 little-endian
//! 40..48  start                 u64 little-endian: ticks since boot; seconds since 1970 where there is no boot id
//! ```
//!
//! The layout is part of what is stored: changing it makes every process a new one.

use daemoneye_dsl::types::hex;

const DOMAIN: [u8; 16] = *b"daemoneye.proc.1";

/// Which run of the system a process belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootId([u8; 16]);

impl BootId {
    /// For systems that have none; start times are then absolute.
    pub const ABSENT: Self = Self([0; 16]);

    /// Reads a UUID with or without hyphens, as in `/proc/sys/kernel/random/boot_id`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut id = [0; 16];
        let mut digits = text.trim_ascii().iter().filter(|byte| **byte != b'-');
        for byte in &mut id {
            let mut digit = || char::from(*digits.next()?).to_digit(16);
            *byte = u8::try_from(digit()? << 4 | digit()?).ok()?;
        }
        digits.next().is_none().then_some(Self(id))
    }

    /// The `proc_id` of a process of this boot.
    pub fn proc_id(self, pid: u64, start: u64) -> String {
        let mut key = [0; 48];
        key[..16].copy_from_slice(&DOMAIN);
        key[16..32].copy_from_slice(&self.0);
        key[32..40].copy_from_slice(&pid.to_le_bytes());
        key[40..].copy_from_slice(&start.to_le_bytes());
        hex(&blake3::hash(&key).as_bytes()[..8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_layout_is_frozen() {
        let boot = BootId::parse(b"7bafe3e4-71a4-41f9-a21e-42afadd05dda\n").unwrap();
        assert_eq!(boot.proc_id(1, 0), "f2855054fa057bc1");
        assert_eq!(BootId::ABSENT.proc_id(4_194_303, 139_207), "8d52ed6f7a05b0a3");
    }

    #[test]
    fn each_part_counts() {
        let boot = BootId([1; 16]);
        assert_ne!(boot.proc_id(1, 2), boot.proc_id(2, 1));
        assert_ne!(boot.proc_id(1, 2), BootId::ABSENT.proc_id(1, 2));
        assert_ne!(boot.proc_id(1, 2), boot.proc_id(1, 3));
    }

    #[test]
    fn what_is_not_a_uuid_is_refused() {
        for text in ["", "7bafe3e4", "7bafe3e4-71a4-41f9-a21e-42afadd05ddaa", "zbafe3e4-71a4-41f9-a21e-42afadd05dda"] {
            assert_eq!(BootId::parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
            let _either = BootId::parse(&bytes);
        }
    }
}
