// SPDX-License-Identifier: GPL-2.0

//! The pages that the device has written to.

use super::{
    error::Error, format::Format, gather::Gather, memory::TableMemory, page_table::PageTable,
    tree::Slot,
};
use core::ops::{ControlFlow, RangeInclusive};

/// What becomes of a page that the device has written to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DirtyPage {
    /// It stays dirty.
    Keep,
    /// It is marked as clean.
    Clear,
    /// It stays dirty, and no page behind it is read.
    Stop,
}

impl<F: Format, M: TableMemory> PageTable<F, M> {
    /// Calls `dirty` with the IOVA and the size of each page that the device has written to in
    /// `length` bytes from `iova` on.
    ///
    /// Of a page that is partly outside the range, `dirty` gets the part inside. It must not sleep.
    ///
    /// The page walks of hardware that records writes in tables are coherent, so no CPU cache is
    /// invalidated before the flags are read.
    ///
    /// # Errors
    ///
    /// [`Error::Alignment`], [`Error::Range`] for the range.
    pub fn read_dirty(
        &self,
        iova: u64,
        length: u64,
        mut dirty: impl FnMut(u64, u64),
    ) -> Result<(), Error> {
        let last = Self::last(iova, length)?;

        self.for_each_slot(iova, last, |_, entry, level, page| {
            if F::is_dirty(entry) {
                let (at, size) =
                    part_of(page..=page + ((1 << F::span_bits(level)) - 1), iova..=last);

                dirty(at, size);
            }
            ControlFlow::Continue(())
        });
        Ok(())
    }

    /// Does the same as [`read_dirty`](Self::read_dirty), and marks the pages as clean.
    ///
    /// Until `gather` has been flushed, the device may write to them without marking them as dirty
    /// again.
    ///
    /// # Errors
    ///
    /// [`Error::Alignment`], [`Error::Range`] for the range. No page is marked then.
    ///
    /// # Examples
    ///
    /// ```
    /// # use iommu_pagetable::{memory::HostMemory, vtd::*, Access, Limits, MemoryKind, PhysRun};
    /// use iommu_pagetable::{Error, Gather, PageTable};
    ///
    /// # let memory = <HostMemory>::default();
    /// # let limits = Limits::default();
    /// let options = FirstStageOptions { track_dirty: true, ..Default::default() };
    /// # let table = PageTable::<FirstStage<4>, _>::new(memory, options, limits, ())?;
    /// # let run = PhysRun { phys: 0x7000, length: 0x3000, kind: MemoryKind::Normal };
    /// # let access = Access { read: true, write: true };
    /// # let mut gather = Gather::new();
    /// # table.map(0x10_0000, &[run], access.into(), (), &mut gather)?;
    /// # gather.flush(&table, |_| ());
    /// // 12 KiB are mapped at IOVA 0x10_0000, and the device writes to the second page.
    /// table.mark_dirty(0x10_1000);
    ///
    /// let mut gather = Gather::new();
    /// let mut dirty = Vec::new();
    /// table.read_and_clear_dirty(0x10_0000, 0x3000, &mut gather, |iova, size| {
    ///     dirty.push((iova, size));
    /// })?;
    /// gather.flush(&table, |_gather| {
    ///     // Invalidate the IOTLB for the range of the gather.
    /// });
    /// assert_eq!(dirty, [(0x10_1000, 0x1000)]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn read_and_clear_dirty(
        &self,
        iova: u64,
        length: u64,
        gather: &mut Gather<M>,
        mut dirty: impl FnMut(u64, u64),
    ) -> Result<(), Error> {
        let last = Self::last(iova, length)?;

        self.for_each_slot(iova, last, |slot, entry, level, page| {
            let end = page + ((1 << F::span_bits(level)) - 1);

            if F::is_dirty(entry) && clean::<F, M>(&slot, entry, level) {
                let (at, size) = part_of(page..=end, iova..=last);

                gather.add(page, end);
                dirty(at, size);
            }
            ControlFlow::Continue(())
        });
        Ok(())
    }

    /// Calls `dirty` with the first and the last IOVA of each page that overlaps the range from
    /// `first` to `last` and that the device has written to. The page stays as it is
    /// ([`DirtyPage::Keep`]), or is marked as clean and added to `gather`, or the walk stops in
    /// front of it. `dirty` must not sleep.
    pub fn for_each_dirty(
        &self,
        first: u64,
        last: u64,
        gather: &mut Gather<M>,
        mut dirty: impl FnMut(u64, u64) -> DirtyPage,
    ) {
        self.for_each_slot(first, last, |slot, entry, level, page| {
            if !F::is_dirty(entry) {
                return ControlFlow::Continue(());
            }
            let end = page + ((1 << F::span_bits(level)) - 1);

            match dirty(page, end) {
                DirtyPage::Keep => {}
                DirtyPage::Clear => {
                    if clean::<F, M>(&slot, entry, level) {
                        gather.add(page, end);
                    }
                }
                DirtyPage::Stop => return ControlFlow::Break(()),
            }
            ControlFlow::Continue(())
        });
    }

    /// Marks the page at `iova` as dirty, as hardware does when a device writes to it.
    ///
    /// Returns whether the page is mapped and writable. An emulated device calls this.
    pub fn mark_dirty(&self, iova: u64) -> bool {
        let mut marked = false;

        self.for_each_slot(iova, iova, |slot, entry, _, _| {
            marked = F::permissions(entry).write && slot.replace_leaf(entry, F::dirtied(entry));
            ControlFlow::Continue(())
        });
        marked
    }
}

/// Marks the leaf in `slot`, which was `entry` when it was read, as clean. Returns whether it was
/// dirty until now.
#[inline(always)]
fn clean<F: Format, M: TableMemory>(slot: &Slot<'_, F, M>, mut entry: u64, level: u32) -> bool {
    // The device may change the entry at the same time.
    while entry != 0 && !F::is_link(level, entry) && F::is_dirty(entry) {
        if slot.replace_leaf(entry, F::cleaned(entry)) {
            slot.flush();
            return true;
        }
        entry = slot.raw();
    }
    false
}

/// Returns the IOVA and the size of the part of `page` in `range`.
fn part_of(page: RangeInclusive<u64>, range: RangeInclusive<u64>) -> (u64, u64) {
    let first = *page.start().max(range.start());
    let last = *page.end().min(range.end());

    (first, last - first + 1)
}
