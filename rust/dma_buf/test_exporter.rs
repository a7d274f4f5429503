// SPDX-License-Identifier: GPL-2.0

//! An exporter for tests: dma-bufs of kernel memory that can be revoked.

use super::{
    buffer::{DmaBuf, Reservation},
    PhysRange,
};
use crate::bindings;
use kernel::{
    error::from_err_ptr,
    page::PAGE_SIZE,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

/// Size of the largest buffer, in pages.
const MAX_PAGES: usize = 512;

/// A page of memory.
#[repr(C, align(4096))]
#[derive(Zeroable)]
struct PageBytes([u8; PAGE_SIZE]);

/// The private data of a dma-buf of this exporter.
struct Backing {
    memory: KVec<PageBytes>,
    /// Whether the memory is revoked. Read and written with the reservation lock held.
    revoked: Atomic<bool>,
}

static OPERATIONS: Operations = Operations(bindings::dma_buf_ops {
    map_dma_buf: Some(map),
    unmap_dma_buf: Some(unmap),
    release: Some(release),
    ..pin_init::zeroed()
});

/// The operations of the dma-bufs of this exporter.
///
/// # Invariants
///
/// The operations are the functions below, and the private data of each dma-buf with this table is
/// a boxed [`Backing`].
struct Operations(bindings::dma_buf_ops);

// SAFETY: The table is not changed after it has been created.
unsafe impl Sync for Operations {}

/// Fails: these dma-bufs cannot be mapped for a device, only their physical address can be read.
///
/// # Safety
///
/// None; any arguments are allowed.
unsafe extern "C" fn map(
    _attachment: *mut bindings::dma_buf_attachment,
    _direction: bindings::dma_data_direction,
) -> *mut bindings::sg_table {
    EOPNOTSUPP.to_ptr()
}

/// Does not run, because `map` always fails; the dma-buf core requires the operation.
///
/// # Safety
///
/// None; any arguments are allowed.
unsafe extern "C" fn unmap(
    _attachment: *mut bindings::dma_buf_attachment,
    _table: *mut bindings::sg_table,
    _direction: bindings::dma_data_direction,
) {
}

/// Frees the private data.
///
/// # Safety
///
/// Called once for a dma-buf of this exporter, when its last reference is dropped.
unsafe extern "C" fn release(buffer: *mut bindings::dma_buf) {
    // SAFETY: The caller passes a valid dma-buf.
    let data = unsafe { (*buffer).priv_ };
    // SAFETY: By the invariant of `Operations` the private data came from a `KBox<Backing>`. There
    // is no reference left, so it is not used after this.
    drop(unsafe { KBox::<Backing>::from_raw(data.cast()) });
}

/// Creates a dma-buf of `length` bytes of zeroed memory, rounded up to pages. Returns a new file
/// descriptor of the calling process, with the given flags of `open()`.
///
/// # Errors
///
/// `EINVAL` if `length` is zero or too large; `ENOMEM`; `EMFILE`; else the error of creating a
/// file.
pub fn export_test_memory(length: usize, flags: u32) -> Result<i32> {
    let npages = length.div_ceil(PAGE_SIZE);

    if npages == 0 || npages > MAX_PAGES {
        return Err(EINVAL);
    }
    let backing = KBox::new(
        Backing {
            memory: KVec::zeroed(npages, GFP_KERNEL)?,
            revoked: Atomic::new(false),
        },
        GFP_KERNEL,
    )?;
    let data = KBox::into_raw(backing);
    let size = npages * PAGE_SIZE;
    // INVARIANT: The private data of the new dma-buf is a boxed `Backing`.
    // SAFETY: The operations are static and take the private data for a boxed `Backing`, which
    // `data` is.
    let result = from_err_ptr(unsafe {
        bindings::kernel_ext_dma_buf_export(&OPERATIONS.0, size, flags as c_int, data.cast())
    });
    let buffer = match result {
        Ok(buffer) => buffer,
        Err(error) => {
            // SAFETY: `data` came from a box above. The export failed, so no dma-buf has it.
            drop(unsafe { KBox::from_raw(data) });
            return Err(error);
        }
    };
    // SAFETY: The reference to the dma-buf was returned just now. If this succeeds, the file
    // descriptor owns it, and `buffer` is not used after this.
    let fd = unsafe { bindings::dma_buf_fd(buffer, flags as c_int) };
    if fd < 0 {
        // SAFETY: `dma_buf_fd()` failed, so this function still owns the reference, which is not
        // used after this.
        unsafe { bindings::dma_buf_put(buffer) };
        return Err(Error::from_errno(fd));
    }
    Ok(fd)
}

/// Revokes the memory of a dma-buf of [`export_test_memory`], or makes it available again for new
/// attachments. In both cases, it is revoked for the attachments that exist.
///
/// # Errors
///
/// Those of [`DmaBuf::from_fd`]; `EOPNOTSUPP` for a dma-buf of another exporter.
pub fn revoke_test_memory(fd: i32, revoked: bool) -> Result {
    let buffer = DmaBuf::from_fd(fd)?;
    let backing = backing(&buffer).ok_or(EOPNOTSUPP)?;
    let _reservation = buffer.lock();

    backing.revoked.store(revoked, Relaxed);
    // SAFETY: `buffer` is a reference to the dma-buf, whose reservation lock is held.
    unsafe { bindings::dma_buf_invalidate_mappings(buffer.as_ptr()) };
    Ok(())
}

/// Returns the location of the memory of a dma-buf of this exporter, or `ENODEV` if it is revoked;
/// `None` for a dma-buf of another exporter.
pub(super) fn physical_range(reservation: &Reservation<'_>) -> Option<Result<PhysRange>> {
    let backing = backing(reservation.buffer())?;

    if backing.revoked.load(Relaxed) {
        return Some(Err(ENODEV));
    }
    let memory = backing.memory.as_ptr();
    // The memory comes from `kmalloc()`, so it is in the linear map.
    // SAFETY: This only computes an address.
    let offset = unsafe { bindings::kernel_ext_linear_map_offset() };

    Some(Ok(PhysRange {
        phys: (memory as usize - offset) as u64,
        length: backing.memory.len() * PAGE_SIZE,
    }))
}

/// Returns the private data of a dma-buf of this exporter, or `None` for one of another exporter.
fn backing(buffer: &DmaBuf) -> Option<&Backing> {
    // SAFETY: `buffer` is a reference to the dma-buf, whose operations never change.
    let operations = unsafe { (*buffer.as_ptr()).ops };
    // SAFETY: As above; its private data never change either.
    let data = unsafe { (*buffer.as_ptr()).priv_ };
    let ours = core::ptr::eq(operations, &OPERATIONS.0);

    // SAFETY: By the invariant of `Operations` the private data is a boxed `Backing`. `release`
    // frees it after the last reference to the dma-buf has been dropped.
    ours.then(|| unsafe { &*data.cast::<Backing>() })
}
