// SPDX-License-Identifier: GPL-2.0

//! Ranges of pages that have several holders at the same time.
//!
//! The ranges of two holders may overlap in any way. The map is therefore cut wherever the range of
//! a holder begins or ends, so that all pages between two cuts have the same holders and are
//! released together. Cuts are made, and memory for them is allocated, when a holder is added.
//! Removing a holder needs no memory and cannot fail.
//!
//! Pure: this file calls no kernel function and is also compiled for the host.

use crate::{
    base::{fill_slot, new_slot, unbox, Result, Slot},
    interval::{IntervalMap, Node},
};
use core::ops::Range;

/// A value that belongs to a range of pages and can be divided with it.
pub(crate) trait Split: Sized {
    /// Divides the value in front of page `at`, counted from the first of the range. Keeps the
    /// lower part and returns the upper.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; the value is unchanged then.
    fn split_off(&mut self, at: usize) -> Result<Self>;
}

/// A value with the number of its holders.
pub(crate) struct Counted<T> {
    /// Number of holders. Never zero while the value is in the map.
    pub(crate) holders: usize,
    /// The value.
    pub(crate) value: T,
}

/// A range as a node of the tree.
type RangeNode<T> = Node<Counted<T>>;

/// A range outside of the tree.
pub(crate) struct RangeEntry<T> {
    pages: Range<usize>,
    value: Counted<T>,
}

/// A range of the map, wherever it is stored.
pub(crate) struct Part<'a, T> {
    first: usize,
    last: usize,
    /// The value of the range, and its holders.
    pub(crate) value: &'a Counted<T>,
}

/// Ranges of pages that do not overlap, each with a value and a number of holders.
pub(crate) struct HeldRanges<T> {
    /// One of the ranges. Most maps have only one, which then needs neither an allocation nor a
    /// tree.
    inline: Option<RangeEntry<T>>,
    others: IntervalMap<Counted<T>>,
}

/// Memory for one more range.
pub(crate) struct Room<T>(Option<Slot<RangeNode<T>>>);

impl<T> Part<'_, T> {
    /// Returns the pages of the range.
    pub(crate) fn pages(self) -> Range<usize> {
        self.first..self.last + 1
    }
}

impl<T> Clone for Part<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Part<'_, T> {}

impl<'a, T> From<&'a RangeNode<T>> for Part<'a, T> {
    fn from(node: &'a RangeNode<T>) -> Self {
        // CAST: The addresses of these nodes are page indexes, which `into_node` converted from
        // `usize`.
        Self {
            first: node.first() as usize,
            last: node.last() as usize,
            value: &node.value,
        }
    }
}

impl<T> RangeEntry<T> {
    /// Creates a range with one holder.
    pub(crate) fn new(pages: Range<usize>, value: T) -> Self {
        Self {
            pages,
            value: Counted { holders: 1, value },
        }
    }

    fn part(&self) -> Part<'_, T> {
        Part {
            first: self.pages.start,
            last: self.pages.end - 1,
            value: &self.value,
        }
    }

    fn into_node(self) -> RangeNode<T> {
        let (first, last) = (self.pages.start as u64, (self.pages.end - 1) as u64);

        Node::new(first, last, self.value)
    }
}

impl<T: Split> HeldRanges<T> {
    /// Creates an empty map.
    pub(crate) const fn new() -> Self {
        Self {
            inline: None,
            others: IntervalMap::new(),
        }
    }

    /// Returns whether there are no ranges.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.inline.is_none() && self.others.is_empty()
    }

    /// Returns the only range of a map that has exactly one, stored inline.
    #[inline]
    pub(crate) fn only(&self) -> Option<Part<'_, T>> {
        match &self.inline {
            Some(inline) if self.others.is_empty() => Some(inline.part()),
            _ => None,
        }
    }

    /// Adds a range, with one holder, to an empty map.
    #[inline]
    pub(crate) fn insert_first(&mut self, pages: Range<usize>, value: T) {
        debug_assert!(self.is_empty());
        self.inline = Some(RangeEntry::new(pages, value));
    }

    /// Removes the [only](Self::only) range, whatever its number of holders.
    #[inline]
    pub(crate) fn remove_only(&mut self) {
        self.inline = None;
    }

    /// Returns the lowest range that has pages of `range`.
    #[inline]
    pub(crate) fn first_in(&self, range: Range<usize>) -> Option<Part<'_, T>> {
        let inline = self
            .inline
            .as_ref()
            .filter(|inline| inline.pages.start < range.end && inline.pages.end > range.start)
            .map(RangeEntry::part);

        if self.others.is_empty() || range.is_empty() {
            return inline.filter(|_| !range.is_empty());
        }
        let (first, last) = (range.start as u64, (range.end - 1) as u64);

        match (inline, self.others.first_in(first, last).map(Part::from)) {
            (Some(inline), Some(other)) if other.first < inline.first => Some(other),
            (inline, other) => inline.or(other),
        }
    }

    /// Returns the value of the range that begins with page `first`.
    fn get_mut(&mut self, first: usize) -> Option<&mut Counted<T>> {
        match &mut self.inline {
            Some(inline) if inline.pages.start == first => Some(&mut inline.value),
            _ => self.others.get_mut(first as u64),
        }
    }

    /// Looks up page `range.start`. Returns the range that has it, if any, and the page up to which
    /// the answer is the same, `range.end` at most.
    #[inline]
    pub(crate) fn at(&self, range: Range<usize>) -> (Option<Part<'_, T>>, usize) {
        if self.is_empty() {
            return (None, range.end);
        }
        self.held_at(range)
    }

    fn held_at(&self, range: Range<usize>) -> (Option<Part<'_, T>>, usize) {
        match self.first_in(range.clone()) {
            None => (None, range.end),
            Some(node) if node.pages().start > range.start => (None, node.pages().start),
            Some(node) => (Some(node), node.pages().end.min(range.end)),
        }
    }

    /// Iterates over the ranges that have pages of `range`, in ascending order.
    pub(crate) fn iter(&self, range: Range<usize>) -> impl Iterator<Item = Part<'_, T>> {
        let mut next = range.start;

        core::iter::from_fn(move || {
            let node = self.first_in(next..range.end)?;

            next = node.pages().end;
            Some(node)
        })
    }

    /// Cuts the map in front of page `at`, so that no range has pages on both sides of the cut.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; no range has changed then.
    #[inline]
    pub(crate) fn cut(&mut self, at: usize) -> Result {
        if self.is_empty() {
            return Ok(());
        }
        self.cut_held(at)
    }

    fn cut_held(&mut self, at: usize) -> Result {
        let whole = match self.at(at..at + 1) {
            (Some(node), _) if node.pages().start < at => node.pages(),
            _ => return Ok(()),
        };
        let room = self.room()?;
        let Some(held) = self.get_mut(whole.start) else {
            return Ok(());
        };
        let holders = held.holders;
        let value = held.value.split_off(at - whole.start)?;

        self.shorten(whole.start, at);
        let upper = RangeEntry {
            pages: at..whole.end,
            value: Counted { holders, value },
        };
        self.insert(room, upper);
        Ok(())
    }

    /// Shortens the range that begins with page `first`, so that it ends in front of page `end`.
    fn shorten(&mut self, first: usize, end: usize) {
        let last = (end - 1) as u64;

        if let Some(inline) = &mut self.inline {
            if inline.pages.start == first {
                inline.pages.end = end;
                return;
            }
        }
        if let Some(mut node) = self.others.remove(first as u64) {
            node.shorten(last);
            let inserted = self.others.insert(node);
            debug_assert!(inserted.is_ok());
        }
    }

    /// Allocates memory for one more range, which must be the next one that is added.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    #[inline]
    pub(crate) fn room(&self) -> Result<Room<T>> {
        Ok(Room(match self.inline {
            None => None,
            Some(_) => Some(new_slot()?),
        }))
    }

    /// Adds a range, none of whose pages is in the map.
    #[inline]
    pub(crate) fn insert(&mut self, room: Room<T>, new: RangeEntry<T>) {
        let Some(slot) = room.0 else {
            debug_assert!(self.inline.is_none());
            self.inline = Some(new);
            return;
        };
        let inserted = self.others.insert(fill_slot(slot, new.into_node()));

        debug_assert!(inserted.is_ok());
    }

    /// Adds a holder to the range that begins with page `first`.
    pub(crate) fn hold(&mut self, first: usize) {
        if let Some(held) = self.get_mut(first) {
            held.holders += 1;
        }
    }

    /// Returns whether all pages of `range` are in the map, and the map is cut at both ends of it.
    pub(crate) fn has_exactly(&self, range: Range<usize>) -> bool {
        let mut next = range.start;

        for node in self.iter(range.clone()) {
            if node.pages().start != next {
                return false;
            }
            next = node.pages().end;
        }
        next == range.end
    }

    /// Removes one holder from all of `range`, at both ends of which the map was cut when the
    /// holder was added. Removes the ranges that have no holder left, and passes them to `gone`.
    pub(crate) fn release(&mut self, range: Range<usize>, mut gone: impl FnMut(Range<usize>, T)) {
        let mut next = range.start;

        while let Some(part) = self.first_in(next..range.end).map(Part::pages) {
            next = part.end;

            let Some(held) = self.get_mut(part.start) else {
                return;
            };
            held.holders -= 1;
            if held.holders != 0 {
                continue;
            }
            if let Some(held) = self.remove(part.start) {
                gone(part, held.value);
            }
        }
    }

    fn remove(&mut self, first: usize) -> Option<Counted<T>> {
        if let Some(inline) = self.inline.take_if(|inline| inline.pages.start == first) {
            return Some(inline.value);
        }
        self.others
            .remove(first as u64)
            .map(|node| unbox(node).into_value())
    }
}

#[cfg(test)]
#[path = "../tests/held_ranges.rs"]
mod tests;
