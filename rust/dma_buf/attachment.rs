// SPDX-License-Identifier: GPL-2.0

//! Dma-bufs, and being attached to one.

use super::{Importer, PhysRange};
use crate::{bindings, shim::device_ptr};
use core::ptr::NonNull;
use kernel::{
    device::Device,
    error::{from_err_ptr, to_result},
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc,
};

/// A reference to a dma-buf.
///
/// # Invariants
///
/// `0` is valid, and this value owns one reference to it.
pub struct DmaBuf(NonNull<bindings::dma_buf>);

// SAFETY: A dma-buf may be used from any thread.
unsafe impl Send for DmaBuf {}
// SAFETY: It has locks of its own.
unsafe impl Sync for DmaBuf {}

impl DmaBuf {
    /// The dma-buf that the caller has open as `fd`.
    ///
    /// # Errors
    ///
    /// `EBADF` if there is no such file, `EINVAL` if it is no dma-buf.
    pub fn from_fd(fd: i32) -> Result<Self> {
        // SAFETY: There is nothing to be seen to.
        let raw = from_err_ptr(unsafe { bindings::dma_buf_get(fd) })?;

        // INVARIANT: The reference was taken just now.
        NonNull::new(raw).map(Self).ok_or(EINVAL)
    }

    /// The length in bytes.
    pub fn size(&self) -> usize {
        // SAFETY: By the type invariant it is valid; the size never changes.
        unsafe { (*self.as_ptr()).size }
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::dma_buf {
        self.0.as_ptr()
    }

    /// Takes the reservation lock, which orders all that moves or revokes the memory.
    pub(super) fn lock(&self) -> Reservation<'_> {
        // SAFETY: By the type invariant it is valid; its reservation never changes.
        let lock = unsafe { (*self.as_ptr()).resv };

        // INVARIANT: The lock is held now. Without a context there is nothing that can fail.
        // SAFETY: The reservation lives as long as the dma-buf.
        unsafe { bindings::dma_resv_lock(lock, core::ptr::null_mut()) };
        Reservation(self)
    }
}

impl Drop for DmaBuf {
    #[inline(never)]
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns the reference.
        unsafe { bindings::dma_buf_put(self.as_ptr()) };
    }
}

/// The reservation lock of a dma-buf, held.
///
/// # Invariants
///
/// The caller holds the lock.
pub(super) struct Reservation<'a>(&'a DmaBuf);

impl Reservation<'_> {
    /// Whose lock it is.
    pub(super) fn buffer(&self) -> &DmaBuf {
        self.0
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant of `DmaBuf` it is valid.
        let lock = unsafe { (*self.0.as_ptr()).resv };
        // SAFETY: By the type invariant the lock is held.
        unsafe { bindings::dma_resv_unlock(lock) };
    }
}

/// An importer, attached to a dma-buf whose memory stays where it is until it is revoked.
///
/// Dropping it takes the reservation lock, and must not be done with it held.
pub struct Attachment<T: Importer> {
    /// Goes first: after that the importer is told nothing any more.
    _raw: RawAttachment,
    _importer: Arc<T>,
}

impl<T: Importer> Attachment<T> {
    const OPERATIONS: bindings::dma_buf_attach_ops = bindings::dma_buf_attach_ops {
        allow_peer2peer: true,
        invalidate_mappings: Some(Self::invalidate),
    };

    /// Attaches `importer`, in the name of `device`, and tells it where the memory is.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the memory is revoked now; `EOPNOTSUPP` if the exporter cannot say where it is;
    /// `ENOMEM`; or what the exporter gives.
    pub fn new(buffer: DmaBuf, device: &Device, importer: Arc<T>) -> Result<Self> {
        let data = Arc::as_ptr(&importer).cast_mut().cast();
        // SAFETY: The operations are those for an importer of this type. It lives longer than the
        // attachment.
        let mut raw = unsafe { RawAttachment::new(buffer, device, &Self::OPERATIONS, data) }?;

        raw.pin(&|memory| importer.attached(memory))?;
        Ok(Self {
            _raw: raw,
            _importer: importer,
        })
    }

    /// # Safety
    ///
    /// Called by the exporter for an attachment with these operations, with the reservation lock
    /// held.
    unsafe extern "C" fn invalidate(attachment: *mut bindings::dma_buf_attachment) {
        // SAFETY: The attachment is valid.
        let data = unsafe { (*attachment).importer_priv };
        // SAFETY: The data are the importer, which lives as long as the attachment.
        unsafe { &*data.cast::<T>() }.revoked();
    }
}

/// What there is to an attachment whatever the importer is, so that its code is in this crate.
///
/// # Invariants
///
/// `raw` is an attachment to `buffer`, pinned if `pinned` says so.
struct RawAttachment {
    raw: NonNull<bindings::dma_buf_attachment>,
    pinned: bool,
    buffer: DmaBuf,
}

// SAFETY: An attachment may be used from any thread.
unsafe impl Send for RawAttachment {}
// SAFETY: There is nothing to do with a `&RawAttachment`.
unsafe impl Sync for RawAttachment {}

impl RawAttachment {
    /// # Safety
    ///
    /// `data` are what the functions of `operations` take them for as long as the value lives.
    unsafe fn new(
        buffer: DmaBuf,
        device: &Device,
        operations: &'static bindings::dma_buf_attach_ops,
        data: *mut c_void,
    ) -> Result<Self> {
        let (to, device) = (buffer.as_ptr(), device_ptr(device));
        // SAFETY: The dma-buf and the device are valid; the caller vouches for the data.
        let raw = unsafe { bindings::dma_buf_dynamic_attach(to, device, operations, data) };

        // INVARIANT: It was made just now, and is not pinned.
        Ok(Self {
            raw: NonNull::new(from_err_ptr(raw)?).ok_or(EINVAL)?,
            pinned: false,
            buffer,
        })
    }

    /// Keeps the memory where it is, and tells where, with the lock held.
    fn pin(&mut self, tell: &dyn Fn(PhysRange)) -> Result {
        let reservation = self.buffer.lock();

        // SAFETY: By the type invariant this is an attachment; its lock is held.
        to_result(unsafe { bindings::dma_buf_pin(self.raw.as_ptr()) })?;
        // INVARIANT: It is.
        self.pinned = true;
        // SAFETY: By the type invariant this is an attachment to the dma-buf that is locked.
        tell(unsafe { physical_range(self.raw.as_ptr(), &reservation) }?);
        Ok(())
    }
}

impl Drop for RawAttachment {
    #[inline(never)]
    fn drop(&mut self) {
        // SAFETY: By the type invariant this is an attachment to `buffer`, pinned if it says so, and
        // nobody else's.
        unsafe { detach(&self.buffer, self.raw, self.pinned) };
    }
}

/// Gives an attachment up. Not generic, so that only this module calls the functions of dma-bufs.
///
/// # Safety
///
/// `raw` is an attachment to `buffer`, pinned or not, that is not used again.
unsafe fn detach(buffer: &DmaBuf, raw: NonNull<bindings::dma_buf_attachment>, pinned: bool) {
    if pinned {
        let _reservation = buffer.lock();
        // SAFETY: The caller vouches for it; the lock is held.
        unsafe { bindings::dma_buf_unpin(raw.as_ptr()) };
    }
    // SAFETY: The caller vouches for it.
    unsafe { bindings::dma_buf_detach(buffer.as_ptr(), raw.as_ptr()) };
}

/// Where the memory is, until it is revoked.
///
/// # Errors
///
/// What the exporter reports; `EINVAL` if it names memory that does not begin with a page, or is
/// smaller than the buffer.
///
/// # Safety
///
/// This is an attachment to the dma-buf whose lock is held.
unsafe fn physical_range(
    attachment: *mut bindings::dma_buf_attachment,
    reservation: &Reservation<'_>,
) -> Result<PhysRange> {
    #[cfg(CONFIG_IOMMUFD_RUST_TEST)]
    if let Some(result) = super::test_exporter::physical_range(reservation) {
        return result;
    }
    let mut phys = bindings::phys_vec::default();

    // SAFETY: The caller says that the attachment is valid; `phys` can be written.
    to_result(unsafe { bindings::kernel_ext_dma_buf_phys(attachment, &mut phys) })?;
    let (start, length) = (phys.paddr, phys.len);

    // Importers count in pages, and use all of the buffer.
    if start % PAGE_SIZE as u64 != 0
        || length < reservation.buffer().size()
        || start.checked_add(length as u64).is_none()
    {
        return Err(EINVAL);
    }
    Ok(PhysRange {
        phys: start,
        length,
    })
}
