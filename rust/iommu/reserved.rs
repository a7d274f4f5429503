// SPDX-License-Identifier: GPL-2.0

//! IOVA that a device cannot use, or that has a use already.

use super::DmaOwner;
use crate::{bindings, shim::device_ptr};
use core::marker::PhantomData;
use kernel::{prelude::*, types::Opaque};

/// Why a region is reserved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ReservedKind {
    /// Firmware wants it mapped one to one, but only until a driver takes the device over.
    DirectRelaxable,
    /// Interrupts: writes here are not translated.
    Msi,
    /// Where the kernel may place an interrupt controller's page.
    SoftwareMsi,
    /// Anything else that must not be mapped.
    Other,
}

/// A range of reserved IOVA.
#[derive(Clone, Copy)]
pub struct ReservedRegion {
    /// First address.
    pub start: u64,
    /// Last address, inclusive.
    pub last: u64,
    /// Why.
    pub kind: ReservedKind,
}

/// The reserved regions of a device.
///
/// # Invariants
///
/// `list` is a list head that `iommu_get_resv_regions()` filled for `device`.
#[pin_data(PinnedDrop)]
pub struct ReservedRegions<'a> {
    #[pin]
    list: Opaque<bindings::list_head>,
    device: &'a DmaOwner,
}

impl<'a> ReservedRegions<'a> {
    /// Asks the IOMMU driver. What it has no memory for is missing.
    pub fn of(device: &'a DmaOwner) -> impl PinInit<Self> + 'a {
        pin_init!(Self {
            // INVARIANT: The list is empty, then filled, and does not move.
            list <- Opaque::ffi_init(move |head: *mut bindings::list_head| {
                // SAFETY: `head` is valid for writing.
                unsafe { head.write(bindings::list_head { next: head, prev: head }) };
                // SAFETY: An IOMMU serves the device, or nobody could own its DMA; `head` is a list.
                unsafe { bindings::iommu_get_resv_regions(device_ptr(device.device()), head) };
            }),
            device,
        })
    }

    /// The regions, one after the other.
    pub fn iter(&self) -> Iter<'_> {
        let head = self.list.get();

        Iter {
            head,
            // SAFETY: By the type invariant this is a list.
            next: unsafe { (*head).next },
            _list: PhantomData,
        }
    }
}

#[pinned_drop]
impl PinnedDrop for ReservedRegions<'_> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant the list was filled for this device.
        unsafe {
            bindings::iommu_put_resv_regions(device_ptr(self.device.device()), self.list.get())
        };
    }
}

/// Iterates over [`ReservedRegions`].
///
/// # Invariants
///
/// `next` is an entry of the list `head`, or `head` itself.
pub struct Iter<'a> {
    head: *mut bindings::list_head,
    next: *mut bindings::list_head,
    _list: PhantomData<&'a ()>,
}

impl Iterator for Iter<'_> {
    type Item = ReservedRegion;

    fn next(&mut self) -> Option<ReservedRegion> {
        if core::ptr::eq(self.next, self.head) {
            return None;
        }
        let region = self
            .next
            .wrapping_byte_sub(core::mem::offset_of!(bindings::iommu_resv_region, list))
            .cast::<bindings::iommu_resv_region>();
        // SAFETY: By the type invariant `next` is the link of a region, which lives as long as the
        // list does.
        let region = unsafe { &*region };

        self.next = region.list.next;
        Some(ReservedRegion {
            start: region.start,
            last: region
                .start
                .saturating_add((region.length as u64).saturating_sub(1)),
            kind: match region.type_ {
                bindings::iommu_resv_type_IOMMU_RESV_DIRECT_RELAXABLE => {
                    ReservedKind::DirectRelaxable
                }
                bindings::iommu_resv_type_IOMMU_RESV_MSI => ReservedKind::Msi,
                bindings::iommu_resv_type_IOMMU_RESV_SW_MSI => ReservedKind::SoftwareMsi,
                _ => ReservedKind::Other,
            },
        })
    }
}
