// SPDX-License-Identifier: GPL-2.0

//! The right to map at a range of IOVA.
//!
//! Page tables do not detect two callers that map at the same IOVA. Each would then unpin memory
//! that the other has mapped. Therefore the right to map is a value: an [`IovaClaim`] to a range of
//! an IO address space. [`Areas`] returns a claim for each area that is added, and consumes it when
//! the area is removed, so that no two claims to one address space overlap. If a claim is dropped,
//! its area cannot be removed, and its range stays occupied as long as the address space exists.
//!
//! Pure: this file calls no kernel function and is also compiled for the host.

use crate::{
    base::{fill_slot, next_serial, Box, Slot},
    interval::{Entry, IntervalMap, Node},
};
use core::ops::Deref;

/// Identifies an IO address space. Identifiers are not reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpaceId(u64);

/// The right to map at a range of IOVA, in the page tables of one address space.
///
/// # Invariants
///
/// No other claim to the same address space contains an address of the range.
#[derive(Debug)]
pub struct IovaClaim {
    space: SpaceId,
    first: u64,
    /// Inclusive.
    last: u64,
}

impl IovaClaim {
    /// Returns the address space.
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// Returns the first address.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Returns the last address, inclusive.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Splits the claim: `self` keeps the addresses below `at`; returns the claim to the others.
    /// Returns `None`, and keeps the whole claim, if one of the parts would be empty.
    pub fn split_off(&mut self, at: u64) -> Option<Self> {
        if at <= self.first || at > self.last {
            return None;
        }
        // INVARIANT: The parts do not overlap, and together they have the addresses of the claim.
        let upper = Self {
            space: self.space,
            first: at,
            last: self.last,
        };
        self.last = at - 1;
        Some(upper)
    }
}

/// The areas of an IO address space, by IOVA. Areas do not overlap.
///
/// # Invariants
///
/// Each address of a claim to `space` lies in an area, and no two of these claims overlap.
pub struct Areas<A> {
    map: IntervalMap<A>,
    space: SpaceId,
}

impl<A> Areas<A> {
    /// Creates an address space without areas.
    pub fn new() -> Self {
        // INVARIANT: The identifier is new, so there are no claims to the address space.
        Self {
            map: IntervalMap::new(),
            space: SpaceId(next_serial()),
        }
    }

    /// Returns the identifier of the address space.
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// Adds an area, and returns the claim to its range.
    ///
    /// # Errors
    ///
    /// The area itself, if it overlaps an existing one.
    pub fn insert(&mut self, area: Box<Node<A>>) -> core::result::Result<IovaClaim, Box<Node<A>>> {
        let (first, last) = (area.first(), area.last());

        self.map.insert(area)?;
        // INVARIANT: The addresses of the area were in no area, and therefore in no claim.
        Ok(IovaClaim {
            space: self.space,
            first,
            last,
        })
    }

    /// Removes the area of `claim`. Returns `None`, and drops the claim, if no area has exactly its
    /// range.
    #[inline]
    pub fn remove(&mut self, claim: IovaClaim) -> Option<Box<Node<A>>> {
        if claim.space != self.space {
            return None;
        }
        let area = self.map.remove(claim.first)?;

        // INVARIANT: `claim`, which is consumed, has all addresses of the area, so no other claim
        // has one of them.
        if area.last() == claim.last {
            return Some(area);
        }
        let inserted = self.map.insert(area);
        debug_assert!(inserted.is_ok());
        None
    }

    /// Splits the area that begins at `first`, so that its lower part ends at `last`. `divide`
    /// keeps the lower part of its value and returns the upper, which is put into `slot`. The
    /// caller must [split](IovaClaim::split_off) the claim to the area as well, to be able to
    /// remove the parts.
    ///
    /// Returns false, and changes no area, unless there is such an area and `last` lies in it but
    /// is not its end.
    ///
    /// # Errors
    ///
    /// Those of `divide`; the area is unchanged then.
    pub fn split<E>(
        &mut self,
        first: u64,
        last: u64,
        slot: Slot<Node<A>>,
        divide: impl FnOnce(&mut A) -> core::result::Result<A, E>,
    ) -> core::result::Result<bool, E> {
        let whole = match self.map.first_in(first, first) {
            Some(area) if area.first() == first && (first..area.last()).contains(&last) => {
                area.last()
            }
            _ => return Ok(false),
        };
        let Some(value) = self.map.get_mut(first) else {
            return Ok(false);
        };
        let upper = divide(value)?;

        // INVARIANT: Together the two areas have the addresses of the one.
        if let Some(mut lower) = self.map.remove(first) {
            lower.shorten(last);
            for area in [lower, fill_slot(slot, Node::new(last + 1, whole, upper))] {
                let inserted = self.map.insert(area);
                debug_assert!(inserted.is_ok());
            }
        }
        Ok(true)
    }

    /// Returns the value of the area that begins at `first`.
    pub fn get_mut(&mut self, first: u64) -> Option<&mut A> {
        self.map.get_mut(first)
    }

    /// Returns the lowest area that overlaps `first..=last`, with mutable access to its value.
    pub fn first_in_mut(&mut self, first: u64, last: u64) -> Option<Entry<'_, A>> {
        self.map.first_in_mut(first, last)
    }
}

impl<A> Default for Areas<A> {
    fn default() -> Self {
        Self::new()
    }
}

/// The methods that only read the areas.
impl<A> Deref for Areas<A> {
    type Target = IntervalMap<A>;

    fn deref(&self) -> &IntervalMap<A> {
        &self.map
    }
}

#[cfg(test)]
#[path = "tests/iova.rs"]
mod tests;
