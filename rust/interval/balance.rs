// SPDX-License-Identifier: GPL-2.0

//! Keeps a tree of intervals weakly balanced, and what its nodes know of their subtrees right, from
//! a change upwards.

use super::{summary, Link};
use core::mem;

/// Makes the left child the root of the subtree.
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

/// Makes the right child the root of the subtree.
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

/// Makes up for a left child whose rank is two above that of the right one.
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

/// Makes up for a right child whose rank is two above that of the left one.
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

/// What has changed in a subtree that those above must know: bits.
#[derive(Clone, Copy)]
pub(super) struct Changed(u8);

impl Changed {
    pub(super) const NOTHING: Self = Self(0);
    /// The rank of the root.
    pub(super) const RANK: Self = Self(1);
    /// The greatest weight.
    pub(super) const WEIGHT: Self = Self(2);
    /// All that is in a summary.
    pub(super) const SUMMARY: Self = Self(3);
    /// Where the interval ends that is in front of the one behind the subtree. That is no part of the
    /// summary.
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

    /// A bit if something is the case.
    fn when(self, is_so: bool) -> Self {
        Self(self.0 * u8::from(is_so))
    }
}

/// Makes the summary right again at a node of whose children, or of whose own weight, something has
/// changed. Returns what of the summary is another one now.
pub(super) fn settle<V>(link: &mut Link<V>, changed: Changed) -> Changed {
    let Some(node) = link else {
        return Changed::NOTHING;
    };
    let mut rest = Changed::NOTHING;

    if changed.has(Changed::RANK) {
        let (left, right) = (summary(&node.left).rank, summary(&node.right).rank);

        if left.abs_diff(right) > 1 {
            return lower(link, left > right);
        }
        // Two above both children is as good as one, but for a leaf.
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

/// As [`settle`], where that may be nothing.
pub(super) fn settle_if<V>(link: &mut Link<V>, changed: Changed) -> Changed {
    if changed.has(Changed::ANY) {
        settle(link, changed)
    } else {
        changed
    }
}

/// Makes up for a child whose rank is two above that of the other. Returns what of the summary is
/// another one now.
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
