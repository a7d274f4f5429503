// SPDX-License-Identifier: GPL-2.0

//! What `vfio.ko` calls when a context stands in for a VFIO container: the functions
//! `iommufd_vfio_compat_*()` of `include/linux/iommufd.h`.

use super::{Context, Iommufd, ObjectId};
use kernel::prelude::*;

/// What an [`Iommufd`] does in place of a VFIO container.
pub trait VfioCompat: Iommufd {
    /// The address space that devices of the container are attached to.
    fn ioas_id(context: &Context<Self>) -> Result<ObjectId>;

    /// Sees to it that there is one.
    fn ensure_ioas(context: &Context<Self>) -> Result;

    /// From now on the container is one for devices without an IOMMU.
    fn set_no_iommu(context: &Context<Self>) -> Result;
}
