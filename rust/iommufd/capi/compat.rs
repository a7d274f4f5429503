// SPDX-License-Identifier: GPL-2.0

//! The functions `iommufd_vfio_compat_*()`: [`VfioCompat`] for `vfio.ko`.

use super::{context, errno};
use crate::VfioCompat;
use kernel::prelude::*;

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
