// SPDX-License-Identifier: GPL-2.0

//! Reserved IOVA regions of a device.

use super::{Claimed, DmaOwner};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{prelude::*, types::Opaque};

/// The reason for which a region is reserved (`enum iommu_resv_type`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ReservedKind {
    /// Firmware requires an identity mapping, until a driver takes over the device.
    DirectRelaxable,
    /// The hardware MSI window: writes to it are interrupts, which are not translated.
    Msi,
    /// The software MSI window, in which the kernel maps the doorbell of an interrupt controller.
    SoftwareMsi,
    /// Any other region that must not be mapped.
    Other,
}

/// A range of reserved IOVA.
#[derive(Clone, Copy)]
pub struct ReservedRegion {
    /// The first address.
    pub start: u64,
    /// The last address, inclusive.
    pub last: u64,
    /// The reason.
    pub kind: ReservedKind,
}

/// The reserved regions of a device.
///
/// # Invariants
///
/// `list` is a list head that `iommu_get_resv_regions()` has filled for the device of `claim`.
#[pin_data(PinnedDrop)]
pub struct ReservedRegions<'a> {
    #[pin]
    list: Opaque<bindings::list_head>,
    claim: Claimed<'a>,
}

impl<'a> ReservedRegions<'a> {
    /// Returns an initialiser that lists the regions which the IOMMU driver reports. Regions for
    /// which the driver cannot allocate memory are missing.
    ///
    /// The list [holds](DmaOwner::hold) the claim: the driver stays bound to the device until the
    /// list is dropped.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the driver has been unbound.
    pub fn of(device: &'a DmaOwner) -> Result<impl PinInit<Self> + 'a> {
        let claim = device.hold()?;
        let dev = claim.as_raw();

        Ok(pin_init!(Self {
            // INVARIANT: The list is initialised as empty, then filled. It is pinned.
            list <- Opaque::ffi_init(move |head: *mut bindings::list_head| {
                // SAFETY: The initialiser passes a `head` that is valid for writing and pinned.
                unsafe { head.write(bindings::list_head { next: head, prev: head }) };
                // SAFETY: `claim` is held, so the device has an IOMMU. `head` is an initialised
                // list.
                unsafe { bindings::iommu_get_resv_regions(dev, head) };
            }),
            claim,
        }))
    }

    /// Iterates over the regions.
    pub fn iter(&self) -> Iter<'_> {
        let head = self.list.get();

        Iter {
            head,
            // SAFETY: By the type invariant `head` is an initialised list head.
            next: unsafe { (*head).next },
            _list: PhantomData,
        }
    }
}

#[pinned_drop]
impl PinnedDrop for ReservedRegions<'_> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant `iommu_get_resv_regions()` has filled the list for this
        // device, which has kept its IOMMU, and the list is not used after this.
        unsafe { bindings::iommu_put_resv_regions(self.claim.as_raw(), self.list.get()) };
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
        // SAFETY: By the type invariant `next` is the link of a region, because it is not the head.
        // The region is valid as long as the list, which is borrowed for `'_`.
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
