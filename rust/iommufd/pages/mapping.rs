// SPDX-License-Identifier: GPL-2.0

//! A part of some pages at a range of IOVA, in one or several page tables.

use super::{
    window::{Tables, View, Window},
    windows::WindowId,
    Pages, SharedPages,
};
use crate::{
    iova::IovaClaim,
    table::{Table, TableList},
};
use kernel::prelude::*;

/// A part of some pages at a range of IOVA, the same in each of its page tables.
///
/// [Closing](Self::close) it removes the range from the page tables and gives back the pins that no
/// other user of the pages has. That cannot fail and needs no memory. Dropping it does the same, and
/// loses the claim to the range.
pub struct Mapping {
    window: OpenWindow,
    /// To the range of the window.
    claim: IovaClaim,
}

/// A window, until this is dropped.
///
/// # Invariants
///
/// `id` is a window of `pages`, and no other value has it.
struct OpenWindow {
    pages: SharedPages,
    id: WindowId,
    /// The number of page tables; not zero.
    tables: usize,
}

/// Why there is no mapping, and the claim that was to be used for it.
pub struct NotMapped {
    /// What pinning, charging or a page table reports.
    pub error: Error,
    /// The claim to the range. If the page table has kept part of the range, it takes no mapping any
    /// more (`EIO`).
    pub claim: IovaClaim,
}

impl Mapping {
    /// Maps a part of `pages` in each of `tables`, in the range that `claim` is to. Without
    /// `large_pages`, the mapping can be [split](Self::split) at any border between pages later on.
    ///
    /// # Errors
    ///
    /// `EPERM` if devices may write memory that may not be written; `EINVAL` without page tables, for
    /// a part that goes beyond the pages, for a claim to another range, and for page tables of another
    /// address space; `EIO` if a page table has kept what it should have removed; else what pinning,
    /// charging or a page table reports. Nothing has changed then.
    pub fn new(
        claim: IovaClaim,
        pages: SharedPages,
        view: View,
        tables: &TableList,
        large_pages: bool,
    ) -> core::result::Result<Self, NotMapped> {
        Self::in_tables(claim, pages, view, tables.as_slice(), large_pages)
    }

    /// As [`new`](Self::new), in one page table.
    ///
    /// # Errors
    ///
    /// As for `new`.
    pub fn in_table(
        claim: IovaClaim,
        pages: SharedPages,
        view: View,
        table: &Table,
        large_pages: bool,
    ) -> core::result::Result<Self, NotMapped> {
        Self::in_tables(
            claim,
            pages,
            view,
            core::slice::from_ref(table),
            large_pages,
        )
    }

    /// `tables` has no table twice.
    #[inline]
    fn in_tables(
        claim: IovaClaim,
        pages: SharedPages,
        view: View,
        tables: &[Table],
        large_pages: bool,
    ) -> core::result::Result<Self, NotMapped> {
        match OpenWindow::new(&claim, pages, view, tables, large_pages) {
            Ok(window) => Ok(Self { window, claim }),
            Err(error) => Err(NotMapped { error, claim }),
        }
    }

    /// Maps the same in one more page table.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a page table that has the mapping, or is of another address space; `EIO` for one
    /// that has kept what it should have removed; else what the page table reports, or `ENOMEM`.
    /// Nothing has changed then.
    pub fn add_table(&mut self, table: &Table) -> Result {
        if table.space() != self.claim.space() {
            return Err(EINVAL);
        }
        table.check()?;
        match &self.window.pages.0 {
            Pages::Pinned(pages) => pages.add_table(self.window.id, table)?,
            Pages::Device(pages) => pages.add_table(self.window.id, table)?,
        }
        self.window.tables += 1;
        Ok(())
    }

    /// Removes the mapping from one of its page tables. Closes it, and returns the claim, if that was
    /// the only one.
    pub fn remove_table(mut self, table: &Table) -> core::result::Result<Self, IovaClaim> {
        if self.window.tables == 1 {
            return Err(self.close());
        }
        match &self.window.pages.0 {
            Pages::Pinned(pages) => pages.remove_table(self.window.id, table),
            Pages::Device(pages) => pages.remove_table(self.window.id, table),
        }
        self.window.tables -= 1;
        Ok(self)
    }

    /// Divides the mapping: `self` keeps the lower part, up to byte `at` of the view.
    ///
    /// # Errors
    ///
    /// `EINVAL` if byte `at` is not the first of a page, or an entry of a page table may cover both
    /// sides; `EOPNOTSUPP` for memory of a device; `ENOMEM`. Nothing has changed then.
    pub fn split(&mut self, at: usize) -> Result<Self> {
        let OpenWindow { pages, id, tables } = &self.window;
        let Pages::Pinned(pinned) = &pages.0 else {
            return Err(EOPNOTSUPP);
        };
        // INVARIANT: `split` opens the upper window.
        let window = OpenWindow {
            id: pinned.split(*id, at)?,
            pages: pages.clone(),
            tables: *tables,
        };
        let at = self.claim.first() + at as u64;
        let claim = self.claim.split_off(at).ok_or(EINVAL)?;

        Ok(Self { window, claim })
    }

    /// Removes the range from the page tables and gives back the pins that no other user of the pages
    /// has. Returns the claim to the range.
    pub fn close(self) -> IovaClaim {
        let Self { window, claim } = self;

        drop(window);
        claim
    }
}

impl OpenWindow {
    fn new(
        claim: &IovaClaim,
        pages: SharedPages,
        view: View,
        tables: &[Table],
        large_pages: bool,
    ) -> Result<Self> {
        if view.access.write && !pages.writable() {
            return Err(EPERM);
        }
        let count = tables.len();

        if count == 0
            || view.length == 0
            || view.pages().end > pages.npages()
            || !claim.is_to(view.iova, view.length)
        {
            return Err(EINVAL);
        }
        for table in tables {
            if table.space() != claim.space() {
                return Err(EINVAL);
            }
            table.check()?;
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
        // INVARIANT: The window was opened just now.
        Ok(Self {
            pages,
            id,
            tables: count,
        })
    }
}

impl Drop for OpenWindow {
    fn drop(&mut self) {
        match &self.pages.0 {
            Pages::Pinned(pages) => pages.close(self.id),
            Pages::Device(pages) => pages.close(self.id),
        }
    }
}
