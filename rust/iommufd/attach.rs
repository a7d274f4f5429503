// SPDX-License-Identifier: GPL-2.0

//! A group that translates through a domain.

use crate::{
    bindings,
    iommu::{DmaOwner, Group},
    table::Table,
    ObjectType, UserRef,
};
use kernel::{error::to_result, prelude::*, sync::Arc, types::Opaque};

/// What C finds when it asks a group who attached it (`struct iommufd_attach_handle`).
///
/// Allocate it before a lock is taken, and give it to [`Attachment`].
#[repr(transparent)]
pub struct AttachHandle(Opaque<bindings::iommufd_attach_handle_layout>);

// SAFETY: The handle is plain memory that the IOMMU core writes under its own lock.
unsafe impl Send for AttachHandle {}
// SAFETY: There is nothing to do with a `&AttachHandle`.
unsafe impl Sync for AttachHandle {}

impl AttachHandle {
    /// A handle that names the bound `device` as the one that was attached.
    pub fn new<T: ObjectType>(device: &UserRef<T>) -> Result<KBox<Self>> {
        let mut raw: bindings::iommufd_attach_handle_layout = pin_init::zeroed();

        raw.idev = device.as_c_ptr().cast_mut();
        Ok(KBox::new(Self(Opaque::new(raw)), GFP_KERNEL_ACCOUNT)?)
    }

    fn as_raw(&self) -> *mut bindings::iommu_attach_handle {
        // `handle` is the first field.
        self.0.get().cast()
    }
}

/// A group attached to a domain. Dropping it blocks the DMA of the group again.
///
/// # Invariants
///
/// `group` is attached to the domain of `table` with `handle`. `owners` is not empty, and each is a
/// claim on the DMA of `group`.
pub struct Attachment {
    group: Group,
    table: Table,
    handle: KBox<AttachHandle>,
    /// The group is the owner's as long as one of these exists, so they go last.
    owners: KVec<Arc<DmaOwner>>,
}

impl Attachment {
    /// Attaches the group of `owner` to the domain of `table`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the domain does not suit the devices (another one might), `ENOMEM`, else whatever
    /// the driver reports.
    pub fn new(owner: Arc<DmaOwner>, table: Table, handle: KBox<AttachHandle>) -> Result<Self> {
        let group = owner.group().clone();
        let mut owners = KVec::with_capacity(1, GFP_KERNEL_ACCOUNT)?;

        owners.push_within_capacity(owner)?;
        // SAFETY: Group and domain are valid; the handle stays until the group is detached.
        to_result(unsafe {
            bindings::iommu_attach_group_handle(table.as_raw(), group.as_raw(), handle.as_raw())
        })?;
        // INVARIANT: The group is attached now, and `owner` is a claim on its DMA.
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
        // SAFETY: Group and domain are valid, and the group is attached. The handle stays until the
        // group is detached, and the old handle and domain stay until the core has left them.
        to_result(unsafe {
            bindings::iommu_replace_group_handle(
                self.group.as_raw(),
                table.as_raw(),
                handle.as_raw(),
            )
        })?;
        // INVARIANT: The group is attached to this domain with this handle now.
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
        // INVARIANT: Checked above.
        Ok(self.owners.push(owner, GFP_KERNEL_ACCOUNT)?)
    }

    /// Gives a claim up. Returns `false`, and keeps it, if it is the last: then the attachment has to
    /// go before the claim.
    pub fn remove_owner(&mut self, owner: &Arc<DmaOwner>) -> bool {
        if self.owners.len() > 1 {
            let mut found = false;

            // INVARIANT: At most one of several is removed.
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
        // SAFETY: By the type invariant the group is attached to the domain, and still claimed.
        unsafe { bindings::iommu_detach_group_handle(self.table.as_raw(), self.group.as_raw()) };
    }
}
