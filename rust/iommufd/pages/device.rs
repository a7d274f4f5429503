// SPDX-License-Identifier: GPL-2.0

//! Memory of a device that somebody has exported as a dma-buf, and may revoke.
//!
//! It is one range of physical addresses, not pinned page by page but as a whole. When it is revoked,
//! its windows stay and show nothing any more. Lock order: the reservation lock of the dma-buf, which
//! the exporter holds while it revokes, then the lock here; so this lock is none of those of pinned
//! pages, below which memory management's locks are taken.

use super::{
    window::Window,
    windows::{WindowId, Windows},
};
use crate::{
    dma_buf::{Attachment, DmaBuf, Importer, PhysRange},
    iommu::MemoryKind,
    mm::PfnRun,
    table::Table,
};
use core::ops::Range;
use kernel::{
    device::Device,
    new_mutex,
    page::{PAGE_SHIFT, PAGE_SIZE},
    prelude::*,
    sync::{Arc, Mutex},
};

/// A range of a dma-buf.
pub(super) struct DevicePages {
    /// Goes first: after that nobody revokes any more.
    _attachment: Attachment<Shown>,
    shown: Arc<Shown>,
    /// Offset of page 0 in the buffer, in bytes; a multiple of the page size.
    pub(super) base: usize,
    pub(super) npages: usize,
    pub(super) writable: bool,
}

/// Where the memory is, and what shows it.
#[pin_data]
struct Shown {
    /// Offset of page 0 in the buffer, in pages.
    first: usize,
    #[pin]
    state: Mutex<State>,
}

/// # Invariants
///
/// The tables of each window show all of its view if there is `memory`, else nothing.
struct State {
    /// The whole buffer; `None` once it is revoked.
    memory: Option<PhysRange>,
    windows: Windows<Window>,
}

impl Importer for Shown {
    fn attached(&self, memory: PhysRange) {
        self.state.lock().memory = Some(memory);
    }

    fn revoked(&self) {
        let mut state = self.state.lock();

        if state.memory.take().is_none() {
            return;
        }
        state
            .windows
            .for_each(|window| empty(window, window.view.pages()));
    }
}

/// Takes pages out of all tables of a window.
fn empty(window: &Window, pages: Range<usize>) {
    let bytes = window.view.bytes(pages);
    // SAFETY: By the invariant of `State` the tables show them, and memory of a device is one run.
    // A table that does not let go of it is the fault of its driver, which has warned.
    let _ = unsafe { window.view.unmap(window.tables.iter(), bytes) };
}

impl DevicePages {
    /// `length` bytes from `start` on of a dma-buf, which the device `importer` attaches to.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a range beyond the buffer; `EOPNOTSUPP` if its exporter does not tell where the
    /// memory is; what the exporter reports; `ENOMEM`.
    pub(super) fn new(
        buffer: DmaBuf,
        importer: &Device,
        start: usize,
        length: usize,
        writable: bool,
    ) -> Result<Self> {
        let last = start.checked_add(length).and_then(|end| end.checked_sub(1));

        if last.is_none_or(|last| last >= buffer.size()) {
            return Err(EINVAL);
        }
        let first = start >> PAGE_SHIFT;
        let shown = Arc::pin_init(
            try_pin_init!(Shown {
                first,
                // INVARIANT: There is no window.
                state <- new_mutex!(State {
                    memory: None,
                    windows: Windows::new(),
                }, "DevicePages::state"),
            }? Error),
            GFP_KERNEL_ACCOUNT,
        )?;

        Ok(Self {
            _attachment: Attachment::new(buffer, importer, shown.clone())?,
            shown,
            base: first << PAGE_SHIFT,
            npages: (start % PAGE_SIZE + length).div_ceil(PAGE_SIZE),
            writable,
        })
    }

    /// Opens a window; it shows nothing if the memory is revoked.
    ///
    /// # Errors
    ///
    /// What a page table reports. Nothing has changed then.
    pub(super) fn open(&self, window: Window) -> Result<WindowId> {
        let mut state = self.shown.state.lock();
        let room = state.windows.room()?;

        self.shown.fill(&state, &window, window.tables.iter())?;
        Ok(state.windows.put(room, window))
    }

    /// Closes a window.
    pub(super) fn close(&self, id: WindowId) {
        let mut state = self.shown.state.lock();

        if let Some(window) = state.windows.take(id) {
            if state.memory.is_some() {
                empty(&window, window.view.pages());
            }
        }
    }

    /// Fills one more table of a window.
    ///
    /// # Errors
    ///
    /// What the table reports, or `ENOMEM`. Nothing has changed then.
    pub(super) fn add_table(&self, id: WindowId, table: &Table) -> Result {
        let mut state = self.shown.state.lock();

        state.windows.get_mut(id).ok_or(EINVAL)?.tables.reserve()?;

        let window = state.windows.get(id).ok_or(EINVAL)?;
        if window.tables.has(table) {
            return Err(EINVAL);
        }
        self.shown.fill(&state, window, core::iter::once(table))?;
        if let Some(window) = state.windows.get_mut(id) {
            window.tables.push_reserved(table.clone());
        }
        Ok(())
    }

    /// Empties one of several tables of a window.
    pub(super) fn remove_table(&self, id: WindowId, table: &Table) {
        let mut state = self.shown.state.lock();
        let shown = state.memory.is_some();
        let Some(window) = state.windows.get_mut(id) else {
            return;
        };

        if let Some(table) = window.tables.remove(table).filter(|_| shown) {
            let view = window.view;
            // SAFETY: As in `empty`.
            let _ = unsafe { view.unmap(core::iter::once(&table), view.bytes(view.pages())) };
        }
    }
}

impl Shown {
    /// Lets tables show a view, if there is memory.
    fn fill<'a>(
        &self,
        state: &State,
        window: &Window,
        tables: impl Iterator<Item = &'a Table> + Clone,
    ) -> Result {
        let Some(memory) = &state.memory else {
            return Ok(());
        };
        let pages = window.view.pages();
        let mut page = pages.start;

        while page < pages.end {
            let run = PfnRun {
                pfn: (memory.phys as usize >> PAGE_SHIFT) + self.first + page,
                count: pages.end - page,
            };
            let how = window.how(MemoryKind::Mmio);
            // SAFETY: The memory is pinned by its attachment until it is revoked, and then it is
            // taken out of the tables before the exporter may do anything with it.
            let shown = unsafe {
                window
                    .view
                    .map(tables.clone(), page, core::iter::once(run), how)
            };

            match shown {
                Ok(mapped) => page += mapped.pages,
                Err(not_mapped) => {
                    let bytes = window.view.bytes(pages.start..page);
                    // SAFETY: They show this much, which ends where a call of `map` ended.
                    let _ = unsafe { window.view.unmap(tables, bytes) };
                    return Err(not_mapped.error);
                }
            }
        }
        Ok(())
    }
}
