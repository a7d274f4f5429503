// SPDX-License-Identifier: GPL-2.0

//! The type of an open `/dev/iommu`, which every other module takes.
//!
//! This module names no other. The state of a context, and the types of its objects, are at the top
//! of the crate, in [`objects`](crate::objects).

/// The character device. Its files are contexts.
pub(crate) struct Iommufd;

/// An open `/dev/iommu`, or `/dev/vfio/vfio` where iommufd serves it.
pub(crate) type Context = iommufd_core::Context<Iommufd>;
