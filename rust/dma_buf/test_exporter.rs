// SPDX-License-Identifier: GPL-2.0

//! For tests: a dma-buf of kernel memory that can be revoked.

use super::{
    attachment::{DmaBuf, Reservation},
    PhysRange,
};
use crate::bindings;
use kernel::{
    error::from_err_ptr,
    page::PAGE_SIZE,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

/// The largest buffer.
const MAX_PAGES: usize = 512;

/// A page of memory.
#[repr(C, align(4096))]
#[derive(Zeroable)]
struct PageBytes([u8; PAGE_SIZE]);

/// What a dma-buf of ours owns.
struct Backing {
    memory: KVec<PageBytes>,
    /// Whether it is revoked. Changes and is looked at with the reservation lock held.
    revoked: Atomic<bool>,
}

static OPERATIONS: Operations = Operations(bindings::dma_buf_ops {
    map_dma_buf: Some(map),
    unmap_dma_buf: Some(unmap),
    release: Some(release),
    ..pin_init::zeroed()
});

/// The operations of our dma-bufs.
///
/// # Invariants
///
/// They are those below, so that a dma-buf with this table has a boxed [`Backing`] as private data.
struct Operations(bindings::dma_buf_ops);

// SAFETY: The table is never changed.
unsafe impl Sync for Operations {}

/// Mapping for a device is not what these dma-bufs are for.
///
/// # Safety
///
/// None is needed.
unsafe extern "C" fn map(
    _attachment: *mut bindings::dma_buf_attachment,
    _direction: bindings::dma_data_direction,
) -> *mut bindings::sg_table {
    EOPNOTSUPP.to_ptr()
}

/// # Safety
///
/// None is needed: nothing was mapped.
unsafe extern "C" fn unmap(
    _attachment: *mut bindings::dma_buf_attachment,
    _table: *mut bindings::sg_table,
    _direction: bindings::dma_data_direction,
) {
}

/// # Safety
///
/// Called once for a dma-buf of ours that nobody has any more.
unsafe extern "C" fn release(buffer: *mut bindings::dma_buf) {
    // SAFETY: The dma-buf is valid.
    let data = unsafe { (*buffer).priv_ };
    // SAFETY: By the invariant of `Operations` this is where the box went.
    drop(unsafe { KBox::<Backing>::from_raw(data.cast()) });
}

/// Makes a dma-buf of `length` bytes of memory, rounded up to pages, which are zero. The caller gets
/// it as a new file descriptor, with the given flags of `open()`.
///
/// # Errors
///
/// `EINVAL` for no or too much memory; `ENOMEM`; `EMFILE`; or what making a file gives.
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
    // INVARIANT: The private data are a boxed `Backing`.
    // SAFETY: The operations are those for these data, and live as long as the module.
    let result = from_err_ptr(unsafe {
        bindings::kernel_ext_dma_buf_export(&OPERATIONS.0, size, flags as c_int, data.cast())
    });
    let buffer = match result {
        Ok(buffer) => buffer,
        Err(error) => {
            // SAFETY: It was made of a box above, and nobody has taken it.
            drop(unsafe { KBox::from_raw(data) });
            return Err(error);
        }
    };
    // SAFETY: The dma-buf is valid; if this succeeds, the reference goes to the file descriptor.
    let fd = unsafe { bindings::dma_buf_fd(buffer, flags as c_int) };
    if fd < 0 {
        // SAFETY: The reference is ours, and the last.
        unsafe { bindings::dma_buf_put(buffer) };
        return Err(Error::from_errno(fd));
    }
    Ok(fd)
}

/// Revokes the memory of a dma-buf of [`export_test_memory`], or makes it available again to those
/// who attach from now on; in both cases, those who are attached lose it.
///
/// # Errors
///
/// `EBADF` and `EINVAL` as [`DmaBuf::from_fd`] gives them, `EOPNOTSUPP` for another's dma-buf.
pub fn revoke_test_memory(fd: i32, revoked: bool) -> Result {
    let buffer = DmaBuf::from_fd(fd)?;
    let backing = backing(&buffer).ok_or(EOPNOTSUPP)?;
    let _reservation = buffer.lock();

    backing.revoked.store(revoked, Relaxed);
    // SAFETY: The dma-buf is valid, and its lock is held.
    unsafe { bindings::dma_buf_invalidate_mappings(buffer.as_ptr()) };
    Ok(())
}

/// Where the memory of a dma-buf of ours is, or `ENODEV` if it is revoked; `None` for others.
pub(super) fn physical_range(reservation: &Reservation<'_>) -> Option<Result<PhysRange>> {
    let backing = backing(reservation.buffer())?;

    if backing.revoked.load(Relaxed) {
        return Some(Err(ENODEV));
    }
    let memory = backing.memory.as_ptr();
    // SAFETY: This computes an address; the memory is in the linear map.
    let offset = unsafe { bindings::kernel_ext_linear_map_offset() };

    Some(Ok(PhysRange {
        phys: (memory as usize - offset) as u64,
        length: backing.memory.len() * PAGE_SIZE,
    }))
}

fn backing(buffer: &DmaBuf) -> Option<&Backing> {
    // SAFETY: The dma-buf is valid; these never change.
    let (operations, data) = unsafe { ((*buffer.as_ptr()).ops, (*buffer.as_ptr()).priv_) };
    let ours = core::ptr::eq(operations, &OPERATIONS.0);

    // SAFETY: By the invariant of `Operations` this is a `Backing`, as long as the dma-buf lives.
    ours.then(|| unsafe { &*data.cast::<Backing>() })
}
