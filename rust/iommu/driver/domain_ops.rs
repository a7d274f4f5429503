// SPDX-License-Identifier: GPL-2.0

//! What C calls for a domain of a Rust driver: `struct iommu_domain_ops`, one table for each
//! driver, format and coherence.

use super::{domain::DomainBox, Driver, PagingDomain};
use crate::{
    bindings,
    iommu::{
        domain_table::IotlbGather,
        run::{Access, MemoryKind, PhysRun},
        table::{Format, TableAllocation},
    },
};
use core::marker::PhantomData;
use kernel::{error::from_result, prelude::*};

struct Table<T, F, const COHERENT: bool>(PhantomData<(T, F)>);

impl<T: Driver, F: Format, const COHERENT: bool> Table<T, F, COHERENT> {
    const OPERATIONS: bindings::iommu_domain_ops = bindings::iommu_domain_ops {
        attach_dev: Some(super::operations::attach::<T>),
        set_dev_pasid: super::operations::set_dev_pasid::<T>(),
        map_pages: Some(map_pages::<T, F, COHERENT>),
        unmap_pages: Some(unmap_pages::<T, F, COHERENT>),
        flush_iotlb_all: Some(flush_iotlb_all::<T, F, COHERENT>),
        iotlb_sync: Some(iotlb_sync::<T, F, COHERENT>),
        iova_to_phys: Some(iova_to_phys::<T, F, COHERENT>),
        enforce_cache_coherency: Some(enforce_cache_coherency::<T, F, COHERENT>),
        free: Some(free::<T, F, COHERENT>),
        ..pin_init::zeroed()
    };
}

/// The operations of such domains.
pub(super) fn operations<T: Driver, F: Format, const COHERENT: bool>(
) -> &'static bindings::iommu_domain_ops {
    const { &Table::<T, F, COHERENT>::OPERATIONS }
}

/// # Safety
///
/// The core calls it for a domain with the operations of this type. `mapped` is valid for writing.
unsafe extern "C" fn map_pages<T: Driver, F: Format, const COHERENT: bool>(
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
    // SAFETY: The core calls the function of the domain's own operations.
    let domain = unsafe { DomainBox::<T, F, COHERENT>::from_raw(domain) };

    from_result(|| {
        domain.map(iova as u64, &[run], access, TableAllocation::from_gfp(gfp))?;
        // SAFETY: The core passes a pointer to its count.
        unsafe { *mapped += length };
        Ok(0)
    })
}

/// # Safety
///
/// The core calls it for a domain with the operations of this type and a gather that is being
/// filled.
unsafe extern "C" fn unmap_pages<T: Driver, F: Format, const COHERENT: bool>(
    domain: *mut bindings::iommu_domain,
    iova: c_ulong,
    size: usize,
    count: usize,
    gather: *mut bindings::iommu_iotlb_gather,
) -> usize {
    // SAFETY: The core calls the function of the domain's own operations.
    let domain = unsafe { DomainBox::<T, F, COHERENT>::from_raw(domain) };
    // SAFETY: The gather is initialised, and the core does not access it during the call.
    let gather = unsafe { IotlbGather::from_raw(gather) };

    domain.unmap(iova as u64, size.saturating_mul(count), gather)
}

/// # Safety
///
/// The core calls it for a domain with the operations of this type.
unsafe extern "C" fn flush_iotlb_all<T: Driver, F: Format, const COHERENT: bool>(
    domain: *mut bindings::iommu_domain,
) {
    // SAFETY: The core calls the function of the domain's own operations.
    let domain = unsafe { DomainBox::<T, F, COHERENT>::from_raw(domain) };

    domain.value().sync_all();
}

/// # Safety
///
/// The core calls it for a domain with the operations of this type and a gather that was filled.
unsafe extern "C" fn iotlb_sync<T: Driver, F: Format, const COHERENT: bool>(
    domain: *mut bindings::iommu_domain,
    gather: *mut bindings::iommu_iotlb_gather,
) {
    // SAFETY: The core calls the function of the domain's own operations.
    let domain = unsafe { DomainBox::<T, F, COHERENT>::from_raw(domain) };
    // SAFETY: The gather is initialised, and the core does not access it during the call.
    let gather = unsafe { IotlbGather::from_raw(gather) };

    domain.value().sync(gather);
}

/// # Safety
///
/// The domain is valid, and has the operations of this type.
unsafe extern "C" fn iova_to_phys<T: Driver, F: Format, const COHERENT: bool>(
    domain: *mut bindings::iommu_domain,
    iova: bindings::dma_addr_t,
) -> bindings::phys_addr_t {
    // SAFETY: The caller keeps the domain valid, and calls the function of its own operations.
    let domain = unsafe { DomainBox::<T, F, COHERENT>::from_raw(domain) };

    domain.translate(iova).unwrap_or(0)
}

/// # Safety
///
/// The core calls it for a domain with the operations of this type.
unsafe extern "C" fn enforce_cache_coherency<T: Driver, F: Format, const COHERENT: bool>(
    domain: *mut bindings::iommu_domain,
) -> bool {
    // SAFETY: The core calls the function of the domain's own operations.
    let domain = unsafe { DomainBox::<T, F, COHERENT>::from_raw(domain) };

    domain.value().enforce_cache_coherency()
}

/// # Safety
///
/// The core calls it once, for a domain with the operations of this type to which no device is
/// attached any more.
unsafe extern "C" fn free<T: Driver, F: Format, const COHERENT: bool>(
    domain: *mut bindings::iommu_domain,
) {
    // SAFETY: The core passes the ownership of the domain.
    unsafe { DomainBox::<T, F, COHERENT>::free(domain) };
}
