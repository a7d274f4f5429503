// SPDX-License-Identifier: GPL-2.0

//! Checks lists of runs against plain lists of page frames.

use super::*;
use proptest::prelude::*;

/// Size and base address of imaginary page structures.
const STRIDE: u64 = 64;
const BASE: u64 = 0xffff_ea00_0000_0000;

fn page(pfn: usize) -> u64 {
    BASE + pfn as u64 * STRIDE
}

fn pfn(page: u64) -> usize {
    ((page - BASE) / STRIDE) as usize
}

fn runs_of(words: &[u64]) -> std::vec::Vec<PfnRun> {
    words.iter().map(|&word| PfnRun::from_word(word)).collect()
}

fn frames_of(runs: &[PfnRun]) -> std::vec::Vec<usize> {
    runs.iter()
        .flat_map(|run| run.pfn..run.pfn + run.count)
        .collect()
}

/// Page frames in pieces of random length, some of which are adjacent.
fn frames() -> impl Strategy<Value = std::vec::Vec<usize>> {
    let piece = (0usize..200, 1usize..40).prop_map(|(pfn, count)| PfnRun { pfn, count });

    prop::collection::vec(piece, 1..20).prop_map(|pieces| frames_of(&pieces))
}

/// Converts page pointers to a list in place. Consecutive pages are recognised by pointer, or by
/// page frame if `STRIDE` is 0.
fn list_of<const STRIDE: u64>(frames: &[usize]) -> std::vec::Vec<PfnRun> {
    let mut words: std::vec::Vec<u64> = frames.iter().map(|&frame| page(frame)).collect();
    let len = RunWords::from_pages::<STRIDE>(&mut words, pfn).len();

    runs_of(&words[..len])
}

proptest! {
    #[test]
    fn pages_become_the_longest_runs(frames in frames()) {
        let runs = list_of::<STRIDE>(&frames);

        prop_assert_eq!(frames_of(&runs), frames);
        for pair in runs.windows(2) {
            prop_assert_ne!(pair[0].pfn + pair[0].count, pair[1].pfn);
        }
    }

    #[test]
    fn pages_are_joined_by_page_frame_without_a_stride(frames in frames()) {
        prop_assert_eq!(list_of::<0>(&frames), list_of::<STRIDE>(&frames));
    }

    #[test]
    fn a_word_holds_a_run(pfn in 0usize..1 << 40, count in 1..=PfnRun::MAX_COUNT) {
        let run = PfnRun { pfn, count };

        prop_assert_eq!(PfnRun::from_word(run.to_word()), run);
    }
}

/// One page of 512 lies elsewhere, which the first and the last page do not show.
#[test]
fn every_page_of_a_huge_page_is_compared() {
    for odd in 0..512 {
        let mut frames: std::vec::Vec<usize> = (1024..1536).collect();
        frames[odd] = 7;

        assert_eq!(frames_of(&list_of::<STRIDE>(&frames)), frames);
    }
    let whole: std::vec::Vec<usize> = (1024..1536).collect();
    assert_eq!(list_of::<STRIDE>(&whole).len(), 1);
}

#[test]
fn runs_that_are_too_long_for_a_word_stay_apart() {
    let huge = PfnRun {
        pfn: 1 << 30,
        count: PfnRun::MAX_COUNT - 1,
    };
    let mut words = [0; 3];
    let mut list = RunWords::new(&mut words);

    list.append(huge);
    for at in 0..2 {
        list.append(PfnRun {
            pfn: huge.pfn + huge.count + at,
            count: 1,
        });
    }
    let len = list.len();
    let runs = runs_of(&words[..len]);

    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0].count, PfnRun::MAX_COUNT);
    assert_eq!(runs[1].count, 1);
}

#[test]
fn words_are_read_before_they_are_written() {
    let mut words = [10, 20, 30];
    let mut list = RunWords::new(&mut words);

    for (at, expected) in [10, 20, 30].into_iter().enumerate() {
        assert_eq!(list.word(at), Some(expected));
        list.append(PfnRun {
            pfn: expected as usize,
            count: 2,
        });
    }
    assert_eq!(list.word(3), None);
    assert_eq!(list.len(), 3);
}
