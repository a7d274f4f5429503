// SPDX-License-Identifier: GPL-2.0

//! Tests of dirty bitmaps: each bit against a calculation of its own, in 128 bits.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// The memory of a process, page by page, as far as bits were set in it.
#[derive(Default)]
struct Memory(BTreeMap<usize, Vec<Word>>);

impl Memory {
    fn page(&mut self, address: usize) -> &[Word] {
        assert_eq!(address % PAGE_SIZE, 0);
        self.0
            .entry(address)
            .or_insert_with(|| (0..PAGE_SIZE / 8).map(|_| Word::new(0)).collect())
    }

    /// Returns the address of each bit that is set: that of its byte, times eight.
    fn bits(&self) -> BTreeSet<u128> {
        let mut bits = BTreeSet::new();

        for (page, words) in &self.0 {
            for (index, word) in words.iter().enumerate() {
                for (byte, value) in word.load().to_ne_bytes().into_iter().enumerate() {
                    let at = (page + index * 8 + byte) as u128 * 8;

                    bits.extend(
                        (0..8)
                            .filter(|bit| value >> bit & 1 != 0)
                            .map(|bit| at + bit),
                    );
                }
            }
        }
        bits
    }
}

/// Sets the bits for a range, through windows of at most `most` pages, of which each time only
/// `pinned` can be used.
fn record(bitmap: &Bitmap, memory: &mut Memory, first: u64, last: u64, most: usize, pinned: usize) {
    let Some((mut next, last)) = bitmap.clip(first, last) else {
        return;
    };

    loop {
        let pages = bitmap.pages_from(next, most).unwrap();
        assert!((1..=most).contains(&pages.count));
        let pages = pages.shortened(pinned);
        let end = pages.last_iova(bitmap).min(last);

        assert!(end >= next);
        let (low, high) = (bitmap.bit(next), bitmap.bit(end));
        assert!(pages.have(low, high));
        for (page, bit, count) in pages.parts(low, high) {
            assert!(page < pages.count);
            set_bits(memory.page(pages.address + page * PAGE_SIZE), bit, count);
        }
        if end == last {
            return;
        }
        next = end + 1;
    }
}

/// Bitmaps of any shape whose bits in use can be counted.
fn bitmaps() -> impl Strategy<Value = (Bitmap, u64)> {
    (0..64u32, any::<u64>(), 1..200_000u64, 0..3 * PAGE_SIZE).prop_filter_map(
        "a range that exceeds 64 bits",
        |(shift, iova, pages, address)| {
            let size = 1u64 << shift;
            let iova = iova / size * size;
            let most = (u64::MAX - iova) / size + u64::from(iova & (size - 1) == 0);
            let length = pages.min(most.max(1)).checked_mul(size)?;

            Bitmap::new(iova, length, size, 0x7000_0000 + address).map(|bitmap| (bitmap, size))
        },
    )
}

proptest! {
    #[test]
    fn bits_are_where_the_definition_says(
        (bitmap, size) in bitmaps(),
        ranges in proptest::collection::vec((any::<u64>(), 1..1u64 << 40), 1..6),
        most in 1..5usize,
        pinned in 1..5usize,
    ) {
        let mut memory = Memory::default();
        let mut expected = BTreeSet::new();
        let span = bitmap.last() - bitmap.first();

        for (at, length) in ranges {
            let first = bitmap.first() + if span == u64::MAX { at } else { at % (span + 1) };
            let last = first.saturating_add(length.min(size.saturating_mul(300)));

            record(&bitmap, &mut memory, first, last, most, pinned);
            let from = (first - bitmap.first()) as u128 / size as u128;
            let to = (last.min(bitmap.last()) - bitmap.first()) as u128 / size as u128;
            expected.extend((from..=to).map(|bit| bitmap.address() as u128 * 8 + bit));
        }
        prop_assert_eq!(memory.bits(), expected);
    }

    #[test]
    fn set_bits_keeps_others(before in any::<[u64; 4]>(), first in 0..256u64, count in 0..256u64) {
        let count = count.min(256 - first);
        let words: Vec<Word> = before.into_iter().map(Word::new).collect();

        set_bits(&words, first, count);
        for bit in 0..256u64 {
            let (word, mask) = ((bit / 64) as usize, (1u64 << (bit % 64)).to_le());
            let inside = (first..first + count).contains(&bit);

            prop_assert_eq!(words[word].load() & mask != 0, before[word] & mask != 0 || inside);
        }
    }

    #[test]
    fn no_number_is_too_large(
        iova in any::<u64>(), length in any::<u64>(), size in any::<u64>(),
        address in any::<usize>(), at in any::<u64>(),
    ) {
        if let Some(bitmap) = Bitmap::new(iova, length, size, address) {
            let at = at.clamp(bitmap.first(), bitmap.last());

            if let Some(pages) = bitmap.pages_from(at, 32) {
                prop_assert!(pages.last_iova(&bitmap) >= at);
                prop_assert!((1..=32).contains(&pages.count));
            }
        }
    }
}

#[test]
fn page_sizes_at_the_limit() {
    let half = 1 << 63;

    for iova in [0, half] {
        let bitmap = Bitmap::new(iova, half, half, 0x1003).unwrap();
        let pages = bitmap.pages_from(iova, 32).unwrap();

        assert_eq!((bitmap.first(), bitmap.last()), (iova, iova + (half - 1)));
        assert_eq!(bitmap.bit(bitmap.last()), 0);
        assert_eq!((pages.address, pages.count), (0x1000, 1));
        assert_eq!(pages.last_iova(&bitmap), bitmap.last());
        assert_eq!(pages.parts(0, 0).collect::<Vec<_>>(), [(0, 24, 1)]);
    }
    // The lowest bit of the size counts.
    assert_eq!(Bitmap::new(0, 64, 24, 0).unwrap().page_size(), 8);
    assert!(Bitmap::new(0, 0, 4096, 0).is_none());
    assert!(Bitmap::new(0, 4096, 0, 0).is_none());
    assert!(Bitmap::new(u64::MAX, 2, 1, 0).is_none());
}

#[test]
fn addresses_at_the_limit() {
    let bitmap = Bitmap::new(0, 1 << 40, 1, usize::MAX - 1).unwrap();

    assert_eq!(bitmap.pages_from(0, 32).unwrap().count, 1);
    assert!(bitmap.pages_from(16, 32).is_none());
}
