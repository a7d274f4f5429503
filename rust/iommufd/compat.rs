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

/// Bodies of the C functions. [`export_vfio_compat!`](crate::export_vfio_compat) gives them names.
#[doc(hidden)]
pub mod compat_entry {
    use super::*;
    use kernel::error::from_result;

    fn errno(result: Result) -> c_int {
        from_result(|| result.map(|()| 0))
    }

    /// # Safety
    ///
    /// `ctx` is a context to which the caller has a reference; `id` is valid for writing.
    pub unsafe fn ioas_get_id<I: VfioCompat>(ctx: *mut c_void, id: *mut u32) -> c_int {
        // SAFETY: The caller has a reference.
        let ctx = unsafe { &*ctx.cast::<Context<I>>() };

        errno(I::ioas_id(ctx).map(|ioas| {
            // SAFETY: The caller vouches for `id`.
            unsafe { *id = ioas.0 };
        }))
    }

    /// # Safety
    ///
    /// `ctx` is a context to which the caller has a reference.
    pub unsafe fn ioas_create<I: VfioCompat>(ctx: *mut c_void) -> c_int {
        // SAFETY: The caller has a reference.
        errno(I::ensure_ioas(unsafe { &*ctx.cast::<Context<I>>() }))
    }

    /// # Safety
    ///
    /// `ctx` is a context to which the caller has a reference.
    pub unsafe fn set_no_iommu<I: VfioCompat>(ctx: *mut c_void) -> c_int {
        // SAFETY: The caller has a reference.
        errno(I::set_no_iommu(unsafe { &*ctx.cast::<Context<I>>() }))
    }
}

/// Defines the functions `iommufd_vfio_compat_*()` for the [`VfioCompat`] of a type.
///
/// A C file of the module exports them.
#[macro_export]
macro_rules! export_vfio_compat {
    ($type:ty) => {
        $crate::export_vfio_compat!(@fns $type;
            iommufd_vfio_compat_ioas_get_id = ioas_get_id(ctx: *mut c_void, id: *mut u32);
            iommufd_vfio_compat_ioas_create = ioas_create(ctx: *mut c_void);
            iommufd_vfio_compat_set_no_iommu = set_no_iommu(ctx: *mut c_void);
        );
    };
    (@fns $type:ty; $( $name:ident = $entry:ident($($arg:ident: $arg_type:ty),*); )*) => {
        const _: () = {
            use core::ffi::c_void;
            $(
                /// # Safety
                ///
                /// The prototype and its documentation are in `include/linux/iommufd.h`.
                #[no_mangle]
                unsafe extern "C" fn $name($($arg: $arg_type),*) -> i32 {
                    // SAFETY: What the C function asks of its callers is what this one does.
                    unsafe { $crate::compat_entry::$entry::<$type>($($arg),*) }
                }
            )*
        };
    };
}
