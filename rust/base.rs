// SPDX-License-Identifier: GPL-2.0

//! What the pure parts of this crate need from their surroundings.
//!
//! They call nothing of the kernel beside. They are also compiled for the host, where
//! `tools/testing/host` has another file of this name over `std`.

use crate::alloc::SlabBox;
pub use kernel::prelude::Result;
use kernel::{
    prelude::*,
    sync::atomic::{ordering::Relaxed, Atomic},
};

/// An owned allocation.
pub type Box<T> = SlabBox<T>;
/// Memory for a `T` that is allocated before it is known what goes in.
pub type Slot<T> = SlabBox<core::mem::MaybeUninit<T>>;
/// A growing array.
pub type Vec<T> = KVVec<T>;

/// Allocates memory for a `T`.
pub fn new_slot<T>() -> Result<Slot<T>> {
    Ok(SlabBox::new_uninit(GFP_KERNEL_ACCOUNT)?)
}

/// Moves a value to where memory was allocated for it.
pub fn fill_slot<T>(slot: Slot<T>, value: T) -> Box<T> {
    SlabBox::write(slot, value)
}

/// Moves a value out of its allocation, which is freed.
pub fn unbox<T>(value: Box<T>) -> T {
    SlabBox::into_inner(value)
}

/// Makes room for `more` values in an array.
pub fn reserve<T>(array: &mut Vec<T>, more: usize) -> Result {
    Ok(array.reserve(more, GFP_KERNEL_ACCOUNT)?)
}

/// Appends to an array.
pub fn push<T>(array: &mut Vec<T>, value: T) -> Result {
    Ok(array.push(value, GFP_KERNEL_ACCOUNT)?)
}

/// A number that no other call returns.
pub fn next_serial() -> u64 {
    static LAST: Atomic<u64> = Atomic::new(0);

    LAST.fetch_add(1, Relaxed)
}
