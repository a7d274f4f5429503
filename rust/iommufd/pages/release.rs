// SPDX-License-Identifier: GPL-2.0

//! Closing windows: pages are unmapped in all page tables first, and then those are unpinned that
//! have no other holder. None of this can fail for want of memory.

use super::{
    frames::FrameList,
    held_ranges::{HeldRanges, Part, Split},
    pinned::{Extent, State},
    window::{frames_of, Window, NO_RUN},
};
use crate::{
    iommu::PhysRun,
    mm::{batch_bytes, PfnRun, Unpinner},
};
use core::ops::Range;
use kernel::{page::PAGE_SIZE, prelude::*};

/// Number of runs that are read back for each IOTLB flush if no buffer can be allocated.
const DRAIN_ON_STACK: usize = 16;

impl State {
    /// Leaks the pins of the extents that have `pages`, by adding a holder to each. For pages that
    /// a device may still access because a driver failed to unmap them.
    pub(super) fn pin_for_ever(&mut self, pages: Range<usize>) {
        let mut page = pages.start;

        while let Some(extent) = self.extents.first_in(page..pages.end).map(Part::pages) {
            self.extents.hold(extent.start);
            page = extent.end;
        }
    }

    /// Unmaps the pages `shown` in the tables of a window, and removes the window from the holders
    /// of the pages `held`. Unpins those that have no holder left.
    #[inline(never)]
    pub(super) fn empty(&mut self, window: &Window, shown: Range<usize>, held: Range<usize>) {
        let bytes = window.view.bytes(shown);
        let keep = usize::from(self.extents.iter(held.clone()).any(only_in_tables));
        let others = window.tables.iter().skip(keep);

        // SAFETY: The callers pass as `shown` either the whole view, which the tables map by the
        // type invariant, or the part up to which a failed `fill` has mapped it. Either ends where
        // a call of `map` ended.
        let mut gone = unsafe { window.view.unmap(others, bytes.clone()) };
        if keep != 0 && gone {
            gone = self.drain(window, bytes, held.clone());
        }
        if !gone {
            // A device may still access the pages, so their pins are leaked: the extents keep the
            // holder.
            return;
        }
        let Self {
            extents,
            accessed,
            charge,
            writable,
            ..
        } = self;
        let mut unpinner = Unpinner::new(*writable);
        let mut unpinned = 0;

        extents.release(held, |pages, extent| match extent {
            Extent::Listed(frames) => {
                // SAFETY: By the type invariant each of these pages has one pin. Its last window is
                // closing and has unmapped it, and the extent was removed just now. So the pin of a
                // page that `accessed` does not have is this function's to release.
                unpinned += unsafe { unpin_list(accessed, pages.start, &frames, &mut unpinner) };
            }
            // `drain` has unpinned those that no user in the kernel holds.
            Extent::InTables => unpinned += pages.len() - held_pages(accessed, pages),
        });
        charge.uncharge(unpinned);
    }

    /// Unmaps bytes of a window in its first table. Unpins the pages of `held` whose page frames
    /// are stored in that table only and that have no other holder. Returns whether the table has
    /// unmapped them all.
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
            // SAFETY: The caller passes a part of the view that this table maps, and the loop has
            // not unmapped it from `at` on. Tables are changed under the lock of the state only,
            // which is held.
            let read = unsafe { table.read_runs(view.iova() + at as u64, left, buffer) };
            let runs = buffer.get(..read.runs).unwrap_or(&[]);
            let next = at + read.bytes;

            if kernel::warn_on!(next == at) {
                return false;
            }
            // SAFETY: The table maps the range, as above. It begins where the last one ended.
            // `read_runs` stops at the end of a run, behind which the next page frame is not
            // contiguous, or at the end of the range.
            if !unsafe { view.unmap(core::iter::once(table), at..next) } {
                return false;
            }
            // SAFETY: The pages have been unmapped just now in this table, and before in all other
            // tables of the window.
            unsafe { last.unpin(view.page_of(at), runs.iter().map(frames_of)) };
            at = next;
        }
        true
    }
}

/// Unpins pages in ascending order: those whose only holder is one window, and whose page frames
/// are in no list.
struct LastHolder<'a> {
    state: &'a State,
    held: Range<usize>,
    /// The page up to which `sole` is valid, exclusive.
    end: usize,
    sole: bool,
    unpinner: Unpinner,
}

impl<'a> LastHolder<'a> {
    fn new(state: &'a State, held: Range<usize>) -> Self {
        Self {
            state,
            end: held.start,
            held,
            sole: false,
            unpinner: Unpinner::new(state.writable),
        }
    }

    /// Unpins the page frames `runs`, which are those of the pages from `page` on, except pages
    /// that have another holder.
    ///
    /// # Safety
    ///
    /// The window holds the pages, and no table of it maps them any more.
    unsafe fn unpin(&mut self, mut page: usize, runs: impl Iterator<Item = PfnRun>) {
        for mut run in runs {
            while page + run.count > self.end {
                if page < self.end {
                    // SAFETY: This is the front part of `run`, for which the caller upholds the
                    // contract. `sole` is valid up to `self.end`, where the part ends.
                    unsafe { self.unpin_known(run.take_front(self.end - page)) };
                    page = self.end;
                }
                if page >= self.held.end {
                    return;
                }
                self.look_up(page);
            }
            page += run.count;
            // SAFETY: This is the rest of `run`, for which the caller upholds the contract. By the
            // loop condition it ends at `self.end` at the latest.
            unsafe { self.unpin_known(run) };
        }
    }

    /// Unpins page frames to all of which `sole` applies.
    ///
    /// # Safety
    ///
    /// As for [`unpin`](Self::unpin); the pages end at `self.end` at the latest.
    #[inline]
    unsafe fn unpin_known(&mut self, run: PfnRun) {
        if self.sole {
            // SAFETY: By `sole` the only holder of these pages is the window that is closing, which
            // by the caller has unmapped them. `empty` removes the extent without unpinning them
            // again.
            unsafe { self.unpinner.unpin(run) };
        }
    }

    /// Updates `sole` and `end` for pages from `page` on.
    fn look_up(&mut self, page: usize) {
        let (extent, end) = self.state.extents.at(page..self.held.end);
        let (accessed, end) = self.state.accessed.at(page..end);

        self.end = end;
        self.sole = accessed.is_none() && extent.is_some_and(only_in_tables);
    }
}

/// Returns whether the page frames of an extent are stored only in the tables of its only holder.
fn only_in_tables(extent: Part<'_, Extent>) -> bool {
    extent.value.holders == 1 && matches!(extent.value.value, Extent::InTables)
}

/// Returns how many of `pages` are in `ranges`.
fn held_pages<T: Split>(ranges: &HeldRanges<T>, pages: Range<usize>) -> usize {
    ranges
        .iter(pages.clone())
        .map(Part::pages)
        .map(|part| part.end.min(pages.end) - part.start.max(pages.start))
        .sum()
}

/// Unpins the page frames of a list that begins with page `page`, except those of pages in
/// `others`. Returns the number of unpinned pages.
///
/// A function of its own, so that its loop has all registers.
///
/// # Safety
///
/// As for [`unpin_unless`].
#[inline(never)]
pub(super) unsafe fn unpin_list<T: Split>(
    others: &HeldRanges<T>,
    page: usize,
    frames: &FrameList,
    unpinner: &mut Unpinner,
) -> usize {
    let mut page = page;
    let mut unpinned = 0;

    for run in frames.iter(0, frames.count()) {
        // SAFETY: `run` is part of `frames`, for which the caller upholds the contract.
        unpinned += unsafe { unpin_unless(others, page, run, unpinner) };
        page += run.count;
    }
    unpinned
}

/// Unpins the page frames of a run that begins with page `page`, except those of pages in `others`.
/// Returns the number of unpinned pages.
///
/// # Safety
///
/// Each page frame that is not excepted is pinned, and the caller owns that pin.
unsafe fn unpin_unless<T: Split>(
    others: &HeldRanges<T>,
    page: usize,
    run: PfnRun,
    unpinner: &mut Unpinner,
) -> usize {
    if others.is_empty() {
        // SAFETY: There are no others, so the caller owns the pin of each page of the run.
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
            // SAFETY: No other range has these pages, so the caller owns their pins.
            unsafe { unpinner.unpin(part) };
            unpinned += count;
        }
        done += count;
    }
    unpinned
}
