// SPDX-License-Identifier: GPL-2.0

//! `IOMMU_VFIO_IOAS`: chooses the address space that the ioctls of the VFIO container use.

use crate::{
    call::{Call, Execute},
    ioas::Ioas,
    uapi::{VfioIoas, VfioIoasOp},
    vfio_compat::container_ioas,
};
use iommufd_core::ObjectId;
use kernel::prelude::*;

/// # Errors
///
/// `ENODEV` if the container has no address space, `ENOENT` if the one to choose does not exist.
impl Execute for VfioIoas {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        let container = &call.context.container;
        let id = ObjectId(self.ioas_id);

        match self.check()? {
            VfioIoasOp::Get => {
                self.ioas_id = container_ioas(call.context)?.id().0;
                call.respond(self)
            }
            VfioIoasOp::Set => {
                container.choose(id, Some(&*call.context.get::<Ioas>(id)?));
                Ok(())
            }
            VfioIoasOp::Clear => {
                container.choose(id, None);
                Ok(())
            }
        }
    }
}
