// SPDX-License-Identifier: GPL-2.0

//! Memory for tables on the host, at addresses of somebody else's choosing: what is built there can
//! be carried into the memory of an emulated machine.
//!
//! Not part of the kernel crate: `tools/testing/host` includes it.

use crate::table::{TableMemory, Word};
use std::{
    ptr::NonNull,
    sync::atomic::{AtomicUsize, Ordering},
};

const WORD: u64 = 8;

/// A window of the device's addresses. Tables are handed out from its begin on, each one once.
pub struct WindowMemory {
    /// The device's address of the first word.
    base: u64,
    words: Box<[Word]>,
    next: AtomicUsize,
}

impl WindowMemory {
    /// `bytes` of memory that the device knows as `base`, which is aligned as the largest table is.
    pub fn new(base: u64, bytes: usize) -> Self {
        Self {
            base,
            words: (0..bytes / WORD as usize).map(|_| Word::new(0)).collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// The words that are not zero, and their addresses.
    pub fn image(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        (self.base..)
            .step_by(WORD as usize)
            .zip(self.words.iter().map(Word::load))
            .filter(|&(_, word)| word != 0)
    }

    /// The word at the device's address `phys`; nothing outside the window.
    pub fn word(&self, phys: u64) -> Option<&Word> {
        let offset = usize::try_from(phys.checked_sub(self.base)?).ok()?;

        self.words.get(offset / WORD as usize)
    }
}

// SAFETY: Tables are parts of one allocation, each handed out once and never taken back. For the
// device, which is who asks for it, they are aligned to their size, because `base` is.
unsafe impl TableMemory for &WindowMemory {
    const COHERENT: bool = true;
    type Reading<'a>
        = ()
    where
        Self: 'a;
    type Flags = ();
    type Retired = ();

    fn read(&self) -> Self::Reading<'_> {}

    fn allocate(&self, words: usize, (): ()) -> Option<NonNull<Word>> {
        // 64 bytes at least.
        let size = words.max(8);
        let first = self.next.load(Ordering::SeqCst).next_multiple_of(size);

        self.next.store(first + size, Ordering::SeqCst);
        self.words
            .get(first..first + size)
            .map(|table| NonNull::from(&table[0]))
    }

    fn phys(&self, table: NonNull<Word>) -> u64 {
        self.base + (table.as_ptr() as u64 - self.words.as_ptr() as u64)
    }

    unsafe fn virt(&self, phys: u64) -> NonNull<Word> {
        self.word(phys).expect("an address in the window").into()
    }

    fn flush(&self, _words: &[Word]) {}

    fn publish(&self) {}

    unsafe fn free(&self, _table: NonNull<Word>, _words: usize) {}

    unsafe fn retire(&self, _table: NonNull<Word>, _words: usize, _list: &mut ()) {}

    fn reclaim(&self, (): ()) {}
}
