// SPDX-License-Identifier: GPL-2.0

//! Checks a list of runs against a plain list of page frames.

use super::*;
use crate::base::set_allocations_left;
use proptest::prelude::*;

/// Runs from a small range of page frames, so that some are contiguous.
fn runs() -> impl Strategy<Value = std::vec::Vec<PfnRun>> {
    let run = (0usize..40, 1usize..6).prop_map(|(pfn, count)| PfnRun { pfn, count });
    prop::collection::vec(run, 1..40)
}

fn plain<'a>(runs: impl IntoIterator<Item = &'a PfnRun>) -> std::vec::Vec<usize> {
    runs.into_iter()
        .flat_map(|run| run.pfn..run.pfn + run.count)
        .collect()
}

fn listed(list: &FrameList, from: usize, count: usize) -> std::vec::Vec<PfnRun> {
    list.iter(from, count).collect()
}

fn list_of(runs: &[PfnRun]) -> FrameList {
    let mut list = FrameList::new();

    for &run in runs {
        list.push(run).expect("memory");
    }
    list
}

proptest! {
    #[test]
    fn it_lists_what_was_pushed(runs in runs(), from in 0usize..60, count in 0usize..60) {
        let list = list_of(&runs);
        let frames = plain(&runs);
        let part = listed(&list, from, count);
        let end = (from + count).min(frames.len());

        prop_assert_eq!(list.count(), frames.len());
        prop_assert_eq!(plain(&part), frames.get(from..end).unwrap_or(&[]));
        prop_assert!(part.iter().all(|run| run.count != 0));
        // The runs are as long as possible.
        prop_assert!(part.windows(2).all(|two| two[0].pfn + two[0].count != two[1].pfn));
        prop_assert_eq!(list.runs(), listed(&list, 0, usize::MAX).len());
    }

    #[test]
    fn both_parts_of_a_divided_list_are_lists(runs in runs(), at in 0usize..60, more in runs()) {
        let mut lower = list_of(&runs);
        let frames = plain(&runs);
        let at = at % frames.len();
        let mut upper = lower.split_off(at).expect("memory");

        prop_assert_eq!(plain(&listed(&lower, 0, usize::MAX)), &frames[..at]);
        prop_assert_eq!(plain(&listed(&upper, 0, usize::MAX)), &frames[at..]);
        for &run in &more {
            lower.push(run).expect("memory");
            upper.push(run).expect("memory");
        }
        prop_assert_eq!(&plain(&listed(&lower, at, usize::MAX - at)), &plain(&more));
        prop_assert_eq!(plain(&listed(&upper, frames.len() - at, 1000)), plain(&more));
    }

    #[test]
    fn without_memory_the_list_is_unchanged(runs in runs(), left in 0usize..6) {
        let mut list = FrameList::new();
        let mut pushed = std::vec::Vec::new();

        set_allocations_left(left);
        for &run in &runs {
            if list.push(run).is_ok() {
                pushed.push(run);
            }
        }
        let before = plain(&listed(&list, 0, usize::MAX));
        let divided = list.split_off(before.len() / 2);
        set_allocations_left(usize::MAX);

        prop_assert_eq!(&before, &plain(&pushed));
        let kept = plain(&listed(&list, 0, usize::MAX));
        match divided {
            Ok(upper) => {
                let upper = plain(&listed(&upper, 0, usize::MAX));
                prop_assert_eq!([kept, upper].concat(), before);
            }
            Err(_) => prop_assert_eq!(kept, before),
        }
    }
}
