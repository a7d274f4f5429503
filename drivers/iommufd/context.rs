// SPDX-License-Identifier: GPL-2.0

//! An open `/dev/iommu`: the type that every other module takes.
//!
//! This module names no other. What a context holds beside its objects, and which types of objects
//! there are, stands at the top of the crate, in [`objects`](crate::objects).

/// The character device. Its files are contexts.
pub(crate) struct Iommufd;

/// An open `/dev/iommu`, or `/dev/vfio/vfio` where iommufd serves it.
pub(crate) type Context = iommufd_core::Context<Iommufd>;
