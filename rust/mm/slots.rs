// SPDX-License-Identifier: GPL-2.0

//! Words that C code fills in: few need no allocation.

use super::batch::batch_bytes;
use crate::array_vec::ArrayVec;
use kernel::{page::PAGE_SIZE, prelude::*};

/// So many words are part of the value.
const INLINE: usize = 8;

/// A list of words with room for more.
pub(super) enum Slots {
    Inline(ArrayVec<u64, INLINE>),
    Heap(KVVec<u64>),
}

impl Slots {
    /// No words, and room for a few.
    #[inline]
    pub(super) const fn new() -> Self {
        Self::Inline(ArrayVec::new())
    }

    /// Makes room for `wanted` words in all, or for fewer if they are many or memory is short, but for
    /// one. There are none yet.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if there is not even a page for them.
    pub(super) fn reserve(&mut self, wanted: usize) -> Result {
        let most = (batch_bytes() / size_of::<u64>()).max(1);
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

    /// How many words fit.
    pub(super) fn capacity(&self) -> usize {
        match self {
            Slots::Inline(_) => INLINE,
            Slots::Heap(words) => words.capacity(),
        }
    }

    /// Where the words behind those that are there go: there is room for `capacity - len` of them.
    pub(super) fn spare(&mut self) -> *mut u64 {
        match self {
            Slots::Inline(words) => words.spare(),
            Slots::Heap(words) => words.spare_capacity_mut().as_mut_ptr().cast(),
        }
    }

    /// Adds a word, if there is room.
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

    /// Counts `more` words that were written where [`spare`](Self::spare) says.
    ///
    /// # Safety
    ///
    /// They were, and there was room for them.
    pub(super) unsafe fn grow(&mut self, more: usize) {
        match self {
            // SAFETY: The caller vouches for it.
            Slots::Inline(words) => unsafe { words.grow(more) },
            // SAFETY: As above.
            Slots::Heap(words) => unsafe { words.inc_len(more) },
        }
    }

    /// Keeps the first `len` words, if there are more.
    pub(super) fn truncate(&mut self, len: usize) {
        match self {
            Slots::Inline(words) => words.truncate(len),
            Slots::Heap(words) => words.truncate(len),
        }
    }

    /// The words that are there.
    #[inline]
    pub(super) fn words(&self) -> &[u64] {
        match self {
            Slots::Inline(words) => words.as_slice(),
            Slots::Heap(words) => words,
        }
    }

    /// The words that are there, to be changed.
    #[inline]
    pub(super) fn words_mut(&mut self) -> &mut [u64] {
        match self {
            Slots::Inline(words) => words.as_mut_slice(),
            Slots::Heap(words) => words,
        }
    }
}
