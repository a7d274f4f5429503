// SPDX-License-Identifier: GPL-2.0

//! The part of iommufd that needs `unsafe`: memory shared with devices, objects shared with C.
//!
//! | module | contents |
//! |---|---|
//! | [`iova`] | the right to map at a range of IOVA |
//! | [`table`] | the page tables of an address space |
//! | [`pages`] | pinned memory, shared by page tables and users in the kernel; owns all pins |
//! | [`attach`] | groups that are attached to domains, for their PASIDs too |
//! | [`object`], [`context`], [`weak`] | objects, references to them, contexts of open files |
//! | [`access`], [`compat`] | what drivers do without DMA, and in place of a VFIO container |
//! | [`head`] | groups and page tables, as C code reads them |
//! | [`capi`] | the functions that other modules call |
//!
//! This crate is linked into `iommufd.ko`. The other crate of that module, `drivers/iommufd`,
//! implements the ioctls and contains no `unsafe`. Code that does not depend on iommufd is in
//! [`kernel_ext`].
//!
//! # Objects
//!
//! C drivers with vIOMMU support embed an `iommufd_object` in their own structures, the part of
//! iommufd in vmlinux increments its `users`, and `vfio.ko` passes opaque pointers to contexts and
//! devices. Therefore the layouts and the meaning of the two counters are those of the kernel
//! (`layout.c` compares the layouts). The types on top of them enforce the order of operations:
//!
//! ```text
//! Context::reserve(..) -> Reserved<T>      an object with an ID that cannot be looked up yet
//!     .publish()       -> ObjectId         it can be looked up, and be destroyed by its ID
//!     .publish_owned() -> OwnerRef<T>      it can be looked up; only the owner can destroy it
//! Context::get(id)     -> ObjectGuard<T>   a short-term reference, for one call
//!     .to_user()       -> UserRef<T>       a long-term reference, of another object
//! OwnerRef::downgrade  -> WeakRef<T>       no reference; gives a short-term one while it exists
//! Context::destroy(id)                     frees the object if it is not in use, else EBUSY
//! UserRef::put_and_try_destroy(user)       frees the object if there is no other reference
//! drop(owner)                              frees the object after the last short-term reference
//! ```

#![warn(missing_docs)]

mod access;
mod attach;
mod bindings;
mod capi;
mod compat;
mod context;
mod head;
pub mod iova;
mod object;
mod pages;
mod parameters;
mod table;
mod weak;

pub use access::{AccessObject, AccessUser};
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub use attach::has_core_handle;
pub use attach::{AttachHandle, Attachment};
pub use capi::{DeviceHead, KernelApi};
pub use compat::VfioCompat;
pub use context::{Context, ContextDevice, Iommufd, OpenContext, OpenRef, Reserved};
pub use head::{GroupHead, HwptHead};
pub use object::{
    AnyGuard, Object, ObjectFamily, ObjectGuard, ObjectId, ObjectKind, ObjectOps, ObjectTable,
    ObjectType, OwnerRef, UserRef,
};
pub use pages::{
    CopyPath, KernelPins, Mapping, NotMapped, PagesKind, PinRequest, SharedPages, View,
};
pub use parameters::allow_unsafe_interrupts;
pub use table::{Table, TableList};
pub use weak::WeakRef;

use kernel_ext::{alloc, array_vec, base, dma_buf, fault, interval, iommu, miscdev, mm, shim};

/// The bodies of the C functions, for [`export_kernel_api!`].
#[doc(hidden)]
pub mod entry {
    pub use crate::capi::{access::*, compat::*, entry::*};
}

/// The prefix that `pr_*!` prints before messages of this crate. For modules, `module!` defines it.
const __LOG_PREFIX: &[u8] = b"iommufd\0";
