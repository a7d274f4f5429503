// SPDX-License-Identifier: GPL-2.0

//! Pinned memory that is shared by windows and by users in the kernel.
//!
//! Each page is pinned at most once, for the first holder. The pin is shared by all windows whose
//! page tables map the page (`extents`) and all users in the kernel (`accessed`), and is released
//! with the last of them.
//!
//! Releasing a pin takes the page frame. Where memory is contiguous, a short list of runs is kept.
//! Where it is scattered, such a list would take much memory for what the page table stores anyway,
//! so the page frames are read back from the page table. For users in the kernel there is always a
//! list, which therefore does not depend on page tables that are attached and detached.

use super::{
    deferred_charge::DeferredCharge,
    fast_path::SinglePage,
    frames::FrameList,
    held_ranges::{HeldRanges, RangeEntry, Split},
    mapping::NotMapped,
    window::{Chunk, Mapped, NotShown, Window},
    windows::{WindowId, Windows},
};
use crate::{
    alloc::SlabBox,
    iommu::MemoryKind,
    iova::IovaClaim,
    mm::{Account, Charge, Memory, PfnRun, PinnedBatch},
    table::Table,
};
use core::{
    ops::{Range, RangeInclusive},
    ptr::NonNull,
};
use kernel::{
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        aref::{ARef, AlwaysRefCounted},
        Mutex, Refcount,
    },
};

/// Length in runs up to which a list of page frames is always kept.
const LISTED_RUNS: usize = 8;
/// Number of pages for which a list may have one more run. This takes a quarter of a byte per page.
const PAGES_PER_LISTED_RUN: usize = 64;
const NORMAL: MemoryKind = MemoryKind::Normal;

/// Memory of a process or a file, of which those pages are pinned that have a holder.
#[pin_data]
pub(super) struct PinnedPages {
    refs: Refcount,
    pub(super) memory: Memory,
    #[pin]
    pub(super) state: Mutex<State>,
}

/// The holders of each page.
///
/// # Invariants
///
/// A page is pinned exactly once if an extent or a range of `accessed` has it. Else it is not
/// pinned, unless its pin has been leaked.
///
/// The tables of each window of `windows` map all of its view to the page frames of the extents
/// there. Each extent has at least as many holders as windows cover it, and each window covers
/// whole extents.
pub(super) struct State {
    pub(super) extents: HeldRanges<Extent>,
    pub(super) accessed: HeldRanges<FrameList>,
    pub(super) windows: Windows<Window>,
    pub(super) charge: DeferredCharge,
    /// Whether devices may have written to the pages, so that they are marked dirty when they are
    /// unpinned.
    pub(super) writable: bool,
    /// Flag for a caller that moves charges to another process: the pages have been counted.
    pub(super) counted: bool,
}

impl Drop for State {
    fn drop(&mut self) {
        // Each mapping and each pin of a user in the kernel has a reference to the pages, so no
        // window and no range of `accessed` is left. Extents that are left have pages that a driver
        // failed to unmap. Their pins are leaked.
        kernel::warn_on!(!self.extents.is_empty() || !self.accessed.is_empty());
    }
}

/// Pages that page tables map.
pub(super) enum Extent {
    /// The list of their page frames.
    Listed(FrameList),
    /// Their page frames are stored only in the tables of the windows that cover them.
    InTables,
}

impl Split for Extent {
    fn split_off(&mut self, at: usize) -> Result<Self> {
        Ok(match self {
            Self::Listed(frames) => Self::Listed(frames.split_off(at)?),
            Self::InTables => Self::InTables,
        })
    }
}

impl Extent {
    /// Returns whether a list of `runs` runs is worth its memory for `pages` pages.
    fn is_worth_listing(runs: usize, pages: usize) -> bool {
        runs <= LISTED_RUNS + pages / PAGES_PER_LISTED_RUN
    }

    /// Allocates memory for `runs` more runs that have `pages` pages together. Drops the list if it
    /// is not worth its memory or there is none.
    fn reserve(&mut self, runs: usize, pages: usize) {
        let Self::Listed(frames) = self else { return };

        if !Self::is_worth_listing(frames.runs() + runs, frames.count() + pages)
            || frames.reserve(runs).is_err()
        {
            *self = Self::InTables;
        }
    }

    /// Appends a run. Drops the list if it is not worth its memory any more or there is none.
    #[inline]
    fn push(&mut self, run: PfnRun) {
        let Self::Listed(frames) = self else { return };

        if !Self::is_worth_listing(frames.runs(), frames.count() + run.count)
            || frames.push(run).is_err()
        {
            *self = Self::InTables;
        }
    }
}

/// The progress of filling a window up to an error.
pub(super) struct Stopped {
    pub(super) error: Error,
    /// The tables map the view up to this page, exclusive.
    pub(super) shown: usize,
    /// The window is a holder of the extents up to this page, exclusive.
    pub(super) held: usize,
    /// Number of pages from `shown` on that a table failed to unmap. Their pins must be leaked.
    pub(super) stuck: usize,
}

// SAFETY: `new` is the only constructor. It puts each value in a box of its own, with a count of
// one. Only `dec_ref` frees the box, when the count reaches zero.
unsafe impl AlwaysRefCounted for PinnedPages {
    #[inline]
    fn inc_ref(&self) {
        self.refs.inc();
    }

    #[inline]
    unsafe fn dec_ref(pages: NonNull<Self>) {
        // SAFETY: The caller owns a reference, so the count is not zero and the value is alive.
        if unsafe { pages.as_ref() }.refs.dec_and_test() {
            // SAFETY: That was the last reference, so no other code accesses the value. `new`
            // leaked the box that it is in, and no other code turns it back into one.
            drop(unsafe { SlabBox::from_raw(pages.as_ptr()) });
        }
    }
}

impl PinnedPages {
    /// Creates shared memory of which no page is pinned. Pinned pages are charged to `account`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    #[inline]
    pub(super) fn new(memory: Memory, account: Account) -> Result<ARef<Self>> {
        let pages = SlabBox::try_pin_init(Self::init(memory, account), GFP_KERNEL_ACCOUNT)?;
        // SAFETY: The value is not moved: from here on it is accessed through references, until
        // `dec_ref` drops it in place.
        let pages = NonNull::from(SlabBox::leak(unsafe { Pin::into_inner_unchecked(pages) }));

        // SAFETY: The box is leaked, so the value stays valid until `dec_ref` frees it. Its count
        // of one is the reference that the result owns.
        Ok(unsafe { ARef::from_raw(pages) })
    }

    #[inline(always)]
    fn init(memory: Memory, account: Account) -> impl PinInit<Self, Error> {
        let writable = memory.writable();

        try_pin_init!(Self {
            refs: Refcount::new(1),
            // INVARIANT: There are no extents, ranges, windows or pins.
            state <- new_mutex!(State {
                extents: HeldRanges::new(),
                accessed: HeldRanges::new(),
                windows: Windows::new(),
                charge: DeferredCharge::new(Charge::new(account)),
                writable,
                counted: false,
            }, "PinnedPages::state"),
            memory,
        })
    }

    /// Opens a window: pins those of its pages that are not pinned yet, and maps them all in its
    /// tables.
    ///
    /// # Errors
    ///
    /// The error of pinning, charging or a page table. All state is unchanged then.
    #[inline(always)]
    pub(super) fn open(&self, window: Window) -> core::result::Result<WindowId, NotMapped> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let filled = state.windows.room().and_then(|room| {
            match SinglePage::of(self, state, &window) {
                Some(page) => page.fill(state)?,
                None => self.fill(state, &window)?,
            }
            Ok(room)
        });

        match filled {
            // INVARIANT: Its tables map all of its view, and it is a holder of the extents there.
            Ok(room) => Ok(state.windows.put(room, window)),
            Err(error) => Err(window.not_mapped(error)),
        }
    }

    /// Closes a window: unmaps it in all of its tables, and unpins the pages that have no other
    /// holder. Returns the claim to its range.
    pub(super) fn close(&self, id: WindowId) -> Option<IovaClaim> {
        let mut state = self.state.lock();
        let window = state.windows.take(id)?;

        if !state.empty_fast(&window) {
            let pages = window.view.pages();
            state.empty(&window, pages.clone(), pages);
        }
        Some(window.view.claim)
    }

    /// Maps a window in one more table.
    ///
    /// # Errors
    ///
    /// Those of [`Window::room_for`], or the error of the table. All state is unchanged then.
    pub(super) fn add_table(&self, id: WindowId, table: &Table) -> Result {
        let mut state = self.state.lock();

        state.windows.get_mut(id).ok_or(EINVAL)?.room_for(table)?;

        let window = state.windows.get(id).ok_or(EINVAL)?;
        let this = || core::iter::once(table);
        let pages = window.view.pages();

        if let Err(stopped) = state.show(window, this(), pages.clone()) {
            let bytes = window.view.bytes(pages.start..stopped.shown);
            // SAFETY: `show` has mapped the view in this table up to `shown`, which is where one of
            // its calls of `map` ended.
            if !unsafe { window.view.unmap(this(), bytes) } || stopped.stuck != 0 {
                state.pin_for_ever(pages);
            }
            return Err(stopped.error);
        }
        if let Some(window) = state.windows.get_mut(id) {
            window.tables.push_reserved(table.clone());
        }
        Ok(())
    }

    /// Unmaps a window in one of its tables. Returns false, without any effect, if that is its only
    /// one.
    pub(super) fn remove_table(&self, id: WindowId, table: &Table) -> bool {
        let mut state = self.state.lock();
        let Some(window) = state.windows.get_mut(id) else {
            return false;
        };
        if window.has_only(table) {
            return false;
        }
        let pages = window.view.pages();
        let bytes = window.view.bytes(pages.clone());

        if let Some(table) = window.tables.remove(table) {
            // SAFETY: By the type invariant this table, which was one of the window's until now,
            // maps all of the view. The whole view ends where its mapping ended.
            if !unsafe { window.view.unmap(core::iter::once(&table), bytes) } {
                state.pin_for_ever(pages);
            }
        }
        true
    }

    /// Returns whether a table maps a window that has all IOVAs of `part`.
    pub(super) fn shows(&self, id: WindowId, table: &Table, part: &RangeInclusive<u64>) -> bool {
        self.state.lock().windows.get(id).is_some_and(|window| {
            let claim = &window.view.claim;

            window.tables.has(table)
                && claim.first() <= *part.start()
                && *part.end() <= claim.last()
        })
    }

    /// Splits a window in two. Returns the identifier of the upper one.
    ///
    /// # Errors
    ///
    /// `EINVAL` if byte `at` of the view is not the first byte of a page, or if an entry of a table
    /// may cover both sides; `ENOMEM`. All state is unchanged then.
    pub(super) fn split(&self, id: WindowId, at: usize) -> Result<WindowId> {
        let mut state = self.state.lock();
        let room = state.windows.room()?;
        let window = state.windows.get(id).ok_or(EINVAL)?;
        let first = window.view.start + at;

        if !window.divisible || first % PAGE_SIZE != 0 || !(1..window.view.length()).contains(&at) {
            return Err(EINVAL);
        }
        let tables = window.tables.duplicate()?;
        let mut view = None;

        state.extents.cut(first / PAGE_SIZE)?;
        state
            .windows
            .shorten(id, |lower| view = lower.view.split_off(at));
        let upper = Window {
            view: view.ok_or(EINVAL)?,
            tables,
            divisible: true,
        };
        // INVARIANT: Together the two windows cover what the one did. The extents are cut between
        // them, so each keeps its number of holders.
        Ok(state.windows.put(room, upper))
    }

    /// Maps a window in its tables, and makes it a holder of its pages. On failure its tables map
    /// none of it, and the other state is unchanged.
    #[inline(never)]
    fn fill(&self, state: &mut State, window: &Window) -> Result {
        let pages = window.view.pages();

        state.extents.cut(pages.start)?;
        state.extents.cut(pages.end)?;
        let filled = self.fill_from(state, window).and_then(|()| {
            state.charge.commit().map_err(|error| Stopped {
                error,
                shown: pages.end,
                held: pages.end,
                stuck: 0,
            })
        });

        filled.map_err(|stopped| {
            state.pin_for_ever(stopped.shown..stopped.shown + stopped.stuck);
            state.empty(
                window,
                pages.start..stopped.shown,
                pages.start..stopped.held,
            );
            state.charge.abandon();
            stopped.error
        })
    }

    fn fill_from(&self, state: &mut State, window: &Window) -> core::result::Result<(), Stopped> {
        let Range { mut start, end } = window.view.pages();

        while start < end {
            let (extent, next) = state.extents.at(start..end);

            if extent.is_some() {
                state.show(window, window.tables.iter(), start..next)?;
                state.extents.hold(start);
            } else {
                self.fill_gap(state, window, start..next)?;
            }
            start = next;
        }
        Ok(())
    }

    /// Maps the part of a window that no other window covers: creates an extent.
    fn fill_gap(
        &self,
        state: &mut State,
        window: &Window,
        gap: Range<usize>,
    ) -> core::result::Result<(), Stopped> {
        let stopped = |error| Stopped {
            error,
            shown: gap.start,
            held: gap.start,
            stuck: 0,
        };
        let room = state.extents.room().map_err(stopped)?;
        let mut new = NewExtent {
            extent: Extent::Listed(FrameList::new()),
            end: gap.start,
        };
        let filled = self.pin_and_show(state, window, gap.clone(), &mut new);

        if new.end != gap.start {
            let range = RangeEntry::new(gap.start..new.end, new.extent);
            state.extents.insert(room, range);
        }
        filled.map_err(|error| Stopped {
            error,
            shown: new.end,
            held: new.end,
            // Pages that a table failed to unmap are in no extent; `pin_and_show` has leaked their
            // pins.
            stuck: 0,
        })
    }

    fn pin_and_show(
        &self,
        state: &mut State,
        window: &Window,
        gap: Range<usize>,
        new: &mut NewExtent,
    ) -> Result {
        let mut batch = PinnedBatch::new(&self.memory);

        while new.end < gap.end {
            let (accessed, next) = state.accessed.at(new.end..gap.end);

            if let Some(node) = accessed {
                let first = node.pages().start;
                let frames = node.value.value.iter(new.end - first, next - new.end);

                if let Err(not_mapped) = new.show(window, frames) {
                    if !not_mapped.gone {
                        // A device may still access these pages, so their pins are leaked.
                        state.accessed.hold(first);
                    }
                    return Err(not_mapped.error);
                }
                continue;
            }

            let pinned = batch.pin(&self.memory, new.end, next - new.end)?;

            state.charge.defer(pinned);
            new.extent.reserve(batch.runs().count(), pinned);
            if let Err(error) = new.show_batch(window, &mut batch) {
                state.charge.uncharge(batch.remaining());
                return Err(error);
            }
        }
        Ok(())
    }
}

/// An extent that is being created.
struct NewExtent {
    extent: Extent,
    /// The page up to which the tables map the window, exclusive.
    end: usize,
}

impl NewExtent {
    /// Maps pages in the tables of a window, as many as one call takes, and adds them to the
    /// extent.
    fn show(
        &mut self,
        window: &Window,
        runs: impl Iterator<Item = PfnRun> + Clone,
    ) -> core::result::Result<Mapped, NotShown> {
        let (view, tables) = (&window.view, window.tables.iter());
        let mode = window.map_mode(NORMAL);
        // SAFETY: The caller passes runs that are pinned. Their pins go to the extent, which keeps
        // them until the pages have been unmapped in all tables. The range is free: the `Mapping`
        // that opens this window owns the claim to it, and maps there through this window only.
        let mapped = unsafe { view.map(tables, self.end, runs.clone(), mode) }?;

        self.end += mapped.pages;
        if let Extent::Listed(_) = self.extent {
            self.list(runs, mapped.pages);
        }
        Ok(mapped)
    }

    /// Appends the first `pages` pages of `runs` to the list.
    fn list(&mut self, runs: impl Iterator<Item = PfnRun>, pages: usize) {
        let mut left = pages;

        for run in runs {
            let count = run.count.min(left);

            if count == 0 {
                return;
            }
            self.extent.push(PfnRun {
                pfn: run.pfn,
                count,
            });
            left -= count;
        }
    }

    /// Maps the pages of a batch, and moves their pins to the extent.
    fn show_batch(&mut self, window: &Window, batch: &mut PinnedBatch) -> Result {
        while !batch.is_empty() {
            match self.show(window, batch.runs()) {
                Ok(Mapped {
                    runs: Some(runs), ..
                }) => batch.take_runs(runs),
                Ok(mapped) => batch.take(mapped.pages),
                Err(not_mapped) => {
                    if !not_mapped.gone {
                        // A device may still access these pages, so their pins are leaked.
                        batch.take(not_mapped.pages);
                    }
                    return Err(not_mapped.error);
                }
            }
        }
        Ok(())
    }
}

impl State {
    /// Looks up the page frames of pages that extents have, from the first page on and as many as
    /// fit into `chunk`. Returns whether there are any.
    pub(super) fn frames(&self, pages: Range<usize>, chunk: &mut Chunk) -> bool {
        self.find_frames(pages, chunk).is_some()
    }

    fn find_frames(&self, pages: Range<usize>, chunk: &mut Chunk) -> Option<()> {
        let (extent, end) = self.extents.at(pages.clone());
        let node = extent?;

        match &node.value.value {
            Extent::Listed(frames) => {
                let from = pages.start - node.pages().start;
                chunk.fill(frames.iter(from, end - pages.start));
            }
            Extent::InTables => {
                let window = self.windows.over(pages.start)?;
                let end = end.min(window.view.pages().end);
                // SAFETY: By the type invariant the tables of a window map all of its view. They
                // are changed only with the state borrowed mutably, and it is borrowed here.
                unsafe { chunk.read(&window.view, window.tables.any()?, pages.start..end) };
            }
        }
        // An empty result is an error of the driver: its table does not report pages that it maps.
        (!kernel::warn_on!(chunk.is_empty())).then_some(())
    }

    /// Maps pages that extents have in tables.
    pub(super) fn show<'a>(
        &self,
        window: &Window,
        tables: impl Iterator<Item = &'a Table> + Clone,
        pages: Range<usize>,
    ) -> core::result::Result<(), Stopped> {
        let mut page = pages.start;
        let mut chunk = Chunk::new();
        let mode = window.map_mode(NORMAL);

        while page < pages.end {
            let stopped = |error, stuck| Stopped {
                error,
                shown: page,
                held: pages.start,
                stuck,
            };

            // Reads only as many as this call of `map` takes; the rest would be read again.
            self.find_frames(mode.at_once(page..pages.end), &mut chunk)
                .ok_or_else(|| stopped(EFAULT, 0))?;
            // SAFETY: By the type invariant pages of extents are pinned. The caller makes the
            // window a holder of them, or unmaps them again before the state is unlocked. The range
            // is free: the `Mapping` of this window owns the claim to it, and these tables do not
            // map the window yet.
            let shown = unsafe { window.view.map(tables.clone(), page, chunk.runs(), mode) };

            let mapped = shown.map_err(|not_mapped| {
                let stuck = if not_mapped.gone { 0 } else { not_mapped.pages };

                stopped(not_mapped.error, stuck)
            })?;
            page += mapped.pages;
        }
        Ok(())
    }
}
