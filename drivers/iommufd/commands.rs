// SPDX-License-Identifier: GPL-2.0

//! The commands of `/dev/iommu`: each checks its struct, looks its objects up, acts, and responds.
//!
//! Each file has the commands on one type of object. This module is above all types of objects,
//! because a command may need several: `IOMMU_HWPT_ALLOC` names a device and an address space.

mod device;
mod hwpt;
mod ioas;
mod option;
mod vfio;

use crate::{
    call::{Call, Execute},
    uapi::Destroy,
};
use iommufd_core::ObjectId;
use kernel::prelude::*;

/// # Errors
///
/// `ENOENT` if there is no such object, `EBUSY` if it is in use.
impl Execute for Destroy {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        call.context.destroy(ObjectId(self.id))
    }
}
