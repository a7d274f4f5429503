// SPDX-License-Identifier: GPL-2.0

//! The memory that page tables are allocated from.
//!
//! Pure: this file is also compiled for the host, with the page tables.

use super::word::Word;
use core::ptr::NonNull;

/// Memory for tables that CPUs change while a device walks them.
///
/// A table that has been removed is *retired* first: CPUs that found it before may still read it,
/// and the device may have its address in a cache. It is *reclaimed* once the caches of the device
/// are invalidated, and reused when the last CPU that was [reading](Self::read) is done.
///
/// # Safety
///
/// Memory from [`allocate`](Self::allocate) is zeroed, aligned to its size and to 64 bytes, and
/// stays valid until [`free`](Self::free), or until [`reclaim`](Self::reclaim) has been called and
/// all guards of [`read`](Self::read) that existed then are gone. [`virt`](Self::virt) undoes
/// [`phys`](Self::phys).
pub unsafe trait TableMemory: Send + Sync {
    /// Whether the device's walker sees what CPUs write without a flush.
    const COHERENT: bool;

    /// A guard that keeps retired tables from being reused.
    type Reading<'a>
    where
        Self: 'a;

    /// How memory may be allocated, such as whether the allocation may sleep.
    type Flags: Copy;

    /// A list of tables that have been retired. Adding a table needs no memory.
    type Retired: Default;

    /// Begins to read tables. The caller does not sleep while the guard exists.
    fn read(&self) -> Self::Reading<'_>;

    /// Allocates memory for a table of `words` words, a power of two. The walker, too, sees zeroes
    /// there.
    fn allocate(&self, words: usize, flags: Self::Flags) -> Option<NonNull<Word>>;

    /// Returns the address of a table for the device.
    fn phys(&self, table: NonNull<Word>) -> u64;

    /// Returns the address of a table for the CPU.
    ///
    /// # Safety
    ///
    /// `phys` came from [`phys`](Self::phys), for a table that is still valid.
    unsafe fn virt(&self, phys: u64) -> NonNull<Word>;

    /// Makes what was written to `words` visible to the walker.
    fn flush(&self, words: &[Word]);

    /// Orders the writes to tables before the writes that let the device find them.
    fn publish(&self);

    /// Frees a table at once.
    ///
    /// # Safety
    ///
    /// The table came from [`allocate`](Self::allocate) with as many words, and neither a CPU nor
    /// the device can reach it.
    unsafe fn free(&self, table: NonNull<Word>, words: usize);

    /// Adds a table to `list`.
    ///
    /// # Safety
    ///
    /// The table came from [`allocate`](Self::allocate) with as many words, is on no list, and
    /// cannot be reached by a reader that begins now.
    unsafe fn retire(&self, table: NonNull<Word>, words: usize, list: &mut Self::Retired);

    /// Lets the tables of `list` be reused after the last CPU that is reading now is done. The
    /// caches of the device have been invalidated.
    fn reclaim(&self, list: Self::Retired);
}
