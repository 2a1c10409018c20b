//! Numbers of any width, one behind the other, least significant bit first.

/// Bytes behind the last number, so that every read is of whole words.
const PADDING: usize = 16;

/// Bits of the widest numbers that lie within eight bytes, wherever they begin.
const NARROW: u8 = 57;

/// How many bits a number needs.
pub(super) fn width(greatest: u64) -> u8 {
    u8::try_from(u64::BITS - greatest.leading_zeros()).expect("at most 64")
}

/// How many bytes so many numbers take.
pub(super) fn len(count: usize, width: u8) -> usize {
    (count * usize::from(width)).div_ceil(8) + PADDING
}

/// Appends numbers of which none needs more than `width` bits.
pub(super) fn pack(numbers: impl ExactSizeIterator<Item = u64>, width: u8, out: &mut Vec<u8>) {
    let end = out.len() + len(numbers.len(), width);
    let (mut held, mut bits) = (0_u128, 0_u32);
    for number in numbers {
        held |= u128::from(number) << bits;
        bits += u32::from(width);
        while bits >= 8 {
            out.push(held.to_le_bytes()[0]);
            held >>= 8;
            bits -= 8;
        }
    }
    out.push(held.to_le_bytes()[0]);
    out.resize(end, 0);
}

/// Numbers that [`pack`] wrote.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<'a> {
    bytes: &'a [u8],
    width: u8,
}

impl<'a> Packed<'a> {
    /// Nothing if the bytes are too few.
    pub(super) fn new(bytes: &'a [u8], count: usize, width: u8) -> Option<Self> {
        (width <= 64 && bytes.len() >= len(count, width)).then_some(Self { bytes, width })
    }

    /// The number at a place within the count.
    #[inline]
    pub(super) fn get(&self, at: usize) -> u64 {
        if self.width > NARROW {
            return self.wide(at);
        }
        let bit = at * usize::from(self.width);
        let word = *self.bytes[bit / 8..].first_chunk().expect("padded");
        (u64::from_le_bytes(word) >> (bit % 8)) & ((1 << self.width) - 1)
    }

    fn wide(&self, at: usize) -> u64 {
        let bit = at * usize::from(self.width);
        let word = *self.bytes[bit / 8..].first_chunk().expect("padded");
        let number = (u128::from_le_bytes(word) >> (bit % 8)) & (u128::MAX >> (u128::BITS - u32::from(self.width)));
        u64::try_from(number).expect("masked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_back(numbers: Vec<u64>, shift in 0_u32..64) {
            let numbers: Vec<u64> = numbers.into_iter().map(|number| number >> shift).collect();
            let width = width(numbers.iter().copied().max().unwrap_or(0));
            let mut bytes = Vec::new();
            pack(numbers.iter().copied(), width, &mut bytes);
            prop_assert_eq!(bytes.len(), len(numbers.len(), width));
            let packed = Packed::new(&bytes, numbers.len(), width).unwrap();
            let back: Vec<u64> = (0..numbers.len()).map(|at| packed.get(at)).collect();
            prop_assert_eq!(back, numbers);
        }
    }
}
