// SPDX-License-Identifier: GPL-2.0

//! Ranges of pages that several hold at the same time.
//!
//! Whoever holds a range may overlap others in any way. The map is therefore cut wherever somebody's
//! range begins or ends: what lies between two cuts has one number of holders and is given back as a
//! whole. Cuts are made, and memory for them is allocated, when a holder comes. When one goes,
//! nothing is needed: that cannot fail. Pure: no kernel calls.

use crate::{
    base::{fill_slot, new_slot, unbox, Result, Slot},
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

/// A range that is held, as it lies in the tree.
type HeldNode<T> = Node<Held<T>>;

/// A range that is held by itself.
pub(crate) struct Lone<T> {
    pages: Range<usize>,
    value: Held<T>,
}

/// A range of the map.
pub(crate) struct Part<'a, T> {
    first: usize,
    last: usize,
    /// What belongs to it.
    pub(crate) value: &'a Held<T>,
}

/// Ranges of pages with values, none overlapping, and the number of holders of each.
pub(crate) struct HeldRanges<T> {
    /// One of them: nearly always there is no other, and it costs no allocation, nor the links of a
    /// tree.
    lone: Option<Lone<T>>,
    others: IntervalMap<Held<T>>,
}

/// Room for one more range.
pub(crate) struct Room<T>(Option<Slot<HeldNode<T>>>);

/// The pages of a range.
pub(crate) fn pages<T>(part: Part<'_, T>) -> Range<usize> {
    part.first..part.last + 1
}

/// A new range with one holder.
pub(crate) fn new_range<T>(pages: Range<usize>, value: T) -> Lone<T> {
    Lone {
        pages,
        value: Held { holders: 1, value },
    }
}

impl<T> Clone for Part<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Part<'_, T> {}

impl<'a, T> From<&'a HeldNode<T>> for Part<'a, T> {
    fn from(node: &'a HeldNode<T>) -> Self {
        // Page indexes: they come out as they went in.
        Self {
            first: node.first() as usize,
            last: node.last() as usize,
            value: &node.value,
        }
    }
}

impl<T> Lone<T> {
    fn part(&self) -> Part<'_, T> {
        Part {
            first: self.pages.start,
            last: self.pages.end - 1,
            value: &self.value,
        }
    }

    fn into_node(self) -> HeldNode<T> {
        let (first, last) = (self.pages.start as u64, (self.pages.end - 1) as u64);

        Node::new(first, last, self.value)
    }
}

impl<T: Split> HeldRanges<T> {
    /// Nothing is held.
    pub(crate) const fn new() -> Self {
        Self {
            lone: None,
            others: IntervalMap::new(),
        }
    }

    /// Whether nothing is held.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.lone.is_none() && self.others.is_empty()
    }

    /// The range that there is, if there is one.
    #[inline]
    pub(crate) fn only(&self) -> Option<Part<'_, T>> {
        match &self.lone {
            Some(lone) if self.others.is_empty() => Some(lone.part()),
            _ => None,
        }
    }

    /// Adds the first range.
    #[inline]
    pub(crate) fn insert_lone(&mut self, pages: Range<usize>, value: T) {
        debug_assert!(self.is_empty());
        self.lone = Some(new_range(pages, value));
    }

    /// Takes the [only](Self::only) range out, whoever holds it.
    #[inline]
    pub(crate) fn forget_lone(&mut self) {
        self.lone = None;
    }

    /// The first range that has pages of `range`.
    #[inline]
    pub(crate) fn first_in(&self, range: Range<usize>) -> Option<Part<'_, T>> {
        let lone = self
            .lone
            .as_ref()
            .filter(|lone| lone.pages.start < range.end && lone.pages.end > range.start)
            .map(Lone::part);

        if self.others.is_empty() || range.is_empty() {
            return lone.filter(|_| !range.is_empty());
        }
        let (first, last) = (range.start as u64, (range.end - 1) as u64);

        match (lone, self.others.first_in(first, last).map(Part::from)) {
            (Some(lone), Some(other)) if other.first < lone.first => Some(other),
            (lone, other) => lone.or(other),
        }
    }

    /// The range that begins with page `first`.
    fn get_mut(&mut self, first: usize) -> Option<&mut Held<T>> {
        match &mut self.lone {
            Some(lone) if lone.pages.start == first => Some(&mut lone.value),
            _ => self.others.get_mut(first as u64),
        }
    }

    /// What holds page `range.start`, and where, at most at `range.end`, that answer ends.
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
            Some(node) if pages(node).start > range.start => (None, pages(node).start),
            Some(node) => (Some(node), pages(node).end.min(range.end)),
        }
    }

    /// The ranges that have pages of `range`, in order.
    pub(crate) fn iter(&self, range: Range<usize>) -> impl Iterator<Item = Part<'_, T>> {
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
    #[inline]
    pub(crate) fn cut(&mut self, at: usize) -> Result {
        if self.is_empty() {
            return Ok(());
        }
        self.cut_held(at)
    }

    fn cut_held(&mut self, at: usize) -> Result {
        let whole = match self.at(at..at + 1) {
            (Some(node), _) if pages(node).start < at => pages(node),
            _ => return Ok(()),
        };
        let room = self.room()?;
        let Some(held) = self.get_mut(whole.start) else {
            return Ok(());
        };
        let holders = held.holders;
        let value = held.value.split_off(at - whole.start)?;

        self.shorten(whole.start, at);
        let upper = Lone {
            pages: at..whole.end,
            value: Held { holders, value },
        };
        self.insert(room, upper);
        Ok(())
    }

    /// Lets the range that begins with page `first` end in front of page `end`.
    fn shorten(&mut self, first: usize, end: usize) {
        let last = (end - 1) as u64;

        if let Some(lone) = &mut self.lone {
            if lone.pages.start == first {
                lone.pages.end = end;
                return;
            }
        }
        if let Some(mut node) = self.others.remove(first as u64) {
            node.shorten(last);
            let inserted = self.others.insert(node);
            debug_assert!(inserted.is_ok());
        }
    }

    /// Makes room for one more range, which is to be the next that is added.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    #[inline]
    pub(crate) fn room(&self) -> Result<Room<T>> {
        Ok(Room(match self.lone {
            None => None,
            Some(_) => Some(new_slot()?),
        }))
    }

    /// Adds a range where nothing is held.
    #[inline]
    pub(crate) fn insert(&mut self, room: Room<T>, new: Lone<T>) {
        let Some(slot) = room.0 else {
            debug_assert!(self.lone.is_none());
            self.lone = Some(new);
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

        while let Some(part) = self.first_in(next..range.end).map(pages) {
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

    fn remove(&mut self, first: usize) -> Option<Held<T>> {
        if let Some(lone) = self.lone.take_if(|lone| lone.pages.start == first) {
            return Some(lone.value);
        }
        self.others
            .remove(first as u64)
            .map(|node| unbox(node).into_value())
    }
}

#[cfg(test)]
#[path = "../tests/held_ranges.rs"]
mod tests;
