// SPDX-License-Identifier: GPL-2.0

//! Page structures and page frames.

use super::pfn_run::RunWords;
use crate::bindings;

/// A pointer to a page structure, where C code writes one.
pub(super) type Page = *mut bindings::page;

/// Whether the page structures are one array, in which neighbours are neighbours in memory.
const ONE_ARRAY: bool = cfg!(any(CONFIG_SPARSEMEM_VMEMMAP, CONFIG_FLATMEM));

/// The distance of neighbours, or 0 if there is none to rely on.
const STRIDE: u64 = if ONE_ARRAY {
    size_of::<bindings::page>() as u64
} else {
    0
};

/// Translates page structures to page frames.
#[derive(Clone, Copy)]
pub(super) struct PageMap {
    /// Where the structure of page frame 0 is, or would be.
    base: u64,
}

impl PageMap {
    pub(super) fn new() -> Self {
        // SAFETY: Where the array is one, this computes an address; elsewhere it is not used.
        let first = ONE_ARRAY.then(|| unsafe { bindings::kernel_ext_pfn_to_page(0) });

        Self {
            base: first.map_or(0, |page| page as u64),
        }
    }

    /// The page frame of a page.
    ///
    /// # Safety
    ///
    /// `page` points to a page structure.
    #[inline]
    pub(super) unsafe fn pfn(self, page: u64) -> usize {
        if ONE_ARRAY {
            (page.wrapping_sub(self.base) / STRIDE.max(1)) as usize
        } else {
            // SAFETY: The caller vouches for it.
            unsafe { bindings::kernel_ext_page_to_pfn(page as Page) }
        }
    }

    /// The page structure of a page frame.
    ///
    /// # Safety
    ///
    /// The page frame has one.
    #[inline]
    pub(super) unsafe fn page(self, pfn: usize) -> Page {
        if ONE_ARRAY {
            self.base.wrapping_add(pfn as u64 * STRIDE) as Page
        } else {
            // SAFETY: The caller vouches for it.
            unsafe { bindings::kernel_ext_pfn_to_page(pfn) }
        }
    }

    /// Makes runs out of pages, in place; returns how many runs.
    ///
    /// # Safety
    ///
    /// Each word points to a page structure.
    pub(super) unsafe fn runs_of_pages(self, words: &mut [u64]) -> usize {
        // SAFETY: The caller vouches for the words.
        RunWords::from_pages::<STRIDE>(words, |page| unsafe { self.pfn(page) }).len()
    }
}
