//! Names of terminals from their device numbers.

/// The name under `/dev` of a controlling terminal, as far as its number alone gives it; `char-MAJOR:MINOR` for
/// drivers that number freely; nothing for 0, which is no terminal.
pub fn name(device: u32) -> Option<String> {
    // The kernel keeps the low 8 bits of the minor number below the major's 12, the rest above.
    let major = (device >> 8) & 0xfff;
    let minor = (device & 0xff) | ((device >> 12) & 0xf_ff00);
    Some(match (major, minor) {
        (0, 0) => return None,
        (4, 0..64) => format!("tty{minor}"),
        (4, _) => format!("ttyS{}", minor - 64),
        (5, 0) => "tty".to_owned(),
        (5, 1) => "console".to_owned(),
        // Eight majors of 256 in old numbering; new kernels use the first alone with larger minors.
        (136..=143, _) => format!("pts/{}", minor + (major - 136) * 256),
        (166, _) => format!("ttyACM{minor}"),
        (188, _) => format!("ttyUSB{minor}"),
        (204, 64..) => format!("ttyAMA{}", minor - 64),
        (229, _) => format!("hvc{minor}"),
        _ => format!("char-{major}:{minor}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_common_ones() {
        for (device, expected) in [
            (0, None),
            (1025, Some("tty1")),
            (1088, Some("ttyS0")),
            (34816, Some("pts/0")),
            (34819, Some("pts/3")),
            (0x0010_8805, Some("pts/261")),
            (1281, Some("console")),
            (58624, Some("hvc0")),
            (0x0000_fd07, Some("char-253:7")),
        ] {
            assert_eq!(name(device).as_deref(), expected, "{device}");
        }
    }

    proptest! {
        #[test]
        fn every_number_has_an_answer(device in any::<u32>()) {
            prop_assert_eq!(name(device).is_none(), device == 0);
        }
    }
}
