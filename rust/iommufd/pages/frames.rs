// SPDX-License-Identifier: GPL-2.0

//! Lists of page frames: the physical location of each page of a range.
//!
//! Pure: this file calls no kernel function and is also compiled for the host.

use super::held_ranges::Split;
use crate::{
    base::{push, reserve, Result, Vec},
    mm::PfnRun,
};

/// The page frames of a range of pages, in order, in runs that are as long as possible.
///
/// The first run is stored inline, so that contiguous memory needs no allocation.
pub(crate) struct FrameList {
    /// Number of pages.
    count: usize,
    /// Page frame of the first page.
    first: usize,
    /// The runs after the first. An `Option`, because even dropping an empty array costs time on
    /// the fast path.
    more: Option<Vec<Start>>,
}

/// The start of a run, which ends where the next run starts, or with the list.
#[derive(Clone, Copy)]
struct Start {
    /// Index of the first page, counted from the start of the list.
    at: usize,
    pfn: usize,
}

impl FrameList {
    /// Creates an empty list.
    pub(crate) const fn new() -> Self {
        Self {
            count: 0,
            first: 0,
            more: None,
        }
    }

    /// Creates a list of one run.
    #[inline]
    pub(crate) const fn of(run: PfnRun) -> Self {
        Self {
            count: run.count,
            first: run.pfn,
            more: None,
        }
    }

    /// Returns all pages if they are one run that is stored inline.
    #[inline]
    pub(crate) fn only_run(&self) -> Option<PfnRun> {
        (self.count != 0 && self.more.is_none()).then_some(PfnRun {
            pfn: self.first,
            count: self.count,
        })
    }

    /// Returns the number of pages.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Returns the number of runs.
    pub(crate) fn runs(&self) -> usize {
        match self.count {
            0 => 0,
            _ => 1 + self.more().len(),
        }
    }

    fn more(&self) -> &[Start] {
        self.more.as_deref().unwrap_or(&[])
    }

    fn start(&self, run: usize) -> Option<Start> {
        match run.checked_sub(1) {
            None => Some(Start {
                at: 0,
                pfn: self.first,
            }),
            Some(more) => self.more().get(more).copied(),
        }
    }

    /// Allocates memory for `runs` more runs.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn reserve(&mut self, runs: usize) -> Result {
        // The first run is stored inline.
        match runs - usize::from(self.count == 0 && runs != 0) {
            0 => Ok(()),
            more => reserve(self.more.get_or_insert_with(Vec::new), more),
        }
    }

    /// Appends the pages of a run.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; the list is unchanged then.
    #[inline]
    pub(crate) fn push(&mut self, run: PfnRun) -> Result {
        if self.count == 0 {
            self.first = run.pfn;
        } else {
            let last = self.more().last().copied().unwrap_or(Start {
                at: 0,
                pfn: self.first,
            });

            if last.pfn + (self.count - last.at) != run.pfn {
                push(
                    self.more.get_or_insert_with(Vec::new),
                    Start {
                        at: self.count,
                        pfn: run.pfn,
                    },
                )?;
            }
        }
        self.count += run.count;
        Ok(())
    }

    /// Iterates over the runs of `count` pages from page `from` on. The first and the last run are
    /// cut to that range.
    pub(crate) fn iter(
        &self,
        from: usize,
        count: usize,
    ) -> impl Iterator<Item = PfnRun> + Clone + '_ {
        let end = (from + count).min(self.count);
        let mut next = from;
        let mut run = self.more().partition_point(|start| start.at <= from);

        core::iter::from_fn(move || {
            if next >= end {
                return None;
            }
            let start = self.start(run)?;
            let stop = self
                .more()
                .get(run)
                .map_or(end, |following| following.at.min(end));
            let part = PfnRun {
                pfn: start.pfn + (next - start.at),
                count: stop - next,
            };

            run += 1;
            next = stop;
            Some(part)
        })
    }
}

impl Split for FrameList {
    fn split_off(&mut self, at: usize) -> Result<Self> {
        let mut upper = Self::new();

        for run in self.iter(at, self.count) {
            upper.push(run)?;
        }
        self.count = at;
        if let Some(more) = &mut self.more {
            more.truncate(more.partition_point(|start| start.at < at));
        }
        Ok(upper)
    }
}

#[cfg(test)]
#[path = "../tests/frames.rs"]
mod tests;
