// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions for IOMMU users and drivers that the `kernel` crate does not have (yet).
//!
//! Each module covers one topic of the C kernel, and could move into the `kernel` crate without
//! changes. Code that depends on details of the Rust API of one release is in [`shim`].
//!
//! | module | contents |
//! |---|---|
//! | [`alloc`] | an allocator for values of a fixed size |
//! | [`array_vec`] | short arrays on the stack |
//! | [`base`] | allocation functions for code that is also built for the host |
//! | [`capability`] | capabilities of the calling task |
//! | [`dma_buf`] | importing memory of devices that another driver exports |
//! | [`fault`] | fault injection, in test builds |
//! | [`interval`] | maps from intervals to values |
//! | [`iommu`] | groups, DMA ownership, domains; drivers of IOMMUs and their page tables |
//! | [`mm`] | pinning pages of processes and files, charging them, copying |
//! | [`miscdev`] | character devices with a mode and a recognisable `file_operations` |
//! | [`sched`] | letting other tasks run |
//! | [`sync`] | reader-writer semaphores |
//! | [`uaccess`] | extensible structs that are passed with their size |

#![warn(missing_docs)]

pub mod alloc;
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub mod anon_file;
pub mod array_vec;
pub mod base;
mod bindings;
pub mod capability;
pub mod dma_buf;
pub mod fault;
pub mod interval;
pub mod iommu;
pub mod miscdev;
pub mod mm;
pub mod sched;
pub mod shim;
pub mod sync;
pub mod uaccess;

#[doc(hidden)]
pub use kernel;

/// The prefix that `pr_*!` prints before messages of this crate. For modules, `module!` defines it.
const __LOG_PREFIX: &[u8] = b"kernel_ext\0";
