// SPDX-License-Identifier: GPL-2.0

//! Attaching a group to a domain.

use crate::{
    bindings,
    capi::{begins_with_head, DeviceHead},
    iommu::{DmaOwner, Group},
    table::Table,
    ObjectType, OwnerRef,
};
use kernel::{error::to_result, prelude::*, sync::Arc, types::Opaque};

/// The attach handle of a group, from which C code finds the device that was attached (`struct
/// iommufd_attach_handle`).
///
/// Allocated before locks are taken, and passed to [`Attachment`].
#[repr(transparent)]
pub struct AttachHandle(Opaque<bindings::iommufd_attach_handle_layout>);

// SAFETY: The handle is plain memory without ties to a thread. The IOMMU core accesses it under its
// own lock.
unsafe impl Send for AttachHandle {}
// SAFETY: A `&AttachHandle` only gives out the raw pointer.
unsafe impl Sync for AttachHandle {}

impl AttachHandle {
    /// Creates a handle that names the bound `device` as the one that is attached.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a device that does not begin with its head; `ENOMEM`.
    pub fn new<T>(device: &OwnerRef<T>) -> Result<KBox<Self>>
    where
        T: ObjectType + AsRef<DeviceHead<T::Family>>,
    {
        if !begins_with_head(device) {
            return Err(EINVAL);
        }
        let mut raw: bindings::iommufd_attach_handle_layout = pin_init::zeroed();

        raw.idev = device.as_c_ptr().cast_mut();
        Ok(KBox::new(Self(Opaque::new(raw)), GFP_KERNEL_ACCOUNT)?)
    }

    fn as_raw(&self) -> *mut bindings::iommu_attach_handle {
        // `handle` is the first field of the structure.
        self.0.get().cast()
    }
}

/// A group that is attached to a domain. On drop it is detached, which blocks its DMA.
///
/// # Invariants
///
/// `group` is attached to the domain of `table` with `handle`. `owners` is not empty, and each is a
/// claim on the DMA of `group`.
pub struct Attachment {
    group: Group,
    table: Table,
    handle: KBox<AttachHandle>,
    /// Dropped last, because the group may be detached only while its DMA is claimed.
    owners: KVec<Arc<DmaOwner>>,
}

impl Attachment {
    /// Attaches the group of `owner` to the domain of `table`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the domain is not compatible with the devices, for which another domain may be;
    /// `ENOMEM`; else the error of the driver.
    pub fn new(owner: Arc<DmaOwner>, table: Table, handle: KBox<AttachHandle>) -> Result<Self> {
        let group = owner.group().clone();
        let mut owners = KVec::with_capacity(1, GFP_KERNEL_ACCOUNT)?;

        owners.push_within_capacity(owner)?;
        // SAFETY: `table` and `group` hold references, so both are valid. The handle is boxed, and
        // the new value keeps it until the group has been detached.
        to_result(unsafe {
            bindings::iommu_attach_group_handle(table.as_raw(), group.as_raw(), handle.as_raw())
        })?;
        // INVARIANT: The group was attached just now, and `owner` is a claim on its DMA.
        Ok(Self {
            group,
            table,
            handle,
            owners,
        })
    }

    /// Moves the group to the domain of another page table; drivers may do so without a gap in
    /// translation. Returns the page table that the group has left.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new); the group stays where it was.
    pub fn replace(&mut self, table: Table, handle: KBox<AttachHandle>) -> Result<Table> {
        // SAFETY: `table` and `group` hold references, so both are valid, and by the type invariant
        // the group is attached. `self` keeps the boxed handle until the group has been detached,
        // and drops the old handle and table only after the call, when the core does not use them
        // any more.
        to_result(unsafe {
            bindings::iommu_replace_group_handle(
                self.group.as_raw(),
                table.as_raw(),
                handle.as_raw(),
            )
        })?;
        // INVARIANT: The call has attached the group to this domain with this handle.
        self.handle = handle;
        Ok(core::mem::replace(&mut self.table, table))
    }

    /// Keeps one more claim on the DMA of the group, so that the attachment may outlast the others.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a claim on another group; `ENOMEM`.
    pub fn add_owner(&mut self, owner: Arc<DmaOwner>) -> Result {
        if !owner.group().is_same(&self.group) {
            return Err(EINVAL);
        }
        // INVARIANT: It was checked above that `owner` is a claim on the DMA of this group.
        Ok(self.owners.push(owner, GFP_KERNEL_ACCOUNT)?)
    }

    /// Drops a claim. Returns `false`, and keeps it, if it is the last one; the attachment must be
    /// dropped before it then.
    pub fn remove_owner(&mut self, owner: &Arc<DmaOwner>) -> bool {
        if self.owners.len() > 1 {
            let mut found = false;

            // INVARIANT: At most one of several claims is removed, so `owners` is not empty.
            self.owners.retain(|other| {
                let remove = !found && Arc::ptr_eq(other, owner);

                found |= remove;
                !remove
            });
            return true;
        }
        false
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the group is attached to the domain of `table`, and
        // `owners`, which is dropped after this, still claims its DMA.
        unsafe { bindings::iommu_detach_group_handle(self.table.as_raw(), self.group.as_raw()) };
    }
}
