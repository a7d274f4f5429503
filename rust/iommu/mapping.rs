// SPDX-License-Identifier: GPL-2.0

//! Pinned memory at an IOVA, in one or several page tables.
//!
//! A [`PinnedMapping`] is the only owner of both the pins and the range of IOVA. That is what makes
//! DMA mappings safe to use: memory is unpinned after every page table has let go of it, never
//! before, and nobody else can touch what the page tables hold in between.
//!
//! To give pins back, one must know the page frames. Where memory is contiguous, a short list of
//! runs is kept. Where it is scattered, the list would cost more than the page table that holds the
//! same information anyway: then they are read back from there.

use super::{
    page_table::PageTable,
    run::{Access, MemoryKind, PhysRun},
};
use crate::mm::{unpin, Charge, Memory, PfnRun, PinnedBatch};
use kernel::{
    page::{PAGE_SHIFT, PAGE_SIZE},
    prelude::*,
    sync::Arc,
};

/// Runs that are mapped with one call.
const CHUNK: usize = 64;
/// Runs that are read back with one IOTLB flush, where there is memory for so many: 64 KiB.
const READ_BACK: usize = 65536 / size_of::<PhysRun>();
/// Runs that are read back with one IOTLB flush where there is no memory at all.
const READ_BACK_STACK: usize = 16;
/// A list of runs is kept while it has at most so many entries, and one more for each ...
const LISTED_RUNS: usize = 8;
/// ... so many pages: a quarter of a byte per page.
const PAGES_PER_LISTED_RUN: usize = 64;

const NO_RUN: PhysRun = PhysRun {
    phys: 0,
    length: 0,
    kind: MemoryKind::Normal,
};

/// A page table as the owners of mappings share it.
type Table = Arc<dyn PageTable>;

/// A range of IOVA that maps pinned memory, the same in each of its page tables.
///
/// Dropping it unmaps the range and gives the pins back; that cannot fail and needs no memory.
///
/// # Invariants
///
/// Each table of `tables` maps the first `pages` pages of the range, and nothing else there. The
/// mapping owns one pin of each of these pages. `runs`, if there, lists all of them in order.
pub struct PinnedMapping {
    tables: Tables,
    /// IOVA of the first byte.
    iova: u64,
    /// Where in the first page the range begins, in bytes.
    offset: usize,
    /// The length of the whole range in bytes.
    length: usize,
    /// How many pages are there by now.
    pages: usize,
    access: Access,
    writable: bool,
    runs: Option<KVVec<PfnRun>>,
}

/// The page tables of a mapping: nearly always one, which costs no allocation.
#[derive(Default)]
struct Tables {
    first: Option<Table>,
    more: KVec<Table>,
}

impl Tables {
    fn iter(&self) -> impl Iterator<Item = &Table> {
        Iterator::chain(self.first.iter(), self.more.iter())
    }

    fn push(&mut self, table: Table) -> Result {
        match self.first {
            None => self.first = Some(table),
            Some(_) => self.more.push(table, GFP_KERNEL_ACCOUNT)?,
        }
        Ok(())
    }

    fn remove(&mut self, table: &Table) -> Option<Table> {
        if self.first.as_ref().is_some_and(|first| same(first, table)) {
            return core::mem::replace(&mut self.first, self.more.pop());
        }
        let at = self.more.iter().position(|other| same(other, table))?;
        self.more.remove(at).ok()
    }
}

fn same(a: &Table, b: &Table) -> bool {
    core::ptr::addr_eq(&raw const **a, &raw const **b)
}

impl PinnedMapping {
    /// Pins `memory`, charges `charge` for it, and maps it at `iova` in each of `tables`.
    ///
    /// # Errors
    ///
    /// `EPERM` if the device may write memory that is pinned for reading only; `EINVAL` without
    /// tables; else what pinning, charging or a page table reports. Nothing is mapped or pinned then; it is for the caller to
    /// clear the charge.
    pub fn new<'a>(
        iova: u64,
        memory: &Memory,
        access: Access,
        tables: impl Iterator<Item = &'a Table>,
        charge: &mut Charge,
    ) -> Result<Self> {
        if access.write && !memory.writable() {
            return Err(EPERM);
        }
        let mut mapping = Self {
            tables: Tables::default(),
            iova,
            offset: memory.offset(),
            length: memory.length(),
            pages: 0,
            access,
            writable: memory.writable(),
            runs: Some(KVVec::new()),
        };
        let mut batch = PinnedBatch::new(memory, memory.npages())?;

        for table in tables {
            mapping.tables.push(table.clone())?;
        }
        if mapping.tables.first.is_none() {
            return Err(EINVAL);
        }
        while mapping.pages < memory.npages() {
            charge.add(batch.pin(memory, mapping.pages, usize::MAX)?)?;
            mapping.extend(&mut batch)?;
        }
        Ok(mapping)
    }

    /// Maps the pages of `batch` behind those that are there, and takes over their pins. On failure
    /// what could be mapped is, and the rest stays in `batch`.
    fn extend(&mut self, batch: &mut PinnedBatch) -> Result {
        let mut chunk = [NO_RUN; CHUNK];

        while !batch.is_empty() {
            let mut count = 0;
            let mut pages = 0;

            for (slot, run) in chunk.iter_mut().zip(batch.runs()) {
                *slot = self.phys_run(self.pages + pages, run);
                pages += run.count;
                count += 1;
            }
            if let Err((error, gone)) = self.map_chunk(chunk.get(..count).unwrap_or(&[]), pages) {
                if !gone {
                    // A device may still reach them: they stay pinned for ever.
                    batch.take(pages);
                }
                return Err(error);
            }
            for run in batch.runs().take(count) {
                self.list(run);
                self.pages += run.count;
            }
            // INVARIANT: All tables map these pages now, and the pins are ours.
            batch.take(pages);
        }
        Ok(())
    }

    /// Maps the same memory in one more page table.
    ///
    /// # Errors
    ///
    /// Whatever the page table reports, or `ENOMEM`; the mapping is unchanged then.
    pub fn add_table(&mut self, table: &Table) -> Result {
        let mut mapped = 0;
        let result = self
            .for_each_chunk(|start, runs, bytes| {
                // SAFETY: The memory is pinned for as long as the mapping lives, and the range
                // belongs to it.
                unsafe { table.map(self.iova + start as u64, runs, self.access) }?;
                mapped = start + bytes;
                Ok(())
            })
            .and_then(|()| self.tables.push(table.clone()));

        if result.is_err() && mapped != 0 {
            // If the driver cannot undo what it has just done, the pages stay pinned by the others.
            // SAFETY: These bytes were mapped just now, chunk by chunk.
            let _ = unsafe { table.unmap_and_sync(self.iova, mapped) };
        }
        result
    }

    /// Takes the memory out of one page table. Gives the mapping back if others still hold it;
    /// with the last one it is gone.
    pub fn remove_table(mut self, table: &Table) -> Option<Self> {
        if self.tables.iter().all(|other| same(other, table)) {
            return None;
        }
        if let Some(table) = self.tables.remove(table) {
            // SAFETY: By the type invariant the table maps this much.
            if !unsafe { table.unmap_and_sync(self.iova, self.mapped_bytes()) } {
                self.leak();
                return None;
            }
        }
        Some(self)
    }

    /// Gives the pins up for lost: a driver has kept a mapping.
    fn leak(mut self) {
        self.pages = 0;
    }

    /// Maps one chunk of `pages` pages behind those that are there, in all tables or in none. An
    /// error comes with whether it is gone from all of them.
    fn map_chunk(&self, runs: &[PhysRun], pages: usize) -> core::result::Result<(), (Error, bool)> {
        let (start, bytes) = self.span(self.pages, pages);
        let iova = self.iova + start as u64;

        for (done, table) in self.tables.iter().enumerate() {
            // SAFETY: The caller holds pins that it hands over on success, and this range is ours
            // and empty.
            if let Err(error) = unsafe { table.map(iova, runs, self.access) } {
                let mut gone = true;

                for table in self.tables.iter().take(done) {
                    // SAFETY: It was mapped just now.
                    gone &= unsafe { table.unmap_and_sync(iova, bytes) };
                }
                return Err((error, gone));
            }
        }
        Ok(())
    }

    /// Remembers a run, as long as the list is worth its memory.
    fn list(&mut self, run: PfnRun) {
        let Some(runs) = &mut self.runs else { return };
        let limit = LISTED_RUNS + (self.pages + run.count) / PAGES_PER_LISTED_RUN;

        if let Some(last) = runs
            .last_mut()
            .filter(|last| last.pfn + last.count == run.pfn)
        {
            last.count += run.count;
        } else if runs.len() >= limit || runs.push(run, GFP_KERNEL_ACCOUNT).is_err() {
            self.runs = None;
        }
    }

    /// Where in the range `count` pages from page `index` on lie, in bytes: start and length.
    fn span(&self, index: usize, count: usize) -> (usize, usize) {
        let start = (index << PAGE_SHIFT).saturating_sub(self.offset);
        let end = ((index + count) << PAGE_SHIFT)
            .saturating_sub(self.offset)
            .min(self.length);

        (start, end.saturating_sub(start))
    }

    fn mapped_bytes(&self) -> usize {
        self.span(0, self.pages).1
    }

    /// The bytes of `run`, which begins with page `index` of the range.
    fn phys_run(&self, index: usize, run: PfnRun) -> PhysRun {
        let skipped = if index == 0 { self.offset } else { 0 };

        PhysRun {
            phys: ((run.pfn << PAGE_SHIFT) + skipped) as u64,
            length: self.span(index, run.count).1,
            kind: MemoryKind::Normal,
        }
    }

    /// Calls `f` for all that is mapped, in order: offset in bytes, runs, and their length.
    fn for_each_chunk(&self, mut f: impl FnMut(usize, &[PhysRun], usize) -> Result) -> Result {
        let mut chunk = [NO_RUN; CHUNK];

        if let Some(runs) = &self.runs {
            let mut index = 0;

            for part in runs.chunks(CHUNK) {
                let mut pages = 0;

                for (slot, run) in chunk.iter_mut().zip(part) {
                    *slot = self.phys_run(index + pages, *run);
                    pages += run.count;
                }
                let (start, bytes) = self.span(index, pages);
                f(start, chunk.get(..part.len()).unwrap_or(&[]), bytes)?;
                index += pages;
            }
        } else if let Some(table) = &self.tables.first {
            let total = self.mapped_bytes();
            let mut start = 0;

            while start < total {
                let iova = self.iova + start as u64;
                // SAFETY: By the type invariant all of it is mapped, and `self` keeps it so.
                let count = unsafe { table.read_runs(iova, total - start, &mut chunk) };
                let runs = chunk.get(..count).unwrap_or(&[]);
                let bytes = runs.iter().map(|run| run.length).sum();

                f(start, runs, bytes)?;
                start += bytes;
            }
        }
        Ok(())
    }

    /// Reads the page frames back from `table` while unmapping it, and unpins them. Stops where the
    /// driver cannot unmap.
    fn drain(&self, table: &dyn PageTable, buffer: &mut [PhysRun]) {
        let total = self.mapped_bytes();
        let mut start = 0;

        while start < total {
            let iova = self.iova + start as u64;
            // SAFETY: By the type invariant all of it is mapped, and `self` keeps it so.
            let count = unsafe { table.read_runs(iova, total - start, buffer) };
            let runs = buffer.get(..count).unwrap_or(&[]);
            let bytes: usize = runs.iter().map(|run| run.length).sum();

            // SAFETY: `read_runs` ends with a whole run.
            if kernel::warn_on!(bytes == 0) || !unsafe { table.unmap_and_sync(iova, bytes) } {
                return;
            }
            for run in runs {
                let pfn = run.phys as usize >> PAGE_SHIFT;
                let end = (run.phys as usize + run.length).div_ceil(PAGE_SIZE);
                let count = end - pfn;

                // SAFETY: No table maps these pages any more, and by the type invariant the pins
                // are ours.
                unsafe { unpin(PfnRun { pfn, count }, self.writable) };
            }
            start += bytes;
        }
    }

    /// As [`drain`](Self::drain), with the largest buffer that is to be had.
    fn drain_all(&self, table: &dyn PageTable) {
        let wanted = self.pages.min(READ_BACK);

        match KVVec::from_elem(NO_RUN, wanted, GFP_KERNEL | __GFP_NOWARN) {
            Ok(mut buffer) => self.drain(table, &mut buffer),
            Err(_) => self.drain(table, &mut [NO_RUN; READ_BACK_STACK]),
        }
    }
}

impl Drop for PinnedMapping {
    fn drop(&mut self) {
        if self.pages == 0 {
            return;
        }
        // Page frames that are not listed can be read from the table that goes last.
        let keep = if self.runs.is_some() { 0 } else { 1 };

        for table in self.tables.iter().skip(keep) {
            // SAFETY: By the type invariant the table maps this much.
            if !unsafe { table.unmap_and_sync(self.iova, self.mapped_bytes()) } {
                // A device may still reach the pages: they stay pinned for ever.
                return;
            }
        }
        match (&self.runs, &self.tables.first) {
            (Some(runs), _) => {
                for run in runs {
                    // SAFETY: No table maps these pages any more, and by the type invariant the
                    // pins are ours.
                    unsafe { unpin(*run, self.writable) };
                }
            }
            (None, Some(table)) => self.drain_all(&**table),
            (None, None) => {}
        }
    }
}
