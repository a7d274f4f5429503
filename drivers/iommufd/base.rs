// SPDX-License-Identifier: GPL-2.0

//! The items of other crates that the pure parts of this crate use.
//!
//! The pure parts call no function of the kernel. They are also compiled for the host, where
//! `tools/testing/host` has another file of this name over `std`.

pub(crate) use kernel::prelude::{
    FromBytes, IntoBytes, Result, EADDRINUSE, EEXIST, EINVAL, ENOENT, ENOSPC, EOPNOTSUPP, EOVERFLOW,
};
pub(crate) use kernel_ext::base::{Box, Slot};
pub(crate) use kernel_ext::mm::PAGE_SIZE;
pub(crate) use zerocopy::Immutable;
pub(crate) use zerocopy_derive::Immutable;
