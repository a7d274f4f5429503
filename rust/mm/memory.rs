// SPDX-License-Identifier: GPL-2.0

//! Memory that can be pinned: a range of the memory of a process, or of a file whose contents are
//! memory.
//!
//! These types describe memory. They do not pin or charge pages.

use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    error::to_result,
    mm::{Mm, MmWithUser},
    page::{PAGE_MASK, PAGE_SIZE},
    prelude::*,
    sync::aref::ARef,
};

/// Returns the number of pages that `length` bytes lie in, the first of which is `offset` bytes
/// into its page.
///
/// The sum does not overflow, because the constructors call [`check_length`].
fn pages_of(offset: usize, length: usize) -> usize {
    (offset + length).div_ceil(PAGE_SIZE)
}

/// Checks that `length` is not zero and can be rounded up to pages.
fn check_length(length: usize) -> Result {
    if length == 0 || length > usize::MAX - PAGE_SIZE {
        return Err(EINVAL);
    }
    Ok(())
}

/// A range of the memory of a process.
///
/// Holds a reference to the `mm_struct`, but not to its users, so that pinning fails once the
/// process has exited.
pub struct UserMemory {
    mm: ARef<Mm>,
    /// User address of the first byte.
    address: usize,
    /// Length in bytes; not zero, and not past the end of the address space.
    length: usize,
    writable: bool,
}

impl UserMemory {
    /// Describes `length` bytes at `address` in the calling process.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `length` is zero or too large; `EOVERFLOW` if the range exceeds the address
    /// space; `EFAULT` if the caller has no address space (a kernel thread).
    #[inline]
    pub fn current(address: usize, length: usize, writable: bool) -> Result<Self> {
        address.checked_add(length).ok_or(EOVERFLOW)?;
        check_length(length)?;
        Ok(Self {
            mm: ARef::from(&**kernel::current!().mm().ok_or(EFAULT)?),
            address,
            length,
            writable,
        })
    }

    /// Returns the user address of the first byte.
    pub fn address(&self) -> usize {
        self.address
    }

    /// Returns the length in bytes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Returns the offset of the first byte in its page.
    pub fn offset(&self) -> usize {
        self.address & !PAGE_MASK
    }

    /// Returns the number of pages that the bytes lie in.
    pub fn npages(&self) -> usize {
        pages_of(self.offset(), self.length)
    }

    /// Returns whether the pages are pinned for writing.
    pub fn writable(&self) -> bool {
        self.writable
    }

    /// Returns the user address of page 0.
    pub(super) fn base(&self) -> usize {
        self.address & PAGE_MASK
    }

    /// Returns the address space, or `None` if the process has exited.
    pub(super) fn address_space(&self) -> Option<ARef<MmWithUser>> {
        self.mm.mmget_not_zero()
    }

    /// Returns whether this is memory of the calling process.
    #[inline(always)]
    pub(super) fn is_current(&self) -> bool {
        kernel::current!()
            .mm()
            .is_some_and(|mm| core::ptr::eq(mm.as_raw(), self.mm.as_raw()))
    }
}

/// An open file of which only the contents are used.
///
/// # Invariants
///
/// `file` is valid, and this value owns one reference to it. If `counts_as_writable`, this value is
/// one of the writable mappings that are counted for the contents of the file.
struct OpenFile {
    file: NonNull<bindings::file>,
    counts_as_writable: bool,
}

// SAFETY: References to files may be dropped on any thread. The file position, which a task may
// hold without a lock (`fdget_pos()`), is not used here.
unsafe impl Send for OpenFile {}
// SAFETY: A `&OpenFile` only gives out the pointer. The functions that take it may run on several
// threads for one file.
unsafe impl Sync for OpenFile {}

impl OpenFile {
    /// Returns the file that is open as `fd` in the calling process.
    ///
    /// # Errors
    ///
    /// `EBADF` if no file is open as `fd`.
    fn from_fd(fd: i32) -> Result<Self> {
        // SAFETY: `fget()` accepts any number, and returns null unless a file is open as it.
        let file = NonNull::new(unsafe { bindings::fget(fd as c_uint) }).ok_or(EBADF)?;

        // INVARIANT: `fget()` has taken a reference, which the new value owns.
        Ok(Self {
            file,
            counts_as_writable: false,
        })
    }

    /// Counts this value as a writable mapping of the file, so that the file cannot be sealed
    /// against writing as long as the value exists. Has no effect on a file whose contents are not
    /// memory, which cannot be pinned.
    ///
    /// # Errors
    ///
    /// `EPERM` if the file was not opened for writing, or is sealed against writing.
    fn count_as_writable(&mut self) -> Result {
        const WRITE_SEALS: u32 = bindings::F_SEAL_WRITE | bindings::F_SEAL_FUTURE_WRITE;
        let file = self.file.as_ptr();
        // SAFETY: By the type invariant the file is valid.
        let seals = unsafe { bindings::kernel_ext_memory_file_seals(file) };
        let Ok(seals) = u32::try_from(seals) else {
            return Ok(());
        };

        // SAFETY: By the type invariant the file is valid.
        if seals & WRITE_SEALS != 0 || !unsafe { bindings::kernel_ext_file_is_writable(file) } {
            return Err(EPERM);
        }
        // SAFETY: By the type invariant the file is valid.
        to_result(unsafe { bindings::kernel_ext_file_map_writable(file) })?;
        // INVARIANT: The call has counted this value as a writable mapping.
        self.counts_as_writable = true;
        Ok(())
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if self.counts_as_writable {
            // SAFETY: By the type invariant the file is valid, and this value is counted as a
            // writable mapping, once.
            unsafe { bindings::kernel_ext_file_unmap_writable(self.file.as_ptr()) };
        }
        // SAFETY: By the type invariant this value owns a reference, which is not used after this.
        unsafe { bindings::fput(self.file.as_ptr()) };
    }
}

/// A range of a file whose contents are memory: a memfd, or a file in tmpfs or hugetlbfs.
///
/// The kind of the file is checked when it is pinned. While a device may write to the memory of a
/// memfd, the memfd cannot be sealed with `F_SEAL_WRITE`, just as while a process has a writable
/// shared mapping of it.
pub struct FileMemory {
    file: OpenFile,
    /// Offset of the first byte in the file.
    start: u64,
    /// Length in bytes; not zero, and not past the largest offset.
    length: usize,
    writable: bool,
}

impl FileMemory {
    /// Describes `length` bytes from offset `start` on of the file that is open as `fd` in the
    /// calling process.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `length` is zero or too large; `EOVERFLOW` if the range exceeds the largest
    /// offset; `EBADF` if no file is open as `fd`; `EPERM` if `writable`, and the file is memory
    /// that was not opened for writing or is sealed against writing.
    pub fn from_fd(fd: i32, start: u64, length: usize, writable: bool) -> Result<Self> {
        let before_last = length.checked_sub(1).ok_or(EINVAL)? as u64;

        start.checked_add(before_last).ok_or(EOVERFLOW)?;
        let mut file = OpenFile::from_fd(fd)?;

        check_length(length)?;
        if writable {
            file.count_as_writable()?;
        }
        Ok(Self {
            file,
            start,
            length,
            writable,
        })
    }

    /// Returns the offset of the first byte in the file.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Returns the length in bytes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Returns the offset of the first byte in its page.
    pub fn offset(&self) -> usize {
        // CAST: The value is less than a page.
        (self.start & (PAGE_SIZE as u64 - 1)) as usize
    }

    /// Returns the number of pages that the bytes lie in.
    pub fn npages(&self) -> usize {
        pages_of(self.offset(), self.length)
    }

    /// Returns whether devices may write the pages.
    pub fn writable(&self) -> bool {
        self.writable
    }

    /// Returns the offset of page 0 in the file.
    pub(super) fn base(&self) -> u64 {
        self.start - self.offset() as u64
    }

    /// Returns the file, which stays valid as long as `self`.
    pub(super) fn file(&self) -> *mut bindings::file {
        self.file.file.as_ptr()
    }
}

/// Memory of either kind that can be pinned.
pub enum Memory {
    /// Memory of a process.
    User(UserMemory),
    /// Memory of a file.
    File(FileMemory),
}

macro_rules! common {
    ($($(#[$meta:meta])* $name:ident -> $type:ty;)*) => { $(
        $(#[$meta])*
        pub fn $name(&self) -> $type {
            match self {
                Memory::User(memory) => memory.$name(),
                Memory::File(memory) => memory.$name(),
            }
        }
    )* };
}

impl Memory {
    common! {
        /// Returns the length in bytes.
        length -> usize;
        /// Returns the offset of the first byte in its page.
        offset -> usize;
        /// Returns the number of pages that the bytes lie in.
        npages -> usize;
        /// Returns whether devices may write the pages.
        writable -> bool;
    }

    /// Returns the location of the first byte: its user address, or its offset in the file.
    pub fn address(&self) -> u64 {
        match self {
            Memory::User(memory) => memory.address() as u64,
            Memory::File(memory) => memory.start(),
        }
    }

    /// Returns the location of page 0: its user address, or its offset in the file.
    pub fn base(&self) -> u64 {
        match self {
            Memory::User(memory) => memory.base() as u64,
            Memory::File(memory) => memory.base(),
        }
    }
}
