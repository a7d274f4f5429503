// SPDX-License-Identifier: GPL-2.0

//! Unmapping: it finds by itself what is there, and hands it back as runs.

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

/// Joins pages that lie next to each other to runs.
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

/// What became of a part of a table.
struct Cleared {
    /// How many entries there were that are now empty.
    entries: u64,
    /// IOVA of the first entry that was not looked at, or is not empty.
    end: u64,
    /// Is there a page that reaches out of the range?
    large: bool,
}

impl<F: Format, M: TableMemory> PageTable<F, M> {
    /// Removes what is mapped in `length` bytes from `iova` on; holes are allowed. `removed` gets
    /// the memory, in the order of the IOVAs and in the longest runs that pages make; it must not sleep. The memory, and
    /// the tables that were freed, may be used again after `gather` has been flushed. Returns how many
    /// bytes were mapped.
    ///
    /// Large pages that reach out of the range are [cut](Self::cut) before anything is removed. If
    /// there are none, unmapping needs no memory and cannot fail.
    ///
    /// # Errors
    ///
    /// [`Error::Alignment`], [`Error::Range`]; [`Error::NoMemory`] and [`Error::Indivisible`] for
    /// pages that are to be cut. Nothing is removed then.
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

        // In a range of one lowest table a page that reaches out of it is all that there is, and is
        // found before anything is removed.
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

    /// Makes page borders of both ends of a range, `last` inclusive.
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

    /// Removes again what a failed map has written from `iova` to `end`, exclusive.
    #[cold]
    pub(super) fn undo_map(&self, iova: u64, end: u64, gather: &mut Gather<M>) {
        let mut at = iova;
        let mut nobody = Joiner {
            run: None,
            sink: |_| (),
        };

        if iova < end {
            self.remove(&mut at, end - 1, gather, &mut nobody);
            gather.add(iova, end - 1);
        }
    }

    /// Removes what is mapped from `at` to `last` inclusive, up to a page that reaches out of the
    /// range; `at` is then where that begins to matter, else above `last`. Returns how many bytes
    /// were removed.
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

    /// Removes what lies in one table, and moves `at` behind it. Nothing if the page at `at` reaches
    /// out of the range.
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
        // The compiler makes a copy for the lowest tables, where most of the work is.
        let Cleared {
            entries,
            end,
            large,
        } = match level {
            0 => Self::clear_entries(place.table, 0, begin, last, joiner),
            level => Self::clear_entries(place.table, level, begin, last, joiner),
        };

        if entries != 0 {
            // Entries, not bytes: the range may begin in the middle of an empty one.
            let count = ((end - 1) >> F::span_bits(level)) - (begin >> F::span_bits(level)) + 1;

            place.table.flush(begin, count as usize);
            place.give_back(&reader, begin, entries, gather);
        }
        *at = end.max(begin);
        (!large).then_some(entries << F::span_bits(level))
    }

    /// Clears the entries of `table`, which has this `level`, from `begin` to `last` inclusive, up to
    /// a link or a page that reaches out of the range.
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
