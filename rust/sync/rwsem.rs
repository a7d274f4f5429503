// SPDX-License-Identifier: GPL-2.0

//! Reader-writer semaphores.
//!
//! C header: `include/linux/rwsem.h`.

use crate::bindings;
use core::{
    cell::UnsafeCell,
    marker::PhantomPinned,
    ops::{Deref, DerefMut},
};
use kernel::{
    prelude::*,
    sync::LockClassKey,
    types::{NotThreadSafe, Opaque},
};

/// A sleeping lock that either any number of readers or one writer can hold (`struct
/// rw_semaphore`).
///
/// Created with [`new_rwsem!`](crate::new_rwsem), which gives each place of creation a lockdep
/// class of its own.
///
/// # Examples
///
/// ```ignore
/// #[pin_data]
/// struct Table {
///     #[pin]
///     entries: RwSem<KVec<u32>>,
/// }
///
/// let table = KBox::pin_init(
///     pin_init!(Table { entries <- new_rwsem!(KVec::new(), "Table::entries") }),
///     GFP_KERNEL,
/// )?;
///
/// table.entries.write().push(1, GFP_KERNEL)?;
/// assert_eq!(table.entries.read().len(), 1);
/// ```
#[pin_data]
pub struct RwSem<T> {
    #[pin]
    raw: Opaque<bindings::rw_semaphore>,
    #[pin]
    _pin: PhantomPinned,
    data: UnsafeCell<T>,
}

// SAFETY: The semaphore may be used from any thread. Sending it to another thread sends the data,
// which is `Send`.
unsafe impl<T: Send> Send for RwSem<T> {}
// SAFETY: Readers on several threads share a `&T`, for which `T` is `Sync`. A writer on any thread
// gets a `&mut T`, for which `T` is `Send`.
unsafe impl<T: Send + Sync> Sync for RwSem<T> {}

impl<T> RwSem<T> {
    /// Returns an initialiser for a semaphore that protects `data`. Use
    /// [`new_rwsem!`](crate::new_rwsem) instead.
    pub fn new(
        data: T,
        name: &'static CStr,
        key: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` is valid for writing and pinned; `name` and `key` are static.
            raw <- Opaque::ffi_init(|slot| unsafe {
                bindings::__init_rwsem(slot, name.as_char_ptr(), key.as_ptr())
            }),
            _pin: PhantomPinned,
            data: UnsafeCell::new(data),
        })
    }

    /// Takes the semaphore for reading; sleeps while a writer holds it.
    #[inline]
    pub fn read(&self) -> ReadGuard<'_, T> {
        // SAFETY: `new`, the only constructor, has initialised `raw`.
        unsafe { bindings::down_read(self.raw.get()) };
        ReadGuard {
            sem: self,
            _not_send: NotThreadSafe,
        }
    }

    /// Takes the semaphore for writing; sleeps while another thread holds it.
    #[inline]
    pub fn write(&self) -> WriteGuard<'_, T> {
        // SAFETY: `new`, the only constructor, has initialised `raw`.
        unsafe { bindings::down_write(self.raw.get()) };
        WriteGuard {
            sem: self,
            _not_send: NotThreadSafe,
        }
    }

    /// Takes the semaphore for writing, as [`write`](Self::write) does, where several semaphores of
    /// one lockdep class are held at the same time. All callers that take several of them hold
    /// `outer`, so that they cannot deadlock with each other.
    pub fn write_nested<U>(&self, outer: &WriteGuard<'_, U>) -> WriteGuard<'_, T> {
        // SAFETY: `new`, the only constructor, has initialised both semaphores, and the guard
        // `outer` holds its own.
        unsafe { bindings::kernel_ext_down_write_nest_lock(self.raw.get(), outer.sem.raw.get()) };
        WriteGuard {
            sem: self,
            _not_send: NotThreadSafe,
        }
    }
}

/// A guard that gives shared access to the data of a [`RwSem`], and releases it on drop.
///
/// # Invariants
///
/// The semaphore is held for reading by the thread that owns this value.
#[must_use = "the semaphore is released when the guard is dropped"]
pub struct ReadGuard<'a, T> {
    sem: &'a RwSem<T>,
    _not_send: NotThreadSafe,
}

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the type invariant the semaphore is held for reading, so there is no writer
        // and no `&mut T`.
        unsafe { &*self.sem.data.get() }
    }
}

impl<T> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this thread holds the semaphore for reading. The guard ends
        // here, so the data is not accessed after this.
        unsafe { bindings::up_read(self.sem.raw.get()) };
    }
}

/// A guard that gives exclusive access to the data of a [`RwSem`], and releases it on drop.
///
/// # Invariants
///
/// The semaphore is held for writing by the thread that owns this value.
#[must_use = "the semaphore is released when the guard is dropped"]
pub struct WriteGuard<'a, T> {
    sem: &'a RwSem<T>,
    _not_send: NotThreadSafe,
}

impl<T> Deref for WriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the type invariant the semaphore is held for writing, so this guard is the
        // only access to the data.
        unsafe { &*self.sem.data.get() }
    }
}

impl<T> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: By the type invariant the semaphore is held for writing, so this guard is the
        // only access to the data, and it is borrowed mutably.
        unsafe { &mut *self.sem.data.get() }
    }
}

impl<T> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this thread holds the semaphore for writing. The guard ends
        // here, so the data is not accessed after this.
        unsafe { bindings::up_write(self.sem.raw.get()) };
    }
}

/// Creates an initialiser for a [`RwSem`] with a lockdep class and a name of its own.
#[macro_export]
macro_rules! new_rwsem {
    ($data:expr, $name:literal) => {
        $crate::sync::RwSem::new(
            $data,
            $crate::kernel::c_str!($name),
            $crate::kernel::static_lock_class!(),
        )
    };
}
