// SPDX-License-Identifier: GPL-2.0

//! Random operations on a page table, which is compared with a list of pages.
//!
//! These tests use the kernel's memory. The thorough tests of the same source run on the host; they
//! are in `drivers/iommu/pagetable/tests`.

use core::ops::ControlFlow;
use kernel_ext::iommu::{
    table::{Error, Format, Gather, Limits, PageTable, Permissions, TableMemory},
    MemoryKind, PhysRun,
};
use kernel::fmt;

/// The number of pages in the window in which pages are mapped at random.
pub(crate) const WINDOW: usize = 2048;
/// The number of random operations for each format.
const STEPS: usize = 400;
/// The largest number of runs in one call.
const BATCH: usize = 64;
/// Permissions that all formats can express.
pub(crate) const ALL: Permissions = Permissions {
    read: true,
    write: true,
    execute: true,
    privileged: false,
};

/// An expectation that does not hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    /// The expectation.
    pub(crate) what: &'static str,
    /// The IOVA at which it does not hold.
    pub(crate) iova: u64,
    /// An address, a length or a number that helps to find the reason.
    pub(crate) detail: u64,
}

impl Failure {
    /// Creates the failure of an expectation that is not about an IOVA.
    pub(crate) const fn new(what: &'static str) -> Self {
        Self {
            what,
            iova: 0,
            detail: 0,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, iova, detail } = self;

        write!(f, "expected that {what} (iova {iova:#x}, {detail:#x})")
    }
}

/// Returns the failure of `what` unless `condition` holds.
fn check(condition: bool, what: &'static str, iova: u64, detail: u64) -> Result<(), Failure> {
    if condition {
        Ok(())
    } else {
        Err(Failure { what, iova, detail })
    }
}

/// A sequence of pseudo-random numbers, the same in every run (xorshift64).
pub(crate) struct Numbers(u64);

impl Numbers {
    /// Starts a sequence.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// Returns the next number, which is below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }
}

/// A page table, and the list of pages that it is compared with.
pub(crate) struct Exercise<'a, F: Format, M: TableMemory> {
    table: &'a PageTable<F, M>,
    flags: M::Flags,
    /// The IOVA of the first page of the window.
    base: u64,
    /// The physical address of each page of the window plus one, or 0 for a hole.
    pages: &'a mut [u64],
    numbers: Numbers,
}

impl<'a, F: Format, M: TableMemory> Exercise<'a, F, M> {
    /// Places the window across the boundary of the largest tables, so that tables of every level
    /// are needed twice.
    pub(crate) fn new(
        table: &'a PageTable<F, M>,
        flags: M::Flags,
        pages: &'a mut [u64],
        seed: u64,
    ) -> Self {
        let middle = 1u64 << (F::INPUT_BITS - 1);

        pages.fill(0);
        Self {
            table,
            flags,
            base: middle - ((pages.len() as u64 / 2) << F::GRANULE_BITS),
            pages,
            numbers: Numbers::new(seed),
        }
    }

    /// Maps and unmaps at random; the table is empty at the end.
    pub(crate) fn run(&mut self) -> Result<(), Failure> {
        for _ in 0..STEPS {
            let first = self.numbers.below(self.pages.len() as u64) as usize;
            let most = (self.pages.len() - first).min(600) as u64;
            let count = 1 + self.numbers.below(most) as usize;

            if self.numbers.below(2) == 0 {
                self.map(first, count)?;
            } else {
                self.unmap(first, count)?;
            }
            // Comparing every page takes longer than the operations.
            if self.numbers.below(8) == 0 {
                self.compare()?;
            }
        }
        self.compare()?;
        self.unmap(0, self.pages.len())?;
        self.compare()
    }

    fn iova(&self, page: usize) -> u64 {
        self.base + ((page as u64) << F::GRANULE_BITS)
    }

    /// Fills `runs` for up to `count` pages: runs of one page, and longer ones that are aligned as
    /// the IOVA is. Returns the number of runs and of pages.
    fn runs(&mut self, first: usize, count: usize, runs: &mut [PhysRun]) -> (usize, usize) {
        let mut used = 0;
        let mut pages = 0;

        for run in runs.iter_mut() {
            let length = (1 + self.numbers.below(300) * self.numbers.below(2)) as usize;
            let length = length.min(count - pages);
            let large = self.numbers.below(1 << 10) << (F::GRANULE_BITS + F::INDEX_BITS);
            let small = if length == 1 {
                self.numbers.below(1 << F::INDEX_BITS) << F::GRANULE_BITS
            } else {
                self.iova(first + pages) & ((1 << (F::GRANULE_BITS + F::INDEX_BITS)) - 1)
            };

            if length == 0 {
                break;
            }
            *run = PhysRun {
                phys: large | small,
                length: length << F::GRANULE_BITS,
                kind: MemoryKind::Normal,
            };
            used += 1;
            pages += length;
        }
        (used, pages)
    }

    fn map(&mut self, first: usize, count: usize) -> Result<(), Failure> {
        let mut runs = [PhysRun {
            phys: 0,
            length: 0,
            kind: MemoryKind::Normal,
        }; BATCH];
        let iova = self.iova(first);
        let (used, pages) = self.runs(first, count, &mut runs);
        let runs = &runs[..used];
        let mut gather = Gather::new();
        let result = self.table.map(iova, runs, ALL, self.flags, &mut gather);
        let range = &mut self.pages[first..first + pages];
        let free = range.iter().all(|&page| page == 0);

        gather.flush(self.table, |_| ());
        if free {
            let mut pages = range.iter_mut();

            check(
                result.is_ok(),
                "a map into a hole succeeds",
                iova,
                pages.len() as u64,
            )?;
            for run in runs {
                for offset in (0..run.length as u64).step_by(1 << F::GRANULE_BITS) {
                    if let Some(page) = pages.next() {
                        *page = run.phys + offset + 1;
                    }
                }
            }
        } else {
            let exists = result == Err(Error::Exists);

            check(exists, "a map over a page is refused", iova, pages as u64)?;
        }
        self.compare()
    }

    fn unmap(&mut self, first: usize, count: usize) -> Result<(), Failure> {
        let iova = self.iova(first);
        let length = (count as u64) << F::GRANULE_BITS;
        let mut gather = Gather::new();
        let range = &mut self.pages[first..first + count];
        let mut expected = range.iter().filter(|&&page| page != 0);
        let mut wrong = None;
        let result = self
            .table
            .unmap(iova, length, self.flags, &mut gather, |run| {
                for offset in (0..run.length as u64).step_by(1 << F::GRANULE_BITS) {
                    if expected.next() != Some(&(run.phys + offset + 1)) {
                        wrong = Some(run.phys + offset);
                    }
                }
            });
        let all = expected.next().is_none();
        let mapped = range.iter().filter(|&&page| page != 0).count() as u64;

        gather.flush(self.table, |_| ());
        if result == Err(Error::Indivisible) && !F::CAN_CUT {
            return Ok(());
        }
        check(
            wrong.is_none(),
            "an unmap returns what was mapped",
            iova,
            wrong.unwrap_or(0),
        )?;
        check(all, "an unmap returns all that was mapped", iova, length)?;
        let bytes = mapped << F::GRANULE_BITS;

        check(
            result == Ok(bytes),
            "an unmap counts the bytes",
            iova,
            bytes,
        )?;
        range.fill(0);
        Ok(())
    }

    /// Compares every page of the window with the list.
    fn compare(&self) -> Result<(), Failure> {
        let last = self.iova(self.pages.len()) - 1;
        let mut seen = 0;

        for (page, &expected) in self.pages.iter().enumerate() {
            let found = self
                .table
                .translate(self.iova(page))
                .map_or(0, |phys| phys + 1);

            check(
                found == expected,
                "a lookup finds what was mapped",
                self.iova(page),
                found,
            )?;
        }
        self.table.for_each(self.base, last, |leaf| {
            seen += leaf.size >> F::GRANULE_BITS;
            ControlFlow::Continue(())
        });
        let mapped = self.pages.iter().filter(|&&page| page != 0).count() as u64;

        check(
            seen == mapped,
            "an iteration finds every page once",
            self.base,
            seen,
        )
    }

    /// Maps a page of every size, unmaps a part of it where the format allows that, and the rest.
    pub(crate) fn large_pages(&mut self) -> Result<(), Failure> {
        for bits in (0..F::INPUT_BITS).filter(|&bits| self.table.page_sizes() & (1 << bits) != 0) {
            self.large_page(1 << bits)?;
        }
        Ok(())
    }

    fn large_page(&mut self, size: u64) -> Result<(), Failure> {
        let granule = 1u64 << F::GRANULE_BITS;
        let run = PhysRun {
            phys: size,
            length: size as usize,
            kind: MemoryKind::Normal,
        };
        let mut gather = Gather::new();
        let mapped = self.table.map(size, &[run], ALL, self.flags, &mut gather);

        if size >= 1 << (F::INPUT_BITS - 1) {
            return Ok(());
        }
        check(mapped.is_ok(), "a large page can be mapped", size, size)?;
        let last = size + (size - granule);

        check(
            self.table.translate(last) == Some(last),
            "a large page is mapped to the end",
            last,
            size,
        )?;
        let part = self
            .table
            .unmap(last, granule, self.flags, &mut gather, |_| ());
        let divisible = size == granule || F::CAN_CUT;
        let expected = if divisible {
            Ok(granule)
        } else {
            Err(Error::Indivisible)
        };

        check(
            part == expected,
            "a part is unmapped where cutting is allowed",
            last,
            size,
        )?;
        let rest = self
            .table
            .unmap(size, size, self.flags, &mut gather, |_| ());
        let left = if divisible { size - granule } else { size };

        check(rest == Ok(left), "the rest is unmapped", size, left)?;
        gather.flush(self.table, |_| ());
        check(
            self.table.lookup(size).is_none(),
            "no page is left",
            size,
            size,
        )
    }
}

/// Creates a page table in the format `F`, and runs all operations on it.
pub(crate) fn exercise<F: Format, M: TableMemory>(
    memory: M,
    options: F::Options,
    flags: M::Flags,
    pages: &mut [u64],
) -> Result<(), Failure> {
    let table = PageTable::<F, M>::new(memory, options, Limits::default(), flags)
        .map_err(|_| Failure::new("a table can be created"))?;
    let mut exercise = Exercise::new(&table, flags, pages, 0x5eed_0000 + u64::from(F::INPUT_BITS));

    exercise.large_pages()?;
    exercise.run()
}
