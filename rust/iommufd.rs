// SPDX-License-Identifier: GPL-2.0

//! What an iommufd shares with C: objects, the context of an open file, the C entry points.
//!
//! C drivers with vIOMMU support embed an `iommufd_object` in structures of their own, vmlinux's
//! part of iommufd counts its `users`, and `vfio.ko` passes opaque pointers to contexts and devices
//! around. The layouts are therefore the kernel's (`helpers/layout.c` compares them), and the
//! meaning of the two counters too. On top stand types that make the wrong order hard to write:
//!
//! ```text
//! Context::reserve(..) -> Reserved<T>      has an ID; nobody can look it up
//!     .publish()       -> ObjectId         from here on anybody can, and can destroy it
//!     .publish_owned() -> OwnerRef<T>      the same, but only the caller can destroy it
//! Context::get(id)     -> ObjectGuard<T>   short use, by one call
//!     .to_user()       -> UserRef<T>       long use, by another object
//! OwnerRef::downgrade  -> WeakRef<T>       no use; becomes a short one while the object exists
//! Context::destroy(id)                     frees it, if it is not in use (else EBUSY)
//! UserRef::put_and_try_destroy(user)       frees it, if it has no other use
//! drop(owner)                              frees it after waiting for short uses
//! ```

mod access;
mod capi;
mod compat;
mod context;
mod object;
mod weak;

pub use access::{AccessObject, AccessUser};
#[doc(hidden)]
pub use capi::entry;
pub use capi::{DeviceHead, KernelApi};
#[doc(hidden)]
pub use compat::compat_entry;
pub use compat::VfioCompat;
pub use context::{Context, Iommufd, OpenContext, OpenRef, Reserved};
pub use object::{
    AnyGuard, Object, ObjectFamily, ObjectGuard, ObjectId, ObjectKind, ObjectOps, ObjectTable,
    ObjectType, OwnerRef, UserRef,
};
pub use weak::WeakRef;
