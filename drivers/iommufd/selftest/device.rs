// SPDX-License-Identifier: GPL-2.0

//! Mock devices as objects, each of which also takes the place of the driver vfio.

use super::{
    iommu::add_device,
    uapi::{
        DevCheckCache, MockDomain, MockDomainReplace, PasidChange, TestCommand, DEV_CACHE_DEFAULT,
        DEV_CACHE_ENTRIES,
    },
};
use crate::{
    call::Call,
    context::{Context, Iommufd},
    device::{attach::detach_all, Device},
    hwpt::Hwpt,
};
use iommufd_core::{KernelApi, ObjectId, OwnerRef};
use kernel::prelude::*;
use kernel_ext::iommu::{
    mock, DmaOwner, Domain, DomainFeatures, HwInfo, Requester, ReservedRegions,
};

/// A device that is bound to the context and attached, until this is dropped.
pub(crate) struct SelftestDevice {
    bound: BoundDevice,
    /// Dropped last.
    _device: mock::MockDevice,
}

/// A device that is bound, until this is dropped.
struct BoundDevice(Option<OwnerRef<Device>>);

impl BoundDevice {
    fn get(&self) -> Result<&OwnerRef<Device>> {
        self.0.as_ref().ok_or(ENODEV)
    }
}

impl Drop for BoundDevice {
    fn drop(&mut self) {
        if let Some(device) = self.0.take() {
            // Before it unbinds a device, a driver detaches what it has attached.
            detach_all(&device);
            Iommufd::unbind(&device);
        }
    }
}

impl SelftestDevice {
    /// Creates a device, binds it, and attaches it to the page table or address space `pt`. Returns
    /// the page table as well.
    fn new(context: &Context, flags: u32, pt: ObjectId) -> Result<(Self, ObjectId)> {
        let device = add_device(flags)?;
        let bound = BoundDevice(Some(Iommufd::bind(context, device.device())?));
        let hwpt = Iommufd::attach(bound.get()?, Requester::Rid, pt)?;

        Ok((
            Self {
                bound,
                _device: device,
            },
            hwpt,
        ))
    }
}

/// `MOCK_DOMAIN` and `MOCK_DOMAIN_FLAGS`: creates a mock device and attaches it.
pub(super) fn create(command: &mut TestCommand, call: &Call<'_>, flags: u32) -> Result {
    let mut hwpt = ObjectId(0);
    let device = call.context.reserve(|_| {
        let (device, attached) = SelftestDevice::new(call.context, flags, ObjectId(command.id))?;

        hwpt = attached;
        Ok(device)
    })?;

    command.answer(&MockDomain {
        out_stdev_id: device.id().0,
        out_hwpt_id: hwpt.0,
        out_idev_id: device.bound.get()?.id().0,
        dev_flags: flags,
    })?;
    call.respond(command)?;
    device.publish();
    Ok(())
}

/// `MOCK_DOMAIN_REPLACE`: attaches a mock device to another page table or address space.
pub(super) fn replace(command: &mut TestCommand, call: &Call<'_>) -> Result {
    let device = call.context.get::<SelftestDevice>(ObjectId(command.id))?;
    let MockDomainReplace { pt_id } = command.arguments()?;
    let hwpt = Iommufd::replace(device.bound.get()?, Requester::Rid, ObjectId(pt_id))?;

    command.answer(&MockDomainReplace { pt_id: hwpt.0 })?;
    call.respond(command)
}

/// `PASID_ATTACH`: attaches a PASID of a mock device to a page table or address space.
pub(super) fn attach_pasid(command: &mut TestCommand, call: &Call<'_>) -> Result {
    let device = call.context.get::<SelftestDevice>(ObjectId(command.id))?;
    let PasidChange { pasid, pt_id } = command.arguments()?;
    let bound = device.bound.get()?;
    let who = Requester::from_raw(pasid);
    let hwpt = Iommufd::attach(bound, who, ObjectId(pt_id))?;

    command.answer(&PasidChange {
        pasid,
        pt_id: hwpt.0,
    })?;
    call.respond(command)
        .inspect_err(|_| Iommufd::detach(bound, who))
}

/// `PASID_REPLACE`: attaches a PASID of a mock device to another page table or address space.
pub(super) fn replace_pasid(command: &mut TestCommand, call: &Call<'_>) -> Result {
    let device = call.context.get::<SelftestDevice>(ObjectId(command.id))?;
    let PasidChange { pasid, pt_id } = command.arguments()?;
    let who = Requester::from_raw(pasid);
    let hwpt = Iommufd::replace(device.bound.get()?, who, ObjectId(pt_id))?;

    command.answer(&PasidChange {
        pasid,
        pt_id: hwpt.0,
    })?;
    call.respond(command)
}

/// `PASID_DETACH`: detaches a PASID of a mock device, if it is attached.
pub(super) fn detach_pasid(command: &TestCommand, call: &Call<'_>) -> Result {
    let device = call.context.get::<SelftestDevice>(ObjectId(command.id))?;
    let PasidChange { pasid, .. } = command.arguments()?;

    Iommufd::detach(device.bound.get()?, Requester::from_raw(pasid));
    Ok(())
}

/// `PASID_CHECK_HWPT`: compares what a PASID of a mock device is attached to with a page table, or
/// with none, in the IOMMU core as well as here.
///
/// # Errors
///
/// `EINVAL` if they differ; `ENOENT` if there is no such device or page table.
pub(super) fn check_pasid(command: &TestCommand, call: &Call<'_>) -> Result {
    let device = call.context.get::<SelftestDevice>(ObjectId(command.id))?;
    let PasidChange { pasid, pt_id } = command.arguments()?;
    let group = device.bound.get()?.group();
    let who = Requester::from_raw(pasid);
    let as_expected = match pt_id {
        0 => group.is_detached(who),
        id => group.is_attached_to(who, &*call.context.get::<Hwpt>(ObjectId(id))?),
    };

    as_expected.then_some(()).ok_or(EINVAL)
}

/// `OUTLIVE_DEVICE`: a claim that is kept for longer than the device can do nothing any more.
///
/// # Errors
///
/// `EINVAL` if it can; `ENOMEM`.
pub(super) fn outlive(call: &Call<'_>) -> Result {
    let device = add_device(0)?;
    let owner = DmaOwner::claim(device.device(), (&raw const *call.context).cast())?;
    let domain = || Domain::new(&owner, DomainFeatures::default(), None);
    let before = domain()?;

    drop(device);

    let errors = [
        domain().err(),
        HwInfo::of(&owner, 0).err(),
        ReservedRegions::of(&owner).err(),
    ];

    drop(before);
    if errors.iter().all(|error| *error == Some(ENODEV)) {
        Ok(())
    } else {
        Err(EINVAL)
    }
}

/// `DEV_CHECK_CACHE`: compares an entry of the cache of a device. As there is no invalidation yet,
/// every entry has its first value.
///
/// # Errors
///
/// `ENOENT` if there is no such device, `EINVAL` if the entry has another value.
pub(super) fn check_cache(command: &TestCommand, call: &Call<'_>) -> Result {
    let DevCheckCache { id, cache } = command.arguments()?;
    let _device = call.context.get::<Device>(ObjectId(command.id))?;

    if id >= DEV_CACHE_ENTRIES || cache != DEV_CACHE_DEFAULT {
        return Err(EINVAL);
    }
    Ok(())
}
