// SPDX-License-Identifier: GPL-2.0

//! Importing memory of devices that is shared as a dma-buf.
//!
//! An [`Attachment`] reads the physical address of the memory, instead of having it mapped for a
//! device. Only `vfio-pci` reports that, for a BAR of a device. It may revoke the memory at any
//! time, for which it calls the importer.
//!
//! Lock order: the reservation lock of a dma-buf, then the locks that the callbacks of an
//! [`Importer`] take.
//!
//! C header: `include/linux/dma-buf.h`.

#[cfg(CONFIG_DMA_SHARED_BUFFER)]
mod attachment;
#[cfg(CONFIG_DMA_SHARED_BUFFER)]
mod buffer;
#[cfg(all(CONFIG_DMA_SHARED_BUFFER, CONFIG_IOMMUFD_RUST_TEST))]
mod test_exporter;
#[cfg(not(CONFIG_DMA_SHARED_BUFFER))]
mod without;

#[cfg(CONFIG_DMA_SHARED_BUFFER)]
pub use attachment::Attachment;
#[cfg(CONFIG_DMA_SHARED_BUFFER)]
pub use buffer::DmaBuf;
#[cfg(all(CONFIG_DMA_SHARED_BUFFER, CONFIG_IOMMUFD_RUST_TEST))]
pub use test_exporter::{export_test_memory, revoke_test_memory};
#[cfg(all(not(CONFIG_DMA_SHARED_BUFFER), CONFIG_IOMMUFD_RUST_TEST))]
pub use without::{export_test_memory, revoke_test_memory};
#[cfg(not(CONFIG_DMA_SHARED_BUFFER))]
pub use without::{Attachment, DmaBuf};

/// The callbacks of an importer, which are called with the reservation lock of the dma-buf held.
pub trait Importer: Send + Sync + 'static {
    /// Reports the location of the memory, which is valid until the memory is revoked. Called once,
    /// before [`Attachment::new`] returns successfully.
    fn attached(&self, memory: PhysRange);

    /// Revokes the memory: when this returns, no device may access it any more.
    ///
    /// Called any number of times, also before [`attached`](Self::attached), but not after the
    /// [`Attachment`] has been dropped. The implementation must not drop the attachment, because
    /// that takes the reservation lock.
    fn revoked(&self);
}

/// A contiguous range of physical addresses, not necessarily of system memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PhysRange {
    /// Physical address of the first byte.
    pub phys: u64,
    /// Length in bytes.
    pub length: usize,
}
