// SPDX-License-Identifier: GPL-2.0

//! The page tables of an IO address space.

use crate::{
    iommu::{Access, DirtyRecorder, Domain, IotlbGather, MapError, PhysRun, RunsRead},
    iova::SpaceId,
};
use core::ops::{Deref, RangeInclusive};
use kernel::{
    prelude::*,
    sync::{
        atomic::{ordering::Relaxed, Atomic},
        Arc,
    },
};

/// A reference to a page table of an address space.
///
/// A page table belongs to one address space from creation on, so a claim to a range of IOVA in
/// that address space is also a claim to that range of the page table.
#[derive(Clone)]
pub struct Table(Arc<Inner>);

struct Inner {
    domain: Domain,
    space: SpaceId,
    /// Whether the driver has failed to unmap a range. The contents of the page table are unknown
    /// then.
    broken: Atomic<bool>,
}

impl Table {
    /// Makes `domain` a page table of the address space `space`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(domain: Domain, space: SpaceId) -> Result<Self> {
        let inner = Inner {
            domain,
            space,
            broken: Atomic::new(false),
        };

        Ok(Self(Arc::new(inner, GFP_KERNEL_ACCOUNT)?))
    }

    /// Returns the address space.
    #[inline]
    pub fn space(&self) -> SpaceId {
        self.0.space
    }

    /// Returns whether both are references to the same page table.
    #[inline]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns a number that no other page table has while this one exists.
    pub fn address(&self) -> usize {
        (&raw const *self.0).addr()
    }

    /// Checks that the page table accepts mappings at IOVAs of the address space `space`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it belongs to another address space; `EIO` if the driver has failed to unmap a
    /// range before.
    #[inline]
    pub(crate) fn check(&self, space: SpaceId) -> Result {
        if self.0.space != space {
            return Err(EINVAL);
        }
        if self.0.broken.load(Relaxed) {
            return Err(EIO);
        }
        Ok(())
    }

    /// Maps `runs` from `iova` on. Without `large_pages`, the range can later be divided between
    /// any two of them.
    ///
    /// # Errors
    ///
    /// As for [`DomainTable::map`](crate::iommu::DomainTable::map).
    ///
    /// # Safety
    ///
    /// As for [`DomainTable::map`](crate::iommu::DomainTable::map).
    #[inline(always)]
    pub(crate) unsafe fn map(
        &self,
        iova: u64,
        runs: &[PhysRun],
        access: Access,
        large_pages: bool,
    ) -> Result<(), MapError> {
        let table = self.0.domain.page_table();
        let mapped = if large_pages {
            // SAFETY: The caller upholds the contract of `DomainTable::map`.
            unsafe { table.map(iova, runs, access) }
        } else {
            // SAFETY: The caller upholds the contract of `DomainTable::map`, which is that of
            // `map_divisible`.
            unsafe { table.map_divisible(iova, runs, access) }
        };

        mapped.inspect_err(|error| self.note(error.undone))
    }

    /// Unmaps a range and flushes it from the IOTLB. Returns true if no device can access the
    /// memory any more; `false` is an error of the driver, after which the page table accepts no
    /// more mappings.
    ///
    /// # Safety
    ///
    /// As for [`DomainTable::unmap`](crate::iommu::DomainTable::unmap).
    #[must_use]
    #[inline(always)]
    pub(crate) unsafe fn unmap(&self, iova: u64, length: usize) -> bool {
        // SAFETY: The caller upholds the contract of `DomainTable::unmap`.
        let gone = unsafe { self.0.domain.page_table().unmap_and_sync(iova, length) };

        self.note(gone);
        gone
    }

    /// Reads the memory that is mapped in a range.
    ///
    /// # Safety
    ///
    /// As for [`DomainTable::read_runs`](crate::iommu::DomainTable::read_runs).
    #[inline]
    pub(crate) unsafe fn read_runs(
        &self,
        iova: u64,
        length: usize,
        runs: &mut [PhysRun],
    ) -> RunsRead {
        // SAFETY: The caller upholds the contract of `DomainTable::read_runs`.
        unsafe { self.0.domain.page_table().read_runs(iova, length, runs) }
    }

    /// Records which memory in a range devices have written to.
    ///
    /// # Errors
    ///
    /// As for [`DomainTable::read_dirty`](crate::iommu::DomainTable::read_dirty).
    ///
    /// # Safety
    ///
    /// As for [`DomainTable::read_dirty`](crate::iommu::DomainTable::read_dirty).
    pub(crate) unsafe fn read_dirty(
        &self,
        range: RangeInclusive<u64>,
        to: &mut DirtyRecorder,
        gather: Pin<&mut IotlbGather>,
    ) -> Result {
        // SAFETY: The caller upholds the contract of `DomainTable::read_dirty`.
        unsafe { self.0.domain.page_table().read_dirty(range, to, gather) }
    }

    /// Marks the page table as broken if the driver has failed to unmap a range.
    #[inline]
    fn note(&self, removed: bool) {
        if !removed {
            self.0.broken.store(true, Relaxed);
        }
    }
}

/// The page tables of an address space in which its areas are mapped.
///
/// # Invariants
///
/// Each page table belongs to the address space `space`, and none is in the list twice.
pub struct TableList {
    tables: KVec<Table>,
    space: SpaceId,
}

impl TableList {
    /// Creates an empty list for an address space.
    pub const fn new(space: SpaceId) -> Self {
        Self {
            tables: KVec::new(),
            space,
        }
    }

    /// Allocates memory for one more page table.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn reserve(&mut self) -> Result {
        Ok(self.tables.reserve(1, GFP_KERNEL_ACCOUNT)?)
    }

    /// Adds a page table, for which [`reserve`](Self::reserve) has allocated memory.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a page table of another address space, or one that is in the list already;
    /// `ENOMEM` if no memory was reserved.
    pub fn push_reserved(&mut self, table: Table) -> Result {
        if table.space() != self.space || self.tables.iter().any(|other| other.is_same(&table)) {
            return Err(EINVAL);
        }
        // INVARIANT: It was checked above that the page table belongs to `space` and is not in the
        // list.
        Ok(self.tables.push_within_capacity(table)?)
    }

    /// Removes a page table, if it is in the list.
    pub fn remove(&mut self, table: &Table) {
        self.tables.retain(|other| !other.is_same(table));
    }

    /// Returns the page tables.
    #[inline]
    pub fn as_slice(&self) -> &[Table] {
        &self.tables
    }
}

impl Deref for Table {
    type Target = Domain;

    fn deref(&self) -> &Domain {
        &self.0.domain
    }
}
