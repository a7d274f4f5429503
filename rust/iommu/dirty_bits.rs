// SPDX-License-Identifier: GPL-2.0

//! The arithmetic of dirty bitmaps: which bit stands for an IOVA, and where it is in memory.
//!
//! A bitmap has a bit for each page of a range of IOVA. Bit 0 is the lowest bit of its first byte,
//! which may have any address. User space chooses all of the numbers, so no calculation here may
//! overflow. Pure: this file calls no kernel function and is also compiled for the host.

use super::{table::Word, PAGE_SIZE};

/// The number of bits in a page of memory.
const PAGE_BITS: u64 = PAGE_SIZE as u64 * 8;

/// A bitmap in the memory of a process, and the range of IOVA that it describes.
#[derive(Clone, Copy, Debug)]
pub struct Bitmap {
    first: u64,
    /// Inclusive.
    last: u64,
    /// Log2 of the number of bytes that a bit stands for.
    shift: u32,
    /// User address of the first byte.
    address: usize,
}

impl Bitmap {
    /// Creates the description of a bitmap at the user address `address`, for `length` bytes from
    /// `iova` on. A bit stands for as many bytes as the lowest bit of `page_size` says.
    ///
    /// Returns `None` if there is no such bit, or if the range is empty or exceeds 64 bits.
    pub fn new(iova: u64, length: u64, page_size: u64, address: usize) -> Option<Self> {
        let last = iova.checked_add(length.checked_sub(1)?)?;

        (page_size != 0).then(|| Self {
            first: iova,
            last,
            shift: page_size.trailing_zeros(),
            address,
        })
    }

    /// Returns the first IOVA of the range.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Returns the last IOVA of the range.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Returns the number of bytes that a bit stands for.
    pub fn page_size(&self) -> u64 {
        1 << self.shift
    }

    /// Returns the user address of the first byte.
    pub fn address(&self) -> usize {
        self.address
    }

    /// Returns the part of the range from `first` to `last`, both inclusive, that the bitmap
    /// describes.
    #[inline]
    pub(super) fn clip(&self, first: u64, last: u64) -> Option<(u64, u64)> {
        let (first, last) = (first.max(self.first), last.min(self.last));

        (first <= last).then_some((first, last))
    }

    /// Returns the number of the bit for an IOVA of the range.
    #[inline]
    pub(super) fn bit(&self, iova: u64) -> u64 {
        iova.saturating_sub(self.first) >> self.shift
    }

    /// Returns the pages of memory that have the bit for `iova`, an IOVA of the range, and those
    /// behind it: at most `most`. Returns `None` if the address of the bit would exceed the address
    /// space.
    pub(super) fn pages_from(&self, iova: u64, most: usize) -> Option<Pages> {
        let first_bit = self.bit(iova) & !7;
        let byte = self
            .address
            .checked_add(usize::try_from(first_bit / 8).ok()?)?;
        let last = usize::try_from(self.bit(self.last) / 8)
            .ok()
            .and_then(|bytes| self.address.checked_add(bytes))
            .unwrap_or(usize::MAX);
        let skipped = byte % PAGE_SIZE;
        let address = byte - skipped;

        Some(Pages {
            address,
            count: ((last - address) / PAGE_SIZE).saturating_add(1).min(most),
            first_bit,
            skipped: skipped as u64 * 8,
        })
    }
}

/// Adjacent pages of memory that a bitmap lies in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pages {
    /// User address of the first page.
    pub(super) address: usize,
    /// Their number.
    pub(super) count: usize,
    /// The number of the first bit of the bitmap that is used here.
    first_bit: u64,
    /// The number of bits in front of it in its page.
    skipped: u64,
}

impl Pages {
    /// Returns the same pages, except those behind the first `count`, of which there is one.
    pub(super) fn shortened(self, count: usize) -> Self {
        Self {
            count: self.count.min(count),
            ..self
        }
    }

    /// Returns the number of the last bit in the pages; it may be behind the bitmap.
    #[inline]
    pub(super) fn last_bit(&self) -> u64 {
        let bits = (self.count as u64).saturating_mul(PAGE_BITS) - self.skipped;

        self.first_bit.saturating_add(bits - 1)
    }

    /// Returns whether the pages have all bits from `first` to `last`, both inclusive.
    #[inline]
    pub(super) fn have(&self, first: u64, last: u64) -> bool {
        first >= self.first_bit && last <= self.last_bit()
    }

    /// Returns the last IOVA whose bit is in the pages, which `bitmap` lies in.
    pub(super) fn last_iova(&self, bitmap: &Bitmap) -> u64 {
        let last = self.last_bit();

        if last >= bitmap.bit(bitmap.last) {
            return bitmap.last;
        }
        // The next bit is one of the bitmap, so its IOVA does not exceed the range.
        bitmap.first + ((last + 1) << bitmap.shift) - 1
    }

    /// Returns the parts of the bits from `first` to `last`, both inclusive, which the pages have:
    /// the index of a page, the first bit in that page, and the number of bits.
    pub(super) fn parts(&self, first: u64, last: u64) -> impl Iterator<Item = (usize, u64, u64)> {
        let mut at = first - self.first_bit + self.skipped;
        let end = at + (last - first) + 1;

        core::iter::from_fn(move || {
            if at == end {
                return None;
            }
            let (page, bit) = (at / PAGE_BITS, at % PAGE_BITS);
            let count = (PAGE_BITS - bit).min(end - at);

            at += count;
            Some((page as usize, bit, count))
        })
    }
}

/// Sets `count` bits of `words` from bit `first` on, which `words` has. Other processors may set
/// bits of the same words at the same time.
pub(super) fn set_bits(words: &[Word], first: u64, count: u64) {
    let mut at = first;
    let end = first + count;

    while at < end {
        let Some(word) = words.get((at / 64) as usize) else {
            return;
        };
        let bit = at % 64;
        let here = (64 - bit).min(end - at);
        // A bitmap is a sequence of bytes, so its words are little-endian.
        let mask = ((u64::MAX >> (64 - here)) << bit).to_le();

        set_mask(word, mask);
        at += here;
    }
}

fn set_mask(word: &Word, mask: u64) {
    if mask == u64::MAX {
        return word.store(mask);
    }
    let mut old = word.load();

    while old & mask != mask {
        match word.compare_exchange(old, old | mask) {
            Ok(()) => return,
            Err(now) => old = now,
        }
    }
}

#[cfg(test)]
#[path = "tests/dirty_bits.rs"]
mod tests;
