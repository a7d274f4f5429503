// SPDX-License-Identifier: GPL-2.0

//! Checks the map, with holders that overlap in any way, against a count of holders for each page.

use super::*;
use crate::base::set_allocations_left;
use proptest::prelude::*;

const PAGES: usize = 64;

/// A value that records its pages, to check that it is divided like its range.
#[derive(Debug, PartialEq)]
struct Pages(Range<usize>);

impl Split for Pages {
    fn split_off(&mut self, at: usize) -> Result<Self> {
        let at = self.0.start + at;
        let upper = Self(at..self.0.end);

        assert!(self.0.contains(&at) && at != self.0.start);
        self.0.end = at;
        Ok(upper)
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Adds a holder: first page, number of pages, and number of allocations that succeed.
    Hold(usize, usize, usize),
    /// Removes one of the holders.
    Release(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let memory = prop_oneof![4 => Just(usize::MAX), 1 => 0usize..6];
    let hold = (0..PAGES, 1usize..24, memory)
        .prop_map(|(first, count, memory)| Step::Hold(first, count, memory));
    let step = prop_oneof![3 => hold, 2 => any::<usize>().prop_map(Step::Release)];

    prop::collection::vec(step, 0..120)
}

/// Adds a holder as the users of the map do: cuts at both ends, adds a holder to each range that is
/// there, and inserts new ranges in the gaps. On failure, returns the page up to which the holder
/// was added.
fn hold(map: &mut HeldRanges<Pages>, range: Range<usize>) -> Result<(), usize> {
    map.cut(range.start).map_err(|_| range.start)?;
    map.cut(range.end).map_err(|_| range.start)?;

    let mut page = range.start;
    while page < range.end {
        let (there, next) = map.at(page..range.end);

        assert!(page < next && next <= range.end);
        if there.is_some() {
            map.hold(page);
        } else {
            let room = map.room().map_err(|_| page)?;
            map.insert(room, RangeEntry::new(page..next, Pages(page..next)));
        }
        page = next;
    }
    Ok(())
}

/// Removes a holder, and checks that exactly the pages without a holder come out.
fn release(map: &mut HeldRanges<Pages>, counts: &mut [usize], range: Range<usize>) {
    let mut freed = [false; PAGES * 2];

    map.release(range.clone(), |pages, value| {
        assert_eq!(value, Pages(pages.clone()));
        freed[pages].fill(true);
    });
    for page in range {
        counts[page] -= 1;
        assert_eq!(freed[page], counts[page] == 0);
        freed[page] = false;
    }
    assert!(!freed.contains(&true));
}

fn check(map: &HeldRanges<Pages>, counts: &[usize]) {
    let mut seen = [0; PAGES * 2];

    for node in map.iter(0..PAGES * 2) {
        assert_eq!(node.value.value, Pages(node.pages()));
        seen[node.pages()].fill(node.value.holders);
    }
    assert_eq!(seen, counts);
    assert_eq!(map.is_empty(), counts.iter().all(|&count| count == 0));
}

proptest! {
    #[test]
    fn every_page_has_its_holders(steps in steps()) {
        let mut map = HeldRanges::new();
        let mut counts = [0; PAGES * 2];
        let mut holders: Vec<Range<usize>> = Vec::new();

        for step in steps {
            match step {
                Step::Hold(first, count, memory) => {
                    let range = first..first + count;

                    set_allocations_left(memory);
                    let held = hold(&mut map, range.clone());
                    set_allocations_left(usize::MAX);
                    let end = held.err().unwrap_or(range.end);

                    counts[range.start..end].iter_mut().for_each(|count| *count += 1);
                    if end == range.end {
                        prop_assert!(map.has_exactly(range.clone()));
                        holders.push(range);
                    } else {
                        release(&mut map, &mut counts, range.start..end);
                    }
                }
                Step::Release(which) if !holders.is_empty() => {
                    let range = holders.swap_remove(which % holders.len());

                    // Removing a holder must not allocate.
                    set_allocations_left(0);
                    release(&mut map, &mut counts, range);
                    set_allocations_left(usize::MAX);
                }
                Step::Release(_) => {}
            }
            check(&map, &counts);
        }
    }
}

#[test]
fn a_range_that_has_no_holder_is_recognised() {
    let mut map = HeldRanges::new();

    hold(&mut map, 4..8).expect("memory");
    hold(&mut map, 8..12).expect("memory");
    assert!(map.has_exactly(4..12));
    assert!(map.has_exactly(4..8));
    assert!(!map.has_exactly(4..7));
    assert!(!map.has_exactly(5..8));
    assert!(!map.has_exactly(3..8));
    assert!(!map.has_exactly(8..13));
    assert!(map.has_exactly(6..6));
}
