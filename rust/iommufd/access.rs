// SPDX-License-Identifier: GPL-2.0

//! Drivers that reach the memory of an IO address space without DMA: the `iommufd_access_*`
//! functions of `include/linux/iommufd.h`.
//!
//! An access pins pages of the address space that it is attached to, or copies from and to them. It
//! is told when pages that it may have are about to be unmapped, and then gives them back.

use super::{Context, ObjectId, ObjectType, OwnerRef};
use crate::{
    mm::CopyBuffer,
    pages::{CopyPath, KernelPins, PinRequest},
};
use kernel::prelude::*;

/// The user of an access: a driver in C, or code in Rust.
pub trait AccessUser: Send + Sync {
    /// Returns whether the user pins pages. Its access is then attached only to an address space in
    /// which each mapping begins and ends with a page.
    fn needs_pages(&self) -> bool;

    /// Unpins what the user has pinned in `length` bytes at `iova`, before it returns. Called with
    /// no lock held, perhaps by several threads at the same time, and also for ranges in which the
    /// user has pinned nothing.
    fn unmap(&self, iova: u64, length: u64);
}

/// An object through which an [`AccessUser`] reaches memory.
///
/// Pages stay pinned as long as the [`KernelPins`] of the call that has pinned them exist. Users in
/// Rust have these themselves. Those of a driver in C are stored beside its access; what it unpins
/// without having pinned it is reported and has no effect, and what it has not unpinned when it
/// destroys the access is reported and stays pinned for ever.
pub trait AccessObject: ObjectType {
    /// Makes one for `user`, attached to nothing. It keeps the context.
    fn create(
        context: &Context<Self::Family>,
        user: KBox<dyn AccessUser>,
    ) -> Result<OwnerRef<Self>>;

    /// Undoes [`attach`](Self::attach), if it is attached, because the access is about to be
    /// destroyed.
    fn leave(access: &OwnerRef<Self>);

    /// Attaches it to an address space.
    fn attach(access: &OwnerRef<Self>, ioas: ObjectId) -> Result;

    /// Attaches it to another address space than the one it is attached to, after it has given back
    /// what it has of that. On failure it stays where it is.
    fn replace(access: &OwnerRef<Self>, ioas: ObjectId) -> Result;

    /// Undoes [`attach`](Self::attach), after it has given back all that it has.
    fn detach(access: &OwnerRef<Self>);

    /// Pins the pages of `length` bytes at `iova`, to be written if `write`, for a request that has
    /// a slot for each of them.
    fn pin_pages(
        &self,
        iova: u64,
        length: u64,
        request: &mut PinRequest<'_>,
        write: bool,
    ) -> Result;

    /// Undoes [`pin_pages`](Self::pin_pages) for the same range, of which `pins` are.
    fn unpin_pages(&self, iova: u64, length: u64, pins: KernelPins);

    /// Copies from or to the memory at `iova`.
    fn rw(&self, iova: u64, data: CopyBuffer<'_>, path: CopyPath) -> Result;
}
