//! Reading what a segment's writer wrote: every step may find that nothing is left.

/// Why bytes are not what they should be, in words.
pub(crate) type Wrong = &'static str;

const SHORT: Wrong = "it ends too early";

/// Bytes that are read from their beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Wrong> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        Ok(*self.take(N)?.first_chunk().expect("that many were taken"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Wrong> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Wrong> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Wrong> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Wrong> {
        self.array().map(i64::from_le_bytes)
    }

    /// A number in groups of seven bits, the least significant first.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Wrong> {
        let mut value = 0;
        for (at, byte) in self.0.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                self.0 = &self.0[at + 1..];
                return Ok(value);
            }
        }
        Err(SHORT)
    }
}

/// Appends what [`Bytes::varint`] reads.
#[inline]
pub(crate) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_come_back(values: Vec<u64>) {
            let mut bytes = Vec::new();
            for value in &values {
                put_varint(*value, &mut bytes);
            }
            let mut rest = Bytes(&bytes);
            for value in values {
                prop_assert_eq!(rest.varint(), Ok(value));
            }
            prop_assert!(rest.varint().is_err());
        }
    }
}
