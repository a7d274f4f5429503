// SPDX-License-Identifier: GPL-2.0

//! The page tables that mirror an address space, and what they ask of it.

use super::{access::Accesses, reserve, Ioas, Map, Owner};
use kernel::{prelude::*, sync::atomic::ordering::Relaxed};
use kernel_ext::{
    iommu::{Geometry, Mapping},
    mm::PAGE_SIZE,
};

pub(crate) use kernel_ext::iommu::Table;

/// Tells a page table from all others that exist: the ID of an object will not do, since it has a
/// new owner before the old one is quite gone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableId(usize);

impl TableId {
    /// The identity of a page table, as long as somebody has it.
    pub(crate) fn of(table: &Table) -> Self {
        Self((&raw const **table).addr())
    }
}

/// Who sees what is mapped.
pub(crate) struct Users {
    /// The page tables.
    pub(super) tables: KVec<Table>,
    /// The users in the kernel.
    pub(super) accesses: Accesses,
}

impl Users {
    pub(super) const fn new() -> Self {
        Self {
            tables: KVec::new(),
            accesses: Accesses::new(),
        }
    }

    /// What IOVAs and lengths must be multiples of for their sake, in bytes. `large_pages` says
    /// whether entries of the page tables may cover several pages.
    pub(super) fn alignment(&self, large_pages: bool) -> u64 {
        let granules = self.tables.iter().map(|table| table.geometry().granule());

        // Without large pages, areas can be cut between any two pages.
        let least = if large_pages { 1 } else { PAGE_SIZE as u64 };
        granules.fold(least.max(self.accesses.alignment()), u64::max)
    }
}

impl Ioas {
    /// Lets a page table mirror the map from now on.
    ///
    /// # Errors
    ///
    /// `EINVAL` if its pages are larger than the CPU's; `EADDRINUSE` if something is mapped that it
    /// cannot translate; else what pinning or mapping reports. Nothing has changed then.
    pub(crate) fn add_table(&self, table: &Table) -> Result {
        let owner = Owner::Table(TableId::of(table));
        let geometry = table.geometry();
        let mut users = self.users.write();
        let mut map = self.map.write();
        let alignment = map.alignment();
        let granule = geometry.granule().max(alignment);

        if granule > PAGE_SIZE as u64 {
            return Err(EINVAL);
        }
        users.tables.reserve(1, GFP_KERNEL_ACCOUNT)?;
        map.set_alignment(granule)?;

        let added = reserve_outside(&mut map, &geometry, owner)
            .and_then(|()| fill_table(&mut map, table, self.large_pages()));
        if let Err(error) = added {
            map.unreserve(&owner);
            map.set_alignment(alignment)?;
            return Err(error);
        }
        users.tables.push_within_capacity(table.clone())?;
        Ok(())
    }

    /// Undoes [`add_table`](Self::add_table).
    pub(crate) fn remove_table(&self, table: &Table) {
        let id = TableId::of(table);
        let mut users = self.users.write();
        let mut map = self.map.write();

        users.tables.retain(|other| TableId::of(other) != id);
        unfill_table(&mut map, table, u64::MAX);
        map.unreserve(&Owner::Table(id));

        // Lowering it cannot fail.
        let lowered = map.set_alignment(users.alignment(self.large_pages()));
        kernel::warn_on!(lowered.is_err());
    }

    /// Whether page tables mirror it, or users in the kernel are attached to it.
    pub(crate) fn has_users(&self) -> bool {
        let users = self.users.read();

        !users.tables.is_empty() || !users.accesses.is_empty()
    }

    /// Whether entries of page tables may cover several pages. Takes no lock; while the caller holds
    /// `users`, the answer stays as it is.
    pub(crate) fn large_pages(&self) -> bool {
        self.large_pages.load(Relaxed)
    }

    /// Lets entries of page tables cover several pages.
    pub(crate) fn allow_large_pages(&self) {
        let users = self.users.write();

        self.large_pages.store(true, Relaxed);
        let lowered = self
            .map
            .write()
            .set_alignment(users.alignment(self.large_pages()));
        kernel::warn_on!(lowered.is_err());
    }

    /// Maps each page by itself from now on, so that areas can be cut.
    ///
    /// # Errors
    ///
    /// `EINVAL` if something is mapped in page tables already; `EADDRINUSE` if something is mapped that
    /// does not begin and end with a page.
    pub(crate) fn forbid_large_pages(&self) -> Result {
        let users = self.users.write();
        let mut map = self.map.write();

        if !self.large_pages() {
            return Ok(());
        }
        if !users.tables.is_empty() && map.first_in(0, u64::MAX).is_some() {
            return Err(EINVAL);
        }
        map.set_alignment(users.alignment(false))?;
        self.large_pages.store(false, Relaxed);
        Ok(())
    }

    /// The page sizes that all page tables support, a bit for each, as VFIO tells them: nothing below
    /// the CPU's page, and at least what IOVAs are aligned to.
    pub(crate) fn page_sizes(&self) -> u64 {
        let users = self.users.read();
        let page = PAGE_SIZE as u64;
        let common = users
            .tables
            .iter()
            .fold(u64::MAX, |sizes, table| sizes & table.geometry().page_sizes);
        let sizes = if common & (page - 1) != 0 {
            common & !(page - 1) | page
        } else {
            common
        };

        sizes.max(self.map.read().alignment())
    }
}

/// Reserves what a page table cannot translate.
fn reserve_outside(map: &mut Map, geometry: &Geometry, owner: Owner) -> Result {
    if let Some(last) = geometry.aperture.start().checked_sub(1) {
        reserve(map, 0, last, owner)?;
    }
    if let Some(first) = geometry.aperture.end().checked_add(1) {
        reserve(map, first, u64::MAX, owner)?;
    }
    Ok(())
}

/// Puts all areas into one more page table, or none.
fn fill_table(map: &mut Map, table: &Table, large_pages: bool) -> Result {
    let mut next = Some(0);

    while let Some(entry) = next.and_then(|next| map.first_in_mut(next, u64::MAX)) {
        let iova = entry.first();
        next = entry.last().checked_add(1);

        let area = entry.value;
        let filled = match &mut area.mapping {
            // An area in transit has not looked at the page tables yet.
            _ if area.in_transit => Ok(()),
            Some(mapping) => mapping.add_table(table),
            none => Mapping::new(
                area.slice.pages.clone(),
                area.slice.view(iova, area.access),
                core::slice::from_ref(table),
                large_pages,
            )
            .map(|mapping| *none = Some(mapping)),
        };
        if let Err(error) = filled {
            unfill_table(map, table, iova);
            return Err(error);
        }
    }
    Ok(())
}

/// Takes all areas below `end` out of one page table.
fn unfill_table(map: &mut Map, table: &Table, end: u64) {
    let mut next = Some(0);

    while let Some(entry) = next.and_then(|next| map.first_in_mut(next, u64::MAX)) {
        if entry.first() >= end {
            return;
        }
        next = entry.last().checked_add(1);
        entry.value.mapping = entry
            .value
            .mapping
            .take()
            .and_then(|mapping| mapping.remove_table(table));
    }
}
