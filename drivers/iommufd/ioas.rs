// SPDX-License-Identifier: GPL-2.0

//! IO address spaces: what is mapped where, and the page tables that mirror it.
//!
//! A mapping comes to be in three steps, so that pinning memory, which takes long, hinders nobody
//! else: its area takes the IOVA; the pages are pinned and put into every page table; the area gets
//! the pages. It goes in the reverse order. An area without pages is *in transit*: it belongs to
//! the thread that works on it.
//!
//! Locks, in the order in which they are taken: `hwpts`, the group of a device, `users`, `map`,
//! that of the pages, then those of memory management. While pages come or go, their thread holds
//! `users` for reading, so that no page table comes or goes meanwhile. Only [`process`] locks
//! several maps.

mod area;
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
    // A page full of page table entries maps so much.
    PAGE_SIZE * (PAGE_SIZE / size_of::<u64>())
} else {
    PAGE_SIZE
};

/// On whose behalf a range is reserved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReservedFor {
    /// An object that gives the range up before its ID goes, such as a device that is attached.
    Object(ObjectId),
    /// A page table that cannot translate all addresses.
    Table(TableId),
}

/// What is mapped or reserved at each IOVA.
pub(crate) type Map = IovaMap<Area, ReservedFor>;

/// A page table of an address space.
#[derive(Clone, Copy)]
pub(crate) struct ListedHwpt {
    /// How to look it up.
    pub(crate) id: ObjectId,
    /// Whether what was found is it.
    pub(crate) table: TableId,
    /// Whether a device that is attached to the address space may be given it.
    pub(crate) automatic: bool,
    /// Whether it ignores requests to bypass the CPU's caches.
    pub(crate) enforces_cache_coherency: bool,
}

/// An IO address space.
#[pin_data]
pub(crate) struct Ioas {
    space: SpaceId,
    /// Its page tables. Locked while one is being chosen or made automatically, so that devices
    /// attached at the same time share it.
    #[pin]
    pub(crate) hwpts: Mutex<KVec<ListedHwpt>>,
    /// The page tables that mirror the map, and who uses it in the kernel.
    #[pin]
    users: RwSem<Users>,
    /// Whether entries of page tables may cover several pages. Changes with `users` locked for
    /// writing.
    large_pages: Atomic<bool>,
    #[pin]
    pub(crate) map: RwSem<Map>,
}

impl Ioas {
    /// An address space with nothing in it.
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

    /// Its identity, which no other address space ever has.
    pub(crate) fn space(&self) -> SpaceId {
        self.space
    }

    /// Keeps out of the map what a device cannot use.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if something is mapped there; `EINVAL` if the driver reports more than one
    /// place for interrupts, which is its fault; `ENODEV` if the driver of the device has been
    /// unbound; `ENOMEM`. Nothing has changed then.
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

/// Reserves what a device cannot use.
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
