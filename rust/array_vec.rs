// SPDX-License-Identifier: GPL-2.0

//! Arrays on the stack with a variable length.

use core::mem::MaybeUninit;

/// An array of at most `N` values. Spare capacity is not initialised, because that would take more
/// time than most uses of the array do.
///
/// # Invariants
///
/// The first `len` values are initialised, and `len` is at most `N`.
pub struct ArrayVec<T: Copy, const N: usize> {
    values: [MaybeUninit<T>; N],
    len: usize,
}

impl<T: Copy, const N: usize> Default for ArrayVec<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Copy, const N: usize> ArrayVec<T, N> {
    /// Creates an empty array.
    #[inline]
    pub const fn new() -> Self {
        // INVARIANT: The length is zero.
        Self {
            values: [const { MaybeUninit::uninit() }; N],
            len: 0,
        }
    }

    /// Appends values of the iterator up to the capacity. Values that do not fit are not taken from
    /// it.
    #[inline]
    pub fn extend(&mut self, values: impl Iterator<Item = T>) {
        let free = self.values.get_mut(self.len..).unwrap_or(&mut []);
        let mut more = 0;

        for (slot, value) in free.iter_mut().zip(values) {
            slot.write(value);
            more += 1;
        }
        // INVARIANT: The `more` values behind the first `len` were written just now, within
        // `values`.
        self.len += more;
    }

    /// Appends a value, if there is spare capacity. Returns whether it was appended.
    #[inline]
    pub fn push(&mut self, value: T) -> bool {
        let Some(slot) = self.values.get_mut(self.len) else {
            return false;
        };

        slot.write(value);
        // INVARIANT: The value behind the first `len` was written just now, within `values`.
        self.len += 1;
        true
    }

    /// Returns the values for modification.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: By the type invariant the first `len` values are initialised, and `len` is at
        // most `N`. The array is borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(self.values.as_mut_ptr().cast(), self.len) }
    }

    /// Removes all values.
    #[inline]
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Shortens the array to `len` values, if it is longer.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        // INVARIANT: The length only becomes smaller.
        self.len = self.len.min(len);
    }

    /// Returns the address of the spare capacity, which has room for the rest of `N` values.
    #[inline]
    pub fn spare(&mut self) -> *mut T {
        let free = self.values.get_mut(self.len..).unwrap_or(&mut []);

        free.as_mut_ptr().cast()
    }

    /// Appends `more` values that have been written to the [spare capacity](Self::spare).
    ///
    /// # Safety
    ///
    /// The caller has written `more` values there, which do not exceed the spare capacity.
    #[inline]
    pub unsafe fn grow(&mut self, more: usize) {
        // INVARIANT: The caller promises that `more` values were written behind the first `len`,
        // within `values`.
        self.len += more;
    }

    /// Returns the values.
    #[inline]
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: By the type invariant the first `len` values are initialised, and `len` is at
        // most `N`.
        unsafe { core::slice::from_raw_parts(self.values.as_ptr().cast(), self.len) }
    }
}
