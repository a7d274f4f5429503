// SPDX-License-Identifier: GPL-2.0

//! Going through a range of IOVA that is mapped without a gap. Pure: no kernel calls.

use crate::{
    base::{Result, ENOENT},
    interval::Node,
    iova_map::{IovaMap, PageOffset},
};

/// What an area has of a range.
pub(crate) struct Piece<'a, A> {
    /// The area.
    pub(crate) area: &'a Node<A>,
    /// The first address of it in the range.
    pub(crate) first: u64,
    /// The last, inclusive.
    pub(crate) last: u64,
}

impl<A: PageOffset, O: PartialEq> IovaMap<A, O> {
    /// What is mapped at `first..=last`, lowest first. Ends with `ENOENT` where nothing is, or
    /// where `usable` says that the area cannot be used.
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
