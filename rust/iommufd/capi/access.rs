// SPDX-License-Identifier: GPL-2.0

//! The functions `iommufd_access_*()`: an [`AccessObject`] for a driver in C.

mod pin_table;

use super::{context, errno, KernelApi};
use crate::{
    bindings,
    mm::{CopyBuffer, PageSlots, PAGE_SIZE},
    pages::{CopyPath, PinRequest},
    shim::error_ptr,
    AccessObject, AccessUser, Context, ObjectId, OwnerRef,
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use kernel_ext::{new_rwsem, sync::RwSem};
use pin_table::{PinTable, PinnedRange};

/// `IOMMUFD_ACCESS_RW_*`; `layout.c` compares them.
const WRITE: u32 = 1 << 0;
const KTHREAD: u32 = 1 << 1;
const SLOW_PATH: u32 = 1 << 2;

/// The functions of a driver in C, and the data that they are called with.
///
/// # Invariants
///
/// `ops` is valid, and its functions may be called with `data`, as long as this value exists.
struct Calls {
    ops: *const bindings::iommufd_access_ops,
    data: *mut c_void,
}

// SAFETY: The functions in `ops` may be called in any thread.
unsafe impl Send for Calls {}
// SAFETY: The functions in `ops` may be called by several threads at a time.
unsafe impl Sync for Calls {}

/// A driver in C.
#[pin_data]
struct Driver {
    needs_pages: bool,
    /// Held for reading during a call of the driver. `None` once the access has been given back.
    #[pin]
    calls: RwSem<Option<Calls>>,
    /// What it has pinned.
    #[pin]
    pins: Mutex<PinTable>,
}

impl Driver {
    fn new(calls: Calls) -> Result<Arc<Self>> {
        // SAFETY: By the type invariant of `Calls`, `ops` is valid.
        let needs_pages = unsafe { bindings::iommufd_core_access_needs_pages(calls.ops) };

        Arc::pin_init(
            pin_init!(Self {
                needs_pages,
                calls <- new_rwsem!(Some(calls), "Driver::calls"),
                pins <- new_mutex!(PinTable::new(), "Driver::pins"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Pins the pages of a range, and stores the pins for [`unpin`](Self::unpin).
    fn pin<T: AccessObject>(
        &self,
        access: &T,
        range: PinnedRange,
        slots: PageSlots<'_>,
        write: bool,
    ) -> Result {
        let room = PinTable::room()?;
        let mut request = PinRequest::new(slots);

        access.pin_pages(range.iova, range.length, &mut request, write)?;
        // The driver uses each pointer, so none may be missing, whatever `pin_pages` has done.
        let pins = request.finish()?;

        self.pins.lock().insert(room, range, pins);
        Ok(())
    }

    /// Unpins what a call of [`pin`](Self::pin) for exactly this range has pinned. Without any
    /// effect but a warning if there was no such call, or its pages have been unpinned.
    fn unpin<T: AccessObject>(&self, access: &T, range: PinnedRange) {
        let pins = self.pins.lock().remove(range);

        match pins {
            Some(pins) => access.unpin_pages(range.iova, range.length, pins),
            None => {
                kernel::warn_on!(true);
            }
        }
    }

    /// Waits for the calls of the driver that are running, and makes no more.
    fn revoke(&self) {
        *self.calls.write() = None;
    }
}

/// A driver in C, for an [`AccessObject`], which may keep this longer than the driver exists.
struct DriverUser(Arc<Driver>);

impl AccessUser for DriverUser {
    fn needs_pages(&self) -> bool {
        self.0.needs_pages
    }

    fn unmap(&self, iova: u64, length: u64) {
        let calls = self.0.calls.read();
        let Some(Calls { ops, data }) = &*calls else {
            return;
        };

        // SAFETY: By the type invariant of `Calls` its functions may be called. `access_destroy`
        // cannot remove the value before `calls` is dropped.
        unsafe { bindings::iommufd_core_access_unmap(*ops, *data, iova as usize, length as usize) };
    }
}

/// An access of a driver in C (`struct iommufd_access`, which is opaque to all C code).
struct Handle<T: AccessObject> {
    access: OwnerRef<T>,
    driver: Arc<Driver>,
}

/// Borrows an access that C has.
///
/// # Safety
///
/// `access` came from [`access_create`] for the same `I`, and stays with C while the result is
/// used.
unsafe fn handle<'a, I: KernelApi>(access: *mut c_void) -> &'a Handle<I::Access> {
    // SAFETY: `access_create` returned a boxed `Handle`, which only `access_destroy` frees.
    unsafe { &*access.cast() }
}

fn create<I: KernelApi>(ctx: &Context<I>, calls: Calls) -> Result<KBox<Handle<I::Access>>> {
    let driver = Driver::new(calls)?;
    let user = KBox::new(DriverUser(driver.clone()), GFP_KERNEL_ACCOUNT)?;
    let slot = KBox::<Handle<I::Access>>::new_uninit(GFP_KERNEL_ACCOUNT)?;

    // If this fails, the function may have kept the user, which must not call C any more.
    let access = I::Access::create(ctx, user).inspect_err(|_| driver.revoke())?;

    Ok(KBox::write(slot, Handle { access, driver }))
}

/// # Safety
///
/// `ctx` is a context to which the caller has a reference; `ops` and `data` stay valid until
/// the access is given to [`access_destroy`]; `id` is valid for writing.
pub unsafe fn access_create<I: KernelApi>(
    ctx: *mut c_void,
    ops: *const c_void,
    data: *mut c_void,
    id: *mut u32,
) -> *mut c_void {
    // SAFETY: The caller has a reference.
    let ctx = unsafe { context::<I>(ctx) };
    // INVARIANT: The caller keeps `ops` and `data` valid until `access_destroy`, which drops
    // this value. If this function fails, it is dropped before that.
    let calls = Calls {
        ops: ops.cast(),
        data,
    };

    match create(ctx, calls) {
        Ok(handle) => {
            // SAFETY: The caller promises that `id` is valid for writing.
            unsafe { *id = handle.access.id().0 };
            KBox::into_raw(handle).cast()
        }
        Err(error) => error_ptr(error),
    }
}

/// # Safety
///
/// `access` came from [`access_create`] and is not used again, but by what its `unmap` calls.
pub unsafe fn access_destroy<I: KernelApi>(access: *mut c_void) {
    // SAFETY: The access stays with C until it is freed below.
    let given = unsafe { handle::<I>(access) };

    I::Access::leave(&given.access);
    given.driver.revoke();
    // SAFETY: `access_create` returned this box. C does not use it any more: the calls of the
    // driver, which may have used it, are over, and no more are made.
    drop(unsafe { KBox::from_raw(access.cast::<Handle<I::Access>>()) });
}

/// # Safety
///
/// `access` came from [`access_create`].
pub unsafe fn access_attach<I: KernelApi>(access: *mut c_void, ioas: u32) -> c_int {
    // SAFETY: The caller promises that `access` came from `access_create` and stays with C.
    let Handle { access, .. } = unsafe { handle::<I>(access) };

    errno(I::Access::attach(access, ObjectId(ioas)))
}

/// # Safety
///
/// `access` came from [`access_create`].
pub unsafe fn access_replace<I: KernelApi>(access: *mut c_void, ioas: u32) -> c_int {
    // SAFETY: The caller promises that `access` came from `access_create` and stays with C.
    let Handle { access, .. } = unsafe { handle::<I>(access) };

    errno(I::Access::replace(access, ObjectId(ioas)))
}

/// # Safety
///
/// `access` came from [`access_create`].
pub unsafe fn access_detach<I: KernelApi>(access: *mut c_void) {
    // SAFETY: The caller promises that `access` came from `access_create` and stays with C.
    let Handle { access, .. } = unsafe { handle::<I>(access) };

    I::Access::detach(access);
}

/// # Safety
///
/// `access` came from [`access_create`]; `pages` is null, or valid for writing a pointer for
/// each page that `length` bytes need.
pub unsafe fn access_pin_pages<I: KernelApi>(
    access: *mut c_void,
    iova: c_ulong,
    length: c_ulong,
    pages: *mut *mut c_void,
    flags: u32,
) -> c_int {
    // SAFETY: The caller promises that `access` came from `access_create` and stays with C.
    let Handle { access, driver } = unsafe { handle::<I>(access) };
    // SAFETY: The caller promises that `pages` is null, or valid for so many pointers.
    let slots = unsafe { PageSlots::new(pages.cast(), length.div_ceil(PAGE_SIZE)) };
    let range = PinnedRange {
        iova: iova as u64,
        length: length as u64,
    };

    errno(driver.pin(&**access, range, slots, flags & WRITE != 0))
}

/// # Safety
///
/// `access` came from [`access_create`].
pub unsafe fn access_unpin_pages<I: KernelApi>(
    access: *mut c_void,
    iova: c_ulong,
    length: c_ulong,
) {
    // SAFETY: The caller promises that `access` came from `access_create` and stays with C.
    let Handle { access, driver } = unsafe { handle::<I>(access) };
    let range = PinnedRange {
        iova: iova as u64,
        length: length as u64,
    };

    driver.unpin(&**access, range);
}

/// # Safety
///
/// `access` came from [`access_create`]; `data` is valid for reading `length` bytes if the
/// flags say that memory is written, and for writing them if not.
pub unsafe fn access_rw<I: KernelApi>(
    access: *mut c_void,
    iova: c_ulong,
    data: *mut c_void,
    length: usize,
    flags: u32,
) -> c_int {
    // SAFETY: The caller promises that `access` came from `access_create` and stays with C.
    let Handle { access, .. } = unsafe { handle::<I>(access) };
    let data = if length == 0 {
        CopyBuffer::Write(&[])
    } else if flags & WRITE != 0 {
        // SAFETY: The caller promises that `data` is valid for reading `length` bytes, which is
        // not zero, if the flags say that memory is written.
        CopyBuffer::Write(unsafe { core::slice::from_raw_parts(data.cast(), length) })
    } else {
        // SAFETY: The caller promises that `data` is valid for writing `length` bytes, which is
        // not zero, if the flags do not say that memory is written.
        CopyBuffer::Read(unsafe { core::slice::from_raw_parts_mut(data.cast(), length) })
    };
    let path = match flags {
        _ if flags & SLOW_PATH != 0 => CopyPath::Slow,
        _ if flags & KTHREAD != 0 => CopyPath::Kthread,
        _ => CopyPath::Caller,
    };

    errno(access.rw(iova as u64, data, path))
}
