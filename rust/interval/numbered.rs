// SPDX-License-Identifier: GPL-2.0

//! Intervals that may overlap, or be equal, and can be removed individually.

use super::balance::{settle_if, Changed};
use super::{put_next, Link, Node, OverlapMap};
use crate::base::Box;
use core::{cmp::Ordering, mem, num::NonZeroU64};

/// A value with a number that distinguishes its interval from others with the same first address.
pub struct Numbered<V> {
    number: u64,
    /// The value.
    pub value: V,
}

impl<V> Numbered<V> {
    /// Wraps a value, which gets its number when it is inserted.
    pub fn new(value: V) -> Self {
        Self { number: 0, value }
    }
}

/// A node of a [`NumberedMap`].
pub type NumberedNode<V> = Node<Numbered<V>>;

/// Identifies an interval of a map. Keys are not reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    first: u64,
    /// Not zero, so that an `Option<Key>` has the size of a `Key`.
    number: NonZeroU64,
}

impl Key {
    /// Compares the place of the interval with that of a node.
    fn order<V>(&self, node: &NumberedNode<V>) -> Ordering {
        (self.first, self.number.get()).cmp(&(node.first, node.value.number))
    }
}

/// A map from intervals that may overlap to values. Each interval has a key, by which it is found
/// in logarithmic time, whatever the number of intervals with the same first address.
///
/// # Invariants
///
/// The nodes are in ascending order of first address and number.
pub struct NumberedMap<V> {
    pub(super) map: OverlapMap<Numbered<V>>,
    /// The number of the last inserted interval. 64 bits do not overflow.
    number: u64,
}

impl<V> Default for NumberedMap<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> NumberedMap<V> {
    /// Creates an empty map.
    pub const fn new() -> Self {
        Self {
            map: OverlapMap::new(),
            number: 0,
        }
    }

    /// Inserts an interval, and returns its key.
    pub fn insert(&mut self, mut node: Box<NumberedNode<V>>) -> Key {
        let number = NonZeroU64::MIN.saturating_add(self.number);
        let first = node.first;

        self.number = number.get();
        node.value.number = self.number;
        // INVARIANT: `insert` puts the node behind those with the same first address, all of which
        // have lower numbers.
        self.map.insert(node);
        Key { first, number }
    }

    /// Removes an interval.
    pub fn remove(&mut self, key: Key) -> Option<Box<NumberedNode<V>>> {
        let mut removed = None;

        remove_at(&mut self.map.root, &mut removed, key);
        removed
    }

    /// Shortens an interval: `last` is the new last address.
    pub fn shorten(&mut self, key: Key, last: u64) {
        shorten_at(&mut self.map.root, key, last);
    }

    /// Returns the value of an interval.
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

    /// Returns the value of an interval for modification.
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

    /// Returns the value of an interval that overlaps `first..=last`, with the lowest first address
    /// of all that do.
    pub fn first_in(&self, first: u64, last: u64) -> Option<&V> {
        self.map.first_in(first, last).map(|node| &node.value.value)
    }

    /// Calls `visit` for the values of all intervals, in ascending order of first address.
    pub fn for_each(&self, mut visit: impl FnMut(&V)) {
        visit_all(&self.map.root, &mut visit);
    }
}

/// Moves the node of `key` to `removed`. Returns the parts of the summary that have changed.
fn remove_at<V>(
    link: &mut Link<Numbered<V>>,
    removed: &mut Link<Numbered<V>>,
    key: Key,
) -> Changed {
    let Some(node) = link else {
        return Changed::NONE;
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

/// Replaces a node that is being removed by its former children. Returns the parts of the summary
/// that have changed.
fn replace<V>(link: &mut Link<Numbered<V>>, removed: &mut Link<Numbered<V>>) -> Changed {
    let Some(node) = removed else {
        return Changed::NONE;
    };

    if node.right.is_none() {
        mem::swap(link, &mut node.left);
        return Changed::SUMMARY;
    }
    // The weight is the last address, which does not depend on the place.
    put_next(link, node, |next| next.weight)
}

/// Shortens the interval of `key` to end at `last`, which does not change its place. Returns the
/// parts of the summary that have changed.
fn shorten_at<V>(link: &mut Link<Numbered<V>>, key: Key, last: u64) -> Changed {
    let Some(node) = link else {
        return Changed::NONE;
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
