//! How rare bytes are in what processes are called and called with. A guess that only time depends on.

/// About how many bits it says that this byte, or the letter in the other case, is there: the rarer, the more.
pub fn rarity(byte: u8) -> u32 {
    u32::from(BITS[usize::from(byte)])
}

/// Every byte of every literal of every rule is asked about.
static BITS: [u8; 256] = {
    let mut bits = [0; 256];
    let mut byte = 0_u8;
    loop {
        bits[byte as usize] = bits_of(byte);
        if byte == u8::MAX {
            break bits;
        }
        byte += 1;
    }
};

const fn bits_of(byte: u8) -> u8 {
    match byte.to_ascii_lowercase() {
        b'a' | b'e' | b'i' | b'n' | b'o' | b'r' | b's' | b't' | b' ' | b'/' | b'-' | b'.' => 4,
        b'b'..=b'd' | b'f' | b'g' | b'h' | b'l' | b'm' | b'p' | b'u' | b'v' | b'w' | b'\\' => 5,
        b'k' | b'x' | b'y' | b'0'..=b'9' => 6,
        b'j' | b'q' | b'z' | b':' | b'=' | b'_' => 8,
        b'"' | b',' | b'\'' | b'(' | b')' | b'@' | b'?' | b'+' | b'&' | b'%' => 9,
        b'!'..=b'~' => 11,
        _ => 13,
    }
}
