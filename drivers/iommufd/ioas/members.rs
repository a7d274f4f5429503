// SPDX-License-Identifier: GPL-2.0

//! The members of an address space: its users in the kernel, which pin and copy its memory.
//!
//! Pages are pinned, unpinned and copied with `map` locked for reading, so that users do not wait
//! for each other: each area counts the pins of users, and the pages have a lock of their own.
//! Unmapping locks `map` for writing, so that it sees whether a user has pinned pages of an area.

use super::{
    area::{bytes_from, Area},
    Ioas, Map,
};
use crate::iova_walk::Piece;
use core::ops::Range;
use iommufd_core::{CopyPath, KernelPins, ObjectId, PinRequest, UserRef};
use kernel::{prelude::*, sync::Arc, types::ScopeGuard};
use kernel_ext::mm::{CopyBuffer, PAGE_SIZE};

/// A user of an address space in the kernel.
pub(crate) trait Member: Send + Sync {
    /// Returns its ID, which no other member of the address space has.
    fn id(&self) -> ObjectId;

    /// Unpins what the user has pinned in `length` bytes at `iova`, unless the user is being
    /// destroyed. Called with no lock held.
    fn unmap(&self, iova: u64, length: u64);
}

/// The members of an address space.
pub(super) struct Members {
    /// Sorted by ID, so that an iteration can continue while members are added and removed.
    sorted: KVec<Listed>,
}

struct Listed {
    member: Arc<dyn Member>,
    alignment: u64,
}

impl Members {
    /// Creates an empty list.
    pub(super) const fn new() -> Self {
        Self {
            sorted: KVec::new(),
        }
    }

    /// Returns whether there are no members.
    pub(super) fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Returns the alignment of IOVAs and lengths that the members need, in bytes.
    pub(super) fn alignment(&self) -> u64 {
        let alignments = self.sorted.iter().map(|listed| listed.alignment);

        alignments.fold(1, u64::max)
    }

    /// Returns the index of the member with this ID, or the index at which it would be.
    fn position(&self, id: ObjectId) -> usize {
        self.sorted
            .partition_point(|listed| listed.member.id().0 < id.0)
    }
}

/// The membership of a user in an address space, which ends on drop. The user is told of ranges
/// that are about to be unmapped, and areas have the alignment that it needs.
pub(crate) struct Membership {
    ioas: UserRef<Ioas>,
    member: ObjectId,
}

impl Membership {
    /// Adds `member` to an address space that it is not a member of.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if an area is not aligned to `alignment`; `ENOMEM`.
    pub(crate) fn new(
        ioas: UserRef<Ioas>,
        member: Arc<dyn Member>,
        alignment: u64,
    ) -> Result<Self> {
        let id = member.id();
        {
            let mut users = ioas.users.write();
            let mut map = ioas.map.write();
            let members = &mut users.members;
            let position = members.position(id);
            let needed = map.alignment().max(alignment);

            members.sorted.reserve(1, GFP_KERNEL_ACCOUNT)?;
            map.set_alignment(needed)?;
            members
                .sorted
                .insert_within_capacity(position, Listed { member, alignment })?;
        }
        Ok(Self { ioas, member: id })
    }

    /// Returns the address space.
    pub(crate) fn ioas(&self) -> &UserRef<Ioas> {
        &self.ioas
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut users = self.ioas.users.write();
        let mut map = self.ioas.map.write();
        let position = users.members.position(self.member);
        let listed = users.members.sorted.remove(position);
        // A lower alignment suits every area, so this cannot fail.
        let lowered = map.set_alignment(users.alignment(self.ioas.large_pages()));

        kernel::warn_on!(listed.is_err() || lowered.is_err());
    }
}

impl Ioas {
    /// Returns the member with the lowest ID that is not below `id`.
    fn member_from(&self, id: ObjectId) -> Option<Arc<dyn Member>> {
        let users = self.users.read();
        let members = &users.members;
        let listed = members.sorted.get(members.position(id))?;

        Some(listed.member.clone())
    }

    /// Tells all members to unpin what they have pinned in `length` bytes at `iova`. No lock may be
    /// held.
    pub(super) fn notify_unmap(&self, iova: u64, length: u64) {
        let mut next = ObjectId(0);

        while let Some(member) = self.member_from(next) {
            member.unmap(iova, length);
            next = ObjectId(member.id().0.saturating_add(1));
        }
    }

    /// Pins the pages of `first..=last` for `request`, for writing if `write`.
    ///
    /// # Errors
    ///
    /// `ENOENT` if an IOVA is not mapped. `EINVAL` if an area is about to be unmapped or is memory
    /// of a device, or if a page of the range is not exactly one page of memory. `EPERM` if an area
    /// does not allow the access. Else the error of pinning. The request may have pinned some pages
    /// then, and must not be finished.
    pub(crate) fn pin_pages(
        &self,
        first: u64,
        last: u64,
        request: &mut PinRequest<'_>,
        write: bool,
    ) -> Result {
        let map = self.map.read();
        let mut pinned = ScopeGuard::new_with_data(None, |pinned: Option<u64>| {
            if let Some(last) = pinned {
                count_unpinned(&map, first, last);
            }
        });

        for piece in map.walk(first, last, Area::is_settled) {
            let piece = piece?;
            let pages = pages_of(&piece);
            let area = &piece.area.value;

            if area.prevent_access || !has_whole_pages(&piece, last) {
                return Err(EINVAL);
            }
            area.check_access(write)?;
            request.pin(&area.slice.pages, pages.start, pages.len())?;
            area.count_access(true);
            *pinned = Some(piece.last);
        }
        pinned.dismiss();
        Ok(())
    }

    /// Undoes [`pin_pages`](Self::pin_pages) for the same range, which `pins` came from. Returns
    /// false if they came from another range; the pages are unpinned nevertheless.
    pub(crate) fn unpin_pages(&self, first: u64, last: u64, pins: KernelPins) -> bool {
        let map = self.map.read();

        drop(pins);
        count_unpinned(&map, first, last)
    }

    /// Copies from or to the memory at `first..=last`. `data` has the length of the range.
    ///
    /// # Errors
    ///
    /// `ENOENT` if an IOVA is not mapped. `EINVAL` if an area is about to be unmapped or is memory
    /// of a device. `EPERM` if an area does not allow the access. Else the error of
    /// [`SharedPages::copy`]. The bytes below have been copied then.
    ///
    /// [`SharedPages::copy`]: iommufd_core::SharedPages::copy
    pub(crate) fn copy_bytes(
        &self,
        first: u64,
        last: u64,
        mut data: CopyBuffer<'_>,
        path: CopyPath,
    ) -> Result {
        let map = self.map.read();

        for piece in map.walk(first, last, Area::is_settled) {
            let piece = piece?;
            let area = &piece.area.value;

            if area.prevent_access {
                return Err(EINVAL);
            }
            area.check_access(data.is_write())?;

            let start = bytes_from(piece.area, piece.first);
            let length = (piece.last - piece.first) as usize + 1;
            area.slice
                .pages
                .copy(start, data.take_front(length), path)?;
        }
        Ok(())
    }
}

/// Counts one user in the kernel less for the pages of `first..=last`. Returns false if some of
/// them had none.
fn count_unpinned(map: &Map, first: u64, last: u64) -> bool {
    let mut all = true;

    for piece in map.walk(first, last, Area::is_settled) {
        let Ok(piece) = piece else {
            return false;
        };
        let area = &piece.area.value;

        if area.accesses() != 0 {
            area.count_access(false);
        } else {
            all = false;
        }
    }
    all
}

/// Returns the range of pages that a piece has bytes of.
fn pages_of(piece: &Piece<'_, Area>) -> Range<usize> {
    let first = bytes_from(piece.area, piece.first) / PAGE_SIZE;
    let last = bytes_from(piece.area, piece.last) / PAGE_SIZE;

    first..last + 1
}

/// Returns whether a piece begins at a page boundary and, unless it is the end of the range, ends
/// at one.
fn has_whole_pages(piece: &Piece<'_, Area>, last: u64) -> bool {
    let first_byte = bytes_from(piece.area, piece.first);
    let last_byte = bytes_from(piece.area, piece.last);

    first_byte % PAGE_SIZE == 0 && (piece.last == last || last_byte % PAGE_SIZE == PAGE_SIZE - 1)
}
