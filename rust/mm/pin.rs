// SPDX-License-Identifier: GPL-2.0

//! Pinning user memory for as long as a device may use it (`FOLL_LONGTERM`).
//!
//! C header: `include/linux/mm.h`; `Documentation/core-api/pin_user_pages.rst`.

use crate::bindings;
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
    /// Address of the first byte.
    address: usize,
    /// Length in bytes; not zero, and not past the end of the address space.
    length: usize,
    writable: bool,
}

/// Whole pages next to each other in physical memory.
#[derive(Clone, Copy)]
pub(crate) struct PfnRun {
    /// The first page frame.
    pub(crate) pfn: usize,
    /// How many.
    pub(crate) count: usize,
}

impl UserMemory {
    /// `length` bytes at `address` of the calling process.
    ///
    /// # Errors
    ///
    /// `EINVAL` for no bytes or too many; `EOVERFLOW` if they pass the end of the address space;
    /// `EFAULT` if the caller has no memory.
    pub fn current(address: usize, length: usize, writable: bool) -> Result<Self> {
        address.checked_add(length).ok_or(EOVERFLOW)?;
        if length == 0 || length > usize::MAX - PAGE_SIZE {
            return Err(EINVAL);
        }
        Ok(Self {
            mm: ARef::from(&**kernel::current!().mm().ok_or(EFAULT)?),
            address,
            length,
            writable,
        })
    }

    /// The address of the first byte.
    pub fn address(&self) -> usize {
        self.address
    }

    /// The length in bytes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Where in its page the first byte lies.
    pub fn offset(&self) -> usize {
        self.address & !PAGE_MASK
    }

    /// The number of pages that the bytes lie in.
    pub fn npages(&self) -> usize {
        // `address + length` does not overflow, so neither does this.
        (self.offset() + self.length).div_ceil(PAGE_SIZE)
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
pub(crate) struct PinnedBatch {
    pages: KVVec<Page>,
    next: usize,
    writable: bool,
}

type Page = *mut bindings::page;

// SAFETY: Pinned pages may be unpinned on any thread.
unsafe impl Send for PinnedBatch {}

impl PinnedBatch {
    /// An empty batch for pages of `memory`.
    pub(crate) fn new(memory: &UserMemory) -> Result<Self> {
        let capacity = memory.npages().min(BATCH_PAGES);

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
    pub(crate) fn pin(&mut self, memory: &UserMemory, index: usize) -> Result<usize> {
        debug_assert!(self.is_empty() && self.writable == memory.writable);
        self.pages.clear();
        self.next = 0;

        let wanted = memory
            .npages()
            .saturating_sub(index)
            .min(self.pages.capacity());
        let start = (memory.address & PAGE_MASK) + index * PAGE_SIZE;
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
    pub(crate) fn is_empty(&self) -> bool {
        self.next == self.pages.len()
    }

    /// The pages that are left, as runs that lie next to each other in physical memory.
    pub(crate) fn runs(&self) -> impl Iterator<Item = PfnRun> + '_ {
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
            let pfn = unsafe { bindings::kernel_ext_page_to_pfn(first) };
            Some(PfnRun { pfn, count })
        })
    }

    /// Hands the pins of the first `count` pages over to the caller.
    pub(crate) fn take(&mut self, count: usize) {
        self.next = (self.next + count).min(self.pages.len());
    }
}

impl Drop for PinnedBatch {
    fn drop(&mut self) {
        for run in self.runs() {
            // SAFETY: By the type invariant the pages are pinned, and the pins end with the batch.
            unsafe { unpin(run, self.writable) };
        }
    }
}

/// Whether `page` is the page frame `count` behind `first`.
#[inline]
fn follows(first: Page, count: usize, page: Page) -> bool {
    // Only there is the array of page structures one piece, and neighbours in it are neighbours in
    // memory. Elsewhere each page is a run of its own.
    let one_piece = cfg!(any(CONFIG_SPARSEMEM_VMEMMAP, CONFIG_FLATMEM));

    count == 0 || one_piece && page == first.wrapping_add(count)
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

/// Gives back one pin of each page of a run; `dirty` if a device may have written them.
///
/// # Safety
///
/// The caller owns those pins.
pub(crate) unsafe fn unpin(run: PfnRun, dirty: bool) {
    // SAFETY: Pinned memory has page structures.
    let first = unsafe { bindings::kernel_ext_pfn_to_page(run.pfn) };
    // SAFETY: The caller owns the pins.
    unsafe { bindings::unpin_user_page_range_dirty_lock(first, run.count, dirty) };
}
