// SPDX-License-Identifier: GPL-2.0

//! Attaching a group to a domain.
//!
//! The devices of a group share its domain. C code finds one of them through the attach handle that
//! the IOMMU core has for the group (`iommufd_sw_msi()` in vmlinux), under the lock that the core
//! takes to change the handle. An [`Attachment`] has a handle for each attached device, and gives
//! the core another one before a device leaves, so that the core never names a device that is gone.

use crate::{
    bindings,
    capi::{begins_with_head, DeviceHead},
    iommu::{DmaOwner, Group},
    table::Table,
    ObjectId, ObjectType, OwnerRef, UserRef,
};
use kernel::{error::to_result, prelude::*, sync::Arc, types::Opaque};

/// The attach handle of a group, from which C code finds a device that is attached (`struct
/// iommufd_attach_handle`).
///
/// It keeps the object of that device: an [`OwnerRef`] to it that is dropped before its handle leaks
/// the object, so C code never finds memory that was freed. Allocated before locks are taken, and
/// passed to [`Attachment`].
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

/// The devices of a group that are attached to a domain. On drop the group is detached, which
/// blocks its DMA.
///
/// # Invariants
///
/// `group` is attached to the domain of `table`. `handles` is not empty, the core has the first of
/// them, and each is of a device of `group`. The DMA of the group is claimed: each device was when
/// it was attached, and the core does not release the last claim on a group that is attached.
pub struct Attachment<T: ObjectType> {
    group: Group,
    table: Table,
    /// Dropped last, because the core uses the first until the group is detached.
    handles: KVec<KBox<AttachHandle<T>>>,
}

impl<T: ObjectType> Attachment<T> {
    /// Attaches the group of the device of `handle` to the domain of `table`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the domain is not compatible with the devices, for which another domain may be;
    /// `ENODEV` if the driver of the device has been unbound; `ENOMEM`; else the error of the IOMMU
    /// driver.
    pub fn new(table: Table, handle: KBox<AttachHandle<T>>) -> Result<Self> {
        let owner = handle.owner.clone();
        let group = owner.group().clone();
        let raw = handle.as_raw();
        let mut handles = KVec::with_capacity(1, GFP_KERNEL_ACCOUNT)?;

        handles.push_within_capacity(handle)?;

        let _claim = owner.hold()?;
        // SAFETY: `table` and `group` hold references, so both are valid. The claim is held, so the
        // group has the device. The handle is boxed, and the new value keeps it until the core has
        // another one or the group has been detached.
        to_result(unsafe {
            bindings::iommu_attach_group_handle(table.as_raw(), group.as_raw(), raw)
        })?;
        // INVARIANT: The group was attached just now, with the only handle, whose device is in it.
        Ok(Self {
            group,
            table,
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
    pub fn replace(&mut self, table: Table, handle: KBox<AttachHandle<T>>) -> Result<Table> {
        let at = self
            .handles
            .iter()
            .position(|old| old.device.is_same(&handle.device))
            .ok_or(EINVAL)?;

        self.give(&table, &handle)?;
        // INVARIANT: The group is attached to this domain, and the core has this handle, which
        // becomes the first. Its device has been attached, so it is one of the group.
        self.handles.swap(0, at);
        if let Some(first) = self.handles.first_mut() {
            *first = handle;
        }
        Ok(core::mem::replace(&mut self.table, table))
    }

    /// Makes the core use `handle`, and attaches the group to the domain of `table`. A group that
    /// is attached to it already is not changed, and the call does not fail then.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new); the core has the handle that it had.
    fn give(&self, table: &Table, handle: &AttachHandle<T>) -> Result {
        let _claim = handle.owner.hold()?;

        if !handle.owner.group().is_same(&self.group) {
            return Err(EINVAL);
        }
        // SAFETY: `table` and `group` hold references, so both are valid, and by the type invariant
        // the group is attached. The claim is held, so the group has the device. The callers keep
        // the boxed handle and the table in `self`, and drop those that they replace only after the
        // call, when the core does not use them any more.
        to_result(unsafe {
            bindings::iommu_replace_group_handle(
                self.group.as_raw(),
                table.as_raw(),
                handle.as_raw(),
            )
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
            let given = others.position(|next| self.give(&self.table, next).is_ok());
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

    /// Returns the handles of the attached devices.
    pub fn handles(&self) -> &[KBox<AttachHandle<T>>] {
        &self.handles
    }
}

impl<T: ObjectType> Drop for Attachment<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the group is attached to the domain of `table`, and its DMA
        // is claimed. The handle that the core has is dropped after this.
        unsafe { bindings::iommu_detach_group_handle(self.table.as_raw(), self.group.as_raw()) };
    }
}
