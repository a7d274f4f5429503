// SPDX-License-Identifier: GPL-2.0

//! Intervals that may overlap, or even be the same, and can be taken out one by one.

use super::balance::{settle_if, Changed};
use super::{put_next, Link, Node, OverlapMap};
use crate::base::Box;
use core::{cmp::Ordering, mem, num::NonZeroU64};

/// A value with a number that tells its interval from others with the same first address.
pub struct Numbered<V> {
    number: u64,
    /// The value itself.
    pub value: V,
}

impl<V> Numbered<V> {
    /// A value that gets its number when it is inserted.
    pub fn new(value: V) -> Self {
        Self { number: 0, value }
    }
}

/// A node of a [`NumberedMap`].
pub type NumberedNode<V> = Node<Numbered<V>>;

/// Says which interval of a map is meant: no other ever has the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    first: u64,
    /// Not zero, so that there may be no key at no cost.
    number: NonZeroU64,
}

impl Key {
    /// On which side of a node the interval is.
    fn order<V>(&self, node: &NumberedNode<V>) -> Ordering {
        (self.first, self.number.get()).cmp(&(node.first, node.value.number))
    }
}

/// A map from intervals that may overlap to values; each interval has a key, by which it is found in
/// logarithmic time however many begin with the same address.
///
/// # Invariants
///
/// The nodes are in ascending order of first address and number.
pub struct NumberedMap<V> {
    pub(super) map: OverlapMap<Numbered<V>>,
    /// The number of the last that was inserted. 64 bits do not wrap round.
    number: u64,
}

impl<V> Default for NumberedMap<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> NumberedMap<V> {
    /// A map without intervals.
    pub const fn new() -> Self {
        Self {
            map: OverlapMap::new(),
            number: 0,
        }
    }

    /// Adds an interval.
    pub fn insert(&mut self, mut node: Box<NumberedNode<V>>) -> Key {
        let number = NonZeroU64::MIN.saturating_add(self.number);
        let first = node.first;

        self.number = number.get();
        node.value.number = self.number;
        // INVARIANT: It comes behind those with the same first address, and no number is higher.
        self.map.insert(node);
        Key { first, number }
    }

    /// Takes an interval out.
    pub fn remove(&mut self, key: Key) -> Option<Box<NumberedNode<V>>> {
        let mut removed = None;

        remove_at(&mut self.map.root, &mut removed, key);
        removed
    }

    /// Gives the upper part of an interval up: `last` is the new last address.
    pub fn shorten(&mut self, key: Key, last: u64) {
        shorten_at(&mut self.map.root, key, last);
    }

    /// The value of an interval.
    pub fn get(&self, key: Key) -> Option<&V> {
        let mut link = &self.map.root;

        while let Some(node) = link {
            link = match key.order(node) {
                Ordering::Less => &node.left,
                Ordering::Greater => &node.right,
                Ordering::Equal => return Some(&node.value.value),
            };
        }
        None
    }

    /// The value of an interval, to be changed.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut V> {
        let mut link = &mut self.map.root;

        while let Some(node) = link {
            link = match key.order(node) {
                Ordering::Less => &mut node.left,
                Ordering::Greater => &mut node.right,
                Ordering::Equal => return Some(&mut node.value.value),
            };
        }
        None
    }

    /// Of the intervals that meet `first..=last`, one that begins first.
    pub fn first_in(&self, first: u64, last: u64) -> Option<&V> {
        self.map.first_in(first, last).map(|node| &node.value.value)
    }

    /// Shows `visit` the values of all intervals, lowest first.
    pub fn for_each(&self, mut visit: impl FnMut(&V)) {
        visit_all(&self.map.root, &mut visit);
    }
}

/// Moves the node that `key` means to `removed`. Returns what of the summary is another one now.
fn remove_at<V>(
    link: &mut Link<Numbered<V>>,
    removed: &mut Link<Numbered<V>>,
    key: Key,
) -> Changed {
    let Some(node) = link else {
        return Changed::NOTHING;
    };
    let changed = match key.order(node) {
        Ordering::Less => remove_at(&mut node.left, removed, key),
        Ordering::Greater => remove_at(&mut node.right, removed, key),
        Ordering::Equal => {
            mem::swap(link, removed);
            return replace(link, removed);
        }
    };

    settle_if(link, changed)
}

/// Puts in the place of a node, which is taken out, what was below it.
fn replace<V>(link: &mut Link<Numbered<V>>, removed: &mut Link<Numbered<V>>) -> Changed {
    let Some(node) = removed else {
        return Changed::NOTHING;
    };

    if node.right.is_none() {
        mem::swap(link, &mut node.left);
        return Changed::SUMMARY;
    }
    // An interval weighs the same everywhere.
    put_next(link, node, |next| next.weight)
}

/// Lets the interval that `key` means end at `last`, whose place in the order that does not change.
/// Returns what of the summary is another one now.
fn shorten_at<V>(link: &mut Link<Numbered<V>>, key: Key, last: u64) -> Changed {
    let Some(node) = link else {
        return Changed::NOTHING;
    };
    let changed = match key.order(node) {
        Ordering::Less => shorten_at(&mut node.left, key, last),
        Ordering::Greater => shorten_at(&mut node.right, key, last),
        Ordering::Equal => {
            node.shorten(last);
            node.weight = last;
            Changed::WEIGHT
        }
    };

    settle_if(link, changed)
}

fn visit_all<V>(link: &Link<Numbered<V>>, visit: &mut impl FnMut(&V)) {
    let mut link = link;

    while let Some(node) = link {
        visit_all(&node.left, visit);
        visit(&node.value.value);
        link = &node.right;
    }
}
