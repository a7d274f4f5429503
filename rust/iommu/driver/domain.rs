// SPDX-License-Identifier: GPL-2.0

//! A page table of a Rust driver as the kernel's `struct iommu_domain`.

use super::{Driver, PagingDomain, Target};
use crate::{
    bindings,
    iommu::{
        features::{DomainFeatures, UserData},
        page_table::{Gather, MapError, PageTable, RunsRead},
        run::{Access, MemoryKind, PhysRun},
        table::{self, TableAllocation},
    },
};
use core::ptr::NonNull;
use kernel::{error::from_result, prelude::*, types::Opaque};

/// A domain in memory: what C knows of it, then what it is.
///
/// # Invariants
///
/// Every `struct iommu_domain` whose owner is the table of functions of `T`, and that is not its
/// blocking one, is the start of one of these in a `KBox`.
#[repr(C)]
#[pin_data]
pub(super) struct Domain<T: Driver> {
    raw: Opaque<bindings::iommu_domain>,
    #[pin]
    value: T::Domain,
}

// SAFETY: `raw` is written by the core under its locks; the value is `Send`.
unsafe impl<T: Driver> Send for Domain<T> {}
// SAFETY: As above, and the value is `Sync`.
unsafe impl<T: Driver> Sync for Domain<T> {}

impl<T: Driver> Domain<T> {
    /// What the kernel calls for such a domain.
    const OPERATIONS: bindings::iommu_domain_ops = bindings::iommu_domain_ops {
        attach_dev: Some(super::operations::attach::<T>),
        map_pages: Some(map_pages::<T>),
        unmap_pages: Some(unmap_pages::<T>),
        flush_iotlb_all: Some(flush_iotlb_all::<T>),
        iotlb_sync: Some(iotlb_sync::<T>),
        iova_to_phys: Some(iova_to_phys::<T>),
        enforce_cache_coherency: Some(enforce_cache_coherency::<T>),
        free: Some(free::<T>),
        ..pin_init::zeroed()
    };

    /// A domain for `device`, which C owns from here on.
    pub(super) fn allocate(
        driver: &T,
        device: &T::Device,
        features: DomainFeatures,
        data: Option<UserData>,
    ) -> Result<NonNull<bindings::iommu_domain>> {
        let value = driver.new_domain(device, features, data)?;
        let domain = KBox::try_pin_init(
            try_pin_init!(Self {
                raw: Opaque::new(pin_init::zeroed()),
                value <- value,
            }? Error),
            GFP_KERNEL_ACCOUNT,
        )?;
        let geometry = domain.value.geometry();
        let raw = domain.raw.get();

        // SAFETY: The domain is new and nobody else has it.
        unsafe {
            (*raw).type_ = bindings::IOMMU_DOMAIN_UNMANAGED;
            (*raw).ops = &const { Self::OPERATIONS };
            (*raw).owner = T::operations().as_raw();
            (*raw).pgsize_bitmap = geometry.page_sizes as c_ulong;
            (*raw).geometry = bindings::iommu_domain_geometry {
                aperture_start: *geometry.aperture.start(),
                aperture_end: *geometry.aperture.end(),
                force_aperture: true,
            };
        }
        // INVARIANT: It came out of a `KBox`.
        // SAFETY: It stays where it is until `free` makes a box of it again.
        Ok(
            NonNull::from(Box::leak(unsafe { Pin::into_inner_unchecked(domain) }))
                .cast::<bindings::iommu_domain>(),
        )
    }

    /// The domain behind C's pointer.
    ///
    /// # Safety
    ///
    /// `raw` is a valid domain whose owner is the table of functions of `T`, not its blocking one.
    unsafe fn from_raw<'a>(raw: *mut bindings::iommu_domain) -> &'a Self {
        // SAFETY: By the type invariant; the caller vouches for the pointer.
        unsafe { &*raw.cast() }
    }

    /// What a C function that takes a domain of `T` means by it.
    ///
    /// # Safety
    ///
    /// As for [`from_raw`](Self::from_raw).
    unsafe fn value<'a>(raw: *mut bindings::iommu_domain) -> &'a T::Domain {
        // SAFETY: The caller vouches for it.
        &unsafe { Self::from_raw(raw) }.value
    }

    /// As the target of an attachment; nothing if the domain is not one of this driver.
    ///
    /// # Safety
    ///
    /// `raw` is null, or a valid domain.
    pub(super) unsafe fn target<'a>(raw: *mut bindings::iommu_domain) -> Option<Target<'a, T>> {
        if T::operations().is_blocked(raw) {
            return Some(Target::Blocked);
        }
        // SAFETY: The caller vouches for the domain.
        unsafe { paging_domain::<T>(NonNull::new(raw)?) }.map(Target::Domain)
    }

    /// The page table in a domain: what [`registry`](super::registry) gives to users.
    ///
    /// # Safety
    ///
    /// As for [`from_raw`](Self::from_raw).
    pub(super) unsafe fn page_table(
        raw: NonNull<bindings::iommu_domain>,
    ) -> NonNull<dyn PageTable> {
        let domain: NonNull<Self> = raw.cast();

        domain
    }
}

/// The domain of driver `T` behind C's pointer, if it is one.
///
/// # Safety
///
/// `raw` is valid, and stays so while the result is used.
pub(in crate::iommu) unsafe fn paging_domain<'a, T: Driver>(
    raw: NonNull<bindings::iommu_domain>,
) -> Option<&'a T::Domain> {
    // SAFETY: The caller vouches for the domain; both fields are fixed once it exists.
    let (owner, ops) = unsafe { ((*raw.as_ptr()).owner, (*raw.as_ptr()).ops) };

    if !core::ptr::eq(owner, T::operations().as_raw()) || ops.is_null() {
        return None;
    }
    // SAFETY: The owner is the driver; its blocking domain has no owner.
    Some(unsafe { Domain::<T>::value(raw.as_ptr()) })
}

// SAFETY: The driver promises all of it.
unsafe impl<T: Driver> PageTable for Domain<T> {
    unsafe fn map(&self, iova: u64, runs: &[PhysRun], access: Access) -> Result<(), MapError> {
        Ok(self
            .value
            .map(iova, runs, access, TableAllocation::SleepAndAccount)?)
    }

    unsafe fn unmap(&self, iova: u64, length: usize, gather: Pin<&mut Gather>) -> bool {
        !kernel::warn_on!(self.value.unmap(iova, length, gather) != length)
    }

    fn sync(&self, mut gather: Pin<&mut Gather>) {
        self.value.sync(gather.as_mut());
        gather.clear();
    }

    unsafe fn read_runs(&self, iova: u64, length: usize, runs: &mut [PhysRun]) -> RunsRead {
        let count = self.value.read_runs(iova, length, runs);

        RunsRead {
            runs: count,
            bytes: runs.iter().take(count).map(|run| run.length).sum(),
        }
    }
}

/// # Safety
///
/// Called by the core for a domain of `T`. `mapped` is valid for writing.
unsafe extern "C" fn map_pages<T: Driver>(
    domain: *mut bindings::iommu_domain,
    iova: c_ulong,
    phys: bindings::phys_addr_t,
    size: usize,
    count: usize,
    prot: c_int,
    gfp: bindings::gfp_t,
    mapped: *mut usize,
) -> c_int {
    let prot = prot as u32;
    let access = Access {
        read: prot & bindings::IOMMU_READ != 0,
        write: prot & bindings::IOMMU_WRITE != 0,
    };
    let length = size.saturating_mul(count);
    let run = PhysRun {
        phys,
        length,
        kind: if prot & bindings::IOMMU_MMIO != 0 {
            MemoryKind::Mmio
        } else {
            MemoryKind::Normal
        },
    };
    // SAFETY: The domain is one of `T`.
    let domain = unsafe { Domain::<T>::value(domain) };

    from_result(|| {
        domain.map(iova as u64, &[run], access, TableAllocation::from_gfp(gfp))?;
        // SAFETY: The core counts here.
        unsafe { *mapped += length };
        Ok(0)
    })
}

/// # Safety
///
/// Called by the core for a domain of `T` and a gather that is being filled.
unsafe extern "C" fn unmap_pages<T: Driver>(
    domain: *mut bindings::iommu_domain,
    iova: c_ulong,
    size: usize,
    count: usize,
    gather: *mut bindings::iommu_iotlb_gather,
) -> usize {
    // SAFETY: The domain is one of `T`.
    let domain = unsafe { Domain::<T>::value(domain) };
    // SAFETY: The gather is valid, and this call's meanwhile.
    let gather = unsafe { Gather::from_raw(gather) };

    domain.unmap(iova as u64, size.saturating_mul(count), gather)
}

/// # Safety
///
/// Called by the core for a domain of `T`.
unsafe extern "C" fn flush_iotlb_all<T: Driver>(domain: *mut bindings::iommu_domain) {
    // SAFETY: The domain is one of `T`.
    unsafe { Domain::<T>::value(domain) }.sync_all();
}

/// # Safety
///
/// Called by the core for a domain of `T` and a gather that was filled.
unsafe extern "C" fn iotlb_sync<T: Driver>(
    domain: *mut bindings::iommu_domain,
    gather: *mut bindings::iommu_iotlb_gather,
) {
    // SAFETY: The domain is one of `T`.
    let domain = unsafe { Domain::<T>::value(domain) };

    // SAFETY: The gather is valid, and this call's meanwhile.
    domain.sync(unsafe { Gather::from_raw(gather) });
}

/// # Safety
///
/// Called by the core for a domain of `T`.
unsafe extern "C" fn iova_to_phys<T: Driver>(
    domain: *mut bindings::iommu_domain,
    iova: bindings::dma_addr_t,
) -> bindings::phys_addr_t {
    // SAFETY: The domain is one of `T`.
    unsafe { Domain::<T>::value(domain) }
        .translate(iova)
        .unwrap_or(0)
}

/// # Safety
///
/// Called by the core for a domain of `T`.
unsafe extern "C" fn enforce_cache_coherency<T: Driver>(
    domain: *mut bindings::iommu_domain,
) -> bool {
    // SAFETY: The domain is one of `T`.
    unsafe { Domain::<T>::value(domain) }.enforce_cache_coherency()
}

/// # Safety
///
/// Called by the core, once, for a domain of `T` that nobody uses any more.
unsafe extern "C" fn free<T: Driver>(domain: *mut bindings::iommu_domain) {
    // SAFETY: By the type invariant it came out of a box, and it is given back here.
    drop(unsafe { KBox::from_raw(domain.cast::<Domain<T>>()) });
}

impl From<table::Error> for Error {
    fn from(error: table::Error) -> Self {
        match error {
            table::Error::Alignment | table::Error::Indivisible => EINVAL,
            table::Error::Range => ERANGE,
            table::Error::Exists => EADDRINUSE,
            table::Error::Unsupported => EOPNOTSUPP,
            table::Error::NoMemory => ENOMEM,
        }
    }
}
