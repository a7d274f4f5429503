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

/// Bodies of the C functions; see [`entry`](super::entry).
pub(super) mod entry {
    use super::*;
    use crate::capi::{context, errno};

    /// # Safety
    ///
    /// `ctx` is a context to which the caller has a reference; `id` is valid for writing.
    pub unsafe fn compat_ioas_get_id<I: VfioCompat>(ctx: *mut c_void, id: *mut u32) -> c_int {
        // SAFETY: The caller has a reference.
        let ctx = unsafe { context::<I>(ctx) };

        errno(I::ioas_id(ctx).map(|ioas| {
            // SAFETY: The caller promises that `id` is valid for writing.
            unsafe { *id = ioas.0 };
        }))
    }

    /// # Safety
    ///
    /// `ctx` is a context to which the caller has a reference.
    pub unsafe fn compat_ioas_create<I: VfioCompat>(ctx: *mut c_void) -> c_int {
        // SAFETY: The caller has a reference.
        errno(I::ensure_ioas(unsafe { context(ctx) }))
    }

    /// # Safety
    ///
    /// `ctx` is a context to which the caller has a reference.
    pub unsafe fn compat_set_no_iommu<I: VfioCompat>(ctx: *mut c_void) -> c_int {
        // SAFETY: The caller has a reference.
        errno(I::set_no_iommu(unsafe { context(ctx) }))
    }
}
