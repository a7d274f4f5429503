// SPDX-License-Identifier: GPL-2.0

//! `IOMMU_OPTION`: options of a context, and of its address spaces.

use crate::{
    call::{Call, Execute},
    context::Context,
    ioas::Ioas,
    uapi::{switch, IommuOption, OptionId, OptionOp},
};
use iommufd_core::{ObjectGuard, ObjectId};
use kernel::prelude::*;
use kernel_ext::capability::{capable, Capability};

/// # Errors
///
/// `EOPNOTSUPP` for an option or operation that does not exist, `EINVAL` for a value that the
/// option cannot have, then those of the option; `EFAULT` if the value cannot be written. No other
/// field is written.
impl Execute for IommuOption {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        let value = match self.check()? {
            OptionId::RlimitMode => rlimit_mode(self, call.context)?,
            OptionId::HugePages => huge_pages(self, call.context)?,
        };

        call.respond_field(IommuOption::VALUE_AT, value)
    }
}

/// Reads or sets `IOMMU_OPTION_RLIMIT_MODE`. Returns the value for the caller.
///
/// # Errors
///
/// `EPERM` without `CAP_SYS_RESOURCE`, because the limits of processes may add up to more than that
/// of their user. `EBUSY` once the context has objects, which may have been charged in the other
/// mode.
fn rlimit_mode(command: &IommuOption, context: &Context) -> Result<u64> {
    if command.object_id != 0 {
        return Err(EOPNOTSUPP);
    }
    match command.op()? {
        OptionOp::Get => Ok(context.charges_process().into()),
        OptionOp::Set(value) => {
            if !capable(Capability::SysResource) {
                return Err(EPERM);
            }
            context.while_empty(|| {
                context.charge_process(switch(value)?);
                Ok(())
            })?;
            Ok(value)
        }
    }
}

/// Reads or sets `IOMMU_OPTION_HUGE_PAGES`. Returns the value for the caller.
///
/// # Errors
///
/// `ENOENT` if there is no such address space, else those of [`Ioas::forbid_large_pages`].
fn huge_pages(command: &IommuOption, context: &Context) -> Result<u64> {
    let ioas: ObjectGuard<'_, Ioas> = context.get(ObjectId(command.object_id))?;

    match command.op()? {
        OptionOp::Get => Ok(ioas.large_pages().into()),
        OptionOp::Set(value) => {
            if switch(value)? {
                ioas.allow_large_pages();
            } else {
                ioas.forbid_large_pages()?;
            }
            Ok(value)
        }
    }
}
