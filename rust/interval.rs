// SPDX-License-Identifier: GPL-2.0

//! Maps from intervals to values: [`IntervalMap`], whose intervals do not overlap, and
//! [`OverlapMap`] and [`NumberedMap`], whose intervals may.
//!
//! Each map is a weak AVL tree that is ordered by first address. Each node has a weight, and stores
//! the greatest weight of its subtree, so that searches take logarithmic time. Where intervals do
//! not overlap, the weight is the number of free addresses between an interval and its predecessor.
//! Where they may overlap, it is the last address.
//!
//! Each operation is a single walk that changes the tree in place. On the way up it stops writing
//! where the summary of a subtree has not changed, mostly one or two levels above the change. In an
//! AVL tree, removing and inserting one interval repeatedly may change all heights on the path each
//! time. Weak AVL trees (Haeupler, Sen and Tarjan, "Rank-Balanced Trees", 2015) change an amortised
//! constant number of ranks for each operation, whatever the order of operations. Their height is
//! at most twice the binary logarithm of the number of nodes, and that of an AVL tree if no node
//! has been removed.
//!
//! The tree does not allocate: the caller passes nodes in boxes, and gets the boxes back.
//!
//! Pure: this file calls no kernel function and is also compiled for the host.

#[path = "interval/balance.rs"]
mod balance;
#[path = "interval/numbered.rs"]
mod numbered;

pub use numbered::{Key, Numbered, NumberedMap, NumberedNode};

use crate::base::Box;
use balance::{settle, settle_if, Changed};
use core::mem;

type Link<V> = Option<Box<Node<V>>>;

/// An interval of addresses with a value; `first` and `last` are both inclusive. A node that is in
/// no map has no children.
///
/// # Invariants
///
/// `first` is not above `last`. Without this, a map would not find all overlaps with an interval,
/// and `iommufd_core` relies on that it does: memory is unpinned on the strength of it.
pub struct Node<V> {
    first: u64,
    last: u64,
    /// The value that belongs to the interval.
    pub value: V,
    left: Link<V>,
    right: Link<V>,
    weight: u64,
    subtree: Summary,
}

/// The properties of the subtree of a node.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Summary {
    /// The rank: one or two above that of each child, where a missing child has zero; one for a
    /// leaf.
    rank: u8,
    /// The greatest weight of a node in the subtree.
    weight: u64,
}

impl<V> Node<V> {
    /// Creates a node. `first` must not be above `last`; if it is, the interval is only `first`.
    pub fn new(first: u64, last: u64, value: V) -> Self {
        // INVARIANT: `last` is at least `first`.
        Self {
            first,
            last: last.max(first),
            value,
            left: None,
            right: None,
            weight: 0,
            subtree: Summary { rank: 1, weight: 0 },
        }
    }

    /// Returns the first address.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Returns the last address, inclusive.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Returns the value of a node that is in no map.
    pub fn into_value(self) -> V {
        self.value
    }

    /// Shortens the interval of a node that is in no map: `last`, which must lie in it, is the new
    /// last address. If it does not, the nearest address that does takes its place.
    pub fn shorten(&mut self, last: u64) {
        // INVARIANT: By the type invariant the range of `clamp` is not empty.
        self.last = last.clamp(self.first, self.last);
    }

    /// Makes the node, which has no children, a subtree with the given weight.
    fn plant(&mut self, weight: u64) {
        self.weight = weight;
        self.subtree = Summary { rank: 1, weight };
    }

    /// Computes `subtree` from the children, with the lowest rank that they allow.
    fn update(&mut self) {
        let (left, right) = (summary(&self.left), summary(&self.right));

        self.subtree = Summary {
            rank: left.rank.max(right.rank) + 1,
            weight: self.weight.max(left.weight).max(right.weight),
        };
    }
}

/// Returns the summary of a subtree, which may be empty.
fn summary<V>(link: &Link<V>) -> Summary {
    const EMPTY: Summary = Summary { rank: 0, weight: 0 };

    link.as_ref().map_or(EMPTY, |node| node.subtree)
}

/// The work that a change in a subtree leaves for the nodes above it, mostly none. That work is in
/// functions of its own, so that the recursive functions save few registers at each level.
#[derive(Clone, Copy)]
struct Rest {
    changed: Changed,
    /// With [`Changed::EDGE`]: the new end of the predecessor, see [`free_between`].
    edge: u64,
}

impl Rest {
    const NONE: Self = Self {
        changed: Changed::NONE,
        edge: 0,
    };

    /// A node was added or removed at the end of a branch.
    fn at_end(edge: u64) -> Self {
        Self {
            changed: Changed::SUMMARY.and(Changed::EDGE),
            edge,
        }
    }

    /// Updates a node whose left subtree has changed. The node is the successor of the last
    /// interval in that subtree.
    fn on_left<V>(self, link: &mut Link<V>) -> Self {
        if self.changed.has(Changed::ANY) {
            self.settle_left(link)
        } else {
            self
        }
    }

    /// Updates a node whose right subtree has changed.
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

/// The end of the predecessor of an interval that has none.
const NO_EDGE: u64 = u64::MAX;

/// Returns the number of free addresses in front of the interval that begins at `first`, if its
/// predecessor ends below `edge`. Returns 0 if there is no predecessor ([`NO_EDGE`]).
fn free_between(edge: u64, first: u64) -> u64 {
    first.saturating_sub(edge)
}

/// Moves `new` to the place of `first..=last`, unless that overlaps an interval in the subtree. The
/// predecessor of the subtree ends below `edge`.
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
        Rest::NONE
    }
}

/// Removes the lowest node. Returns it, and the parts of the summary that have changed.
fn take_lowest<V>(link: &mut Link<V>) -> (Link<V>, Changed) {
    let Some(node) = link else {
        return (None, Changed::NONE);
    };

    if node.left.is_some() {
        let (lowest, changed) = take_lowest(&mut node.left);
        return (lowest, settle_if(link, changed));
    }
    let mut other = node.right.take();

    mem::swap(link, &mut other);
    (other, Changed::SUMMARY)
}

/// Moves the node that begins at `first` to `removed`. `lowest` says whether the subtree has no
/// predecessor.
fn remove_at<V>(link: &mut Link<V>, removed: &mut Link<V>, first: u64, lowest: bool) -> Rest {
    let Some(node) = link else {
        return Rest::NONE;
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

/// Replaces a node that is being removed by its former children. Its predecessor ends below `edge`.
#[inline(never)]
fn replace<V>(link: &mut Link<V>, removed: &mut Link<V>, edge: u64) -> Rest {
    let Some(node) = removed else {
        return Rest::NONE;
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

/// Replaces a node that is being removed, and has a right child, by its successor. `weight`
/// computes the weight of the successor in its new place. Returns the parts of the summary that
/// have changed.
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
        // The summary that the nodes above have taken into account, until `settle` updates it.
        root.subtree = node.subtree;
    }
    mem::swap(link, &mut next);
    settle(link, Changed::SUMMARY)
}

/// Returns the lowest gap between two intervals, cut to `bounds`, that has at least `size`
/// addresses; `size` is not zero.
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

/// Cuts a gap to `bounds`. Returns `None` if fewer than `size` addresses remain.
fn clip(gap: (u64, u64), bounds: (u64, u64), size: u64) -> Option<(u64, u64)> {
    let (first, last) = (gap.0.max(bounds.0), gap.1.min(bounds.1));

    (first <= last && last - first >= size.saturating_sub(1)).then_some((first, last))
}

/// An interval in a map, with mutable access to its value.
pub struct Entry<'a, V> {
    interval: (&'a u64, &'a u64),
    /// The value that belongs to the interval.
    pub value: &'a mut V,
}

impl<V> Entry<'_, V> {
    /// Returns the first address.
    pub fn first(&self) -> u64 {
        *self.interval.0
    }

    /// Returns the last address, inclusive.
    pub fn last(&self) -> u64 {
        *self.interval.1
    }
}

/// A map from intervals that do not overlap to values.
///
/// # Examples
///
/// ```
/// # use pages_pure::{IntervalMap, Node};
/// let mut map = IntervalMap::new();
///
/// assert!(map.insert(Box::new(Node::new(0x1000, 0x1fff, 'a'))).is_ok());
/// assert!(map.insert(Box::new(Node::new(0x4000, 0x4fff, 'b'))).is_ok());
/// // It overlaps the first interval, so the node is returned.
/// assert!(map.insert(Box::new(Node::new(0x1800, 0x2fff, 'c'))).is_err());
///
/// assert_eq!(map.first_in(0x1234, 0xffff).map(|node| node.value), Some('a'));
/// assert_eq!(map.first_gap(0x1000, 0xffff, 0x1000), Some((0x2000, 0x3fff)));
/// assert_eq!(map.remove(0x4000).map(|node| node.last()), Some(0x4fff));
/// ```
pub struct IntervalMap<V> {
    root: Link<V>,
}

impl<V> Default for IntervalMap<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> IntervalMap<V> {
    /// Creates an empty map.
    pub const fn new() -> Self {
        Self { root: None }
    }

    /// Inserts an interval. Returns the node as `Err` if it overlaps an interval in the map.
    pub fn insert(&mut self, node: Box<Node<V>>) -> Result<(), Box<Node<V>>> {
        let (first, last) = (node.first, node.last);
        let mut new = Some(node);

        insert_at(&mut self.root, &mut new, first, last, NO_EDGE);
        new.map_or(Ok(()), Err)
    }

    /// Removes the interval that begins at `first`.
    pub fn remove(&mut self, first: u64) -> Option<Box<Node<V>>> {
        let mut removed = None;

        remove_at(&mut self.root, &mut removed, first, true);
        removed
    }

    /// Returns the lowest interval that overlaps `first..=last`.
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

    /// Returns the lowest interval that overlaps `first..=last`, with mutable access to its value.
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

    /// Returns whether the map is empty.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// Returns the value of the interval that begins at `first`.
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

    /// Iterates over the intervals in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = &Node<V>> {
        let mut next = Some(0);

        core::iter::from_fn(move || {
            let node = self.first_in(next?, u64::MAX)?;
            next = node.last.checked_add(1);
            Some(node)
        })
    }

    /// Returns the lowest free range within `low..=high` that has at least `size` addresses, in its
    /// full extent.
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

    /// Returns the lowest and the highest address of all intervals.
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

/// Moves `new` to the place of `first`, behind all intervals with the same first address. Returns
/// the parts of the summary that have changed.
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
    /// Creates an empty map.
    pub const fn new() -> Self {
        Self { root: None }
    }

    /// Inserts an interval.
    pub fn insert(&mut self, mut node: Box<Node<V>>) {
        let (first, last) = (node.first, node.last);

        node.plant(last);
        insert_beside(&mut self.root, &mut Some(node), first);
    }

    /// Returns an interval that overlaps `first..=last`, with the lowest first address of all that
    /// do.
    pub fn first_in(&self, first: u64, last: u64) -> Option<&Node<V>> {
        let mut link = &self.root;

        while let Some(node) = link {
            // If the left subtree has an interval that ends at `first` or above, the lowest such
            // interval is there.
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

    /// Removes the intervals whose values do not satisfy `keep`. Takes linear time, times the
    /// logarithm for those that stay.
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
