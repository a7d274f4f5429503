// SPDX-License-Identifier: GPL-2.0

//! The interface of IO page tables, which is implemented for C drivers and for Rust drivers.

use super::{
    dirty::DirtyRecorder,
    run::{Access, PhysRun},
};
use crate::bindings;
use core::{marker::PhantomPinned, ops::RangeInclusive};
use kernel::{prelude::*, types::Opaque};

/// The IOVA range and the page sizes of a page table.
#[derive(Clone, Debug)]
pub struct Geometry {
    /// The IOVAs that can be translated, both ends inclusive.
    pub aperture: RangeInclusive<u64>,
    /// A bit for each page size, such as bit 12 for 4 KiB.
    pub page_sizes: u64,
}

impl Geometry {
    /// Returns the smallest page size in bytes.
    pub fn granule(&self) -> u64 {
        1u64.checked_shl(self.page_sizes.trailing_zeros())
            .unwrap_or(u64::MAX)
    }
}

/// A collection of ranges that have been unmapped and not yet flushed from the IOTLB.
///
/// It is pinned, because the lists that drivers keep in it point back to it.
///
/// # Examples
///
/// ```ignore
/// stack_pin_init!(let gather = IotlbGather::new());
///
/// // SAFETY: Both ranges were mapped by one call each, and no other code uses them.
/// let unmapped = unsafe {
///     table.unmap(0x1000, 0x1000, gather.as_mut()) && table.unmap(0x8000, 0x1000, gather.as_mut())
/// };
/// // One flush for both.
/// table.sync(gather);
/// ```
#[repr(transparent)]
#[pin_data]
pub struct IotlbGather {
    #[pin]
    raw: Opaque<bindings::iommu_iotlb_gather>,
    #[pin]
    _pin: PhantomPinned,
}

impl IotlbGather {
    /// Returns an initialiser for an empty gather.
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: The initialiser passes a `slot` that is valid for writing and pinned.
            raw <- Opaque::ffi_init(|slot| unsafe { bindings::kernel_ext_iotlb_gather_init(slot) }),
            _pin: PhantomPinned,
        })
    }

    /// Returns the C structure.
    pub(crate) fn as_raw(self: Pin<&mut Self>) -> *mut bindings::iommu_iotlb_gather {
        self.raw.get()
    }

    /// Returns the gather of a C pointer.
    ///
    /// # Safety
    ///
    /// `raw` points to an initialised gather, which is accessed only through the result for the
    /// lifetime `'a`.
    pub(crate) unsafe fn from_raw<'a>(raw: *mut bindings::iommu_iotlb_gather) -> Pin<&'a mut Self> {
        // SAFETY: `IotlbGather` is a transparent wrapper. The caller promises that `raw` is
        // initialised and accessed only through the result.
        let gather = unsafe { &mut *raw.cast() };
        // SAFETY: C does not move the structure, and the result does not allow it either.
        unsafe { Pin::new_unchecked(gather) }
    }

    /// Adds the IOVAs from `first` to `last`, both inclusive. For drivers, which have to flush them
    /// from the IOTLB.
    pub fn add(self: Pin<&mut Self>, first: u64, last: u64) {
        let (start, end) = self.bounds();

        *start = (*start).min(first as c_ulong);
        *end = (*end).max(last as c_ulong);
    }

    /// Returns the smallest range that contains all IOVAs that were added, both ends inclusive;
    /// `None` if there are none.
    pub fn range(self: Pin<&mut Self>) -> Option<RangeInclusive<u64>> {
        let (start, end) = self.bounds();

        (*start <= *end).then_some(*start as u64..=*end as u64)
    }

    /// Removes all IOVAs. Pages that C drivers have put on the list of the gather stay.
    pub(crate) fn clear(self: Pin<&mut Self>) {
        let (start, end) = self.bounds();

        *start = c_ulong::MAX;
        *end = 0;
    }

    /// Returns the first and the last IOVA in the C structure. The first is the higher one if the
    /// gather is empty.
    fn bounds(self: Pin<&mut Self>) -> (&mut c_ulong, &mut c_ulong) {
        let raw = self.as_raw();
        // SAFETY: `new` or the caller of `from_raw` has initialised the gather. It is borrowed
        // mutably, so no other code accesses it while the result exists.
        let start = unsafe { &mut (*raw).start };
        // SAFETY: As above. This is another field than `start`.
        let end = unsafe { &mut (*raw).end };

        (start, end)
    }
}

/// The result of [`DomainTable::read_runs`].
pub struct RunsRead {
    /// Number of runs.
    pub runs: usize,
    /// Number of bytes in all of them.
    pub bytes: usize,
}

/// An error of [`DomainTable::map`].
#[derive(Clone, Copy, Debug)]
pub struct MapError {
    /// The error of the driver.
    pub error: Error,
    /// Whether none of the runs is mapped. If false, runs that were mapped before the error could
    /// not be unmapped: a device may still access the memory, which must stay valid for DMA for
    /// ever.
    pub undone: bool,
}

impl From<Error> for MapError {
    /// Converts an error that occurred before a run was mapped.
    fn from(error: Error) -> Self {
        Self {
            error,
            undone: true,
        }
    }
}

/// An IO page table, which translates IOVA to physical addresses.
///
/// Calls for ranges that do not overlap may run at the same time.
///
/// # Safety
///
/// - [`read_runs`](Self::read_runs) reports the memory that [`map`](Self::map) or
///   [`map_divisible`](Self::map_divisible) was given for the IOVA, and no other.
/// - A range that one of these has mapped can be unmapped in parts, each end of which lies between
///   two of its runs.
/// - Once [`unmap`](Self::unmap) has returned `true` for a range and [`sync`](Self::sync) has
///   returned, no device can access the memory through this range.
pub unsafe trait DomainTable: Send + Sync {
    /// Maps `runs` one after the other from `iova` on.
    ///
    /// # Errors
    ///
    /// The error of the driver, with the information whether all of `runs` have been unmapped
    /// again.
    ///
    /// # Safety
    ///
    /// The range is free, and no other call for the range runs at the same time. The memory stays
    /// valid for DMA until the range has been unmapped and synced.
    unsafe fn map(&self, iova: u64, runs: &[PhysRun], access: Access) -> Result<(), MapError>;

    /// Maps `runs` like [`map`](Self::map), if adjacent runs may be contiguous in physical memory
    /// and the range must nevertheless be divisible between any two of them. Implementations that
    /// issue one call for each run may coalesce adjacent runs here, if no page table entry can then
    /// cover more than one of them.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map).
    ///
    /// # Safety
    ///
    /// As for [`map`](Self::map).
    unsafe fn map_divisible(
        &self,
        iova: u64,
        runs: &[PhysRun],
        access: Access,
    ) -> Result<(), MapError> {
        // SAFETY: The caller upholds the contract of `map`. By the contract of this trait, ranges
        // that `map` has mapped are divisible between runs.
        unsafe { self.map(iova, runs, access) }
    }

    /// Unmaps `length` bytes from `iova` on. Does not allocate memory.
    ///
    /// Returns whether the range was unmapped. `false` is an error of the driver, and the memory
    /// must stay valid for DMA for ever then.
    ///
    /// # Safety
    ///
    /// All of the range is mapped, and no other call for the range runs at the same time. Each end
    /// is the end of a run that was mapped, or lies between two pages that are not contiguous in
    /// physical memory.
    #[must_use]
    unsafe fn unmap(&self, iova: u64, length: usize, gather: Pin<&mut IotlbGather>) -> bool;

    /// Flushes the ranges in `gather` from the IOTLB.
    fn sync(&self, gather: Pin<&mut IotlbGather>);

    /// Unmaps a range and flushes it from the IOTLB, so that no device can access the memory when
    /// this returns `true`.
    ///
    /// # Safety
    ///
    /// As for [`unmap`](Self::unmap).
    unsafe fn unmap_and_sync(&self, iova: u64, length: usize) -> bool {
        pin_init::stack_pin_init!(let gather = IotlbGather::new());

        // SAFETY: The caller upholds the contract of `unmap`.
        let gone = unsafe { self.unmap(iova, length, gather.as_mut()) };
        self.sync(gather);
        gone
    }

    /// Reads the memory that is mapped in `length` bytes from `iova` on into `runs`, in runs that
    /// are as long as possible. Stops at the end of the last run that fits. Every run except the
    /// last ends at a page boundary of the CPU.
    ///
    /// # Safety
    ///
    /// `length` is not zero. All of the range is mapped, and stays mapped during the call.
    unsafe fn read_runs(&self, iova: u64, length: usize, runs: &mut [PhysRun]) -> RunsRead;

    /// Passes each page of the page table that overlaps `range`, and that devices have written to,
    /// to the recorder, which may stop the walk ([`DirtyRecorder::take_waiting`]). Adds those that
    /// are marked as clean to `gather`: until it has been synced, devices may write to them without
    /// marking them as dirty again.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the page table does not record that; else the error of the driver.
    ///
    /// # Safety
    ///
    /// All of the range is mapped, and stays mapped during the call.
    unsafe fn read_dirty(
        &self,
        range: RangeInclusive<u64>,
        to: &mut DirtyRecorder,
        gather: Pin<&mut IotlbGather>,
    ) -> Result;

    /// Marks the page at `iova` as one that a device has written to, as hardware does. Returns
    /// whether this is possible, and a page is mapped there that devices may write to.
    #[cfg(CONFIG_IOMMUFD_RUST_TEST)]
    fn mark_dirty(&self, _iova: u64) -> bool {
        false
    }
}
