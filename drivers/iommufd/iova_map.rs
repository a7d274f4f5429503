// SPDX-License-Identifier: GPL-2.0

//! Which IOVAs of an address space are taken, reserved, or free.
//!
//! Areas are what is mapped; they do not overlap. Reserved ranges are what nothing may be mapped
//! to, each on behalf of an owner who takes it away again; they may overlap, and never meet an
//! area. Pure: no kernel calls.

use crate::{
    base::{Box, Result, EADDRINUSE, EEXIST, EINVAL, ENOSPC, EOVERFLOW, PAGE_SIZE},
    interval::{IntervalMap, Node},
};

/// What the map must know of the areas in it.
pub(crate) trait Area {
    /// Where in its first page the memory begins, in bytes.
    fn page_offset(&self) -> u64;
}

/// A range in which nothing may be mapped: `first` and `last` both inclusive.
pub(crate) struct Reserved<O> {
    first: u64,
    last: u64,
    owner: O,
    next: Option<Box<Reserved<O>>>,
}

impl<O> Reserved<O> {
    /// A range for [`IovaMap::reserve`].
    pub(crate) fn new(first: u64, last: u64, owner: O) -> Self {
        Self {
            first,
            last,
            owner,
            next: None,
        }
    }
}

/// The IOVAs of an address space.
pub(crate) struct IovaMap<A, O> {
    areas: IntervalMap<A>,
    /// Sorted by `first`.
    reserved: Option<Box<Reserved<O>>>,
    /// What IOVA, length and offset of each area are multiples of: a power of two, in bytes.
    alignment: u64,
    /// The alignment that is worth having for the sake of large pages, in bytes.
    large_page: u64,
}

impl<A: Area, O: PartialEq> IovaMap<A, O> {
    /// An address space in which all is free, for memory whose large pages have the given size.
    pub(crate) const fn new(large_page: u64) -> Self {
        Self {
            areas: IntervalMap::new(),
            reserved: None,
            alignment: 1,
            large_page,
        }
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

    /// Whether areas of `length` bytes may be placed at `iova`: their last address.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is not aligned, or reserved; `EOVERFLOW` past the end of the address space;
    /// `EEXIST` if there is an area.
    pub(crate) fn check(&self, iova: u64, length: u64) -> Result<u64> {
        self.check_length(length)?;
        if iova & (self.alignment - 1) != 0 {
            return Err(EINVAL);
        }
        let last = iova.checked_add(length - 1).ok_or(EOVERFLOW)?;

        if self
            .reserved()
            .any(|range| range.first <= last && iova <= range.last)
        {
            return Err(EINVAL);
        }
        if self.areas.first_in(iova, last).is_some() {
            return Err(EEXIST);
        }
        Ok(last)
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

    /// Chooses an IOVA for `length` bytes of memory at address `addr`: the lowest that keeps as
    /// much of the alignment of `addr` as large pages can use. Never zero.
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
        let end = u64::MAX - page;
        let mut low = place.start(page).ok_or(ENOSPC)?;

        while let Some(gap) = self.areas.first_gap(low, end, length) {
            if let Some(iova) = self.usable_in(gap).find_map(|range| place.within(range)) {
                return Ok(iova);
            }
            low = gap.1.checked_add(1).ok_or(ENOSPC)?;
        }
        Err(ENOSPC)
    }

    fn check_length(&self, length: u64) -> Result {
        if length == 0 || length & (self.alignment - 1) != 0 {
            return Err(EINVAL);
        }
        Ok(())
    }

    /// Adds an area; gives it back if it overlaps one that is there.
    pub(crate) fn insert(&mut self, area: Box<Node<A>>) -> core::result::Result<(), Box<Node<A>>> {
        self.areas.insert(area)
    }

    /// Takes out the area at `iova`.
    pub(crate) fn remove(&mut self, iova: u64) -> Option<Box<Node<A>>> {
        self.areas.remove(iova)
    }

    /// The area that begins at `iova`.
    pub(crate) fn area_mut(&mut self, iova: u64) -> Option<&mut A> {
        self.areas.get_mut(iova)
    }

    /// The lowest area that meets `first..=last`.
    pub(crate) fn first_in(&self, first: u64, last: u64) -> Option<&Node<A>> {
        self.areas.first_in(first, last)
    }

    /// Reserves a range.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if something is mapped there.
    pub(crate) fn reserve(&mut self, mut range: Box<Reserved<O>>) -> Result {
        if self.areas.first_in(range.first, range.last).is_some() {
            return Err(EADDRINUSE);
        }
        let mut link = &mut self.reserved;

        while link.as_ref().is_some_and(|there| there.first < range.first) {
            match link {
                Some(there) => link = &mut there.next,
                None => break,
            }
        }
        range.next = link.take();
        *link = Some(range);
        Ok(())
    }

    /// Takes away all that is reserved for `owner`.
    pub(crate) fn unreserve(&mut self, owner: &O) {
        let mut rest = self.reserved.take();
        let mut end = &mut self.reserved;

        while let Some(mut range) = rest {
            rest = range.next.take();
            if range.owner != *owner {
                end = &mut end.insert(range).next;
            }
        }
    }

    fn reserved(&self) -> impl Iterator<Item = &Reserved<O>> {
        core::iter::successors(self.reserved.as_deref(), |range| range.next.as_deref())
    }

    /// The ranges that are not reserved, lowest first: first and last address of each.
    pub(crate) fn usable(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.usable_in((0, u64::MAX))
    }

    /// The parts of a range that are not reserved.
    fn usable_in(&self, range: (u64, u64)) -> impl Iterator<Item = (u64, u64)> + '_ {
        let (low, high) = range;
        let mut next = Some(low);
        let mut reserved = self.reserved().filter(move |range| range.last >= low);

        core::iter::from_fn(move || {
            while let Some(start) = next {
                if start > high {
                    break;
                }
                let Some(range) = reserved.next() else {
                    next = None;
                    return Some((start, high));
                };
                next = range.last.checked_add(1).map(|end| end.max(start));
                if range.first > start {
                    return Some((start, high.min(range.first - 1)));
                }
            }
            None
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
