// SPDX-License-Identifier: GPL-2.0

//! Attachments to dma-bufs.

use super::{
    buffer::{DmaBuf, Reservation},
    Importer, PhysRange,
};
use crate::{bindings, shim::device_ptr};
use core::ptr::NonNull;
use kernel::{
    device::Device,
    error::{from_err_ptr, to_result},
    page::PAGE_SIZE,
    prelude::*,
    sync::{aref::ARef, Arc},
};

/// An importer that is attached to a dma-buf. The memory is pinned until it is revoked.
///
/// Dropping an attachment takes the reservation lock, so the caller must not hold it.
pub struct Attachment<T: Importer> {
    /// Dropped first. From then on the exporter does not call the importer.
    _raw: RawAttachment,
    _importer: Arc<T>,
}

impl<T: Importer> Attachment<T> {
    const OPERATIONS: bindings::dma_buf_attach_ops = bindings::dma_buf_attach_ops {
        allow_peer2peer: true,
        invalidate_mappings: Some(Self::invalidate),
    };

    /// Attaches `importer` to a dma-buf on behalf of `device`, and passes it the location of the
    /// memory.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the memory is revoked; `EOPNOTSUPP` if the exporter does not report physical
    /// addresses; `ENOMEM`; else the error of the exporter.
    pub fn new(buffer: DmaBuf, device: &Device, importer: Arc<T>) -> Result<Self> {
        let data = Arc::as_ptr(&importer).cast_mut().cast();
        // SAFETY: `OPERATIONS` takes the data for a `T`. `data` points to the importer, which the
        // new attachment keeps alive with an `Arc` that is dropped after `raw`.
        let mut raw = unsafe { RawAttachment::new(buffer, device, &Self::OPERATIONS, data) }?;

        raw.pin(&|memory| importer.attached(memory))?;
        Ok(Self {
            _raw: raw,
            _importer: importer,
        })
    }

    /// # Safety
    ///
    /// The exporter calls this for an attachment with these operations, with the reservation lock
    /// held.
    unsafe extern "C" fn invalidate(attachment: *mut bindings::dma_buf_attachment) {
        // SAFETY: The exporter passes a valid attachment, whose data does not change.
        let data = unsafe { (*attachment).importer_priv };
        // SAFETY: `new` passed a pointer to a `T` as the data of each attachment with these
        // operations, and the `T` lives until it has been detached.
        unsafe { &*data.cast::<T>() }.revoked();
    }
}

/// The part of an attachment that does not depend on the type of the importer, so that its code is
/// compiled into this crate.
///
/// # Invariants
///
/// `raw` is an attachment to `buffer` that this value owns. It is pinned if `pinned` is true.
struct RawAttachment {
    raw: NonNull<bindings::dma_buf_attachment>,
    pinned: bool,
    buffer: DmaBuf,
    /// The attachment has a pointer to it, which the exporter and debugfs may use.
    _device: ARef<Device>,
}

// SAFETY: An attachment may be pinned, unpinned and detached on any thread.
unsafe impl Send for RawAttachment {}
// SAFETY: A `&RawAttachment` has no methods and no public fields.
unsafe impl Sync for RawAttachment {}

impl RawAttachment {
    /// # Safety
    ///
    /// `data` is valid for the functions of `operations` as long as the result lives.
    unsafe fn new(
        buffer: DmaBuf,
        device: &Device,
        operations: &'static bindings::dma_buf_attach_ops,
        data: *mut c_void,
    ) -> Result<Self> {
        let to = buffer.as_ptr();
        // SAFETY: `buffer` and `device` are references, so both are valid. The new value keeps both
        // until it is detached. The operations are static. The caller promises that the data is
        // valid for them until the attachment is dropped.
        let raw =
            unsafe { bindings::dma_buf_dynamic_attach(to, device_ptr(device), operations, data) };

        // INVARIANT: `dma_buf_dynamic_attach()` returns a new attachment, which is not pinned.
        Ok(Self {
            raw: NonNull::new(from_err_ptr(raw)?).ok_or(EINVAL)?,
            pinned: false,
            buffer,
            _device: device.into(),
        })
    }

    /// Pins the memory, and passes its location to `tell` with the reservation lock held.
    fn pin(&mut self, tell: &dyn Fn(PhysRange)) -> Result {
        let reservation = self.buffer.lock();

        // SAFETY: By the type invariant this is an attachment to `buffer`, whose reservation lock
        // is held.
        to_result(unsafe { bindings::dma_buf_pin(self.raw.as_ptr()) })?;
        // INVARIANT: `dma_buf_pin()` succeeded.
        self.pinned = true;
        // SAFETY: By the type invariant this is an attachment to `buffer`, whose lock `reservation`
        // holds.
        tell(unsafe { physical_range(self.raw.as_ptr(), &reservation) }?);
        Ok(())
    }
}

impl Drop for RawAttachment {
    #[inline(never)]
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns the attachment to `buffer`, which is pinned
        // if `pinned` is true. It is not used after this.
        unsafe { detach(&self.buffer, self.raw, self.pinned) };
    }
}

/// Detaches an attachment. Not generic, so that only this module calls the functions of dma-bufs,
/// which are in a namespace.
///
/// # Safety
///
/// `raw` is an attachment to `buffer`, pinned if `pinned` is true, and is not used after this.
unsafe fn detach(buffer: &DmaBuf, raw: NonNull<bindings::dma_buf_attachment>, pinned: bool) {
    if pinned {
        let _reservation = buffer.lock();
        // SAFETY: The caller promises that this is a pinned attachment to `buffer`, whose
        // reservation lock is held.
        unsafe { bindings::dma_buf_unpin(raw.as_ptr()) };
    }
    // SAFETY: The caller promises that this is an attachment to `buffer` and is not used after
    // this. It is not pinned any more.
    unsafe { bindings::dma_buf_detach(buffer.as_ptr(), raw.as_ptr()) };
}

/// Returns the location of the memory, which is valid until the memory is revoked.
///
/// # Errors
///
/// The error of the exporter; `EINVAL` if it reports memory that is not page-aligned or is smaller
/// than the buffer.
///
/// # Safety
///
/// `attachment` is an attachment to the dma-buf whose lock `reservation` holds.
unsafe fn physical_range(
    attachment: *mut bindings::dma_buf_attachment,
    reservation: &Reservation<'_>,
) -> Result<PhysRange> {
    #[cfg(CONFIG_IOMMUFD_RUST_TEST)]
    if let Some(result) = super::test_exporter::physical_range(reservation) {
        return result;
    }
    let mut phys = bindings::phys_vec::default();

    // SAFETY: The caller promises that the attachment is valid and its reservation lock is held.
    // `phys` can be written.
    to_result(unsafe { bindings::kernel_ext_dma_buf_phys(attachment, &mut phys) })?;
    let (start, length) = (phys.paddr, phys.len);

    // Importers map whole pages of any part of the buffer.
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
