// SPDX-License-Identifier: GPL-2.0

//! Translation between page structures and page frame numbers.

use super::pfn_run::RunWords;
use crate::bindings;

/// A pointer to a page structure, as C functions store it.
pub(super) type Page = *mut bindings::page;

/// Whether all page structures form one array in virtual memory, indexed by page frame number.
const ONE_ARRAY: bool = cfg!(any(CONFIG_SPARSEMEM_VMEMMAP, CONFIG_FLATMEM));

/// The distance of the page structures of consecutive page frames in bytes, or 0 if they do not
/// form one array.
const STRIDE: u64 = if ONE_ARRAY {
    size_of::<bindings::page>() as u64
} else {
    0
};

/// Translates between page structures and page frame numbers.
#[derive(Clone, Copy)]
pub(super) struct PageMap {
    /// Address of the array: where the page structure of page frame 0 is, or would be.
    base: u64,
}

impl PageMap {
    /// Creates the translation.
    #[inline]
    pub(super) fn new() -> Self {
        // SAFETY: If the page structures form one array, `pfn_to_page()` only computes an address,
        // for any number. Else it is not called.
        let first = ONE_ARRAY.then(|| unsafe { bindings::kernel_ext_pfn_to_page(0) });

        Self {
            base: first.map_or(0, |page| page as u64),
        }
    }

    /// Returns the page frame number of a page structure.
    ///
    /// # Safety
    ///
    /// `page` points to a page structure.
    #[inline]
    pub(super) unsafe fn pfn(self, page: u64) -> usize {
        if ONE_ARRAY {
            (page.wrapping_sub(self.base) / STRIDE.max(1)) as usize
        } else {
            // SAFETY: The caller promises that `page` points to a page structure.
            unsafe { bindings::kernel_ext_page_to_pfn(page as Page) }
        }
    }

    /// Returns the page structure of a page frame.
    ///
    /// # Safety
    ///
    /// The page frame has a page structure.
    #[inline]
    pub(super) unsafe fn page(self, pfn: usize) -> Page {
        if ONE_ARRAY {
            self.base.wrapping_add(pfn as u64 * STRIDE) as Page
        } else {
            // SAFETY: The caller promises that the page frame has a page structure.
            unsafe { bindings::kernel_ext_pfn_to_page(pfn) }
        }
    }

    /// Converts an array of page pointers to a list of runs, in place. Returns the number of runs.
    ///
    /// # Safety
    ///
    /// Each word points to a page structure.
    pub(super) unsafe fn runs_of_pages(self, words: &mut [u64]) -> usize {
        // SAFETY: `from_pages` passes words of the array only, before it overwrites them. The
        // caller promises that each points to a page structure.
        RunWords::from_pages::<STRIDE>(words, |page| unsafe { self.pfn(page) }).len()
    }
}
