// SPDX-License-Identifier: GPL-2.0

//! Memory that can be pinned: a range of a process's memory, or of a file that is nothing but
//! memory.
//!
//! Nothing here pins or charges anything.

use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    error::to_result,
    mm::{Mm, MmWithUser},
    page::{PAGE_MASK, PAGE_SIZE},
    prelude::*,
    sync::aref::ARef,
};

/// The pages that `length` bytes lie in of which the first is `offset` bytes into its page.
///
/// The sum does not overflow: constructors see to that.
fn pages_of(offset: usize, length: usize) -> usize {
    (offset + length).div_ceil(PAGE_SIZE)
}

/// Whether `length` is what can be mapped at all.
fn check_length(length: usize) -> Result {
    if length == 0 || length > usize::MAX - PAGE_SIZE {
        return Err(EINVAL);
    }
    Ok(())
}

/// A range of a process's memory; pins nothing by itself.
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

impl UserMemory {
    /// `length` bytes at `address` of the calling process.
    ///
    /// # Errors
    ///
    /// `EINVAL` for no bytes or too many; `EOVERFLOW` if they pass the end of the address space;
    /// `EFAULT` if the caller has no memory.
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
        pages_of(self.offset(), self.length)
    }

    /// Whether pages are pinned for writing.
    pub fn writable(&self) -> bool {
        self.writable
    }

    /// The address where page 0 begins.
    pub(super) fn base(&self) -> usize {
        self.address & PAGE_MASK
    }

    /// The address space, unless the process has exited.
    pub(super) fn address_space(&self) -> Option<ARef<MmWithUser>> {
        self.mm.mmget_not_zero()
    }

    /// Whether this is the memory of the caller.
    pub(super) fn is_current(&self) -> bool {
        kernel::current!()
            .mm()
            .is_some_and(|mm| core::ptr::eq(mm.as_raw(), self.mm.as_raw()))
    }
}

/// An open file that is used for its contents alone.
///
/// # Invariants
///
/// `file` is valid, and this value owns one reference to it. If `counts_as_writable`, this value is one
/// of the writable mappings that the contents count.
struct OpenFile {
    file: NonNull<bindings::file>,
    counts_as_writable: bool,
}

// SAFETY: References to files may be given back on any thread, and nothing here uses what belongs
// to a thread, the position that a read or write of it may hold.
unsafe impl Send for OpenFile {}
// SAFETY: As above.
unsafe impl Sync for OpenFile {}

impl OpenFile {
    /// The file that the caller has open as `fd`.
    ///
    /// # Errors
    ///
    /// `EBADF` if there is no such file.
    fn from_fd(fd: i32) -> Result<Self> {
        // SAFETY: Any number may be looked up.
        let file = NonNull::new(unsafe { bindings::fget(fd as c_uint) }).ok_or(EBADF)?;

        // INVARIANT: The reference was taken just now.
        Ok(Self {
            file,
            counts_as_writable: false,
        })
    }

    /// Has the contents count this value as a writable mapping, so that they are not sealed against
    /// writing meanwhile. A file that is not memory is left alone: it cannot be pinned.
    ///
    /// # Errors
    ///
    /// `EPERM` if the file was not opened for writing, or is sealed against it.
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
        // INVARIANT: It has been counted.
        self.counts_as_writable = true;
        Ok(())
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if self.counts_as_writable {
            // SAFETY: By the type invariant the file is valid, and the contents count this value.
            unsafe { bindings::kernel_ext_file_unmap_writable(self.file.as_ptr()) };
        }
        // SAFETY: By the type invariant this value owns a reference.
        unsafe { bindings::fput(self.file.as_ptr()) };
    }
}

/// A range of a file whose contents are memory (a memfd, a file in tmpfs or hugetlbfs); pins
/// nothing by itself.
///
/// What kind of file it is shows when it is pinned. While a device may write the memory of a memfd, the
/// memfd cannot be sealed with `F_SEAL_WRITE`, as when a process has mapped it writable and shared.
pub struct FileMemory {
    file: OpenFile,
    /// Offset of the first byte in the file.
    start: u64,
    /// Length in bytes; not zero, and not past the largest offset.
    length: usize,
    writable: bool,
}

impl FileMemory {
    /// `length` bytes at offset `start` of the file that the caller has open as `fd`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for no bytes or too many; `EOVERFLOW` if they pass the largest offset; `EBADF` if
    /// there is no such file; `EPERM` if it is to be written and is memory, but was not opened for
    /// writing or is sealed against it.
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

    /// The offset of the first byte in the file.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The length in bytes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Where in its page the first byte lies.
    pub fn offset(&self) -> usize {
        // Less than a page.
        (self.start & (PAGE_SIZE as u64 - 1)) as usize
    }

    /// The number of pages that the bytes lie in.
    pub fn npages(&self) -> usize {
        pages_of(self.offset(), self.length)
    }

    /// Whether a device may write the pages.
    pub fn writable(&self) -> bool {
        self.writable
    }

    /// The offset in the file where page 0 begins.
    pub(super) fn base(&self) -> u64 {
        self.start - self.offset() as u64
    }

    /// The file, as long as `self` lives.
    pub(super) fn file(&self) -> *mut bindings::file {
        self.file.file.as_ptr()
    }
}

/// Memory that can be pinned, whatever kind it is of.
pub enum Memory {
    /// Of a process.
    User(UserMemory),
    /// Of a file.
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
        /// The length in bytes.
        length -> usize;
        /// Where in its page the first byte lies.
        offset -> usize;
        /// The number of pages that the bytes lie in.
        npages -> usize;
        /// Whether a device may write the pages.
        writable -> bool;
    }

    /// Where the first byte is: a user address, or an offset in the file.
    pub fn address(&self) -> u64 {
        match self {
            Memory::User(memory) => memory.address() as u64,
            Memory::File(memory) => memory.start(),
        }
    }

    /// Where page 0 begins: a user address, or an offset in the file.
    pub fn base(&self) -> u64 {
        match self {
            Memory::User(memory) => memory.base() as u64,
            Memory::File(memory) => memory.base(),
        }
    }
}
