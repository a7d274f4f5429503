// SPDX-License-Identifier: GPL-2.0

//! Walks against what an address by address search finds.

use super::*;
use proptest::prelude::*;

/// A mapped range, and whether it can be used.
struct Memory(bool);

impl PageOffset for Memory {
    fn page_offset(&self) -> u64 {
        0
    }
}

fn map_of(areas: &[(u64, u64, bool)]) -> IovaMap<Memory, ()> {
    let mut map = IovaMap::new(4096);

    for &(first, last, usable) in areas {
        // What overlaps is left out.
        let _ = map.insert(Box::new(Node::new(first, last, Memory(usable))));
    }
    map
}

/// The pieces of a walk, and the error with which it ended.
fn walked(map: &IovaMap<Memory, ()>, first: u64, last: u64) -> (Vec<(u64, u64)>, Result) {
    let mut pieces = vec![];

    for piece in map.walk(first, last, |area| area.0) {
        match piece {
            Ok(piece) => pieces.push((piece.first, piece.last)),
            Err(error) => return (pieces, Err(error)),
        }
    }
    (pieces, Ok(()))
}

proptest! {
    #[test]
    fn covers_what_is_mapped_up_to_the_first_gap(
        areas in prop::collection::vec((0u64..64, 0u64..12, any::<bool>()), 0..24),
        top in any::<bool>(),
        first in 0u64..64,
        length in 1u64..64,
    ) {
        // The same at the lower and at the upper end of the address space.
        let base = if top { u64::MAX - 63 } else { 0 };
        let areas: Vec<_> = areas
            .iter()
            .map(|&(first, more, usable)| {
                let last = (first + more).min(63);
                (base + first, base + last, usable || more > 3)
            })
            .collect();
        let map = map_of(&areas);
        let last = base + (first + length - 1).min(63);
        let first = base + first;

        let usable = |iova| map.first_in(iova, iova).is_some_and(|area| area.value.0);
        let covered = (first..=last).take_while(|&iova| usable(iova)).count() as u128;
        let (pieces, result) = walked(&map, first, last);

        prop_assert_eq!(result.is_ok(), covered == u128::from(last - first) + 1);
        if let Err(error) = result {
            prop_assert_eq!(error, ENOENT);
        }
        let mut at = u128::from(first);
        for &(piece_first, piece_last) in &pieces {
            prop_assert_eq!(u128::from(piece_first), at);
            let area = map.first_in(piece_first, piece_first).expect("it is a piece of an area");
            prop_assert_eq!(piece_last, area.last().min(last));
            at = u128::from(piece_last) + 1;
        }
        prop_assert_eq!(at - u128::from(first), covered);
    }
}

#[test]
fn an_empty_range_has_no_pieces() {
    assert_eq!(walked(&map_of(&[(0, 9, true)]), 5, 4), (vec![], Ok(())));
}

#[test]
fn one_area_may_be_everything() {
    let map = map_of(&[(0, u64::MAX, true)]);

    assert_eq!(walked(&map, 0, u64::MAX), (vec![(0, u64::MAX)], Ok(())));
}
