// SPDX-License-Identifier: GPL-2.0

//! The page table of a C driver, used through the functions of the IOMMU API.
//!
//! Each call of the API maps one physical run, or looks up one address.

use super::{
    dirty::DirtyRecorder,
    domain_table::{DomainTable, IotlbGather, MapError, RunsRead},
    join::JoinedRuns,
    run::{trim, Access, MemoryKind, PhysRun},
};
use crate::bindings;
use core::{ops::RangeInclusive, ptr::NonNull};
use kernel::{
    error::to_result,
    page::{PAGE_MASK, PAGE_SIZE},
    prelude::*,
    types::Opaque,
};

/// The page table in a paging domain of a C driver.
///
/// # Invariants
///
/// The domain is valid, a paging domain, and belongs to a C driver.
#[repr(transparent)]
pub(super) struct CTable(Opaque<bindings::iommu_domain>);

// SAFETY: The functions of the IOMMU API may be called on any thread.
unsafe impl Send for CTable {}
// SAFETY: The functions of the IOMMU API may be called for one domain on several threads at the
// same time, for ranges that do not overlap.
unsafe impl Sync for CTable {}

type IovaToPhys = unsafe extern "C" fn(
    *mut bindings::iommu_domain,
    bindings::dma_addr_t,
) -> bindings::phys_addr_t;

impl CTable {
    /// Returns the page table in `domain`.
    ///
    /// # Safety
    ///
    /// `domain` is a paging domain of a C driver, and stays valid as long as the result is used.
    pub(super) unsafe fn of(domain: NonNull<bindings::iommu_domain>) -> NonNull<dyn DomainTable> {
        // INVARIANT: The caller promises that this is a valid paging domain of a C driver. `CTable`
        // is a transparent wrapper.
        domain.cast::<Self>()
    }

    fn as_raw(&self) -> *mut bindings::iommu_domain {
        self.0.get()
    }

    /// Returns whether the page table is one of the generic page tables of the kernel.
    ///
    /// Generic page tables consist of pages of the sizes in `pgsize_bitmap`, so a range can be cut
    /// between any two pages. Other page tables may be different: virtio-iommu unmaps only the
    /// whole range that one call has mapped.
    #[inline]
    fn is_generic(&self) -> bool {
        // SAFETY: By the type invariant the domain is valid; the field is constant from its
        // creation on.
        unsafe { (*self.as_raw()).is_iommupt }
    }

    /// Returns the smallest page size above that of the CPU, in bytes. An entry of that size can
    /// cover two pages of the CPU.
    #[inline]
    fn large_page(&self) -> Option<u64> {
        // SAFETY: By the type invariant the domain is valid; the field is constant from its
        // creation on.
        let sizes = unsafe { (*self.as_raw()).pgsize_bitmap } as u64;
        let larger = sizes & !(2 * PAGE_SIZE as u64 - 1);

        (larger != 0).then(|| 1 << larger.trailing_zeros())
    }

    /// Maps `runs` one after the other from `iova` on, each with one call.
    ///
    /// # Errors
    ///
    /// As for [`DomainTable::map`].
    ///
    /// # Safety
    ///
    /// As for [`DomainTable::map`].
    unsafe fn map_each(
        &self,
        iova: u64,
        runs: impl Iterator<Item = PhysRun>,
        access: Access,
    ) -> Result<(), MapError> {
        let protection = protection(access);
        let mut done = 0;

        for run in runs {
            // SAFETY: By the type invariant the domain is valid. The caller keeps the memory valid
            // for DMA, and promises that the range is free.
            let errno = unsafe {
                bindings::iommu_map(
                    self.as_raw(),
                    (iova + done as u64) as c_ulong,
                    run.phys,
                    run.length,
                    (protection | attributes(run.kind)) as c_int,
                    bindings::GFP_KERNEL_ACCOUNT,
                )
            };
            if let Err(error) = to_result(errno) {
                // SAFETY: The runs up to here were mapped by the calls above, so both ends of the
                // range are ends of runs.
                let undone = done == 0 || unsafe { self.unmap_and_sync(iova, done) };

                return Err(MapError { error, undone });
            }
            done += run.length;
        }
        Ok(())
    }

    /// Returns the function that looks up an IOVA. This omits the check of the type of the domain
    /// in `iommu_iova_to_phys()`, because the type is known here.
    fn iova_to_phys(&self) -> IovaToPhys {
        // SAFETY: By the type invariant the domain is valid; its operations are constant.
        let ops = unsafe { (*self.as_raw()).ops };
        // SAFETY: The operations of a domain are valid as long as the domain.
        let own = unsafe { (*ops).iova_to_phys };

        own.unwrap_or(bindings::iommu_iova_to_phys)
    }
}

/// Returns the protection flags of the IOMMU API for an access.
fn protection(access: Access) -> u32 {
    let mut prot = 0;

    if access.read {
        prot |= bindings::IOMMU_READ;
    }
    if access.write {
        prot |= bindings::IOMMU_WRITE;
    }
    prot
}

/// Returns the protection flags of the IOMMU API for a kind of memory. DMA is always coherent,
/// because user space cannot flush caches for a device.
fn attributes(kind: MemoryKind) -> u32 {
    match kind {
        MemoryKind::Normal => bindings::IOMMU_CACHE,
        MemoryKind::Mmio => bindings::IOMMU_MMIO,
    }
}

// SAFETY: By the contract of the IOMMU API, `iova_to_phys` reports the address that was passed to
// `iommu_map`, and devices cannot access a range after `iommu_unmap_fast` and `iommu_iotlb_sync`.
// Each run is mapped with one call, so the page table can be cut between any two of them. Runs are
// joined into one call only for generic page tables, and only if no page of these can cover both.
unsafe impl DomainTable for CTable {
    unsafe fn map(&self, iova: u64, runs: &[PhysRun], access: Access) -> Result<(), MapError> {
        // SAFETY: The caller upholds the contract of `map`, which is that of `map_each`.
        unsafe { self.map_each(iova, runs.iter().copied(), access) }
    }

    unsafe fn map_divisible(
        &self,
        iova: u64,
        runs: &[PhysRun],
        access: Access,
    ) -> Result<(), MapError> {
        if !self.is_generic() {
            // SAFETY: The caller upholds the contract of `map_divisible`, which is that of
            // `map_each`.
            return unsafe { self.map_each(iova, runs.iter().copied(), access) };
        }
        let joined = JoinedRuns::new(iova, runs, self.large_page());

        // SAFETY: The joined runs are the same memory at the same IOVAs, for which the caller
        // upholds the contract of `map_divisible`.
        unsafe { self.map_each(iova, joined, access) }
    }

    unsafe fn unmap(&self, iova: u64, length: usize, gather: Pin<&mut IotlbGather>) -> bool {
        // SAFETY: By the type invariant the domain is valid. The caller promises that the range is
        // mapped and can be cut at both ends.
        let unmapped = unsafe {
            bindings::iommu_unmap_fast(self.as_raw(), iova as c_ulong, length, gather.as_raw())
        };
        !kernel::warn_on!(unmapped != length)
    }

    fn sync(&self, gather: Pin<&mut IotlbGather>) {
        // SAFETY: By the type invariant the domain is valid, and `gather` is initialised.
        unsafe { bindings::kernel_ext_iotlb_sync(self.as_raw(), gather.as_raw()) };
    }

    unsafe fn read_runs(&self, iova: u64, length: usize, runs: &mut [PhysRun]) -> RunsRead {
        let iova_to_phys = self.iova_to_phys();
        // SAFETY: By the type invariant the domain is valid. The function is that of the domain,
        // and only reads its page table.
        let look_up = |iova: u64| unsafe { iova_to_phys(self.as_raw(), iova) };
        let mut phys = look_up(iova);
        // A range may begin or end within a page. Whole pages are looked up, and trimmed to the
        // range.
        let before = phys as usize & !PAGE_MASK;
        let mut at = iova.wrapping_sub(before as u64);
        let mut left = (before + length).div_ceil(PAGE_SIZE);
        let behind = left * PAGE_SIZE - before - length;
        let pages = left;

        let most = runs.len();
        let mut free = runs.iter_mut();
        let mut last: Option<&mut PhysRun> = None;
        // The end of the last run. Initially a value that is not the address of a page.
        let mut end = u64::MAX;

        phys -= before as u64;
        loop {
            if phys != end {
                let Some(run) = free.next() else { break };

                *run = PhysRun {
                    phys,
                    length: PAGE_SIZE,
                    kind: MemoryKind::Normal,
                };
                last = Some(run);
            } else if let Some(run) = &mut last {
                run.length += PAGE_SIZE;
            }
            end = phys + PAGE_SIZE as u64;
            at = at.wrapping_add(PAGE_SIZE as u64);
            left -= 1;
            if left == 0 {
                break;
            }
            phys = look_up(at);
        }

        let count = most - free.len();
        let behind = if left == 0 { behind } else { 0 };
        trim(runs.get_mut(..count).unwrap_or(&mut []), before, behind);
        RunsRead {
            runs: count,
            bytes: (pages - left) * PAGE_SIZE - before - behind,
        }
    }

    unsafe fn read_dirty(
        &self,
        range: RangeInclusive<u64>,
        to: &mut DirtyRecorder,
        gather: Pin<&mut IotlbGather>,
    ) -> Result {
        // SAFETY: By the type invariant the domain is valid; the field is constant from its
        // creation on.
        let ops = unsafe { (*self.as_raw()).dirty_ops };
        // SAFETY: The operations of a domain are null, or valid as long as the domain.
        let read = unsafe { ops.as_ref() }.and_then(|ops| ops.read_and_clear_dirty);
        let flags = if to.clears() {
            0
        } else {
            bindings::IOMMU_DIRTY_NO_CLEAR
        };
        let mut dirty = bindings::iommu_dirty_bitmap {
            bitmap: to.for_c()?,
            gather: gather.as_raw(),
        };
        let (first, last) = range.into_inner();

        // SAFETY: By the type invariant the domain is valid, and the function is its own. The
        // caller promises that the range stays mapped. The bitmap, which is null or was allocated
        // by the kernel, and the gather are borrowed during the call.
        to_result(unsafe {
            read.ok_or(EOPNOTSUPP)?(
                self.as_raw(),
                first as c_ulong,
                (last - first).wrapping_add(1) as usize,
                flags as c_ulong,
                &mut dirty,
            )
        })
    }
}
