// SPDX-License-Identifier: GPL-2.0

//! Attaching a group to domains: one for its requests without a PASID, and one for each PASID.
//!
//! The devices of a group share its domains. C code finds one of them through the attach handle
//! that the IOMMU core has for the group and a PASID (`iommufd_sw_msi()` in vmlinux), under the
//! lock that the core takes to change the handle. An [`Attachment`] has a handle for each attached
//! device, and gives the core another one before a device leaves, so that the core never names a
//! device that is gone.
//!
//! A handle keeps the bound device that it names. So no PASID is attached before its device is
//! bound, and a device with a PASID that is attached is not destroyed.

use crate::{
    bindings,
    capi::{begins_with_head, DeviceHead},
    head::{head_of, HwptHead},
    iommu::{DmaOwner, Domain, Group, Pasid, Requester},
    shim::device_ptr,
    ObjectId, ObjectType, OwnerRef, UserRef,
};
use kernel::{error::to_result, prelude::*, sync::Arc, types::Opaque};

/// The attach handle of a group, from which C code finds a device that is attached (`struct
/// iommufd_attach_handle`).
///
/// It keeps the object of that device: an [`OwnerRef`] to it that is dropped before its handle
/// leaks the object, so C code never finds memory that was freed. Allocated before locks are taken,
/// and passed to [`Attachment`].
///
/// # Invariants
///
/// `idev` of `raw` points to the object of `device`, which is laid out as C reads a bound device.
pub struct AttachHandle<T: ObjectType> {
    raw: Opaque<bindings::iommufd_attach_handle_layout>,
    owner: Arc<DmaOwner>,
    device: UserRef<T>,
}

// SAFETY: `raw` is plain memory without ties to a thread, which the IOMMU core accesses under its
// own lock. The other fields are `Send`.
unsafe impl<T: ObjectType> Send for AttachHandle<T> {}
// SAFETY: A `&AttachHandle` only gives out the raw pointer, and references to fields that are
// `Sync`.
unsafe impl<T: ObjectType> Sync for AttachHandle<T> {}

impl<T: ObjectType> AttachHandle<T> {
    /// Creates a handle that names the bound `device` as the one that is attached.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a device that does not begin with its head; `ENOMEM`.
    pub fn new(device: &OwnerRef<T>) -> Result<KBox<Self>>
    where
        T: AsRef<DeviceHead<T::Family>>,
    {
        if !begins_with_head(device) {
            return Err(EINVAL);
        }
        let mut raw: bindings::iommufd_attach_handle_layout = pin_init::zeroed();

        raw.idev = device.as_c_ptr().cast_mut();
        // INVARIANT: The pointer and the reference are of the same object, which was checked to
        // begin with its head.
        let handle = Self {
            raw: Opaque::new(raw),
            owner: (**device).as_ref().owner().clone(),
            device: device.to_user(),
        };

        Ok(KBox::new(handle, GFP_KERNEL_ACCOUNT)?)
    }

    /// Returns the ID of the device.
    pub fn id(&self) -> ObjectId {
        self.device.id()
    }

    /// Returns the claim on the DMA of the device.
    pub fn owner(&self) -> &Arc<DmaOwner> {
        &self.owner
    }

    fn as_raw(&self) -> *mut bindings::iommu_attach_handle {
        // `handle` is the first field of the structure.
        self.raw.get().cast()
    }
}

/// The devices of a group whose requests without a PASID, or with one certain PASID, are attached
/// to a domain. On drop these requests of the group are detached, which blocks them.
///
/// # Invariants
///
/// `hwpt` begins with its head. The requests `who` of `group` are attached to the domain of that.
/// `handles` is not empty, the
/// core has the first of them, and each is of a device of `group`. The DMA of the group is claimed:
/// each device was when it was attached, and the core does not release the last claim on a group of
/// which any requests are attached.
pub struct Attachment<T: ObjectType, H: ObjectType + AsRef<HwptHead>> {
    group: Group,
    who: Requester,
    /// Kept for as long as C code finds it through the domain.
    hwpt: UserRef<H>,
    /// Dropped last, because the core uses the first until the group is detached.
    handles: KVec<KBox<AttachHandle<T>>>,
}

/// Returns the domain of a page table, which begins with its head.
///
/// # Errors
///
/// `EINVAL` if it does not.
fn domain_of<H: ObjectType + AsRef<HwptHead>>(hwpt: &UserRef<H>) -> Result<&Domain> {
    let head = head_of::<H, HwptHead>(hwpt).ok_or(EINVAL)?;

    Ok(head.table())
}

impl<T: ObjectType, H: ObjectType + AsRef<HwptHead>> Attachment<T, H> {
    /// Attaches the requests `who` of the group of the device of `handle` to the domain of `hwpt`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `hwpt` does not begin with its head, if the domain is not compatible with the
    /// devices, for which another domain may be, or if a device of the group does not have the
    /// PASID; `EOPNOTSUPP` if the driver of the IOMMU does not support PASIDs; `EBUSY` if these
    /// requests of the group are attached already; `ENODEV` if the driver of the device has been
    /// unbound; `ENOMEM`; else the error of the IOMMU driver.
    pub fn new(who: Requester, hwpt: UserRef<H>, handle: KBox<AttachHandle<T>>) -> Result<Self> {
        let domain = domain_of(&hwpt)?.as_raw();
        let owner = handle.owner.clone();
        let group = owner.group().clone();
        let raw = handle.as_raw();
        let mut handles = KVec::with_capacity(1, GFP_KERNEL_ACCOUNT)?;

        handles.push_within_capacity(handle)?;

        let _claim = owner.hold()?;

        to_result(match who {
            // SAFETY: `hwpt` and `group` hold references, so both are valid. The claim is held, so
            // the group has the device. The handle is boxed, and the new value keeps it until the
            // core has another one or the group has been detached.
            Requester::Rid => unsafe {
                bindings::iommu_attach_group_handle(domain, group.as_raw(), raw)
            },
            // SAFETY: As above. `owner` holds a reference to the device, which is bound to its
            // driver and does not leave its group while the claim is held.
            Requester::Pasid(pasid) => unsafe {
                let dev = device_ptr(owner.device());

                bindings::iommu_attach_device_pasid(domain, dev, pasid.get(), raw)
            },
        })?;
        // INVARIANT: The requests of the group were attached just now, with the only handle, whose
        // device is in the group.
        Ok(Self {
            group,
            who,
            hwpt,
            handles,
        })
    }

    /// Moves the group to the domain of another page table; drivers may do so without a gap in
    /// translation. `handle` is of a device that is attached, and replaces the one that the device
    /// has. Returns the page table that the group has left.
    ///
    /// # Errors
    ///
    /// `EINVAL` also if the device is not attached, else as for [`new`](Self::new); the group stays
    /// where it was.
    pub fn replace(
        &mut self,
        hwpt: UserRef<H>,
        handle: KBox<AttachHandle<T>>,
    ) -> Result<UserRef<H>> {
        let at = self
            .handles
            .iter()
            .position(|old| old.device.is_same(&handle.device))
            .ok_or(EINVAL)?;

        self.give(&hwpt, &handle)?;
        // INVARIANT: The group is attached to this domain, and the core has this handle, which
        // becomes the first. Its device has been attached, so it is one of the group.
        self.handles.swap(0, at);
        if let Some(first) = self.handles.first_mut() {
            *first = handle;
        }
        Ok(core::mem::replace(&mut self.hwpt, hwpt))
    }

    /// Makes the core use `handle`, and attaches the group to the domain of `hwpt`. A group that
    /// is attached to it already is not changed, and the call does not fail then.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new); the core has the handle that it had.
    fn give(&self, hwpt: &UserRef<H>, handle: &AttachHandle<T>) -> Result {
        let domain = domain_of(hwpt)?.as_raw();
        let _claim = handle.owner.hold()?;

        if !handle.owner.group().is_same(&self.group) {
            return Err(EINVAL);
        }
        to_result(match self.who {
            // SAFETY: `hwpt` and `group` hold references, so both are valid, and by the type
            // invariant the group is attached. The claim is held, so the group has the device. The
            // callers keep the boxed handle and the page table in `self`, and drop those that they
            // replace only after the call, when the core does not use them any more.
            Requester::Rid => unsafe {
                let group = self.group.as_raw();

                bindings::iommu_replace_group_handle(group, domain, handle.as_raw())
            },
            // SAFETY: As above. The handle's owner holds a reference to the device, which is bound
            // to its driver and does not leave its group while the claim is held.
            Requester::Pasid(pasid) => unsafe {
                let dev = device_ptr(handle.owner.device());

                bindings::iommu_replace_device_pasid(domain, dev, pasid.get(), handle.as_raw())
            },
        })
    }

    /// Attaches one more device of the group.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a device of another group; `ENODEV` if its driver has been unbound; `ENOMEM`.
    pub fn add(&mut self, handle: KBox<AttachHandle<T>>) -> Result {
        if !handle.owner.group().is_same(&self.group) {
            return Err(EINVAL);
        }
        drop(handle.owner.hold()?);
        // INVARIANT: It was checked above that this is a device of the group.
        Ok(self.handles.push(handle, GFP_KERNEL_ACCOUNT)?)
    }

    /// Detaches a device, which is not the only one. Returns false, without any effect, if it is:
    /// the attachment must be dropped then.
    ///
    /// If the core does not take the handle of another device, which is an error of the core, the
    /// attachment keeps that of the device, and with it the object.
    pub fn remove(&mut self, device: ObjectId) -> bool {
        if self.handles.len() < 2 {
            return false;
        }
        let mut is_device = |handle: &KBox<AttachHandle<T>>| handle.id() == device;

        if self.handles.first().is_some_and(&mut is_device) {
            let mut others = self.handles.iter().skip(1);
            let given = others.position(|next| self.give(&self.hwpt, next).is_ok());
            let Some(given) = given else {
                kernel::warn_on!(true);
                return true;
            };

            // INVARIANT: The core has been given this handle, which becomes the first.
            self.handles.swap(0, 1 + given);
        }
        // INVARIANT: The first handle, which the core has, is not of the device.
        self.handles.retain(|handle| !is_device(handle));
        true
    }

    /// Returns the page table.
    pub fn hwpt(&self) -> &UserRef<H> {
        &self.hwpt
    }

    /// Returns the domain that the requests are attached to.
    fn domain(&self) -> *mut bindings::iommu_domain {
        let hwpt = (&raw const *self.hwpt).cast::<HwptHead>();

        // SAFETY: By the type invariant the value of the object begins with its head, and `self`
        // keeps the object.
        unsafe { &*hwpt }.table().as_raw()
    }

    /// Returns the handles of the attached devices.
    pub fn handles(&self) -> &[KBox<AttachHandle<T>>] {
        &self.handles
    }

    /// Detaches `pasid`, which is that of `who`. Returns false if the drivers of all devices have
    /// been unbound, which is an error of theirs: no device is known to be in the group then.
    fn detach_pasid(&self, pasid: Pasid) -> bool {
        let mut claims = self.handles.iter().map(|handle| handle.owner.hold());
        let Some(claim) = claims.find_map(Result::ok) else {
            return false;
        };

        // SAFETY: By the type invariant the PASID of the group is attached to the domain of
        // `hwpt`. The claim is held, so the device is bound to its driver and does not leave the
        // group. The handle that the core has is dropped after this.
        unsafe {
            bindings::iommu_detach_device_pasid(
                self.domain(),
                device_ptr(claim.device()),
                pasid.get(),
            )
        };
        true
    }
}

#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
impl<T: ObjectType, H: ObjectType + AsRef<HwptHead>> Attachment<T, H> {
    /// Returns whether the core has attached the requests to the domain of `hwpt`, with the first
    /// handle.
    pub fn is_in_core(&self) -> bool {
        self.handles.first().is_some_and(|first| {
            let raw = first.as_raw();
            // SAFETY: The handle is valid, and the core changes it only in calls from functions
            // with a `&mut self`.
            let domain = unsafe { (*raw).domain };

            core::ptr::eq(core_handle(&self.group, self.who), raw)
                && core::ptr::eq(domain, self.domain())
        })
    }
}

/// Returns whether the core has an attach handle for the requests `who` of a group.
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub fn has_core_handle(group: &Group, who: Requester) -> bool {
    kernel::error::from_err_ptr(core_handle(group, who)).is_ok()
}

/// Returns the attach handle that the core has, which may be gone, or an error pointer.
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
fn core_handle(group: &Group, who: Requester) -> *mut bindings::iommu_attach_handle {
    // SAFETY: `group` holds a reference. With type zero, the function does not access the handle.
    unsafe { bindings::iommu_attach_handle_get(group.as_raw(), who.as_raw(), 0) }
}

impl<T: ObjectType, H: ObjectType + AsRef<HwptHead>> Drop for Attachment<T, H> {
    fn drop(&mut self) {
        match self.who {
            // SAFETY: By the type invariant the group is attached to the domain of `hwpt`, and its
            // DMA is claimed. The handle that the core has is dropped after this.
            Requester::Rid => unsafe {
                bindings::iommu_detach_group_handle(self.domain(), self.group.as_raw())
            },
            Requester::Pasid(pasid) => {
                if kernel::warn_on!(!self.detach_pasid(pasid)) {
                    // The core still uses them. It has leaked the claim on the group as well.
                    core::mem::forget(self.hwpt.clone());
                    core::mem::forget(core::mem::take(&mut self.handles));
                }
            }
        }
    }
}
