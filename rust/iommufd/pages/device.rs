// SPDX-License-Identifier: GPL-2.0

//! Memory of a device that is exported as a dma-buf, and that the exporter may revoke.
//!
//! The memory is one range of physical addresses, which is pinned as a whole. When it is revoked,
//! its windows are unmapped in all tables, but stay open.
//!
//! Lock order: the reservation lock of the dma-buf, which the exporter holds while it revokes, then
//! `DevicePages::state`. This is another lock class than `PinnedPages::state`, because the locks of
//! memory management nest inside that one.

use super::{
    mapping::NotMapped,
    window::Window,
    windows::{WindowId, Windows},
};
use crate::{
    dma_buf::{Attachment, DmaBuf, Importer, PhysRange},
    iommu::MemoryKind,
    iova::IovaClaim,
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

/// A range of an attached dma-buf.
pub(super) struct DevicePages {
    /// Dropped first. From then on the exporter does not call `Shown::revoked`.
    _attachment: Attachment<Shown>,
    shown: Arc<Shown>,
    /// Offset of page 0 in the buffer, in bytes; a multiple of the page size.
    pub(super) base: usize,
    pub(super) npages: usize,
    pub(super) writable: bool,
}

/// The location of the memory, and the windows that map it.
#[pin_data]
struct Shown {
    /// Offset of page 0 in the buffer, in pages.
    first: usize,
    #[pin]
    state: Mutex<State>,
}

/// # Invariants
///
/// If there is `memory`, the tables of each window map all of its view; else they map none of it.
struct State {
    /// Location of the whole buffer; `None` while it is revoked.
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

/// Unmaps pages in all tables of a window.
fn empty(window: &Window, pages: Range<usize>) {
    let bytes = window.view.bytes(pages);
    // SAFETY: The callers pass the whole view of a window that was mapped before they cleared
    // `memory` or removed the window, so by the invariant of `State` the tables map all of it. It
    // ends where its mapping ended. A table that fails to unmap it has an erroneous driver, for
    // which `Table::unmap` warns.
    let _ = unsafe { window.view.unmap(window.tables.iter(), bytes) };
}

impl DevicePages {
    /// Attaches `importer` to a dma-buf, of which `length` bytes from offset `start` on are used.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a range beyond the buffer; `EOPNOTSUPP` if the exporter does not report
    /// physical addresses; else the error of the exporter, or `ENOMEM`.
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
                // INVARIANT: There are no windows.
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

    /// Opens a window. It is not mapped while the memory is revoked.
    ///
    /// # Errors
    ///
    /// The error of a page table, or `ENOMEM`. All state is unchanged then.
    pub(super) fn open(&self, window: Window) -> core::result::Result<WindowId, NotMapped> {
        let mut state = self.shown.state.lock();
        let filled = state.windows.room().and_then(|room| {
            self.shown.fill(&state, &window, window.tables.iter())?;
            Ok(room)
        });

        match filled {
            Ok(room) => Ok(state.windows.put(room, window)),
            Err(error) => Err(window.not_mapped(error)),
        }
    }

    /// Closes a window. Returns the claim to its range.
    pub(super) fn close(&self, id: WindowId) -> Option<IovaClaim> {
        let mut state = self.shown.state.lock();
        let window = state.windows.take(id)?;

        if state.memory.is_some() {
            empty(&window, window.view.pages());
        }
        Some(window.view.claim)
    }

    /// Maps a window in one more table.
    ///
    /// # Errors
    ///
    /// Those of [`Window::room_for`], or the error of the table. All state is unchanged then.
    pub(super) fn add_table(&self, id: WindowId, table: &Table) -> Result {
        let mut state = self.shown.state.lock();

        state.windows.get_mut(id).ok_or(EINVAL)?.room_for(table)?;

        let window = state.windows.get(id).ok_or(EINVAL)?;
        self.shown.fill(&state, window, core::iter::once(table))?;
        if let Some(window) = state.windows.get_mut(id) {
            window.tables.push_reserved(table.clone());
        }
        Ok(())
    }

    /// Unmaps a window in one of its tables. Returns false, without any effect, if that is its only
    /// one.
    pub(super) fn remove_table(&self, id: WindowId, table: &Table) -> bool {
        let mut state = self.shown.state.lock();
        let shown = state.memory.is_some();
        let Some(window) = state.windows.get_mut(id) else {
            return false;
        };
        if window.has_only(table) {
            return false;
        }

        if let Some(table) = window.tables.remove(table).filter(|_| shown) {
            let view = &window.view;
            // SAFETY: There is memory (`shown`), so by the invariant of `State` this table, which
            // was one of the window's until now, maps all of the view. It ends where its mapping
            // ended.
            let _ = unsafe { view.unmap(core::iter::once(&table), view.bytes(view.pages())) };
        }
        true
    }
}

impl Shown {
    /// Maps the view of a window in tables, unless the memory is revoked.
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
            let mode = window.map_mode(MemoryKind::Mmio);
            // SAFETY: The attachment pins the memory until it is revoked, and `revoked` unmaps it
            // in all tables before it returns to the exporter. Both run under the lock that `state`
            // is borrowed from. The range is free: the `Mapping` of this window owns the claim to
            // it, and these tables do not map the window yet.
            let shown = unsafe {
                window
                    .view
                    .map(tables.clone(), page, core::iter::once(run), mode)
            };

            match shown {
                Ok(mapped) => page += mapped.pages,
                Err(not_mapped) => {
                    let bytes = window.view.bytes(pages.start..page);
                    // SAFETY: The iterations before have mapped the view in these tables up to
                    // `page`, where a call of `map` ended.
                    let _ = unsafe { window.view.unmap(tables, bytes) };
                    return Err(not_mapped.error);
                }
            }
        }
        Ok(())
    }
}
