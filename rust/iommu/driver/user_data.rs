// SPDX-License-Identifier: GPL-2.0

//! What user space passes to a driver through iommufd, as the driver reads it.

use crate::{bindings, iommu::UserData, uaccess::read_versioned};
use kernel::{prelude::*, uaccess::UserPtr};

impl UserData {
    /// What C's structure says.
    pub(super) fn from_raw(raw: &bindings::iommu_user_data) -> Self {
        Self {
            kind: raw.type_,
            at: UserPtr::from_ptr(raw.uptr),
            length: raw.len,
        }
    }

    /// Reads it as a `T`, of which `min_length` bytes were there from the first.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is of another kind than `kind`, or has fewer bytes than ever made sense, or
    /// more than are known; `EFAULT`.
    pub fn read<T: FromBytes + IntoBytes>(&self, kind: u32, min_length: usize) -> Result<T> {
        if self.kind != kind || !(min_length..=size_of::<T>()).contains(&self.length) {
            return Err(EINVAL);
        }
        read_versioned(self.at, self.length)
    }
}
