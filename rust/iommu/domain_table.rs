// SPDX-License-Identifier: GPL-2.0

//! What an IO page table can do, whoever implements it.

use super::run::{Access, PhysRun};
use crate::bindings;
use core::{marker::PhantomPinned, ops::RangeInclusive};
use kernel::{prelude::*, types::Opaque};

/// The addresses and page sizes of a page table.
#[derive(Clone, Debug)]
pub struct Geometry {
    /// The IOVAs that can be translated; `last` inclusive.
    pub aperture: RangeInclusive<u64>,
    /// A bit for each page size: bit 12 for 4 KiB.
    pub page_sizes: u64,
}

impl Geometry {
    /// The smallest page size in bytes.
    pub fn granule(&self) -> u64 {
        1u64.checked_shl(self.page_sizes.trailing_zeros())
            .unwrap_or(u64::MAX)
    }
}

/// What has been unmapped and not yet been flushed from the IOTLB.
///
/// Drivers keep lists in it that point back into it, so it is pinned:
///
/// ```ignore
/// stack_pin_init!(let gather = IotlbGather::new());
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
    /// An initialiser for an empty gather.
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` is valid for writing.
            raw <- Opaque::ffi_init(|slot| unsafe { bindings::kernel_ext_iotlb_gather_init(slot) }),
            _pin: PhantomPinned,
        })
    }

    /// The C structure.
    pub(crate) fn as_raw(self: Pin<&mut Self>) -> *mut bindings::iommu_iotlb_gather {
        self.raw.get()
    }

    /// The gather behind C's pointer.
    ///
    /// # Safety
    ///
    /// `raw` is initialised, and for the lifetime of the result it is nobody else's.
    pub(crate) unsafe fn from_raw<'a>(raw: *mut bindings::iommu_iotlb_gather) -> Pin<&'a mut Self> {
        // SAFETY: `IotlbGather` is a transparent wrapper; the caller vouches for the rest, and C does not
        // move what it points to.
        unsafe { Pin::new_unchecked(&mut *raw.cast()) }
    }

    /// Adds the IOVAs from `first` to `last`, both inclusive: for drivers, who may still find them
    /// cached by a device.
    pub fn add(self: Pin<&mut Self>, first: u64, last: u64) {
        let raw = self.as_raw();

        // SAFETY: The gather is initialised and, being borrowed, nobody else's.
        unsafe {
            (*raw).start = (*raw).start.min(first as c_ulong);
            (*raw).end = (*raw).end.max(last as c_ulong);
        }
    }

    /// The smallest range of IOVAs, both ends inclusive, that has in it all that was added.
    pub fn range(self: Pin<&mut Self>) -> Option<RangeInclusive<u64>> {
        let raw = self.as_raw();
        // SAFETY: The gather is initialised and, being borrowed, nobody else's.
        let (first, last) = unsafe { ((*raw).start as u64, (*raw).end as u64) };

        (first <= last).then_some(first..=last)
    }

    /// Forgets all that was added; what is on C's list of pages stays.
    pub(crate) fn clear(self: Pin<&mut Self>) {
        let raw = self.as_raw();

        // SAFETY: The gather is initialised and, being borrowed, nobody else's.
        unsafe {
            (*raw).start = c_ulong::MAX;
            (*raw).end = 0;
        }
    }
}

/// What [`DomainTable::read_runs`] has read.
pub struct RunsRead {
    /// The number of runs.
    pub runs: usize,
    /// The number of bytes in all of them.
    pub bytes: usize,
}

/// Why runs were not mapped.
#[derive(Clone, Copy, Debug)]
pub struct MapError {
    /// What the page table reports.
    pub error: Error,
    /// Whether none of the runs is mapped. If not, what was mapped before the error could not be
    /// removed: a device may still reach the memory, which must stay valid for DMA for ever.
    pub undone: bool,
}

impl From<Error> for MapError {
    /// An error before anything was mapped.
    fn from(error: Error) -> Self {
        Self {
            error,
            undone: true,
        }
    }
}

/// An IO page table: IOVA to physical memory.
///
/// Calls for ranges that do not overlap may run at the same time.
///
/// # Safety
///
/// - [`read_runs`](Self::read_runs) reports the memory that [`map`](Self::map) or
///   [`map_divisible`](Self::map_divisible) was given for the IOVA, and no other.
/// - A range that one of them has mapped can be unmapped in parts that end between two of its runs.
/// - Once [`unmap`](Self::unmap) has returned `true` for a range and [`sync`](Self::sync) has
///   returned, no device reaches the memory through this page table.
pub unsafe trait DomainTable: Send + Sync {
    /// Maps `runs` one behind the other from `iova` on.
    ///
    /// # Errors
    ///
    /// What the driver reports, and whether none of `runs` is mapped then.
    ///
    /// # Safety
    ///
    /// Nothing is mapped in the range, and no other call for the range runs at the same time. The
    /// memory stays valid for DMA until the range has been unmapped and synced.
    unsafe fn map(&self, iova: u64, runs: &[PhysRun], access: Access) -> Result<(), MapError>;

    /// Maps `runs` like [`map`](Self::map), where neighbouring runs may be contiguous in physical
    /// memory and the range must nevertheless be divisible between any two of them. An implementation
    /// that makes one call for each run may join runs here where that does not matter.
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
        // SAFETY: The caller keeps the contract of `map`, whose ranges are divisible between runs.
        unsafe { self.map(iova, runs, access) }
    }

    /// Removes `length` bytes from `iova` on. Needs no memory.
    ///
    /// Returns whether the range was removed. `false` is an error of the driver, and the memory must
    /// stay valid for DMA for ever then.
    ///
    /// # Safety
    ///
    /// All of the range is mapped, and no other call for the range runs at the same time. Each end is
    /// the end of a run that was mapped, or lies between two pages that are not contiguous in
    /// physical memory.
    #[must_use]
    unsafe fn unmap(&self, iova: u64, length: usize, gather: Pin<&mut IotlbGather>) -> bool;

    /// Flushes what `gather` holds from the IOTLB.
    fn sync(&self, gather: Pin<&mut IotlbGather>);

    /// Removes a range and flushes it, so that no device reaches the memory when this returns `true`.
    ///
    /// # Safety
    ///
    /// As for [`unmap`](Self::unmap).
    unsafe fn unmap_and_sync(&self, iova: u64, length: usize) -> bool {
        pin_init::stack_pin_init!(let gather = IotlbGather::new());

        // SAFETY: The caller keeps the contract of `unmap`.
        let gone = unsafe { self.unmap(iova, length, gather.as_mut()) };
        self.sync(gather);
        gone
    }

    /// Reads what is mapped in `length` bytes from `iova` on into `runs`, as the longest runs
    /// possible. Stops at the end of the last run that fits. Every run but the last ends with a page
    /// of the CPU.
    ///
    /// # Safety
    ///
    /// `length` is not zero. All of the range is mapped, and stays mapped during the call.
    unsafe fn read_runs(&self, iova: u64, length: usize, runs: &mut [PhysRun]) -> RunsRead;
}
