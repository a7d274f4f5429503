// SPDX-License-Identifier: GPL-2.0

//! Memory that IO page tables and users in the kernel share.
//!
//! [`SharedPages`] is a range of memory in pages, counted from zero. Page tables show parts of it at
//! ranges of IOVA, each part a [`Mapping`], and users in the kernel hold single pages. All of them may
//! overlap, come and go in any order; each page is pinned and charged once as long as anybody has it.
//! That is what makes DMA mappings safe to use: memory is unpinned after every page table has let go
//! of it, never before, and nobody else can touch what the page tables hold in between.
//!
//! ```text
//! SharedPages ─┬─ PinnedPages   memory of a process or a file: pinned page by page
//!              │    held_ranges   who holds which pages, cut where somebody's range begins or ends
//!              │    frames        lists of page frames
//!              │    kernel_use    users in the kernel
//!              │    fast_path     the short way in and out
//!              └─ DevicePages   memory of a device behind a dma-buf, which may be revoked
//! window       what page tables show of either
//! windows      all of that, found by page
//! ```

mod deferred_charge;
mod device;
mod fast_path;
mod frames;
mod held_ranges;
mod kernel_use;
mod mapping;
mod pinned;
mod release;
mod window;
mod windows;

pub use kernel_use::CopyPath;
pub use mapping::{Mapping, NotMapped};
pub use window::View;

use crate::{
    dma_buf::DmaBuf,
    mm::{Charge, ChargeMode, CopyBuffer, Memory, PageSlots, Payer, UserMemory},
};
use device::DevicePages;
use kernel::{
    device::Device,
    prelude::*,
    sync::{aref::ARef, Arc},
};
use pinned::PinnedPages;

/// Where memory comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PagesKind {
    /// A process.
    User,
    /// A file in memory.
    File,
    /// A device, by way of a dma-buf.
    DmaBuf,
}

/// A reference to memory that many share.
#[derive(Clone)]
pub struct SharedPages(Pages);

#[derive(Clone)]
enum Pages {
    Pinned(ARef<PinnedPages>),
    Device(Arc<DevicePages>),
}

impl SharedPages {
    /// `length` bytes at `address` of the calling process, for which it pays: against `limit`, unless it
    /// may lock as much as it likes.
    ///
    /// # Errors
    ///
    /// Those of [`UserMemory::current`]; `ENOMEM`.
    pub fn of_caller(
        address: usize,
        length: usize,
        writable: bool,
        limit: ChargeMode,
    ) -> Result<Self> {
        let memory = UserMemory::current(address, length, writable)?;
        let payer = Payer::current(limit)?;
        let pages = PinnedPages::new(Memory::User(memory), payer)?;

        Ok(Self(Pages::Pinned(pages)))
    }

    /// Memory of a process or a file, for which `payer` pays as far as it is pinned.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn pinned(memory: Memory, payer: Payer) -> Result<Self> {
        Ok(Self(Pages::Pinned(PinnedPages::new(memory, payer)?)))
    }

    /// `length` bytes from `start` on of a dma-buf, which the device `importer` attaches to.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a range beyond the buffer; `EOPNOTSUPP` if its exporter does not tell where the
    /// memory is, `ENODEV` if it is revoked; `ENOMEM`.
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

    /// Where it comes from.
    pub fn kind(&self) -> PagesKind {
        match &self.0 {
            Pages::Pinned(pages) => match pages.memory {
                Memory::User(_) => PagesKind::User,
                Memory::File(_) => PagesKind::File,
            },
            Pages::Device(_) => PagesKind::DmaBuf,
        }
    }

    /// How many pages there are.
    #[inline]
    pub fn npages(&self) -> usize {
        match &self.0 {
            Pages::Pinned(pages) => pages.memory.npages(),
            Pages::Device(pages) => pages.npages,
        }
    }

    /// Whether it may be written.
    pub fn writable(&self) -> bool {
        match &self.0 {
            Pages::Pinned(pages) => pages.memory.writable(),
            Pages::Device(pages) => pages.writable,
        }
    }

    /// The address of page 0 in the process, or its offset in the file or buffer.
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

    /// Pins pages from page `first` on for the kernel, as many as `out` has slots.
    ///
    /// # Errors
    ///
    /// `EINVAL` for memory of a device; else what pinning or charging reports. Nothing has changed
    /// then.
    pub fn pin(&self, first: usize, out: PageSlots<'_>) -> Result {
        self.kernel_memory()?.pin(first, out)
    }

    /// Undoes [`pin`](Self::pin) for the same pages. False, and nothing has changed, if they were not
    /// pinned.
    pub fn unpin(&self, first: usize, count: usize) -> bool {
        self.kernel_memory()
            .is_ok_and(|pages| pages.unpin(first, count))
    }

    /// Copies bytes from `start` on, counted from the start of page 0, of which there are enough.
    ///
    /// # Errors
    ///
    /// `EINVAL` for memory of a device; `EPERM` for a write to memory that may not be written;
    /// `EFAULT` where there is none; else what pinning reports.
    pub fn copy(&self, start: usize, data: CopyBuffer<'_>, path: CopyPath) -> Result {
        self.kernel_memory()?.copy(start, data, path)
    }

    /// Runs `f` with the charge for pinned pages, and with a mark that is left for the caller.
    pub fn with_charge<R>(&self, f: impl FnOnce(&mut Charge, &mut bool) -> R) -> Option<R> {
        let mut state = self.kernel_memory().ok()?.state.lock();
        let state = &mut *state;

        Some(f(state.bill.charge(), &mut state.counted))
    }
}
