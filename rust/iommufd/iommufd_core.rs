// SPDX-License-Identifier: GPL-2.0

//! The part of iommufd that needs `unsafe`: memory shared with devices, objects shared with C.
//!
//! | module | what it owns |
//! |---|---|
//! | [`iova`] | the right to map at a range of IOVA |
//! | [`table`] | the page tables of an address space |
//! | [`pages`] | pinned memory that page tables and users in the kernel share; the only owner of pins |
//! | [`attach`] | groups that translate through a domain |
//! | [`object`], [`context`], [`weak`] | objects and their references, the context of an open file |
//! | [`capi`], [`access`], [`compat`] | the functions that other modules call |
//!
//! Linked into `iommufd.ko`, whose other crate (`drivers/iommufd`) decides and contains no `unsafe`.
//! What is not about iommufd is in [`kernel_ext`].
//!
//! # Objects
//!
//! C drivers with vIOMMU support embed an `iommufd_object` in structures of their own, vmlinux's
//! part of iommufd counts its `users`, and `vfio.ko` passes opaque pointers to contexts and devices
//! around. The layouts are therefore the kernel's (`layout.c` compares them), and the
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

#![warn(missing_docs)]

mod access;
mod attach;
mod bindings;
mod capi;
mod compat;
mod context;
pub mod iova;
mod object;
mod pages;
mod parameters;
mod table;
mod weak;

pub use access::{AccessObject, AccessUser};
pub use attach::{AttachHandle, Attachment};
#[doc(hidden)]
pub use capi::entry;
pub use capi::{DeviceHead, KernelApi};
pub use compat::VfioCompat;
pub use context::{Context, ContextDevice, Iommufd, OpenContext, OpenRef, Reserved};
pub use object::{
    AnyGuard, Object, ObjectFamily, ObjectGuard, ObjectId, ObjectKind, ObjectOps, ObjectTable,
    ObjectType, OwnerRef, UserRef,
};
pub use pages::{CopyPath, Mapping, NotMapped, PagesKind, SharedPages, View};
pub use parameters::allow_unsafe_interrupts;
pub use table::{Table, TableList};
pub use weak::WeakRef;

use kernel_ext::{alloc, array_vec, base, dma_buf, fault, interval, iommu, miscdev, mm, shim};

/// What `pr_*!` puts in front of messages of this crate, as `module!` defines it for modules.
const __LOG_PREFIX: &[u8] = b"iommufd\0";
