// SPDX-License-Identifier: GPL-2.0

//! Memory that is mapped: where it comes from, its pins, and who is charged for them.
//!
//! Nothing is pinned until there is a page table to put it in, and nothing stays pinned once there
//! is none any more.

use crate::ioas::Table;
use kernel::prelude::*;
use kernel_ext::{
    iommu::{Access, PinnedMapping},
    mm::{Charge, PinnedBatch, UserMemory, PAGE_SIZE},
};

/// A range of memory.
///
/// Dropping it takes it out of all page tables, unpins it and gives the charge back, in this order.
pub(crate) struct Pages {
    mapping: Option<PinnedMapping>,
    charge: Charge,
    memory: UserMemory,
    /// Address of the first byte.
    address: usize,
    /// Length in bytes.
    length: usize,
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
            memory: UserMemory::current(address, length, writable)?,
            charge: Charge::current()?,
            address,
            length,
        })
    }

    /// The address of the first byte.
    pub(crate) fn address(&self) -> usize {
        self.address
    }

    /// The length in bytes.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Where in its page the first byte lies.
    pub(crate) fn offset(&self) -> usize {
        self.address % PAGE_SIZE
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
        let mapping = PinnedMapping::new(
            iova,
            self.offset(),
            self.length,
            access,
            &self.memory,
            tables,
        )?;

        match self.pin_into(mapping) {
            Ok(mapping) => {
                self.mapping = Some(mapping);
                Ok(())
            }
            Err(error) => {
                self.charge.clear();
                Err(error)
            }
        }
    }

    fn pin_into(&mut self, mut mapping: PinnedMapping) -> Result<PinnedMapping> {
        let mut batch = PinnedBatch::new(&self.memory)?;

        while mapping.pages() < self.memory.npages() {
            let pinned = batch.pin(&self.memory, mapping.pages())?;

            self.charge.add(pinned)?;
            mapping.extend(&mut batch)?;
        }
        Ok(mapping)
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
            self.charge.clear();
        }
    }
}
