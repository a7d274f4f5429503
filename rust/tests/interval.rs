// SPDX-License-Identifier: GPL-2.0

//! Checks the trees against sorted lists, and their invariants after every step.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, u64),
    Remove(u64),
}

/// Intervals at both ends of the address space, in small ranges, so that many overlap.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = prop_oneof![0u64..400, (u64::MAX - 400)..=u64::MAX];
    let step = prop_oneof![
        3 => (place.clone(), 0u64..20)
            .prop_map(|(first, size)| Step::Insert(first, first.saturating_add(size))),
        1 => place.prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 0..200)
}

/// Checks the ranks of a subtree. Returns its rank and its height.
fn check_ranks<V>(node: &Node<V>) -> (u8, u32) {
    let (left, low) = node.left.as_deref().map_or((0, 0), check_ranks);
    let (right, high) = node.right.as_deref().map_or((0, 0), check_ranks);
    let rank = node.subtree.rank;

    for child in [left, right] {
        assert!(
            (1..=2).contains(&(rank - child)),
            "{rank} above {left} and {right}"
        );
    }
    assert!(
        rank == 1 || left + right != 0,
        "a leaf whose rank is {rank}"
    );
    (rank, low.max(high) + 1)
}

/// Checks order and weights of a subtree, whose predecessor ends below `edge`. Returns its highest
/// address and its widest gap.
fn check_gaps<V>(node: &Node<V>, mut edge: Option<u64>) -> (u64, u64) {
    let (mut last, mut gap) = (node.last, 0);

    if let Some(left) = &node.left {
        let (left_last, left_gap) = check_gaps(left, edge);
        assert!(left_last < node.first);
        (edge, gap) = (Some(left_last + 1), left_gap);
    }
    // The lowest interval has no predecessor, and a weight of zero.
    let free = edge.map_or(0, |edge| node.first - edge);
    assert_eq!(node.weight, free);
    gap = gap.max(free);

    if let Some(right) = &node.right {
        assert!(right.first > node.last);
        let (right_last, right_gap) = check_gaps(right, Some(node.last + 1));
        (last, gap) = (right_last, gap.max(right_gap));
    }
    assert_eq!(node.subtree.weight, gap);
    (last, gap)
}

fn check<V>(node: &Node<V>) {
    check_ranks(node);
    check_gaps(node, None);
}

/// Finds the lowest gap by a linear search.
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
        let entry = map.first_in_mut(low, high).map(|entry| (entry.first(), *entry.value));
        prop_assert_eq!(entry, met.map(|first| (first, first)));
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
        .as_deref()
        .is_some_and(|root| check_ranks(root).1 <= 24));
    assert_eq!(map.first_gap(0, u64::MAX, 2), Some((199_999, u64::MAX)));
}

/// Removes all intervals, in an order that is neither ascending nor descending.
#[test]
fn removals_keep_it_shallow() {
    const COUNT: u64 = 10_000;
    let mut map = IntervalMap::new();

    for at in 0..COUNT {
        assert!(map.insert(Box::new(Node::new(at * 2, at * 2, ()))).is_ok());
    }
    // 7 and the number of intervals have no common factor, so each is removed once.
    for (step, at) in (0..COUNT).map(|at| at * 7 % COUNT).enumerate() {
        assert!(map.remove(at * 2).is_some());
        assert!(map.remove(at * 2).is_none());

        let Some(root) = map.root.as_deref().filter(|_| step % 100 == 0) else {
            continue;
        };
        let left = COUNT - 1 - step as u64;
        check(root);
        assert!(check_ranks(root).1 <= 2 * (left + 1).ilog2() + 2);
    }
    assert!(map.is_empty());
}

/// Checks the weights of a subtree whose intervals may overlap. Appends the intervals to `all`, and
/// returns the highest address.
fn check_overlapping<V>(node: &Node<V>, all: &mut Vec<(u64, u64)>) -> u64 {
    let mut last = node.last;

    assert_eq!(node.weight, node.last);
    if let Some(left) = &node.left {
        last = last.max(check_overlapping(left, all));
    }
    all.push((node.first, node.last));
    if let Some(right) = &node.right {
        last = last.max(check_overlapping(right, all));
    }
    assert_eq!(node.subtree.weight, last);
    last
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
                check_ranks(root);
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

#[derive(Clone, Debug)]
enum NumberedStep {
    Insert(u64, u64),
    Remove(usize),
    /// Index of the interval, and the maximum number of addresses to remove.
    Shorten(usize, u64),
}

/// Steps with few first addresses, so that many intervals have the same.
fn numbered_steps() -> impl Strategy<Value = Vec<NumberedStep>> {
    let step = prop_oneof![
        4 => (0u64..12, 0u64..10).prop_map(|(first, size)| NumberedStep::Insert(first, size)),
        2 => any::<usize>().prop_map(NumberedStep::Remove),
        1 => (any::<usize>(), 0u64..10)
            .prop_map(|(which, by)| NumberedStep::Shorten(which, by)),
    ];
    prop::collection::vec(step, 0..150)
}

fn numbered(first: u64, last: u64, value: u64) -> Box<NumberedNode<u64>> {
    Box::new(Node::new(first, last, Numbered::new(value)))
}

/// The intervals that should be in a map, in the order of insertion.
#[derive(Default)]
struct NumberedModel(Vec<(Key, u64, u64, u64)>);

impl NumberedModel {
    /// Changes `map` and the model. `value` is that of an interval that is inserted.
    fn apply(&mut self, map: &mut NumberedMap<u64>, step: NumberedStep, value: u64) {
        let count = self.0.len().max(1);

        match step {
            NumberedStep::Insert(first, size) => {
                let key = map.insert(numbered(first, first + size, value));
                self.0.push((key, first, first + size, value));
            }
            NumberedStep::Remove(which) if !self.0.is_empty() => {
                let (key, first, last, value) = self.0.remove(which % count);
                let node = map.remove(key).expect("it was inserted");
                assert_eq!((node.first(), node.last()), (first, last));
                assert_eq!(node.into_value().value, value);
                assert!(map.remove(key).is_none());
                assert_eq!(map.get(key), None);
            }
            NumberedStep::Shorten(which, by) if !self.0.is_empty() => {
                let (key, first, last, _) = &mut self.0[which % count];
                *last = last.saturating_sub(by).max(*first);
                map.shorten(*key, *last);
            }
            _ => {}
        }
    }

    /// Checks the tree of `map`, and what can be found in it.
    fn check(&self, map: &mut NumberedMap<u64>) {
        let mut sorted = self.0.clone();
        // The sort is stable: intervals with the same first address stay in the order of
        // insertion.
        sorted.sort_by_key(|&(_, first, _, _)| first);

        let mut all = vec![];
        if let Some(root) = &map.map.root {
            check_ranks(root);
            check_overlapping(root, &mut all);
        }
        let intervals = sorted.iter().map(|&(_, first, last, _)| (first, last));
        assert_eq!(all, intervals.collect::<Vec<_>>());

        let mut values = vec![];
        map.for_each(|&value| values.push(value));
        assert_eq!(values, sorted.iter().map(|item| item.3).collect::<Vec<_>>());
        for &(key, _, _, value) in &self.0 {
            assert_eq!(map.get(key), Some(&value));
            assert_eq!(map.get_mut(key), Some(&mut { value }));
        }
        for address in 0..24 {
            let lowest = sorted
                .iter()
                .find(|&&(_, first, last, _)| (first..=last).contains(&address))
                .map(|item| item.1);
            let found = map.first_in(address, address);
            let found = sorted.iter().find(|item| Some(&item.3) == found);
            assert_eq!(found.map(|item| item.1), lowest);
            assert!(found.is_none_or(|item| item.2 >= address));
        }
    }
}

proptest! {
    #[test]
    fn numbered_intervals_behave_like_a_list(steps in numbered_steps()) {
        let mut map = NumberedMap::new();
        let mut model = NumberedModel::default();

        for (value, step) in (0..).zip(steps) {
            model.apply(&mut map, step, value);
            model.check(&mut map);
        }
    }
}

/// Inserts one interval many times, so that only the numbers differ.
#[test]
fn equal_intervals_stay_shallow() {
    const COUNT: u64 = 10_000;
    let mut map = NumberedMap::new();
    let keys: Vec<_> = (0..COUNT)
        .map(|at| map.insert(numbered(5, 9, at)))
        .collect();

    for (step, at) in (0..COUNT).map(|at| at * 7 % COUNT).enumerate() {
        let removed = map.remove(keys[at as usize]);
        assert_eq!(removed.map(|node| node.into_value().value), Some(at));

        let Some(root) = map.map.root.as_deref().filter(|_| step % 100 == 0) else {
            continue;
        };
        let left = COUNT - 1 - step as u64;
        assert!(check_ranks(root).1 <= 2 * (left + 1).ilog2() + 2);
    }
    assert_eq!(map.first_in(0, u64::MAX), None);
}

/// If an inverted interval was in the map, an insertion could pass it on the other side than one
/// that it overlaps.
#[test]
fn an_interval_that_ends_before_it_begins_hides_no_overlap() {
    let mut map = IntervalMap::new();
    let mut node = Box::new(Node::new(30, 39, ()));

    assert!(map.insert(Box::new(Node::new(20, 5, ()))).is_ok());
    assert!(map.insert(Box::new(Node::new(7, 9, ()))).is_ok());
    assert!(map.insert(Box::new(Node::new(8, 25, ()))).is_err());
    assert!(map.insert(Box::new(Node::new(18, 20, ()))).is_err());

    node.shorten(2);
    assert_eq!((node.first(), node.last()), (30, 30));
    node.shorten(35);
    assert_eq!((node.first(), node.last()), (30, 30));
}
