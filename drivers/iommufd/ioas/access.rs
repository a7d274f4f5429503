// SPDX-License-Identifier: GPL-2.0

//! Users in the kernel of an address space: who they are, and what they do with its memory.
//!
//! Pages are pinned, given back and copied with `map` locked for reading, so that users do not wait for
//! each other: each area counts what they have of it, and the pages have a lock of their own. UNMAP
//! locks it for writing, and so knows whether anybody has pages of an area.

use super::{
    area::{bytes_from, Area},
    Ioas, Map,
};
use crate::{access::Access, iova_walk::Piece};
use core::ops::Range;
use kernel::{prelude::*, types::ScopeGuard};
use kernel_ext::{
    iommu::{CopyPath, PageSlots},
    iommufd::{ObjectId, UserRef, WeakRef},
    mm::{CopyBuffer, PAGE_SIZE},
};

/// The accesses that are attached to an address space.
pub(super) struct Accesses {
    /// Sorted by ID, so that one can go through them while others come and go.
    sorted: KVec<Listed>,
}

struct Listed {
    access: WeakRef<Access>,
    alignment: u64,
}

impl Accesses {
    /// No accesses.
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

    /// Where an access with this ID is listed, or would be.
    fn position(&self, id: ObjectId) -> usize {
        self.sorted
            .partition_point(|listed| listed.access.id().0 < id.0)
    }
}

/// An access is attached to an address space: it hears of what is unmapped there, and everything there
/// is aligned as it needs it. Dropping this ends both.
pub(crate) struct Membership {
    ioas: UserRef<Ioas>,
    access: ObjectId,
}

impl Membership {
    /// Attaches an access that is not attached to this address space.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if something is mapped that is not aligned; `ENOMEM`.
    pub(crate) fn new(
        ioas: UserRef<Ioas>,
        access: WeakRef<Access>,
        alignment: u64,
    ) -> Result<Self> {
        let id = access.id();
        {
            let mut users = ioas.users.write();
            let mut map = ioas.map.write();
            let accesses = &mut users.accesses;
            let position = accesses.position(id);
            let needed = map.alignment().max(alignment);

            accesses.sorted.reserve(1, GFP_KERNEL_ACCOUNT)?;
            map.set_alignment(needed)?;
            accesses
                .sorted
                .insert_within_capacity(position, Listed { access, alignment })?;
        }
        Ok(Self { ioas, access: id })
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
        let position = users.accesses.position(self.access);
        let listed = users.accesses.sorted.remove(position);
        // Lowering it cannot fail.
        let lowered = map.set_alignment(users.alignment(self.ioas.large_pages()));

        kernel::warn_on!(listed.is_err() || lowered.is_err());
    }
}

impl Ioas {
    /// The first of the accesses from an ID on.
    fn access_from(&self, id: ObjectId) -> Option<WeakRef<Access>> {
        let users = self.users.read();
        let accesses = &users.accesses;
        let listed = accesses.sorted.get(accesses.position(id))?;

        Some(listed.access.clone())
    }

    /// Tells all accesses to give back what they have of `length` bytes at `iova`. No lock may be held.
    pub(super) fn notify_unmap(&self, iova: u64, length: u64) {
        let mut next = ObjectId(0);

        while let Some(listed) = self.access_from(next) {
            // One that is being destroyed has given back everything, or is about to.
            if let Some(access) = listed.upgrade() {
                access.user().unmap(iova, length);
            }
            next = ObjectId(listed.id().0.saturating_add(1));
        }
    }

    /// Pins the pages of `first..=last`, to be written if `write`, and tells where they are.
    ///
    /// # Errors
    ///
    /// `ENOENT` where nothing is mapped; `EINVAL` for what is about to be unmapped, is memory of a
    /// device, or lies in such a way that one page of the range is not one page of memory; `EPERM` for
    /// what may not be used so; else what pinning reports. Nothing has changed then.
    pub(crate) fn pin_pages(
        &self,
        first: u64,
        last: u64,
        mut out: PageSlots<'_>,
        write: bool,
    ) -> Result {
        let map = self.map.read();
        let mut slot = 0;
        let mut pinned = ScopeGuard::new_with_data(None, |pinned: Option<u64>| {
            if let Some(last) = pinned {
                unpin(&map, first, last);
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

            let slots = out.part(slot..slot + pages.len());
            if slots.len() != pages.len() {
                return Err(EINVAL);
            }
            area.slice.pages.pin(pages.start, slots)?;
            area.count_access(true);
            slot += pages.len();
            *pinned = Some(piece.last);
        }
        pinned.dismiss();
        Ok(())
    }

    /// Undoes [`pin_pages`](Self::pin_pages) for the same range. False if something of it was not
    /// pinned, which then is as it was.
    pub(crate) fn unpin_pages(&self, first: u64, last: u64) -> bool {
        unpin(&self.map.read(), first, last)
    }

    /// Copies from or to the memory at `first..=last`, of which `data` has the length.
    ///
    /// # Errors
    ///
    /// `ENOENT` where nothing is mapped; `EINVAL` for what is about to be unmapped or is memory of a
    /// device; `EPERM` for what may not be used so; else what [`SharedPages::copy`] reports. What lies
    /// below was copied.
    ///
    /// [`SharedPages::copy`]: kernel_ext::iommu::SharedPages::copy
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

/// Gives back what was pinned of `first..=last`; false if something was not.
fn unpin(map: &Map, first: u64, last: u64) -> bool {
    let mut all = true;

    for piece in map.walk(first, last, Area::is_settled) {
        let Ok(piece) = piece else {
            return false;
        };
        let pages = pages_of(&piece);
        let area = &piece.area.value;

        if area.accesses() != 0 && area.slice.pages.unpin(pages.start, pages.len()) {
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
