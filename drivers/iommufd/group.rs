// SPDX-License-Identifier: GPL-2.0

//! Groups: devices that the IOMMU cannot isolate from each other, and that are attached together.
//!
//! All devices of a group translate requests without a PASID through one page table, and requests
//! with the same PASID through one as well. The group is attached with the first device that is
//! attached, and detached with the last one that is detached. Each device still has to be attached
//! on its own, so that the IOVAs that it cannot use are reserved in the address space. None are
//! reserved for PASIDs.
//!
//! A PASID can be attached before requests without a PASID are attached, and it can stay attached
//! after they are detached. As long as they are not attached, requests without a PASID are blocked.
//! While a PASID is attached, requests without a PASID can be attached only to a page table that is
//! compatible with PASIDs.

use crate::{context::Context, device::Device, hwpt::Hwpt, ioas::Ioas};
use core::ops::Deref;
use iommufd_core::{AttachHandle, Attachment, GroupHead, ObjectId, UserRef};
use kernel::{
    new_mutex,
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::{aref::ARef, Arc, Mutex},
    types::ScopeGuard,
};
use kernel_ext::iommu::{self, Requester};

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
    fn get(&self, context: &Context, group: iommu::Group) -> Result<Arc<Group>> {
        let head = Arc::new(GroupHead::new(context, &group), GFP_KERNEL_ACCOUNT)?;
        let new = Arc::pin_init(Group::new(head, group), GFP_KERNEL_ACCOUNT)?;
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
            group: context.groups.get(context, group)?,
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
    /// What C code reads of it.
    head: Arc<GroupHead>,
    iommu: iommu::Group,
    #[pin]
    attached: Mutex<Attachments>,
}

/// What the requests of a group are attached to.
type Attachments = RBTree<Requester, Attached>;

/// The attachment of a group, for requests without a PASID or with one PASID.
struct Attached {
    /// Has the devices that have been attached.
    attachment: Attachment<Device, Hwpt>,
}

impl Attached {
    fn has(&self, device: ObjectId) -> bool {
        self.devices().iter().any(|handle| handle.id() == device)
    }

    fn devices(&self) -> &[KBox<AttachHandle<Device>>] {
        self.attachment.handles()
    }

    fn ioas(&self) -> &UserRef<Ioas> {
        self.hwpt().ioas()
    }

    fn hwpt(&self) -> &UserRef<Hwpt> {
        self.attachment.hwpt()
    }
}

impl Group {
    fn new(head: Arc<GroupHead>, iommu: iommu::Group) -> impl PinInit<Self> {
        pin_init!(Self {
            head,
            iommu,
            attached <- new_mutex!(RBTree::new(), "Group::attached"),
        })
    }

    /// Returns what C code reads of the group.
    pub(crate) fn head(&self) -> &Arc<GroupHead> {
        &self.head
    }

    /// Returns the group of the IOMMU core.
    pub(crate) fn iommu(&self) -> &iommu::Group {
        &self.iommu
    }

    /// Attaches the requests `who` of the device of `handle`, which is one of the group.
    ///
    /// # Errors
    ///
    /// `EBUSY` if they are attached; `EINVAL` if those of another device of the group are attached
    /// to another page table, or `hwpt` does not suit the group, its PASIDs included; `EADDRINUSE`
    /// if an IOVA that the device cannot use is mapped; else those of [`Attachment::new`]. Nothing
    /// has changed then.
    pub(crate) fn attach(
        &self,
        who: Requester,
        handle: KBox<AttachHandle<Device>>,
        hwpt: UserRef<Hwpt>,
    ) -> Result {
        let device = handle.id();
        let mut guard = self.attached.lock();

        if let Some(attached) = guard.get(&who) {
            if attached.has(device) {
                return Err(EBUSY);
            }
            if !attached.hwpt().is_same(&hwpt) {
                return Err(EINVAL);
            }
        }
        let unreserve = match who {
            Requester::Rid => {
                hwpt.ioas().reserve_for(device, handle.owner())?;
                Some(ScopeGuard::new_with_data(
                    hwpt.ioas().clone(),
                    |ioas: UserRef<Ioas>| ioas.unreserve_for(device),
                ))
            }
            Requester::Pasid(_) => None,
        };

        match guard.get_mut(&who) {
            Some(attached) => attached.attachment.add(handle)?,
            None => {
                check_pasids(&guard, who, &hwpt)?;

                let node = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;
                let attachment = Attachment::new(who, hwpt, handle)?;

                guard.insert(node.into_node(who, Attached { attachment }));
            }
        }
        if let Some(unreserve) = unreserve {
            unreserve.dismiss();
        }
        Ok(())
    }

    /// Attaches the requests `who` of the whole group, of which those of the device of `handle` are
    /// attached, to another page table. Returns the former page table, which the caller puts, or
    /// `None` if it is the same.
    ///
    /// # Errors
    ///
    /// `EINVAL` if they are not attached, else as for [`attach`](Self::attach). Nothing has changed
    /// then.
    pub(crate) fn replace(
        &self,
        who: Requester,
        handle: KBox<AttachHandle<Device>>,
        hwpt: UserRef<Hwpt>,
    ) -> Result<Option<UserRef<Hwpt>>> {
        let mut guard = self.attached.lock();
        let attached = guard.get(&who).filter(|attached| attached.has(handle.id()));
        let attached = attached.ok_or(EINVAL)?;

        if attached.hwpt().is_same(&hwpt) {
            return Ok(None);
        }
        let ioas = &hwpt.ioas().clone();
        let moves = who == Requester::Rid && !attached.ioas().is_same(ioas);

        if moves {
            reserve_for_all(attached.devices(), ioas)?;
        }
        let compatible = check_pasids(&guard, who, &hwpt);
        let attached = guard.get_mut(&who).ok_or(EINVAL)?;
        let replaced = compatible.and_then(|()| attached.attachment.replace(hwpt, handle));

        if moves {
            let left = replaced.as_ref().map_or(ioas, |old| old.ioas());

            unreserve_for_all(attached.devices(), left);
        }
        replaced.map(Some)
    }

    /// Detaches the requests `who` of a device. Returns the page table, which the caller puts, if
    /// the group has left it.
    pub(crate) fn detach(&self, who: Requester, device: ObjectId) -> Option<UserRef<Hwpt>> {
        let mut guard = self.attached.lock();
        let attached = guard
            .get_mut(&who)
            .filter(|attached| attached.has(device))?;
        let reserves = who == Requester::Rid;

        if attached.attachment.remove(device) {
            if reserves {
                attached.ioas().unreserve_for(device);
            }
            return None;
        }
        let attached = guard.remove(&who)?;
        let hwpt = attached.hwpt().clone();

        drop(attached);
        if reserves {
            hwpt.ioas().unreserve_for(device);
        }
        Some(hwpt)
    }

    /// Returns the first requests of a device that are attached, of those after `after`.
    pub(crate) fn next_attached(
        &self,
        device: ObjectId,
        after: Option<Requester>,
    ) -> Option<Requester> {
        let guard = self.attached.lock();
        let mut attached = guard
            .iter()
            .filter(|(who, attached)| after < Some(**who) && attached.has(device));

        attached.next().map(|(who, _)| *who)
    }

    /// Returns whether the requests `who` of a device are attached.
    pub(crate) fn is_attached(&self, who: Requester, device: ObjectId) -> bool {
        let guard = self.attached.lock();
        let attached = guard.get(&who);

        attached.is_some_and(|attached| attached.has(device))
    }
}

#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
impl Group {
    /// Returns whether the requests `who` are attached to `hwpt`, here and in the IOMMU core.
    pub(crate) fn is_attached_to(&self, who: Requester, hwpt: &Hwpt) -> bool {
        let guard = self.attached.lock();

        guard.get(&who).is_some_and(|attached| {
            attached.hwpt().table().is_same(hwpt.table()) && attached.attachment.is_in_core()
        })
    }

    /// Returns whether the requests `who` are attached to nothing, here and in the IOMMU core.
    pub(crate) fn is_detached(&self, who: Requester) -> bool {
        let guard = self.attached.lock();

        guard.get(&who).is_none() && !iommufd_core::has_core_handle(&self.iommu, who)
    }
}

/// Checks that the requests `who` of a group can be attached to `hwpt`. While a PASID of the group
/// is attached, each page table that the group is attached to must be compatible with PASIDs.
///
/// # Errors
///
/// `EINVAL` if they cannot.
fn check_pasids(attached: &Attachments, who: Requester, hwpt: &Hwpt) -> Result {
    let compatible = match who {
        Requester::Rid => {
            let has_pasids = attached.keys().any(|who| *who != Requester::Rid);

            hwpt.is_pasid_compatible() || !has_pasids
        }
        Requester::Pasid(_) => {
            let others = attached.get(&Requester::Rid);

            hwpt.is_pasid_compatible()
                && others.is_none_or(|others| others.hwpt().is_pasid_compatible())
        }
    };

    compatible.then_some(()).ok_or(EINVAL)
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
