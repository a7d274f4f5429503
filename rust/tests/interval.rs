// SPDX-License-Identifier: GPL-2.0

//! The tree against a sorted list, and its own invariants, after every step.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, u64),
    Remove(u64),
}

/// Intervals from a small space, so that they meet, and from its very end.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = prop_oneof![0u64..400, (u64::MAX - 400)..=u64::MAX];
    let step = prop_oneof![
        3 => (place.clone(), 0u64..20)
            .prop_map(|(first, size)| Step::Insert(first, first.saturating_add(size))),
        1 => place.prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 0..200)
}

/// What the summary of a subtree should say; checks order and balance on the way.
fn check<V>(node: &Node<V>) -> (u8, u64, u64, u64) {
    let (mut height, mut first, mut last, mut gap) = (1, node.first, node.last, 0);

    if let Some(left) = &node.left {
        let (h, f, l, g) = check(left);
        assert!(l < node.first);
        (height, first) = (height.max(h + 1), f);
        gap = gap.max(g).max(node.first - l - 1);
    }
    if let Some(right) = &node.right {
        let (h, f, l, g) = check(right);
        assert!(f > node.last);
        (height, last) = (height.max(h + 1), l);
        gap = gap.max(g).max(f - node.last - 1);
    }
    let lean = height_of(&node.left).abs_diff(height_of(&node.right));
    assert!(lean <= 1, "the tree leans by {lean}");
    let all = node.subtree;
    assert_eq!(
        (all.height, all.first, all.last, all.gap),
        (height, first, last, gap)
    );
    (height, first, last, gap)
}

fn height_of<V>(link: &Link<V>) -> u8 {
    link.as_ref().map_or(0, |node| node.subtree.height)
}

/// The lowest gap by looking at each, one after the other.
fn gap_in(model: &BTreeMap<u64, u64>, low: u64, high: u64, size: u64) -> Option<(u64, u64)> {
    let mut free = Some(0);
    let mut gaps = vec![];

    for (&first, &last) in model {
        if let Some(free) = free.filter(|&free| free < first) {
            gaps.push((free, first - 1));
        }
        free = last.checked_add(1);
    }
    gaps.extend(free.map(|free| (free, u64::MAX)));
    gaps.into_iter()
        .map(|(first, last)| (first.max(low), last.min(high)))
        .find(|&(first, last)| first <= last && last - first >= size - 1)
}

proptest! {
    #[test]
    fn behaves_like_a_sorted_list(
        steps in steps(),
        (a, b) in (0u64..500, 0u64..500),
        size in 1u64..60,
    ) {
        let mut map = IntervalMap::new();
        let mut model = BTreeMap::new();

        for step in steps {
            match step {
                Step::Insert(first, last) => {
                    let free = !model.iter().any(|(&f, &l)| f <= last && first <= l);
                    let inserted = map.insert(Box::new(Node::new(first, last, first))).is_ok();
                    prop_assert_eq!(inserted, free);
                    if free {
                        model.insert(first, last);
                    }
                }
                Step::Remove(first) => {
                    let removed = map.remove(first).map(|node| (node.last, node.value));
                    prop_assert_eq!(removed, model.remove(&first).map(|last| (last, first)));
                }
            }
            if let Some(root) = &map.root {
                check(root);
            }
        }
        let listed: Vec<_> = map.iter().map(|node| (node.first(), node.last())).collect();
        prop_assert_eq!(listed, model.clone().into_iter().collect::<Vec<_>>());

        let (low, high) = (a.min(b), a.max(b));
        let met = model.iter().find(|&(&f, &l)| f <= high && low <= l).map(|(&f, _)| f);
        prop_assert_eq!(map.first_in(low, high).map(Node::first), met);
        prop_assert_eq!(map.first_gap(low, high, size), gap_in(&model, low, high, size));
        prop_assert_eq!(
            map.first_gap(low, u64::MAX, size),
            gap_in(&model, low, u64::MAX, size)
        );
        for (&first, _) in &model {
            prop_assert_eq!(map.get_mut(first).copied(), Some(first));
        }
    }
}

#[test]
fn whole_space_can_be_one_interval() {
    let mut map = IntervalMap::new();

    assert!(map.insert(Box::new(Node::new(0, u64::MAX, ()))).is_ok());
    assert_eq!(map.first_gap(0, u64::MAX, 1), None);
    assert_eq!(map.iter().count(), 1);
    assert!(map.remove(0).is_some());
    assert_eq!(map.first_gap(0, u64::MAX, 1), Some((0, u64::MAX)));
}

#[test]
fn ascending_inserts_stay_shallow() {
    let mut map = IntervalMap::new();

    for at in 0..100_000u64 {
        assert!(map.insert(Box::new(Node::new(at * 2, at * 2, ()))).is_ok());
    }
    // 1.44 * log2(100000)
    assert!(map
        .root
        .as_ref()
        .is_some_and(|root| root.subtree.height <= 24));
    assert_eq!(map.first_gap(0, u64::MAX, 2), Some((199_999, u64::MAX)));
}

/// As [`check`], for intervals that may overlap.
fn check_overlapping<V>(node: &Node<V>, all: &mut Vec<(u64, u64)>) -> (u8, u64) {
    let (mut height, mut last) = (1, node.last);

    if let Some(left) = &node.left {
        let (h, l) = check_overlapping(left, all);
        (height, last) = (height.max(h + 1), last.max(l));
    }
    all.push((node.first, node.last));
    if let Some(right) = &node.right {
        let (h, l) = check_overlapping(right, all);
        (height, last) = (height.max(h + 1), last.max(l));
    }
    let lean = height_of(&node.left).abs_diff(height_of(&node.right));
    assert!(lean <= 1, "the tree leans by {lean}");
    assert_eq!((node.subtree.height, node.subtree.last), (height, last));
    (height, last)
}

proptest! {
    #[test]
    fn overlapping_intervals_are_found(
        steps in prop::collection::vec((0u64..100, 0u64..30, 0u32..12), 0..60),
        queries in prop::collection::vec((0u64..140, 0u64..10), 1..20),
    ) {
        let mut map = OverlapMap::new();
        let mut model: Vec<(u64, u64, u32)> = vec![];

        for (first, size, value) in steps {
            if value < 2 {
                map.retain(|other| other % 10 != value);
                model.retain(|(_, _, other)| other % 10 != value);
            } else {
                map.insert(Box::new(Node::new(first, first + size, value)));
                model.push((first, first + size, value));
            }
            let mut all = vec![];
            if let Some(root) = &map.root {
                check_overlapping(root, &mut all);
            }
            prop_assert!(all.windows(2).all(|pair| pair[0].0 <= pair[1].0));
            prop_assert_eq!(all.len(), model.len());
        }
        for (first, size) in queries {
            let lowest = model
                .iter()
                .filter(|&&(f, l, _)| f <= first + size && first <= l)
                .map(|&(f, _, _)| f)
                .min();
            let found = map.first_in(first, first + size);
            prop_assert_eq!(found.map(Node::first), lowest);
            prop_assert!(found.is_none_or(|node| node.last() >= first));
        }
    }
}
