// SPDX-License-Identifier: GPL-2.0

//! The imports of the page tables; see `drivers/iommu/pagetable/base.rs`.

pub(crate) use crate::table_layout::MAX_LEVELS;
pub(crate) use crate::table_tree::{Entry, Frame, Reader, Refused, Retired, Slot, Table, Tree};
pub use crate::{
    run::{Access, MemoryKind, PhysRun},
    table_layout::{CountField, TableLayout, TableShape},
    table_memory::TableMemory,
};
