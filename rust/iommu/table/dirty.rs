// SPDX-License-Identifier: GPL-2.0

//! What the device has written to.

use super::{
    error::Error, format::Format, gather::Gather, memory::TableMemory, page_table::PageTable,
};
use core::ops::{ControlFlow, RangeInclusive};

impl<F: Format, M: TableMemory> PageTable<F, M> {
    /// Calls `dirty` with the IOVA and the size of each page that the device has written to, among
    /// those with bytes in `length` bytes from `iova` on; only the part in the range is told. `dirty`
    /// must not sleep.
    ///
    /// Devices that note this in tables walk coherently: nothing is done to see what one has written
    /// past the CPU's caches.
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

    /// As [`read_dirty`](Self::read_dirty), and makes those pages clean. Until `gather` has been
    /// flushed the device may write to them without their becoming dirty again.
    pub fn read_and_clear_dirty(
        &self,
        iova: u64,
        length: u64,
        gather: &mut Gather<M>,
        mut dirty: impl FnMut(u64, u64),
    ) -> Result<(), Error> {
        let last = Self::last(iova, length)?;

        self.for_each_slot(iova, last, |slot, mut entry, level, page| {
            let end = page + ((1 << F::span_bits(level)) - 1);

            // The device may write to the entry at the same time.
            while entry != 0 && !F::is_link(level, entry) && F::is_dirty(entry) {
                if slot.replace_leaf(entry, F::cleaned(entry)) {
                    let (at, size) = part_of(page..=end, iova..=last);

                    slot.flush();
                    gather.add(page, end);
                    dirty(at, size);
                    break;
                }
                entry = slot.raw();
            }
            ControlFlow::Continue(())
        });
        Ok(())
    }

    /// Notes that a page was written to, as a device does: for those who play one. Whether the page
    /// at `iova` can be written.
    pub fn mark_dirty(&self, iova: u64) -> bool {
        let mut marked = false;

        self.for_each_slot(iova, iova, |slot, entry, _, _| {
            marked = F::permissions(entry).write && slot.replace_leaf(entry, F::dirtied(entry));
            ControlFlow::Continue(())
        });
        marked
    }
}

/// Where the part of `page` in `range` begins, and its bytes.
fn part_of(page: RangeInclusive<u64>, range: RangeInclusive<u64>) -> (u64, u64) {
    let first = *page.start().max(range.start());
    let last = *page.end().min(range.end());

    (first, last - first + 1)
}
