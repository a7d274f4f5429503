// SPDX-License-Identifier: GPL-2.0

//! Reads which memory devices have written to, through one page table of an address space.
//!
//! A range is read in batches. The map is locked, for reading, only during a batch: a thread that
//! maps or unmaps waits for at most one batch, and never for the memory of the bitmap, because the
//! part of the bitmap that a batch needs is pinned before the map is locked. (A C driver pins it
//! once more, which does not wait any more.)

use super::{
    area::{Area, Hold},
    Ioas,
};
use iommufd_core::Table;
use kernel::prelude::*;
use kernel_ext::{
    iommu::{DirtyRecorder, IotlbGather},
    sched::yield_now,
};

/// The largest number of bytes of IOVA that are read at a time. A power of two, so that batches end
/// where most pages of page tables do.
const BATCH: u64 = 256 << 20;

impl Ioas {
    /// Records which memory from `first` to `last`, both inclusive, devices have written to. Stops
    /// at the first IOVA that is not mapped, which is not an error.
    ///
    /// Where the bitmap cannot be written to, and where the driver fails, nothing is recorded, and
    /// pages are not marked as clean. This is not an error either, as in the kernel's own module.
    ///
    /// # Errors
    ///
    /// `EINTR` if the caller was killed; `ENOMEM`.
    pub(crate) fn read_dirty(
        &self,
        table: &Table,
        first: u64,
        last: u64,
        to: &mut DirtyRecorder,
    ) -> Result {
        pin_init::stack_pin_init!(let gather = IotlbGather::new());
        let read = self.read_batches(table, first, last, to, gather.as_mut());

        // A page that was marked as clean is marked as dirty again by writes from here on. All
        // writes up to here have reached the memory before the caller copies it.
        table.page_table().sync(gather);
        read
    }

    fn read_batches(
        &self,
        table: &Table,
        first: u64,
        last: u64,
        to: &mut DirtyRecorder,
        mut gather: Pin<&mut IotlbGather>,
    ) -> Result {
        let mut next = Some(first);

        while let Some(first) = next {
            if yield_now() {
                return Err(EINTR);
            }
            let Ok(pinned) = to.pin(first) else {
                next = behind(to.same_page(first), last);
                continue;
            };
            let end = batch_end(first).min(pinned).min(last);

            match self.read_batch(table, first, end, to, gather.as_mut()) {
                Ok(()) => {}
                Err(error) if error == ENOMEM => return Err(error),
                // Not mapped, or the driver has failed.
                Err(_) => return Ok(()),
            }
            next = match to.take_waiting() {
                None => behind(end, last),
                Some(page) if to.record_waiting(page).is_ok() => Some(first.max(page.0)),
                Some(page) => behind(page.1, last),
            };
        }
        Ok(())
    }

    /// Records what devices have written to from `first` to `last`.
    ///
    /// # Errors
    ///
    /// `ENOENT` if not all of it is mapped; what is mapped in front of the gap is recorded. Else
    /// the error of the driver.
    fn read_batch(
        &self,
        table: &Table,
        first: u64,
        last: u64,
        to: &mut DirtyRecorder,
        mut gather: Pin<&mut IotlbGather>,
    ) -> Result {
        let map = self.map.read();

        for piece in map.walk(first, last, Area::is_settled) {
            let piece = piece?;
            let Hold::Mapping(mapping) = &piece.area.value.hold else {
                return Err(ENOENT);
            };

            mapping.read_dirty(table, piece.first..=piece.last, to, gather.as_mut())?;
            if to.is_waiting() {
                break;
            }
        }
        Ok(())
    }

    /// Marks all memory as clean.
    ///
    /// # Errors
    ///
    /// `EINTR` if the caller was killed; else the error of the driver.
    pub(crate) fn forget_dirty(&self, table: &Table) -> Result {
        pin_init::stack_pin_init!(let gather = IotlbGather::new());
        let forgotten = self.forget_batches(table, gather.as_mut());

        table.page_table().sync(gather);
        forgotten
    }

    fn forget_batches(&self, table: &Table, mut gather: Pin<&mut IotlbGather>) -> Result {
        let mut to = DirtyRecorder::discard();
        let mut next = Some(0);

        while let Some(first) = next {
            if yield_now() {
                return Err(EINTR);
            }
            let map = self.map.read();
            let Some(area) = map.first_in(first, u64::MAX) else {
                break;
            };
            let first = first.max(area.first());
            let end = batch_end(first).min(area.last());

            if let Hold::Mapping(mapping) = &area.value.hold {
                mapping.read_dirty(table, first..=end, &mut to, gather.as_mut())?;
            }
            next = end.checked_add(1);
        }
        Ok(())
    }
}

/// Returns the last IOVA of the batch that begins with `first`.
fn batch_end(first: u64) -> u64 {
    first | (BATCH - 1)
}

/// Returns the IOVA behind `end`, unless that is behind `last`.
fn behind(end: u64, last: u64) -> Option<u64> {
    (end < last).then_some(end.wrapping_add(1))
}
