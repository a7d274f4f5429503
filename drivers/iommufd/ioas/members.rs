// SPDX-License-Identifier: GPL-2.0

//! Members of an address space: its users in the kernel, and what they do with its memory.
//!
//! Pages are pinned, given back and copied with `map` locked for reading, so that users do not wait
//! for each other: each area counts what they have of it, and the pages have a lock of their own.
//! UNMAP locks it for writing, and so knows whether anybody has pages of an area.

use super::{
    area::{bytes_from, Area},
    Ioas, Map,
};
use crate::iova_walk::Piece;
use core::ops::Range;
use iommufd_core::{CopyPath, KernelPins, ObjectId, PinRequest, UserRef};
use kernel::{prelude::*, sync::Arc, types::ScopeGuard};
use kernel_ext::mm::{CopyBuffer, PAGE_SIZE};

/// A user in the kernel of an address space.
pub(crate) trait Member: Send + Sync {
    /// Its ID, by which the members of an address space are told apart.
    fn id(&self) -> ObjectId;

    /// Has it give back what it has pinned of `length` bytes at `iova`, unless it is being
    /// destroyed. Called with no lock held.
    fn unmap(&self, iova: u64, length: u64);
}

/// The members of an address space.
pub(super) struct Members {
    /// Sorted by ID, so that one can go through them while others come and go.
    sorted: KVec<Listed>,
}

struct Listed {
    member: Arc<dyn Member>,
    alignment: u64,
}

impl Members {
    /// No members.
    pub(super) const fn new() -> Self {
        Self {
            sorted: KVec::new(),
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// What IOVAs and lengths must be multiples of for their sake, in bytes.
    pub(super) fn alignment(&self) -> u64 {
        let alignments = self.sorted.iter().map(|listed| listed.alignment);

        alignments.fold(1, u64::max)
    }

    /// Where a member with this ID is listed, or would be.
    fn position(&self, id: ObjectId) -> usize {
        self.sorted
            .partition_point(|listed| listed.member.id().0 < id.0)
    }
}

/// That a user in the kernel is a member of an address space: it hears of what is unmapped there,
/// and everything there is aligned as it needs it. Dropping this ends both.
pub(crate) struct Membership {
    ioas: UserRef<Ioas>,
    member: ObjectId,
}

impl Membership {
    /// Adds a member to an address space of which it is none.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if something is mapped that is not aligned; `ENOMEM`.
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

    /// The address space.
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
        // Lowering it cannot fail.
        let lowered = map.set_alignment(users.alignment(self.ioas.large_pages()));

        kernel::warn_on!(listed.is_err() || lowered.is_err());
    }
}

impl Ioas {
    /// The first of the members from an ID on.
    fn member_from(&self, id: ObjectId) -> Option<Arc<dyn Member>> {
        let users = self.users.read();
        let members = &users.members;
        let listed = members.sorted.get(members.position(id))?;

        Some(listed.member.clone())
    }

    /// Tells all members to give back what they have of `length` bytes at `iova`. No lock may be
    /// held.
    pub(super) fn notify_unmap(&self, iova: u64, length: u64) {
        let mut next = ObjectId(0);

        while let Some(member) = self.member_from(next) {
            member.unmap(iova, length);
            next = ObjectId(member.id().0.saturating_add(1));
        }
    }

    /// Pins the pages of `first..=last`, to be written if `write`, for `request`.
    ///
    /// # Errors
    ///
    /// `ENOENT` where nothing is mapped; `EINVAL` for what is about to be unmapped, is memory of a
    /// device, or lies in such a way that one page of the range is not one page of memory; `EPERM`
    /// for what may not be used so; else what pinning reports. The request may have pinned some
    /// pages then, and is not to be finished.
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

    /// Undoes [`pin_pages`](Self::pin_pages) for the same range, of which `pins` are. False if
    /// they are of another one: the pages are unpinned nevertheless.
    pub(crate) fn unpin_pages(&self, first: u64, last: u64, pins: KernelPins) -> bool {
        let map = self.map.read();

        drop(pins);
        count_unpinned(&map, first, last)
    }

    /// Copies from or to the memory at `first..=last`, of which `data` has the length.
    ///
    /// # Errors
    ///
    /// `ENOENT` where nothing is mapped; `EINVAL` for what is about to be unmapped or is memory of
    /// a device; `EPERM` for what may not be used so; else what [`SharedPages::copy`] reports. What
    /// lies below was copied.
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

/// Counts that the pages of `first..=last` are pinned once less; false if some were not.
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

/// The pages of which a piece has bytes.
fn pages_of(piece: &Piece<'_, Area>) -> Range<usize> {
    let first = bytes_from(piece.area, piece.first) / PAGE_SIZE;
    let last = bytes_from(piece.area, piece.last) / PAGE_SIZE;

    first..last + 1
}

/// Whether a piece begins with a page and, unless it is what ends the range, ends with one.
fn has_whole_pages(piece: &Piece<'_, Area>, last: u64) -> bool {
    let first_byte = bytes_from(piece.area, piece.first);
    let last_byte = bytes_from(piece.area, piece.last);

    first_byte % PAGE_SIZE == 0 && (piece.last == last || last_byte % PAGE_SIZE == PAGE_SIZE - 1)
}
