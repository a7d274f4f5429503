// SPDX-License-Identifier: GPL-2.0

//! Windows: ranges of IOVA through which page tables show a part of some pages.

use super::windows::Covers;
use crate::{
    array_vec::ArrayVec,
    iommu::{trim, Access, MapError, MemoryKind, PhysRun},
    mm::PfnRun,
    table::Table,
};
use core::ops::Range;
use kernel::{
    page::{PAGE_SHIFT, PAGE_SIZE},
    prelude::*,
};

/// Runs that are mapped with one call: what fits well on a stack.
const CHUNK: usize = 32;

/// A few runs of page frames.
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

    /// Keeps the first of `runs`.
    pub(super) fn fill(&mut self, runs: impl Iterator<Item = PfnRun>) {
        self.len = 0;
        for (slot, run) in self.runs.iter_mut().zip(runs) {
            *slot = whole_pages(run, MemoryKind::Normal);
            self.len += 1;
        }
    }

    /// Reads from `table` which page frames it shows for some pages of a view, as many runs as fit.
    ///
    /// # Safety
    ///
    /// The table shows all of them, and goes on doing so meanwhile.
    pub(super) unsafe fn read(&mut self, view: &View, table: &Table, pages: Range<usize>) {
        let bytes = view.bytes(pages);
        let iova = view.iova + bytes.start as u64;
        // SAFETY: The caller vouches for the range.
        self.len = unsafe { table.read_runs(iova, bytes.len(), &mut self.runs) }.runs;
    }

    /// Whether there are none.
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

/// Which bytes of some pages are to be seen where.
#[derive(Clone, Copy)]
pub struct View {
    /// IOVA of the first byte.
    pub iova: u64,
    /// The first byte, counted from the start of page 0.
    pub start: usize,
    /// How many bytes; not zero.
    pub length: usize,
    /// What devices may do.
    pub access: Access,
}

impl View {
    /// The pages that the bytes lie in.
    pub(super) fn pages(&self) -> Range<usize> {
        let end = self.start.saturating_add(self.length).div_ceil(PAGE_SIZE);

        self.start >> PAGE_SHIFT..end
    }

    /// Where in its page the first byte lies.
    #[inline]
    pub(super) fn page_offset(&self) -> usize {
        self.start % PAGE_SIZE
    }

    /// Which bytes of the view, counted from its first, lie in some of its pages.
    pub(super) fn bytes(&self, pages: Range<usize>) -> Range<usize> {
        let at = |page: usize| {
            page.saturating_mul(PAGE_SIZE)
                .saturating_sub(self.start)
                .min(self.length)
        };

        at(pages.start)..at(pages.end)
    }

    /// The page that a byte, counted from the first of the view, lies in.
    pub(super) fn page_of(&self, byte: usize) -> usize {
        (self.start + byte) >> PAGE_SHIFT
    }

    /// The part of the view from byte `at` on.
    pub(super) fn upper(&self, at: usize) -> Self {
        Self {
            iova: self.iova + at as u64,
            start: self.start + at,
            length: self.length - at,
            access: self.access,
        }
    }

    /// How many bytes of some of its pages the view does not show: it may begin and end within a
    /// page.
    fn hidden(&self, pages: &Range<usize>) -> (usize, usize) {
        let end = pages.end.saturating_mul(PAGE_SIZE);

        (
            self.start.saturating_sub(pages.start * PAGE_SIZE),
            end.saturating_sub(self.start.saturating_add(self.length)),
        )
    }

    /// Puts the page frames `runs`, which begin with page `page`, into each of `tables`, as many as
    /// one call takes. Returns how many those were.
    ///
    /// # Errors
    ///
    /// What a page table reports. Then none of them is in any table.
    ///
    /// # Safety
    ///
    /// The memory stays valid for DMA until it has been taken out of the tables again; these show
    /// nothing there yet.
    pub(super) unsafe fn map<'a>(
        &self,
        tables: impl Iterator<Item = &'a Table> + Clone,
        page: usize,
        runs: impl Iterator<Item = PfnRun>,
        how: How,
    ) -> core::result::Result<Mapped, NotShown> {
        let mut chunk = ArrayVec::<PhysRun, CHUNK>::new();
        let mut pages = 0;
        let entry = |run: PfnRun| {
            pages += run.count;
            whole_pages(run, how.kind)
        };

        if how.large_pages {
            chunk.extend(runs.map(entry));
        } else {
            chunk.extend(runs.flat_map(PfnRun::single_pages).map(entry));
        }

        let (before, behind) = self.hidden(&(page..page + pages));
        trim(chunk.as_mut_slice(), before, behind);

        let runs = chunk.as_slice();
        let bytes = self.bytes(page..page + pages);
        let iova = self.iova + bytes.start as u64;

        for (done, table) in tables.clone().enumerate() {
            // SAFETY: The caller keeps the memory valid, and says that nothing is mapped there.
            let mapped = unsafe { table.map(iova, runs, self.access, how.large_pages) };

            if let Err(MapError { error, undone }) = mapped {
                // SAFETY: The tables before this one were given these runs by the calls above.
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
            runs: how.large_pages.then_some(runs.len()),
        })
    }

    /// Takes a range of bytes, counted from the first of the view, out of page tables, so that no
    /// device reaches them any more. Whether that worked: nothing else is the fault of a driver, and
    /// the memory must stay where it is then.
    ///
    /// # Safety
    ///
    /// Both ends are ends of runs given to [`map`](Self::map), or borders between page frames that
    /// are not next to each other; everything between is in the tables.
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
            // SAFETY: The caller vouches for the range.
            gone &= unsafe { table.unmap(self.iova + bytes.start as u64, bytes.len()) };
        }
        gone
    }
}

/// All of some page frames.
#[inline]
pub(super) fn whole_pages(run: PfnRun, kind: MemoryKind) -> PhysRun {
    PhysRun {
        phys: (run.pfn << PAGE_SHIFT) as u64,
        length: run.count << PAGE_SHIFT,
        kind,
    }
}

/// The page frames that a run lies in.
#[inline]
pub(super) fn frames_of(run: &PhysRun) -> PfnRun {
    let start = run.phys as usize;
    let pfn = start >> PAGE_SHIFT;

    PfnRun {
        pfn,
        // No physical address is so high that this overflows.
        count: ((start + run.length + (PAGE_SIZE - 1)) >> PAGE_SHIFT) - pfn,
    }
}

/// How pages are mapped.
#[derive(Clone, Copy)]
pub(super) struct How {
    /// What the memory is.
    pub(super) kind: MemoryKind,
    /// Whether neighbours may share an entry of the table. If not, each page can be taken out alone.
    pub(super) large_pages: bool,
}

impl How {
    /// The first of some pages, as many as one call of [`View::map`] can take.
    pub(super) fn at_once(&self, pages: Range<usize>) -> Range<usize> {
        if self.large_pages {
            pages
        } else {
            pages.start..pages.end.min(pages.start.saturating_add(CHUNK))
        }
    }
}

/// What one call of [`View::map`] has put into tables.
pub(super) struct Mapped {
    /// How many pages.
    pub(super) pages: usize,
    /// How many runs, if they were taken as they were.
    pub(super) runs: Option<usize>,
}

/// Why some page frames are in no table.
pub(super) struct NotShown {
    pub(super) error: Error,
    /// Whether they really are in none: if not, a device may still reach them.
    pub(super) gone: bool,
    /// How many pages these are.
    pub(super) pages: usize,
}

/// A view and the page tables that show it.
pub(super) struct Window {
    pub(super) view: View,
    pub(super) tables: Tables,
    /// Whether it can be cut at any border between pages, because no entry covers two.
    pub(super) divisible: bool,
}

impl Window {
    /// How its pages are mapped.
    pub(super) fn how(&self, kind: MemoryKind) -> How {
        How {
            kind,
            large_pages: !self.divisible,
        }
    }
}

impl Covers for Window {
    fn pages(&self) -> Range<usize> {
        self.view.pages()
    }
}

/// The page tables of a window: nearly always one, which costs no allocation.
#[derive(Default)]
pub(super) struct Tables {
    first: Option<Table>,
    /// To drop even an empty array takes time.
    more: Option<KVec<Table>>,
}

impl Tables {
    /// # Errors
    ///
    /// `ENOMEM`.
    #[inline]
    pub(super) fn new(tables: &[Table]) -> Result<Self> {
        Ok(match tables {
            [] => Self::default(),
            [only] => Self {
                first: Some(only.clone()),
                more: None,
            },
            several => Self::collect(several.iter())?,
        })
    }

    /// The same tables once more.
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

    /// The one that there is, if there is one.
    #[inline]
    pub(super) fn only(&self) -> Option<&Table> {
        let more = self.more.as_deref().unwrap_or(&[]);

        self.first.as_ref().filter(|_| more.is_empty())
    }

    /// Whether a table is among them.
    pub(super) fn has(&self, table: &Table) -> bool {
        self.iter().any(|other| other.is_same(table))
    }

    /// One of them.
    pub(super) fn any(&self) -> Option<&Table> {
        self.first.as_ref()
    }

    /// Makes room for one more.
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

    /// Adds one for which there is room.
    pub(super) fn push_reserved(&mut self, table: Table) {
        if self.first.is_none() {
            self.first = Some(table);
        } else if let Some(more) = &mut self.more {
            let pushed = more.push_within_capacity(table);
            debug_assert!(pushed.is_ok());
        }
    }

    /// Takes one out.
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
