// SPDX-License-Identifier: GPL-2.0

//! Pinned memory that several windows and users in the kernel share.
//!
//! Page by page there is at most one pin, whoever asked first. It is held by the windows whose page
//! tables show the page (`extents`), by users in the kernel (`accessed`), or by both, and given back
//! when the last of them goes.
//!
//! To give pins back, one must know the page frames. Where memory is contiguous, a short list of
//! runs is kept. Where it is scattered, the list would cost more than the page table that holds the
//! same information anyway: then they are read back from there. Users in the kernel always have a
//! list, so that page tables may come and go beside them.

use super::{
    deferred_charge::Bill,
    fast_path::PageAlone,
    frames::FrameList,
    held_ranges::{self, HeldRanges, Split},
    window::{Chunk, Mapped, NotShown, Window},
    windows::{WindowId, Windows},
};
use crate::{
    alloc::SlabBox,
    iommu::MemoryKind,
    mm::{Charge, Memory, Payer, PfnRun, PinnedBatch},
    table::Table,
};
use core::{ops::Range, ptr::NonNull};
use kernel::{
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        aref::{ARef, AlwaysRefCounted},
        Mutex, Refcount,
    },
};

/// A list of runs is kept while it has at most so many entries, and one more for each ...
const LISTED_RUNS: usize = 8;
/// ... so many pages: a quarter of a byte per page.
const PAGES_PER_LISTED_RUN: usize = 64;
const NORMAL: MemoryKind = MemoryKind::Normal;

/// Memory that is pinned where somebody needs it.
#[pin_data]
pub(super) struct PinnedPages {
    refs: Refcount,
    pub(super) memory: Memory,
    #[pin]
    pub(super) state: Mutex<State>,
}

/// Who holds which pages.
///
/// # Invariants
///
/// A page is pinned exactly once if an extent or a range of `accessed` has it, else not at all.
///
/// The tables of each window of `windows` show all of its view: the page frames of the extents there.
/// Each extent has as many holders as there are windows over it, and ends where one of them does.
pub(super) struct State {
    pub(super) extents: HeldRanges<Extent>,
    pub(super) accessed: HeldRanges<FrameList>,
    pub(super) windows: Windows<Window>,
    pub(super) bill: Bill,
    /// Whether pages may have been written, and are to be unpinned as dirty.
    pub(super) writable: bool,
    /// Whether a change of who pays has counted these pages already.
    pub(super) counted: bool,
}

impl Drop for State {
    fn drop(&mut self) {
        // Mappings keep their pages, so what is left was pinned by a user in the kernel that has not
        // given it back, or is known to a table whose driver has not: it stays pinned for ever.
        kernel::warn_on!(!self.extents.is_empty() || !self.accessed.is_empty());
    }
}

/// Pages that page tables show.
pub(super) enum Extent {
    /// Their page frames.
    Listed(FrameList),
    /// Their page frames stand in the tables of any window over them.
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
    /// Whether a list of `runs` is worth its memory for `pages`.
    fn is_worth_listing(runs: usize, pages: usize) -> bool {
        runs <= LISTED_RUNS + pages / PAGES_PER_LISTED_RUN
    }

    /// Makes room for so many runs of so many pages in all, or gives the list up.
    fn expect(&mut self, runs: usize, pages: usize) {
        let Self::Listed(frames) = self else { return };

        if !Self::is_worth_listing(frames.runs() + runs, frames.count() + pages)
            || frames.reserve(runs).is_err()
        {
            *self = Self::InTables;
        }
    }

    /// Remembers a run, as long as the list is worth its memory.
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

/// How far filling a window has come when it could not go on.
pub(super) struct Stopped {
    pub(super) error: Error,
    /// The tables show the view up to this page.
    pub(super) shown: usize,
    /// The extents up to this page have the window as a holder.
    pub(super) held: usize,
    /// So many pages behind `shown` a table did not let go of: they must stay pinned.
    pub(super) stuck: usize,
}

// SAFETY: The memory is freed when the count reaches zero, and not before. `new` is the only
// constructor, and puts each in a box of its own whose count begins at one.
unsafe impl AlwaysRefCounted for PinnedPages {
    #[inline]
    fn inc_ref(&self) {
        self.refs.inc();
    }

    #[inline]
    unsafe fn dec_ref(pages: NonNull<Self>) {
        // SAFETY: The caller owns a reference.
        if unsafe { pages.as_ref() }.refs.dec_and_test() {
            // SAFETY: That was the last one, and `new` made the pages in a box.
            drop(unsafe { SlabBox::from_raw(pages.as_ptr()) });
        }
    }
}

impl PinnedPages {
    /// Memory of which nothing is pinned yet, for which `payer` will pay.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    #[inline]
    pub(super) fn new(memory: Memory, payer: Payer) -> Result<ARef<Self>> {
        let pages = SlabBox::try_pin_init(Self::init(memory, payer), GFP_KERNEL_ACCOUNT)?;
        // SAFETY: Nobody moves them: all that there will be is references.
        let pages = NonNull::from(SlabBox::leak(unsafe { Pin::into_inner_unchecked(pages) }));

        // SAFETY: The count begins with this reference.
        Ok(unsafe { ARef::from_raw(pages) })
    }

    #[inline(always)]
    fn init(memory: Memory, payer: Payer) -> impl PinInit<Self, Error> {
        let writable = memory.writable();

        try_pin_init!(Self {
            refs: Refcount::new(1),
            // INVARIANT: Nobody holds anything.
            state <- new_mutex!(State {
                extents: HeldRanges::new(),
                accessed: HeldRanges::new(),
                windows: Windows::new(),
                bill: Bill::new(Charge::new(payer)),
                writable,
                counted: false,
            }, "PinnedPages::state"),
            memory,
        })
    }

    /// Opens a window: pins what of its pages nobody has pinned, and fills its tables.
    ///
    /// # Errors
    ///
    /// What pinning, charging or a page table reports. Nothing has changed then.
    pub(super) fn open(&self, window: Window) -> Result<WindowId> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let room = state.windows.room()?;

        match PageAlone::of(self, state, &window) {
            Some(page) => page.fill(state)?,
            None => self.fill(state, &window)?,
        }
        // INVARIANT: Its tables are filled.
        Ok(state.windows.put(room, window))
    }

    /// Closes a window: empties its tables and unpins what nobody else holds.
    pub(super) fn close(&self, id: WindowId) {
        let mut state = self.state.lock();

        if let Some(window) = state.windows.take(id) {
            if !state.empty_alone(&window) {
                let pages = window.view.pages();
                state.empty(&window, pages.clone(), pages);
            }
        }
    }

    /// Fills one more table of a window.
    ///
    /// # Errors
    ///
    /// What the table reports, or `ENOMEM`. Nothing has changed then.
    pub(super) fn add_table(&self, id: WindowId, table: &Table) -> Result {
        let mut state = self.state.lock();

        state.windows.get_mut(id).ok_or(EINVAL)?.tables.reserve()?;

        let window = state.windows.get(id).ok_or(EINVAL)?;
        if window.tables.has(table) {
            return Err(EINVAL);
        }
        let this = || core::iter::once(table);
        let pages = window.view.pages();

        if let Err(stopped) = state.show(window, this(), pages.clone()) {
            let bytes = window.view.bytes(pages.start..stopped.shown);
            // SAFETY: It shows this much, which ends where a call of `map` ended.
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

    /// Empties one of several tables of a window.
    pub(super) fn remove_table(&self, id: WindowId, table: &Table) {
        let mut state = self.state.lock();
        let Some(window) = state.windows.get_mut(id) else {
            return;
        };
        let pages = window.view.pages();
        let bytes = window.view.bytes(pages.clone());

        if let Some(table) = window.tables.remove(table) {
            // SAFETY: By the type invariant the table shows all of the view.
            if !unsafe { window.view.unmap(core::iter::once(&table), bytes) } {
                state.pin_for_ever(pages);
            }
        }
    }

    /// Divides a window in two. Returns the identifier of the upper.
    ///
    /// # Errors
    ///
    /// `EINVAL` if byte `at` of the view is not the first of a page, or an entry of a table may
    /// cover both sides; `ENOMEM`. Nothing has changed then.
    pub(super) fn split(&self, id: WindowId, at: usize) -> Result<WindowId> {
        let mut state = self.state.lock();
        let room = state.windows.room()?;
        let window = state.windows.get(id).ok_or(EINVAL)?;
        let first = window.view.start + at;

        if !window.divisible || first % PAGE_SIZE != 0 || !(1..window.view.length).contains(&at) {
            return Err(EINVAL);
        }
        let upper = Window {
            view: window.view.upper(at),
            tables: window.tables.duplicate()?,
            divisible: true,
        };

        state.extents.cut(first / PAGE_SIZE)?;
        state.windows.shorten(id, |lower| lower.view.length = at);
        // INVARIANT: The two show together what the one did, and each extent lies in one of them.
        Ok(state.windows.put(room, upper))
    }

    /// Fills the tables of a window. On failure they show nothing, and nothing has changed.
    #[inline(never)]
    fn fill(&self, state: &mut State, window: &Window) -> Result {
        let pages = window.view.pages();

        state.extents.cut(pages.start)?;
        state.extents.cut(pages.end)?;
        let filled = self.fill_from(state, window).and_then(|()| {
            state.bill.pay().map_err(|error| Stopped {
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
            state.bill.forget();
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

    /// Fills a window where no other window is: makes an extent.
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
            let range = held_ranges::new_range(gap.start..new.end, new.extent);
            state.extents.insert(room, range);
        }
        filled.map_err(|error| Stopped {
            error,
            shown: new.end,
            held: new.end,
            // Those are not in an extent, and stay pinned already.
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
                let first = held_ranges::pages(node).start;
                let frames = node.value.value.iter(new.end - first, next - new.end);

                if let Err(not_mapped) = new.show(window, frames) {
                    if !not_mapped.gone {
                        // A device may still reach them: they stay pinned for ever.
                        state.accessed.hold(first);
                    }
                    return Err(not_mapped.error);
                }
                continue;
            }

            let pinned = batch.pin(&self.memory, new.end, next - new.end)?;

            state.bill.owe(pinned);
            new.extent.expect(batch.runs().count(), pinned);
            if let Err(error) = new.show_batch(window, &mut batch) {
                state.bill.give_back(batch.remaining());
                return Err(error);
            }
        }
        Ok(())
    }
}

/// An extent that is being made.
struct NewExtent {
    extent: Extent,
    /// Where it ends by now: the tables show all pages before.
    end: usize,
}

impl NewExtent {
    /// Puts pages into the tables of a window, as many as one call takes, and remembers them.
    fn show(
        &mut self,
        window: &Window,
        runs: impl Iterator<Item = PfnRun> + Clone,
    ) -> core::result::Result<Mapped, NotShown> {
        let (view, tables) = (&window.view, window.tables.iter());
        let how = window.how(NORMAL);
        // SAFETY: The pages are pinned, and stay so until the tables show them no more.
        let mapped = unsafe { view.map(tables, self.end, runs.clone(), how) }?;

        self.end += mapped.pages;
        if let Extent::Listed(_) = self.extent {
            self.list(runs, mapped.pages);
        }
        Ok(mapped)
    }

    /// Remembers the first `pages` pages of `runs`.
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

    /// Takes over the pins of a batch.
    fn show_batch(&mut self, window: &Window, batch: &mut PinnedBatch) -> Result {
        while !batch.is_empty() {
            match self.show(window, batch.runs()) {
                Ok(Mapped {
                    runs: Some(runs), ..
                }) => batch.take_runs(runs),
                Ok(mapped) => batch.take(mapped.pages),
                Err(not_mapped) => {
                    if !not_mapped.gone {
                        // A device may still reach them: they stay pinned for ever.
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
    /// Finds some page frames of pages that extents have, from the first on. Whether there are any.
    pub(super) fn frames(&self, pages: Range<usize>, chunk: &mut Chunk) -> bool {
        self.find_frames(pages, chunk).is_some()
    }

    fn find_frames(&self, pages: Range<usize>, chunk: &mut Chunk) -> Option<()> {
        let (extent, end) = self.extents.at(pages.clone());
        let node = extent?;

        match &node.value.value {
            Extent::Listed(frames) => {
                let from = pages.start - held_ranges::pages(node).start;
                chunk.fill(frames.iter(from, end - pages.start));
            }
            Extent::InTables => {
                let window = self.windows.over(pages.start)?;
                let end = end.min(window.view.pages().end);
                // SAFETY: By the type invariant the tables show it, and while the state is borrowed
                // nobody changes that.
                unsafe { chunk.read(&window.view, window.tables.any()?, pages.start..end) };
            }
        }
        // A table whose driver does not know what it shows: nobody gets any further with that.
        (!kernel::warn_on!(chunk.is_empty())).then_some(())
    }

    /// Puts pages that extents have into tables.
    pub(super) fn show<'a>(
        &self,
        window: &Window,
        tables: impl Iterator<Item = &'a Table> + Clone,
        pages: Range<usize>,
    ) -> core::result::Result<(), Stopped> {
        let mut page = pages.start;
        let mut chunk = Chunk::new();
        let how = window.how(NORMAL);

        while page < pages.end {
            let stopped = |error, stuck| Stopped {
                error,
                shown: page,
                held: pages.start,
                stuck,
            };

            // What cannot be mapped in this turn would be read again in the next.
            self.find_frames(how.at_once(page..pages.end), &mut chunk)
                .ok_or_else(|| stopped(EFAULT, 0))?;
            // SAFETY: By the type invariant they are pinned, and the caller becomes a holder of them,
            // or takes them out again.
            let shown = unsafe { window.view.map(tables.clone(), page, chunk.runs(), how) };

            let mapped = shown.map_err(|not_mapped| {
                let stuck = if not_mapped.gone { 0 } else { not_mapped.pages };

                stopped(not_mapped.error, stuck)
            })?;
            page += mapped.pages;
        }
        Ok(())
    }
}
