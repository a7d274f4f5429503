// SPDX-License-Identifier: GPL-2.0

//! The IOVAs of an address space that are mapped, reserved, or free.
//!
//! An *area* is a mapped range; areas do not overlap. Nothing may be mapped in a *reserved range*.
//! It belongs to an owner, which removes it again. Reserved ranges may overlap each other, but
//! never an area. An *allowed range* is one that user space has asked to keep free of reservations:
//! it never overlaps a reserved range, whichever comes first. If there are allowed ranges, the
//! kernel chooses IOVAs within them only. Pure: no kernel calls.

use crate::{
    base::{Box, Result, Slot, EADDRINUSE, EEXIST, EINVAL, ENOSPC, EOVERFLOW, PAGE_SIZE},
    interval::{Entry, IntervalMap, Node, OverlapMap},
    iova::{Areas, IovaClaim, SpaceId},
};

/// The value of an area. Its memory may begin in the middle of a page.
pub(crate) trait PageOffset {
    /// Returns the offset of the memory in its first page, in bytes.
    fn page_offset(&self) -> u64;
}

/// A reserved range and its owner, for [`IovaMap::reserve`].
pub(crate) type ReservedRange<O> = Node<O>;

/// The allowed ranges, which do not overlap. If there are none, every IOVA may be chosen.
pub(crate) struct AllowedRanges(IntervalMap<()>);

impl AllowedRanges {
    /// Creates an empty set of ranges.
    pub(crate) const fn new() -> Self {
        Self(IntervalMap::new())
    }

    /// Adds a range.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it overlaps another allowed range.
    pub(crate) fn add(&mut self, range: Box<Node<()>>) -> Result {
        self.0.insert(range).map_err(|_| EINVAL)
    }

    /// Returns the parts of a range in which IOVAs may be chosen, lowest first. Adjacent allowed
    /// ranges are joined.
    fn parts(&self, low: u64, high: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut next = Some(low);

        core::iter::from_fn(move || {
            let start = next?;

            if self.0.is_empty() {
                next = None;
                return Some((start, high));
            }
            let range = self.0.first_in(start, high)?;
            let (first, mut last) = (range.first().max(start), range.last());

            while let Some(neighbour) = last
                .checked_add(1)
                .and_then(|behind| self.0.first_in(behind, behind))
            {
                last = neighbour.last();
            }
            next = last.checked_add(1);
            Some((first, last.min(high)))
        })
    }
}

/// The IOVAs of an address space.
pub(crate) struct IovaMap<A, O> {
    areas: Areas<A>,
    reserved: OverlapMap<O>,
    allowed: AllowedRanges,
    /// The IOVA, the length and the page offset of each area are multiples of this power of two, in
    /// bytes.
    alignment: u64,
    /// The size of a large page in bytes. A chosen IOVA need not be aligned to more.
    large_page: u64,
}

impl<A: PageOffset, O: PartialEq> IovaMap<A, O> {
    /// Creates an address space without areas or reserved ranges, for memory whose large pages have
    /// the given size.
    pub(crate) fn new(large_page: u64) -> Self {
        Self {
            areas: Areas::new(),
            reserved: OverlapMap::new(),
            allowed: AllowedRanges::new(),
            alignment: 1,
            large_page,
        }
    }

    /// Returns the identity of the address space.
    pub(crate) fn space(&self) -> SpaceId {
        self.areas.space()
    }

    /// Returns the alignment of areas, in bytes.
    pub(crate) fn alignment(&self) -> u64 {
        self.alignment
    }

    /// Sets the alignment of areas.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if an area is not aligned to it.
    pub(crate) fn set_alignment(&mut self, alignment: u64) -> Result {
        let misaligned = |area: &Node<A>| {
            let length = area.last() - area.first() + 1;
            (area.first() | length | area.value.page_offset()) & (alignment - 1) != 0
        };

        if alignment > self.alignment && self.areas.iter().any(misaligned) {
            return Err(EADDRINUSE);
        }
        self.alignment = alignment;
        Ok(())
    }

    /// Checks that areas of `length` bytes may be placed at `iova`, apart from areas that are there
    /// already. Returns the last address of the range.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the range is empty, not aligned, or reserved; `EOVERFLOW` if it goes past the
    /// end of the address space.
    pub(crate) fn check(&self, iova: u64, length: u64) -> Result<u64> {
        self.check_length(length)?;
        if iova & (self.alignment - 1) != 0 {
            return Err(EINVAL);
        }
        let last = iova.checked_add(length - 1).ok_or(EOVERFLOW)?;

        if self.reserved.first_in(iova, last).is_some() {
            return Err(EINVAL);
        }
        Ok(last)
    }

    /// Checks that there is no area in `first..=last`.
    ///
    /// # Errors
    ///
    /// `EEXIST` if there is an area.
    pub(crate) fn check_vacant(&self, first: u64, last: u64) -> Result {
        match self.areas.first_in(first, last) {
            Some(_) => Err(EEXIST),
            None => Ok(()),
        }
    }

    /// Checks that memory that begins at an offset in its page may be mapped.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the offset is not aligned.
    pub(crate) fn check_page_offset(&self, offset: u64) -> Result {
        if offset & (self.alignment - 1) != 0 {
            return Err(EINVAL);
        }
        Ok(())
    }

    /// Chooses an IOVA for `length` bytes of memory at address `addr`: the lowest one that is free,
    /// is allowed, and is aligned as `addr` is, as far as large pages can make use of it. The first
    /// and the last page of the address space are never chosen.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the length or the address is not aligned; `EOVERFLOW` if the length fits into no
    /// address space; `ENOSPC` if there is no hole.
    pub(crate) fn find(&self, length: u64, addr: u64) -> Result<u64> {
        self.check_length(length)?;
        if length >= u64::MAX / 2 {
            return Err(EOVERFLOW);
        }
        let page = PAGE_SIZE as u64;
        let natural = match addr {
            0 => length.next_power_of_two(),
            _ => length.next_power_of_two().min(1 << addr.trailing_zeros()),
        };
        let alignment = natural.min(self.large_page);

        if alignment < self.alignment {
            return Err(EINVAL);
        }
        let place = Placement {
            length,
            alignment,
            offset: addr % page,
        };
        self.allowed
            .parts(page, u64::MAX - page)
            .find_map(|part| self.find_in(part, &place))
            .ok_or(ENOSPC)
    }

    /// Returns the lowest suitable address within a range.
    fn find_in(&self, range: (u64, u64), place: &Placement) -> Option<u64> {
        let (first, last) = range;
        let mut low = place.start(first)?;

        while let Some(gap) = self.areas.first_gap(low, last, place.length) {
            if let Some(iova) = self.usable_in(gap).find_map(|range| place.within(range)) {
                return Some(iova);
            }
            low = gap.1.checked_add(1)?;
        }
        None
    }

    fn check_length(&self, length: u64) -> Result {
        if length == 0 || length & (self.alignment - 1) != 0 {
            return Err(EINVAL);
        }
        Ok(())
    }

    /// Adds an area. Returns the claim, which is the right to map in its range.
    ///
    /// # Errors
    ///
    /// Returns the area if it overlaps another one.
    pub(crate) fn insert(
        &mut self,
        area: Box<Node<A>>,
    ) -> core::result::Result<IovaClaim, Box<Node<A>>> {
        self.areas.insert(area)
    }

    /// Removes the area to which `claim` is the right to map.
    pub(crate) fn remove(&mut self, claim: IovaClaim) -> Option<Box<Node<A>>> {
        self.areas.remove(claim)
    }

    /// Divides an area, as [`Areas::split`] does.
    pub(crate) fn split<E>(
        &mut self,
        first: u64,
        last: u64,
        slot: Slot<Node<A>>,
        divide: impl FnOnce(&mut A) -> core::result::Result<A, E>,
    ) -> core::result::Result<bool, E> {
        self.areas.split(first, last, slot, divide)
    }

    /// Returns the area that begins at `iova`.
    pub(crate) fn area_mut(&mut self, iova: u64) -> Option<&mut A> {
        self.areas.get_mut(iova)
    }

    /// Returns all areas, lowest first.
    pub(crate) fn areas(&self) -> impl Iterator<Item = &Node<A>> {
        self.areas.iter()
    }

    /// Returns the lowest area that overlaps `first..=last`.
    pub(crate) fn first_in(&self, first: u64, last: u64) -> Option<&Node<A>> {
        self.areas.first_in(first, last)
    }

    /// Returns the lowest area that overlaps `first..=last`, mutably.
    pub(crate) fn first_in_mut(&mut self, first: u64, last: u64) -> Option<Entry<'_, A>> {
        self.areas.first_in_mut(first, last)
    }

    /// Reserves a range.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if the range overlaps an area or an allowed range.
    pub(crate) fn reserve(&mut self, range: Box<ReservedRange<O>>) -> Result {
        let (first, last) = (range.first(), range.last());

        if self.areas.first_in(first, last).is_some()
            || self.allowed.0.first_in(first, last).is_some()
        {
            return Err(EADDRINUSE);
        }
        self.reserved.insert(range);
        Ok(())
    }

    /// Removes all reserved ranges of `owner`.
    pub(crate) fn unreserve(&mut self, owner: &O) {
        self.reserved.retain(|other| other != owner);
    }

    /// Makes `ranges` the allowed ranges. The former ones are left in their place.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if one of them overlaps a reserved range. No range has changed then.
    pub(crate) fn allow(&mut self, ranges: &mut AllowedRanges) -> Result {
        if ranges.0.iter().any(|range| {
            self.reserved
                .first_in(range.first(), range.last())
                .is_some()
        }) {
            return Err(EADDRINUSE);
        }
        core::mem::swap(&mut self.allowed, ranges);
        Ok(())
    }

    /// Returns the ranges that are not reserved, lowest first: first and last address of each.
    pub(crate) fn usable(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.usable_in((0, u64::MAX))
    }

    /// Returns the parts of a range that are not reserved.
    fn usable_in(&self, range: (u64, u64)) -> impl Iterator<Item = (u64, u64)> + '_ {
        let (low, high) = range;
        let mut next = Some(low);

        core::iter::from_fn(move || loop {
            let start = next.filter(|&start| start <= high)?;
            let Some(range) = self.reserved.first_in(start, high) else {
                next = None;
                return Some((start, high));
            };

            next = range.last().checked_add(1);
            if range.first() > start {
                return Some((start, range.first() - 1));
            }
        })
    }
}

/// The properties of the range that [`IovaMap::find`] looks for.
struct Placement {
    length: u64,
    alignment: u64,
    /// The offset in a page that the IOVA shares with the address of the memory.
    offset: u64,
}

impl Placement {
    /// Returns the lowest suitable address that is not below `low`.
    fn start(&self, low: u64) -> Option<u64> {
        Some(low.checked_add(self.alignment - 1)? & !(self.alignment - 1) | self.offset)
    }

    /// Returns the lowest suitable address from which the whole length fits into a range.
    fn within(&self, range: (u64, u64)) -> Option<u64> {
        let start = self.start(range.0)?;

        (start < range.1 && range.1 - start >= self.length - 1).then_some(start)
    }
}

#[cfg(test)]
#[path = "tests/iova_map.rs"]
mod tests;
