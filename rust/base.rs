// SPDX-License-Identifier: GPL-2.0

//! The types and functions that the pure parts of this crate use.
//!
//! The pure parts call no other function of the kernel, so they are also compiled for the host.
//! There, `tools/testing/host` provides a file of the same name that uses `std`.

use crate::alloc::SlabBox;
pub use kernel::prelude::Result;
use kernel::{
    prelude::*,
    sync::atomic::{ordering::Relaxed, Atomic},
};

/// An owned allocation.
pub type Box<T> = SlabBox<T>;
/// An allocation for a `T` that is not initialised yet.
pub type Slot<T> = SlabBox<core::mem::MaybeUninit<T>>;
/// A growing array.
pub type Vec<T> = KVVec<T>;

/// Allocates memory for a `T`.
pub fn new_slot<T>() -> Result<Slot<T>> {
    Ok(SlabBox::new_uninit(GFP_KERNEL_ACCOUNT)?)
}

/// Moves a value into an allocation.
pub fn fill_slot<T>(slot: Slot<T>, value: T) -> Box<T> {
    SlabBox::write(slot, value)
}

/// Moves a value out of its allocation, and frees that.
pub fn unbox<T>(value: Box<T>) -> T {
    SlabBox::into_inner(value)
}

/// Allocates memory for `more` values in an array.
pub fn reserve<T>(array: &mut Vec<T>, more: usize) -> Result {
    Ok(array.reserve(more, GFP_KERNEL_ACCOUNT)?)
}

/// Appends a value to an array.
pub fn push<T>(array: &mut Vec<T>, value: T) -> Result {
    Ok(array.push(value, GFP_KERNEL_ACCOUNT)?)
}

/// Returns a number that no other call returns: 64 bits do not overflow.
pub fn next_serial() -> u64 {
    static LAST: Atomic<u64> = Atomic::new(0);

    LAST.fetch_add(1, Relaxed)
}
