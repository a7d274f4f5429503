// SPDX-License-Identifier: GPL-2.0

//! Who may map at which IOVA.
//!
//! Page tables do not find out when two callers map at the same IOVA, and what one of them unpins may
//! then be memory of the other. So the right to map is a value: an [`IovaClaim`] to a range of an IO
//! address space. [`Areas`] hands out a claim with each area that is added, and takes it back for the
//! area to be removed, so no two claims to one address space overlap. A claim that is dropped is lost:
//! its area stays in the way of others as long as the address space exists.
//!
//! Pure: this file is also compiled for the host.

use crate::{
    base::{next_serial, Box},
    interval::{Entry, IntervalMap, Node},
};
use core::ops::Deref;

/// Identifies an IO address space among all that exist, or existed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpaceId(u64);

/// The right to map at a range of IOVA, in the page tables of one address space.
///
/// # Invariants
///
/// No other claim to the same address space has an address of the range.
#[derive(Debug)]
pub struct IovaClaim {
    space: SpaceId,
    first: u64,
    /// Inclusive.
    last: u64,
}

impl IovaClaim {
    /// The address space.
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// The first address.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The last address, inclusive.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Whether it is a claim to exactly `length` bytes from `iova` on.
    #[inline]
    pub(crate) fn is_to(&self, iova: u64, length: usize) -> bool {
        self.first == iova && (self.last - self.first).wrapping_add(1) == length as u64
    }

    /// Divides the claim: `self` keeps the addresses below `at`. Returns `None`, and nothing has
    /// changed, if one of the parts would be empty.
    pub fn split_off(&mut self, at: u64) -> Option<Self> {
        if at <= self.first || at > self.last {
            return None;
        }
        // INVARIANT: The parts do not overlap, and together they are what the claim was.
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
/// Each claim to `space` lies within an area, or has been given back for it.
pub struct Areas<A> {
    map: IntervalMap<A>,
    space: SpaceId,
}

impl<A> Areas<A> {
    /// An address space without areas.
    pub fn new() -> Self {
        // INVARIANT: The address space is new, so there are no claims to it.
        Self {
            map: IntervalMap::new(),
            space: SpaceId(next_serial()),
        }
    }

    /// The identity of the address space.
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// Adds an area, and returns the claim to its range.
    ///
    /// # Errors
    ///
    /// The area, if it overlaps one that is there.
    pub fn insert(&mut self, area: Box<Node<A>>) -> core::result::Result<IovaClaim, Box<Node<A>>> {
        let (first, last) = (area.first(), area.last());

        self.map.insert(area)?;
        // INVARIANT: The area does not overlap another one, and all claims lie within areas.
        Ok(IovaClaim {
            space: self.space,
            first,
            last,
        })
    }

    /// Removes the area that `claim` is to. Returns `None` if no area has exactly that range.
    pub fn remove(&mut self, claim: IovaClaim) -> Option<Box<Node<A>>> {
        if claim.space != self.space {
            return None;
        }
        let area = self.map.remove(claim.first)?;

        // INVARIANT: The only claim within the area ends here.
        if area.last() == claim.last {
            return Some(area);
        }
        let inserted = self.map.insert(area);
        debug_assert!(inserted.is_ok());
        None
    }

    /// Divides the area that begins at `first`, so that it ends with `last`. `divide` keeps the lower
    /// part of its value and returns the upper; `make` puts the new area into a box. A claim to the
    /// area is to be [divided](IovaClaim::split_off) as well.
    ///
    /// Returns whether there is such an area, and `last` lies in it but is not its end.
    ///
    /// # Errors
    ///
    /// Those of `divide`; nothing has changed then.
    pub fn split<E>(
        &mut self,
        first: u64,
        last: u64,
        make: impl FnOnce(Node<A>) -> Box<Node<A>>,
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

        // INVARIANT: The two areas are where the one was.
        if let Some(mut lower) = self.map.remove(first) {
            lower.shorten(last);
            for area in [lower, make(Node::new(last + 1, whole, upper))] {
                let inserted = self.map.insert(area);
                debug_assert!(inserted.is_ok());
            }
        }
        Ok(true)
    }

    /// The value of the area that begins at `first`.
    pub fn get_mut(&mut self, first: u64) -> Option<&mut A> {
        self.map.get_mut(first)
    }

    /// The lowest area that meets `first..=last`, to change its value.
    pub fn first_in_mut(&mut self, first: u64, last: u64) -> Option<Entry<'_, A>> {
        self.map.first_in_mut(first, last)
    }
}

impl<A> Default for Areas<A> {
    fn default() -> Self {
        Self::new()
    }
}

/// What only looks at the areas.
impl<A> Deref for Areas<A> {
    type Target = IntervalMap<A>;

    fn deref(&self) -> &IntervalMap<A> {
        &self.map
    }
}

#[cfg(test)]
#[path = "tests/iova.rs"]
mod tests;
