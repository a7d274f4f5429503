// SPDX-License-Identifier: GPL-2.0

//! Walks over a range of IOVA that is mapped without a gap. Pure: no kernel calls.

use crate::{
    base::{Result, ENOENT},
    interval::Node,
    iova_map::{IovaMap, PageOffset},
};

/// The part of an area that lies in a range.
pub(crate) struct Piece<'a, A> {
    /// The area.
    pub(crate) area: &'a Node<A>,
    /// The first address in the range.
    pub(crate) first: u64,
    /// The last address in the range, inclusive.
    pub(crate) last: u64,
}

impl<A: PageOffset, O: PartialEq> IovaMap<A, O> {
    /// Returns the pieces of areas in `first..=last`, lowest first. The last item is `ENOENT` if
    /// there is a gap, or an area for which `usable` returns false.
    pub(crate) fn walk(
        &self,
        first: u64,
        last: u64,
        usable: impl Fn(&A) -> bool,
    ) -> impl Iterator<Item = Result<Piece<'_, A>>> {
        let mut next = (first <= last).then_some(first);

        core::iter::from_fn(move || {
            let first = next.take()?;
            let Some(area) = self
                .first_in(first, first)
                .filter(|area| usable(&area.value))
            else {
                return Some(Err(ENOENT));
            };

            if area.last() < last {
                next = Some(area.last() + 1);
            }
            Some(Ok(Piece {
                area,
                first,
                last: area.last().min(last),
            }))
        })
    }
}

#[cfg(test)]
#[path = "tests/iova_walk.rs"]
mod tests;
