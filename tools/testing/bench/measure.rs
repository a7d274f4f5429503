// SPDX-License-Identifier: GPL-2.0

//! Measurement of a call that is made many times.
//!
//! The figure is the median of the instruction counts, because timer interrupts affect only a few
//! of the calls, and the minimum of the times, because other work of the host affects it least. The
//! cost of an empty call is subtracted.

use generic_pt::meter::{spin, ticks, SPIN_INSTRUCTIONS};
use kernel::{
    prelude::*,
    time::{Instant, Monotonic},
};

/// The number of times that a call is made.
pub(crate) const ROUNDS: usize = 301;

/// The cost of a call.
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

    /// Returns the cost of one of `count` calls that have this cost together.
    pub(crate) fn divided_by(self, count: u64) -> Self {
        Self {
            ticks: self.ticks.div_ceil(count),
            ns: self.ns.div_ceil(count),
        }
    }
}

/// The costs of several calls.
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

    /// Makes a call and records its cost.
    #[inline(always)]
    pub(crate) fn time<R>(&mut self, call: impl FnOnce() -> R) -> Result<R> {
        let (result, cost) = once(call);

        self.ticks.push(cost.ticks, GFP_KERNEL)?;
        self.ns.push(cost.ns, GFP_KERNEL)?;
        Ok(result)
    }

    /// Returns the median of the ticks and the minimum of the times.
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

/// Makes one call, and returns its result and cost.
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

/// The cost of a measurement itself.
pub(crate) struct Meter {
    overhead: Cost,
}

impl Meter {
    /// Measures an empty call, and a loop of known length, whose ticks it reports.
    ///
    /// The figures are valid only if the counter counts the instructions of that loop.
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

    /// Returns a cost without that of the measurement.
    pub(crate) fn less_overhead(&self, cost: Cost) -> Cost {
        cost.less(self.overhead)
    }

    /// Creates a series for [`ROUNDS`] calls.
    pub(crate) fn series(&self) -> Result<Series> {
        Series::new(self.overhead)
    }
}
