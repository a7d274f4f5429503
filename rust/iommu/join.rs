// SPDX-License-Identifier: GPL-2.0

//! Joins runs that may be mapped with one call.
//!
//! In a range that can later be cut between any two pages, each page is a separate run. The generic
//! page tables of the kernel map one run with each call, and use a larger entry wherever the run
//! contains an aligned larger page. Runs can be joined if the result contains no such page: it is
//! then mapped with the same entries, in one call.
//!
//! Pure: this file is also compiled for the host.

use super::run::PhysRun;

/// An iterator over runs, each joined with as many of those after it as possible, so that no joined
/// run contains an aligned page of `large` bytes.
pub(crate) struct JoinedRuns<'a> {
    left: &'a [PhysRun],
    /// The IOVA of the first of them.
    iova: u64,
    /// The smallest page size that is larger than the granule of the runs, in bytes. Page sizes are
    /// powers of two, so a run that contains no page of this size contains no larger one either.
    large: Option<u64>,
}

impl<'a> JoinedRuns<'a> {
    /// Creates an iterator over `runs`, which are mapped one after the other from `iova` on.
    #[inline]
    pub(crate) fn new(iova: u64, runs: &'a [PhysRun], large: Option<u64>) -> Self {
        Self {
            left: runs,
            iova,
            large,
        }
    }

    /// Returns whether `run`, which is mapped at `self.iova`, can be joined with the run after it.
    fn may_join(&self, run: &PhysRun, next: &PhysRun) -> bool {
        let length = (run.length + next.length) as u64;

        next.phys == run.phys + run.length as u64
            && next.kind == run.kind
            && !has_large_page(self.iova, run.phys, length, self.large)
    }
}

impl Iterator for JoinedRuns<'_> {
    type Item = PhysRun;

    fn next(&mut self) -> Option<PhysRun> {
        let (first, mut left) = self.left.split_first()?;
        let mut run = *first;

        while let Some((next, behind)) = left.split_first() {
            if !self.may_join(&run, next) {
                break;
            }
            run.length += next.length;
            left = behind;
        }
        self.left = left;
        // A run that ends with the address space wraps to zero.
        self.iova = self.iova.wrapping_add(run.length as u64);
        Some(run)
    }
}

/// Returns whether `length` bytes contain a page of `large` bytes that is aligned both in IOVA and
/// in physical address.
fn has_large_page(iova: u64, phys: u64, length: u64, large: Option<u64>) -> bool {
    let Some(large) = large else { return false };
    let offset = iova & (large - 1);
    let before = (large - offset) & (large - 1);

    offset == phys & (large - 1) && length.checked_sub(before).is_some_and(|rest| rest >= large)
}

#[cfg(test)]
#[path = "tests/join.rs"]
mod tests;
