// SPDX-License-Identifier: GPL-2.0

//! From an ioctl to the function that carries it out: one table.

use crate::{
    call::{Call, Entry},
    context::Context,
    selftest,
    uapi::{
        self, Destroy, GetHwInfo, HwptAlloc, IoasAlloc, IoasAllowIovas, IoasChangeProcess,
        IoasCopy, IoasIovaRanges, IoasMap, IoasMapFile, IoasUnmap, IommuOption, VfioIoas,
    },
    vfio_compat,
};
use kernel::{
    prelude::*,
    uaccess::{UserPtr, UserSlice},
};

/// Every command.
static COMMANDS: &[Entry] = &[
    Entry::of::<Destroy>(),
    Entry::of::<GetHwInfo>(),
    Entry::of::<HwptAlloc>(),
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

/// Carries an ioctl out. Returns what it returns: zero but for some of VFIO's.
///
/// # Errors
///
/// For VFIO's ioctls those of [`vfio_compat::ioctl`]. For ours `EFAULT` if the size cannot be read;
/// `ENOTTY` for one that does not exist; `EINVAL` if the size is less than the command ever needed;
/// `E2BIG` if the struct has non-zero bytes that are not known; then whatever the command reports.
pub(crate) fn ioctl(context: &Context, code: u32, arg: usize) -> Result<isize> {
    if !uapi::is_iommufd(code) {
        return vfio_compat::ioctl(context, code, arg);
    }
    let user = UserPtr::from_addr(arg);
    let size = UserSlice::new(user, size_of::<u32>())
        .reader()
        .read::<u32>()?;
    // Those of the selftests first: they have one of ours with a flag more.
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
