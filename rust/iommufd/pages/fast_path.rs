// SPDX-License-Identifier: GPL-2.0

//! The short way in and out for a window that has its pages for itself, in one page table and next
//! to each other in physical memory.
//!
//! Who maps much at a time pays for the pages; who maps little, as an emulated IOMMU does on behalf
//! of a guest, page after page, pays for the call. All that the long way must be ready for, others
//! over the same pages, lists of frames, batches, is known not to be there here. What it leaves behind
//! is the same. One thing is done in another order: the page is charged for before it is mapped, so
//! that no device sees it meanwhile; who is over the limit is told that, whatever the table would say.

use super::{
    frames::FrameList,
    held_ranges,
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

/// What the short way in is about.
pub(super) struct PageAlone<'a> {
    memory: &'a UserMemory,
    view: &'a View,
    table: &'a Table,
    /// The page.
    index: usize,
}

impl<'a> PageAlone<'a> {
    /// The only page of a window in one table, if it is memory of a process and nobody has any of
    /// that.
    #[inline]
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

    /// Pins the page, charges for it, and lets the table show it.
    ///
    /// # Errors
    ///
    /// What pinning, charging or the table reports. Nothing has changed then.
    pub(super) fn fill(self, state: &mut State) -> Result {
        let Self { view, table, .. } = self;
        let page = PinnedPage::new(self.memory, self.index)?;
        let frame = PfnRun {
            pfn: page.pfn(),
            count: 1,
        };
        let mut run = whole_pages(frame, MemoryKind::Normal);

        run.phys += view.page_offset() as u64;
        run.length = view.length;
        state.bill.charge().add(1)?;
        // SAFETY: The page is pinned, and stays so until the table shows it no more. The window has the
        // claim to the range, in which the table shows nothing yet.
        let mapped = unsafe { table.map(view.iova, slice::from_ref(&run), view.access, true) };

        if let Err(MapError { error, undone }) = mapped {
            state.bill.charge().sub(1);
            if !undone {
                // A device may still reach the page: it stays pinned for ever.
                page.hand_on();
            }
            return Err(error);
        }
        let extent = Extent::Listed(FrameList::of(frame));

        state
            .extents
            .insert_lone(self.index..self.index + 1, extent);
        page.hand_on();
        Ok(())
    }
}

impl State {
    /// Takes a window in one table out of it and unpins its pages, if nobody else has any of them and
    /// they are one run. Whether that is so; nothing has changed if not.
    #[inline]
    pub(super) fn empty_alone(&mut self, window: &Window) -> bool {
        let Some(table) = window.tables.only() else {
            return false;
        };
        let Some(run) = self.run_alone(window) else {
            return false;
        };
        let view = &window.view;

        // SAFETY: By the type invariant the table shows all of the view.
        if !unsafe { table.unmap(view.iova, view.length) } {
            // A device may still reach the pages: they stay pinned for ever.
            return true;
        }
        self.extents.forget_lone();
        // SAFETY: No table shows these pages any more, and nobody else holds them.
        unsafe { Unpinner::unpin_run(run, self.writable) };
        self.bill.give_back(run.count);
        true
    }

    /// The page frames of a window, if they are one run and it is their only holder.
    #[inline]
    fn run_alone(&self, window: &Window) -> Option<PfnRun> {
        let part = self.extents.only()?;
        let Extent::Listed(frames) = &part.value.value else {
            return None;
        };
        let alone = part.value.holders == 1
            && self.accessed.is_empty()
            && held_ranges::pages(part) == window.view.pages();

        alone.then(|| frames.only_run()).flatten()
    }
}
