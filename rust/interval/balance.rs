// SPDX-License-Identifier: GPL-2.0

//! Restores the balance of a tree of intervals and the summaries of its nodes, from a change
//! upwards.

use super::{summary, Link};
use core::mem;

/// Rotates the subtree to the right: its left child becomes the root.
fn rotate_right<V>(link: &mut Link<V>) {
    let Some(node) = link else { return };
    let mut other = node.left.take();

    if let Some(root) = &mut other {
        mem::swap(&mut node.left, &mut root.right);
        node.update();
        mem::swap(link, &mut other);
    }
    if let Some(root) = link {
        root.right = other;
        root.update();
    }
}

/// Rotates the subtree to the left: its right child becomes the root.
fn rotate_left<V>(link: &mut Link<V>) {
    let Some(node) = link else { return };
    let mut other = node.right.take();

    if let Some(root) = &mut other {
        mem::swap(&mut node.right, &mut root.left);
        node.update();
        mem::swap(link, &mut other);
    }
    if let Some(root) = link {
        root.left = other;
        root.update();
    }
}

/// Restores the balance of a node whose left child has a rank two above that of the right child.
fn lower_left<V>(link: &mut Link<V>) {
    let Some(node) = link else { return };
    let rank = node.subtree.rank;
    let Some(child) = &mut node.left else { return };

    if summary(&child.left).rank + 1 != child.subtree.rank {
        if summary(&child.right).rank + 1 != child.subtree.rank {
            child.update();
            node.update();
            return;
        }
        rotate_left(&mut node.left);
    }
    rotate_right(link);
    set_rank(link, rank);
}

/// Restores the balance of a node whose right child has a rank two above that of the left child.
fn lower_right<V>(link: &mut Link<V>) {
    let Some(node) = link else { return };
    let rank = node.subtree.rank;
    let Some(child) = &mut node.right else { return };

    if summary(&child.right).rank + 1 != child.subtree.rank {
        if summary(&child.left).rank + 1 != child.subtree.rank {
            child.update();
            node.update();
            return;
        }
        rotate_right(&mut node.right);
    }
    rotate_left(link);
    set_rank(link, rank);
}

fn set_rank<V>(link: &mut Link<V>, rank: u8) {
    if let Some(node) = link {
        node.subtree.rank = rank;
    }
}

/// The changes in a subtree that affect the nodes above it: a set of bits.
#[derive(Clone, Copy)]
pub(super) struct Changed(u8);

impl Changed {
    pub(super) const NONE: Self = Self(0);
    /// The rank of the root.
    pub(super) const RANK: Self = Self(1);
    /// The greatest weight.
    pub(super) const WEIGHT: Self = Self(2);
    /// All parts of a summary.
    pub(super) const SUMMARY: Self = Self(3);
    /// The end of the last interval in the subtree, on which the weight of its successor depends.
    /// Not part of the summary.
    pub(super) const EDGE: Self = Self(4);
    pub(super) const ANY: Self = Self(7);

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn only(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns `self` if `is_so`, else no bits.
    fn when(self, is_so: bool) -> Self {
        Self(self.0 * u8::from(is_so))
    }
}

/// Updates the summary of a node after a change of its children or of its own weight. Returns the
/// parts of the summary that have changed.
pub(super) fn settle<V>(link: &mut Link<V>, changed: Changed) -> Changed {
    let Some(node) = link else {
        return Changed::NONE;
    };
    let mut rest = Changed::NONE;

    if changed.has(Changed::RANK) {
        let (left, right) = (summary(&node.left).rank, summary(&node.right).rank);

        if left.abs_diff(right) > 1 {
            return lower(link, left > right);
        }
        // A rank two above both children is valid, except for a leaf.
        let high = left == right && left != 0 && left + 2 == node.subtree.rank;
        let rank = left.max(right) + 1 + u8::from(high);

        rest = Changed::RANK.when(rank != node.subtree.rank);
        node.subtree.rank = rank;
    }
    if changed.has(Changed::WEIGHT) {
        let below = summary(&node.left).weight.max(summary(&node.right).weight);
        let weight = below.max(node.weight);

        rest = rest.and(Changed::WEIGHT.when(weight != node.subtree.weight));
        node.subtree.weight = weight;
    }
    rest
}

/// Calls [`settle`] if there are changes.
pub(super) fn settle_if<V>(link: &mut Link<V>, changed: Changed) -> Changed {
    if changed.has(Changed::ANY) {
        settle(link, changed)
    } else {
        changed
    }
}

/// Restores the balance of a node, one child of which has a rank two above that of the other.
/// Returns the parts of the summary that have changed.
#[inline(never)]
fn lower<V>(link: &mut Link<V>, left: bool) -> Changed {
    let before = summary(link);

    if left {
        lower_left(link);
    } else {
        lower_right(link);
    }
    let now = summary(link);

    Changed::RANK
        .when(now.rank != before.rank)
        .and(Changed::WEIGHT.when(now.weight != before.weight))
}
