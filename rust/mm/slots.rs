// SPDX-License-Identifier: GPL-2.0

//! Arrays of words that C code fills in. Short ones need no allocation.

use super::{batch::batch_bytes, pfn_run::PfnRun};
use crate::array_vec::ArrayVec;
use kernel::{page::PAGE_SIZE, prelude::*};

/// Number of words that are stored inline.
const INLINE: usize = 8;

/// A list of words with spare capacity.
pub(super) enum Slots {
    Inline(ArrayVec<u64, INLINE>),
    Heap(KVVec<u64>),
}

impl Slots {
    /// Creates an empty list, whose capacity is that of the inline array.
    #[inline]
    pub(super) const fn new() -> Self {
        Self::Inline(ArrayVec::new())
    }

    /// Provides capacity for `wanted` words in all; for fewer, but at least one, if they exceed the
    /// size of a temporary buffer or memory is short. The list is empty.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if not even one page can be allocated.
    pub(super) fn reserve(&mut self, wanted: usize) -> Result {
        // No more than a run may have, if all pages follow each other.
        let most = (batch_bytes() / size_of::<u64>()).clamp(1, PfnRun::MAX_COUNT);
        let capacity = wanted.min(most);

        let enough = match self {
            Self::Inline(_) => capacity <= INLINE && most >= INLINE,
            Self::Heap(words) => capacity <= words.capacity(),
        };

        if enough {
            return Ok(());
        }
        let least = PAGE_SIZE / size_of::<u64>();
        let words = match KVVec::with_capacity(capacity, GFP_KERNEL | __GFP_NOWARN) {
            Ok(words) => words,
            Err(_) if matches!(self, Self::Heap(_)) => return Ok(()),
            Err(_) => KVVec::with_capacity(capacity.min(least), GFP_KERNEL)?,
        };

        *self = Self::Heap(words);
        Ok(())
    }

    /// Returns the number of words that fit into the list.
    pub(super) fn capacity(&self) -> usize {
        match self {
            Slots::Inline(_) => INLINE,
            Slots::Heap(words) => words.capacity(),
        }
    }

    /// Returns the address of the spare capacity, which has room for `capacity - len` words.
    pub(super) fn spare(&mut self) -> *mut u64 {
        match self {
            Slots::Inline(words) => words.spare(),
            Slots::Heap(words) => words.spare_capacity_mut().as_mut_ptr().cast(),
        }
    }

    /// Appends a word, if there is capacity.
    pub(super) fn push(&mut self, word: u64) {
        match self {
            Slots::Inline(words) => {
                words.push(word);
            }
            Slots::Heap(words) => {
                let _ = words.push_within_capacity(word);
            }
        }
    }

    /// Appends `more` words that have been written to the [spare capacity](Self::spare).
    ///
    /// # Safety
    ///
    /// The caller has written `more` words there, which do not exceed the spare capacity.
    pub(super) unsafe fn grow(&mut self, more: usize) {
        match self {
            // SAFETY: The caller has written `more` words to the spare capacity of this array.
            Slots::Inline(words) => unsafe { words.grow(more) },
            // SAFETY: The caller has written `more` words to the spare capacity of this vector.
            Slots::Heap(words) => unsafe { words.inc_len(more) },
        }
    }

    /// Shortens the list to `len` words, if it is longer.
    pub(super) fn truncate(&mut self, len: usize) {
        match self {
            Slots::Inline(words) => words.truncate(len),
            Slots::Heap(words) => words.truncate(len),
        }
    }

    /// Returns the words.
    #[inline]
    pub(super) fn words(&self) -> &[u64] {
        match self {
            Slots::Inline(words) => words.as_slice(),
            Slots::Heap(words) => words,
        }
    }

    /// Returns the words for modification.
    #[inline]
    pub(super) fn words_mut(&mut self) -> &mut [u64] {
        match self {
            Slots::Inline(words) => words.as_mut_slice(),
            Slots::Heap(words) => words,
        }
    }
}
