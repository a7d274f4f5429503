// SPDX-License-Identifier: GPL-2.0

//! Maps from intervals to values: one whose intervals do not overlap, and two whose may.
//!
//! A weak AVL tree ordered by first address. Each node has a weight, and knows the greatest in its
//! subtree, so that what is looked for is found in logarithmic time: the weight is how many addresses
//! are free between an interval and the one in front of it where intervals do not overlap, and the
//! last address where they may.
//!
//! Each operation is one walk. The tree is changed in place, and nothing is written from where the
//! summary of a subtree is what it was before, mostly a level or two above the change. An AVL tree
//! would not do: taking an interval out and putting it back may change all heights on the way, each
//! time. Weak AVL trees (Haeupler, Sen and Tarjan, "Rank-Balanced Trees", 2015) change a constant
//! number of ranks for each operation in the long run, in whatever order they come. They are at most
//! twice as high as the binary logarithm of the number of nodes, and as AVL trees where nothing is
//! taken out.
//!
//! The tree never allocates: nodes come in boxes and leave in boxes. Pure: no kernel calls.

#[path = "interval/balance.rs"]
mod balance;
#[path = "interval/numbered.rs"]
mod numbered;

pub use numbered::{Key, Numbered, NumberedMap, NumberedNode};

use crate::base::Box;
use balance::{settle, settle_if, Changed};
use core::mem;

type Link<V> = Option<Box<Node<V>>>;

/// An interval of addresses with a value: `first` and `last` both inclusive. A node that is in no map
/// has no children.
pub struct Node<V> {
    first: u64,
    last: u64,
    /// What belongs to the interval.
    pub value: V,
    left: Link<V>,
    right: Link<V>,
    weight: u64,
    subtree: Summary,
}

/// What a node knows of itself and all below it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Summary {
    /// One or two above that of each child, where a missing child has zero; one for a leaf.
    rank: u8,
    /// The greatest weight.
    weight: u64,
}

impl<V> Node<V> {
    /// A node to be inserted; `first` must not be above `last`.
    pub fn new(first: u64, last: u64, value: V) -> Self {
        debug_assert!(first <= last);
        Self {
            first,
            last,
            value,
            left: None,
            right: None,
            weight: 0,
            subtree: Summary { rank: 1, weight: 0 },
        }
    }

    /// The first address.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The last address, inclusive.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The value, out of a node that is in no map.
    pub fn into_value(self) -> V {
        self.value
    }

    /// Gives the upper part of the interval up: `last` is the new last address. For a node that is
    /// in no map.
    pub fn shorten(&mut self, last: u64) {
        debug_assert!((self.first..=self.last).contains(&last));
        self.last = last;
    }

    /// Makes it a subtree of its own. It has no children.
    fn plant(&mut self, weight: u64) {
        self.weight = weight;
        self.subtree = Summary { rank: 1, weight };
    }

    /// Works out `subtree` from the children, with the lowest rank there is for them.
    fn update(&mut self) {
        let (left, right) = (summary(&self.left), summary(&self.right));

        self.subtree = Summary {
            rank: left.rank.max(right.rank) + 1,
            weight: self.weight.max(left.weight).max(right.weight),
        };
    }
}

fn summary<V>(link: &Link<V>) -> Summary {
    const NOTHING: Summary = Summary { rank: 0, weight: 0 };

    link.as_ref().map_or(NOTHING, |node| node.subtree)
}

/// What a change in a subtree leaves to be done above it: mostly nothing. What is done otherwise is
/// kept out of the functions that go down, which then have little to save at each level.
#[derive(Clone, Copy)]
struct Rest {
    changed: Changed,
    /// With [`Changed::EDGE`]: the interval ends below this address, see [`free_between`].
    edge: u64,
}

impl Rest {
    const NOTHING: Self = Self {
        changed: Changed::NOTHING,
        edge: 0,
    };

    /// A node has come or gone at the end of a branch.
    fn at_end(edge: u64) -> Self {
        Self {
            changed: Changed::SUMMARY.and(Changed::EDGE),
            edge,
        }
    }

    /// Does what is to be done at the root where the left child changed, which the root follows.
    fn on_left<V>(self, link: &mut Link<V>) -> Self {
        if self.changed.has(Changed::ANY) {
            self.settle_left(link)
        } else {
            self
        }
    }

    /// Does what is to be done at the root where the right child changed.
    fn on_right<V>(self, link: &mut Link<V>) -> Self {
        if self.changed.has(Changed::SUMMARY) {
            self.settle_right(link)
        } else {
            self
        }
    }

    #[inline(never)]
    fn settle_left<V>(self, link: &mut Link<V>) -> Self {
        let mut changed = self.changed;

        if changed.has(Changed::EDGE) {
            if let Some(node) = link {
                node.weight = free_between(self.edge, node.first);
            }
            changed = changed.and(Changed::WEIGHT);
        }
        Self {
            changed: settle(link, changed),
            edge: 0,
        }
    }

    #[inline(never)]
    fn settle_right<V>(self, link: &mut Link<V>) -> Self {
        Self {
            changed: settle(link, self.changed).and(self.changed.only(Changed::EDGE)),
            edge: self.edge,
        }
    }
}

/// Where what is in front ends if there is nothing.
const NO_EDGE: u64 = u64::MAX;

/// How many addresses are free in front of an interval whose first address is given, if what is in
/// front of it ends below `edge`. Where nothing is, nothing counts as free.
fn free_between(edge: u64, first: u64) -> u64 {
    first.saturating_sub(edge)
}

/// Moves `new` to where `first..=last` belongs, unless it overlaps an interval that is there. What is
/// in front of the subtree ends below `edge`.
fn insert_at<V>(link: &mut Link<V>, new: &mut Link<V>, first: u64, last: u64, edge: u64) -> Rest {
    let Some(node) = link else {
        if let Some(new) = new {
            new.plant(free_between(edge, first));
        }
        mem::swap(link, new);
        return Rest::at_end(last.saturating_add(1));
    };

    if last < node.first {
        insert_at(&mut node.left, new, first, last, edge).on_left(link)
    } else if first > node.last {
        let edge = node.last.saturating_add(1);

        insert_at(&mut node.right, new, first, last, edge).on_right(link)
    } else {
        Rest::NOTHING
    }
}

/// Takes the lowest node out. Returns it, and what of the summary is another one now.
fn take_lowest<V>(link: &mut Link<V>) -> (Link<V>, Changed) {
    let Some(node) = link else {
        return (None, Changed::NOTHING);
    };

    if node.left.is_some() {
        let (lowest, changed) = take_lowest(&mut node.left);
        return (lowest, settle_if(link, changed));
    }
    let mut other = node.right.take();

    mem::swap(link, &mut other);
    (other, Changed::SUMMARY)
}

/// Moves the node that begins at `first` to `removed`. `lowest` says that nothing is in front of the
/// subtree.
fn remove_at<V>(link: &mut Link<V>, removed: &mut Link<V>, first: u64, lowest: bool) -> Rest {
    let Some(node) = link else {
        return Rest::NOTHING;
    };

    if first < node.first {
        return remove_at(&mut node.left, removed, first, lowest).on_left(link);
    }
    if first > node.first {
        return remove_at(&mut node.right, removed, first, false).on_right(link);
    }
    let edge = if lowest && node.left.is_none() {
        NO_EDGE
    } else {
        first - node.weight
    };

    mem::swap(link, removed);
    replace(link, removed, edge)
}

/// Puts in the place of a node, which is taken out, what was below it. What is in front of it ends
/// below `edge`.
#[inline(never)]
fn replace<V>(link: &mut Link<V>, removed: &mut Link<V>, edge: u64) -> Rest {
    let Some(node) = removed else {
        return Rest::NOTHING;
    };

    if node.right.is_none() {
        mem::swap(link, &mut node.left);
        return Rest::at_end(edge);
    }
    Rest {
        changed: put_next(link, node, |next| free_between(edge, next.first)),
        edge,
    }
}

/// Puts the next higher node in the place of one that is taken out and has a right child. `weight`
/// works out how much it weighs there. Returns what of the summary is another one now.
fn put_next<V>(
    link: &mut Link<V>,
    node: &mut Node<V>,
    weight: impl FnOnce(&Node<V>) -> u64,
) -> Changed {
    let (mut next, _) = take_lowest(&mut node.right);

    if let Some(root) = &mut next {
        mem::swap(&mut root.left, &mut node.left);
        mem::swap(&mut root.right, &mut node.right);
        root.weight = weight(root);
        // What the nodes above know of this place.
        root.subtree = node.subtree;
    }
    mem::swap(link, &mut next);
    settle(link, Changed::SUMMARY)
}

/// The lowest gap between two intervals that has `size` addresses within bounds, of which there is
/// at least one.
fn gap_at<V>(link: &Link<V>, bounds: (u64, u64), size: u64) -> Option<(u64, u64)> {
    let mut link = link;

    while let Some(node) = link.as_ref().filter(|node| node.subtree.weight >= size) {
        if node.first > bounds.0 {
            if let Some(gap) = gap_at(&node.left, bounds, size) {
                return Some(gap);
            }
            if node.weight >= size {
                let gap = (node.first - node.weight, node.first - 1);
                if let Some(gap) = clip(gap, bounds, size) {
                    return Some(gap);
                }
            }
        }
        if node.last >= bounds.1 {
            return None;
        }
        link = &node.right;
    }
    None
}

/// The part of a gap within bounds, if it has at least `size` addresses.
fn clip(gap: (u64, u64), bounds: (u64, u64), size: u64) -> Option<(u64, u64)> {
    let (first, last) = (gap.0.max(bounds.0), gap.1.min(bounds.1));

    (first <= last && last - first >= size.saturating_sub(1)).then_some((first, last))
}

/// An interval in a map, whose value may be changed.
pub struct Entry<'a, V> {
    interval: (&'a u64, &'a u64),
    /// What belongs to the interval.
    pub value: &'a mut V,
}

impl<V> Entry<'_, V> {
    /// The first address.
    pub fn first(&self) -> u64 {
        *self.interval.0
    }

    /// The last address, inclusive.
    pub fn last(&self) -> u64 {
        *self.interval.1
    }
}

/// A map from intervals that do not overlap to values.
pub struct IntervalMap<V> {
    root: Link<V>,
}

impl<V> Default for IntervalMap<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> IntervalMap<V> {
    /// A map without intervals.
    pub const fn new() -> Self {
        Self { root: None }
    }

    /// Adds an interval; gives the node back if it overlaps one that is there.
    pub fn insert(&mut self, node: Box<Node<V>>) -> Result<(), Box<Node<V>>> {
        let (first, last) = (node.first, node.last);
        let mut new = Some(node);

        insert_at(&mut self.root, &mut new, first, last, NO_EDGE);
        new.map_or(Ok(()), Err)
    }

    /// Takes out the interval that begins at `first`.
    pub fn remove(&mut self, first: u64) -> Option<Box<Node<V>>> {
        let mut removed = None;

        remove_at(&mut self.root, &mut removed, first, true);
        removed
    }

    /// The lowest interval that meets `first..=last`.
    pub fn first_in(&self, first: u64, last: u64) -> Option<&Node<V>> {
        let mut link = &self.root;
        let mut found = None;

        while let Some(node) = link {
            if node.last < first {
                link = &node.right;
            } else {
                found = Some(&**node);
                link = &node.left;
            }
        }
        found.filter(|node| node.first <= last)
    }

    /// The lowest interval that meets `first..=last`, to change its value.
    pub fn first_in_mut(&mut self, first: u64, last: u64) -> Option<Entry<'_, V>> {
        let mut link = &mut self.root;
        let mut found = None;

        while let Some(node) = link {
            let node = &mut **node;

            if node.last < first {
                link = &mut node.right;
            } else {
                found = Some(Entry {
                    interval: (&node.first, &node.last),
                    value: &mut node.value,
                });
                link = &mut node.left;
            }
        }
        found.filter(|entry| entry.first() <= last)
    }

    /// Whether there is no interval.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The value of the interval that begins at `first`.
    pub fn get_mut(&mut self, first: u64) -> Option<&mut V> {
        let mut link = &mut self.root;

        while let Some(node) = link {
            if first < node.first {
                link = &mut node.left;
            } else if first > node.first {
                link = &mut node.right;
            } else {
                return Some(&mut node.value);
            }
        }
        None
    }

    /// All intervals, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = &Node<V>> {
        let mut next = Some(0);

        core::iter::from_fn(move || {
            let node = self.first_in(next?, u64::MAX)?;
            next = node.last.checked_add(1);
            Some(node)
        })
    }

    /// The lowest range without intervals within `low..=high` that has at least `size` addresses,
    /// as large as it is there.
    pub fn first_gap(&self, low: u64, high: u64, size: u64) -> Option<(u64, u64)> {
        let bounds = (low, high);
        let size = size.max(1);
        let Some((first, last)) = self.span() else {
            return clip(bounds, bounds, size);
        };
        let below = || clip((0, first.checked_sub(1)?), bounds, size);
        let above = || clip((last.checked_add(1)?, u64::MAX), bounds, size);

        below()
            .or_else(|| gap_at(&self.root, bounds, size))
            .or_else(above)
    }

    /// The lowest and the highest address of any interval.
    fn span(&self) -> Option<(u64, u64)> {
        let root = self.root.as_ref()?;
        let (mut lowest, mut highest) = (root, root);

        while let Some(node) = &lowest.left {
            lowest = node;
        }
        while let Some(node) = &highest.right {
            highest = node;
        }
        Some((lowest.first, highest.last))
    }
}

/// Moves `new` to where its first address belongs, behind all others that have the same. Returns what
/// of the summary is another one now.
fn insert_beside<V>(link: &mut Link<V>, new: &mut Link<V>, first: u64) -> Changed {
    let Some(node) = link else {
        mem::swap(link, new);
        return Changed::SUMMARY;
    };
    let side = if first < node.first {
        &mut node.left
    } else {
        &mut node.right
    };
    let changed = insert_beside(side, new, first);

    settle_if(link, changed)
}

/// A map from intervals that may overlap to values.
pub struct OverlapMap<V> {
    root: Link<V>,
}

impl<V> Default for OverlapMap<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> OverlapMap<V> {
    /// A map without intervals.
    pub const fn new() -> Self {
        Self { root: None }
    }

    /// Adds an interval.
    pub fn insert(&mut self, mut node: Box<Node<V>>) {
        let (first, last) = (node.first, node.last);

        node.plant(last);
        insert_beside(&mut self.root, &mut Some(node), first);
    }

    /// Of the intervals that meet `first..=last`, one that begins first.
    pub fn first_in(&self, first: u64, last: u64) -> Option<&Node<V>> {
        let mut link = &self.root;

        while let Some(node) = link {
            // What begins lowest of all that do not end too low lies on the left if anything does.
            let on_the_left = node
                .left
                .as_ref()
                .is_some_and(|left| left.subtree.weight >= first);

            if on_the_left {
                link = &node.left;
            } else if node.last >= first {
                return Some(&**node).filter(|node| node.first <= last);
            } else {
                link = &node.right;
            }
        }
        None
    }

    /// Drops the intervals whose values do not satisfy `keep`, which takes time for all of them.
    pub fn retain(&mut self, mut keep: impl FnMut(&V) -> bool) {
        let mut rest = self.root.take();

        while let (Some(lowest), _) = take_lowest(&mut rest) {
            if keep(&lowest.value) {
                self.insert(lowest);
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/interval.rs"]
mod tests;
