// SPDX-License-Identifier: GPL-2.0

//! Memory that is shared by IO page tables and by users in the kernel.
//!
//! [`SharedPages`] is a range of memory, divided into pages that are counted from zero. A
//! [`Mapping`] maps a part of it in page tables, at a range of IOVA; users in the kernel pin single
//! pages of it. Mappings and users may overlap, and may come and go in any order. Each page is
//! pinned and charged once while at least one of them holds it.
//!
//! This makes DMA mappings safe to use: a page is unpinned after it has been removed from every
//! page table and flushed from the IOTLB, never before, and only this module changes the ranges
//! that its page tables map in between.
//!
//! ```text
//! SharedPages ─┬─ PinnedPages   memory of a process or a file: pinned page by page
//!              │    held_ranges   the holders of each page, as ranges
//!              │    frames        lists of page frames
//!              │    kernel_use    users in the kernel
//!              │    kernel_pins   the pins of such users, as values that own them
//!              │    fast_path     mapping and unmapping a single page or run
//!              └─ DevicePages   memory of a device behind a dma-buf, which may be revoked
//! window       a part of either, as page tables map it
//! windows      all windows, found by page
//! ```

mod deferred_charge;
mod device;
mod fast_path;
mod frames;
mod held_ranges;
mod kernel_pins;
mod kernel_use;
mod mapping;
mod pinned;
mod release;
mod window;
mod windows;

pub use kernel_pins::{KernelPins, PinRequest};
pub use kernel_use::CopyPath;
pub use mapping::{Mapping, NotMapped};
pub use window::View;

use crate::{
    dma_buf::DmaBuf,
    mm::{Account, Charge, CopyBuffer, Memory, UserMemory},
};
use device::DevicePages;
use kernel::{
    device::Device,
    prelude::*,
    sync::{aref::ARef, Arc},
};
use pinned::PinnedPages;

/// The origin of the memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PagesKind {
    /// Memory of a process.
    User,
    /// A file whose contents are memory, such as a memfd.
    File,
    /// Memory of a device, imported as a dma-buf.
    DmaBuf,
}

/// A counted reference to shared memory.
///
/// # Examples
///
/// ```ignore
/// let account = Account::current(|| ChargeMode::User, &reports)?;
/// let pages = SharedPages::of_caller(address, length, true, account)?;
///
/// // Pins the first two pages, and reads their first bytes.
/// let mut pointers = [core::ptr::null_mut(); 2];
/// // SAFETY: The array outlives the slots.
/// let mut request = PinRequest::new(unsafe { PageSlots::new(pointers.as_mut_ptr(), 2) });
/// request.pin(&pages, 0, 2)?;
/// let pins = request.finish()?;
/// let mut bytes = [0; 16];
/// pages.copy(0, CopyBuffer::Read(&mut bytes), CopyPath::Caller)?;
/// drop(pins);
/// ```
#[derive(Clone)]
pub struct SharedPages(Pages);

#[derive(Clone)]
enum Pages {
    Pinned(ARef<PinnedPages>),
    Device(Arc<DevicePages>),
}

impl SharedPages {
    /// Creates a reference to `length` bytes at `address` in the calling process. Pinned pages are
    /// charged to `account`.
    ///
    /// # Errors
    ///
    /// Those of [`UserMemory::current`]; `ENOMEM`.
    pub fn of_caller(
        address: usize,
        length: usize,
        writable: bool,
        account: Account,
    ) -> Result<Self> {
        let memory = UserMemory::current(address, length, writable)?;
        let pages = PinnedPages::new(Memory::User(memory), account)?;

        Ok(Self(Pages::Pinned(pages)))
    }

    /// Creates a reference to memory of a process or a file. Pinned pages are charged to `account`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn pinned(memory: Memory, account: Account) -> Result<Self> {
        Ok(Self(Pages::Pinned(PinnedPages::new(memory, account)?)))
    }

    /// Creates a reference to `length` bytes from offset `start` on of a dma-buf, and attaches
    /// `importer` to it.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a range beyond the buffer; `EOPNOTSUPP` if the exporter does not report
    /// physical addresses; `ENODEV` if the memory is revoked; `ENOMEM`.
    pub fn dma_buf(
        buffer: DmaBuf,
        importer: &Device,
        start: usize,
        length: usize,
        writable: bool,
    ) -> Result<Self> {
        let pages = DevicePages::new(buffer, importer, start, length, writable)?;

        Ok(Self(Pages::Device(Arc::new(pages, GFP_KERNEL_ACCOUNT)?)))
    }

    /// Returns the origin of the memory.
    pub fn kind(&self) -> PagesKind {
        match &self.0 {
            Pages::Pinned(pages) => match pages.memory {
                Memory::User(_) => PagesKind::User,
                Memory::File(_) => PagesKind::File,
            },
            Pages::Device(_) => PagesKind::DmaBuf,
        }
    }

    /// Returns the number of pages.
    #[inline]
    pub fn npages(&self) -> usize {
        match &self.0 {
            Pages::Pinned(pages) => pages.memory.npages(),
            Pages::Device(pages) => pages.npages,
        }
    }

    /// Returns whether devices may write the memory.
    pub fn writable(&self) -> bool {
        match &self.0 {
            Pages::Pinned(pages) => pages.memory.writable(),
            Pages::Device(pages) => pages.writable,
        }
    }

    /// Returns the user address of page 0, or its offset in the file or buffer, in bytes.
    pub fn base(&self) -> u64 {
        match &self.0 {
            Pages::Pinned(pages) => pages.memory.base(),
            Pages::Device(pages) => pages.base as u64,
        }
    }

    fn kernel_memory(&self) -> Result<&PinnedPages> {
        match &self.0 {
            Pages::Pinned(pages) => Ok(pages),
            Pages::Device(_) => Err(EINVAL),
        }
    }

    /// Copies between `data` and the memory from byte `start` on, counted from the start of page 0.
    /// The caller has checked that the range lies within the pages.
    ///
    /// # Errors
    ///
    /// `EINVAL` for memory of a device; `EPERM` for a write to read-only memory; `EFAULT` if a page
    /// is not there; else the error of pinning.
    pub fn copy(&self, start: usize, data: CopyBuffer<'_>, path: CopyPath) -> Result {
        self.kernel_memory()?.copy(start, data, path)
    }

    /// Runs `f` with the charge for pinned pages and with a flag that belongs to the caller, under
    /// the lock that protects both. Returns `None` for memory of a device, which is not charged.
    pub fn with_charge<R>(&self, f: impl FnOnce(&mut Charge, &mut bool) -> R) -> Option<R> {
        let mut state = self.kernel_memory().ok()?.state.lock();
        let state = &mut *state;

        Some(f(state.charge.get_mut(), &mut state.counted))
    }
}
