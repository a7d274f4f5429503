// SPDX-License-Identifier: GPL-2.0

//! The size of temporary buffers for work on many pages.

#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
use kernel::sync::atomic::{Atomic, Relaxed};

const DEFAULT_BYTES: usize = 65536;

#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
static BATCH_BYTES: Atomic<usize> = Atomic::new(DEFAULT_BYTES);

/// Returns the size of a temporary buffer for many pages, in bytes. A larger one saves little time.
#[cfg(not(CONFIG_IOMMUFD_RUST_TEST))]
#[inline]
pub const fn batch_bytes() -> usize {
    DEFAULT_BYTES
}

/// Returns the size of a temporary buffer for many pages, in bytes.
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub fn batch_bytes() -> usize {
    BATCH_BYTES.load(Relaxed)
}

/// Sets the size of temporary buffers, in bytes. With tiny ones, a test of a few pages runs the
/// code that else takes thousands of pages.
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub fn set_batch_bytes(bytes: usize) {
    BATCH_BYTES.store(bytes, Relaxed);
}
