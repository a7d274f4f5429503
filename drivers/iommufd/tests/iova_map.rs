// SPDX-License-Identifier: GPL-2.0

//! The map against lists that are searched from one end to the other.

use super::*;
use proptest::prelude::*;

const PAGE: u64 = PAGE_SIZE as u64;
const LARGE: u64 = 512 * PAGE;

struct Memory(u64);

impl PageOffset for Memory {
    fn page_offset(&self) -> u64 {
        self.0
    }
}

type Map = IovaMap<Memory, u32>;

fn map_at(map: &mut Map, iova: u64, length: u64) -> Result {
    let last = map.check(iova, length)?;

    let vacant = map.check_vacant(iova, last);
    let inserted = map.insert(Box::new(Node::new(iova, last, Memory(0))));

    assert_eq!(inserted.is_ok(), vacant.is_ok());
    vacant
}

fn reserve(map: &mut Map, first: u64, last: u64, owner: u32) -> Result {
    map.reserve(Box::new(ReservedRange::new(first, last, owner)))
}

fn allowed(ranges: &[(u64, u64)]) -> Result<AllowedRanges> {
    let mut allowed = AllowedRanges::new();

    for &(first, last) in ranges {
        allowed.add(Box::new(Node::new(first, last, ())))?;
    }
    Ok(allowed)
}

fn meets(range: (u64, u64)) -> impl Fn(&(u64, u64)) -> bool {
    move |&(first, last)| first <= range.1 && range.0 <= last
}

/// `find` the slow way: tries one aligned address after the other.
fn slow_find(
    areas: &[(u64, u64)],
    reserved: &[(u64, u64)],
    allowed: &[(u64, u64)],
    length: u64,
    addr: u64,
    limit: u64,
) -> Option<u64> {
    let is_allowed = |at| allowed.is_empty() || allowed.iter().any(|&(f, l)| (f..=l).contains(&at));
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
        // All ranges here are of whole pages.
        if !taken && (iova / PAGE..=last / PAGE).all(|page| is_allowed(page * PAGE)) {
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
        windows in prop::collection::vec((0u64..2500, 1u64..1500), 0..5),
        length in 1u64..700,
        addr in prop_oneof![Just(0u64), (1u64..5000).prop_map(|page| page * PAGE)],
    ) {
        let mut map = Map::new(LARGE);
        let (mut areas, mut reserved) = (vec![], vec![]);
        let windows: Vec<_> = windows
            .into_iter()
            .map(|(first, count)| (first * PAGE, (first + count) * PAGE - 1))
            .scan(vec![], |before, window| {
                let new = !before.iter().any(meets(window));
                before.push(window);
                Some(new.then_some(window))
            })
            .flatten()
            .collect();

        for (first, count) in blocked {
            let range = (first * PAGE, (first + count) * PAGE - 1);
            prop_assert!(reserve(&mut map, range.0, range.1, 1).is_ok());
            reserved.push(range);
        }
        // What is reserved cannot be allowed as well.
        let windows: Vec<_> = windows
            .into_iter()
            .filter(|&window| !reserved.iter().any(meets(window)))
            .collect();
        prop_assert_eq!(map.allow(&mut allowed(&windows).expect("they do not overlap")), Ok(()));
        for (first, count) in pages {
            let range = (first * PAGE, (first + count) * PAGE - 1);
            let expected = if reserved.iter().any(meets(range)) {
                Err(EINVAL)
            } else if areas.iter().any(meets(range)) {
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
            slow_find(&areas, &reserved, &windows, length * PAGE, addr, 1 << 24)
        );
        if let Ok(iova) = found {
            let last = map.check(iova, length * PAGE);
            prop_assert_eq!(last.and_then(|last| map.check_vacant(iova, last)), Ok(()));
        }
    }

    #[test]
    fn allowed_and_reserved_keep_apart(
        steps in prop::collection::vec(
            (0u8..4, prop::collection::vec((0u64..60, 0u64..6), 1..4), 0u32..3),
            0..40,
        ),
    ) {
        let mut map = Map::new(LARGE);
        let mut windows: Vec<(u64, u64)> = vec![];
        let mut reserved: Vec<((u64, u64), u32)> = vec![];

        for (step, ranges, owner) in steps {
            let ranges: Vec<_> = ranges
                .iter()
                .map(|&(first, size)| (first, first + size))
                .collect();
            let range = ranges[0];

            match step {
                0 => {
                    let expected = if windows.iter().any(meets(range)) {
                        Err(EADDRINUSE)
                    } else {
                        reserved.push((range, owner));
                        Ok(())
                    };
                    prop_assert_eq!(reserve(&mut map, range.0, range.1, owner), expected);
                }
                1 => {
                    map.unreserve(&owner);
                    reserved.retain(|&(_, other)| other != owner);
                }
                2 => {
                    prop_assert_eq!(map.allow(&mut AllowedRanges::new()), Ok(()));
                    windows.clear();
                }
                _ => {
                    let overlap = (1..ranges.len())
                        .any(|at| ranges[..at].iter().any(meets(ranges[at])));
                    match allowed(&ranges) {
                        Err(error) => prop_assert!(overlap && error == EINVAL),
                        Ok(mut new) => {
                            prop_assert!(!overlap);
                            let taken = reserved
                                .iter()
                                .any(|(there, _)| ranges.iter().any(meets(*there)));
                            if taken {
                                prop_assert_eq!(map.allow(&mut new), Err(EADDRINUSE));
                            } else {
                                prop_assert_eq!(map.allow(&mut new), Ok(()));
                                windows = ranges;
                            }
                        }
                    }
                }
            }
            for at in 0..70 {
                let free = !reserved.iter().any(|&((first, last), _)| (first..=last).contains(&at));
                prop_assert_eq!(map.check(at, 1).is_ok(), free);
            }
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

    let area = Box::new(Node::new(0x1234, 0x1243, Memory(0)));
    let claim = map.insert(area).ok().expect("nothing is mapped yet");

    assert_eq!(map.set_alignment(PAGE), Err(EADDRINUSE));
    assert_eq!(map.alignment(), 1);
    assert!(map.remove(claim).is_some());
    assert_eq!(map.set_alignment(PAGE), Ok(()));
    assert_eq!(map.check(0x1234, PAGE), Err(EINVAL));
    assert_eq!(map.check(PAGE, 0x10), Err(EINVAL));
    assert_eq!(map.check(PAGE, 0), Err(EINVAL));
    assert_eq!(map.check_page_offset(0x10), Err(EINVAL));
    assert_eq!(map.check_page_offset(PAGE), Ok(()));
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

#[test]
fn neighbours_are_allowed_as_one() {
    let mut map = Map::new(LARGE);
    let mut ranges = allowed(&[
        (0x5000, 0x5fff),
        (0x4000, 0x4fff),
        (0, 0x1fff),
        (u64::MAX - PAGE + 1, u64::MAX),
    ])
    .expect("they do not overlap");

    assert_eq!(map.allow(&mut ranges), Ok(()));
    // Neither the first page nor the last is ever chosen.
    assert_eq!(map.find(PAGE, 0), Ok(PAGE));
    assert_eq!(map_at(&mut map, PAGE, PAGE), Ok(()));
    assert_eq!(map.find(2 * PAGE, 0), Ok(0x4000));
    assert_eq!(map_at(&mut map, 0x4000, 2 * PAGE), Ok(()));
    assert_eq!(map.find(PAGE, 0), Err(ENOSPC));
    // An IOVA that the caller has chosen need not be allowed.
    assert_eq!(map_at(&mut map, 0x10000, PAGE), Ok(()));
    assert_eq!(reserve(&mut map, 0x5fff, 0x6000, 1), Err(EADDRINUSE));
    assert_eq!(reserve(&mut map, 0x6000, 0x6fff, 1), Ok(()));
    assert_eq!(map.allow(&mut AllowedRanges::new()), Ok(()));
    assert_eq!(map.find(PAGE, 0), Ok(2 * PAGE));
}

/// A hundred thousand areas and a thousand reservations: a test that compared each with each would
/// not end today.
#[test]
fn many_of_both() {
    const MANY: u64 = 100_000;
    let mut map = Map::new(LARGE);

    for device in 0..1000 {
        assert_eq!(
            reserve(
                &mut map,
                1 << 40,
                (1 << 40) + PAGE * u64::from(device),
                device
            ),
            Ok(())
        );
    }
    for _ in 0..MANY {
        let iova = map.find(PAGE, PAGE).expect("there is room");
        assert_eq!(map_at(&mut map, iova, PAGE), Ok(()));
    }
    assert_eq!(map.find(PAGE, PAGE), Ok((MANY + 1) * PAGE));
    for device in 0..1000 {
        map.unreserve(&device);
    }
    assert_eq!(map.usable().collect::<Vec<_>>(), [(0, u64::MAX)]);
}
