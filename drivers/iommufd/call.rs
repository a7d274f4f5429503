// SPDX-License-Identifier: GPL-2.0

//! One ioctl of `/dev/iommu` on its way to the code that carries it out.
//!
//! A command's struct is declared in [`uapi`](crate::uapi), with what can be checked without an
//! object; its [`Execute`] stands in [`commands`](crate::commands).

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
    /// Where the caller's struct begins.
    pub(crate) user: UserPtr,
    /// The size of that struct as the caller knows it, in bytes.
    pub(crate) user_size: usize,
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
    /// Carries the command out. What the caller is to see of `self` must be given to
    /// [`Call::respond`].
    fn execute(&mut self, call: &Call<'_>) -> Result;
}

/// An entry of a table of commands.
pub(crate) struct Entry {
    /// The number of the ioctl.
    pub(crate) code: u32,
    /// The least size of the struct with which the ioctl may be called, in bytes.
    pub(crate) min_size: usize,
    /// Carries the ioctl out, and returns what it returns.
    pub(crate) run: fn(&Call<'_>) -> Result<isize>,
}

impl Entry {
    /// The entry of a command that returns zero.
    pub(crate) const fn of<C: Execute>() -> Self {
        Self {
            code: C::CODE,
            min_size: C::MIN_SIZE,
            run: |call| call.read::<C>()?.execute(call).map(|()| 0),
        }
    }
}
