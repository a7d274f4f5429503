// SPDX-License-Identifier: GPL-2.0

//! Mapping, and sharing what is mapped.

use super::{
    area::{bytes_from, Area, Slice},
    Ioas,
};
use crate::{device_file::Context, interval::Node};
use kernel::prelude::*;
use kernel_ext::{
    dma_buf::DmaBuf,
    iommu::{Access, Mapping, SharedPages},
    mm::{ChargeMode, FileMemory, Memory, Payer, UserMemory, PAGE_SIZE},
};

/// Memory for the node of an area.
pub(super) type Slot = KBox<core::mem::MaybeUninit<Node<Area>>>;

/// Allocates it: before locking.
pub(super) fn new_slot() -> Result<Slot> {
    Ok(KBox::new_uninit(GFP_KERNEL_ACCOUNT)?)
}

impl Ioas {
    /// Maps `length` bytes at `address` of the calling process, as [`map`](Self::map) does.
    ///
    /// # Errors
    ///
    /// Also those of [`UserMemory::current`].
    pub(crate) fn map_user(
        &self,
        context: &Context,
        address: usize,
        length: usize,
        iova: Option<u64>,
        access: Access,
    ) -> Result<u64> {
        let memory = Memory::User(UserMemory::current(address, length, access.write)?);
        let start = memory.offset();
        let slice = Slice {
            pages: SharedPages::pinned(memory, payer(context)?)?,
            start,
            length,
        };

        self.map(&slice, iova, access)
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
                SharedPages::pinned(Memory::File(memory), payer(context)?)?
            }
        };
        let slice = Slice {
            pages,
            start: start % PAGE_SIZE,
            length,
        };

        self.map(&slice, iova, access)
    }

    /// Maps bytes, at `iova` or where there is room. Returns where.
    ///
    /// # Errors
    ///
    /// Those of [`IovaMap::check`](crate::iova_map::IovaMap::check) and
    /// [`IovaMap::find`](crate::iova_map::IovaMap::find); `EEXIST` if something is mapped there; `EPERM`
    /// if devices may write what may not be written; then those of [`Mapping::new`]. Nothing has changed
    /// then.
    pub(crate) fn map(&self, slice: &Slice, iova: Option<u64>, access: Access) -> Result<u64> {
        // Allocated before locking, and then told where it goes.
        let slot = new_slot()?;

        self.map_into(
            core::slice::from_ref(slice),
            core::iter::once(slot),
            iova,
            access,
        )
    }

    /// Maps bytes of several pages one behind the other, as [`map`](Self::map) does. There is at least
    /// one slice.
    pub(crate) fn map_all(
        &self,
        slices: &[Slice],
        iova: Option<u64>,
        access: Access,
    ) -> Result<u64> {
        let mut slots = KVVec::with_capacity(slices.len(), GFP_KERNEL_ACCOUNT)?;

        for _ in slices {
            slots.push_within_capacity(new_slot()?)?;
        }
        self.map_into(slices, slots.into_iter(), iova, access)
    }

    fn map_into(
        &self,
        slices: &[Slice],
        slots: impl Iterator<Item = Slot>,
        iova: Option<u64>,
        access: Access,
    ) -> Result<u64> {
        let iova = self.reserve_areas(slices, slots, iova, access)?;
        let users = self.users.read();
        let mut at = iova;

        for (index, slice) in slices.iter().enumerate() {
            let mapping = if users.tables.is_empty() {
                None
            } else {
                let view = slice.view(at, access);
                let tables = users.tables.iter();

                match Mapping::new(&slice.pages, view, tables, users.large_pages) {
                    Ok(mapping) => Some(mapping),
                    Err(error) => {
                        self.abandon(slices, iova);
                        return Err(error);
                    }
                }
            };
            let mut map = self.map.write();
            let complete = index + 1 == slices.len();

            if let Some(area) = map.area_mut(at) {
                area.mapping = mapping;
                area.in_transit = !complete;
            }
            at = at.wrapping_add(slice.length as u64);
            if let Some((_, others)) = slices.split_last().filter(|_| complete) {
                for_each_place(others, iova, |place| {
                    if let Some(area) = map.area_mut(place) {
                        area.in_transit = false;
                    }
                });
            }
        }
        Ok(iova)
    }

    /// Puts areas in transit where slices are to be mapped.
    fn reserve_areas(
        &self,
        slices: &[Slice],
        slots: impl Iterator<Item = Slot>,
        iova: Option<u64>,
        access: Access,
    ) -> Result<u64> {
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
            map.check_page_offset(slice.page_offset())
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

            map.insert(KBox::write(slot, node)).map_err(|_| EEXIST)?;
            at = last.wrapping_add(1);
        }
        Ok(iova)
    }

    /// Takes areas in transit away, and what they have mapped by now.
    fn abandon(&self, slices: &[Slice], iova: u64) {
        for_each_place(slices, iova, |place| {
            // The IOVA is free for others once no page table shows anything there.
            let mapping = self
                .map
                .write()
                .area_mut(place)
                .map(|area| area.mapping.take());
            drop(mapping);

            let area = self.map.write().remove(place);
            drop(area);
        });
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

/// Who pays for what the calling process maps.
fn payer(context: &Context) -> Result<Payer> {
    Payer::current(if context.charges_process() {
        ChargeMode::Process
    } else {
        ChargeMode::User
    })
}

/// Calls `f` with the IOVA of each of some slices that are mapped one behind the other.
fn for_each_place(slices: &[Slice], iova: u64, mut f: impl FnMut(u64)) {
    let mut at = iova;

    for slice in slices {
        f(at);
        at = at.wrapping_add(slice.length as u64);
    }
}
