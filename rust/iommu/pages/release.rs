// SPDX-License-Identifier: GPL-2.0

//! Closing windows: page tables let go of pages first, then pins that nobody else holds are given
//! back. None of it needs memory.

use super::{
    held::{self, HeldRanges, Split},
    pinned::{Extent, State},
    window::{frames_of, Window, NO_RUN},
};
use crate::{
    iommu::run::PhysRun,
    mm::{batch_bytes, unpin, PfnRun},
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

        while let Some(extent) = self.extents.first_in(page..pages.end).map(held::pages) {
            self.extents.hold(extent.start);
            page = extent.end;
        }
    }

    /// Takes pages out of the tables of a window, and the window away from the holders of some of
    /// them. What nobody holds any more is unpinned.
    pub(super) fn empty(&mut self, window: &Window, shown: Range<usize>, held: Range<usize>) {
        let bytes = window.view.bytes(shown);
        let needs_tables = |extent: &held::HeldNode<Extent>| {
            extent.value.holders == 1 && matches!(extent.value.value, Extent::InTables)
        };
        let keep = usize::from(self.extents.iter(held.clone()).any(needs_tables));
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
            charge,
            writable,
            ..
        } = self;
        let mut unpinned = 0;

        extents.release(held, |pages, extent| match extent {
            Extent::Listed(frames) => {
                let mut page = pages.start;

                for run in frames.iter(0, frames.count()) {
                    // SAFETY: No table shows these pages any more, and no extent has them.
                    unpinned += unsafe { unpin_unless(accessed, page, run, *writable) };
                    page += run.count;
                }
            }
            // Drained.
            Extent::InTables => unpinned += pages.len() - held_pages(accessed, pages),
        });
        charge.sub(unpinned);
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
            let count = unsafe { table.read_runs(view.iova + at as u64, left, buffer) };
            let runs = buffer.get(..count).unwrap_or(&[]);
            let length: usize = runs.iter().map(|run| run.length).sum();
            let read = at..at + length;

            if kernel::warn_on!(length == 0) {
                return false;
            }
            // SAFETY: `read_runs` ends with a whole run.
            if !unsafe { view.unmap(core::iter::once(table), read) } {
                return false;
            }
            for run in runs {
                last.unpin(view.page_of(at), frames_of(run));
                at += run.length;
            }
        }
        true
    }
}

/// Finds out, page by page in ascending order, which pages are held by one window alone and have
/// their frames in no list.
struct LastHolder<'a> {
    state: &'a State,
    held: Range<usize>,
    /// Up to this page the answer is `unpin`.
    end: usize,
    unpin: bool,
}

impl<'a> LastHolder<'a> {
    fn new(state: &'a State, held: Range<usize>) -> Self {
        Self {
            state,
            end: held.start,
            held,
            unpin: false,
        }
    }

    /// Unpins pages that no table shows any more, as far as nobody else holds them.
    fn unpin(&mut self, page: usize, run: PfnRun) {
        let first = page;
        let end = (first + run.count).min(self.held.end);
        let mut page = first;

        while page < end {
            if page >= self.end {
                let (extent, next) = self.state.extents.at(page..self.held.end);

                self.end = next;
                self.unpin = extent.is_some_and(|node| {
                    node.value.holders == 1 && matches!(node.value.value, Extent::InTables)
                });
            }
            let part = page..end.min(self.end);

            if self.unpin {
                let run = PfnRun {
                    pfn: run.pfn + (page - first),
                    count: part.len(),
                };
                // SAFETY: No table shows these pages any more, and their only holder is going.
                unsafe { unpin_unless(&self.state.accessed, page, run, self.state.writable) };
            }
            page = part.end;
        }
    }
}

/// How many of some pages are held.
fn held_pages<T: Split>(ranges: &HeldRanges<T>, pages: Range<usize>) -> usize {
    ranges
        .iter(pages.clone())
        .map(held::pages)
        .map(|part| part.end.min(pages.end) - part.start.max(pages.start))
        .sum()
}

/// Unpins page frames of pages from `page` on, except those that `others` hold. Returns how many.
///
/// # Safety
///
/// Each is pinned, and apart from those that `others` hold the pin is the caller's.
pub(super) unsafe fn unpin_unless<T: Split>(
    others: &HeldRanges<T>,
    page: usize,
    run: PfnRun,
    dirty: bool,
) -> usize {
    if others.is_empty() {
        // SAFETY: The caller vouches for it.
        unsafe { unpin(run, dirty) };
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
            unsafe { unpin(part, dirty) };
            unpinned += count;
        }
        done += count;
    }
    unpinned
}
