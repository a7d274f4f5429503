// SPDX-License-Identifier: GPL-2.0

//! Pins for users in the kernel, as values that own them.

use super::{pinned::PinnedPages, Pages, SharedPages};
use crate::mm::PageSlots;
use core::{marker::PhantomData, ops::Range};
use kernel::{prelude::*, sync::aref::ARef};

/// Pages that are pinned for a user in the kernel. On drop, those that have no other holder are
/// unpinned.
///
/// Code that has pointers to the pages must keep this value. So pages cannot be unpinned twice, nor
/// by code that has not pinned them:
///
/// ```ignore
/// let mut request = PinRequest::new(pointers.slots());
/// access.pin_pages(iova, length, &mut request, true)?;
/// let pins = request.finish()?;
///
/// access.unpin_pages(iova, length, pins);
/// access.unpin_pages(iova, length, pins); // does not compile: `pins` was moved
/// ```
#[must_use = "the pages are unpinned when the value is dropped"]
pub struct KernelPins {
    /// Stored inline, as most users pin pages of a single mapping at a time.
    first: Option<PinnedPart>,
    more: KVec<PinnedPart>,
}

/// The pages of one [`SharedPages`].
///
/// # Invariants
///
/// [`PinnedPages::pin`] has pinned `range` of `pages`, and this value owns that pin.
struct PinnedPart {
    pages: ARef<PinnedPages>,
    range: Range<usize>,
}

impl Drop for PinnedPart {
    fn drop(&mut self) {
        // SAFETY: By the type invariant `pin` has pinned these pages, and this value, which ends
        // here, owns the pin.
        unsafe { self.pages.unpin(self.range.clone()) };
    }
}

/// A call that pins pages for a user in the kernel: the array for the pointers to them, and the
/// pins of those that it has.
///
/// If it is dropped before it is [finished](Self::finish), the pages are unpinned.
///
/// Code that is given a `&mut PinRequest` cannot replace the request by one with other slots, which
/// its caller would not see: the lifetime is invariant, so no other request has the same type.
///
/// ```ignore
/// fn pin_pages(request: &mut PinRequest<'_>, other: PinRequest<'static>) {
///     *request = other; // does not compile
/// }
/// ```
pub struct PinRequest<'a> {
    slots: PageSlots<'a>,
    _invariant: PhantomData<fn(&'a ()) -> &'a ()>,
    /// Number of slots that have been filled.
    filled: usize,
    pins: KernelPins,
}

impl<'a> PinRequest<'a> {
    /// Creates a request for as many pages as there are slots.
    pub fn new(slots: PageSlots<'a>) -> Self {
        Self {
            slots,
            _invariant: PhantomData,
            filled: 0,
            pins: KernelPins {
                first: None,
                more: KVec::new(),
            },
        }
    }

    /// Pins `count` pages of `pages` from page `first` on, and writes pointers to them to the next
    /// slots.
    ///
    /// # Errors
    ///
    /// `EINVAL` for memory of a device, for pages that the memory does not have, or if there are
    /// fewer slots left; `ENOMEM`; else the error of pinning or charging. This call has pinned no
    /// page then.
    pub fn pin(&mut self, pages: &SharedPages, first: usize, count: usize) -> Result {
        let Pages::Pinned(pages) = &pages.0 else {
            return Err(EINVAL);
        };
        let range = first..first.checked_add(count).ok_or(EINVAL)?;
        let filled = self.filled.checked_add(count).ok_or(EINVAL)?;
        let slots = self.slots.part(self.filled..filled);

        if slots.len() != count || range.end > pages.memory.npages() {
            return Err(EINVAL);
        }
        if self.pins.first.is_some() {
            self.pins.more.reserve(1, GFP_KERNEL_ACCOUNT)?;
        }
        pages.pin(first, slots)?;
        // INVARIANT: The pages were pinned just now, and the new value owns the pin.
        let part = PinnedPart {
            pages: pages.clone(),
            range,
        };

        self.filled = filled;
        match self.pins.first {
            None => self.pins.first = Some(part),
            Some(_) => self.pins.more.push_within_capacity(part)?,
        }
        Ok(())
    }

    /// Returns the pins of all slots.
    ///
    /// # Errors
    ///
    /// `EFAULT`, and a warning, if slots are left, which is an error of the code that was to pin
    /// the pages. No page of the request is pinned then.
    pub fn finish(self) -> Result<KernelPins> {
        if kernel::warn_on!(self.filled != self.slots.len()) {
            return Err(EFAULT);
        }
        Ok(self.pins)
    }
}
