// SPDX-License-Identifier: GPL-2.0

//! Files without a name, of which user space gets nothing but a descriptor (test builds only).
//!
//! C header: `include/linux/anon_inodes.h`.

use crate::bindings;
use core::{marker::PhantomData, ops::Deref, ptr::NonNull};
use kernel::{error::from_err_ptr, fs::File, prelude::*, sync::aref::ARef, types::ForeignOwnable};

/// What such a file owns. Dropped when the file is closed.
pub trait AnonFile: Send + Sync + Sized + 'static {
    /// What `/proc/<pid>/fd` shows, in brackets by custom.
    const NAME: &'static CStr;

    /// The operations of these files: a `static` of the implementor.
    fn operations() -> &'static Operations<Self>;
}

/// A `struct file_operations` for files with a `T`.
///
/// # Invariants
///
/// A file that has this very table has a `KBox<T>` as its private data.
#[repr(transparent)]
pub struct Operations<T: AnonFile>(bindings::file_operations, PhantomData<fn() -> T>);

// SAFETY: The table is never changed.
unsafe impl<T: AnonFile> Sync for Operations<T> {}

impl<T: AnonFile> Operations<T> {
    /// The table for files of `module`, which stays loaded while one is open.
    pub const fn new(module: &ThisModule) -> Self {
        let mut raw: bindings::file_operations = pin_init::zeroed();

        raw.owner = module.as_ptr();
        raw.release = Some(Self::release);
        // INVARIANT: Only `open` gives files this table.
        Self(raw, PhantomData)
    }

    /// # Safety
    ///
    /// Called by the VFS, once, for a file with this table.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The file is valid.
        let data = unsafe { (*file).private_data };
        // SAFETY: By the type invariant the data are a `T` in a box, and nobody uses them any more.
        drop(unsafe { KBox::<T>::from_foreign(data) });
        0
    }
}

/// Opens a file with `value`.
///
/// # Errors
///
/// `ENOMEM`, `ENFILE`.
pub fn open<T: AnonFile>(value: T) -> Result<ARef<File>> {
    let data = KBox::new(value, GFP_KERNEL_ACCOUNT)?.into_foreign();
    // SAFETY: The operations are static, and the data are what they expect.
    let file = from_err_ptr(unsafe {
        bindings::anon_inode_getfile(
            T::NAME.as_char_ptr(),
            &T::operations().0,
            data,
            bindings::O_RDWR as c_int,
        )
    })
    .inspect_err(|_| {
        // SAFETY: No file has them.
        drop(unsafe { KBox::<T>::from_foreign(data) });
    })?;

    // SAFETY: It is not null; its first reference is ours, and nobody else knows the file.
    Ok(unsafe { ARef::from_raw(NonNull::new_unchecked(file.cast::<File>())) })
}

/// A reference to an open file with a `T`.
///
/// # Invariants
///
/// `file` has the operations of `T`; this value owns a reference to it.
pub struct FileRef<T: AnonFile> {
    file: NonNull<bindings::file>,
    _data: PhantomData<T>,
}

impl<T: AnonFile> FileRef<T> {
    /// The file behind a descriptor of the calling process.
    ///
    /// # Errors
    ///
    /// `EBADFD` if there is none, or one of another sort.
    pub fn from_fd(fd: u32) -> Result<Self> {
        // SAFETY: Any number may be looked up.
        let file = NonNull::new(unsafe { bindings::fget(fd) }).ok_or(EBADFD)?;
        // SAFETY: The file is open, so its operations do not change.
        let operations = unsafe { (*file.as_ptr()).f_op };

        if !core::ptr::eq(operations, &T::operations().0) {
            // SAFETY: `fget` took the reference.
            unsafe { bindings::fput(file.as_ptr()) };
            return Err(EBADFD);
        }
        // INVARIANT: It has them, and `fget` took the reference.
        Ok(Self {
            file,
            _data: PhantomData,
        })
    }
}

impl<T: AnonFile> Deref for FileRef<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the type invariant the file is open, so its private data do not change.
        let data = unsafe { (*self.file.as_ptr()).private_data };
        // SAFETY: By the type invariants the data are a `T` in a box, which lives as long as the file.
        unsafe { KBox::<T>::borrow(data) }
    }
}

impl<T: AnonFile> Drop for FileRef<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the reference is ours.
        unsafe { bindings::fput(self.file.as_ptr()) };
    }
}
