// SPDX-License-Identifier: GPL-2.0

//! Mapping, and sharing what is mapped.

use super::{
    area::{bytes_from, Area, Hold, Slice},
    tables::Users,
    Ioas, Map,
};
use crate::{context::Context, interval::Node};
use iommufd_core::{iova::IovaClaim, Mapping, NotMapped, SharedPages};
use kernel::prelude::*;
use kernel_ext::{
    alloc::SlabBox,
    dma_buf::DmaBuf,
    iommu::Access,
    mm::{Account, ChargeMode, FileMemory, Memory, PAGE_SIZE},
};

/// Memory for the node of an area.
pub(super) type Slot = SlabBox<core::mem::MaybeUninit<Node<Area>>>;

/// Allocates it: before locking.
pub(super) fn new_slot() -> Result<Slot> {
    Ok(SlabBox::new_uninit(GFP_KERNEL_ACCOUNT)?)
}

impl Ioas {
    /// Maps `length` bytes at `address` of the calling process, as [`map`](Self::map) does.
    ///
    /// # Errors
    ///
    /// Also those of [`SharedPages::of_caller`].
    pub(crate) fn map_user(
        &self,
        context: &Context,
        address: usize,
        length: usize,
        iova: Option<u64>,
        access: Access,
    ) -> Result<u64> {
        let slice = Slice {
            pages: SharedPages::of_caller(address, length, access.write, account(context)?)?,
            start: address % PAGE_SIZE,
            length,
        };

        self.map(slice, iova, access)
    }

    /// Maps a part of a file that the calling process has open, as [`map`](Self::map) does.
    ///
    /// # Errors
    ///
    /// Also those of [`SharedPages::dma_buf`] and [`FileMemory::from_fd`].
    pub(crate) fn map_file(
        &self,
        context: &Context,
        file: FilePart,
        iova: Option<u64>,
        access: Access,
    ) -> Result<u64> {
        let FilePart { fd, start, length } = file;

        start
            .checked_add(length.checked_sub(1).ok_or(EINVAL)?)
            .ok_or(EOVERFLOW)?;

        let pages = match DmaBuf::from_fd(fd) {
            Ok(buffer) => {
                SharedPages::dma_buf(buffer, context.device(), start, length, access.write)?
            }
            Err(_) => {
                let memory = FileMemory::from_fd(fd, start as u64, length, access.write)?;
                SharedPages::pinned(Memory::File(memory), account(context)?)?
            }
        };
        let slice = Slice {
            pages,
            start: start % PAGE_SIZE,
            length,
        };

        self.map(slice, iova, access)
    }

    /// Maps bytes, at `iova` or where there is room. Returns where.
    ///
    /// # Errors
    ///
    /// Those of [`IovaMap::check`](crate::iova_map::IovaMap::check) and
    /// [`IovaMap::find`](crate::iova_map::IovaMap::find); `EEXIST` if something is mapped there;
    /// `EPERM` if devices may write what may not be written; `EOVERFLOW` for more bytes than can be
    /// rounded up to whole pages; then those of [`Mapping::new`]. Nothing has changed then.
    pub(crate) fn map(&self, slice: Slice, iova: Option<u64>, access: Access) -> Result<u64> {
        let claim = self.reserve_area(&slice, iova, access)?;
        let first = claim.first();
        let users = self.users.read();

        match self.map_claimed(&users, slice, claim, access) {
            Ok(hold) => {
                if let Some(area) = self.map.write().area_mut(first) {
                    area.hold = hold;
                    area.in_transit = false;
                }
                Ok(first)
            }
            Err(NotMapped { error, claim }) => {
                self.remove(claim);
                Err(error)
            }
        }
    }

    /// Maps a slice in the range that `claim` is to, in all page tables of the address space.
    #[inline(always)]
    fn map_claimed(
        &self,
        users: &Users,
        slice: Slice,
        claim: IovaClaim,
        access: Access,
    ) -> core::result::Result<Hold, NotMapped> {
        if users.tables.as_slice().is_empty() {
            return Ok(Hold::Claim(claim));
        }
        let (pages, view) = slice.view(claim, access);

        Mapping::new(pages, view, &users.tables, self.large_pages()).map(Hold::Mapping)
    }

    /// Maps bytes of several pages one behind the other, as [`map`](Self::map) does. There is at
    /// least one slice.
    pub(crate) fn map_all(
        &self,
        mut slices: KVVec<Slice>,
        iova: Option<u64>,
        access: Access,
    ) -> Result<u64> {
        if slices.len() == 1 {
            return self.map(slices.pop().ok_or(EINVAL)?, iova, access);
        }
        let mut slots = KVVec::with_capacity(slices.len(), GFP_KERNEL_ACCOUNT)?;

        for _ in &slices {
            slots.push_within_capacity(new_slot()?)?;
        }
        let mut claims = KVVec::with_capacity(slices.len(), GFP_KERNEL_ACCOUNT)?;
        let span = self.reserve_areas(&slices, slots.into_iter(), iova, access, |claim| {
            let pushed = claims.push_within_capacity(claim);
            debug_assert!(pushed.is_ok());
        })?;

        self.fill_areas(slices.into_iter().zip(claims), span, access)
    }

    /// Maps the slices for which areas are in transit in a range. Returns its first IOVA.
    ///
    /// On failure the areas are gone.
    fn fill_areas(
        &self,
        mut slices: impl Iterator<Item = (Slice, IovaClaim)>,
        (first, last): (u64, u64),
        access: Access,
    ) -> Result<u64> {
        let users = self.users.read();
        let mut iova = first;

        while let Some((slice, claim)) = slices.next() {
            let length = slice.length as u64;
            let hold = match self.map_claimed(&users, slice, claim, access) {
                Ok(hold) => hold,
                Err(NotMapped { error, claim }) => {
                    self.abandon(first, claim, slices.map(|(_, claim)| claim));
                    return Err(error);
                }
            };

            if let Some(area) = self.map.write().area_mut(iova) {
                area.hold = hold;
            }
            iova = iova.wrapping_add(length);
        }
        // At once, so that no other thread finds some of them mapped and others in transit.
        settle(&mut self.map.write(), first, last);
        Ok(first)
    }

    /// Puts an area in transit where a slice is to be mapped. Returns the claim to its range.
    fn reserve_area(&self, slice: &Slice, iova: Option<u64>, access: Access) -> Result<IovaClaim> {
        // Allocated before locking, and then told where it goes.
        let slot = new_slot()?;
        let length = slice.length as u64;
        let mut map = self.map.write();
        let iova = match iova {
            Some(iova) => iova,
            None => map.find(length, slice.address())?,
        };
        let last = map.check(iova, length)?;

        if let Err(error) = check_slice(&map, slice, access) {
            map.check_vacant(iova, last)?;
            return Err(error);
        }
        let node = Node::new(iova, last, Area::new(slice.clone(), access));

        map.insert(SlabBox::write(slot, node)).map_err(|_| EEXIST)
    }

    /// Puts areas in transit where slices are to be mapped one behind the other, and passes the
    /// claims to their ranges to `claimed`. Returns their first and their last IOVA.
    fn reserve_areas(
        &self,
        slices: &[Slice],
        slots: impl Iterator<Item = Slot>,
        iova: Option<u64>,
        access: Access,
        mut claimed: impl FnMut(IovaClaim),
    ) -> Result<(u64, u64)> {
        let first = slices.first().ok_or(EINVAL)?;
        let length = slices.iter().try_fold(0u64, |sum, slice| {
            sum.checked_add(slice.length as u64).ok_or(EOVERFLOW)
        })?;
        let mut map = self.map.write();
        let iova = match iova {
            Some(iova) => iova,
            None => map.find(length, first.address())?,
        };
        let last = map.check(iova, length)?;
        let fit = slices
            .iter()
            .try_for_each(|slice| check_slice(&map, slice, access));

        map.check_vacant(iova, last)?;
        fit?;

        let mut at = iova;
        for (slice, slot) in slices.iter().zip(slots) {
            let last = at + (slice.length as u64 - 1);
            let node = Node::new(at, last, Area::new(slice.clone(), access));

            claimed(map.insert(SlabBox::write(slot, node)).map_err(|_| EEXIST)?);
            at = last.wrapping_add(1);
        }
        Ok((iova, last))
    }

    /// Removes areas in transit: those from `first` on that are mapped by now, the one of which
    /// `failed` is the claim, and those behind it.
    #[cold]
    fn abandon(&self, first: u64, failed: IovaClaim, behind: impl Iterator<Item = IovaClaim>) {
        let mut next = first;

        while next != failed.first() {
            let Some((last, hold)) = self.take_hold(next) else {
                break;
            };

            // The IOVA is free for others once no page table maps anything there.
            if let Some(claim) = hold.close() {
                self.remove(claim);
            }
            next = last.wrapping_add(1);
        }
        self.remove(failed);
        behind.for_each(|claim| self.remove(claim));
    }

    /// Takes the hold of the area at `iova`. Returns its last address as well.
    fn take_hold(&self, iova: u64) -> Option<(u64, Hold)> {
        let mut map = self.map.write();
        let area = map.first_in_mut(iova, iova)?;

        Some((area.last(), area.value.hold.take()))
    }

    /// Removes the area that `claim` is to.
    fn remove(&self, claim: IovaClaim) {
        let area = self.map.write().remove(claim);

        // Outside of the lock, as it may hold the last reference to its pages.
        drop(area);
    }

    /// What is mapped in a range, as slices that a copy can be made of.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an empty range, `EOVERFLOW` for one past the end of the address space; `ENOENT`
    /// if something in it is not mapped.
    pub(crate) fn slices(&self, iova: u64, length: u64) -> Result<KVVec<Slice>> {
        let last = iova
            .checked_add(length.checked_sub(1).ok_or(EINVAL)?)
            .ok_or(EOVERFLOW)?;
        let map = self.map.read();
        let mut slices = KVVec::new();

        for piece in map.walk(iova, last, Area::is_settled) {
            let piece = piece?;
            let slice = Slice {
                pages: piece.area.value.slice.pages.clone(),
                start: bytes_from(piece.area, piece.first),
                length: (piece.last - piece.first) as usize + 1,
            };

            slices.push(slice, GFP_KERNEL_ACCOUNT)?;
        }
        Ok(slices)
    }
}

/// Bytes of a file that the calling process has open.
pub(crate) struct FilePart {
    /// The descriptor.
    pub(crate) fd: i32,
    /// The first byte.
    pub(crate) start: usize,
    /// How many bytes.
    pub(crate) length: usize,
}

/// Returns the calling process, charged for what is mapped as the context demands.
#[inline]
fn account(context: &Context) -> Result<Account> {
    let limited = || {
        if context.charges_process() {
            ChargeMode::Process
        } else {
            ChargeMode::User
        }
    };

    Account::current(limited, &context.limit_reports)
}

/// Checks that a slice may be mapped with an access, wherever that is.
///
/// # Errors
///
/// `EPERM` if devices may write memory that may not be written; `EINVAL` if it is not aligned;
/// `EOVERFLOW` for more bytes than can be rounded up to whole pages.
#[inline]
fn check_slice(map: &Map, slice: &Slice, access: Access) -> Result {
    if access.write && !slice.pages.writable() {
        return Err(EPERM);
    }
    map.check_page_offset(slice.page_offset())?;
    slice.check_end()
}

/// Lets areas that fill a range be in transit no more.
fn settle(map: &mut Map, first: u64, last: u64) {
    let mut next = Some(first);

    while let Some(area) = next.and_then(|next| map.first_in_mut(next, last)) {
        area.value.in_transit = false;
        next = area.last().checked_add(1);
    }
}
