// SPDX-License-Identifier: GPL-2.0

//! Windows: parts of shared pages that page tables map at a range of IOVA.

use super::{mapping::NotMapped, windows::Covers};
use crate::{
    array_vec::ArrayVec,
    iommu::{trim, Access, MapError, MemoryKind, PhysRun},
    iova::IovaClaim,
    mm::PfnRun,
    table::Table,
};
use core::ops::Range;
use kernel::{
    page::{PAGE_SHIFT, PAGE_SIZE},
    prelude::*,
};

/// Number of runs that are mapped with one call. Small enough for an array on the stack.
const CHUNK: usize = 32;

/// An array of up to `CHUNK` runs of page frames.
pub(super) struct Chunk {
    runs: [PhysRun; CHUNK],
    len: usize,
}

impl Chunk {
    pub(super) fn new() -> Self {
        Self {
            runs: [NO_RUN; CHUNK],
            len: 0,
        }
    }

    /// Replaces the contents with the first of `runs`, as many as fit.
    pub(super) fn fill(&mut self, runs: impl Iterator<Item = PfnRun>) {
        self.len = 0;
        for (slot, run) in self.runs.iter_mut().zip(runs) {
            *slot = whole_pages(run, MemoryKind::Normal);
            self.len += 1;
        }
    }

    /// Replaces the contents with the page frames that `table` maps for `pages` of a view, as many
    /// runs as fit.
    ///
    /// # Safety
    ///
    /// The table maps all of these pages as `view` says, and none of them is unmapped during the
    /// call.
    pub(super) unsafe fn read(&mut self, view: &View, table: &Table, pages: Range<usize>) {
        let bytes = view.bytes(pages);
        let iova = view.iova() + bytes.start as u64;
        // SAFETY: The caller promises that the table maps these bytes of the view, and that they
        // stay mapped.
        self.len = unsafe { table.read_runs(iova, bytes.len(), &mut self.runs) }.runs;
    }

    /// Returns whether there are no runs.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = PfnRun> + Clone + '_ {
        let runs = self.runs.get(..self.len).unwrap_or(&[]);

        runs.iter().map(frames_of)
    }
}

pub(super) const NO_RUN: PhysRun = PhysRun {
    phys: 0,
    length: 0,
    kind: MemoryKind::Normal,
};

/// The bytes of shared pages that a window maps, and the claim to their IOVA.
pub struct View {
    /// The claim to the range of IOVA at which the bytes are mapped.
    pub claim: IovaClaim,
    /// Offset of the first byte, counted from the start of page 0.
    pub start: usize,
    /// The accesses that devices are allowed.
    pub access: Access,
}

impl View {
    /// Returns the IOVA of the first byte.
    #[inline]
    pub(super) fn iova(&self) -> u64 {
        self.claim.first()
    }

    /// Returns the length in bytes. Zero stands for 2^64, more than any shared pages have.
    #[inline]
    pub(super) fn length(&self) -> usize {
        (self.claim.last() - self.claim.first()).wrapping_add(1) as usize
    }

    /// Returns the pages that the bytes lie in.
    pub(super) fn pages(&self) -> Range<usize> {
        let end = self.start.saturating_add(self.length()).div_ceil(PAGE_SIZE);

        self.start >> PAGE_SHIFT..end
    }

    /// Returns the offset of the first byte in its page.
    #[inline]
    pub(super) fn page_offset(&self) -> usize {
        self.start % PAGE_SIZE
    }

    /// Returns the bytes of the view that lie in `pages`, counted from the first byte of the view.
    pub(super) fn bytes(&self, pages: Range<usize>) -> Range<usize> {
        let at = |page: usize| {
            page.saturating_mul(PAGE_SIZE)
                .saturating_sub(self.start)
                .min(self.length())
        };

        at(pages.start)..at(pages.end)
    }

    /// Returns the page of a byte that is counted from the first byte of the view.
    pub(super) fn page_of(&self, byte: usize) -> usize {
        (self.start + byte) >> PAGE_SHIFT
    }

    /// Splits the view: `self` keeps the bytes below byte `at`; returns the view of the others.
    /// Returns `None`, and keeps the whole view, if one of the parts would be empty.
    pub(super) fn split_off(&mut self, at: usize) -> Option<Self> {
        Some(Self {
            claim: self.claim.split_off(self.iova().checked_add(at as u64)?)?,
            start: self.start + at,
            access: self.access,
        })
    }

    /// Returns the number of bytes at the start and at the end of `pages` that are not part of the
    /// view, which may begin and end within a page.
    fn hidden(&self, pages: &Range<usize>) -> (usize, usize) {
        let end = pages.end.saturating_mul(PAGE_SIZE);

        (
            self.start.saturating_sub(pages.start * PAGE_SIZE),
            end.saturating_sub(self.start.saturating_add(self.length())),
        )
    }

    /// Maps the page frames `runs`, the first of which is that of page `page`, in each of `tables`,
    /// as many as one call takes.
    ///
    /// # Errors
    ///
    /// The error of a page table. None of the runs is mapped in any table then, unless a driver
    /// failed to unmap them ([`NotShown::gone`]).
    ///
    /// # Safety
    ///
    /// The memory stays valid for DMA until it has been unmapped in the tables. The range is free
    /// in each table, and no other code maps there during the call.
    pub(super) unsafe fn map<'a>(
        &self,
        tables: impl Iterator<Item = &'a Table> + Clone,
        page: usize,
        runs: impl Iterator<Item = PfnRun>,
        mode: MapMode,
    ) -> core::result::Result<Mapped, NotShown> {
        let mut chunk = ArrayVec::<PhysRun, CHUNK>::new();
        let mut pages = 0;
        let entry = |run: PfnRun| {
            pages += run.count;
            whole_pages(run, mode.kind)
        };

        if mode.large_pages {
            chunk.extend(runs.map(entry));
        } else {
            chunk.extend(runs.flat_map(PfnRun::single_pages).map(entry));
        }

        let (before, behind) = self.hidden(&(page..page + pages));
        trim(chunk.as_mut_slice(), before, behind);

        let runs = chunk.as_slice();
        let bytes = self.bytes(page..page + pages);
        let iova = self.iova() + bytes.start as u64;

        for (done, table) in tables.clone().enumerate() {
            // SAFETY: The caller keeps the memory valid until it is unmapped, and promises that the
            // range is free.
            let mapped = unsafe { table.map(iova, runs, self.access, mode.large_pages) };

            if let Err(MapError { error, undone }) = mapped {
                // SAFETY: These are the tables in which the iterations before this one have mapped
                // the runs. The range is that of all runs, so it ends where a call of `map` ended.
                let removed = unsafe { self.unmap(tables.take(done), bytes) };

                return Err(NotShown {
                    error,
                    gone: undone && removed,
                    pages,
                });
            }
        }
        Ok(Mapped {
            pages,
            runs: mode.large_pages.then_some(runs.len()),
        })
    }

    /// Unmaps a range of bytes, counted from the first byte of the view, in page tables, and
    /// flushes it from the IOTLB, so that no device accesses it any more.
    ///
    /// Returns whether all tables have unmapped it. `false` is an error of a driver, and the memory
    /// must stay valid for DMA for ever then.
    ///
    /// # Safety
    ///
    /// All of the range is mapped in each table. Each end is the end of a run that was passed to
    /// [`map`](Self::map), or lies between two page frames that are not contiguous.
    #[must_use]
    pub(super) unsafe fn unmap<'a>(
        &self,
        tables: impl Iterator<Item = &'a Table>,
        bytes: Range<usize>,
    ) -> bool {
        let mut gone = true;

        if bytes.is_empty() {
            return true;
        }
        for table in tables {
            // SAFETY: The caller promises that each table maps the range, and that it can be cut at
            // both ends.
            gone &= unsafe { table.unmap(self.iova() + bytes.start as u64, bytes.len()) };
        }
        gone
    }
}

/// Returns all bytes of a run of page frames.
#[inline]
pub(super) fn whole_pages(run: PfnRun, kind: MemoryKind) -> PhysRun {
    PhysRun {
        phys: (run.pfn << PAGE_SHIFT) as u64,
        length: run.count << PAGE_SHIFT,
        kind,
    }
}

/// Returns the page frames that a run of bytes lies in.
#[inline]
pub(super) fn frames_of(run: &PhysRun) -> PfnRun {
    let start = run.phys as usize;
    let pfn = start >> PAGE_SHIFT;

    PfnRun {
        pfn,
        // Physical addresses have at most 52 bits, so this does not overflow.
        count: ((start + run.length + (PAGE_SIZE - 1)) >> PAGE_SHIFT) - pfn,
    }
}

/// The way in which pages are mapped.
#[derive(Clone, Copy)]
pub(super) struct MapMode {
    /// The kind of memory.
    pub(super) kind: MemoryKind,
    /// Whether one entry of the table may cover several pages. If not, each page can be unmapped by
    /// itself.
    pub(super) large_pages: bool,
}

impl MapMode {
    /// Returns the first of `pages`, as many as one call of [`View::map`] may take.
    pub(super) fn at_once(&self, pages: Range<usize>) -> Range<usize> {
        if self.large_pages {
            pages
        } else {
            pages.start..pages.end.min(pages.start.saturating_add(CHUNK))
        }
    }
}

/// The result of one call of [`View::map`].
pub(super) struct Mapped {
    /// Number of mapped pages.
    pub(super) pages: usize,
    /// Number of mapped runs, unless they were divided into single pages.
    pub(super) runs: Option<usize>,
}

/// An error of [`View::map`].
pub(super) struct NotShown {
    pub(super) error: Error,
    /// Whether no table maps the page frames. If false, a device may still access them.
    pub(super) gone: bool,
    /// Number of pages of the runs that were to be mapped.
    pub(super) pages: usize,
}

/// A view and the page tables that map it.
pub(super) struct Window {
    pub(super) view: View,
    pub(super) tables: Tables,
    /// Whether the window can be split between any two pages, because no entry covers both.
    pub(super) divisible: bool,
}

impl Window {
    /// Returns the way in which its pages are mapped.
    pub(super) fn map_mode(&self, kind: MemoryKind) -> MapMode {
        MapMode {
            kind,
            large_pages: !self.divisible,
        }
    }

    /// Allocates memory for one more table.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the window has the table already, or the table belongs to another address space;
    /// `EIO` if the table has failed to unmap a range before; `ENOMEM`.
    pub(super) fn room_for(&mut self, table: &Table) -> Result {
        if self.tables.has(table) {
            return Err(EINVAL);
        }
        table.check(self.view.claim.space())?;
        self.tables.reserve()
    }

    /// Returns whether `table` is the only one of the window.
    pub(super) fn has_only(&self, table: &Table) -> bool {
        self.tables.only().is_some_and(|only| only.is_same(table))
    }

    /// Returns the claim, with the error for which the window was not opened.
    #[cold]
    pub(super) fn not_mapped(self, error: Error) -> NotMapped {
        NotMapped {
            error,
            claim: self.view.claim,
        }
    }
}

impl Covers for Window {
    fn pages(&self) -> Range<usize> {
        self.view.pages()
    }
}

/// The page tables of a window. Most windows have only one, which is stored inline.
#[derive(Default)]
pub(super) struct Tables {
    first: Option<Table>,
    /// The others. An `Option`, because even dropping an empty array costs time on the fast path.
    more: Option<KVec<Table>>,
}

impl Tables {
    /// Creates a list of `tables`, none of which occurs twice, in which a view is to be mapped.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there are none, or one belongs to another address space than the claim of the
    /// view; `EIO` if one has failed to unmap a range before; `ENOMEM`.
    #[inline(always)]
    pub(super) fn new(tables: &[Table], view: &View) -> Result<Self> {
        let space = view.claim.space();

        match tables {
            [] => Err(EINVAL),
            [only] => {
                only.check(space)?;
                Ok(Self {
                    first: Some(only.clone()),
                    more: None,
                })
            }
            several => {
                several.iter().try_for_each(|table| table.check(space))?;
                Self::collect(several.iter())
            }
        }
    }

    /// Returns a copy of the list.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn duplicate(&self) -> Result<Self> {
        Self::collect(self.iter())
    }

    #[inline(never)]
    fn collect<'a>(tables: impl Iterator<Item = &'a Table>) -> Result<Self> {
        let mut new = Self::default();

        for table in tables {
            new.reserve()?;
            new.push_reserved(table.clone());
        }
        Ok(new)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Table> + Clone {
        let more = self.more.as_deref().unwrap_or(&[]);

        Iterator::chain(self.first.iter(), more)
    }

    /// Returns the only table of a list that has exactly one.
    #[inline]
    pub(super) fn only(&self) -> Option<&Table> {
        let more = self.more.as_deref().unwrap_or(&[]);

        self.first.as_ref().filter(|_| more.is_empty())
    }

    /// Returns whether a table is in the list.
    pub(super) fn has(&self, table: &Table) -> bool {
        self.iter().any(|other| other.is_same(table))
    }

    /// Returns one of the tables.
    pub(super) fn any(&self) -> Option<&Table> {
        self.first.as_ref()
    }

    /// Allocates memory for one more table.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn reserve(&mut self) -> Result {
        if self.first.is_some() {
            let more = self.more.get_or_insert_with(KVec::new);
            more.reserve(1, GFP_KERNEL_ACCOUNT)?;
        }
        Ok(())
    }

    /// Adds a table, for which [`reserve`](Self::reserve) has allocated memory.
    pub(super) fn push_reserved(&mut self, table: Table) {
        if self.first.is_none() {
            self.first = Some(table);
        } else if let Some(more) = &mut self.more {
            let pushed = more.push_within_capacity(table);
            debug_assert!(pushed.is_ok());
        }
    }

    /// Removes a table.
    pub(super) fn remove(&mut self, table: &Table) -> Option<Table> {
        let same = |other: &Table| other.is_same(table);
        let more = self.more.as_mut();

        if self.first.as_ref().is_some_and(same) {
            return core::mem::replace(&mut self.first, more.and_then(KVec::pop));
        }
        let more = more?;
        let at = more.iter().position(same)?;
        more.remove(at).ok()
    }
}
