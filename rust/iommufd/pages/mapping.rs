// SPDX-License-Identifier: GPL-2.0

//! Mappings: a part of shared pages at a range of IOVA, in one or several page tables.

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

/// A part of shared pages that is mapped at a range of IOVA, the same in each of its page tables.
///
/// [`close`](Self::close) unmaps the range in all page tables, unpins the pages that have no other
/// holder, and returns the claim to the range. It cannot fail and needs no memory. Dropping a
/// mapping does the same, except that the claim is lost: the range cannot be mapped again in this
/// address space.
///
/// # Examples
///
/// ```ignore
/// // 2 MiB of the calling process, mapped for reading and writing at the IOVA of `claim`.
/// let account = Account::current(ChargeMode::User, &reports)?;
/// let pages = SharedPages::of_caller(address, SZ_2M, true, account)?;
/// let view = View {
///     iova: claim.first(),
///     start: 0,
///     length: SZ_2M,
///     access: Access { read: true, write: true },
/// };
/// let mapping = match Mapping::new(claim, pages, view, &tables, true) {
///     Ok(mapping) => mapping,
///     Err(NotMapped { error, claim }) => {
///         areas.remove(claim);
///         return Err(error);
///     }
/// };
///
/// // No device accesses the memory when `close` returns; the IOVA can be mapped again.
/// areas.remove(mapping.close());
/// ```
pub struct Mapping {
    window: OpenWindow,
    /// The claim to the range of the window.
    claim: IovaClaim,
}

/// An open window, which is closed on drop.
///
/// # Invariants
///
/// `id` identifies an open window of `pages`, which no other value closes.
struct OpenWindow {
    pages: SharedPages,
    id: WindowId,
    /// The number of page tables; not zero.
    tables: usize,
}

/// An error of creating a mapping, which returns the claim.
pub struct NotMapped {
    /// The error of pinning, charging or a page table.
    pub error: Error,
    /// The claim to the range. If a page table has failed to unmap part of the range, it accepts no
    /// mapping from then on (`EIO`).
    pub claim: IovaClaim,
}

impl Mapping {
    /// Maps the part `view` of `pages` in each of `tables`. `claim` is the claim to the range of
    /// IOVA of the view. A mapping that is created without `large_pages` can be
    /// [split](Self::split) between any two pages.
    ///
    /// # Errors
    ///
    /// `EPERM` if the view lets devices write to read-only memory; `EINVAL` if there are no page
    /// tables, the view exceeds the pages, the claim is to another range, or a page table belongs
    /// to another address space; `EIO` if a page table has failed to unmap a range before; else the
    /// error of pinning, charging or a page table. All state is unchanged then.
    pub fn new(
        claim: IovaClaim,
        pages: SharedPages,
        view: View,
        tables: &TableList,
        large_pages: bool,
    ) -> core::result::Result<Self, NotMapped> {
        Self::in_tables(claim, pages, view, tables.as_slice(), large_pages)
    }

    /// Maps the part `view` of `pages` in one page table, as [`new`](Self::new) does.
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

    /// Maps in `tables`, in which no table occurs twice.
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

    /// Maps the range in one more page table.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a page table that has the mapping already or belongs to another address space;
    /// `EIO` if it has failed to unmap a range before; else the error of the page table, or
    /// `ENOMEM`. All state is unchanged then.
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

    /// Unmaps the range in one of its page tables. If that is the only one, closes the mapping and
    /// returns the claim as `Err`.
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

    /// Splits the mapping in front of byte `at` of the view. `self` keeps the lower part; returns
    /// the upper.
    ///
    /// # Errors
    ///
    /// `EINVAL` if byte `at` is not the first byte of a page, or if an entry of a page table may
    /// cover both sides; `EOPNOTSUPP` for memory of a device; `ENOMEM`. All state is unchanged
    /// then.
    pub fn split(&mut self, at: usize) -> Result<Self> {
        let OpenWindow { pages, id, tables } = &self.window;
        let Pages::Pinned(pinned) = &pages.0 else {
            return Err(EOPNOTSUPP);
        };
        // INVARIANT: `split` opens the upper window and returns its identifier to this caller only.
        let window = OpenWindow {
            id: pinned.split(*id, at)?,
            pages: pages.clone(),
            tables: *tables,
        };
        let at = self.claim.first() + at as u64;
        let claim = self.claim.split_off(at).ok_or(EINVAL)?;

        Ok(Self { window, claim })
    }

    /// Unmaps the range in all page tables, unpins the pages that have no other holder, and returns
    /// the claim to the range.
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
        // INVARIANT: The window was opened just now, and its identifier was returned to this caller
        // only.
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
