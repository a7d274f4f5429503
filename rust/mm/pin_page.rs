// SPDX-License-Identifier: GPL-2.0

//! A single pinned page of a process, without the buffers of a batch.

use super::{memory::UserMemory, page_map::Page, pin_source::Source};
use crate::{bindings, fault::should_fail};
use kernel::{page::PAGE_SIZE, prelude::*};

/// A pin of one page, which is released on drop.
///
/// # Invariants
///
/// This value owns one pin of `page`.
pub struct PinnedPage {
    page: Page,
    writable: bool,
}

impl PinnedPage {
    /// Pins page `index` of `memory`. The caller has checked that the memory has that page.
    ///
    /// # Errors
    ///
    /// As for [`PinnedBatch::pin`](super::PinnedBatch::pin).
    #[inline(always)]
    pub fn new(memory: &UserMemory, index: usize) -> Result<Self> {
        if should_fail() {
            return Err(EFAULT);
        }
        let mut page = core::ptr::null_mut();
        let address = memory.base() + index * PAGE_SIZE;

        // SAFETY: `page` has room for the one pointer that is asked for.
        unsafe { Source::new(memory)?.pin(address, 1, &mut page) }?;
        // INVARIANT: `pin` has pinned the page, and the new value owns the pin.
        Ok(Self {
            page,
            writable: memory.writable(),
        })
    }

    /// Returns the page frame number.
    #[inline]
    pub fn pfn(&self) -> usize {
        // SAFETY: By the type invariant the page is pinned, so its page structure is valid.
        unsafe { bindings::kernel_ext_page_to_pfn(self.page) }
    }

    /// Transfers the pin to the caller.
    #[inline]
    pub fn hand_on(self) {
        core::mem::forget(self);
    }
}

impl Drop for PinnedPage {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns the pin, which is not used after this.
        unsafe { bindings::unpin_user_page_range_dirty_lock(self.page, 1, self.writable) };
    }
}
