// SPDX-License-Identifier: GPL-2.0

//! Unpinning pages.

use super::{
    page_map::{Page, PageMap},
    pfn_run::PfnRun,
};
use crate::{array_vec::ArrayVec, bindings};
use kernel::prelude::*;

/// Number of separate pages that are unpinned with one call. Small enough for an array on the
/// stack.
const GROUP: usize = 64;

/// Unpins pages, the last of them when it is dropped.
///
/// Single pages are collected first: one call for many of them takes a third less time than one
/// call for each.
///
/// # Invariants
///
/// `apart` owns a pin of each of its pages.
pub struct Unpinner {
    map: PageMap,
    apart: ArrayVec<Page, GROUP>,
    dirty: bool,
}

impl Unpinner {
    /// Creates an unpinner. `dirty` says whether devices may have written to the pages, which are
    /// then marked dirty.
    #[inline]
    pub fn new(dirty: bool) -> Self {
        Self {
            map: PageMap::new(),
            apart: ArrayVec::new(),
            dirty,
        }
    }

    /// Releases one pin of each page of a run, which is not empty, without an `Unpinner`.
    ///
    /// # Safety
    ///
    /// The caller owns these pins, and gives them up.
    #[inline]
    pub unsafe fn unpin_run(run: PfnRun, dirty: bool) {
        // SAFETY: The caller owns a pin of the page. Only pages with a `struct page` can be pinned.
        let first = unsafe { bindings::kernel_ext_pfn_to_page(run.pfn) };

        // SAFETY: The caller owns a pin of each page of the run, and does not use it after this.
        unsafe { bindings::unpin_user_page_range_dirty_lock(first, run.count, dirty) };
    }

    /// Releases one pin of each page of a run, which is not empty, now or by the time that `self`
    /// is dropped.
    ///
    /// # Safety
    ///
    /// The caller owns these pins, and gives them up.
    #[inline]
    pub unsafe fn unpin(&mut self, run: PfnRun) {
        // SAFETY: The caller owns a pin of the page. Only pages with a `struct page` can be pinned.
        let first = unsafe { self.map.page(run.pfn) };

        if run.count != 1 {
            // SAFETY: The caller owns a pin of each page of the run, and does not use it after
            // this.
            unsafe { bindings::unpin_user_page_range_dirty_lock(first, run.count, self.dirty) };
            return;
        }
        // INVARIANT: The caller gives its pin of the page to `apart`.
        if !self.apart.push(first) {
            self.flush();
            self.apart.push(first);
        }
    }

    fn flush(&mut self) {
        let pages = self.apart.as_slice();
        let (first, count) = (pages.as_ptr().cast_mut(), pages.len() as c_ulong);

        if count != 0 {
            // SAFETY: By the type invariant `apart` owns these pins, and it is cleared below. The
            // function only reads the array.
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
