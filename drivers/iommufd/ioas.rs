// SPDX-License-Identifier: GPL-2.0

//! IO address spaces: what is mapped where, and the page tables that mirror it.
//!
//! A mapping comes to be in three steps, so that pinning memory, which takes long, hinders nobody
//! else: its area takes the IOVA; the pages are pinned and put into every page table; the area gets
//! the pages. It goes in the reverse order. An area without pages is *in transit*: it belongs to the
//! thread that works on it.
//!
//! Locks, in the order in which they are taken: `hwpts`, the group of a device, `tables`, `map`,
//! then those of memory management. While pages come or go, their thread holds `tables` for reading,
//! so that no page table comes or goes meanwhile.

pub(crate) mod ioctl;

use crate::{
    interval::Node,
    iova_map::{self, IovaMap, Reserved},
    pages::Pages,
    uapi::UnmapRange,
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use kernel_ext::{
    iommu::{Access, DmaOwner, Geometry, PageTable, ReservedKind, ReservedRegions},
    iommufd::ObjectId,
    mm::PAGE_SIZE,
    new_rwsem,
    sync::RwSem,
};

/// The alignment of an IOVA that lets the memory behind it be mapped with large pages, in bytes.
const LARGE_PAGE: usize = if cfg!(CONFIG_TRANSPARENT_HUGEPAGE) {
    // A page full of page table entries maps so much.
    PAGE_SIZE * (PAGE_SIZE / size_of::<u64>())
} else {
    PAGE_SIZE
};

/// A page table as an IOAS and its mappings share it.
pub(crate) type Table = Arc<dyn PageTable>;

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

/// On whose behalf a range is reserved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A device that is attached; it is detached before its ID goes.
    Device(ObjectId),
    /// A page table that cannot translate all addresses.
    Table(TableId),
}

/// A mapped range.
pub(crate) struct Area {
    access: Access,
    page_offset: usize,
    /// `None` while it is in transit.
    pages: Option<Pages>,
}

impl iova_map::Area for Area {
    fn page_offset(&self) -> u64 {
        self.page_offset as u64
    }
}

/// A page table that a device may be given.
#[derive(Clone, Copy)]
pub(crate) struct ListedHwpt {
    /// How to look it up.
    pub(crate) id: ObjectId,
    /// Whether what was found is it.
    pub(crate) table: TableId,
}

/// An IO address space.
#[pin_data]
pub(crate) struct Ioas {
    /// The page tables that were made for it automatically. Locked while one is being chosen or
    /// made, so that devices attached at the same time share it.
    #[pin]
    pub(crate) hwpts: Mutex<KVec<ListedHwpt>>,
    /// The page tables that mirror the map.
    #[pin]
    tables: RwSem<KVec<Table>>,
    #[pin]
    map: RwSem<IovaMap<Area, Owner>>,
}

impl Ioas {
    /// An address space with nothing in it.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            hwpts <- new_mutex!(KVec::new(), "Ioas::hwpts"),
            tables <- new_rwsem!(KVec::new(), "Ioas::tables"),
            map <- new_rwsem!(IovaMap::new(LARGE_PAGE as u64), "Ioas::map"),
        })
    }

    /// Maps `pages`, at `iova` or where there is room. Returns where.
    ///
    /// # Errors
    ///
    /// Those of [`IovaMap::check`] and [`IovaMap::find`], then those of [`Pages::fill`].
    pub(crate) fn map_pages(
        &self,
        mut pages: Pages,
        iova: Option<u64>,
        access: Access,
    ) -> Result<u64> {
        let iova = self.reserve_area(&pages, iova, access)?;
        let tables = self.tables.read();
        let filled = pages.fill(iova, access, tables.iter());
        let mut map = self.map.write();

        if let Err(error) = filled {
            let area = map.remove(iova);
            drop(map);
            drop(area);
            return Err(error);
        }
        if let Some(area) = map.area_mut(iova) {
            area.pages = Some(pages);
        }
        Ok(iova)
    }

    /// Puts an area in transit where `pages` are to be.
    fn reserve_area(&self, pages: &Pages, iova: Option<u64>, access: Access) -> Result<u64> {
        let memory = pages.memory();
        let length = memory.length() as u64;
        let area = Area {
            access,
            page_offset: memory.offset(),
            pages: None,
        };
        // Allocated before locking, and then told where it goes.
        let slot = KBox::<Node<Area>>::new_uninit(GFP_KERNEL_ACCOUNT)?;
        let mut map = self.map.write();
        let iova = match iova {
            Some(iova) => iova,
            None => map.find(length, memory.address())?,
        };
        let last = map.check(iova, length, memory.offset() as u64)?;

        map.insert(KBox::write(slot, Node::new(iova, last, area)))
            .map_err(|_| EEXIST)?;
        Ok(iova)
    }

    /// Unmaps all areas that lie in a range. Returns how many bytes they had.
    ///
    /// # Errors
    ///
    /// `ENOENT` at an area that lies in it only in part, `EBUSY` at one in transit. The areas below
    /// are gone then.
    pub(crate) fn unmap(&self, range: UnmapRange) -> Result<u64> {
        let (mut start, last) = match range {
            UnmapRange::All => (0, u64::MAX),
            UnmapRange::Range(first, last) => (first, last),
        };
        let mut unmapped: u64 = 0;
        let _tables = self.tables.read();
        let mut map = self.map.write();

        while let Some((area_first, area_last)) = map
            .first_in(start, last)
            .map(|area| (area.first(), area.last()))
        {
            let area = map.area_mut(area_first).ok_or(ENOENT)?;
            if area.pages.is_none() {
                return Err(EBUSY);
            }
            if area_first < start || area_last > last {
                return Err(ENOENT);
            }
            let pages = area.pages.take();
            drop(map);
            drop(pages);

            map = self.map.write();
            let area = map.remove(area_first);
            drop(map);
            drop(area);
            // Areas may fill the whole address space: then this wraps to zero.
            unmapped = unmapped.wrapping_add(area_last - area_first + 1);

            // Others may have mapped something below meanwhile: that is theirs.
            map = self.map.write();
            match area_last.checked_add(1) {
                Some(next) if area_last < last => start = next,
                _ => break,
            }
        }
        Ok(unmapped)
    }

    /// Lets a page table mirror the map from now on.
    ///
    /// # Errors
    ///
    /// `EINVAL` if its pages are larger than the CPU's; `EADDRINUSE` if something is mapped that it
    /// cannot translate; else what pinning or mapping reports. Nothing has changed then.
    pub(crate) fn add_table(&self, table: &Table) -> Result {
        let owner = Owner::Table(TableId::of(table));
        let geometry = table.geometry();
        let mut tables = self.tables.write();
        let mut map = self.map.write();
        let alignment = map.alignment();
        let granule = geometry.granule().max(alignment);

        if granule > PAGE_SIZE as u64 {
            return Err(EINVAL);
        }
        tables.reserve(1, GFP_KERNEL_ACCOUNT)?;
        map.set_alignment(granule)?;

        let added =
            reserve_outside(&mut map, &geometry, owner).and_then(|()| fill_table(&mut map, table));
        if let Err(error) = added {
            map.unreserve(&owner);
            map.set_alignment(alignment)?;
            return Err(error);
        }
        tables.push_within_capacity(table.clone())?;
        Ok(())
    }

    /// Undoes [`add_table`](Self::add_table).
    pub(crate) fn remove_table(&self, table: &Table) {
        let id = TableId::of(table);
        let mut tables = self.tables.write();
        let mut map = self.map.write();

        tables.retain(|other| TableId::of(other) != id);
        unfill_table(&mut map, table, u64::MAX);
        map.unreserve(&Owner::Table(id));

        // Lowering it cannot fail.
        let alignment = tables.iter().map(|table| table.geometry().granule()).max();
        let lowered = map.set_alignment(alignment.unwrap_or(1));
        kernel::warn_on!(lowered.is_err());
    }

    /// Keeps out of the map what a device cannot use.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if something is mapped there; `EINVAL` if the driver reports more than one place
    /// for interrupts, which is its fault; `ENOMEM`. Nothing has changed then.
    pub(crate) fn reserve_for(&self, id: ObjectId, device: &DmaOwner) -> Result {
        let owner = Owner::Device(id);
        let mut map = self.map.write();
        let reserved = reserve_regions(&mut map, device, owner);

        if reserved.is_err() {
            map.unreserve(&owner);
        }
        reserved
    }

    /// Undoes [`reserve_for`](Self::reserve_for).
    pub(crate) fn unreserve_for(&self, id: ObjectId) {
        self.map.write().unreserve(&Owner::Device(id));
    }
}

type Map = IovaMap<Area, Owner>;

fn reserve(map: &mut Map, first: u64, last: u64, owner: Owner) -> Result {
    map.reserve(KBox::new(
        Reserved::new(first, last, owner),
        GFP_KERNEL_ACCOUNT,
    )?)
}

/// Reserves what a device cannot use.
fn reserve_regions(map: &mut Map, device: &DmaOwner, owner: Owner) -> Result {
    let (mut fixed, mut software) = (0, 0);

    pin_init::stack_pin_init!(let regions = ReservedRegions::of(device));
    for region in regions.iter() {
        match region.kind {
            ReservedKind::DirectRelaxable => continue,
            ReservedKind::Msi => fixed += 1,
            ReservedKind::SoftwareMsi => software += 1,
            ReservedKind::Other => {}
        }
        reserve(map, region.start, region.last, owner)?;
    }
    if kernel::warn_on!(software > 1 || software > 0 && fixed > 0) {
        return Err(EINVAL);
    }
    Ok(())
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
fn fill_table(map: &mut Map, table: &Table) -> Result {
    let mut next = map.first_in(0, u64::MAX).map(Node::first);

    while let Some(iova) = next {
        if let Some(area) = map.area_mut(iova) {
            let access = area.access;
            // An area in transit has not looked at the page tables yet.
            if let Some(Err(error)) = area
                .pages
                .as_mut()
                .map(|pages| pages.add_table(iova, access, table))
            {
                unfill_table(map, table, iova);
                return Err(error);
            }
        }
        next = following(map, iova);
    }
    Ok(())
}

/// Takes all areas below `end` out of one page table.
fn unfill_table(map: &mut Map, table: &Table, end: u64) {
    let mut next = map.first_in(0, u64::MAX).map(Node::first);

    while let Some(iova) = next.filter(|&iova| iova < end) {
        if let Some(pages) = map.area_mut(iova).and_then(|area| area.pages.as_mut()) {
            pages.remove_table(table);
        }
        next = following(map, iova);
    }
}

/// The IOVA of the area behind the one at `iova`.
fn following(map: &Map, iova: u64) -> Option<u64> {
    let last = map.first_in(iova, iova)?.last();

    map.first_in(last.checked_add(1)?, u64::MAX)
        .map(Node::first)
}
