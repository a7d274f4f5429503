// SPDX-License-Identifier: GPL-2.0

//! A look at the page behind an address of the calling process, for tests (test builds only).

use super::page_slots::PageSlots;
use crate::bindings;
use core::ptr::{self, NonNull};
use kernel::{
    page::{PAGE_MASK, PAGE_SHIFT},
    prelude::*,
};

/// A reference to the page behind an address, which does not count as a pin.
///
/// # Invariants
///
/// `page` is valid and this value owns a reference to it.
pub struct UserPage {
    page: NonNull<bindings::page>,
    offset: usize,
}

impl UserPage {
    /// The page with the byte at `address` of the calling process.
    ///
    /// # Errors
    ///
    /// `EFAULT` if there is none, `ENOMEM`.
    pub fn at(address: usize) -> Result<Self> {
        let mut page = core::ptr::null_mut();
        // SAFETY: There is room for one page.
        let got = unsafe {
            bindings::get_user_pages_fast((address & PAGE_MASK) as c_ulong, 1, 0, &mut page)
        };

        if got < 0 {
            return Err(Error::from_errno(got));
        }
        // INVARIANT: The reference has just been taken.
        Ok(Self {
            page: NonNull::new(page).ok_or(EFAULT)?,
            offset: address & !PAGE_MASK,
        })
    }

    /// The physical address of the byte that was asked for.
    pub fn phys(&self) -> u64 {
        // SAFETY: By the type invariant the page is valid.
        let pfn = unsafe { bindings::kernel_ext_page_to_pfn(self.page.as_ptr()) };

        ((pfn as u64) << PAGE_SHIFT) + self.offset as u64
    }

    /// How many pins the page has; nothing if it is part of a larger folio and not counted by itself.
    pub fn pins(&self) -> Option<u32> {
        // SAFETY: By the type invariant the page is valid.
        u32::try_from(unsafe { bindings::kernel_ext_page_pins(self.page.as_ptr()) }).ok()
    }
}

impl Drop for UserPage {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the reference is ours.
        unsafe { bindings::kernel_ext_put_page(self.page.as_ptr()) };
    }
}

/// Room for pointers to pages that are pinned for somebody.
pub struct PagePointers(KVVec<*mut bindings::page>);

impl PagePointers {
    /// Room for `count` pointers, all null.
    pub fn new(count: usize) -> Result<Self> {
        Ok(Self(KVVec::from_elem(
            ptr::null_mut(),
            count,
            GFP_KERNEL_ACCOUNT,
        )?))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is room for none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What takes them.
    pub fn slots(&mut self) -> PageSlots<'_> {
        // SAFETY: The array is borrowed as long as the result lives.
        unsafe { PageSlots::new(self.0.as_mut_ptr(), self.0.len()) }
    }

    /// Whether the pointer at `index` is to this page.
    pub fn has(&self, index: usize, page: &UserPage) -> bool {
        self.0.get(index) == Some(&page.page.as_ptr())
    }
}
