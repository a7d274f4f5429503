// SPDX-License-Identifier: GPL-2.0

//! What the device must forget before memory is used again.

use super::{format::Format, memory::TableMemory, page_table::PageTable, tree::Retired};
use core::ops::RangeInclusive;

/// What was taken out of a page table, or put in the place of something that was, and may still be
/// cached otherwise by the device: translations, and the way to them through tables that are gone.
///
/// The tables come back to life by [`flush`](Self::flush) alone. Dropped without it, they are lost:
/// better a leak than a device that walks through somebody else's memory. A gather belongs to the
/// page table that it was filled by.
///
/// It knows a range, and neither the sizes nor the levels of the pages that were in it: hints to the
/// hardware about those would be guesses.
#[must_use = "tables that were removed are lost if this is dropped without a flush"]
pub struct Gather<M: TableMemory> {
    first: u64,
    last: u64,
    tables: bool,
    pub(super) retired: Retired<M>,
}

impl<M: TableMemory> Default for Gather<M> {
    fn default() -> Self {
        Self {
            first: u64::MAX,
            last: 0,
            tables: false,
            retired: Retired::default(),
        }
    }
}

impl<M: TableMemory> Gather<M> {
    /// A gather that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Is there nothing to forget?
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.first > self.last
    }

    /// The smallest range of IOVAs that has in it all that changed; meaningless if
    /// [`is_empty`](Self::is_empty).
    pub fn range(&self) -> RangeInclusive<u64> {
        self.first..=self.last
    }

    /// Were tables removed, or put where some were? Then caches of tables must be flushed, not only
    /// those of pages.
    pub fn has_tables(&self) -> bool {
        self.tables
    }

    /// Calls `flush`, in which the device forgets, and then gives the tables that were removed from
    /// `table` back to its memory.
    #[inline(always)]
    pub fn flush<F: Format>(self, table: &PageTable<F, M>, flush: impl FnOnce(&Self)) {
        if !self.is_empty() {
            // What the device is about to read again is the tables as they are now.
            table.memory().publish();
            flush(&self);
        }
        table.tree.reclaim(self.retired);
    }

    /// Adds the IOVAs from `first` to `last`, both inclusive.
    #[inline(always)]
    pub(super) fn add(&mut self, first: u64, last: u64) {
        self.first = self.first.min(first);
        self.last = self.last.max(last);
    }

    /// Adds IOVAs the way to which led through tables that are gone.
    #[cold]
    pub(super) fn add_tables(&mut self, first: u64, last: u64) {
        self.tables = true;
        self.add(first, last);
    }
}
