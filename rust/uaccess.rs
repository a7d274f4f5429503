// SPDX-License-Identifier: GPL-2.0

//! Structs that carry their own size across the user boundary.
//!
//! Such a struct grows at its end from release to release. A caller who knows less than the kernel
//! passes fewer bytes, and the rest counts as zero; a caller who knows more passes more bytes, and
//! those must be zero, or the caller wants what this kernel does not have.

use crate::bindings;
use kernel::{prelude::*, uaccess::UserPtr};
use zerocopy::Immutable;

/// Reads a `T` of which the caller has `user_size` bytes at `ptr`.
///
/// # Errors
///
/// `E2BIG` where the caller's bytes beyond `T` are not all zero, `EFAULT` where they cannot be read.
pub fn read_versioned<T: FromBytes + IntoBytes>(ptr: UserPtr, user_size: usize) -> Result<T> {
    let mut value = T::new_zeroed();
    let known = size_of::<T>().min(user_size);

    if let Some(excess) = user_size.checked_sub(size_of::<T>()).filter(|&n| n != 0) {
        let tail = ptr.wrapping_byte_add(size_of::<T>());
        // SAFETY: This checks the user range by itself and only reads it.
        match unsafe { bindings::check_zeroed_user(tail.as_const_ptr(), excess) } {
            0 => return Err(E2BIG),
            1 => {}
            errno => return Err(Error::from_errno(errno)),
        }
    }
    // The length is limited where it is worked out, so there is no need to have it checked.
    // SAFETY: `value` has at least so many bytes, and any bytes make a value.
    let left =
        unsafe { bindings::_copy_from_user((&raw mut value).cast(), ptr.as_const_ptr(), known) };

    if left != 0 {
        return Err(EFAULT);
    }
    Ok(value)
}

/// Writes `value` back to a caller who has `user_size` bytes at `ptr`: never more than those.
///
/// # Errors
///
/// `EFAULT` where they cannot be written.
pub fn write_versioned<T: IntoBytes + Immutable>(
    ptr: UserPtr,
    user_size: usize,
    value: &T,
) -> Result {
    let known = size_of::<T>().min(user_size);

    // SAFETY: `value` has at least so many bytes, and no padding.
    let left =
        unsafe { bindings::_copy_to_user(ptr.as_mut_ptr(), (&raw const *value).cast(), known) };

    if left != 0 {
        return Err(EFAULT);
    }
    Ok(())
}
