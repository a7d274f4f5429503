// SPDX-License-Identifier: GPL-2.0

//! The map against lists that are searched from one end to the other.

use super::*;
use proptest::prelude::*;

const PAGE: u64 = PAGE_SIZE as u64;
const LARGE: u64 = 512 * PAGE;

struct Memory(u64);

impl Area for Memory {
    fn page_offset(&self) -> u64 {
        self.0
    }
}

type Map = IovaMap<Memory, u32>;

fn map_at(map: &mut Map, iova: u64, length: u64) -> Result {
    let last = map.check(iova, length, 0)?;

    assert!(map
        .insert(Box::new(Node::new(iova, last, Memory(0))))
        .is_ok());
    Ok(())
}

fn reserve(map: &mut Map, first: u64, last: u64, owner: u32) -> Result {
    map.reserve(Box::new(Reserved::new(first, last, owner)))
}

/// `find` the slow way: tries one aligned address after the other.
fn slow_find(
    areas: &[(u64, u64)],
    reserved: &[(u64, u64)],
    length: u64,
    addr: u64,
    limit: u64,
) -> Option<u64> {
    let natural = match addr {
        0 => length.next_power_of_two(),
        _ => length.next_power_of_two().min(1 << addr.trailing_zeros()),
    };
    let alignment = natural.min(LARGE);
    let mut iova = (PAGE.div_ceil(alignment) * alignment) | (addr % PAGE);

    while iova < limit {
        let last = iova + length - 1;
        let taken = areas
            .iter()
            .chain(reserved)
            .any(|&(f, l)| f <= last && iova <= l);
        if !taken {
            return Some(iova);
        }
        iova = ((iova & !(alignment - 1)) + alignment) | (addr % PAGE);
    }
    None
}

proptest! {
    #[test]
    fn finds_the_lowest_suitable_hole(
        pages in prop::collection::vec((0u64..3000, 1u64..200), 0..40),
        blocked in prop::collection::vec((0u64..3000, 1u64..100), 0..8),
        length in 1u64..700,
        addr in prop_oneof![Just(0u64), (1u64..5000).prop_map(|page| page * PAGE)],
    ) {
        let mut map = Map::new(LARGE);
        let (mut areas, mut reserved) = (vec![], vec![]);

        for (first, count) in blocked {
            let range = (first * PAGE, (first + count) * PAGE - 1);
            prop_assert!(reserve(&mut map, range.0, range.1, 1).is_ok());
            reserved.push(range);
        }
        for (first, count) in pages {
            let range = (first * PAGE, (first + count) * PAGE - 1);
            let meets = |&(f, l): &(u64, u64)| f <= range.1 && range.0 <= l;
            let expected = if reserved.iter().any(meets) {
                Err(EINVAL)
            } else if areas.iter().any(meets) {
                Err(EEXIST)
            } else {
                areas.push(range);
                Ok(())
            };
            prop_assert_eq!(map_at(&mut map, range.0, count * PAGE), expected);
        }
        let found = map.find(length * PAGE, addr);
        prop_assert_eq!(
            found.ok(),
            slow_find(&areas, &reserved, length * PAGE, addr, 1 << 40)
        );
        if let Ok(iova) = found {
            prop_assert!(map.check(iova, length * PAGE, 0).is_ok());
        }
    }

    #[test]
    fn usable_is_what_is_not_reserved(
        ranges in prop::collection::vec((0u64..100, 0u64..20, 0u32..3), 0..12),
        gone in 0u32..3,
    ) {
        let mut map = Map::new(LARGE);

        for &(first, size, owner) in &ranges {
            prop_assert!(reserve(&mut map, first, first + size, owner).is_ok());
        }
        map.unreserve(&gone);
        let usable: Vec<_> = map.usable().collect();
        for at in 0..150 {
            let free = !ranges
                .iter()
                .any(|&(first, size, owner)| owner != gone && (first..=first + size).contains(&at));
            let listed = usable.iter().any(|&(first, last)| (first..=last).contains(&at));
            prop_assert_eq!(listed, free);
        }
        // Neighbours are one range.
        prop_assert!(usable.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
    }
}

#[test]
fn end_of_the_address_space() {
    let mut map = Map::new(LARGE);

    assert_eq!(map_at(&mut map, u64::MAX - PAGE + 1, PAGE), Ok(()));
    assert_eq!(
        map_at(&mut map, u64::MAX - PAGE + 1, PAGE + 1),
        Err(EOVERFLOW)
    );
    assert!(reserve(&mut map, 1 << 48, u64::MAX - PAGE, 7).is_ok());
    assert_eq!(
        map.usable().collect::<Vec<_>>(),
        [(0, (1 << 48) - 1), (u64::MAX - PAGE + 1, u64::MAX)]
    );
    assert_eq!(map.find(1 << 48, 0), Err(ENOSPC));
    assert_eq!(map.find(u64::MAX / 2, 0), Err(EOVERFLOW));
}

#[test]
fn alignment_is_kept() {
    let mut map = Map::new(LARGE);

    assert_eq!(map_at(&mut map, 0x1234, 0x10), Ok(()));
    assert_eq!(map.set_alignment(PAGE), Err(EADDRINUSE));
    assert_eq!(map.alignment(), 1);
    assert!(map.remove(0x1234).is_some());
    assert_eq!(map.set_alignment(PAGE), Ok(()));
    assert_eq!(map.check(0x1234, PAGE, 0), Err(EINVAL));
    assert_eq!(map.check(PAGE, 0x10, 0), Err(EINVAL));
    assert_eq!(map.check(PAGE, 0, 0), Err(EINVAL));
    assert_eq!(map.check(PAGE, PAGE, 0x10), Err(EINVAL));
    assert_eq!(map.find(PAGE, 0x10), Err(EINVAL));
}

#[test]
fn nothing_is_reserved_over_an_area() {
    let mut map = Map::new(LARGE);

    assert_eq!(map_at(&mut map, 0xfee0_0000, PAGE), Ok(()));
    assert_eq!(
        reserve(&mut map, 0xfee0_0000, 0xfeef_ffff, 1),
        Err(EADDRINUSE)
    );
    assert_eq!(map.usable().collect::<Vec<_>>(), [(0, u64::MAX)]);
}
