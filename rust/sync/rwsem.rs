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

/// A lock that many readers or one writer may hold, and that sleeps.
///
/// Make one with [`new_rwsem!`](crate::new_rwsem), which also gives each place of creation a
/// lockdep class of its own.
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
/// let table = pin_init!(Table { entries <- new_rwsem!(KVec::new(), "Table::entries") });
/// ```
#[pin_data]
pub struct RwSem<T> {
    #[pin]
    raw: Opaque<bindings::rw_semaphore>,
    #[pin]
    _pin: PhantomPinned,
    data: UnsafeCell<T>,
}

// SAFETY: The semaphore itself may be used from any thread; moving it moves the data.
unsafe impl<T: Send> Send for RwSem<T> {}
// SAFETY: Readers on several threads share `&T`, a writer gets `&mut T` from whichever thread it
// runs on: the data must be `Sync` and `Send`.
unsafe impl<T: Send + Sync> Sync for RwSem<T> {}

impl<T> RwSem<T> {
    /// An initialiser for a semaphore around `data`. Use [`new_rwsem!`](crate::new_rwsem).
    pub fn new(
        data: T,
        name: &'static CStr,
        key: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` is valid for writing; `name` and `key` are static.
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
        // SAFETY: `raw` was initialised by `new`.
        unsafe { bindings::down_read(self.raw.get()) };
        ReadGuard {
            sem: self,
            _not_send: NotThreadSafe,
        }
    }

    /// Takes the semaphore for writing; sleeps while anybody holds it.
    #[inline]
    pub fn write(&self) -> WriteGuard<'_, T> {
        // SAFETY: `raw` was initialised by `new`.
        unsafe { bindings::down_write(self.raw.get()) };
        WriteGuard {
            sem: self,
            _not_send: NotThreadSafe,
        }
    }

    /// As [`write`](Self::write), for one of several semaphores of the same kind that are held at the
    /// same time: whoever does so holds `outer`, so that nobody else does meanwhile.
    pub fn write_nested<U>(&self, outer: &WriteGuard<'_, U>) -> WriteGuard<'_, T> {
        // SAFETY: Both were initialised by `new`, and `outer` is held.
        unsafe { bindings::kernel_ext_down_write_nest_lock(self.raw.get(), outer.sem.raw.get()) };
        WriteGuard {
            sem: self,
            _not_send: NotThreadSafe,
        }
    }
}

/// Shared access to what a [`RwSem`] protects, until it is dropped.
///
/// # Invariants
///
/// The semaphore is held for reading by this thread.
#[must_use = "the semaphore is released when the guard is dropped"]
pub struct ReadGuard<'a, T> {
    sem: &'a RwSem<T>,
    _not_send: NotThreadSafe,
}

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the type invariant no writer exists.
        unsafe { &*self.sem.data.get() }
    }
}

impl<T> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this thread holds the semaphore for reading.
        unsafe { bindings::up_read(self.sem.raw.get()) };
    }
}

/// Exclusive access to what a [`RwSem`] protects, until it is dropped.
///
/// # Invariants
///
/// The semaphore is held for writing by this thread.
#[must_use = "the semaphore is released when the guard is dropped"]
pub struct WriteGuard<'a, T> {
    sem: &'a RwSem<T>,
    _not_send: NotThreadSafe,
}

impl<T> Deref for WriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the type invariant this thread alone has access.
        unsafe { &*self.sem.data.get() }
    }
}

impl<T> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: By the type invariant this thread alone has access.
        unsafe { &mut *self.sem.data.get() }
    }
}

impl<T> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this thread holds the semaphore for writing.
        unsafe { bindings::up_write(self.sem.raw.get()) };
    }
}

/// Makes an initialiser for a [`RwSem`] with a lockdep class and name of its own.
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
