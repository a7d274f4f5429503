// SPDX-License-Identifier: GPL-2.0

//! The IOTLB invalidations that an operation on a page table requires.

use super::{format::Format, memory::TableMemory, page_table::PageTable, tree::Retired};
use core::ops::RangeInclusive;

/// The part of a page table of which the device may have cached an older state, and the tables that
/// can be freed after the caches have been invalidated.
///
/// One gather can be passed to any number of operations on one page table, and must then be
/// [flushed](Self::flush) with that page table. If a gather is dropped without that, its tables are
/// leaked, because the device may still walk through them.
///
/// A gather has the range that changed, but not the sizes or levels of the pages in it, so that a
/// driver cannot pass hints about those to the hardware.
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
    /// Creates an empty gather.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns whether no invalidation is required.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.first > self.last
    }

    /// Returns the smallest range of IOVAs that contains everything that has changed.
    ///
    /// The range has no meaning if [`is_empty`](Self::is_empty).
    pub fn range(&self) -> RangeInclusive<u64> {
        self.first..=self.last
    }

    /// Returns whether tables were removed, or put where tables had been removed.
    ///
    /// The caches of tables must then be invalidated as well as those of pages.
    pub fn has_tables(&self) -> bool {
        self.tables
    }

    /// Calls `flush`, which invalidates the caches of the device, and then frees the tables that
    /// were removed from `table`.
    ///
    /// `flush` is not called for an empty gather. `table` must be the page table of the operations
    /// that have filled this gather.
    #[inline(always)]
    pub fn flush<F: Format>(self, table: &PageTable<F, M>, flush: impl FnOnce(&Self)) {
        if !self.is_empty() {
            // After the invalidation the device reads the tables as they are now.
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

    /// Adds the IOVAs from `first` to `last`, for which tables were removed.
    #[cold]
    pub(super) fn add_tables(&mut self, first: u64, last: u64) {
        self.tables = true;
        self.add(first, last);
    }
}
