// SPDX-License-Identifier: GPL-2.0

//! The object table of a context: an XArray, searched and changed with its lock held.

use super::super::object::{Header, Object, ObjectId, ObjectType};
use crate::bindings;
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{error::to_result, prelude::*, types::Opaque};

type Shared = Opaque<bindings::iommufd_ctx_layout>;

/// An ID that no object has yet, and that is not given out again.
///
/// # Errors
///
/// `ENOMEM`.
pub(super) fn alloc_id(shared: &Shared) -> Result<ObjectId> {
    let mut id = 0;

    // SAFETY: The table is initialised.
    to_result(unsafe { bindings::iommufd_core_xa_alloc_31b(objects(shared), &mut id) })?;
    Ok(ObjectId(id))
}

/// Puts an object into the table. It can be found from here on.
///
/// # Safety
///
/// `id` came from [`alloc_id`] for the same table and is that of the object, which is not in the
/// table. The caller gives one of its `users` to the table.
pub(super) unsafe fn store<T: ObjectType>(
    shared: &Shared,
    id: ObjectId,
    object: NonNull<Object<T>>,
) {
    // SAFETY: The table is initialised, and the ID is reserved in it.
    unsafe {
        bindings::iommufd_core_xa_store_reserved(objects(shared), id.0, object.as_ptr().cast())
    };
}

#[inline]
fn objects(shared: &Shared) -> *mut bindings::xarray {
    // SAFETY: The projection stays within the structure.
    unsafe { &raw mut (*shared.get()).objects }
}

/// Holds the lock of the object table.
///
/// An object leaves the table only with the lock held, and is freed only afterwards. What the table
/// has therefore stays valid as long as this value exists and does not [`erase`](Self::erase) it.
pub(super) struct TableLock<'a>(&'a Shared);

impl<'a> TableLock<'a> {
    #[inline]
    pub(super) fn new(shared: &'a Shared) -> Self {
        // SAFETY: The table is initialised.
        unsafe { bindings::xa_lock(objects(shared)) };
        Self(shared)
    }

    /// The published object with this ID.
    #[inline]
    pub(super) fn load(&self, id: ObjectId) -> Option<NonNull<Header>> {
        // SAFETY: The table is initialised, and its lock is held.
        let entry = unsafe { bindings::xa_load(objects(self.0), id.0 as usize) };

        NonNull::new(entry.cast())
    }

    /// The published objects with an ID of at least `first`, in that order.
    pub(super) fn published(&self, first: u32) -> Published<'_> {
        Published {
            table: self.0,
            next: first as c_ulong,
            _lock: PhantomData,
        }
    }

    /// Whether there is no object, published or reserved.
    pub(super) fn is_empty(&self) -> bool {
        // SAFETY: The table is initialised, and its lock is held.
        unsafe { (*objects(self.0)).xa_head.is_null() }
    }

    /// Takes the object with this ID out, or frees an ID that is only reserved.
    pub(super) fn erase(&self, id: ObjectId) {
        // SAFETY: The table is initialised, and its lock is held.
        unsafe { bindings::__xa_erase(objects(self.0), id.0 as usize) };
    }
}

impl Drop for TableLock<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The lock is held.
        unsafe { bindings::xa_unlock(objects(self.0)) };
    }
}

/// Goes through the published objects; see [`TableLock::published`].
pub(super) struct Published<'a> {
    table: &'a Shared,
    next: c_ulong,
    /// The lock is held meanwhile.
    _lock: PhantomData<&'a TableLock<'a>>,
}

impl Iterator for Published<'_> {
    type Item = NonNull<Header>;

    fn next(&mut self) -> Option<NonNull<Header>> {
        // SAFETY: The table is initialised; it may be searched with its lock held.
        let entry = unsafe {
            bindings::xa_find(
                objects(self.table),
                &mut self.next,
                c_ulong::MAX,
                bindings::XA_PRESENT,
            )
        };
        let header = NonNull::new(entry.cast())?;

        // IDs have 31 bits.
        self.next += 1;
        Some(header)
    }
}
