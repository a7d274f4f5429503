// SPDX-License-Identifier: GPL-2.0

//! Memory that is mapped: where it comes from, its pins, and who is charged for them.
//!
//! Nothing is pinned until there is a page table to put it in, and nothing stays pinned once there
//! is none any more.

use crate::ioas::Table;
use kernel::prelude::*;
use kernel_ext::{
    iommu::{Access, PinnedMapping},
    mm::{Charge, Memory, Payer, UserMemory},
};

/// A range of memory.
///
/// Dropping it takes it out of all page tables, unpins it and gives the charge back, in this order.
pub(crate) struct Pages {
    mapping: Option<PinnedMapping>,
    charge: Charge,
    memory: Memory,
}

impl Pages {
    /// `length` bytes at `address` of the calling process, which pays for them.
    ///
    /// # Errors
    ///
    /// Those of [`UserMemory::current`].
    pub(crate) fn user(address: usize, length: usize, writable: bool) -> Result<Self> {
        Ok(Self {
            mapping: None,
            memory: Memory::User(UserMemory::current(address, length, writable)?),
            charge: Charge::new(Payer::current()?),
        })
    }

    /// Where the memory is.
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Pins all of it and puts it into `tables`; if there is none, does nothing.
    ///
    /// # Errors
    ///
    /// `EFAULT` where there is no memory or it may not be written, `ENOMEM` where the limit of the
    /// process does not allow it, or what a page table reports. Nothing has changed then.
    pub(crate) fn fill<'a>(
        &mut self,
        iova: u64,
        access: Access,
        tables: impl Iterator<Item = &'a Table>,
    ) -> Result {
        let mut tables = tables.peekable();

        if tables.peek().is_none() {
            return Ok(());
        }
        match PinnedMapping::new(iova, &self.memory, access, tables, &mut self.charge) {
            Ok(mapping) => {
                self.mapping = Some(mapping);
                Ok(())
            }
            Err(error) => {
                self.charge.sub(self.charge.npages());
                Err(error)
            }
        }
    }

    /// Puts it into one more page table.
    ///
    /// # Errors
    ///
    /// As for [`fill`](Self::fill).
    pub(crate) fn add_table(&mut self, iova: u64, access: Access, table: &Table) -> Result {
        match &mut self.mapping {
            Some(mapping) => mapping.add_table(table),
            None => self.fill(iova, access, core::iter::once(table)),
        }
    }

    /// Takes it out of a page table, and unpins it if that was the last.
    pub(crate) fn remove_table(&mut self, table: &Table) {
        self.mapping = self
            .mapping
            .take()
            .and_then(|mapping| mapping.remove_table(table));
        if self.mapping.is_none() {
            self.charge.sub(self.charge.npages());
        }
    }
}
