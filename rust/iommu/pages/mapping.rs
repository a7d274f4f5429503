// SPDX-License-Identifier: GPL-2.0

//! A part of some pages at a range of IOVA, in one or several page tables.

use super::{
    window::{Table, Tables, View, Window},
    windows::WindowId,
    Pages, SharedPages,
};
use kernel::prelude::*;

/// A part of some pages at a range of IOVA, the same in each of its page tables.
///
/// Dropping it takes the range out of the tables and gives back the pins that nobody else holds;
/// that cannot fail and needs no memory.
///
/// # Invariants
///
/// The window exists until the mapping is dropped.
pub struct Mapping {
    pages: SharedPages,
    id: WindowId,
    /// How many page tables there are; not zero.
    tables: usize,
}

impl Mapping {
    /// Puts a part of `pages` into each of `tables`. If there shall be no large pages, it can be
    /// [split](Self::split) at any border between pages later on.
    ///
    /// # Errors
    ///
    /// `EPERM` if the device may write memory that may not be written; `EINVAL` without tables or for
    /// a part that goes beyond the pages; else what pinning, charging or a page table reports. Nothing
    /// has changed then.
    pub fn new(
        pages: SharedPages,
        view: View,
        tables: &[Table],
        large_pages: bool,
    ) -> Result<Self> {
        if view.access.write && !pages.writable() {
            return Err(EPERM);
        }
        let count = tables.len();

        if count == 0 || view.length == 0 || view.pages().end > pages.npages() {
            return Err(EINVAL);
        }
        let window = Window {
            view,
            tables: Tables::new(tables)?,
            divisible: !large_pages,
        };
        let id = match &pages.0 {
            Pages::Pinned(pages) => pages.open(window)?,
            Pages::Device(pages) => pages.open(window)?,
        };
        // INVARIANT: It was opened just now.
        Ok(Self {
            pages,
            id,
            tables: count,
        })
    }

    /// Puts the same into one more page table.
    ///
    /// # Errors
    ///
    /// What the table reports, or `ENOMEM`. Nothing has changed then.
    pub fn add_table(&mut self, table: &Table) -> Result {
        match &self.pages.0 {
            Pages::Pinned(pages) => pages.add_table(self.id, table)?,
            Pages::Device(pages) => pages.add_table(self.id, table)?,
        }
        self.tables += 1;
        Ok(())
    }

    /// Takes it out of one of its page tables. Gives the mapping back if others have it still; with
    /// the last one it is gone.
    pub fn remove_table(mut self, table: &Table) -> Option<Self> {
        if self.tables == 1 {
            return None;
        }
        match &self.pages.0 {
            Pages::Pinned(pages) => pages.remove_table(self.id, table),
            Pages::Device(pages) => pages.remove_table(self.id, table),
        }
        self.tables -= 1;
        Some(self)
    }

    /// Divides it in two: `self` keeps the lower part, up to byte `at` of the view.
    ///
    /// # Errors
    ///
    /// `EINVAL` if byte `at` is not the first of a page, or an entry of a page table may cover both
    /// sides; `EOPNOTSUPP` for memory of a device; `ENOMEM`. Nothing has changed then.
    pub fn split(&mut self, at: usize) -> Result<Self> {
        let Pages::Pinned(pages) = &self.pages.0 else {
            return Err(EOPNOTSUPP);
        };

        // INVARIANT: The upper part was opened just now.
        Ok(Self {
            pages: self.pages.clone(),
            id: pages.split(self.id, at)?,
            tables: self.tables,
        })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        match &self.pages.0 {
            Pages::Pinned(pages) => pages.close(self.id),
            Pages::Device(pages) => pages.close(self.id),
        }
    }
}
