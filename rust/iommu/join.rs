// SPDX-License-Identifier: GPL-2.0

//! Runs that may be mapped with one call although they were given apart.
//!
//! Where a range is to be cut between any two of its pages later on, each page is a run of its own.
//! A driver in C takes one run a call, and would put what is contiguous into larger entries where it
//! can. Where it cannot, because no larger page lies within the runs, they may as well be one.
//!
//! Pure: this file is also compiled for the host.

use super::run::PhysRun;

/// Joins the first of `runs`, which are mapped from `iova` on, with as many behind it as may be mapped
/// together: no page of `large` bytes, a power of two, reaches from one into the next. Returns the
/// joined run and how many they were; `None` if there are no runs.
///
/// `large` is the smallest of the page sizes that are larger than the runs' granule: where no page of
/// that size lies, none of a larger size does.
#[inline]
pub(crate) fn join_front(
    iova: u64,
    runs: &[PhysRun],
    large: Option<u64>,
) -> Option<(PhysRun, usize)> {
    let (&first, behind) = runs.split_first()?;
    let mut joined = first;
    let mut count = 1;

    for next in behind {
        let length = joined.length + next.length;

        if next.phys != joined.phys + joined.length as u64
            || next.kind != joined.kind
            || has_large_page(iova, joined.phys, length as u64, large)
        {
            break;
        }
        joined.length = length;
        count += 1;
    }
    Some((joined, count))
}

/// Whether `length` bytes have a page of `large` bytes in them that is aligned on both sides.
fn has_large_page(iova: u64, phys: u64, length: u64, large: Option<u64>) -> bool {
    let Some(large) = large else { return false };
    let offset = iova & (large - 1);
    let before = (large - offset) & (large - 1);

    offset == phys & (large - 1) && length.checked_sub(before).is_some_and(|rest| rest >= large)
}

#[cfg(test)]
#[path = "tests/join.rs"]
mod tests;
