// SPDX-License-Identifier: GPL-2.0

//! The page tables that mirror an address space, and the constraints that they put on it.

use super::{
    area::{Area, Hold},
    members::Members,
    reserve, Ioas, Map, ReservedFor,
};
use iommufd_core::{iova::SpaceId, Mapping, NotMapped, Table, TableList};
use kernel::{prelude::*, sync::atomic::ordering::Relaxed};
use kernel_ext::{iommu::Geometry, mm::PAGE_SIZE};

/// The identity of a page table that exists. The ID of its object is not enough, because that can
/// be reused before the page table is freed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableId(usize);

impl TableId {
    /// Returns the identity of a page table, which stays unique as long as a reference to it
    /// exists.
    pub(crate) fn of(table: &Table) -> Self {
        Self(table.address())
    }
}

/// The page tables and members of an address space.
pub(crate) struct Users {
    /// The page tables.
    pub(super) tables: TableList,
    /// The users in the kernel.
    pub(super) members: Members,
}

impl Users {
    pub(super) const fn new(space: SpaceId) -> Self {
        Self {
            tables: TableList::new(space),
            members: Members::new(),
        }
    }

    /// Returns the alignment of IOVAs and lengths that all of them need, in bytes. `large_pages`
    /// says whether entries of the page tables may cover several pages.
    pub(super) fn alignment(&self, large_pages: bool) -> u64 {
        let tables = self.tables.as_slice().iter();
        let granules = tables.map(|table| table.geometry().granule());

        // Without large pages, areas can be cut between any two pages.
        let least = if large_pages { 1 } else { PAGE_SIZE as u64 };
        granules.fold(least.max(self.members.alignment()), u64::max)
    }
}

impl Ioas {
    /// Maps all areas in a page table, which mirrors the map from then on.
    ///
    /// # Errors
    ///
    /// `EINVAL` if its pages are larger than the CPU's; `EADDRINUSE` if an area is mapped that it
    /// cannot translate; else the error of pinning or mapping. The page table is empty then.
    pub(crate) fn add_table(&self, table: &Table) -> Result {
        let owner = ReservedFor::Table(TableId::of(table));
        let geometry = table.geometry();
        let mut users = self.users.write();
        let mut map = self.map.write();
        let alignment = map.alignment();
        let granule = geometry.granule().max(alignment);

        if granule > PAGE_SIZE as u64 {
            return Err(EINVAL);
        }
        users.tables.reserve()?;
        map.set_alignment(granule)?;

        let added = reserve_outside(&mut map, &geometry, owner)
            .and_then(|()| fill_table(&mut map, table, self.large_pages()));
        if let Err(error) = added {
            map.unreserve(&owner);
            map.set_alignment(alignment)?;
            return Err(error);
        }
        users.tables.push_reserved(table.clone())
    }

    /// Undoes [`add_table`](Self::add_table).
    pub(crate) fn remove_table(&self, table: &Table) {
        let mut users = self.users.write();
        let mut map = self.map.write();

        users.tables.remove(table);
        unfill_table(&mut map, table, u64::MAX);
        map.unreserve(&ReservedFor::Table(TableId::of(table)));

        // A lower alignment suits every area, so this cannot fail.
        let lowered = map.set_alignment(users.alignment(self.large_pages()));
        kernel::warn_on!(lowered.is_err());
    }

    /// Returns the alignment of IOVAs and lengths, in bytes.
    pub(crate) fn alignment(&self) -> u64 {
        self.map.read().alignment()
    }

    /// Returns whether page tables mirror the map, or users in the kernel are attached.
    pub(crate) fn has_users(&self) -> bool {
        let users = self.users.read();

        !users.tables.as_slice().is_empty() || !users.members.is_empty()
    }

    /// Returns whether entries of page tables may cover several pages. Takes no lock; the result
    /// does not change while the caller holds `users`.
    pub(crate) fn large_pages(&self) -> bool {
        self.large_pages.load(Relaxed)
    }

    /// Allows entries of page tables to cover several pages.
    pub(crate) fn allow_large_pages(&self) {
        let users = self.users.write();

        self.large_pages.store(true, Relaxed);
        let lowered = self
            .map
            .write()
            .set_alignment(users.alignment(self.large_pages()));
        kernel::warn_on!(lowered.is_err());
    }

    /// Maps each page with an entry of its own from now on, so that areas can be cut.
    ///
    /// # Errors
    ///
    /// `EINVAL` if an area is mapped in page tables already; `EADDRINUSE` if an area does not begin
    /// and end at page boundaries.
    pub(crate) fn forbid_large_pages(&self) -> Result {
        let users = self.users.write();
        let mut map = self.map.write();

        if !self.large_pages() {
            return Ok(());
        }
        if !users.tables.as_slice().is_empty() && map.first_in(0, u64::MAX).is_some() {
            return Err(EINVAL);
        }
        map.set_alignment(users.alignment(false))?;
        self.large_pages.store(false, Relaxed);
        Ok(())
    }

    /// Returns the page sizes that all page tables support, a bit for each, as VFIO reports them:
    /// none is smaller than the CPU's page. If there is none, returns the alignment of IOVAs.
    pub(crate) fn page_sizes(&self) -> u64 {
        let users = self.users.read();
        let page = PAGE_SIZE as u64;
        let common = users
            .tables
            .as_slice()
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

/// Reserves the IOVAs that a page table cannot translate.
fn reserve_outside(map: &mut Map, geometry: &Geometry, owner: ReservedFor) -> Result {
    if let Some(last) = geometry.aperture.start().checked_sub(1) {
        reserve(map, 0, last, owner)?;
    }
    if let Some(first) = geometry.aperture.end().checked_add(1) {
        reserve(map, first, u64::MAX, owner)?;
    }
    Ok(())
}

/// Maps all areas in one more page table. After an error, none is mapped there.
fn fill_table(map: &mut Map, table: &Table, large_pages: bool) -> Result {
    let mut next = Some(0);

    while let Some(entry) = next.and_then(|next| map.first_in_mut(next, u64::MAX)) {
        let iova = entry.first();
        next = entry.last().checked_add(1);

        let filled = fill_area(entry.value, table, large_pages);
        if let Err(error) = filled {
            unfill_table(map, table, iova);
            return Err(error);
        }
    }
    Ok(())
}

/// Maps an area in one more page table.
fn fill_area(area: &mut Area, table: &Table, large_pages: bool) -> Result {
    // The thread that owns an area in transit has not read the list of page tables yet.
    if area.in_transit {
        return Ok(());
    }
    if let Hold::Mapping(mapping) = &mut area.hold {
        return mapping.add_table(table);
    }
    let Some(claim) = area.hold.take().close() else {
        return Ok(());
    };
    let (pages, view) = area.slice.clone().view(claim, area.access);

    match Mapping::in_table(pages, view, table, large_pages) {
        Ok(mapping) => area.hold = Hold::Mapping(mapping),
        Err(NotMapped { error, claim }) => {
            area.hold = Hold::Claim(claim);
            return Err(error);
        }
    }
    Ok(())
}

/// Unmaps all areas below `end` in one page table.
fn unfill_table(map: &mut Map, table: &Table, end: u64) {
    let mut next = Some(0);

    while let Some(entry) = next.and_then(|next| map.first_in_mut(next, u64::MAX)) {
        if entry.first() >= end {
            return;
        }
        next = entry.last().checked_add(1);

        let hold = &mut entry.value.hold;
        *hold = match hold.take() {
            Hold::Mapping(mapping) => match mapping.remove_table(table) {
                Ok(mapping) => Hold::Mapping(mapping),
                Err(claim) => claim.map_or(Hold::Taken, Hold::Claim),
            },
            other => other,
        };
    }
}
