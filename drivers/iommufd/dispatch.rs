// SPDX-License-Identifier: GPL-2.0

//! From an ioctl to the function that carries it out: one table.

use crate::{
    context::Context,
    device, hwpt, ioas, option,
    uapi::{
        self, Command, Destroy, GetHwInfo, HwptAlloc, IoasAlloc, IoasAllowIovas, IoasChangeProcess,
        IoasCopy, IoasIovaRanges, IoasMap, IoasMapFile, IoasUnmap, IommuOption, VfioIoas,
    },
    vfio_compat,
};
use iommufd_core::ObjectId;
use kernel::{
    prelude::*,
    uaccess::{UserPtr, UserSlice},
};
use kernel_ext::uaccess::{read_versioned, write_versioned};

/// One ioctl that is being carried out.
pub(crate) struct Call<'a> {
    /// The open file.
    pub(crate) context: &'a Context,
    user: UserPtr,
    user_size: usize,
}

impl Call<'_> {
    /// Reads the struct, as much of it as the caller knows.
    pub(crate) fn read<C: Command>(&self) -> Result<C> {
        read_versioned(self.user, self.user_size)
    }

    /// Writes the struct back, as much of it as the caller knows.
    pub(crate) fn respond<C: Command>(&self, command: &C) -> Result {
        write_versioned(self.user, self.user_size, command)
    }

    /// Writes one field of the struct back, which begins at byte `offset` of it. Every caller knows
    /// this field: it lies within [`Command::MIN_SIZE`].
    ///
    /// # Errors
    ///
    /// `EFAULT` where it cannot be written.
    pub(crate) fn respond_field(&self, offset: usize, value: u64) -> Result {
        UserSlice::new(self.user.wrapping_byte_add(offset), size_of::<u64>())
            .writer()
            .write(&value)
    }
}

/// A command that this module carries out.
pub(crate) trait Execute: Command {
    /// Does it. What the caller is to see of `self` must be given to [`Call::respond`].
    fn execute(&mut self, call: &Call<'_>) -> Result;
}

/// An entry of the table.
struct Entry {
    code: u32,
    min_size: usize,
    run: fn(&Call<'_>) -> Result<isize>,
}

impl Entry {
    const fn of<C: Execute>() -> Self {
        Self {
            code: C::CODE,
            min_size: C::MIN_SIZE,
            run: |call| call.read::<C>()?.execute(call).map(|()| 0),
        }
    }
}

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
    #[cfg(CONFIG_IOMMUFD_RUST_TEST)]
    Entry {
        code: crate::selftest::TestCommand::CODE,
        min_size: crate::selftest::TestCommand::MIN_SIZE,
        run: crate::selftest::ioctl,
    },
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
    let entry = COMMANDS
        .iter()
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

impl Execute for Destroy {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        call.context.destroy(ObjectId(self.id))
    }
}

impl Execute for GetHwInfo {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        device::hw_info::get_hw_info(self, call)
    }
}

impl Execute for HwptAlloc {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        hwpt::alloc::alloc(self, call)
    }
}

impl Execute for IoasAlloc {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        ioas::ioctl::alloc(self, call)
    }
}

impl Execute for IoasAllowIovas {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        ioas::allow::allow_iovas(self, call)
    }
}

impl Execute for IoasChangeProcess {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        ioas::process::change(self, call)
    }
}

impl Execute for IoasCopy {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        ioas::ioctl::copy(self, call)
    }
}

impl Execute for IoasIovaRanges {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        ioas::ioctl::iova_ranges(self, call)
    }
}

impl Execute for IoasMap {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        ioas::ioctl::map(self, call)
    }
}

impl Execute for IoasMapFile {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        ioas::ioctl::map_file(self, call)
    }
}

impl Execute for IoasUnmap {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        ioas::ioctl::unmap(self, call)
    }
}

impl Execute for IommuOption {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        option::option(self, call)
    }
}

impl Execute for VfioIoas {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        vfio_compat::vfio_ioas(self, call)
    }
}
