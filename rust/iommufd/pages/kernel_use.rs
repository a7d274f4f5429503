// SPDX-License-Identifier: GPL-2.0

//! Users in the kernel: pages that are pinned for them, and copies from and to pages.

use super::{
    frames::FrameList,
    held_ranges::RangeEntry,
    pinned::{PinnedPages, State},
    release::unpin_list,
    window::Chunk,
};
use crate::mm::{copy_run, CopyBuffer, Memory, PageSlots, PfnRun, PinnedBatch, Unpinner};
use core::ops::Range;
use kernel::{page::PAGE_SIZE, prelude::*};

/// The ways in which a copy may access the memory of a process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CopyPath {
    /// Through the page tables of the caller, if the memory is its own.
    Caller,
    /// Through the page tables of the process, which the caller, a kernel thread, uses for the
    /// duration of the copy (`kthread_use_mm()`).
    Kthread,
    /// Through pinned pages only.
    Slow,
}

impl PinnedPages {
    /// Pins pages from page `first` on for a user in the kernel, and writes pointers to them to
    /// `out`.
    ///
    /// # Errors
    ///
    /// The error of pinning or charging, or `ENOMEM`. All state is unchanged then.
    pub(super) fn pin(&self, first: usize, mut out: PageSlots<'_>) -> Result {
        let pages = first..first + out.len();
        let mut guard = self.state.lock();
        let state = &mut *guard;

        state.accessed.cut(pages.start)?;
        state.accessed.cut(pages.end)?;

        let mut page = pages.start;
        while page < pages.end {
            let (accessed, next) = state.accessed.at(page..pages.end);

            if accessed.is_some() {
                state.accessed.hold(page);
            } else if let Err(error) = self.pin_gap(state, page..next) {
                state.release_accessed(pages.start..page);
                return Err(error);
            }
            page = next;
        }
        if let Err(error) = state.charge.commit() {
            state.release_accessed(pages);
            return Err(error);
        }
        for node in state.accessed.iter(pages.clone()) {
            let mut at = node.pages().start - pages.start;

            for run in node.value.value.iter(0, usize::MAX) {
                // SAFETY: By the type invariant of `State` pages that a range of `accessed` has are
                // pinned, and stay so while the state is locked.
                unsafe { out.put(at, run) };
                at += run.count;
            }
        }
        Ok(())
    }

    /// Pins pages that no other user in the kernel holds. On failure all state is unchanged.
    fn pin_gap(&self, state: &mut State, gap: Range<usize>) -> Result {
        let room = state.accessed.room()?;
        let mut frames = FrameList::new();
        let listed = self.list_gap(state, gap.clone(), &mut frames);
        let end = gap.start + frames.count();

        if end != gap.start {
            let new = RangeEntry::new(gap.start..end, frames);
            state.accessed.insert(room, new);
        }
        listed.inspect_err(|_| state.release_accessed(gap.start..end))
    }

    /// Appends the page frames of a gap to `frames`, pinning those that no extent has. The pages in
    /// `frames` are pinned even if this fails, and are then the caller's to release.
    fn list_gap(&self, state: &mut State, gap: Range<usize>, frames: &mut FrameList) -> Result {
        let mut batch = PinnedBatch::new(&self.memory);
        let mut chunk = Chunk::new();

        while gap.start + frames.count() < gap.end {
            let page = gap.start + frames.count();
            let (extent, next) = state.extents.at(page..gap.end);

            if extent.is_some() {
                if !state.frames(page..next, &mut chunk) {
                    return Err(EFAULT);
                }
                for run in chunk.runs() {
                    frames.push(run)?;
                }
                continue;
            }

            let pinned = batch.pin(&self.memory, page, next - page)?;

            state.charge.defer(pinned);
            loop {
                let Some(run) = batch.runs().next() else {
                    break;
                };

                if let Err(error) = frames.push(run) {
                    state.charge.uncharge(batch.remaining());
                    return Err(error);
                }
                batch.take(run.count);
            }
        }
        Ok(())
    }

    /// Undoes [`pin`](Self::pin).
    ///
    /// # Safety
    ///
    /// The caller owns a pin of exactly these pages from [`pin`](Self::pin), which it gives up.
    pub(super) unsafe fn unpin(&self, pages: Range<usize>) {
        let mut state = self.state.lock();

        debug_assert!(state.accessed.has_exactly(pages.clone()));
        state.release_accessed(pages);
    }

    /// Copies between `data` and the memory from byte `start` on, counted from the start of page 0.
    ///
    /// # Errors
    ///
    /// `EPERM` for a write to memory that is pinned for reading only; `EFAULT` if a page is not
    /// there; else the error of pinning. Bytes before the error have been copied.
    pub(super) fn copy(&self, start: usize, mut data: CopyBuffer<'_>, path: CopyPath) -> Result {
        if data.is_write() && !self.memory.writable() {
            return Err(EPERM);
        }
        if data.is_empty() {
            return Ok(());
        }
        if let Memory::User(memory) = &self.memory {
            if path != CopyPath::Slow {
                let kthread = path == CopyPath::Kthread;

                if let Some(done) = memory.copy(start, data.reborrow(), kthread) {
                    return done;
                }
            }
            if start / PAGE_SIZE == (start + data.len() - 1) / PAGE_SIZE {
                if let Some(done) = memory.copy_page(start, data.reborrow()) {
                    return done;
                }
            }
        }
        self.copy_slowly(start, data)
    }

    /// Copies through the page frames that a device accesses: those that are pinned already, and
    /// else those that are pinned here for the duration of the copy.
    fn copy_slowly(&self, start: usize, mut data: CopyBuffer<'_>) -> Result {
        let state = self.state.lock();
        let end = (start + data.len()).div_ceil(PAGE_SIZE);
        let mut page = start / PAGE_SIZE;
        let mut offset = start % PAGE_SIZE;
        let mut chunk = Chunk::new();

        while page < end {
            let (accessed, next) = state.accessed.at(page..end);
            let mut copied = 0;
            let mut copy = |runs: &mut dyn Iterator<Item = PfnRun>| {
                for run in runs {
                    // SAFETY: Each run that is passed to `copy` below is pinned: those of
                    // `accessed` and of extents by the type invariant of `State`, which stays
                    // locked, and those of `batch` by that batch. `take_front` cuts the data at the
                    // end of the run.
                    unsafe {
                        copy_run(run, offset, data.take_front(run.count * PAGE_SIZE - offset))
                    };
                    offset = 0;
                    copied += run.count;
                }
            };

            if let Some(node) = accessed {
                let from = page - node.pages().start;
                copy(&mut node.value.value.iter(from, next - page));
            } else if state.frames(page..next, &mut chunk) {
                copy(&mut chunk.runs());
            } else {
                let (_, next) = state.extents.at(page..next);
                // Pinned for the duration of the copy only, and therefore not charged.
                let mut batch = PinnedBatch::new(&self.memory);

                batch.pin(&self.memory, page, next - page)?;
                copy(&mut batch.runs());
            }
            page += copied;
        }
        Ok(())
    }
}

impl State {
    /// Removes a user in the kernel from pages, and unpins those that have no holder left.
    fn release_accessed(&mut self, pages: Range<usize>) {
        let Self {
            extents,
            accessed,
            charge,
            writable,
            ..
        } = self;
        let mut unpinner = Unpinner::new(*writable);
        let mut unpinned = 0;

        accessed.release(pages, |pages, frames| {
            // SAFETY: By the type invariant of `State` each of these pages has one pin, which the
            // range of `accessed` shared with extents at most. The range was removed just now, so
            // the pin of a page that no extent has is this function's to release.
            unpinned += unsafe { unpin_list(extents, pages.start, &frames, &mut unpinner) };
        });
        charge.uncharge(unpinned);
    }
}
