// SPDX-License-Identifier: GPL-2.0

//! Words that C code fills in: few need no allocation.

use super::batch::batch_bytes;
use kernel::{page::PAGE_SIZE, prelude::*};

/// So many words are part of the value.
const INLINE: usize = 8;

/// A list of words with room for more.
///
/// # Invariants
///
/// In `Inline`, `len` is at most `INLINE`.
pub(super) enum Slots {
    Inline { words: [u64; INLINE], len: usize },
    Heap(KVVec<u64>),
}

impl Slots {
    /// Room for `wanted` words, or for fewer if they are many or memory is short, but for one.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if there is not even a page for them.
    pub(super) fn new(wanted: usize) -> Result<Self> {
        let most = (batch_bytes() / size_of::<u64>()).max(1);
        let capacity = wanted.min(most);

        if capacity <= INLINE && most >= INLINE {
            // INVARIANT: 0 is at most `INLINE`.
            return Ok(Self::Inline {
                words: [0; INLINE],
                len: 0,
            });
        }
        let words = KVVec::with_capacity(capacity, GFP_KERNEL | __GFP_NOWARN).or_else(|_| {
            let least = PAGE_SIZE / size_of::<u64>();
            KVVec::with_capacity(capacity.min(least), GFP_KERNEL)
        })?;
        Ok(Self::Heap(words))
    }

    /// How many words fit.
    pub(super) fn capacity(&self) -> usize {
        match self {
            Slots::Inline { .. } => INLINE,
            Slots::Heap(words) => words.capacity(),
        }
    }

    /// Where the words behind those that are there go: there is room for `capacity - len` of them.
    pub(super) fn spare(&mut self) -> *mut u64 {
        match self {
            Slots::Inline { words, len } => match words.get_mut(*len..) {
                Some(spare) => spare.as_mut_ptr(),
                None => core::ptr::dangling_mut(),
            },
            Slots::Heap(words) => words.spare_capacity_mut().as_mut_ptr().cast(),
        }
    }

    /// Adds a word, if there is room.
    pub(super) fn push(&mut self, word: u64) {
        if self.words().len() < self.capacity() {
            // SAFETY: There is room for a word.
            unsafe { self.spare().write(word) };
            // SAFETY: It was written.
            unsafe { self.grow(1) };
        }
    }

    /// Counts `more` words that were written where [`spare`](Self::spare) says.
    ///
    /// # Safety
    ///
    /// They were, and there was room for them.
    pub(super) unsafe fn grow(&mut self, more: usize) {
        match self {
            // INVARIANT: The caller vouches for the room.
            Slots::Inline { len, .. } => *len += more,
            // SAFETY: The caller vouches for it.
            Slots::Heap(words) => unsafe { words.inc_len(more) },
        }
    }

    /// Keeps the first `len` words, if there are more.
    pub(super) fn truncate(&mut self, new_len: usize) {
        match self {
            // INVARIANT: It only gets smaller.
            Slots::Inline { len, .. } => *len = new_len.min(*len),
            Slots::Heap(words) => words.truncate(new_len),
        }
    }

    /// The words that are there.
    pub(super) fn words(&self) -> &[u64] {
        match self {
            Slots::Inline { words, len } => words.get(..*len).unwrap_or(&[]),
            Slots::Heap(words) => words,
        }
    }

    /// The words that are there, to be changed.
    pub(super) fn words_mut(&mut self) -> &mut [u64] {
        match self {
            Slots::Inline { words, len } => words.get_mut(..*len).unwrap_or(&mut []),
            Slots::Heap(words) => words,
        }
    }
}
