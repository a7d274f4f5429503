// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions for IOMMU users and drivers that the `kernel` crate does not have (yet).
//!
//! Each module covers one topic of the C kernel and is written so that it could move into the
//! `kernel` crate as it stands. Code that depends on what the kernel's Rust API looks like in one
//! release is in [`shim`].
//!
//! | module | what it owns |
//! |---|---|
//! | [`alloc`] | memory for values of a fixed size |
//! | [`array_vec`] | short arrays on the stack |
//! | [`base`] | allocation as code that is also built for the host calls it |
//! | [`capability`] | what the calling task may do |
//! | [`dma_buf`] | memory of devices that another driver shares |
//! | [`fault`] | errors on purpose, in test builds |
//! | [`interval`] | a map from intervals to values |
//! | [`iommu`] | groups, DMA ownership, domains; drivers of IOMMUs and their page tables |
//! | [`mm`] | pinned pages of processes and files, the charge for them, copying |
//! | [`miscdev`] | character devices with a mode and a recognisable `file_operations` |
//! | [`sync`] | reader-writer semaphores |
//! | [`uaccess`] | structs that carry their own size across the user boundary |

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
pub mod shim;
pub mod sync;
pub mod uaccess;

#[doc(hidden)]
pub use kernel;

/// What `pr_*!` puts in front of messages of this crate, as `module!` defines it for modules.
const __LOG_PREFIX: &[u8] = b"kernel_ext\0";
