// SPDX-License-Identifier: GPL-2.0

//! Anonymous files, to which user space has only a file descriptor (test builds only).
//!
//! C header: `include/linux/anon_inodes.h`.

use crate::bindings;
use core::{any::TypeId, marker::PhantomData, ops::Deref, ptr::NonNull};
use kernel::{error::from_err_ptr, fs::File, prelude::*, sync::aref::ARef, types::ForeignOwnable};

/// The data of an anonymous file, dropped when the file is released.
pub trait AnonFile: Send + Sync + Sized + 'static {
    /// The name that `/proc/<pid>/fd` shows, by convention in brackets.
    const NAME: &'static CStr;

    /// Returns the operations of these files: a `static` of the implementor.
    fn operations() -> &'static Operations<Self>;
}

/// The `struct file_operations` of files whose data is a `T`.
///
/// # Invariants
///
/// The private data of each file with this table is a `KBox<T>`. A table for another type is at
/// another address.
#[repr(C)]
pub struct Operations<T: AnonFile> {
    raw: bindings::file_operations,
    /// Tells this table from those of other types, which the compiler else may merge with it.
    _type_id: fn() -> TypeId,
    _type: PhantomData<fn() -> T>,
}

// SAFETY: The table is not changed after it has been created.
unsafe impl<T: AnonFile> Sync for Operations<T> {}

impl<T: AnonFile> Operations<T> {
    /// Creates the table for files of `module`, which stays loaded while a file is open.
    pub const fn new(module: &ThisModule) -> Self {
        let mut raw: bindings::file_operations = pin_init::zeroed();

        raw.owner = module.as_ptr();
        raw.release = Some(Self::release);
        // INVARIANT: Only `open` creates files with this table, and it passes a `KBox<T>` as
        // private data. The value differs from that of a table for another type in `_type_id`.
        Self {
            raw,
            _type_id: TypeId::of::<T>,
            _type: PhantomData,
        }
    }

    /// # Safety
    ///
    /// The VFS calls this once for a file with this table, after all other operations of the file.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The VFS passes a valid file, whose private data does not change.
        let data = unsafe { (*file).private_data };
        // SAFETY: By the type invariant the private data came from `KBox::<T>::into_foreign`. This
        // is the last operation on the file, so the data is not borrowed and not used after this.
        drop(unsafe { KBox::<T>::from_foreign(data) });
        0
    }
}

/// Creates an anonymous file with `value` as its data.
///
/// # Errors
///
/// `ENOMEM`, `ENFILE`.
pub fn open<T: AnonFile>(value: T) -> Result<ARef<File>> {
    let data = KBox::new(value, GFP_KERNEL_ACCOUNT)?.into_foreign();
    // SAFETY: The name and the operations are static. `data` came from `KBox::<T>::into_foreign`,
    // as the operations expect.
    let file = from_err_ptr(unsafe {
        bindings::anon_inode_getfile(
            T::NAME.as_char_ptr(),
            &T::operations().raw,
            data,
            bindings::O_RDWR as c_int,
        )
    })
    .inspect_err(|_| {
        // SAFETY: The call has failed, so no file has `data`, which came from `into_foreign` above.
        drop(unsafe { KBox::<T>::from_foreign(data) });
    })?;

    // SAFETY: `anon_inode_getfile()` has succeeded, and then does not return null.
    let file = unsafe { NonNull::new_unchecked(file.cast::<File>()) };
    // SAFETY: `anon_inode_getfile()` returns the first reference to a new file, so no `fdget_pos()`
    // call for it is in progress.
    Ok(unsafe { ARef::from_raw(file) })
}

/// A reference to an open file whose data is a `T`.
///
/// # Invariants
///
/// `file` is an open file with the operations of `T`, and this value owns a reference to it.
pub struct FileRef<T: AnonFile> {
    file: NonNull<bindings::file>,
    _data: PhantomData<T>,
}

impl<T: AnonFile> FileRef<T> {
    /// Returns the file that is open as `fd` in the calling process.
    ///
    /// # Errors
    ///
    /// `EBADFD` if no file is open as `fd`, or its data is not a `T`.
    pub fn from_fd(fd: u32) -> Result<Self> {
        // SAFETY: `fget()` accepts any number, and returns null unless a file is open as it.
        let file = NonNull::new(unsafe { bindings::fget(fd) }).ok_or(EBADFD)?;
        // SAFETY: `fget()` has taken a reference, so the file is valid; the operations of an open
        // file do not change.
        let operations = unsafe { (*file.as_ptr()).f_op };

        if !core::ptr::eq(operations, &T::operations().raw) {
            // SAFETY: `fget()` has taken the reference, and the file is not used after this.
            unsafe { bindings::fput(file.as_ptr()) };
            return Err(EBADFD);
        }
        // INVARIANT: The file has the operations of `T`, and the new value owns the reference of
        // `fget()`.
        Ok(Self {
            file,
            _data: PhantomData,
        })
    }
}

impl<T: AnonFile> Deref for FileRef<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the type invariant the file is open, so its private data does not change.
        let data = unsafe { (*self.file.as_ptr()).private_data };
        // SAFETY: By the type invariants the data came from `KBox::<T>::into_foreign`. Only
        // `release` takes it back, which runs after the last reference has been dropped.
        unsafe { KBox::<T>::borrow(data) }
    }
}

impl<T: AnonFile> Drop for FileRef<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns the reference, which is not used after
        // this.
        unsafe { bindings::fput(self.file.as_ptr()) };
    }
}
