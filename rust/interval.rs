// SPDX-License-Identifier: GPL-2.0

//! Maps from intervals to values: one whose intervals do not overlap, and one whose may.
//!
//! An AVL tree ordered by address. Each node also knows the lowest and the highest address of its
//! subtree and the widest gap in it, so that looking up what meets a range and finding a hole of a
//! given size take logarithmic time.
//!
//! The tree never allocates: nodes come in boxes and leave in boxes. Pure: no kernel calls.

use crate::base::Box;
use core::cmp::Ordering;

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
    subtree: Subtree,
}

/// What a node knows of itself and all below it.
#[derive(Clone, Copy)]
struct Subtree {
    height: u8,
    /// The lowest address of any interval.
    first: u64,
    /// The highest address of any interval.
    last: u64,
    /// The most addresses between two neighbours.
    gap: u64,
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
            subtree: Subtree {
                height: 1,
                first,
                last,
                gap: 0,
            },
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
        self.update();
    }

    /// Works out `subtree` from the children.
    fn update(&mut self) {
        let mut all = Subtree {
            height: 1,
            first: self.first,
            last: self.last,
            gap: 0,
        };

        // Where intervals overlap, the one that begins last need not be the one that ends last.
        if let Some(left) = self.left.as_ref().map(|left| left.subtree) {
            all.height = all.height.max(left.height + 1);
            all.first = left.first;
            all.last = all.last.max(left.last);
            all.gap = all.gap.max(left.gap).max(between(left.last, self.first));
        }
        if let Some(right) = self.right.as_ref().map(|right| right.subtree) {
            all.height = all.height.max(right.height + 1);
            all.gap = all.gap.max(right.gap).max(between(all.last, right.first));
            all.last = all.last.max(right.last);
        }
        self.subtree = all;
    }
}

/// How many addresses lie between the end of one interval and the start of a later one.
fn between(last: u64, first: u64) -> u64 {
    first.saturating_sub(last).saturating_sub(1)
}

fn height<V>(link: &Link<V>) -> u8 {
    link.as_ref().map_or(0, |node| node.subtree.height)
}

/// Makes the left child the root of the subtree.
fn rotate_right<V>(mut node: Box<Node<V>>) -> Box<Node<V>> {
    let Some(mut root) = node.left.take() else {
        return node;
    };
    node.left = root.right.take();
    node.update();
    root.right = Some(node);
    root.update();
    root
}

/// Makes the right child the root of the subtree.
fn rotate_left<V>(mut node: Box<Node<V>>) -> Box<Node<V>> {
    let Some(mut root) = node.right.take() else {
        return node;
    };
    node.right = root.left.take();
    node.update();
    root.left = Some(node);
    root.update();
    root
}

/// Restores the AVL condition at a node whose children satisfy it.
fn balance<V>(mut node: Box<Node<V>>) -> Box<Node<V>> {
    node.update();
    match (height(&node.left), height(&node.right)) {
        (left, right) if left > right + 1 => {
            if let Some(child) = node.left.take() {
                let leans_right = height(&child.right) > height(&child.left);
                node.left = Some(if leans_right {
                    rotate_left(child)
                } else {
                    child
                });
            }
            rotate_right(node)
        }
        (left, right) if right > left + 1 => {
            if let Some(child) = node.right.take() {
                let leans_left = height(&child.left) > height(&child.right);
                node.right = Some(if leans_left {
                    rotate_right(child)
                } else {
                    child
                });
            }
            rotate_left(node)
        }
        _ => node,
    }
}

fn insert_at<V>(link: Link<V>, new: Box<Node<V>>) -> Box<Node<V>> {
    let Some(mut node) = link else {
        return new;
    };
    if new.first < node.first {
        node.left = Some(insert_at(node.left.take(), new));
    } else {
        node.right = Some(insert_at(node.right.take(), new));
    }
    balance(node)
}

/// Takes the lowest node out: what remains, and the node.
fn take_lowest<V>(mut node: Box<Node<V>>) -> (Link<V>, Box<Node<V>>) {
    match node.left.take() {
        None => (node.right.take(), node),
        Some(left) => {
            let (rest, lowest) = take_lowest(left);
            node.left = rest;
            (Some(balance(node)), lowest)
        }
    }
}

/// Takes the node that begins at `first` out: what remains, and the node if there was one.
fn remove_at<V>(link: Link<V>, first: u64) -> (Link<V>, Link<V>) {
    let Some(mut node) = link else {
        return (None, None);
    };
    let removed = match first.cmp(&node.first) {
        Ordering::Less => {
            let (rest, removed) = remove_at(node.left.take(), first);
            node.left = rest;
            removed
        }
        Ordering::Greater => {
            let (rest, removed) = remove_at(node.right.take(), first);
            node.right = rest;
            removed
        }
        Ordering::Equal => {
            let rest = match (node.left.take(), node.right.take()) {
                (None, rest) | (rest, None) => rest,
                (left, Some(right)) => {
                    let (right, mut root) = take_lowest(right);
                    root.left = left;
                    root.right = right;
                    Some(balance(root))
                }
            };
            node.update();
            return (rest, Some(node));
        }
    };
    (Some(balance(node)), removed)
}

/// See [`IntervalMap::first_gap`]; `edge` is the lowest address that may be free before the subtree.
fn gap_at<V>(node: &Node<V>, edge: u64, bounds: (u64, u64), size: u64) -> Option<(u64, u64)> {
    let (low, high) = bounds;
    let all = &node.subtree;

    // Nothing in this subtree, or before it, can be wide enough or inside the bounds.
    if all.last < low || edge > high || all.gap.max(all.first.saturating_sub(edge)) < size {
        return None;
    }
    let mut edge = edge;
    if let Some(left) = &node.left {
        if let Some(gap) = gap_at(left, edge, bounds, size) {
            return Some(gap);
        }
        edge = left.subtree.last.checked_add(1)?;
    }
    if node.first > edge {
        if let Some(gap) = clip((edge, node.first - 1), bounds, size) {
            return Some(gap);
        }
    }
    gap_at(
        node.right.as_deref()?,
        node.last.checked_add(1)?,
        bounds,
        size,
    )
}

/// The part of a gap within bounds, if it has at least `size` addresses.
fn clip(gap: (u64, u64), bounds: (u64, u64), size: u64) -> Option<(u64, u64)> {
    let (first, last) = (gap.0.max(bounds.0), gap.1.min(bounds.1));

    (first <= last && last - first >= size.saturating_sub(1)).then_some((first, last))
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
        if self.first_in(node.first, node.last).is_some() {
            return Err(node);
        }
        self.root = Some(insert_at(self.root.take(), node));
        Ok(())
    }

    /// Takes out the interval that begins at `first`.
    pub fn remove(&mut self, first: u64) -> Option<Box<Node<V>>> {
        let (rest, removed) = remove_at(self.root.take(), first);
        self.root = rest;
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

    /// Whether there is no interval.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The value of the interval that begins at `first`.
    pub fn get_mut(&mut self, first: u64) -> Option<&mut V> {
        let mut link = &mut self.root;

        while let Some(node) = link {
            match first.cmp(&node.first) {
                Ordering::Less => link = &mut node.left,
                Ordering::Greater => link = &mut node.right,
                Ordering::Equal => return Some(&mut node.value),
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
        let Some(root) = &self.root else {
            return clip(bounds, bounds, size);
        };
        gap_at(root, 0, bounds, size)
            .or_else(|| clip((root.subtree.last.checked_add(1)?, u64::MAX), bounds, size))
    }
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
    pub fn insert(&mut self, node: Box<Node<V>>) {
        self.root = Some(insert_at(self.root.take(), node));
    }

    /// Of the intervals that meet `first..=last`, one that begins first.
    pub fn first_in(&self, first: u64, last: u64) -> Option<&Node<V>> {
        let mut link = &self.root;

        while let Some(node) = link {
            // What begins lowest of all that do not end too low lies on the left if anything does.
            let on_the_left = node
                .left
                .as_ref()
                .is_some_and(|left| left.subtree.last >= first);

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

        while let Some(root) = rest {
            let (others, mut lowest) = take_lowest(root);

            rest = others;
            if keep(&lowest.value) {
                lowest.update();
                self.insert(lowest);
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/interval.rs"]
mod tests;
