// SPDX-License-Identifier: GPL-2.0

//! Copies between kernel buffers and memory that is pinned, or can be.
//!
//! [`UserMemory::copy`] and [`UserMemory::copy_page`] go through the page tables of the process, as
//! a system call of the process does. They access the pages that are mapped there now. After
//! `munmap()` or `mmap()` these differ from the pages that were pinned before, which devices
//! access.

use super::{memory::UserMemory, page_map::Page, pfn_run::PfnRun};
use crate::{bindings, fault::should_fail};
use kernel::{
    mm::MmWithUser,
    page::{PAGE_MASK, PAGE_SIZE},
    prelude::*,
    sync::aref::ARef,
    types::NotThreadSafe,
    uaccess::{UserPtr, UserSlice},
};

/// The kernel buffer of a copy, and the direction.
pub enum CopyBuffer<'a> {
    /// The memory is read into this buffer.
    Read(&'a mut [u8]),
    /// The memory is written from this buffer.
    Write(&'a [u8]),
}

impl<'a> CopyBuffer<'a> {
    /// Returns the number of bytes to be copied.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            CopyBuffer::Read(bytes) => bytes.len(),
            CopyBuffer::Write(bytes) => bytes.len(),
        }
    }

    /// Returns whether no bytes are left to be copied.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether the memory is written.
    #[inline]
    pub fn is_write(&self) -> bool {
        matches!(self, CopyBuffer::Write(_))
    }

    /// Returns the same buffer with a shorter lifetime.
    #[inline]
    pub fn reborrow(&mut self) -> CopyBuffer<'_> {
        match self {
            CopyBuffer::Read(bytes) => CopyBuffer::Read(bytes),
            CopyBuffer::Write(bytes) => CopyBuffer::Write(bytes),
        }
    }

    /// Splits off the first `count` bytes, or all if there are fewer, and returns them.
    #[inline]
    pub fn take_front(&mut self, count: usize) -> CopyBuffer<'a> {
        let count = count.min(self.len());

        match self {
            CopyBuffer::Read(bytes) => {
                let (front, rest) = core::mem::take(bytes).split_at_mut(count);
                *bytes = rest;
                CopyBuffer::Read(front)
            }
            CopyBuffer::Write(bytes) => {
                let (front, rest) = bytes.split_at(count);
                *bytes = rest;
                CopyBuffer::Write(front)
            }
        }
    }
}

impl UserMemory {
    /// Copies `data.len()` bytes through the page tables of the process, from byte `start` on,
    /// counted from the start of page 0.
    ///
    /// The caller must be the process itself or, with `kthread`, a kernel thread, which uses the
    /// address space of the process for the duration of the copy. Returns `None`, without copying,
    /// for any other caller and if the process has exited.
    ///
    /// # Errors
    ///
    /// `EFAULT` if a page is not there or may not be written. Bytes before it may have been copied.
    #[inline]
    pub fn copy(&self, start: usize, data: CopyBuffer<'_>, kthread: bool) -> Option<Result> {
        let _borrowed = match self.is_current() {
            true => None,
            false if kthread => Some(BorrowedMm::new(self)?),
            false => return None,
        };
        if should_fail() {
            return Some(Err(EINVAL));
        }
        let address = UserPtr::from_addr(self.base().wrapping_add(start));
        let user = UserSlice::new(address, data.len());

        Some(match data {
            CopyBuffer::Read(bytes) => user.reader().read_slice(bytes),
            CopyBuffer::Write(bytes) => user.writer().write_slice(bytes),
        })
    }

    /// Copies `data.len()` bytes that lie in one page of any process, from byte `start` on, counted
    /// from the start of page 0.
    ///
    /// Returns `None`, without copying, if the process has exited.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the bytes lie in several pages; `EFAULT` if the page is not there or may not be
    /// written; else the error of pinning it.
    #[inline]
    pub fn copy_page(&self, start: usize, data: CopyBuffer<'_>) -> Option<Result> {
        let mm = self.address_space()?;
        let address = self.base().wrapping_add(start);

        if data.len() > PAGE_SIZE - (address & !PAGE_MASK) {
            return Some(Err(EINVAL));
        }
        let flags = match data.is_write() {
            true => bindings::FOLL_WRITE,
            false => 0,
        };
        let mut page: Page = core::ptr::null_mut();
        let unlocked = core::ptr::null_mut();

        let guard = mm.mmap_read_lock();
        // SAFETY: `page` has room for the one pointer that is asked for. `guard` holds the mmap
        // lock, and a null `locked` argument keeps it held. `mm` is alive, because `address_space`
        // returned a reference.
        let pinned = unsafe {
            bindings::pin_user_pages_remote(
                mm.as_raw(),
                address & PAGE_MASK,
                1,
                flags,
                &mut page,
                unlocked,
            )
        };
        drop(guard);
        if pinned != 1 {
            return Some(Err(match pinned {
                0 => EINVAL,
                errno => Error::from_errno(errno as c_int),
            }));
        }
        // SAFETY: The page was pinned just now, and is unpinned only below. It was checked above
        // that the bytes lie in it.
        unsafe { copy_in_page(page, address & !PAGE_MASK, data) };
        // SAFETY: The pin was taken above, and the page is not used after this.
        unsafe { bindings::unpin_user_page(page) };
        Some(Ok(()))
    }
}

/// The use of the address space of a process by a kernel thread, until it is dropped.
///
/// # Invariants
///
/// The current task is a kernel thread that has called `kthread_use_mm()` for this address space,
/// and used none before.
struct BorrowedMm(ARef<MmWithUser>, NotThreadSafe);

impl BorrowedMm {
    /// Starts to use the address space of `memory`. Returns `None` if the process has exited, the
    /// caller is not a kernel thread, or it uses an address space already.
    fn new(memory: &UserMemory) -> Option<Self> {
        let current = kernel::current!();
        // SAFETY: The current task is valid. Only the task itself changes its flags, so this read
        // does not race.
        let flags = unsafe { (*current.as_ptr()).flags };

        if flags & bindings::PF_KTHREAD == 0 || current.mm().is_some() {
            return None;
        }
        let mm = memory.address_space()?;
        // SAFETY: It was checked above that the current task is a kernel thread without an address
        // space. `mm` holds a reference to one that is in use.
        unsafe { bindings::kthread_use_mm(mm.as_raw()) };
        // INVARIANT: `kthread_use_mm()` was called just now, by a kernel thread that used no
        // address space.
        Some(Self(mm, NotThreadSafe))
    }
}

impl Drop for BorrowedMm {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the current task uses this address space. The value is not
        // `Send`, so this is the task that called `kthread_use_mm()`.
        unsafe { bindings::kthread_unuse_mm(self.0.as_raw()) };
    }
}

/// Copies `data.len()` bytes of a run of pages, from `offset` bytes into the first page on. Marks
/// pages dirty that are written.
///
/// # Safety
///
/// The pages are pinned during the call, and the bytes lie in them.
pub unsafe fn copy_run(run: PfnRun, offset: usize, mut data: CopyBuffer<'_>) {
    let mut pfn = run.pfn + offset / PAGE_SIZE;
    let mut offset = offset % PAGE_SIZE;

    debug_assert!(pfn * PAGE_SIZE + offset + data.len() <= (run.pfn + run.count) * PAGE_SIZE);
    while !data.is_empty() {
        // SAFETY: The caller promises that the bytes lie in pinned pages. Only pages with a `struct
        // page` can be pinned.
        let page = unsafe { bindings::kernel_ext_pfn_to_page(pfn) };
        let part = data.take_front(PAGE_SIZE - offset);

        // SAFETY: The caller promises that the page is pinned. `take_front` cuts the part at the
        // end of the page.
        unsafe { copy_in_page(page, offset, part) };
        pfn += 1;
        offset = 0;
    }
}

/// Copies `data.len()` bytes of one page, from `offset` on. Marks the page dirty if it is written.
///
/// # Safety
///
/// The page is pinned during the call, and the bytes lie in it.
unsafe fn copy_in_page(page: Page, offset: usize, data: CopyBuffer<'_>) {
    match data {
        CopyBuffer::Read(bytes) => {
            let (to, length) = (bytes.as_mut_ptr().cast(), bytes.len());
            // SAFETY: The caller promises that the page is pinned and the bytes lie in it. `to`
            // points to `length` bytes that are borrowed mutably.
            unsafe { bindings::kernel_ext_copy_from_page(to, page, offset, length) };
        }
        CopyBuffer::Write(bytes) => {
            let (from, length) = (bytes.as_ptr().cast(), bytes.len());
            // SAFETY: The caller promises that the page is pinned and the bytes lie in it. `from`
            // points to `length` initialised bytes.
            unsafe { bindings::kernel_ext_copy_to_page(page, offset, from, length) };
            // SAFETY: The caller promises that the page is pinned, so it is valid.
            unsafe { bindings::set_page_dirty_lock(page) };
        }
    }
}
