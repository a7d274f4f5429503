// SPDX-License-Identifier: GPL-2.0

//! Unmapping areas, and cutting areas so that parts of them can be unmapped.

use super::{
    area::{bytes_from, Area, Hold, Slice},
    map::{new_slot, Slot},
    Ioas, Map,
};
use crate::uapi::UnmapRange;
use iommufd_core::PagesKind;
use kernel::prelude::*;

/// The number of times that users in the kernel are asked to unpin the pages of an area.
const UNMAP_ROUNDS: usize = 100;

impl Ioas {
    /// Unmaps all areas in a range. Returns the number of bytes that were unmapped, also after an
    /// error.
    ///
    /// # Errors
    ///
    /// `ENOENT` at an area that lies in the range only in part, `EBUSY` at one in transit,
    /// `EDEADLK` at one that users in the kernel do not unpin. The areas below have been unmapped
    /// then.
    pub(crate) fn unmap(&self, range: UnmapRange) -> (u64, Result) {
        let mut unmapped = 0;
        let result = self.unmap_counting(range, &mut unmapped);

        (unmapped, result)
    }

    fn unmap_counting(&self, range: UnmapRange, unmapped: &mut u64) -> Result {
        let (mut start, last) = match range {
            UnmapRange::All => (0, u64::MAX),
            UnmapRange::Range(first, last) => (first, last),
        };
        let mut asked = 0;

        while let Some((first, length)) = self.unmap_unused(start, last, unmapped)? {
            asked = if first == start { asked + 1 } else { 1 };
            start = first;
            self.notify_unmap(first, length);
            // An access has not unpinned pages that it was asked to unpin.
            if kernel::warn_on!(asked > UNMAP_ROUNDS) {
                return Err(EDEADLK);
            }
        }
        Ok(())
    }

    /// Unmaps areas up to the first one of which users in the kernel have pinned pages, and keeps
    /// users from pinning more of that one. Returns its first address and its length, or `None` if
    /// there is no such area.
    fn unmap_unused(
        &self,
        mut start: u64,
        last: u64,
        unmapped: &mut u64,
    ) -> Result<Option<(u64, u64)>> {
        let _users = self.users.read();
        let mut map = self.map.write();

        while let Some(area) = map.first_in_mut(start, last) {
            let (first, area_last) = (area.first(), area.last());

            if area.value.in_transit {
                return Err(EBUSY);
            }
            if first < start || area_last > last {
                return Err(ENOENT);
            }
            // Pages are pinned only under the lock of the map.
            if area.value.accesses() != 0 {
                area.value.prevent_access = true;
                return Ok(Some((first, area_last - first + 1)));
            }
            area.value.in_transit = true;

            let hold = area.value.hold.take();
            drop(map);
            let claim = hold.close();

            map = self.map.write();
            let area = claim.and_then(|claim| map.remove(claim));
            drop(map);
            kernel::warn_on!(area.is_none());
            drop(area);
            // Areas may fill the whole address space: then this wraps to zero.
            *unmapped = unmapped.wrapping_add(area_last - first + 1);

            // Areas that were mapped below meanwhile are not part of this call.
            start = match area_last.checked_add(1) {
                Some(next) if area_last < last => next,
                _ => break,
            };
            map = self.map.write();
        }
        Ok(None)
    }

    /// Cuts areas so that each address of `at` that is mapped is the last address of an area.
    ///
    /// # Errors
    ///
    /// `EBUSY` at an area in transit; `EOPNOTSUPP` at memory of a device; `EINVAL` if an entry of a
    /// page table may cover both sides of the cut, if a user in the kernel has pinned pages of the
    /// area, or if the address is not aligned; `ENOMEM`. Cuts that were made before stay, as they
    /// have no visible effect.
    pub(crate) fn cut(&self, at: &[u64]) -> Result {
        let _users = self.users.read();

        for &last in at {
            let slot = new_slot()?;
            let mut map = self.map.write();

            cut_area(&mut map, last, self.large_pages(), slot)?;
        }
        Ok(())
    }
}

/// Cuts the area at `last`, if there is one, so that it ends there. The upper part goes to `slot`.
fn cut_area(map: &mut Map, last: u64, large_pages: bool, slot: Slot) -> Result {
    let alignment = map.alignment();
    let Some(area) = map.first_in(last, last) else {
        return Ok(());
    };
    let (first, area_last) = (area.first(), area.last());
    if last == first || last == area_last {
        return Ok(());
    }
    let upper = last + 1;
    let start = bytes_from(area, upper);

    if area.value.in_transit || area.value.prevent_access {
        return Err(EBUSY);
    }
    if area.value.slice.pages.kind() == PagesKind::DmaBuf {
        return Err(EOPNOTSUPP);
    }
    if (upper | start as u64) & (alignment - 1) != 0
        || area.value.accesses() != 0
        || matches!(area.value.hold, Hold::Mapping(_)) && large_pages
    {
        return Err(EINVAL);
    }
    let length = (upper - first) as usize;
    let divided = map.split(first, last, slot, |area| area.cut(upper, length))?;

    kernel::warn_on!(!divided);
    Ok(())
}

impl Area {
    /// Divides the area in two: keeps the first `length` bytes, and returns the rest, which begins
    /// at `upper`.
    fn cut(&mut self, upper: u64, length: usize) -> Result<Self> {
        let slice = Slice {
            pages: self.slice.pages.clone(),
            start: self.slice.start + length,
            length: self.slice.length - length,
        };
        let mut rest = Self::new(slice, self.access);

        rest.hold = match &mut self.hold {
            Hold::Mapping(mapping) => Hold::Mapping(mapping.split(length)?),
            Hold::Claim(claim) => Hold::Claim(claim.split_off(upper).ok_or(EINVAL)?),
            Hold::Taken => return Err(EBUSY),
        };
        rest.in_transit = false;
        self.slice.length = length;
        Ok(rest)
    }
}
