// SPDX-License-Identifier: GPL-2.0

//! Pinning user memory for as long as a device may use it (`FOLL_LONGTERM`).
//!
//! C header: `include/linux/mm.h`; `Documentation/core-api/pin_user_pages.rst`.

use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    mm::{Mm, MmWithUser},
    page::{PAGE_MASK, PAGE_SIZE},
    prelude::*,
    sync::aref::ARef,
};

/// The most pages that one batch pins: 64 KiB of page pointers.
const BATCH_PAGES: usize = 8192;

/// A range of whole pages of a process's memory; pins nothing by itself.
///
/// Keeps the `mm_struct` but not the address space: once the process has exited, pinning fails.
pub struct UserMemory {
    mm: ARef<Mm>,
    /// Address of the first page.
    start: usize,
    npages: usize,
    writable: bool,
}

impl UserMemory {
    /// The pages of the calling process that contain `length` bytes at address `start`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for no bytes or too many; `EOVERFLOW` if they pass the end of the address space;
    /// `EFAULT` if the caller has no memory.
    pub fn current(start: usize, length: usize, writable: bool) -> Result<Self> {
        start.checked_add(length).ok_or(EOVERFLOW)?;
        if length == 0 || length > usize::MAX - PAGE_SIZE {
            return Err(EINVAL);
        }
        let first = start & PAGE_MASK;
        let bytes = length.checked_add(start - first).ok_or(EOVERFLOW)?;

        Ok(Self {
            mm: ARef::from(&**kernel::current!().mm().ok_or(EFAULT)?),
            start: first,
            npages: bytes.div_ceil(PAGE_SIZE),
            writable,
        })
    }

    /// The number of pages in the range.
    pub fn npages(&self) -> usize {
        self.npages
    }

    /// Whether pages are pinned for writing.
    pub fn writable(&self) -> bool {
        self.writable
    }

    /// The address space, alive: for pinning pages of another process.
    fn remote(&self) -> Result<ARef<MmWithUser>> {
        self.mm.mmget_not_zero().ok_or(EFAULT)
    }

    fn is_current(&self) -> bool {
        kernel::current!()
            .mm()
            .is_some_and(|mm| core::ptr::eq(mm.as_raw(), self.mm.as_raw()))
    }
}

/// Pages that are pinned and have not been handed on.
///
/// One batch serves a whole range: [`pin`](Self::pin) refills it once it is empty.
///
/// # Invariants
///
/// Each of `pages[next..]` is pinned once, and nobody else gives that pin back.
pub struct PinnedBatch {
    pages: KVVec<Page>,
    next: usize,
    writable: bool,
}

type Page = *mut bindings::page;

// SAFETY: Pinned pages may be unpinned on any thread.
unsafe impl Send for PinnedBatch {}

impl PinnedBatch {
    /// An empty batch for pages of `memory`.
    pub fn new(memory: &UserMemory) -> Result<Self> {
        let capacity = memory.npages.min(BATCH_PAGES);

        Ok(Self {
            pages: KVVec::with_capacity(capacity, GFP_KERNEL)?,
            next: 0,
            writable: memory.writable,
        })
    }

    /// Pins pages of `memory` from page `index` on, as many as the batch holds and the range has.
    ///
    /// Returns how many. The batch must be empty.
    ///
    /// # Errors
    ///
    /// `EFAULT` where there is no memory, or none that may be written and it is to be; `ENOMEM`,
    /// `EINTR` or `EAGAIN` as `pin_user_pages_fast()` gives them. Nothing is pinned then.
    pub fn pin(&mut self, memory: &UserMemory, index: usize) -> Result<usize> {
        debug_assert!(self.is_empty() && self.writable == memory.writable);
        self.pages.clear();
        self.next = 0;

        let wanted = memory
            .npages
            .saturating_sub(index)
            .min(self.pages.capacity());
        let start = memory.start + index * PAGE_SIZE;
        let slots: *mut Page = self.pages.spare_capacity_mut().as_mut_ptr().cast();
        let mut flags = bindings::FOLL_LONGTERM;

        if memory.writable {
            flags |= bindings::FOLL_WRITE;
        }
        let pinned = if memory.is_current() {
            // SAFETY: `slots` has room for `wanted` pointers.
            (unsafe { bindings::pin_user_pages_fast(start, wanted as c_int, flags, slots) })
                as c_long
        } else {
            let mm = memory.remote()?;
            // SAFETY: `slots` has room for `wanted` pointers.
            unsafe { pin_remote(&mm, start, wanted, flags, slots) }
        };
        match usize::try_from(pinned) {
            Ok(0) => Err(EFAULT),
            // INVARIANT: The first `n` slots hold newly pinned pages.
            Ok(n) => {
                // SAFETY: They were written, and `n` is at most `wanted`.
                unsafe { self.pages.inc_len(n) };
                Ok(n)
            }
            Err(_) => Err(Error::from_errno(pinned as c_int)),
        }
    }

    /// Whether every page has been handed on.
    pub fn is_empty(&self) -> bool {
        self.next == self.pages.len()
    }

    /// The pages that are left, as runs that lie next to each other in physical memory: the first
    /// page frame of each, and how many.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let mut rest = self.pages.get(self.next..).unwrap_or(&[]);

        core::iter::from_fn(move || {
            let first = *rest.first()?;
            let count = rest
                .iter()
                .enumerate()
                .take_while(|&(at, &page)| follows(first, at, page))
                .count();

            rest = rest.get(count..)?;
            // SAFETY: By the type invariant `first` is a valid page.
            Some((unsafe { bindings::kernel_ext_page_to_pfn(first) }, count))
        })
    }

    /// Hands the pins of the first `count` pages over to the caller.
    pub(crate) fn take(&mut self, count: usize) {
        self.next = (self.next + count).min(self.pages.len());
    }
}

impl Drop for PinnedBatch {
    fn drop(&mut self) {
        for (pfn, count) in self.runs() {
            // SAFETY: By the type invariant the pages are pinned, and the pins end with the batch.
            unsafe { unpin_pfns(pfn, count, self.writable) };
        }
    }
}

/// Whether `page` is the page frame `count` behind `first`.
#[inline]
fn follows(first: Page, count: usize, page: Page) -> bool {
    if cfg!(any(CONFIG_SPARSEMEM_VMEMMAP, CONFIG_FLATMEM)) {
        // The array of page structures is one piece.
        page == first.wrapping_add(count)
    } else {
        // SAFETY: Both came from pinning: they are valid pages.
        let (first, pfn) = unsafe {
            (
                bindings::kernel_ext_page_to_pfn(first),
                bindings::kernel_ext_page_to_pfn(page),
            )
        };
        pfn == first + count
    }
}

/// Pins pages of an address space that is not the caller's.
///
/// # Safety
///
/// `slots` has room for `npages` pointers.
unsafe fn pin_remote(
    mm: &MmWithUser,
    start: usize,
    npages: usize,
    flags: u32,
    slots: *mut Page,
) -> c_long {
    let mut locked: c_int = 1;
    let guard = mm.mmap_read_lock();
    // SAFETY: The caller vouches for `slots`; the mmap lock is held, and `locked` says so.
    let pinned = unsafe {
        bindings::pin_user_pages_remote(mm.as_raw(), start, npages, flags, slots, &mut locked)
    };

    if locked == 0 {
        // The lock was dropped on the way.
        core::mem::forget(guard);
    }
    pinned
}

/// Gives back one pin of each of `count` pages from page frame `pfn` on.
///
/// # Safety
///
/// The caller owns those pins.
pub(crate) unsafe fn unpin_pfns(pfn: usize, count: usize, dirty: bool) {
    // SAFETY: Pinned memory has a `struct page`.
    let first: NonNull<bindings::page> =
        match NonNull::new(unsafe { bindings::kernel_ext_pfn_to_page(pfn) }) {
            Some(page) => page,
            None => return,
        };
    // SAFETY: The caller owns the pins.
    unsafe { bindings::unpin_user_page_range_dirty_lock(first.as_ptr(), count, dirty) };
}
