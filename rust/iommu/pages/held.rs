// SPDX-License-Identifier: GPL-2.0

//! Ranges of pages that several hold at the same time.
//!
//! Whoever holds a range may overlap others in any way. The map is therefore cut wherever somebody's
//! range begins or ends: what lies between two cuts has one number of holders and is given back as a
//! whole. Cuts are made, and memory for them is allocated, when a holder comes. When one goes,
//! nothing is needed: that cannot fail. Pure: no kernel calls.

use crate::{
    base::{fill_slot, new_slot, unbox, Box, Result},
    interval::{IntervalMap, Node},
};
use core::ops::Range;

/// What belongs to a range of pages and can be divided with it.
pub(crate) trait Split: Sized {
    /// Divides it in front of page `at`, counted from its first: keeps the lower part, returns the
    /// upper.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; nothing has changed then.
    fn split_off(&mut self, at: usize) -> Result<Self>;
}

/// A value and how many hold it.
pub(crate) struct Held<T> {
    /// Never zero while it is in the map.
    pub(crate) holders: usize,
    /// What is held.
    pub(crate) value: T,
}

/// A range of the map.
pub(crate) type HeldNode<T> = Node<Held<T>>;

/// Ranges of pages with values, none overlapping, and the number of holders of each.
pub(crate) struct HeldRanges<T>(IntervalMap<Held<T>>);

/// The pages of a range.
pub(crate) fn pages<T>(node: &HeldNode<T>) -> Range<usize> {
    // Page indexes: they come out as they went in.
    node.first() as usize..node.last() as usize + 1
}

/// A new range with one holder.
pub(crate) fn new_node<T>(range: Range<usize>, value: T) -> HeldNode<T> {
    Node::new(
        range.start as u64,
        (range.end - 1) as u64,
        Held { holders: 1, value },
    )
}

impl<T: Split> HeldRanges<T> {
    /// Nothing is held.
    pub(crate) const fn new() -> Self {
        Self(IntervalMap::new())
    }

    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first range that has pages of `range`.
    pub(crate) fn first_in(&self, range: Range<usize>) -> Option<&HeldNode<T>> {
        if range.is_empty() {
            return None;
        }
        self.0.first_in(range.start as u64, (range.end - 1) as u64)
    }

    /// What holds page `range.start`, and where, at most at `range.end`, that answer ends.
    pub(crate) fn at(&self, range: Range<usize>) -> (Option<&HeldNode<T>>, usize) {
        match self.first_in(range.clone()) {
            None => (None, range.end),
            Some(node) if pages(node).start > range.start => (None, pages(node).start),
            Some(node) => (Some(node), pages(node).end.min(range.end)),
        }
    }

    /// The ranges that have pages of `range`, in order.
    pub(crate) fn iter(&self, range: Range<usize>) -> impl Iterator<Item = &HeldNode<T>> {
        let mut next = range.start;

        core::iter::from_fn(move || {
            let node = self.first_in(next..range.end)?;

            next = pages(node).end;
            Some(node)
        })
    }

    /// Cuts in front of page `at`, so that no range lies on both sides of it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; nothing has changed then.
    pub(crate) fn cut(&mut self, at: usize) -> Result {
        let whole = match self.at(at..at + 1) {
            (Some(node), _) if pages(node).start < at => pages(node),
            _ => return Ok(()),
        };
        let slot = new_slot()?;
        let Some(held) = self.0.get_mut(whole.start as u64) else {
            return Ok(());
        };
        let holders = held.holders;
        let value = held.value.split_off(at - whole.start)?;

        if let Some(mut lower) = self.0.remove(whole.start as u64) {
            lower.shorten((at - 1) as u64);
            self.insert(lower);
        }
        let upper = Node::new(at as u64, (whole.end - 1) as u64, Held { holders, value });
        self.insert(fill_slot(slot, upper));
        Ok(())
    }

    /// Adds a range where nothing is held.
    pub(crate) fn insert(&mut self, node: Box<HeldNode<T>>) {
        let inserted = self.0.insert(node);

        debug_assert!(inserted.is_ok());
    }

    /// Adds a holder to the range that begins with page `first`.
    pub(crate) fn hold(&mut self, first: usize) {
        if let Some(held) = self.0.get_mut(first as u64) {
            held.holders += 1;
        }
    }

    /// Whether all of `range` is held, with cuts at both ends.
    pub(crate) fn has_exactly(&self, range: Range<usize>) -> bool {
        let mut next = range.start;

        for node in self.iter(range.clone()) {
            if pages(node).start != next {
                return false;
            }
            next = pages(node).end;
        }
        next == range.end
    }

    /// Takes a holder away from all of `range`, which was cut at both ends when that holder came.
    /// Gives `gone` what nobody holds any more.
    pub(crate) fn release(&mut self, range: Range<usize>, mut gone: impl FnMut(Range<usize>, T)) {
        let mut next = range.start;

        while next < range.end {
            let (low, high) = (next as u64, (range.end - 1) as u64);
            let Some(entry) = self.0.first_in_mut(low, high) else {
                return;
            };
            // Page indexes: they come out as they went in.
            let part = entry.first() as usize..entry.last() as usize + 1;

            next = part.end;
            entry.value.holders -= 1;
            if entry.value.holders != 0 {
                continue;
            }
            if let Some(node) = self.0.remove(part.start as u64) {
                gone(part, unbox(node).into_value().value);
            }
        }
    }
}

#[cfg(test)]
#[path = "../tests/held.rs"]
mod tests;
