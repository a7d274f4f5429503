// SPDX-License-Identifier: GPL-2.0

//! Arrays in C that pointers to pages are written to.

use super::pfn_run::PfnRun;
use crate::bindings;
use core::{marker::PhantomData, ops::Range};

/// Where a caller in C wants pointers to pages: a `struct page **`, which may be null.
///
/// # Invariants
///
/// `first` is null, or valid for writing `count` pointers.
pub struct PageSlots<'a> {
    first: *mut *mut bindings::page,
    count: usize,
    _array: PhantomData<&'a mut [*mut bindings::page]>,
}

impl PageSlots<'_> {
    /// # Safety
    ///
    /// `first` is null, or valid for writing `count` pointers for as long as the result lives.
    pub unsafe fn new(first: *mut *mut bindings::page, count: usize) -> Self {
        // INVARIANT: The caller vouches for it.
        Self {
            first,
            count,
            _array: PhantomData,
        }
    }

    /// How many pages are wanted.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no page is wanted.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Some of the slots: as many of them as there are.
    pub fn part(&mut self, slots: Range<usize>) -> PageSlots<'_> {
        let end = slots.end.min(self.count);
        let start = slots.start.min(end);
        let first = if self.first.is_null() {
            self.first
        } else {
            self.first.wrapping_add(start)
        };

        // INVARIANT: The part lies within the array, which stays borrowed.
        PageSlots {
            first,
            count: end - start,
            _array: PhantomData,
        }
    }

    /// Writes the pages of a run, from slot `at` on.
    ///
    /// # Safety
    ///
    /// The pages are pinned.
    pub unsafe fn put(&mut self, at: usize, run: PfnRun) {
        if self.first.is_null() {
            return;
        }
        for index in 0..run.count.min(self.count.saturating_sub(at)) {
            // SAFETY: Pinned memory has page structures, and the caller says that these are pinned.
            let page = unsafe { bindings::kernel_ext_pfn_to_page(run.pfn + index) };
            // SAFETY: By the type invariant there are `count` slots, and this is one of them.
            unsafe { self.first.add(at + index).write(page) };
        }
    }
}
