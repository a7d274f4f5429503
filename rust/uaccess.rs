// SPDX-License-Identifier: GPL-2.0

//! Extensible structs that user space passes together with their size.
//!
//! New kernel releases add fields at the end of such a struct. A program that was built for an
//! older release passes fewer bytes, and the missing fields count as zero. A program that was built
//! for a newer release passes more bytes, which must be zero: else it uses fields that this kernel
//! does not have. See also `copy_struct_from_user()`.

use crate::bindings;
use kernel::{prelude::*, uaccess::UserPtr};
use zerocopy::Immutable;

/// Reads a `T`, of which user space has `user_size` bytes at `ptr`.
///
/// # Errors
///
/// `E2BIG` if the bytes beyond the size of `T` are not all zero; `EFAULT` if a byte cannot be read.
///
/// # Examples
///
/// ```ignore
/// // `size` is the first field of each such struct: what user space was built with.
/// fn ioas_alloc(arg: UserPtr) -> Result {
///     let size = read_size(arg)?;
///     let mut cmd: uapi::IoasAlloc = read_versioned(arg, size)?;
///
///     cmd.out_ioas_id = allocate(cmd.flags)?;
///     write_versioned(arg, size, &cmd)
/// }
/// ```
pub fn read_versioned<T: FromBytes + IntoBytes>(ptr: UserPtr, user_size: usize) -> Result<T> {
    let mut value = T::new_zeroed();
    let known = size_of::<T>().min(user_size);

    if let Some(excess) = user_size.checked_sub(size_of::<T>()).filter(|&n| n != 0) {
        let tail = ptr.wrapping_byte_add(size_of::<T>());
        // SAFETY: `check_zeroed_user()` checks that the range is in user space, and only reads it.
        match unsafe { bindings::check_zeroed_user(tail.as_const_ptr(), excess) } {
            0 => return Err(E2BIG),
            1 => {}
            errno => return Err(Error::from_errno(errno)),
        }
    }
    // `known` is at most the size of `T`, so the checks of `copy_from_user()` for the size of the
    // object are not needed.
    // SAFETY: `value` has at least `known` bytes, and any bytes are a valid `T` (`FromBytes`). The
    // function checks the user range.
    let left =
        unsafe { bindings::_copy_from_user((&raw mut value).cast(), ptr.as_const_ptr(), known) };

    if left != 0 {
        return Err(EFAULT);
    }
    Ok(value)
}

/// Writes the first `user_size` bytes of `value`, or all if it is shorter, to user space at `ptr`.
///
/// # Errors
///
/// `EFAULT` if a byte cannot be written.
///
/// # Examples
///
/// ```ignore
/// // A program that was built for an older kernel receives the fields that it knows.
/// write_versioned(arg, size, &reply)?;
/// ```
pub fn write_versioned<T: IntoBytes + Immutable>(
    ptr: UserPtr,
    user_size: usize,
    value: &T,
) -> Result {
    let known = size_of::<T>().min(user_size);

    // SAFETY: `value` has at least `known` bytes, all of which are initialised (`IntoBytes`). The
    // function checks the user range.
    let left =
        unsafe { bindings::_copy_to_user(ptr.as_mut_ptr(), (&raw const *value).cast(), known) };

    if left != 0 {
        return Err(EFAULT);
    }
    Ok(())
}
