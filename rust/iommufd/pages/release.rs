// SPDX-License-Identifier: GPL-2.0

//! Closing windows: page tables let go of pages first, then pins that nobody else holds are given
//! back. None of it needs memory.

use super::{
    frames::FrameList,
    held_ranges::{self, HeldRanges, Part, Split},
    pinned::{Extent, State},
    window::{frames_of, Window, NO_RUN},
};
use crate::{
    iommu::PhysRun,
    mm::{batch_bytes, PfnRun, Unpinner},
};
use core::ops::Range;
use kernel::{page::PAGE_SIZE, prelude::*};

/// Runs that are read back with one IOTLB flush where there is no memory for more.
const DRAIN_ON_STACK: usize = 16;

impl State {
    /// Keeps pages pinned, and all others of the same extents, that a device may reach through a table
    /// whose driver did not let go of them.
    pub(super) fn pin_for_ever(&mut self, pages: Range<usize>) {
        let mut page = pages.start;

        while let Some(extent) = self
            .extents
            .first_in(page..pages.end)
            .map(held_ranges::pages)
        {
            self.extents.hold(extent.start);
            page = extent.end;
        }
    }

    /// Takes pages out of the tables of a window, and the window away from the holders of some of
    /// them. What nobody holds any more is unpinned.
    #[inline(never)]
    pub(super) fn empty(&mut self, window: &Window, shown: Range<usize>, held: Range<usize>) {
        let bytes = window.view.bytes(shown);
        let keep = usize::from(self.extents.iter(held.clone()).any(only_in_tables));
        let others = window.tables.iter().skip(keep);

        // SAFETY: The tables show this much, which ends where a call of `map` ended.
        let mut gone = unsafe { window.view.unmap(others, bytes.clone()) };
        if keep != 0 && gone {
            gone = self.drain(window, bytes, held.clone());
        }
        if !gone {
            // A device may still reach the pages: they stay pinned for ever.
            return;
        }
        let Self {
            extents,
            accessed,
            bill,
            writable,
            ..
        } = self;
        let mut unpinner = Unpinner::new(*writable);
        let mut unpinned = 0;

        extents.release(held, |pages, extent| match extent {
            Extent::Listed(frames) => {
                // SAFETY: No table shows these pages any more, and no extent has them.
                unpinned += unsafe { unpin_list(accessed, pages.start, &frames, &mut unpinner) };
            }
            // Drained.
            Extent::InTables => unpinned += pages.len() - held_pages(accessed, pages),
        });
        bill.give_back(unpinned);
    }

    /// Takes bytes of a window out of its first table, and unpins, as far as `held` goes, the pages
    /// whose frames stand nowhere else. Whether the table gave all of them up.
    fn drain(&self, window: &Window, bytes: Range<usize>, held: Range<usize>) -> bool {
        let wanted = bytes
            .len()
            .div_ceil(PAGE_SIZE)
            .min((batch_bytes() / size_of::<PhysRun>()).max(1));

        match KVVec::from_elem(NO_RUN, wanted, GFP_KERNEL | __GFP_NOWARN) {
            Ok(mut buffer) => self.drain_with(window, bytes, held, &mut buffer),
            Err(_) => self.drain_with(window, bytes, held, &mut [NO_RUN; DRAIN_ON_STACK]),
        }
    }

    fn drain_with(
        &self,
        window: &Window,
        bytes: Range<usize>,
        held: Range<usize>,
        buffer: &mut [PhysRun],
    ) -> bool {
        let Some(table) = window.tables.any() else {
            return true;
        };
        let view = &window.view;
        let mut last = LastHolder::new(self, held);
        let mut at = bytes.start;

        while at < bytes.end {
            let left = bytes.end - at;
            // SAFETY: By the type invariant the table shows it, and the state is borrowed.
            let read = unsafe { table.read_runs(view.iova + at as u64, left, buffer) };
            let runs = buffer.get(..read.runs).unwrap_or(&[]);
            let next = at + read.bytes;

            if kernel::warn_on!(next == at) {
                return false;
            }
            // SAFETY: `read_runs` ends with a whole run.
            if !unsafe { view.unmap(core::iter::once(table), at..next) } {
                return false;
            }
            // SAFETY: The table does not show these pages any more.
            unsafe { last.unpin(view.page_of(at), runs.iter().map(frames_of)) };
            at = next;
        }
        true
    }
}

/// Unpins, page by page in ascending order, what one window alone holds and has its frames in no
/// list.
struct LastHolder<'a> {
    state: &'a State,
    held: Range<usize>,
    /// Up to this page, `alone` says whether that is so.
    end: usize,
    alone: bool,
    unpinner: Unpinner,
}

impl<'a> LastHolder<'a> {
    fn new(state: &'a State, held: Range<usize>) -> Self {
        Self {
            state,
            end: held.start,
            held,
            alone: false,
            unpinner: Unpinner::new(state.writable),
        }
    }

    /// Unpins the page frames of pages from `page` on, as far as nobody else holds them.
    ///
    /// # Safety
    ///
    /// The window shows them no more.
    unsafe fn unpin(&mut self, mut page: usize, runs: impl Iterator<Item = PfnRun>) {
        for mut run in runs {
            while page + run.count > self.end {
                if page < self.end {
                    // SAFETY: The caller vouches for the pages.
                    unsafe { self.unpin_known(run.take_front(self.end - page)) };
                    page = self.end;
                }
                if page >= self.held.end {
                    return;
                }
                self.look_up(page);
            }
            page += run.count;
            // SAFETY: As above.
            unsafe { self.unpin_known(run) };
        }
    }

    /// Unpins page frames of which `alone` tells.
    ///
    /// # Safety
    ///
    /// As for [`unpin`](Self::unpin).
    #[inline]
    unsafe fn unpin_known(&mut self, run: PfnRun) {
        if self.alone {
            // SAFETY: Their only holder is going.
            unsafe { self.unpinner.unpin(run) };
        }
    }

    /// Finds out about pages from `page` on.
    fn look_up(&mut self, page: usize) {
        let (extent, end) = self.state.extents.at(page..self.held.end);
        let (accessed, end) = self.state.accessed.at(page..end);

        self.end = end;
        self.alone = accessed.is_none() && extent.is_some_and(only_in_tables);
    }
}

/// Whether the page frames of an extent are to be found nowhere but in the tables of its only holder.
fn only_in_tables(extent: Part<'_, Extent>) -> bool {
    extent.value.holders == 1 && matches!(extent.value.value, Extent::InTables)
}

/// How many of some pages are held.
fn held_pages<T: Split>(ranges: &HeldRanges<T>, pages: Range<usize>) -> usize {
    ranges
        .iter(pages.clone())
        .map(held_ranges::pages)
        .map(|part| part.end.min(pages.end) - part.start.max(pages.start))
        .sum()
}

/// Unpins the page frames of a list that begins with page `page`, as [`unpin_unless`] does.
///
/// # Safety
///
/// As for [`unpin_unless`].
pub(super) unsafe fn unpin_list<T: Split>(
    others: &HeldRanges<T>,
    page: usize,
    frames: &FrameList,
    unpinner: &mut Unpinner,
) -> usize {
    let mut page = page;
    let mut unpinned = 0;

    for run in frames.iter(0, frames.count()) {
        // SAFETY: The caller vouches for it.
        unpinned += unsafe { unpin_unless(others, page, run, unpinner) };
        page += run.count;
    }
    unpinned
}

/// Unpins page frames of pages from `page` on, except those that `others` hold. Returns how many.
///
/// # Safety
///
/// Each is pinned, and apart from those that `others` hold the pin is the caller's.
unsafe fn unpin_unless<T: Split>(
    others: &HeldRanges<T>,
    page: usize,
    run: PfnRun,
    unpinner: &mut Unpinner,
) -> usize {
    if others.is_empty() {
        // SAFETY: The caller vouches for it.
        unsafe { unpinner.unpin(run) };
        return run.count;
    }
    let (mut done, mut unpinned) = (0, 0);

    while done < run.count {
        let (other, next) = others.at(page + done..page + run.count);
        let count = next - (page + done);

        if other.is_none() {
            let part = PfnRun {
                pfn: run.pfn + done,
                count,
            };
            // SAFETY: The caller vouches for it.
            unsafe { unpinner.unpin(part) };
            unpinned += count;
        }
        done += count;
    }
    unpinned
}
