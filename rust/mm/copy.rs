// SPDX-License-Identifier: GPL-2.0

//! Copying between the kernel and memory that is, or could be, pinned.
//!
//! The fast ways go through the page tables of the process, as a system call of it would. They see
//! what the process sees now, which after `munmap()` or the like is not what a device sees.

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

/// The kernel's side of a copy, and its direction.
pub enum CopyBuffer<'a> {
    /// Memory is read; the bytes go here.
    Read(&'a mut [u8]),
    /// Memory is written, with these bytes.
    Write(&'a [u8]),
}

impl<'a> CopyBuffer<'a> {
    /// How many bytes are to be copied.
    pub fn len(&self) -> usize {
        match self {
            CopyBuffer::Read(bytes) => bytes.len(),
            CopyBuffer::Write(bytes) => bytes.len(),
        }
    }

    /// Whether nothing is left to be copied.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether memory is written.
    pub fn is_write(&self) -> bool {
        matches!(self, CopyBuffer::Write(_))
    }

    /// The same, for a while.
    pub fn reborrow(&mut self) -> CopyBuffer<'_> {
        match self {
            CopyBuffer::Read(bytes) => CopyBuffer::Read(bytes),
            CopyBuffer::Write(bytes) => CopyBuffer::Write(bytes),
        }
    }

    /// Cuts the first `count` bytes off, or all if there are fewer.
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
    /// Copies through the page tables of the process: `data.len()` bytes at `start`, in bytes from
    /// the beginning of page 0.
    ///
    /// Works for the process itself and, with `kthread`, for a kernel thread, which uses the
    /// process's memory for so long; else, and once the process has exited, the answer is `None`
    /// and nothing was copied.
    ///
    /// # Errors
    ///
    /// `EFAULT` where there is no memory or it may not be written.
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

    /// Copies bytes of one page of any process: `data.len()` bytes at `start`, in bytes from the
    /// beginning of page 0.
    ///
    /// Once the process has exited, the answer is `None` and nothing was copied.
    ///
    /// # Errors
    ///
    /// `EFAULT` where there is no memory or it may not be written, or what else pinning it gives.
    pub fn copy_page(&self, start: usize, data: CopyBuffer<'_>) -> Option<Result> {
        let mm = self.address_space()?;
        let address = self.base().wrapping_add(start);
        let flags = match data.is_write() {
            true => bindings::FOLL_WRITE,
            false => 0,
        };
        let mut page: Page = core::ptr::null_mut();
        let unlocked = core::ptr::null_mut();

        let guard = mm.mmap_read_lock();
        // SAFETY: There is room for one pointer; the mmap lock is held and stays so.
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
        // SAFETY: The page was pinned just now.
        unsafe { copy_in_page(page, address & !PAGE_MASK, data) };
        // SAFETY: As above, and this was its last use.
        unsafe { bindings::unpin_user_page(page) };
        Some(Ok(()))
    }
}

/// A kernel thread uses the memory of a process.
///
/// # Invariants
///
/// The current task is a kernel thread that uses this address space and did not use any before.
struct BorrowedMm(ARef<MmWithUser>, NotThreadSafe);

impl BorrowedMm {
    /// `None` if the process has exited, or the caller is no kernel thread or uses some memory
    /// already.
    fn new(memory: &UserMemory) -> Option<Self> {
        let current = kernel::current!();
        // SAFETY: The task is the current one; whether it is a kernel thread never changes.
        let flags = unsafe { (*current.as_ptr()).flags };

        if flags & bindings::PF_KTHREAD == 0 || current.mm().is_some() {
            return None;
        }
        let mm = memory.address_space()?;
        // SAFETY: The caller is a kernel thread without memory, and the address space is alive.
        unsafe { bindings::kthread_use_mm(mm.as_raw()) };
        // INVARIANT: It is used now.
        Some(Self(mm, NotThreadSafe))
    }
}

impl Drop for BorrowedMm {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is in use, by this task.
        unsafe { bindings::kthread_unuse_mm(self.0.as_raw()) };
    }
}

/// Copies bytes of a run of pages, from `offset` bytes into the first page on, and marks pages that
/// are written dirty.
///
/// # Safety
///
/// The pages are pinned. The bytes lie in them.
pub unsafe fn copy_run(run: PfnRun, offset: usize, mut data: CopyBuffer<'_>) {
    let mut pfn = run.pfn + offset / PAGE_SIZE;
    let mut offset = offset % PAGE_SIZE;

    debug_assert!(pfn * PAGE_SIZE + offset + data.len() <= (run.pfn + run.count) * PAGE_SIZE);
    while !data.is_empty() {
        // SAFETY: Pinned memory has page structures.
        let page = unsafe { bindings::kernel_ext_pfn_to_page(pfn) };
        let part = data.take_front(PAGE_SIZE - offset);

        // SAFETY: The caller vouches for the page; the part ends with it at the latest.
        unsafe { copy_in_page(page, offset, part) };
        pfn += 1;
        offset = 0;
    }
}

/// Copies bytes of one page, and marks it dirty if it is written.
///
/// # Safety
///
/// The page is pinned, and the bytes lie in it.
unsafe fn copy_in_page(page: Page, offset: usize, data: CopyBuffer<'_>) {
    match data {
        CopyBuffer::Read(bytes) => {
            let (to, length) = (bytes.as_mut_ptr().cast(), bytes.len());
            // SAFETY: The caller vouches for the page, and `bytes` has so much room.
            unsafe { bindings::kernel_ext_copy_from_page(to, page, offset, length) };
        }
        CopyBuffer::Write(bytes) => {
            let (from, length) = (bytes.as_ptr().cast(), bytes.len());
            // SAFETY: The caller vouches for the page, and `bytes` has so many bytes.
            unsafe { bindings::kernel_ext_copy_to_page(page, offset, from, length) };
            // SAFETY: The page is pinned.
            unsafe { bindings::set_page_dirty_lock(page) };
        }
    }
}
