// SPDX-License-Identifier: GPL-2.0

//! Unmapping, which returns the memory that was mapped as runs.

use super::{
    error::Error,
    format::Format,
    gather::Gather,
    memory::TableMemory,
    page_table::PageTable,
    place::Place,
    run::{MemoryKind, PhysRun},
    tree::Table,
};

/// Joins pages of adjacent memory to runs.
struct Joiner<S: FnMut(PhysRun)> {
    run: Option<PhysRun>,
    sink: S,
}

impl<S: FnMut(PhysRun)> Joiner<S> {
    #[inline(always)]
    fn push(&mut self, phys: u64, length: usize, kind: MemoryKind) {
        match &mut self.run {
            Some(run) if run.phys + run.length as u64 == phys && run.kind == kind => {
                run.length += length;
            }
            run => {
                let page = PhysRun { phys, length, kind };

                if let Some(run) = run.replace(page) {
                    (self.sink)(run);
                }
            }
        }
    }

    fn finish(mut self) {
        if let Some(run) = self.run {
            (self.sink)(run);
        }
    }
}

/// The result of clearing a part of a table.
struct Cleared {
    /// The number of entries that were cleared.
    entries: u64,
    /// The IOVA of the first entry that was not cleared.
    end: u64,
    /// Whether that entry is a page of which a part is outside the range.
    large: bool,
}

impl<F: Format, M: TableMemory> PageTable<F, M> {
    /// Removes all pages in `length` bytes from `iova` on, and returns how many bytes were mapped.
    ///
    /// The range may have holes. `removed` is called with the memory in the order of the IOVAs, in
    /// the longest runs that the pages form; it must not sleep. The memory, and the tables that
    /// have become empty, must not be used again before `gather` has been flushed.
    ///
    /// Large pages of which a part is outside the range are [cut](Self::cut) before any page is
    /// removed. Without such pages, unmapping allocates no memory and cannot fail.
    ///
    /// # Errors
    ///
    /// No page is removed then.
    ///
    /// - [`Error::Alignment`], [`Error::Range`] for the range.
    /// - [`Error::NoMemory`], [`Error::Indivisible`] for a page that would have to be cut.
    ///
    /// # Examples
    ///
    /// ```
    /// # use iommu_pagetable::{memory::HostMemory, vtd::SecondStage, Limits};
    /// use iommu_pagetable::{Access, Error, Gather, MemoryKind, PageTable, PhysRun};
    ///
    /// # let memory = <HostMemory>::default();
    /// # let limits = Limits::default();
    /// # let table = PageTable::<SecondStage<4>, _>::new(memory, Default::default(), limits, ())?;
    /// # let run = PhysRun { phys: 0x7000, length: 0x3000, kind: MemoryKind::Normal };
    /// # let access = Access { read: true, write: true };
    /// # let mut gather = Gather::new();
    /// # table.map(0x10_0000, &[run], access.into(), (), &mut gather)?;
    /// # gather.flush(&table, |_| ());
    /// // 12 KiB at physical address 0x7000 are mapped at IOVA 0x10_0000.
    /// let mut gather = Gather::new();
    /// let mut removed = Vec::new();
    /// let bytes = table.unmap(0x10_0000, 0x10_0000, (), &mut gather, |run| removed.push(run))?;
    ///
    /// gather.flush(&table, |gather| {
    ///     // Invalidate the IOTLB for gather.range(), and the caches of tables if has_tables().
    ///     assert!(gather.range().contains(&0x10_0000));
    /// });
    /// // Now the memory can be unpinned.
    /// assert_eq!(bytes, 0x3000);
    /// assert_eq!((removed[0].phys, removed[0].length), (0x7000, 0x3000));
    /// # Ok::<(), Error>(())
    /// ```
    #[inline]
    pub fn unmap(
        &self,
        iova: u64,
        length: u64,
        flags: M::Flags,
        gather: &mut Gather<M>,
        removed: impl FnMut(PhysRun),
    ) -> Result<u64, Error> {
        let last = Self::last(iova, length)?;
        let mut joiner = Joiner {
            run: None,
            sink: removed,
        };
        let mut at = iova;
        let mut bytes = 0;

        // If one lowest table translates the range, a larger page covers all of it and is found
        // before any page is removed.
        if self.has_groups(0) || (iova ^ last) >> F::span_bits(1) != 0 {
            self.cut_ends(iova, last, flags, gather)?;
        }
        let result = loop {
            bytes += self.remove(&mut at, last, gather, &mut joiner);
            if at > last {
                break Ok(());
            }
            let cut = self.cut_ends(iova, last, flags, gather);

            if cut.is_err() {
                break cut;
            }
        };

        joiner.finish();
        if bytes != 0 {
            gather.add(iova, last);
        }
        result.map(|()| bytes)
    }

    /// Cuts the pages that cross either end of the range from `iova` to `last`.
    fn cut_ends(
        &self,
        iova: u64,
        last: u64,
        flags: M::Flags,
        gather: &mut Gather<M>,
    ) -> Result<(), Error> {
        self.cut(iova, flags, gather)?;
        self.cut(last + 1, flags, gather)
    }

    /// Removes what a failed map has written from `iova` to `end`, exclusive.
    #[cold]
    pub(super) fn undo_map(&self, iova: u64, end: u64, gather: &mut Gather<M>) {
        let mut at = iova;
        let mut ignored = Joiner {
            run: None,
            sink: |_| (),
        };

        if iova < end {
            self.remove(&mut at, end - 1, gather, &mut ignored);
            gather.add(iova, end - 1);
        }
    }

    /// Removes the pages from `at` to `last`, up to a page of which a part is outside the range.
    /// Returns how many bytes were removed.
    ///
    /// `at` is then the first IOVA in such a page, or above `last` if there was none.
    #[inline(always)]
    fn remove(
        &self,
        at: &mut u64,
        last: u64,
        gather: &mut Gather<M>,
        joiner: &mut Joiner<impl FnMut(PhysRun)>,
    ) -> u64 {
        let mut bytes = 0;

        while *at <= last {
            let Some(removed) = self.clear_table(at, last, gather, joiner) else {
                break;
            };

            bytes += removed;
        }
        bytes
    }

    /// Removes the pages of one table, and moves `at` past them. Returns how many bytes were
    /// removed, or `None` at a page of which a part is outside the range.
    #[inline(always)]
    fn clear_table(
        &self,
        at: &mut u64,
        last: u64,
        gather: &mut Gather<M>,
        joiner: &mut Joiner<impl FnMut(PhysRun)>,
    ) -> Option<u64> {
        let reader = self.tree.read();
        let place = Place::seek(&reader, *at, 0);
        let begin = *at;
        let level = place.table.level();
        // The compiler makes a copy of the code for the lowest tables, which most pages are in.
        let Cleared {
            entries,
            end,
            large,
        } = match level {
            0 => Self::clear_entries(place.table, 0, begin, last, joiner),
            level => Self::clear_entries(place.table, level, begin, last, joiner),
        };

        if entries != 0 {
            // Counted in entries, because the range may begin within an empty entry.
            let count = ((end - 1) >> F::span_bits(level)) - (begin >> F::span_bits(level)) + 1;

            place.table.flush(begin, count as usize);
            place.give_back(&reader, begin, entries, gather);
        }
        *at = end.max(begin);
        (!large).then_some(entries << F::span_bits(level))
    }

    /// Clears the entries of `table`, which is of `level`, from `begin` to `last`, up to a link or
    /// a page of which a part is outside the range.
    #[inline(always)]
    fn clear_entries(
        table: Table<'_, F, M>,
        level: u32,
        begin: u64,
        last: u64,
        joiner: &mut Joiner<impl FnMut(PhysRun)>,
    ) -> Cleared {
        let size = 1u64 << F::span_bits(level);
        let mut cleared = Cleared {
            entries: 0,
            end: begin & !(size - 1),
            large: false,
        };

        for slot in table.slots_from(begin) {
            let entry = slot.raw();

            if entry != 0 {
                if F::is_link(level, entry) {
                    break;
                }
                if level > 0 && (cleared.end < begin || cleared.end + (size - 1) > last) {
                    cleared.large = true;
                    break;
                }
                joiner.push(F::phys(entry), size as usize, F::kind(entry));
                slot.set_leaf(0);
                cleared.entries += 1;
            }
            cleared.end += size;
            if cleared.end > last {
                break;
            }
        }
        cleared
    }
}
