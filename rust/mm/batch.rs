// SPDX-License-Identifier: GPL-2.0

//! How much memory the work on many pages takes at a time.

#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
use kernel::sync::atomic::{Atomic, Relaxed};

const DEFAULT_BYTES: usize = 65536;

#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
static BATCH_BYTES: Atomic<usize> = Atomic::new(DEFAULT_BYTES);

/// The size of a temporary buffer, in bytes, where there are many pages: more saves little.
#[cfg(not(CONFIG_IOMMUFD_RUST_TEST))]
#[inline]
pub const fn batch_bytes() -> usize {
    DEFAULT_BYTES
}

/// The size of a temporary buffer, in bytes, where there are many pages.
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub fn batch_bytes() -> usize {
    BATCH_BYTES.load(Relaxed)
}

/// Makes temporary buffers so large from now on, in bytes: tiny ones make a test of a few pages go
/// through what else takes thousands.
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub fn set_batch_bytes(bytes: usize) {
    BATCH_BYTES.store(bytes, Relaxed);
}
