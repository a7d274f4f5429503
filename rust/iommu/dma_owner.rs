// SPDX-License-Identifier: GPL-2.0

//! The ownership of the DMA of a device, which ends with the binding of its driver at the latest.
//!
//! The IOMMU core lets only the driver that is bound to a device claim its DMA and release it: a
//! device without a driver may be removed, and then has neither a group nor an IOMMU. So the claim
//! is a device resource ([`Devres`]), which the driver core releases when the driver is unbound, if
//! the owner has not done so before.

use super::{capability::Capability, driver::Driver, group::Group};
use crate::{
    bindings, new_rwsem,
    shim::device_ptr,
    sync::{ReadGuard, RwSem},
};
use core::ffi::c_void;
use kernel::{
    device::{Bound, Device},
    devres::Devres,
    error::to_result,
    prelude::*,
    sync::{aref::ARef, Arc},
};

/// The ownership of the DMA of a device, and thereby of its whole group, by one user.
///
/// From the first claim on, DMA of the group is blocked until a domain is attached. When the last
/// claim is dropped, the group returns to the DMA API of the kernel.
///
/// The claim of a value that outlives the binding of the driver ends with that binding. The driver
/// core waits for the operations that are using the claim, and all later ones fail with `ENODEV`.
/// If the group is still attached to a domain then, the core warns and leaks the claim: no other
/// user and no driver gets the group.
///
/// # Examples
///
/// ```ignore
/// let owner = DmaOwner::claim(dev, cookie)?;
/// let domain = Domain::new(&owner, DomainFeatures::default(), None)?;
///
/// // The driver is unbound from `dev`.
///
/// assert_eq!(Domain::new(&owner, DomainFeatures::default(), None).err(), Some(ENODEV));
/// drop(owner); // without effect on the group, which may have another owner now
/// ```
pub struct DmaOwner {
    claim: Arc<Claim>,
    /// Releases the claim, when this is dropped or the driver is unbound.
    _release: Devres<Release>,
}

/// A claim on the DMA of a device.
///
/// # Invariants
///
/// While `live` is true, a [`Release`] of this claim exists. It is set to false by that value only.
#[pin_data]
struct Claim {
    dev: ARef<Device>,
    group: Group,
    /// Held for reading by operations that need the claim.
    #[pin]
    live: RwSem<bool>,
}

/// The obligation to release a claim. Exists within a [`Devres`] of the device only, which drops it
/// before the driver is unbound.
///
/// # Invariants
///
/// `iommu_device_claim_dma_owner()` has succeeded for the device of the claim, and this value owns
/// what it has claimed. A driver is bound to the device.
struct Release(Arc<Claim>);

impl Drop for Release {
    fn drop(&mut self) {
        let mut live = self.0.live.write();

        *live = false;
        // SAFETY: By the type invariant this value owns the claim, which is released only here, and
        // a driver is bound to the device, so the device has not left its group.
        unsafe { bindings::iommu_device_release_dma_owner(device_ptr(&self.0.dev)) };
    }
}

impl DmaOwner {
    /// Claims the DMA of the group of `dev` for the owner that is identified by the address
    /// `cookie`.
    ///
    /// # Errors
    ///
    /// `EPERM` if the group has another owner, or a driver uses the DMA API for a device in it;
    /// `EBUSY` if a domain is attached to the group; `ENODEV` if the device has no IOMMU; `ENOMEM`.
    pub fn claim(dev: &Device<Bound>, cookie: *const c_void) -> Result<Self> {
        let group = Group::of(dev).ok_or(ENODEV)?;
        let claim = Arc::pin_init(
            pin_init!(Claim {
                dev: (&**dev).into(),
                group,
                live <- new_rwsem!(true, "Claim::live"),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;

        // SAFETY: `dev` is a reference to a device that a driver is bound to, so it is not removed
        // from its group during the call. The cookie is only compared.
        to_result(unsafe {
            bindings::iommu_device_claim_dma_owner(device_ptr(dev), cookie.cast_mut())
        })?;
        // INVARIANT: The claim has succeeded, and the new value owns it. The driver is bound during
        // this call, and `Devres` drops the value before it is unbound.
        let release = Release(claim.clone());

        Ok(Self {
            claim,
            _release: Devres::new(dev, release)?,
        })
    }

    /// Keeps the claim, and so the driver of the device, until the result is dropped: unbinding the
    /// driver waits for it. A result that is leaked therefore blocks the unbinding for ever.
    ///
    /// The caller must not hold another result for the same claim.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the driver has been unbound.
    pub fn hold(&self) -> Result<Claimed<'_>> {
        let live = self.claim.live.read();

        if !*live {
            return Err(ENODEV);
        }
        // INVARIANT: `live` is true, and held for reading.
        Ok(Claimed {
            dev: &self.claim.dev,
            _live: live,
        })
    }

    /// Returns the device.
    pub fn device(&self) -> &Device {
        &self.claim.dev
    }

    /// Returns its group.
    pub fn group(&self) -> &Group {
        &self.claim.group
    }

    /// Returns whether the IOMMU of the device has a capability. False if the driver of the device
    /// has been unbound.
    pub fn is_capable(&self, capability: Capability) -> bool {
        self.hold().is_ok_and(|claim| {
            // SAFETY: By the type invariant of `Claimed` the device keeps its IOMMU.
            unsafe { bindings::device_iommu_capable(claim.as_raw(), capability as u32) }
        })
    }

    /// Returns whether the driver of its IOMMU allocates domains with optional features and with
    /// data from user space. False if the driver of the device has been unbound.
    pub fn takes_domain_features(&self) -> bool {
        self.hold()
            .is_ok_and(|claim| claim.iommu_ops().domain_alloc_paging_flags.is_some())
    }

    /// Returns whether the driver of its IOMMU allocates nested domains. False if the driver of the
    /// device has been unbound.
    pub fn nests_domains(&self) -> bool {
        self.hold()
            .is_ok_and(|claim| claim.iommu_ops().domain_alloc_nested.is_some())
    }

    /// Returns whether `T` is the driver of its IOMMU. False if the driver of the device has been
    /// unbound.
    pub fn is_driven_by<T: Driver>(&self) -> bool {
        self.hold()
            .is_ok_and(|claim| core::ptr::eq(claim.iommu_ops(), T::operations().as_raw()))
    }
}

/// A claim on the DMA of a device that cannot end before this value is dropped.
///
/// # Invariants
///
/// `_live` is true and held for reading, so the DMA of `dev` is claimed, and a driver is bound to
/// it. The device therefore keeps its group, its `dev_iommu` and the driver of its IOMMU.
pub struct Claimed<'a> {
    dev: &'a Device,
    _live: ReadGuard<'a, bool>,
}

impl Claimed<'_> {
    /// Returns the device.
    pub fn device(&self) -> &Device {
        self.dev
    }

    /// Returns the C structure of the device.
    pub(crate) fn as_raw(&self) -> *mut bindings::device {
        device_ptr(self.dev)
    }

    /// Returns the data of the IOMMU core for the device.
    pub(crate) fn iommu(&self) -> *mut bindings::dev_iommu {
        // SAFETY: `self.dev` is a reference, so the device is valid. By the type invariant its DMA
        // is claimed, which is possible only for a device with an IOMMU, and it keeps its
        // `dev_iommu` while `self` exists.
        unsafe { (*self.as_raw()).iommu }
    }

    /// Returns the operations of the driver of its IOMMU.
    pub(crate) fn iommu_ops(&self) -> &bindings::iommu_ops {
        // SAFETY: By the type invariant the device keeps its `dev_iommu` while `self` exists.
        let iommu = unsafe { (*self.iommu()).iommu_dev };
        // SAFETY: The device keeps the IOMMU that its `dev_iommu` names for as long as that.
        let ops = unsafe { (*iommu).ops };

        // SAFETY: The operations of a driver are constant and live as long as one of its devices,
        // which by the type invariant is as long as `self` is borrowed.
        unsafe { &*ops }
    }
}
