// SPDX-License-Identifier: GPL-2.0

//! The functions that C calls for a domain of a Rust driver that records which memory devices have
//! written to: `struct iommu_dirty_ops`, one table for each driver, format and coherence.

use super::{domain::DomainBox, Driver, PagingDomain};
use crate::{
    array_vec::ArrayVec,
    bindings,
    iommu::{
        domain_table::IotlbGather,
        table::{DirtyPage, Format},
    },
};
use core::marker::PhantomData;
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
use kernel::sync::atomic::{ordering::Relaxed, Atomic};
use kernel::{error::from_result, prelude::*};

/// The number of pages that are recorded between two walks. Few enough for the stack.
const AT_ONCE: usize = 16;

struct Table<T, F, const COHERENT: bool>(PhantomData<(T, F)>);

impl<T: Driver, F: Format, const COHERENT: bool> Table<T, F, COHERENT> {
    const OPERATIONS: bindings::iommu_dirty_ops = bindings::iommu_dirty_ops {
        set_dirty_tracking: Some(set_dirty_tracking::<T, F, COHERENT>),
        read_and_clear_dirty: Some(read_and_clear_dirty::<T, F, COHERENT>),
    };
}

/// Whether users in Rust read such domains by the functions of this file as well.
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
static READ_BY_C: Atomic<bool> = Atomic::new(false);

/// Lets users in Rust read which memory devices have written to by the functions for C, so that
/// these can be tested.
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub fn read_dirty_by_c(by_c: bool) {
    READ_BY_C.store(by_c, Relaxed);
}

/// Returns whether they do.
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub(super) fn is_read_by_c() -> bool {
    READ_BY_C.load(Relaxed)
}

/// Returns the operations of such domains.
pub(super) fn operations<T: Driver, F: Format, const COHERENT: bool>(
) -> &'static bindings::iommu_dirty_ops {
    const { &Table::<T, F, COHERENT>::OPERATIONS }
}

/// # Safety
///
/// The caller calls it for a domain with the operations of this type.
unsafe extern "C" fn set_dirty_tracking<T: Driver, F: Format, const COHERENT: bool>(
    domain: *mut bindings::iommu_domain,
    enabled: bool,
) -> c_int {
    // SAFETY: The caller calls the function of the domain's own operations.
    let domain = unsafe { DomainBox::<T, F, COHERENT>::from_raw(domain) };

    from_result(|| {
        domain.value().dirty().ok_or(EOPNOTSUPP)?.track(enabled)?;
        Ok(0)
    })
}

/// Walks and records by turns: a walk must not sleep, and the bitmap may wait for user memory.
///
/// # Safety
///
/// The caller calls it for a domain with the operations of this type. `dirty` is valid, its bitmap
/// is null or valid, and its gather is being filled; both are used by this call only.
unsafe extern "C" fn read_and_clear_dirty<T: Driver, F: Format, const COHERENT: bool>(
    domain: *mut bindings::iommu_domain,
    iova: c_ulong,
    size: usize,
    flags: c_ulong,
    dirty: *mut bindings::iommu_dirty_bitmap,
) -> c_int {
    // SAFETY: The caller calls the function of the domain's own operations.
    let domain = unsafe { DomainBox::<T, F, COHERENT>::from_raw(domain) };
    // SAFETY: The caller promises that `dirty` is valid.
    let bitmap = unsafe { (*dirty).bitmap };
    // SAFETY: The caller promises that `dirty` is valid.
    let gather = unsafe { (*dirty).gather };
    let clear = flags & bindings::IOMMU_DIRTY_NO_CLEAR as c_ulong == 0;
    let iova = iova as u64;
    let end = iova.saturating_add((size as u64).saturating_sub(1));
    let mut next = (size != 0).then_some(iova);

    while let Some(at) = next.take() {
        let mut pages = ArrayVec::<(u64, u64), AT_ONCE>::new();
        // SAFETY: The gather is initialised, and no other code accesses it during this call.
        let gather = unsafe { IotlbGather::from_raw(gather) };

        domain.for_each_dirty(at, end, gather, |first, last| {
            let part = (first.max(iova), last.min(end));

            if !pages.push(part) {
                next = Some(part.0);
                DirtyPage::Stop
            } else if clear && part == (first, last) {
                DirtyPage::Clear
            } else {
                // Only a part of it is recorded.
                DirtyPage::Keep
            }
        });
        if bitmap.is_null() {
            continue;
        }
        for &(first, last) in pages.as_slice() {
            // SAFETY: The caller promises that the bitmap is valid, and used by this call only.
            unsafe {
                bindings::kernel_ext_iova_bitmap_set(
                    bitmap,
                    first as c_ulong,
                    (last - first + 1) as usize,
                )
            };
        }
    }
    0
}
