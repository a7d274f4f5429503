// SPDX-License-Identifier: GPL-2.0

//! The page at an address of the calling process, for tests (test builds only).

use super::page_slots::PageSlots;
use crate::bindings;
use core::ptr::{self, NonNull};
use kernel::{
    page::{PAGE_MASK, PAGE_SHIFT},
    prelude::*,
};

/// A reference to the page at an address, which is not a pin.
///
/// # Invariants
///
/// `page` is valid, and this value owns a reference to it.
pub struct UserPage {
    page: NonNull<bindings::page>,
    offset: usize,
}

impl UserPage {
    /// Takes a reference to the page at `address` in the calling process.
    ///
    /// # Errors
    ///
    /// `EFAULT` if no page is there; `ENOMEM`.
    pub fn at(address: usize) -> Result<Self> {
        let mut page = core::ptr::null_mut();
        // SAFETY: `page` has room for the one pointer that is asked for.
        let got = unsafe {
            bindings::get_user_pages_fast((address & PAGE_MASK) as c_ulong, 1, 0, &mut page)
        };

        if got < 0 {
            return Err(Error::from_errno(got));
        }
        // INVARIANT: `get_user_pages_fast()` has taken a reference, which the new value owns.
        Ok(Self {
            page: NonNull::new(page).ok_or(EFAULT)?,
            offset: address & !PAGE_MASK,
        })
    }

    /// Returns the physical address of the byte at the address.
    pub fn phys(&self) -> u64 {
        // SAFETY: By the type invariant the page is valid.
        let pfn = unsafe { bindings::kernel_ext_page_to_pfn(self.page.as_ptr()) };

        ((pfn as u64) << PAGE_SHIFT) + self.offset as u64
    }

    /// Returns the number of pins of the page, or `None` if it is part of a larger folio, whose
    /// pages are not counted separately.
    pub fn pins(&self) -> Option<u32> {
        // SAFETY: By the type invariant the page is valid.
        u32::try_from(unsafe { bindings::kernel_ext_page_pins(self.page.as_ptr()) }).ok()
    }
}

impl Drop for UserPage {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns a reference, which is not used after this.
        unsafe { bindings::kernel_ext_put_page(self.page.as_ptr()) };
    }
}

/// An array for pointers to pinned pages.
pub struct PagePointers(KVVec<*mut bindings::page>);

impl PagePointers {
    /// Creates an array of `count` null pointers.
    pub fn new(count: usize) -> Result<Self> {
        Ok(Self(KVVec::from_elem(
            ptr::null_mut(),
            count,
            GFP_KERNEL_ACCOUNT,
        )?))
    }

    /// Returns the number of pointers.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the array is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the slots of the array.
    pub fn slots(&mut self) -> PageSlots<'_> {
        // SAFETY: The pointer and the length are those of the array, which stays mutably borrowed
        // as long as the result lives.
        unsafe { PageSlots::new(self.0.as_mut_ptr(), self.0.len()) }
    }

    /// Returns whether the pointer at `index` points to `page`.
    pub fn has(&self, index: usize, page: &UserPage) -> bool {
        self.0.get(index) == Some(&page.page.as_ptr())
    }
}
