// SPDX-License-Identifier: GPL-2.0

//! The fast path for a window that is the only user of its pages, in one page table, and whose
//! pages are contiguous in physical memory: opening it for a single page, closing it for any such
//! run.
//!
//! An emulated IOMMU maps page by page on behalf of a guest, so that the cost of the call
//! dominates. The general path handles other holders of the same pages, lists of page frames and
//! batches of pins, none of which can occur here. The resulting state is the same.
//!
//! One step is in another order: the page is charged before it is mapped, so that no device can
//! access a page that is over the limit. A caller that is over the limit gets `ENOMEM` even if the
//! page table would have reported another error.

use super::{
    frames::FrameList,
    pinned::{Extent, PinnedPages, State},
    window::{whole_pages, View, Window},
};
use crate::{
    iommu::{MapError, MemoryKind},
    mm::{Memory, PfnRun, PinnedPage, Unpinner, UserMemory},
    table::Table,
};
use core::slice;
use kernel::prelude::*;

/// The page of a window that takes the fast path.
pub(super) struct SinglePage<'a> {
    memory: &'a UserMemory,
    view: &'a View,
    table: &'a Table,
    /// Index of the page.
    index: usize,
}

impl<'a> SinglePage<'a> {
    /// Returns the page of `window` if the window has one page and one table, and the memory
    /// belongs to a process and has no other holder.
    #[inline(always)]
    pub(super) fn of(pages: &'a PinnedPages, state: &State, window: &'a Window) -> Option<Self> {
        let Memory::User(memory) = &pages.memory else {
            return None;
        };
        let range = window.view.pages();
        let is_one = range.len() == 1 && state.extents.is_empty() && state.accessed.is_empty();

        is_one.then_some(Self {
            memory,
            view: &window.view,
            table: window.tables.only()?,
            index: range.start,
        })
    }

    /// Pins the page, charges it, and maps it in the table.
    ///
    /// # Errors
    ///
    /// The error of pinning, charging or the table. All state is unchanged then.
    #[inline(always)]
    pub(super) fn fill(self, state: &mut State) -> Result {
        let Self { view, table, .. } = self;
        let page = PinnedPage::new(self.memory, self.index)?;
        let frame = PfnRun {
            pfn: page.pfn(),
            count: 1,
        };
        let mut run = whole_pages(frame, MemoryKind::Normal);

        run.phys += view.page_offset() as u64;
        run.length = view.length();
        state.charge.get_mut().add(1)?;
        // SAFETY: `page` holds a pin. It is dropped below only if the table reports that the page
        // is not mapped; else the new extent holds it until `empty` or `empty_fast` has unmapped
        // the page. The range is free: the `Mapping` that opens this window owns the claim to it,
        // and maps there through this window only.
        let mapped = unsafe { table.map(view.iova(), slice::from_ref(&run), view.access, true) };

        if let Err(MapError { error, undone }) = mapped {
            state.charge.get_mut().sub(1);
            if !undone {
                // A device may still access the page, so its pin is leaked.
                page.hand_on();
            }
            return Err(error);
        }
        let extent = Extent::Listed(FrameList::of(frame));

        state
            .extents
            .insert_first(self.index..self.index + 1, extent);
        page.hand_on();
        Ok(())
    }
}

impl State {
    /// Unmaps a window and unpins its pages if it has one table, is the only holder of its pages,
    /// and these are one run. Returns false, without any effect, if that does not hold.
    #[inline]
    pub(super) fn empty_fast(&mut self, window: &Window) -> bool {
        let Some(table) = window.tables.only() else {
            return false;
        };
        let Some(run) = self.sole_run(window) else {
            return false;
        };
        let view = &window.view;

        // SAFETY: By the type invariant of `State` the tables of each open window map all of its
        // view. `close` took this window out of `windows` and has not unmapped it yet. The whole
        // view ends where its mapping ended, so no entry reaches across.
        if !unsafe { table.unmap(view.iova(), view.length()) } {
            // A device may still access the pages, so their pins are leaked: the extent stays.
            return true;
        }
        self.extents.remove_only();
        // SAFETY: The extent that owned these pins was removed just now. Its only holder was this
        // window, whose only table has unmapped the pages and flushed the IOTLB, and `sole_run`
        // checked that no user in the kernel holds pages.
        unsafe { Unpinner::unpin_run(run, self.writable) };
        self.charge.uncharge(run.count);
        true
    }

    /// Returns the page frames of a window if they are one run and the window is their only holder.
    #[inline]
    fn sole_run(&self, window: &Window) -> Option<PfnRun> {
        let part = self.extents.only()?;
        let Extent::Listed(frames) = &part.value.value else {
            return None;
        };
        let is_only = part.value.holders == 1
            && self.accessed.is_empty()
            && part.pages() == window.view.pages();

        is_only.then(|| frames.only_run()).flatten()
    }
}
