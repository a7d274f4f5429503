// SPDX-License-Identifier: GPL-2.0

//! Arrays of C code that receive pointers to pages.

use super::pfn_run::PfnRun;
use crate::bindings;
use core::{marker::PhantomData, ops::Range};

/// The array in which a C caller receives pointers to pages: a `struct page **`, which may be null
/// if the caller does not need them.
///
/// # Invariants
///
/// `first` is null, or valid for writing `count` pointers for the lifetime `'a`.
pub struct PageSlots<'a> {
    first: *mut *mut bindings::page,
    count: usize,
    _array: PhantomData<&'a mut [*mut bindings::page]>,
}

impl PageSlots<'_> {
    /// Creates the slots of an array of `count` pointers.
    ///
    /// # Safety
    ///
    /// `first` is null, or valid for writing `count` pointers for as long as the result lives.
    #[inline]
    pub unsafe fn new(first: *mut *mut bindings::page, count: usize) -> Self {
        // INVARIANT: The caller promises that `first` is null or valid for writing `count`
        // pointers.
        Self {
            first,
            count,
            _array: PhantomData,
        }
    }

    /// Returns the number of slots.
    #[inline]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns whether there are no slots.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns a part of the slots, cut to those that exist.
    #[inline]
    pub fn part(&mut self, slots: Range<usize>) -> PageSlots<'_> {
        let end = slots.end.min(self.count);
        let start = slots.start.min(end);
        let first = if self.first.is_null() {
            self.first
        } else {
            self.first.wrapping_add(start)
        };

        // INVARIANT: The part lies within the array, which `self` keeps borrowed.
        PageSlots {
            first,
            count: end - start,
            _array: PhantomData,
        }
    }

    /// Writes pointers to the pages of a run, from slot `at` on, as many as there are slots.
    ///
    /// # Safety
    ///
    /// The pages are pinned.
    #[inline]
    pub unsafe fn put(&mut self, at: usize, run: PfnRun) {
        if self.first.is_null() {
            return;
        }
        for index in 0..run.count.min(self.count.saturating_sub(at)) {
            // SAFETY: The caller promises that the pages are pinned. Only pages with a `struct
            // page` can be pinned.
            let page = unsafe { bindings::kernel_ext_pfn_to_page(run.pfn + index) };
            // SAFETY: By the type invariant `first`, which is not null here, is valid for `count`
            // pointers, and the range ends in front of `count`.
            unsafe { self.first.wrapping_add(at + index).write(page) };
        }
    }
}
