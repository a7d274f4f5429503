// SPDX-License-Identifier: GPL-2.0

//! Where the tables of a page table live.
//!
//! Pure: this file is also compiled for the host, with the page tables.

use super::word::Word;
use core::ptr::NonNull;

/// Memory for tables that CPUs change while a device walks them.
///
/// A table that nobody can reach any more is *retired* first: CPUs that found it a moment ago may
/// still look into it, and the device may have its address in a cache. It is *reclaimed* once the
/// device has forgotten it, and reused when the last CPU that was [reading](Self::read) is done.
///
/// # Safety
///
/// Memory from [`allocate`](Self::allocate) is zeroed, aligned to its size and to 64 bytes, and
/// stays valid until [`free`](Self::free), or until [`reclaim`](Self::reclaim) has been called and
/// all guards of [`read`](Self::read) that existed then are gone. [`virt`](Self::virt) undoes
/// [`phys`](Self::phys).
pub unsafe trait TableMemory: Send + Sync {
    /// Does the device's walker see what CPUs write without it being flushed?
    const COHERENT: bool;

    /// Keeps retired tables from being reused.
    type Reading<'a>
    where
        Self: 'a;

    /// How an allocation may go about finding memory.
    type Flags: Copy;

    /// Tables that have been retired. It never needs memory to grow.
    type Retired: Default;

    /// Begins to look into tables. Who holds the guard does not sleep.
    fn read(&self) -> Self::Reading<'_>;

    /// Memory for a table of `words` words, a power of two; seen as zeroes by the walker too.
    fn allocate(&self, words: usize, flags: Self::Flags) -> Option<NonNull<Word>>;

    /// The address by which the device knows a table.
    fn phys(&self, table: NonNull<Word>) -> u64;

    /// Where the CPU sees a table.
    ///
    /// # Safety
    ///
    /// `phys` came from [`phys`](Self::phys), for a table that is still valid.
    unsafe fn virt(&self, phys: u64) -> NonNull<Word>;

    /// Makes the walker see what was written to `words`.
    fn flush(&self, words: &[Word]);

    /// Orders what was written to tables before what tells the device of it.
    fn publish(&self);

    /// Gives a table back at once.
    ///
    /// # Safety
    ///
    /// It came from [`allocate`](Self::allocate) with as many words, and neither a CPU nor the
    /// device can reach it.
    unsafe fn free(&self, table: NonNull<Word>, words: usize);

    /// Puts a table on `list`.
    ///
    /// # Safety
    ///
    /// It came from [`allocate`](Self::allocate) with as many words, is on no list, and nobody can
    /// reach it who begins to look now.
    unsafe fn retire(&self, table: NonNull<Word>, words: usize, list: &mut Self::Retired);

    /// Has the tables of `list` reused after the last CPU is done that is reading now. The device
    /// must have forgotten them.
    fn reclaim(&self, list: Self::Retired);
}
