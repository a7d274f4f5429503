// SPDX-License-Identifier: GPL-2.0

//! Paging domains of whatever driver runs the IOMMU.

use super::{
    driver::{find_page_table, paging_domain, Driver},
    group::DmaOwner,
    join::JoinedRuns,
    page_table::{Gather, Geometry, PageTable, RunsRead},
    run::{trim, Access, MemoryKind, PhysRun},
};
use crate::{bindings, shim::device_ptr};
use core::ptr::NonNull;
use kernel::{
    error::{from_err_ptr, to_result},
    page::{PAGE_MASK, PAGE_SIZE},
    prelude::*,
    uaccess::UserPtr,
};

/// A paging domain: a page table owned by the IOMMU driver of a device.
///
/// # Invariants
///
/// `raw` is a valid paging domain that this value owns. `table` is the page table in it, if its driver
/// is in Rust.
pub struct Domain {
    raw: NonNull<bindings::iommu_domain>,
    table: Option<NonNull<dyn PageTable>>,
}

// SAFETY: Domains may be used and freed on any thread.
unsafe impl Send for Domain {}
// SAFETY: The IOMMU API may be called for one domain from several threads, on disjoint ranges.
unsafe impl Sync for Domain {}

/// What a domain shall be able to do beside translating.
#[derive(Clone, Copy, Default)]
pub struct DomainFeatures {
    /// Other domains may be nested on it.
    pub nest_parent: bool,
    /// It can tell which memory devices have written to.
    pub dirty_tracking: bool,
    /// Devices that use PASIDs may be attached to it.
    pub pasid: bool,
}

impl DomainFeatures {
    const NEST_PARENT: u32 = bindings::iommufd_hwpt_alloc_flags_IOMMU_HWPT_ALLOC_NEST_PARENT;
    const DIRTY_TRACKING: u32 = bindings::iommufd_hwpt_alloc_flags_IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
    const PASID: u32 = bindings::iommufd_hwpt_alloc_flags_IOMMU_HWPT_ALLOC_PASID;

    /// As a driver is told them; `None` if there is one that has no name here.
    pub(super) fn from_bits(bits: u32) -> Option<Self> {
        let features = Self {
            nest_parent: bits & Self::NEST_PARENT != 0,
            dirty_tracking: bits & Self::DIRTY_TRACKING != 0,
            pasid: bits & Self::PASID != 0,
        };

        (features.bits() == bits).then_some(features)
    }

    /// As drivers read them.
    fn bits(self) -> u32 {
        [
            (self.nest_parent, Self::NEST_PARENT),
            (self.dirty_tracking, Self::DIRTY_TRACKING),
            (self.pasid, Self::PASID),
        ]
        .into_iter()
        .filter(|(wanted, _)| *wanted)
        .fold(0, |bits, (_, bit)| bits | bit)
    }
}

/// What user space tells the driver of an IOMMU, which reads it itself.
#[derive(Clone, Copy)]
pub struct UserData {
    /// What it is, by a number that the driver knows.
    pub kind: u32,
    /// Where it is, in the memory of the calling process.
    pub at: UserPtr,
    /// Its length in bytes.
    pub length: usize,
}

impl Domain {
    /// An empty domain that suits the device of `owner`.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the driver has no such domains to give, `ENOMEM`, or what the driver says of
    /// `data`.
    pub fn new(owner: &DmaOwner, features: DomainFeatures, data: Option<UserData>) -> Result<Self> {
        let dev = device_ptr(owner.device());
        let ops = owner.iommu_ops();
        let flags = features.bits();
        // SAFETY: The operations of a driver stay, and do not change.
        let alloc = unsafe { (*ops).domain_alloc_paging_flags };

        let Some(alloc) = alloc else {
            if flags != 0 || data.is_some() {
                return Err(EOPNOTSUPP);
            }
            // SAFETY: `dev` is a valid device.
            let raw = unsafe { bindings::iommu_paging_domain_alloc_flags(dev, 0) };

            // SAFETY: The domain is new.
            return Ok(unsafe { Self::from_raw(NonNull::new(from_err_ptr(raw)?).ok_or(ENODEV)?) });
        };
        let data = data.map(|data| bindings::iommu_user_data {
            type_: data.kind,
            uptr: data.at.as_mut_ptr(),
            len: data.length,
        });
        let data = data.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
        // SAFETY: `dev` is a device of this driver; the data, if any, live for the call, and what
        // they point at is only reached with the checks for user memory.
        let raw = from_err_ptr(unsafe { alloc(dev, flags, data) })?;
        let domain = NonNull::new(raw).ok_or(ENOMEM)?;

        // The core lets only devices of the same driver attach.
        // SAFETY: The domain is new, and nobody else has it.
        unsafe { (*domain.as_ptr()).owner = ops };
        // SAFETY: The domain is new.
        Ok(unsafe { Self::from_raw(domain) })
    }

    /// # Safety
    ///
    /// `raw` is a valid paging domain, and the caller gives it up.
    unsafe fn from_raw(raw: NonNull<bindings::iommu_domain>) -> Self {
        // INVARIANT: The caller gives the domain up.
        Self {
            raw,
            // SAFETY: The domain stays valid as long as this value.
            table: unsafe { find_page_table(raw) },
        }
    }

    /// The page table in it, if its driver is in Rust: batches reach that one in one call.
    fn table(&self) -> Option<&dyn PageTable> {
        // SAFETY: By the type invariant it is as valid as the domain.
        self.table.map(|table| unsafe { table.as_ref() })
    }

    /// What the driver `T` made, if it made this domain.
    pub fn downcast<T: Driver>(&self) -> Option<&T::Domain> {
        // SAFETY: By the type invariant the domain is valid.
        unsafe { paging_domain::<T>(self.raw) }
    }

    /// Makes the domain ignore requests of devices to bypass the CPU's caches. To be called before
    /// anything is mapped. False if it cannot.
    pub fn enforce_cache_coherency(&self) -> bool {
        // SAFETY: By the type invariant the domain is valid.
        unsafe { bindings::kernel_ext_iommu_enforce_cache_coherency(self.as_raw()) }
    }

    /// The C structure.
    pub(crate) fn as_raw(&self) -> *mut bindings::iommu_domain {
        self.raw.as_ptr()
    }

    /// Whether its page table is one of the kernel's generic ones. They are known to map with pages of
    /// the sizes that they name and with nothing else, so that there can be a cut wherever no such
    /// page lies. Of other drivers that is not known: what virtio-iommu maps with one call, it unmaps
    /// as a whole.
    #[inline]
    fn is_generic(&self) -> bool {
        // SAFETY: By the type invariant the domain is valid; this is fixed once it exists.
        unsafe { (*self.as_raw()).is_iommupt }
    }

    /// The smallest page size that is larger than a page of the CPU, in bytes: an entry for it could
    /// cover two.
    #[inline]
    fn large_page(&self) -> Option<u64> {
        // SAFETY: By the type invariant the domain is valid; its page sizes are fixed once it exists.
        let sizes = unsafe { (*self.as_raw()).pgsize_bitmap } as u64;
        let larger = sizes & !(2 * PAGE_SIZE as u64 - 1);

        (larger != 0).then(|| 1 << larger.trailing_zeros())
    }

    /// Maps runs one behind the other from `iova` on, each with a call of its own.
    ///
    /// # Errors
    ///
    /// What the driver reports; nothing is mapped then.
    ///
    /// # Safety
    ///
    /// The memory stays valid for DMA until it has been unmapped and synced.
    unsafe fn map_each(
        &self,
        iova: u64,
        runs: impl Iterator<Item = PhysRun>,
        access: Access,
    ) -> Result {
        let protection = protection(access);
        let mut done = 0;

        for run in runs {
            // SAFETY: The caller vouches for memory and range.
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
            if errno != 0 {
                if done != 0 {
                    // The pins of what a faulty driver keeps are given back nevertheless: it has not
                    // said yes to the mapping.
                    // SAFETY: These runs were mapped just now.
                    let _ = unsafe { self.unmap_and_sync(iova, done) };
                }
                return to_result(errno);
            }
            done += run.length;
        }
        Ok(())
    }

    /// How to look an IOVA up. What the core does beside is to ask whether the domain translates at
    /// all, as one for paging does.
    fn iova_to_phys(&self) -> IovaToPhys {
        // SAFETY: By the type invariant the domain is valid; its operations are fixed once it exists.
        let ops = unsafe { (*self.as_raw()).ops };
        // SAFETY: The operations of a driver stay, and do not change.
        let own = unsafe { (*ops).iova_to_phys };

        own.unwrap_or(bindings::iommu_iova_to_phys)
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns the domain.
        unsafe { bindings::iommu_domain_free(self.as_raw()) };
    }
}

type IovaToPhys = unsafe extern "C" fn(
    *mut bindings::iommu_domain,
    bindings::dma_addr_t,
) -> bindings::phys_addr_t;

/// The IOMMU API's word for an access.
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

/// The IOMMU API's word for what is behind an address. DMA is always coherent: there is nobody to
/// flush for a user.
fn attributes(kind: MemoryKind) -> u32 {
    match kind {
        MemoryKind::Normal => bindings::IOMMU_CACHE,
        MemoryKind::Mmio => bindings::IOMMU_MMIO,
    }
}

// SAFETY: The IOMMU API promises all of it for paging domains, but for cuts between runs that were mapped
// with one call: those are joined only where generic page tables have no entry that could cover two.
unsafe impl PageTable for Domain {
    fn geometry(&self) -> Geometry {
        // SAFETY: By the type invariant the domain is valid; both fields are fixed once it exists.
        let (geometry, page_sizes) =
            unsafe { ((*self.as_raw()).geometry, (*self.as_raw()).pgsize_bitmap) };

        Geometry {
            aperture: geometry.aperture_start..=geometry.aperture_end,
            page_sizes: page_sizes as u64,
        }
    }

    unsafe fn map(&self, iova: u64, runs: &[PhysRun], access: Access) -> Result {
        if let Some(table) = self.table() {
            // SAFETY: The caller vouches for memory and range.
            return unsafe { table.map(iova, runs, access) };
        }
        // SAFETY: As above.
        unsafe { self.map_each(iova, runs.iter().copied(), access) }
    }

    unsafe fn map_divisible(&self, iova: u64, runs: &[PhysRun], access: Access) -> Result {
        if let Some(table) = self.table() {
            // SAFETY: The caller vouches for memory and range.
            return unsafe { table.map_divisible(iova, runs, access) };
        }
        if !self.is_generic() {
            // SAFETY: As above.
            return unsafe { self.map_each(iova, runs.iter().copied(), access) };
        }
        let joined = JoinedRuns::new(iova, runs, self.large_page());

        // SAFETY: As above.
        unsafe { self.map_each(iova, joined, access) }
    }

    unsafe fn unmap(&self, iova: u64, length: usize, gather: Pin<&mut Gather>) -> bool {
        if let Some(table) = self.table() {
            // SAFETY: The caller vouches for the range.
            return unsafe { table.unmap(iova, length, gather) };
        }
        // SAFETY: By the type invariant the domain is valid; the caller vouches for the range.
        let unmapped = unsafe {
            bindings::iommu_unmap_fast(self.as_raw(), iova as c_ulong, length, gather.as_raw())
        };
        !kernel::warn_on!(unmapped != length)
    }

    fn sync(&self, gather: Pin<&mut Gather>) {
        if let Some(table) = self.table() {
            return table.sync(gather);
        }
        // SAFETY: By the type invariant the domain is valid.
        unsafe { bindings::kernel_ext_iotlb_sync(self.as_raw(), gather.as_raw()) };
    }

    unsafe fn read_runs(&self, iova: u64, length: usize, runs: &mut [PhysRun]) -> RunsRead {
        if let Some(table) = self.table() {
            // SAFETY: The caller vouches for the range.
            return unsafe { table.read_runs(iova, length, runs) };
        }
        let iova_to_phys = self.iova_to_phys();
        // SAFETY: By the type invariant the domain is valid; this only reads its table.
        let look_up = |iova: u64| unsafe { iova_to_phys(self.as_raw(), iova) };
        let mut phys = look_up(iova);
        // A range may begin or end within a page, which is left out again afterwards.
        let before = phys as usize & !PAGE_MASK;
        let mut at = iova.wrapping_sub(before as u64);
        let mut left = (before + length).div_ceil(PAGE_SIZE);
        let behind = left * PAGE_SIZE - before - length;
        let pages = left;

        let most = runs.len();
        let mut free = runs.iter_mut();
        let mut last: Option<&mut PhysRun> = None;
        // Behind the last run; there is no page at such an address.
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
}
