// SPDX-License-Identifier: GPL-2.0

//! One page of a process, pinned by itself: without what a batch needs for many.

use super::{memory::UserMemory, page_map::Page, pin_source::Source};
use crate::{bindings, fault::should_fail};
use kernel::{page::PAGE_SIZE, prelude::*};

/// A page that is pinned and has not been handed on; dropping it unpins it.
///
/// # Invariants
///
/// The page is pinned once, and nobody else gives that pin back.
pub struct PinnedPage {
    page: Page,
    writable: bool,
}

impl PinnedPage {
    /// Pins page `index` of `memory`, which has so many.
    ///
    /// # Errors
    ///
    /// As for [`PinnedBatch::pin`](super::PinnedBatch::pin).
    pub fn new(memory: &UserMemory, index: usize) -> Result<Self> {
        if should_fail() {
            return Err(EFAULT);
        }
        let mut page = core::ptr::null_mut();
        let address = memory.base() + index * PAGE_SIZE;

        // SAFETY: There is room for one pointer.
        unsafe { Source::new(memory)?.pin(address, 1, &mut page) }?;
        // INVARIANT: It was pinned just now.
        Ok(Self {
            page,
            writable: memory.writable(),
        })
    }

    /// Where it lies.
    #[inline]
    pub fn pfn(&self) -> usize {
        // SAFETY: By the type invariant it is a page.
        unsafe { bindings::kernel_ext_page_to_pfn(self.page) }
    }

    /// Hands the pin over to the caller.
    #[inline]
    pub fn hand_on(self) {
        core::mem::forget(self);
    }
}

impl Drop for PinnedPage {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the pin is ours.
        unsafe { bindings::unpin_user_page_range_dirty_lock(self.page, 1, self.writable) };
    }
}
