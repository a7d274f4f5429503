// SPDX-License-Identifier: GPL-2.0

//! Groups: devices that the IOMMU cannot isolate from each other, and that are attached together.
//!
//! All devices of a group translate through one page table. The group is attached with the first
//! device that is attached, and detached with the last one that is detached. Each device still has
//! to be attached on its own, so that the IOVAs that it cannot use are reserved in the address
//! space.

use crate::{context::Context, hwpt::Hwpt, ioas::Ioas};
use core::ops::Deref;
use iommufd_core::{AttachHandle, Attachment, ObjectId, UserRef};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{aref::ARef, Arc, Mutex},
};
use kernel_ext::iommu::{self, DmaOwner};

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
    attachment: Attachment,
    hwpt: UserRef<Hwpt>,
    /// The devices that have been attached; never empty.
    devices: KVec<AttachedDevice>,
}

/// An attached device of a group.
pub(crate) struct AttachedDevice {
    /// The ID of the bound device.
    pub(crate) id: ObjectId,
    /// Its claim on the DMA of the group.
    pub(crate) owner: Arc<DmaOwner>,
}

impl Attached {
    fn position(&self, device: ObjectId) -> Option<usize> {
        self.devices
            .iter()
            .position(|attached| attached.id == device)
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

    /// Attaches a device of the group.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the device is attached; `EINVAL` if another device of the group is attached to
    /// another page table, or `hwpt` does not suit the group; `EADDRINUSE` if an IOVA that the
    /// device cannot use is mapped; `ENOMEM`. Nothing has changed then.
    pub(crate) fn attach(
        &self,
        device: AttachedDevice,
        handle: KBox<AttachHandle>,
        hwpt: UserRef<Hwpt>,
    ) -> Result {
        let mut guard = self.attached.lock();

        if let Some(attached) = &mut *guard {
            if attached.position(device.id).is_some() {
                return Err(EBUSY);
            }
            if !attached.hwpt.is_same(&hwpt) {
                return Err(EINVAL);
            }
            attached.devices.reserve(1, GFP_KERNEL_ACCOUNT)?;
            hwpt.ioas().reserve_for(device.id, &device.owner)?;
            if let Err(error) = attached.attachment.add_owner(device.owner.clone()) {
                hwpt.ioas().unreserve_for(device.id);
                return Err(error);
            }
            attached.devices.push_within_capacity(device)?;
            return Ok(());
        }
        let mut devices = KVec::with_capacity(1, GFP_KERNEL_ACCOUNT)?;

        let (id, owner) = (device.id, device.owner.clone());

        devices.push_within_capacity(device)?;
        hwpt.ioas().reserve_for(id, &owner)?;
        match Attachment::new(owner, hwpt.table().clone(), handle) {
            Ok(attachment) => {
                *guard = Some(Attached {
                    attachment,
                    hwpt,
                    devices,
                });
                Ok(())
            }
            Err(error) => {
                hwpt.ioas().unreserve_for(id);
                Err(error)
            }
        }
    }

    /// Attaches the whole group, of which `device` is attached, to another page table. Returns the
    /// former page table, which the caller puts, or `None` if it is the same.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the device is not attached, else as for [`attach`](Self::attach). Nothing has
    /// changed then.
    pub(crate) fn replace(
        &self,
        device: ObjectId,
        handle: KBox<AttachHandle>,
        hwpt: UserRef<Hwpt>,
    ) -> Result<Option<UserRef<Hwpt>>> {
        let mut guard = self.attached.lock();
        let Some(attached) = &mut *guard else {
            return Err(EINVAL);
        };

        attached.position(device).ok_or(EINVAL)?;
        if attached.hwpt.is_same(&hwpt) {
            return Ok(None);
        }
        let moves = !attached.ioas().is_same(hwpt.ioas());

        if moves {
            reserve_for_all(&attached.devices, hwpt.ioas())?;
        }
        if let Err(error) = attached.attachment.replace(hwpt.table().clone(), handle) {
            if moves {
                unreserve_for_all(&attached.devices, hwpt.ioas());
            }
            return Err(error);
        }
        if moves {
            unreserve_for_all(&attached.devices, attached.ioas());
        }
        Ok(Some(core::mem::replace(&mut attached.hwpt, hwpt)))
    }

    /// Detaches a device. Returns the page table, which the caller puts, if the group has left it.
    pub(crate) fn detach(&self, device: ObjectId) -> Option<UserRef<Hwpt>> {
        let mut guard = self.attached.lock();
        let Some(attached) = &mut *guard else {
            return None;
        };
        let at = attached.position(device)?;
        let left = attached.devices.remove(at).ok()?;

        if !attached.devices.is_empty() {
            attached.attachment.remove_owner(&left.owner);
            attached.ioas().unreserve_for(left.id);
            return None;
        }
        let Attached {
            attachment, hwpt, ..
        } = guard.take()?;

        drop(attachment);
        hwpt.ioas().unreserve_for(left.id);
        Some(hwpt)
    }
}

fn reserve_for_all(devices: &[AttachedDevice], ioas: &Ioas) -> Result {
    for (done, device) in devices.iter().enumerate() {
        if let Err(error) = ioas.reserve_for(device.id, &device.owner) {
            unreserve_for_all(devices.get(..done).unwrap_or(&[]), ioas);
            return Err(error);
        }
    }
    Ok(())
}

fn unreserve_for_all(devices: &[AttachedDevice], ioas: &Ioas) {
    for device in devices {
        ioas.unreserve_for(device.id);
    }
}
