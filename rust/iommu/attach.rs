// SPDX-License-Identifier: GPL-2.0

//! A group that translates through a domain.

use super::{domain::Domain, group::Group, DmaOwner};
use crate::{
    bindings,
    iommufd::{ObjectType, OwnerRef},
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
    pub fn new<T: ObjectType>(device: &OwnerRef<T>) -> Result<KBox<Self>> {
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
/// `group` is attached to `domain` with `handle`.
pub struct Attachment {
    group: Group,
    domain: Arc<Domain>,
    handle: KBox<AttachHandle>,
}

impl Attachment {
    /// Attaches the group that `owner` has claimed to `domain`. The claim must outlive it.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the domain does not suit the devices (another might), else whatever the driver
    /// reports.
    pub fn new(owner: &DmaOwner, domain: Arc<Domain>, handle: KBox<AttachHandle>) -> Result<Self> {
        let group = owner.group().clone();

        // SAFETY: Group and domain are valid; the handle stays until the group is detached.
        to_result(unsafe {
            bindings::iommu_attach_group_handle(domain.as_raw(), group.as_raw(), handle.as_raw())
        })?;
        // INVARIANT: It is attached now.
        Ok(Self {
            group,
            domain,
            handle,
        })
    }

    /// Moves the group to another domain; drivers may do so without a gap in translation.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new); the group stays where it was.
    pub fn replace(&mut self, domain: Arc<Domain>, handle: KBox<AttachHandle>) -> Result {
        // SAFETY: As in `new`; the group is attached, and its old handle and domain stay until the
        // core has let go of them.
        to_result(unsafe {
            bindings::iommu_replace_group_handle(
                self.group.as_raw(),
                domain.as_raw(),
                handle.as_raw(),
            )
        })?;
        // INVARIANT: These are the ones that it is attached with now.
        self.domain = domain;
        self.handle = handle;
        Ok(())
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the group is attached to the domain.
        unsafe { bindings::iommu_detach_group_handle(self.domain.as_raw(), self.group.as_raw()) };
    }
}
