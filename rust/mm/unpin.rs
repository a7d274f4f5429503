// SPDX-License-Identifier: GPL-2.0

//! Giving pins back.

use super::{
    page_map::{Page, PageMap},
    pfn_run::PfnRun,
};
use crate::{array_vec::ArrayVec, bindings};
use kernel::prelude::*;

/// Pages that are given back with one call: what fits well on a stack.
const GROUP: usize = 64;

/// Gives pins back, at the latest when it is dropped.
///
/// Pages that lie apart are collected first: one call for many of them costs a third less than one
/// for each.
///
/// # Invariants
///
/// Each page of `apart` is pinned, and that pin is to be given back.
pub struct Unpinner {
    map: PageMap,
    apart: ArrayVec<Page, GROUP>,
    dirty: bool,
}

impl Unpinner {
    /// For pages that devices may have written if `dirty` says so.
    pub fn new(dirty: bool) -> Self {
        Self {
            map: PageMap::new(),
            apart: ArrayVec::new(),
            dirty,
        }
    }

    /// Gives back one pin of each page of a run, which is not empty, by itself.
    ///
    /// # Safety
    ///
    /// The caller owns those pins.
    #[inline]
    pub unsafe fn unpin_run(run: PfnRun, dirty: bool) {
        // SAFETY: Pinned memory has page structures.
        let first = unsafe { bindings::kernel_ext_pfn_to_page(run.pfn) };

        // SAFETY: The caller owns the pins.
        unsafe { bindings::unpin_user_page_range_dirty_lock(first, run.count, dirty) };
    }

    /// Gives back one pin of each page of a run, which is not empty.
    ///
    /// # Safety
    ///
    /// The caller owns those pins.
    #[inline]
    pub unsafe fn unpin(&mut self, run: PfnRun) {
        // SAFETY: Pinned memory has page structures.
        let first = unsafe { self.map.page(run.pfn) };

        if run.count != 1 {
            // SAFETY: The caller owns the pins.
            unsafe { bindings::unpin_user_page_range_dirty_lock(first, run.count, self.dirty) };
            return;
        }
        // INVARIANT: The caller owns the pin.
        if !self.apart.push(first) {
            self.flush();
            self.apart.push(first);
        }
    }

    fn flush(&mut self) {
        let pages = self.apart.as_slice();
        let (first, count) = (pages.as_ptr().cast_mut(), pages.len() as c_ulong);

        if count != 0 {
            // SAFETY: By the type invariant these pins are to be given back; the array is only read.
            unsafe { bindings::unpin_user_pages_dirty_lock(first, count, self.dirty) };
        }
        self.apart.clear();
    }
}

impl Drop for Unpinner {
    fn drop(&mut self) {
        self.flush();
    }
}
