// SPDX-License-Identifier: GPL-2.0

//! Short arrays on the stack.

use core::mem::MaybeUninit;

/// At most `N` values, one behind the other. Room that is not used is not initialised, which would
/// cost more than what it is used for.
///
/// # Invariants
///
/// The first `len` values are initialised, and `len` is at most `N`.
pub struct ArrayVec<T: Copy, const N: usize> {
    values: [MaybeUninit<T>; N],
    len: usize,
}

impl<T: Copy, const N: usize> ArrayVec<T, N> {
    /// No values.
    #[inline]
    pub const fn new() -> Self {
        // INVARIANT: There are none.
        Self {
            values: [const { MaybeUninit::uninit() }; N],
            len: 0,
        }
    }

    /// Adds values as long as there is room, and takes no more than that from the iterator.
    #[inline]
    pub fn extend(&mut self, values: impl Iterator<Item = T>) {
        let free = self.values.get_mut(self.len..).unwrap_or(&mut []);
        let mut more = 0;

        for (slot, value) in free.iter_mut().zip(values) {
            slot.write(value);
            more += 1;
        }
        // INVARIANT: These are initialised too now; and there was room.
        self.len += more;
    }

    /// Adds a value, if there is room. Whether there was.
    #[inline]
    pub fn push(&mut self, value: T) -> bool {
        let Some(slot) = self.values.get_mut(self.len) else {
            return false;
        };

        slot.write(value);
        // INVARIANT: This one is initialised too now; and there was room.
        self.len += 1;
        true
    }

    /// The values, to be changed.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: By the type invariant so many are initialised.
        unsafe { core::slice::from_raw_parts_mut(self.values.as_mut_ptr().cast(), self.len) }
    }

    /// Takes all values out.
    #[inline]
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Keeps the first `len` values, if there are more.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        // INVARIANT: It only gets smaller.
        self.len = self.len.min(len);
    }

    /// Where the values behind those that are there go: there is room for what is left of `N`.
    #[inline]
    pub fn spare(&mut self) -> *mut T {
        let free = self.values.get_mut(self.len..).unwrap_or(&mut []);

        free.as_mut_ptr().cast()
    }

    /// Counts `more` values that were written where [`spare`](Self::spare) says.
    ///
    /// # Safety
    ///
    /// They were, and there was room for them.
    #[inline]
    pub unsafe fn grow(&mut self, more: usize) {
        // INVARIANT: The caller vouches for them.
        self.len += more;
    }

    /// The values.
    #[inline]
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: By the type invariant so many are initialised.
        unsafe { core::slice::from_raw_parts(self.values.as_ptr().cast(), self.len) }
    }
}
