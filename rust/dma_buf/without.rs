// SPDX-License-Identifier: GPL-2.0

//! A kernel without dma-bufs (`CONFIG_DMA_SHARED_BUFFER`): there are none of these.

use super::Importer;
use core::marker::PhantomData;
use kernel::{device::Device, prelude::*, sync::Arc};

/// A reference to a dma-buf.
pub enum DmaBuf {}

impl DmaBuf {
    /// The dma-buf that the caller has open as `fd`.
    ///
    /// # Errors
    ///
    /// `ENXIO`.
    pub fn from_fd(_fd: i32) -> Result<Self> {
        Err(ENXIO)
    }

    /// The length in bytes.
    pub fn size(&self) -> usize {
        match *self {}
    }
}

/// An importer, attached to a dma-buf.
pub struct Attachment<T: Importer>(DmaBuf, PhantomData<Arc<T>>);

impl<T: Importer> Attachment<T> {
    /// Attaches `importer`.
    ///
    /// # Errors
    ///
    /// None: there is no dma-buf to call it with.
    pub fn new(buffer: DmaBuf, _device: &Device, _importer: Arc<T>) -> Result<Self> {
        match buffer {}
    }
}

/// Makes a dma-buf.
///
/// # Errors
///
/// `EOPNOTSUPP`.
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub fn export_test_memory(_length: usize, _flags: u32) -> Result<i32> {
    Err(EOPNOTSUPP)
}

/// Revokes a dma-buf's memory.
///
/// # Errors
///
/// `EOPNOTSUPP`.
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub fn revoke_test_memory(_fd: i32, _revoked: bool) -> Result {
    Err(EOPNOTSUPP)
}
