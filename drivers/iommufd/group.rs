// SPDX-License-Identifier: GPL-2.0

//! Groups: devices that the IOMMU cannot isolate from each other, and that are attached together.
//!
//! All devices of a group translate through one page table. The group is attached with the first
//! device that is attached, and detached with the last one that is detached. Each device still has
//! to be attached on its own, so that the IOVAs that it cannot use are reserved in the address
//! space.

use crate::{context::Context, device::Device, hwpt::Hwpt, ioas::Ioas};
use core::ops::Deref;
use iommufd_core::{AttachHandle, Attachment, ObjectId, UserRef};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{aref::ARef, Arc, Mutex},
    types::ScopeGuard,
};
use kernel_ext::iommu;

/// The groups of the devices bound to one context.
#[pin_data]
pub(crate) struct Groups {
    #[pin]
    entries: Mutex<KVec<BoundGroup>>,
}

/// A group with bound devices.
struct BoundGroup {
    group: Arc<Group>,
    /// The number of its bound devices; never zero.
    devices: usize,
}

impl Groups {
    /// Creates an empty list.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            entries <- new_mutex!(KVec::new(), "Groups::entries"),
        })
    }

    /// Returns a group, and counts one more bound device of it.
    fn get(&self, group: iommu::Group) -> Result<Arc<Group>> {
        let new = Arc::pin_init(Group::new(group), GFP_KERNEL_ACCOUNT)?;
        let mut entries = self.entries.lock();

        if let Some(entry) = entries
            .iter_mut()
            .find(|entry| entry.group.iommu.is_same(&new.iommu))
        {
            entry.devices += 1;
            return Ok(entry.group.clone());
        }
        let entry = BoundGroup {
            group: new.clone(),
            devices: 1,
        };
        entries.push(entry, GFP_KERNEL_ACCOUNT)?;
        Ok(new)
    }

    /// Undoes [`get`](Self::get).
    fn put(&self, group: &Arc<Group>) {
        self.entries.lock().retain(|entry| {
            if Arc::ptr_eq(&entry.group, group) {
                entry.devices -= 1;
            }
            entry.devices != 0
        });
    }
}

/// The group of a bound device.
pub(crate) struct GroupRef {
    context: ARef<Context>,
    group: Arc<Group>,
}

impl GroupRef {
    /// Creates the reference of a device that is being bound to `context`.
    pub(crate) fn new(context: &Context, group: iommu::Group) -> Result<Self> {
        Ok(Self {
            group: context.groups.get(group)?,
            context: context.to_aref(),
        })
    }
}

impl Deref for GroupRef {
    type Target = Group;

    fn deref(&self) -> &Group {
        &self.group
    }
}

impl Drop for GroupRef {
    fn drop(&mut self) {
        self.context.groups.put(&self.group);
    }
}

/// A group within one context.
#[pin_data]
pub(crate) struct Group {
    iommu: iommu::Group,
    #[pin]
    attached: Mutex<Option<Attached>>,
}

/// The attachment of a group.
struct Attached {
    /// Has the devices that have been attached.
    attachment: Attachment<Device>,
    hwpt: UserRef<Hwpt>,
}

impl Attached {
    fn has(&self, device: ObjectId) -> bool {
        self.devices().iter().any(|handle| handle.id() == device)
    }

    fn devices(&self) -> &[KBox<AttachHandle<Device>>] {
        self.attachment.handles()
    }

    fn ioas(&self) -> &UserRef<Ioas> {
        self.hwpt.ioas()
    }
}

impl Group {
    fn new(iommu: iommu::Group) -> impl PinInit<Self> {
        pin_init!(Self {
            iommu,
            attached <- new_mutex!(None, "Group::attached"),
        })
    }

    /// Returns the group of the IOMMU core.
    pub(crate) fn iommu(&self) -> &iommu::Group {
        &self.iommu
    }

    /// Attaches the device of `handle`, which is one of the group.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the device is attached; `EINVAL` if another device of the group is attached to
    /// another page table, or `hwpt` does not suit the group; `EADDRINUSE` if an IOVA that the
    /// device cannot use is mapped; `ENODEV` if its driver has been unbound; `ENOMEM`. Nothing has
    /// changed then.
    pub(crate) fn attach(&self, handle: KBox<AttachHandle<Device>>, hwpt: UserRef<Hwpt>) -> Result {
        let device = handle.id();
        let mut guard = self.attached.lock();

        if let Some(attached) = &*guard {
            if attached.has(device) {
                return Err(EBUSY);
            }
            if !attached.hwpt.is_same(&hwpt) {
                return Err(EINVAL);
            }
        }
        hwpt.ioas().reserve_for(device, handle.owner())?;

        let unreserve = ScopeGuard::new_with_data(hwpt.ioas().clone(), |ioas| {
            ioas.unreserve_for(device);
        });

        match &mut *guard {
            Some(attached) => attached.attachment.add(handle)?,
            None => {
                let attachment = Attachment::new(hwpt.table().clone(), handle)?;

                *guard = Some(Attached { attachment, hwpt });
            }
        }
        unreserve.dismiss();
        Ok(())
    }

    /// Attaches the whole group, of which the device of `handle` is attached, to another page table.
    /// Returns the former page table, which the caller puts, or `None` if it is the same.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the device is not attached, else as for [`attach`](Self::attach). Nothing has
    /// changed then.
    pub(crate) fn replace(
        &self,
        handle: KBox<AttachHandle<Device>>,
        hwpt: UserRef<Hwpt>,
    ) -> Result<Option<UserRef<Hwpt>>> {
        let mut guard = self.attached.lock();
        let Some(attached) = &mut *guard else {
            return Err(EINVAL);
        };

        if !attached.has(handle.id()) {
            return Err(EINVAL);
        }
        if attached.hwpt.is_same(&hwpt) {
            return Ok(None);
        }
        let moves = !attached.ioas().is_same(hwpt.ioas());

        if moves {
            reserve_for_all(attached.devices(), hwpt.ioas())?;
        }
        if let Err(error) = attached.attachment.replace(hwpt.table().clone(), handle) {
            if moves {
                unreserve_for_all(attached.devices(), hwpt.ioas());
            }
            return Err(error);
        }
        if moves {
            unreserve_for_all(attached.devices(), attached.ioas());
        }
        Ok(Some(core::mem::replace(&mut attached.hwpt, hwpt)))
    }

    /// Detaches a device. Returns the page table, which the caller puts, if the group has left it.
    pub(crate) fn detach(&self, device: ObjectId) -> Option<UserRef<Hwpt>> {
        let mut guard = self.attached.lock();
        let Some(attached) = &mut *guard else {
            return None;
        };

        if !attached.has(device) {
            return None;
        }
        if attached.attachment.remove(device) {
            attached.ioas().unreserve_for(device);
            return None;
        }
        let Attached {
            attachment, hwpt, ..
        } = guard.take()?;

        drop(attachment);
        hwpt.ioas().unreserve_for(device);
        Some(hwpt)
    }
}

fn reserve_for_all(devices: &[KBox<AttachHandle<Device>>], ioas: &Ioas) -> Result {
    for (done, device) in devices.iter().enumerate() {
        if let Err(error) = ioas.reserve_for(device.id(), device.owner()) {
            unreserve_for_all(devices.get(..done).unwrap_or(&[]), ioas);
            return Err(error);
        }
    }
    Ok(())
}

fn unreserve_for_all(devices: &[KBox<AttachHandle<Device>>], ioas: &Ioas) {
    for device in devices {
        ioas.unreserve_for(device.id());
    }
}
