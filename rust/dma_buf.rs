// SPDX-License-Identifier: GPL-2.0

//! Memory of devices, shared as a dma-buf: the side that imports it.
//!
//! An [`Attachment`] asks where the memory is in physical address space, rather than have it mapped
//! for some device. The one exporter that answers is `vfio-pci`, with a BAR of a device; it may take
//! the memory back at any time, of which an importer is told.
//!
//! Lock order: the reservation lock of a dma-buf comes before what an [`Importer`]
//! takes when it is told something.
//!
//! C header: `include/linux/dma-buf.h`.

#[cfg(CONFIG_DMA_SHARED_BUFFER)]
mod attachment;
#[cfg(all(CONFIG_DMA_SHARED_BUFFER, CONFIG_IOMMUFD_RUST_TEST))]
mod test_exporter;
#[cfg(not(CONFIG_DMA_SHARED_BUFFER))]
mod without;

#[cfg(CONFIG_DMA_SHARED_BUFFER)]
pub use attachment::{Attachment, DmaBuf};
#[cfg(all(CONFIG_DMA_SHARED_BUFFER, CONFIG_IOMMUFD_RUST_TEST))]
pub use test_exporter::{export_test_memory, revoke_test_memory};
#[cfg(all(not(CONFIG_DMA_SHARED_BUFFER), CONFIG_IOMMUFD_RUST_TEST))]
pub use without::{export_test_memory, revoke_test_memory};
#[cfg(not(CONFIG_DMA_SHARED_BUFFER))]
pub use without::{Attachment, DmaBuf};

/// What an importer is told, always with the reservation lock of the dma-buf held.
pub trait Importer: Send + Sync + 'static {
    /// This is where the memory is, until it is revoked. Called once, if attaching succeeds.
    fn attached(&self, memory: PhysRange);

    /// The exporter takes the memory back: when this returns, no device may reach it any more.
    ///
    /// Called any number of times, even before [`attached`](Self::attached), but not any more once
    /// the [`Attachment`] is gone; which must therefore not be dropped in here.
    fn revoked(&self);
}

/// Bytes next to each other in physical address space, which need not be system memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PhysRange {
    /// Physical address of the first byte.
    pub phys: u64,
    /// Length in bytes.
    pub length: usize,
}
