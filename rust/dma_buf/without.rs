// SPDX-License-Identifier: GPL-2.0

//! The same interface for kernels without dma-bufs (`CONFIG_DMA_SHARED_BUFFER`). Its types have no
//! values.

use super::Importer;
use core::marker::PhantomData;
use kernel::{device::Device, prelude::*, sync::Arc};

/// A reference to a dma-buf.
pub enum DmaBuf {}

impl DmaBuf {
    /// Fails, because there are no dma-bufs.
    ///
    /// # Errors
    ///
    /// Always `ENXIO`.
    pub fn from_fd(_fd: i32) -> Result<Self> {
        Err(ENXIO)
    }

    /// Returns the length in bytes.
    pub fn size(&self) -> usize {
        match *self {}
    }
}

/// An importer that is attached to a dma-buf.
pub struct Attachment<T: Importer>(DmaBuf, PhantomData<Arc<T>>);

impl<T: Importer> Attachment<T> {
    /// Attaches an importer to a dma-buf.
    ///
    /// # Errors
    ///
    /// None: there is no value of [`DmaBuf`] to call this with.
    pub fn new(buffer: DmaBuf, _device: &Device, _importer: Arc<T>) -> Result<Self> {
        match buffer {}
    }
}

/// Fails, because there are no dma-bufs.
///
/// # Errors
///
/// Always `EOPNOTSUPP`.
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub fn export_test_memory(_length: usize, _flags: u32) -> Result<i32> {
    Err(EOPNOTSUPP)
}

/// Fails, because there are no dma-bufs.
///
/// # Errors
///
/// Always `EOPNOTSUPP`.
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub fn revoke_test_memory(_fd: i32, _revoked: bool) -> Result {
    Err(EOPNOTSUPP)
}
