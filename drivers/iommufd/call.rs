// SPDX-License-Identifier: GPL-2.0

//! The arguments of an ioctl of `/dev/iommu`, and the table entry of a command.
//!
//! The struct of a command, and the checks of it that need no object, are in [`uapi`](crate::uapi);
//! its [`Execute`] is in [`commands`](crate::commands).

use crate::{context::Context, uapi::Command};
use kernel::{
    prelude::*,
    uaccess::{UserPtr, UserSlice},
};
use kernel_ext::uaccess::{read_versioned, write_versioned};

/// One ioctl that is being carried out.
pub(crate) struct Call<'a> {
    /// The open file.
    pub(crate) context: &'a Context,
    /// The address of the caller's struct.
    pub(crate) user: UserPtr,
    /// The size of that struct as the caller knows it, in bytes.
    pub(crate) user_size: usize,
}

impl Call<'_> {
    /// Reads the part of the struct that the caller knows.
    pub(crate) fn read<C: Command>(&self) -> Result<C> {
        read_versioned(self.user, self.user_size)
    }

    /// Writes the part of the struct that the caller knows.
    pub(crate) fn respond<C: Command>(&self, command: &C) -> Result {
        write_versioned(self.user, self.user_size, command)
    }

    /// Writes one field of the struct, which begins at byte `offset` of it. Every caller knows the
    /// field, as it lies within [`Command::MIN_SIZE`].
    ///
    /// # Errors
    ///
    /// `EFAULT` if it cannot be written.
    pub(crate) fn respond_field(&self, offset: usize, value: u64) -> Result {
        UserSlice::new(self.user.wrapping_byte_add(offset), size_of::<u64>())
            .writer()
            .write(&value)
    }
}

/// A command that this module carries out.
pub(crate) trait Execute: Command {
    /// Carries the command out. The caller sees changes of `self` only if they are passed to
    /// [`Call::respond`].
    fn execute(&mut self, call: &Call<'_>) -> Result;
}

/// An entry of a table of commands.
pub(crate) struct Entry {
    /// The number of the ioctl.
    pub(crate) code: u32,
    /// The least size of the struct with which the ioctl may be called, in bytes.
    pub(crate) min_size: usize,
    /// Carries the ioctl out. Returns the result of the ioctl.
    pub(crate) run: fn(&Call<'_>) -> Result<isize>,
}

impl Entry {
    /// Returns the entry of a command whose ioctl returns zero.
    pub(crate) const fn of<C: Execute>() -> Self {
        Self {
            code: C::CODE,
            min_size: C::MIN_SIZE,
            run: |call| call.read::<C>()?.execute(call).map(|()| 0),
        }
    }
}
