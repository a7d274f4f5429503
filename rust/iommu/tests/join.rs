// SPDX-License-Identifier: GPL-2.0

//! Checks joined runs against the large pages that a driver could use for them.

use super::*;
use crate::run::MemoryKind;
use proptest::prelude::*;

const PAGE: u64 = 4096;

/// Single pages of both kinds from a small range, so that some are contiguous.
fn pages() -> impl Strategy<Value = std::vec::Vec<PhysRun>> {
    let stretch = (0u64..64, 1u64..40, any::<bool>()).prop_map(|(pfn, count, mmio)| {
        (pfn..pfn + count).map(move |pfn| PhysRun {
            phys: pfn * PAGE,
            length: PAGE as usize,
            kind: if mmio {
                MemoryKind::Mmio
            } else {
                MemoryKind::Normal
            },
        })
    });
    prop::collection::vec(stretch, 1..6).prop_map(|all| all.into_iter().flatten().collect())
}

fn large_page() -> impl Strategy<Value = Option<u64>> {
    prop::option::of((1u32..5).prop_map(|order| PAGE << order))
}

/// Returns whether an aligned page of `size` bytes lies in the run.
fn fits(iova: u64, run: &PhysRun, size: u64) -> bool {
    (0..run.length as u64 / PAGE).any(|page| {
        let at = page * PAGE;

        (iova + at) % size == 0 && (run.phys + at) % size == 0 && at + size <= run.length as u64
    })
}

proptest! {
    #[test]
    fn no_large_page_reaches_across(first in 0u64..64, runs in pages(), large in large_page()) {
        let mut iova = first * PAGE;
        let mut left = &runs[..];

        for joined in JoinedRuns::new(iova, &runs, large) {
            let (front, behind) = left.split_at(joined.length / PAGE as usize);

            // The joined run has the memory of the given runs.
            let mut phys = joined.phys;
            for run in front {
                prop_assert_eq!((run.phys, run.kind), (phys, joined.kind));
                phys += run.length as u64;
            }
            // It cannot be mapped with a large page.
            if let Some(size) = large {
                prop_assert!(!fits(iova, &joined, size));
            }
            // It could not be joined with the next run as well.
            if let Some(next) = behind.first() {
                let more = PhysRun { length: joined.length + next.length, ..joined };
                let apart = next.phys != phys || next.kind != joined.kind;

                prop_assert!(apart || large.is_some_and(|size| fits(iova, &more, size)));
            }
            iova += joined.length as u64;
            left = behind;
        }
        prop_assert!(left.is_empty());
    }
}

/// Returns the number of pages of each joined run.
fn calls(iova: u64, runs: &[PhysRun], large: Option<u64>) -> std::vec::Vec<u64> {
    JoinedRuns::new(iova, runs, large)
        .map(|run| run.length as u64 / PAGE)
        .collect()
}

#[test]
fn huge_pages_are_cut_where_they_end() {
    let runs: std::vec::Vec<_> = (0..1024)
        .map(|pfn| PhysRun {
            phys: (512 + pfn) * PAGE,
            length: PAGE as usize,
            kind: MemoryKind::Normal,
        })
        .collect();
    let huge = Some(512 * PAGE);

    assert_eq!(calls(0, &runs, huge), [511, 512, 1]);
    // The IOVA and the physical address are not aligned alike, so no huge page is possible.
    assert_eq!(calls(PAGE, &runs, huge), [1024]);
    assert_eq!(calls(0, &runs, None), [1024]);
    assert!(calls(0, &[], huge).is_empty());
}

/// A run that a driver may map with large pages is not joined.
#[test]
fn large_runs_stay_alone() {
    let run = |first: u64, count: u64| PhysRun {
        phys: first * PAGE,
        length: (count * PAGE) as usize,
        kind: MemoryKind::Normal,
    };
    let runs = [run(0, 512), run(512, 1)];

    assert_eq!(calls(0, &runs, Some(512 * PAGE)), [512, 1]);
}

/// A run at the end of the address space does not overflow.
#[test]
fn the_last_page_has_no_end() {
    let run = PhysRun {
        phys: 0x1000,
        length: PAGE as usize,
        kind: MemoryKind::Normal,
    };

    assert_eq!(calls(u64::MAX - PAGE + 1, &[run], Some(2 * PAGE)), [1]);
}
