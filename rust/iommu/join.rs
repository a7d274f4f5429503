// SPDX-License-Identifier: GPL-2.0

//! Runs that may be mapped with one call although they were given apart.
//!
//! Where a range is to be cut between any two of its pages later on, each page is a run of its own.
//! The kernel's generic page tables take one run a call, and put what is contiguous into larger
//! entries where they can. Where they cannot, because no larger page lies within the runs, these may
//! as well be one.
//!
//! Pure: this file is also compiled for the host.

use super::run::PhysRun;

/// Runs, each joined with as many behind it as may be mapped together: no page of `large` bytes
/// reaches from one into the next.
pub(crate) struct JoinedRuns<'a> {
    left: &'a [PhysRun],
    /// Where the first of them is mapped.
    iova: u64,
    /// The smallest of the page sizes, powers of two, that are larger than the runs' granule: where no
    /// page of that size lies, none of a larger size does.
    large: Option<u64>,
}

impl<'a> JoinedRuns<'a> {
    /// `runs`, which are mapped one behind the other from `iova` on.
    #[inline]
    pub(crate) fn new(iova: u64, runs: &'a [PhysRun], large: Option<u64>) -> Self {
        Self {
            left: runs,
            iova,
            large,
        }
    }

    /// Whether `run`, which is mapped first, may be mapped together with what is next.
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
        // Behind the last byte of the address space there is no address.
        self.iova = self.iova.wrapping_add(run.length as u64);
        Some(run)
    }
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
