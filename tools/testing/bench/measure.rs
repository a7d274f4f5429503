// SPDX-License-Identifier: GPL-2.0

//! Measuring: a call is made many times. Of the instructions, the median is the figure: a timer
//! interrupt falls into one call of many, so the median knows nothing of it. Of the times it is the
//! least, which other work of the host has disturbed least. What an empty call costs is taken off.

use generic_pt::meter::{spin, ticks, SPIN_INSTRUCTIONS};
use kernel::{
    prelude::*,
    time::{Instant, Monotonic},
};

/// How often a call is made.
pub(crate) const ROUNDS: usize = 301;

/// What a call cost.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    /// By the time-stamp counter.
    pub(crate) ticks: u64,
    /// By the clock.
    pub(crate) ns: u64,
}

impl Cost {
    fn less(self, other: Self) -> Self {
        Self {
            ticks: self.ticks.saturating_sub(other.ticks),
            ns: self.ns.saturating_sub(other.ns),
        }
    }

    /// One of `count` calls that cost this together.
    pub(crate) fn divided_by(self, count: u64) -> Self {
        Self {
            ticks: self.ticks.div_ceil(count),
            ns: self.ns.div_ceil(count),
        }
    }
}

/// What the same call cost each time.
pub(crate) struct Series {
    ticks: KVec<u64>,
    ns: KVec<u64>,
    overhead: Cost,
}

impl Series {
    fn new(overhead: Cost) -> Result<Self> {
        Ok(Self {
            ticks: KVec::with_capacity(ROUNDS, GFP_KERNEL)?,
            ns: KVec::with_capacity(ROUNDS, GFP_KERNEL)?,
            overhead,
        })
    }

    /// Makes a call and notes what it cost.
    #[inline(always)]
    pub(crate) fn time<R>(&mut self, call: impl FnOnce() -> R) -> Result<R> {
        let (result, cost) = once(call);

        self.ticks.push(cost.ticks, GFP_KERNEL)?;
        self.ns.push(cost.ns, GFP_KERNEL)?;
        Ok(result)
    }

    /// The median of the ticks, the least of the times.
    pub(crate) fn typical(mut self) -> Cost {
        let middle = self.ticks.len() / 2;

        self.ticks.sort_unstable();
        Cost {
            ticks: self.ticks.get(middle).copied().unwrap_or(0),
            ns: self.ns.iter().min().copied().unwrap_or(0),
        }
        .less(self.overhead)
    }
}

/// Measures one call.
#[inline(always)]
pub(crate) fn once<R>(call: impl FnOnce() -> R) -> (R, Cost) {
    let begun = Instant::<Monotonic>::now();
    let first = ticks();
    let result = call();
    let last = ticks();
    let ns = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(0);

    (
        result,
        Cost {
            ticks: last.wrapping_sub(first),
            ns,
        },
    )
}

/// Knows what measuring costs.
pub(crate) struct Meter {
    overhead: Cost,
}

impl Meter {
    /// Measures nothing, and a loop of known length, which it reports: where the counter does not
    /// count instructions, the figures are none.
    pub(crate) fn new() -> Result<Self> {
        const ROUNDS_OF_THE_LOOP: u64 = 100_000;
        let mut empty = Series::new(Cost::default())?;
        let mut known = Series::new(Cost::default())?;

        for _ in 0..ROUNDS {
            empty.time(|| ())?;
            known.time(|| spin(ROUNDS_OF_THE_LOOP))?;
        }
        let overhead = empty.typical();
        let ticks = known.typical().less(overhead).ticks;

        pr_info!(
            "ticks-per-1000-instructions {}\n",
            (ticks * 1000 + ROUNDS_OF_THE_LOOP) / (ROUNDS_OF_THE_LOOP * SPIN_INSTRUCTIONS),
        );
        Ok(Self { overhead })
    }

    /// What was measured, without the measuring.
    pub(crate) fn less_overhead(&self, cost: Cost) -> Cost {
        cost.less(self.overhead)
    }

    /// For [`ROUNDS`] calls.
    pub(crate) fn series(&self) -> Result<Series> {
        Series::new(self.overhead)
    }
}
