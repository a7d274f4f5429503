// SPDX-License-Identifier: GPL-2.0

//! Which IOVAs of an address space are taken, reserved, or free.
//!
//! Areas are what is mapped; they do not overlap. Reserved ranges are what nothing may be mapped
//! to, each on behalf of an owner who takes it away again; they may overlap, and never meet an
//! area. Allowed ranges are what user space has to itself: they never meet a reserved range,
//! whoever comes first, and where there are any, IOVAs are chosen within them. Pure: no kernel
//! calls.

use crate::{
    base::{Box, Result, Slot, EADDRINUSE, EEXIST, EINVAL, ENOSPC, EOVERFLOW, PAGE_SIZE},
    interval::{Entry, IntervalMap, Node, OverlapMap},
    iova::{Areas, IovaClaim, SpaceId},
};

/// What the map must know of the areas in it.
pub(crate) trait PageOffset {
    /// Where in its first page the memory begins, in bytes.
    fn page_offset(&self) -> u64;
}

/// A range in which nothing may be mapped, on behalf of an owner: for [`IovaMap::reserve`].
pub(crate) type ReservedRange<O> = Node<O>;

/// Ranges that user space has to itself; none restricts nothing. They do not overlap.
pub(crate) struct AllowedRanges(IntervalMap<()>);

impl AllowedRanges {
    /// No ranges.
    pub(crate) const fn new() -> Self {
        Self(IntervalMap::new())
    }

    /// Adds a range.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it overlaps one that is there.
    pub(crate) fn add(&mut self, range: Box<Node<()>>) -> Result {
        self.0.insert(range).map_err(|_| EINVAL)
    }

    /// The parts of a range in which IOVAs may be chosen, lowest first. Neighbours are one part.
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
    /// What IOVA, length and offset of each area are multiples of: a power of two, in bytes.
    alignment: u64,
    /// The alignment that is worth having for the sake of large pages, in bytes.
    large_page: u64,
}

impl<A: PageOffset, O: PartialEq> IovaMap<A, O> {
    /// An address space in which all is free, for memory whose large pages have the given size.
    pub(crate) fn new(large_page: u64) -> Self {
        Self {
            areas: Areas::new(),
            reserved: OverlapMap::new(),
            allowed: AllowedRanges::new(),
            alignment: 1,
            large_page,
        }
    }

    /// The identity of the address space.
    pub(crate) fn space(&self) -> SpaceId {
        self.areas.space()
    }

    /// What areas are aligned to, in bytes.
    pub(crate) fn alignment(&self) -> u64 {
        self.alignment
    }

    /// Sets what areas are aligned to.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if an area is not.
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

    /// Whether areas of `length` bytes may be placed at `iova`, where no others are: their last
    /// address.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is not aligned, or reserved; `EOVERFLOW` past the end of the address space.
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

    /// Whether there is no area in `first..=last`.
    ///
    /// # Errors
    ///
    /// `EEXIST` if there is one.
    pub(crate) fn check_vacant(&self, first: u64, last: u64) -> Result {
        match self.areas.first_in(first, last) {
            Some(_) => Err(EEXIST),
            None => Ok(()),
        }
    }

    /// Whether memory that begins at an offset in its page may be mapped.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is not aligned.
    pub(crate) fn check_page_offset(&self, offset: u64) -> Result {
        if offset & (self.alignment - 1) != 0 {
            return Err(EINVAL);
        }
        Ok(())
    }

    /// Chooses an IOVA for `length` bytes of memory at address `addr`: the lowest that is allowed
    /// and keeps as much of the alignment of `addr` as large pages can use. Never in the first or
    /// the last page of the address space.
    ///
    /// # Errors
    ///
    /// `EINVAL` if length or address are not aligned; `EOVERFLOW` if it is too long for any
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

    /// The lowest suitable address within a range.
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

    /// Adds an area. Returns the right to map in its range.
    ///
    /// # Errors
    ///
    /// The area, if it overlaps one that is there.
    pub(crate) fn insert(
        &mut self,
        area: Box<Node<A>>,
    ) -> core::result::Result<IovaClaim, Box<Node<A>>> {
        self.areas.insert(area)
    }

    /// Removes the area that `claim` is to.
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

    /// The area that begins at `iova`.
    pub(crate) fn area_mut(&mut self, iova: u64) -> Option<&mut A> {
        self.areas.get_mut(iova)
    }

    /// All areas, lowest first.
    pub(crate) fn areas(&self) -> impl Iterator<Item = &Node<A>> {
        self.areas.iter()
    }

    /// The lowest area that meets `first..=last`.
    pub(crate) fn first_in(&self, first: u64, last: u64) -> Option<&Node<A>> {
        self.areas.first_in(first, last)
    }

    /// The lowest area that meets `first..=last`, to be changed.
    pub(crate) fn first_in_mut(&mut self, first: u64, last: u64) -> Option<Entry<'_, A>> {
        self.areas.first_in_mut(first, last)
    }

    /// Reserves a range.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if something is mapped there, or user space has it to itself.
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

    /// Takes away all that is reserved for `owner`.
    pub(crate) fn unreserve(&mut self, owner: &O) {
        self.reserved.retain(|other| other != owner);
    }

    /// Gives user space `ranges` to itself; what it had before takes their place.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if anything in them is reserved; nothing has changed then.
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

    /// The ranges that are not reserved, lowest first: first and last address of each.
    pub(crate) fn usable(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.usable_in((0, u64::MAX))
    }

    /// The parts of a range that are not reserved.
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

/// What [`IovaMap::find`] looks for.
struct Placement {
    length: u64,
    alignment: u64,
    /// What the IOVA has in common with the address of the memory, below a page.
    offset: u64,
}

impl Placement {
    /// The lowest suitable address not below `low`.
    fn start(&self, low: u64) -> Option<u64> {
        Some(low.checked_add(self.alignment - 1)? & !(self.alignment - 1) | self.offset)
    }

    /// The lowest suitable address for all of it within a range.
    fn within(&self, range: (u64, u64)) -> Option<u64> {
        let start = self.start(range.0)?;

        (start < range.1 && range.1 - start >= self.length - 1).then_some(start)
    }
}

#[cfg(test)]
#[path = "tests/iova_map.rs"]
mod tests;
