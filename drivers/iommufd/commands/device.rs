// SPDX-License-Identifier: GPL-2.0

//! `IOMMU_GET_HW_INFO`: the capabilities of the IOMMU of a device.

use crate::{
    call::{Call, Execute},
    device::Device,
    uapi::{GetHwInfo, HwCapabilities},
};
use iommufd_core::ObjectId;
use kernel::{
    prelude::*,
    uaccess::{UserPtr, UserSlice},
};
use kernel_ext::iommu::{Capability, HwInfo, PasidSupport};

/// # Errors
///
/// `ENOENT` if there is no such device, `EOPNOTSUPP` if the driver of its IOMMU does not have the
/// kind of information that is requested.
impl Execute for GetHwInfo {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        let wanted = self.check()?;
        // The reference to the device is dropped here: user space can stall a copy to its memory,
        // and unbinding waits until there are no such references.
        let (info, pasids, capabilities) = ask(&*call.context.get(ObjectId(self.dev_id))?, wanted)?;

        write_and_clear(self, info.bytes())?;
        self.data_type = info.kind();
        // The length of the information, even if there was room for less.
        self.data_len = info.bytes().len() as u32;
        self.out_max_pasid_log2 = pasids
            .and_then(|pasids| pasids.count.checked_ilog2())
            .map_or(0, |bits| bits as u8);
        self.out_capabilities = capabilities.bits();
        call.respond(self)
    }
}

/// Queries the information of kind `wanted`, the PASIDs and the capabilities of a device.
fn ask(device: &Device, wanted: u32) -> Result<(HwInfo, Option<PasidSupport>, HwCapabilities)> {
    let info = HwInfo::of(device.owner(), wanted)?;
    let pasids = PasidSupport::of(device.owner());
    let capabilities = HwCapabilities {
        dirty_tracking: device.owner().is_capable(Capability::DirtyTracking),
        pasid_exec: pasids.is_some_and(|pasids| pasids.exec),
        pasid_privileged: pasids.is_some_and(|pasids| pasids.privileged),
        ats: device.owner().is_capable(Capability::PciAts),
    };

    Ok((info, pasids, capabilities))
}

/// Writes as much of `bytes` as fits to the caller's buffer, and zeroes to the rest of the buffer.
fn write_and_clear(command: &GetHwInfo, bytes: &[u8]) -> Result {
    const ZEROES: [u8; 256] = [0; 256];
    let room = command.data_len as usize;
    let mut writer = UserSlice::new(UserPtr::from_addr(command.data_uptr as usize), room).writer();

    writer.write_slice(bytes.get(..room).unwrap_or(bytes))?;
    while !writer.is_empty() {
        let rest = writer.len().min(ZEROES.len());
        writer.write_slice(ZEROES.get(..rest).unwrap_or(&ZEROES))?;
    }
    Ok(())
}
