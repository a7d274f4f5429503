// SPDX-License-Identifier: GPL-2.0

//! The operations, each in a steady state: what one call maps another one unmaps, and unless an
//! operation is about tables that come and go, a neighbour keeps them where they are.

use crate::{
    measure::{once, Meter, ROUNDS},
    subject::{Geometry, Subject, BATCH},
    Report,
};
use generic_pt::meter::table_pages;
use kernel::{prelude::*, sync::rcu};

/// How often tables come and go for the figure that has everything in it. Enough for most of them
/// to have been freed on the way, RCU's grace periods being what they are.
const CHURN: u64 = 30_000;

/// Where things are mapped, and what.
struct Places<'a> {
    geometry: &'a Geometry,
}

impl Places<'_> {
    /// A range of which one lowest table is in charge.
    fn region(&self) -> u64 {
        5 * self.geometry.large
    }

    /// The page that keeps the lowest table of the region where it is, and those above it.
    fn neighbour(&self) -> u64 {
        self.region() + self.geometry.middle - self.geometry.small
    }

    /// A region whose lowest table is not there, for each round; the table above it is.
    fn empty_region(&self, round: usize) -> u64 {
        self.region() + (round as u64 + 16) * self.geometry.middle
    }

    /// Memory at which a page of any size can begin.
    fn memory(&self) -> u64 {
        1 << 36
    }

    /// Memory at which only the smallest page can begin: so no two of them can be mapped as one.
    fn odd_memory(&self) -> u64 {
        self.memory() + self.geometry.small
    }

    /// The bytes of a batch.
    fn batch(&self) -> u64 {
        self.geometry.small * BATCH as u64
    }

    /// Addresses of pages no two of which lie next to each other.
    fn scattered(&self) -> impl Iterator<Item = u64> {
        let (first, small) = (self.odd_memory(), self.geometry.small);

        (0..BATCH as u64).map(move |page| first + page * 37 % BATCH as u64 * 2 * small)
    }
}

/// Was all of it there?
fn complete(unmapped: u64, expected: u64) -> Result {
    if unmapped == expected {
        return Ok(());
    }
    pr_err!("{unmapped:#x} bytes were unmapped and not {expected:#x}\n");
    Err(EIO)
}

/// All operations on tables that stay.
pub(crate) fn measure<S: Subject>(
    meter: &Meter,
    report: &Report<'_>,
    geometry: &Geometry,
    subject: &mut S,
) -> Result {
    let places = Places { geometry };
    let Geometry {
        small,
        middle,
        large,
    } = *geometry;

    subject.map_one(places.neighbour(), places.odd_memory(), small)?;
    scattered(meter, report, &places, subject)?;
    scattered_reading(meter, report, &places, subject)?;
    one_run(
        meter,
        report,
        &places,
        subject,
        ["map-256-contiguous", "unmap-256-contiguous"],
        &|_| (places.region(), places.odd_memory(), places.batch()),
    )?;
    one_run(
        meter,
        report,
        &places,
        subject,
        ["map-small", "unmap-small"],
        &|_| (places.region(), places.odd_memory(), small),
    )?;
    one_run(
        meter,
        report,
        &places,
        subject,
        ["map-middle", "unmap-middle"],
        &|_| (places.empty_region(0), places.memory(), middle),
    )?;
    one_run(
        meter,
        report,
        &places,
        subject,
        ["map-large", "unmap-large"],
        &|_| (places.region() + large, places.memory(), large),
    )?;
    // A whole table: unmapped in one call, it goes on either side.
    one_run(
        meter,
        report,
        &places,
        subject,
        ["map-512-and-table", "unmap-512-and-table"],
        &|_| (places.empty_region(0), places.odd_memory(), middle),
    )?;
    lookups(meter, report, &places, subject)?;
    // Last, for generic_pt keeps those tables.
    one_run(
        meter,
        report,
        &places,
        subject,
        ["map-small-and-table", "unmap-last-small"],
        &|round| (places.empty_region(round), places.odd_memory(), small),
    )
}

/// Pages from all over memory, in one call of ours and as many of theirs as there are pages.
fn scattered<S: Subject>(
    meter: &Meter,
    report: &Report<'_>,
    places: &Places<'_>,
    subject: &mut S,
) -> Result {
    let batch = S::batch(places.scattered(), places.geometry.small)?;
    let (mut map, mut unmap) = (meter.series()?, meter.series()?);

    for _ in 0..ROUNDS {
        map.time(|| subject.map(places.region(), &batch))??;
        complete(
            unmap.time(|| subject.unmap(places.region(), places.batch()))?,
            places.batch(),
        )?;
    }
    report.cost("map-256-scattered", map.typical());
    report.cost("unmap-256-scattered", unmap.typical());
    Ok(())
}

/// The same pages: they are pinned memory, so unmapping them must tell which they were.
fn scattered_reading<S: Subject>(
    meter: &Meter,
    report: &Report<'_>,
    places: &Places<'_>,
    subject: &mut S,
) -> Result {
    let batch = S::batch(places.scattered(), places.geometry.small)?;
    let mut found = KBox::new([0; BATCH], GFP_KERNEL)?;
    let mut unmap = meter.series()?;

    for _ in 0..ROUNDS {
        subject.map(places.region(), &batch)?;
        let unmapped = unmap
            .time(|| subject.unmap_reading(places.region(), places.geometry.small, &mut found))?;

        complete(unmapped, places.batch())?;
        if !places.scattered().eq(found.iter().copied()) {
            pr_err!("unmapping told of other memory than was mapped\n");
            return Err(EIO);
        }
    }
    report.cost("unmap-256-reading", unmap.typical());
    Ok(())
}

/// One run, mapped in one call and unmapped in one; `run` says for each round where, what, how long.
fn one_run<S: Subject>(
    meter: &Meter,
    report: &Report<'_>,
    places: &Places<'_>,
    subject: &mut S,
    [map_name, unmap_name]: [&str; 2],
    run: &dyn Fn(usize) -> (u64, u64, u64),
) -> Result {
    let (mut map, mut unmap) = (meter.series()?, meter.series()?);

    for round in 0..ROUNDS {
        let (iova, phys, length) = run(round);

        map.time(|| subject.map_one(iova, phys, length))??;
        let last = iova + length - places.geometry.small;

        if subject.translate(last) != phys + (last - iova) {
            pr_err!("{map_name}: {last:#x} is not where it should be\n");
            return Err(EIO);
        }
        complete(unmap.time(|| subject.unmap(iova, length))?, length)?;
    }
    report.cost(map_name, map.typical());
    report.cost(unmap_name, unmap.typical());
    Ok(())
}

/// What is behind an IOVA, in a small page and in a middle one: once, and as one lookup of several
/// among which nothing is removed.
fn lookups<S: Subject>(
    meter: &Meter,
    report: &Report<'_>,
    places: &Places<'_>,
    subject: &mut S,
) -> Result {
    let (mut small, mut middle) = (meter.series()?, meter.series()?);
    let (mut small_again, mut middle_again) = (meter.series()?, meter.series()?);
    let page = places.empty_region(0);

    subject.map_one(page, places.memory(), places.geometry.middle)?;
    for _ in 0..ROUNDS {
        let found = (
            small.time(|| subject.translate(places.neighbour() + 8))?,
            middle.time(|| subject.translate(page + places.geometry.small))?,
        );

        let view = subject.view();
        let again = (
            small_again.time(|| S::translate_in(&view, places.neighbour() + 8))?,
            middle_again.time(|| S::translate_in(&view, page + places.geometry.small))?,
        );

        if found != (places.odd_memory() + 8, places.odd_memory()) || again != found {
            pr_err!("lookup: {found:x?}, {again:x?} is not what is there\n");
            return Err(EIO);
        }
    }
    complete(
        subject.unmap(page, places.geometry.middle),
        places.geometry.middle,
    )?;
    report.cost("lookup-small", small.typical());
    report.cost("lookup-middle", middle.typical());
    report.cost("lookup-small-again", small_again.typical());
    report.cost("lookup-middle-again", middle_again.typical());
    Ok(())
}

/// Maps and unmaps a whole lowest table again and again, and counts everything that the machine does
/// meanwhile: also what RCU does later to free our tables.
pub(crate) fn measure_churn<S: Subject>(
    meter: &Meter,
    report: &Report<'_>,
    geometry: &Geometry,
    subject: &mut S,
) -> Result {
    let places = Places { geometry };
    let iova = places.empty_region(0);

    subject.map_one(places.neighbour(), places.odd_memory(), geometry.small)?;
    rcu::rcu_barrier();
    let before = table_pages();
    let (result, cost) = once(|| -> Result {
        for _ in 0..CHURN {
            subject.map_one(iova, places.odd_memory(), geometry.middle)?;
            complete(subject.unmap(iova, geometry.middle), geometry.middle)?;
        }
        Ok(())
    });

    result?;
    report.pages("churn-unfreed", table_pages() - before);
    report.cost("churn-512", meter.less_overhead(cost).divided_by(CHURN));
    Ok(())
}
