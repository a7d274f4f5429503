// SPDX-License-Identifier: GPL-2.0

//! The types and functions that the pure parts use, implemented with `std`. A test can make
//! allocations fail.

use std::{cell::Cell, mem::MaybeUninit};

pub(crate) type Box<T> = std::boxed::Box<T>;
pub(crate) type Slot<T> = std::boxed::Box<MaybeUninit<T>>;
pub(crate) type Vec<T> = std::vec::Vec<T>;
pub(crate) type Result<T = (), E = OutOfMemory> = core::result::Result<T, E>;

/// `ENOMEM`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OutOfMemory;

thread_local! {
    /// Number of allocations that will still succeed.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Makes all allocations of this thread fail after the next `count`.
pub(crate) fn set_allocations_left(count: usize) {
    LEFT.set(count);
}

fn allocate() -> Result {
    let left = LEFT.get().checked_sub(1).ok_or(OutOfMemory)?;

    LEFT.set(left);
    Ok(())
}

pub(crate) fn new_slot<T>() -> Result<Slot<T>> {
    allocate()?;
    Ok(Box::new_uninit())
}

pub(crate) fn fill_slot<T>(slot: Slot<T>, value: T) -> Box<T> {
    Box::write(slot, value)
}

pub(crate) fn unbox<T>(value: Box<T>) -> T {
    *value
}

pub(crate) fn reserve<T>(array: &mut Vec<T>, more: usize) -> Result {
    if array.capacity() - array.len() < more {
        allocate()?;
        array.reserve(more);
    }
    Ok(())
}

pub(crate) fn push<T>(array: &mut Vec<T>, value: T) -> Result {
    if array.len() == array.capacity() {
        allocate()?;
    }
    array.push(value);
    Ok(())
}
