// SPDX-License-Identifier: GPL-2.0

//! Mapping, and sharing what is mapped.

use super::{
    area::{bytes_from, Area, Hold, Slice},
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

    /// Maps `length` bytes from `start` on of the file that the calling process has open as `fd`, as
    /// [`map`](Self::map) does.
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
    /// [`IovaMap::find`](crate::iova_map::IovaMap::find); `EEXIST` if something is mapped there; `EPERM`
    /// if devices may write what may not be written; `EOVERFLOW` for more bytes than can be rounded up to
    /// whole pages; then those of [`Mapping::new`]. Nothing has changed then.
    pub(crate) fn map(&self, slice: Slice, iova: Option<u64>, access: Access) -> Result<u64> {
        // Allocated before locking, and then told where it goes.
        let slot = core::iter::once(new_slot()?);
        let slices = core::slice::from_ref(&slice);
        let mut claim = None;
        let span = self.reserve_areas(slices, slot, iova, access, |new| claim = Some(new))?;

        self.fill_areas(core::iter::once(slice).zip(claim), span, access)
    }

    /// Maps bytes of several pages one behind the other, as [`map`](Self::map) does. There is at least
    /// one slice.
    pub(crate) fn map_all(
        &self,
        slices: KVVec<Slice>,
        iova: Option<u64>,
        access: Access,
    ) -> Result<u64> {
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
            let view = slice.view(iova, access);
            let hold = if users.tables.as_slice().is_empty() {
                Hold::Claim(claim)
            } else {
                let large_pages = self.large_pages();
                match Mapping::new(claim, slice.pages, view, &users.tables, large_pages) {
                    Ok(mapping) => Hold::Mapping(mapping),
                    Err(NotMapped { error, claim }) => {
                        self.abandon(first, claim, slices.map(|(_, claim)| claim));
                        return Err(error);
                    }
                }
            };
            let mut map = self.map.write();
            let next = iova.wrapping_add(view.length as u64);
            let is_last = next.wrapping_sub(1) == last;

            if let Some(area) = map.area_mut(iova) {
                area.hold = hold;
                area.in_transit = !is_last || iova != first;
            }
            // Nobody sees some of them mapped and others not.
            if is_last && iova != first {
                settle(&mut map, first, last);
            }
            iova = next;
        }
        Ok(first)
    }

    /// Puts areas in transit where slices are to be mapped, and passes the claims to their ranges to
    /// `claimed`. Returns their first and their last IOVA.
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
        let fit = slices.iter().try_for_each(|slice| {
            if access.write && !slice.pages.writable() {
                return Err(EPERM);
            }
            map.check_page_offset(slice.page_offset())?;
            slice.check_end()
        });
        // Alone, an area that may be mapped meets others when it is inserted.
        if fit.is_err() || slices.len() > 1 {
            map.check_vacant(iova, last)?;
        }
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
    /// `EINVAL` for an empty range, `EOVERFLOW` for one past the end of the address space; `ENOENT` if
    /// something in it is not mapped.
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

/// The calling process, charged as the context has it for what is mapped.
fn account(context: &Context) -> Result<Account> {
    let limited = if context.charges_process() {
        ChargeMode::Process
    } else {
        ChargeMode::User
    };

    Account::current(limited, &context.limit_reports)
}

/// Lets areas that fill a range be in transit no more.
fn settle(map: &mut Map, first: u64, last: u64) {
    let mut next = Some(first);

    while let Some(area) = next.and_then(|next| map.first_in_mut(next, last)) {
        area.value.in_transit = false;
        next = area.last().checked_add(1);
    }
}
