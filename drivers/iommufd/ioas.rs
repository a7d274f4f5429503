// SPDX-License-Identifier: GPL-2.0

//! IO address spaces: a map of what is mapped where, and the page tables that mirror it.
//!
//! Memory is mapped in three steps, so that pinning, which takes long, does not block other users
//! of the map: the area takes its IOVA; the pages are pinned and mapped in every page table; the
//! mapping is stored in the area. Unmapping takes the same steps in reverse order. An area between
//! the first and the last step is *in transit*: it belongs to the thread that is mapping or
//! unmapping it.
//!
//! Locks, in the order in which they are taken: `hwpts`, the group of a device, `users`, `map`,
//! that of the pages, then those of memory management. A thread that maps or unmaps pages holds
//! `users` for reading, so that no page table is added or removed meanwhile. Only [`process`] locks
//! several maps.

mod area;
mod dirty;
mod map;
mod members;
mod process;
mod tables;
mod unmap;

pub(crate) use map::FilePart;
pub(crate) use members::{Member, Membership};
pub(crate) use process::change_process;
pub(crate) use tables::TableId;

use crate::iova_map::{IovaMap, ReservedRange};
use area::Area;
use iommufd_core::{iova::SpaceId, ObjectId};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{atomic::Atomic, Mutex},
};
use kernel_ext::{
    alloc::SlabBox,
    iommu::{DmaOwner, ReservedKind, ReservedRegions},
    mm::PAGE_SIZE,
    new_rwsem,
    sync::RwSem,
};
use tables::Users;

/// The alignment of an IOVA that lets the memory behind it be mapped with large pages, in bytes.
const LARGE_PAGE: usize = if cfg!(CONFIG_TRANSPARENT_HUGEPAGE) {
    // The range that one page of page table entries maps.
    PAGE_SIZE * (PAGE_SIZE / size_of::<u64>())
} else {
    PAGE_SIZE
};

/// The owner of a reserved range.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReservedFor {
    /// An object, such as an attached device. It removes the range before its ID can be reused.
    Object(ObjectId),
    /// A page table, which cannot translate the range.
    Table(TableId),
}

/// The areas and reserved ranges of an address space.
pub(crate) type Map = IovaMap<Area, ReservedFor>;

/// An entry of the list of page tables of an address space.
#[derive(Clone, Copy)]
pub(crate) struct ListedHwpt {
    /// The ID to look it up by, which may have been reused.
    pub(crate) id: ObjectId,
    /// The identity of the page table, to be compared after the lookup.
    pub(crate) table: TableId,
    /// Whether devices that are attached to the address space may share it.
    pub(crate) automatic: bool,
    /// Whether it ignores requests of devices to bypass the CPU's caches.
    pub(crate) enforces_cache_coherency: bool,
}

/// An IO address space.
#[pin_data]
pub(crate) struct Ioas {
    space: SpaceId,
    /// The page tables. Locked while one is being chosen or allocated automatically, so that
    /// devices that are attached at the same time share it.
    #[pin]
    pub(crate) hwpts: Mutex<KVec<ListedHwpt>>,
    /// The page tables that mirror the map, and the users in the kernel.
    #[pin]
    users: RwSem<Users>,
    /// Whether entries of page tables may cover several pages. Written with `users` locked for
    /// writing.
    large_pages: Atomic<bool>,
    #[pin]
    pub(crate) map: RwSem<Map>,
}

impl Ioas {
    /// Creates an empty address space.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        let map = Map::new(LARGE_PAGE as u64);
        let id = map.space();

        try_pin_init!(Self {
            space: id,
            hwpts <- new_mutex!(KVec::new(), "Ioas::hwpts"),
            users <- new_rwsem!(Users::new(id), "Ioas::users"),
            large_pages: Atomic::new(true),
            map <- new_rwsem!(map, "Ioas::map"),
        })
    }

    /// Returns its identity, which no other address space ever has.
    pub(crate) fn space(&self) -> SpaceId {
        self.space
    }

    /// Reserves the IOVAs that a device cannot use, on behalf of the object `id`.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if one of them is mapped or allowed; `EINVAL` if the driver reports more than
    /// one region for interrupts, which is its fault; `ENODEV` if the driver of the device has been
    /// unbound; `ENOMEM`. No range is reserved then.
    pub(crate) fn reserve_for(&self, id: ObjectId, device: &DmaOwner) -> Result {
        if kernel_ext::fault::should_fail() {
            return Err(EINVAL);
        }
        let owner = ReservedFor::Object(id);
        let mut map = self.map.write();
        let reserved = reserve_regions(&mut map, device, owner);

        if reserved.is_err() {
            map.unreserve(&owner);
        }
        reserved
    }

    /// Undoes [`reserve_for`](Self::reserve_for).
    pub(crate) fn unreserve_for(&self, id: ObjectId) {
        self.map.write().unreserve(&ReservedFor::Object(id));
    }
}

fn reserve(map: &mut Map, first: u64, last: u64, owner: ReservedFor) -> Result {
    map.reserve(SlabBox::new(
        ReservedRange::new(first, last, owner),
        GFP_KERNEL_ACCOUNT,
    )?)
}

/// Reserves the IOVAs that a device cannot use. After an error, some may be reserved.
fn reserve_regions(map: &mut Map, device: &DmaOwner, owner: ReservedFor) -> Result {
    let (mut fixed, mut software) = (0, 0);

    pin_init::stack_pin_init!(let regions = ReservedRegions::of(device)?);
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
