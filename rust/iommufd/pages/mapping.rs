// SPDX-License-Identifier: GPL-2.0

//! Mappings: a part of shared pages at a range of IOVA, in one or several page tables.

use super::{
    window::{Tables, View, Window},
    windows::WindowId,
    Pages, SharedPages,
};
use crate::{
    iommu::{DirtyRecorder, IotlbGather},
    iova::IovaClaim,
    table::{Table, TableList},
};
use core::ops::RangeInclusive;
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
/// // Memory of the calling process, mapped for reading and writing at the IOVA of `claim`.
/// let account = Account::current(|| ChargeMode::User, &reports)?;
/// let pages = SharedPages::of_caller(address, length, true, account)?;
/// let view = View {
///     claim,
///     start: address % PAGE_SIZE,
///     access: Access { read: true, write: true },
/// };
/// let mapping = match Mapping::new(pages, view, &tables, true) {
///     Ok(mapping) => mapping,
///     Err(NotMapped { error, claim }) => {
///         areas.remove(claim);
///         return Err(error);
///     }
/// };
///
/// // No device accesses the memory when `close` returns; the IOVA can be mapped again.
/// mapping.close().and_then(|claim| areas.remove(claim));
/// ```
pub struct Mapping {
    /// `None` once it has been closed.
    window: Option<OpenWindow>,
}

/// An open window.
///
/// # Invariants
///
/// `id` identifies an open window of `pages`, which no other value closes.
struct OpenWindow {
    pages: SharedPages,
    id: WindowId,
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
    /// Maps the part `view` of `pages` in each of `tables`. A mapping that is created without
    /// `large_pages` can be [split](Self::split) between any two pages.
    ///
    /// # Errors
    ///
    /// `EPERM` if the view lets devices write to read-only memory; `EINVAL` if there are no page
    /// tables, the view exceeds the pages, or a page table belongs to another address space than
    /// the claim; `EIO` if a page table has failed to unmap a range before; else the error of
    /// pinning, charging or a page table. All state is unchanged then.
    #[inline]
    pub fn new(
        pages: SharedPages,
        view: View,
        tables: &TableList,
        large_pages: bool,
    ) -> core::result::Result<Self, NotMapped> {
        Self::in_tables(pages, view, tables.as_slice(), large_pages)
    }

    /// Maps the part `view` of `pages` in one page table, as [`new`](Self::new) does.
    ///
    /// # Errors
    ///
    /// As for `new`.
    pub fn in_table(
        pages: SharedPages,
        view: View,
        table: &Table,
        large_pages: bool,
    ) -> core::result::Result<Self, NotMapped> {
        Self::in_tables(pages, view, core::slice::from_ref(table), large_pages)
    }

    /// Maps in `tables`, in which no table occurs twice.
    ///
    /// One function, so that what it calls on the way to a single page is inlined in one place.
    #[inline(never)]
    fn in_tables(
        pages: SharedPages,
        view: View,
        tables: &[Table],
        large_pages: bool,
    ) -> core::result::Result<Self, NotMapped> {
        let tables = match check_view(&pages, &view).and_then(|()| Tables::new(tables, &view)) {
            Ok(tables) => tables,
            Err(error) => {
                let claim = view.claim;
                return Err(NotMapped { error, claim });
            }
        };
        let window = Window {
            view,
            tables,
            divisible: !large_pages,
        };
        let id = match &pages.0 {
            Pages::Pinned(pages) => pages.open(window)?,
            Pages::Device(pages) => pages.open(window)?,
        };

        // INVARIANT: The window was opened just now, and its identifier was returned to this caller
        // only.
        Ok(Self {
            window: Some(OpenWindow { pages, id }),
        })
    }

    /// Maps the range in one more page table.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a page table that has the mapping already or belongs to another address space;
    /// `EIO` if it has failed to unmap a range before; else the error of the page table, or
    /// `ENOMEM`. All state is unchanged then.
    pub fn add_table(&mut self, table: &Table) -> Result {
        let OpenWindow { pages, id } = self.window.as_ref().ok_or(EINVAL)?;

        match &pages.0 {
            Pages::Pinned(pages) => pages.add_table(*id, table),
            Pages::Device(pages) => pages.add_table(*id, table),
        }
    }

    /// Unmaps the range in one of its page tables. If that is the only one, closes the mapping, and
    /// returns as `Err` what [`close`](Self::close) does.
    pub fn remove_table(self, table: &Table) -> core::result::Result<Self, Option<IovaClaim>> {
        let removed = self
            .window
            .as_ref()
            .is_some_and(|OpenWindow { pages, id }| match &pages.0 {
                Pages::Pinned(pages) => pages.remove_table(*id, table),
                Pages::Device(pages) => pages.remove_table(*id, table),
            });

        if removed {
            Ok(self)
        } else {
            Err(self.close())
        }
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
        let OpenWindow { pages, id } = self.window.as_ref().ok_or(EINVAL)?;
        let Pages::Pinned(pinned) = &pages.0 else {
            return Err(EOPNOTSUPP);
        };
        // INVARIANT: `split` opens the upper window and returns its identifier to this caller only.
        let upper = OpenWindow {
            id: pinned.split(*id, at)?,
            pages: pages.clone(),
        };

        Ok(Self {
            window: Some(upper),
        })
    }

    /// Records which memory in a part of the range devices have written to through one of its page
    /// tables, as [`DomainTable::read_dirty`](crate::iommu::DomainTable::read_dirty) does. Memory
    /// of a device is not recorded: its exporter may unmap it at any time, and nobody else can copy
    /// it.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the page table does not have the mapping, or the part is not one of the range;
    /// else those of `read_dirty`.
    pub fn read_dirty(
        &self,
        table: &Table,
        part: RangeInclusive<u64>,
        to: &mut DirtyRecorder,
        gather: Pin<&mut IotlbGather>,
    ) -> Result {
        let OpenWindow { pages, id } = self.window.as_ref().ok_or(EINVAL)?;
        let Pages::Pinned(pinned) = &pages.0 else {
            return Ok(());
        };

        if part.is_empty() || !pinned.shows(*id, table, &part) {
            return Err(EINVAL);
        }
        // SAFETY: The table maps all of the window, which has the part. It does so during the call:
        // the window is closed, shortened or removed from the table only by functions that own the
        // `Mapping` with its identifier, or borrow it mutably, and `self` is borrowed.
        unsafe { table.read_dirty(part, to, gather) }
    }

    /// Unmaps the range in all page tables, unpins the pages that have no other holder, and returns
    /// the claim to the range. A result of `None` would be an error of this crate: the window was
    /// closed by other code.
    #[inline]
    pub fn close(mut self) -> Option<IovaClaim> {
        let claim = self.close_window();

        // Nothing is left to be dropped.
        core::mem::forget(self);
        claim
    }

    /// Closes the window, unless that has been done before.
    fn close_window(&mut self) -> Option<IovaClaim> {
        let OpenWindow { pages, id } = self.window.take()?;

        match &pages.0 {
            Pages::Pinned(pages) => pages.close(id),
            Pages::Device(pages) => pages.close(id),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.close_window();
    }
}

/// Checks that `view` is a part of `pages`, and that devices may have its access to them.
///
/// # Errors
///
/// `EPERM` if the view lets devices write to read-only memory; `EINVAL` if it exceeds the pages.
#[inline(always)]
fn check_view(pages: &SharedPages, view: &View) -> Result {
    if view.access.write && !pages.writable() {
        return Err(EPERM);
    }
    if view.length() == 0 || view.pages().end > pages.npages() {
        return Err(EINVAL);
    }
    Ok(())
}
