// SPDX-License-Identifier: GPL-2.0

//! References to dma-bufs, and their reservation locks.

use crate::bindings;
use core::ptr::NonNull;
use kernel::{error::from_err_ptr, prelude::*};

/// A reference to a dma-buf.
///
/// # Invariants
///
/// `0` is valid, and this value owns one reference to it.
pub struct DmaBuf(NonNull<bindings::dma_buf>);

// SAFETY: References to a dma-buf may be used and dropped on any thread.
unsafe impl Send for DmaBuf {}
// SAFETY: The functions that are called with a `&DmaBuf` may run on several threads at the same
// time.
unsafe impl Sync for DmaBuf {}

impl DmaBuf {
    /// Returns the dma-buf that is open as `fd` in the calling process.
    ///
    /// # Errors
    ///
    /// `EBADF` if no file is open as `fd`; `EINVAL` if it is not a dma-buf.
    pub fn from_fd(fd: i32) -> Result<Self> {
        // SAFETY: `dma_buf_get()` accepts any number, and returns an error unless a dma-buf is open
        // as it.
        let raw = from_err_ptr(unsafe { bindings::dma_buf_get(fd) })?;

        // INVARIANT: `dma_buf_get()` has taken a reference, which the new value owns.
        NonNull::new(raw).map(Self).ok_or(EINVAL)
    }

    /// Returns the length in bytes.
    pub fn size(&self) -> usize {
        // SAFETY: By the type invariant the dma-buf is valid; its size never changes.
        unsafe { (*self.as_ptr()).size }
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::dma_buf {
        self.0.as_ptr()
    }

    /// Takes the reservation lock, with which held the memory is not moved or revoked.
    pub(super) fn lock(&self) -> Reservation<'_> {
        // SAFETY: By the type invariant the dma-buf is valid; its reservation object never changes.
        let lock = unsafe { (*self.as_ptr()).resv };

        // INVARIANT: `dma_resv_lock()` takes the lock. It cannot fail without an acquire context.
        // SAFETY: The reservation object lives as long as the dma-buf, to which `self` has a
        // reference.
        unsafe { bindings::dma_resv_lock(lock, core::ptr::null_mut()) };
        Reservation(self)
    }
}

impl Drop for DmaBuf {
    #[inline(never)]
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns the reference, which is not used after
        // this.
        unsafe { bindings::dma_buf_put(self.as_ptr()) };
    }
}

/// A guard of the reservation lock of a dma-buf.
///
/// # Invariants
///
/// The lock is held by the thread that owns this value.
pub(super) struct Reservation<'a>(&'a DmaBuf);

impl Reservation<'_> {
    /// Returns the dma-buf whose lock is held.
    pub(super) fn buffer(&self) -> &DmaBuf {
        self.0
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant of `DmaBuf` the dma-buf is valid; its reservation object
        // never changes.
        let lock = unsafe { (*self.0.as_ptr()).resv };
        // SAFETY: By the type invariant this thread holds the lock, and `self` ends here.
        unsafe { bindings::dma_resv_unlock(lock) };
    }
}
