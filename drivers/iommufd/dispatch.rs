// SPDX-License-Identifier: GPL-2.0

//! Finds the function that carries an ioctl out, in one table.

use crate::{
    call::{Call, Entry},
    context::Context,
    selftest,
    uapi::{
        self, Destroy, GetHwInfo, HwptAlloc, HwptGetDirtyBitmap, HwptSetDirtyTracking, IoasAlloc,
        IoasAllowIovas, IoasChangeProcess, IoasCopy, IoasIovaRanges, IoasMap, IoasMapFile,
        IoasUnmap, IommuOption, VfioIoas,
    },
    vfio_compat,
};
use kernel::{
    prelude::*,
    uaccess::{UserPtr, UserSlice},
};

/// All commands.
static COMMANDS: &[Entry] = &[
    Entry::of::<Destroy>(),
    Entry::of::<GetHwInfo>(),
    Entry::of::<HwptAlloc>(),
    Entry::of::<HwptGetDirtyBitmap>(),
    Entry::of::<HwptSetDirtyTracking>(),
    Entry::of::<IoasAlloc>(),
    Entry::of::<IoasAllowIovas>(),
    Entry::of::<IoasChangeProcess>(),
    Entry::of::<IoasCopy>(),
    Entry::of::<IoasIovaRanges>(),
    Entry::of::<IoasMap>(),
    Entry::of::<IoasMapFile>(),
    Entry::of::<IoasUnmap>(),
    Entry::of::<IommuOption>(),
    Entry::of::<VfioIoas>(),
];

/// Carries an ioctl out. Returns its result: zero, except for some ioctls of VFIO.
///
/// # Errors
///
/// For ioctls of VFIO those of [`vfio_compat::ioctl`]. For those of iommufd `EFAULT` if the size
/// cannot be read; `ENOTTY` if there is no such command; `EINVAL` if the size is smaller than that
/// of the first version of the struct; `E2BIG` if the struct has unknown bytes that are not zero;
/// then those of the command.
pub(crate) fn ioctl(context: &Context, code: u32, arg: usize) -> Result<isize> {
    if !uapi::is_iommufd(code) {
        return vfio_compat::ioctl(context, code, arg);
    }
    let user = UserPtr::from_addr(arg);
    let size = UserSlice::new(user, size_of::<u32>())
        .reader()
        .read::<u32>()?;
    // Those of the selftests come first, because they replace one of the others.
    let entry = [selftest::COMMANDS, COMMANDS]
        .into_iter()
        .flatten()
        .find(|entry| entry.code == code)
        .ok_or(ENOTTY)?;
    let call = Call {
        context,
        user,
        user_size: size as usize,
    };

    if call.user_size < entry.min_size {
        return Err(EINVAL);
    }
    (entry.run)(&call)
}
