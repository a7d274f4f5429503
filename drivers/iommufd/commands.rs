// SPDX-License-Identifier: GPL-2.0

//! The commands of `/dev/iommu`: each checks its struct, looks its objects up, acts, and responds.
//!
//! Each file has the commands on one type of object. They stand above all types of objects, since a
//! command may need several: `IOMMU_HWPT_ALLOC` names a device and an address space.

pub(crate) mod device;
pub(crate) mod hwpt;
pub(crate) mod ioas;
pub(crate) mod option;
