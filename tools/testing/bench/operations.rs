// SPDX-License-Identifier: GPL-2.0

//! The operations that are measured, each in a steady state.
//!
//! What one call maps, the next one unmaps. A neighbouring page keeps the tables in place, except
//! where an operation is about tables that are made and removed.

use crate::{
    measure::{once, Meter, Series, ROUNDS},
    subject::{Geometry, Subject, BATCH},
    Report,
};
use generic_pt::meter::table_pages;
use kernel::{prelude::*, sync::rcu};

/// The number of times that tables are made and removed for the figure which includes freeing them.
///
/// RCU frees the tables after a grace period; with this number, most of them are freed within the
/// measurement.
const CHURN: u64 = 30_000;

/// Where pages are mapped, and to what memory.
struct Places<'a>(&'a Geometry);

impl Places<'_> {
    /// A range that one lowest table translates.
    fn region(&self) -> u64 {
        5 * self.0.large
    }

    /// The page that keeps the lowest table of the region, and the tables above it, in place.
    fn neighbour(&self) -> u64 {
        self.region() + self.0.middle - self.0.small
    }

    /// A region, different for each round, that has no lowest table but has the table above it.
    fn empty_region(&self, round: usize) -> u64 {
        self.region() + (round as u64 + 16) * self.0.middle
    }

    /// Memory at which a page of any size can begin.
    fn memory(&self) -> u64 {
        1 << 36
    }

    /// Memory at which only the smallest page can begin, so that no larger page is used.
    fn odd_memory(&self) -> u64 {
        self.memory() + self.0.small
    }

    /// The bytes of a batch.
    fn batch(&self) -> u64 {
        self.0.small * BATCH as u64
    }

    /// The addresses of the pages of a batch, none of which is adjacent to the one before it.
    fn scattered(&self) -> impl Iterator<Item = u64> {
        let (first, small) = (self.odd_memory(), self.0.small);

        (0..BATCH as u64).map(move |page| first + page * 37 % BATCH as u64 * 2 * small)
    }
}

/// Memory in one piece, and where it is mapped.
struct Piece {
    iova: u64,
    phys: u64,
    length: u64,
}

/// A piece that is mapped in one call and unmapped in one.
struct Single {
    map: &'static str,
    unmap: &'static str,
    /// The piece in a round.
    piece: fn(&Places<'_>, usize) -> Piece,
}

/// The pieces that are mapped in tables that stay.
const SINGLES: [Single; 5] = [
    Single {
        map: "map-256-contiguous",
        unmap: "unmap-256-contiguous",
        piece: |at, _| Piece {
            iova: at.region(),
            phys: at.odd_memory(),
            length: at.batch(),
        },
    },
    Single {
        map: "map-small",
        unmap: "unmap-small",
        piece: |at, _| Piece {
            iova: at.region(),
            phys: at.odd_memory(),
            length: at.0.small,
        },
    },
    Single {
        map: "map-middle",
        unmap: "unmap-middle",
        piece: |at, _| Piece {
            iova: at.empty_region(0),
            phys: at.memory(),
            length: at.0.middle,
        },
    },
    Single {
        map: "map-large",
        unmap: "unmap-large",
        piece: |at, _| Piece {
            iova: at.region() + at.0.large,
            phys: at.memory(),
            length: at.0.large,
        },
    },
    // A whole table: either side removes it if one call unmaps all of it.
    Single {
        map: "map-512-and-table",
        unmap: "unmap-512-and-table",
        piece: |at, _| Piece {
            iova: at.empty_region(0),
            phys: at.odd_memory(),
            length: at.0.middle,
        },
    },
];

/// A page with a table of its own, which generic_pt does not remove again.
const SMALL_AND_TABLE: Single = Single {
    map: "map-small-and-table",
    unmap: "unmap-last-small",
    piece: |at, round| Piece {
        iova: at.empty_region(round),
        phys: at.odd_memory(),
        length: at.0.small,
    },
};

/// Returns `EIO` unless as many bytes were unmapped as expected.
fn complete(unmapped: u64, expected: u64) -> Result {
    if unmapped == expected {
        return Ok(());
    }
    pr_err!("{unmapped:#x} bytes were unmapped and not {expected:#x}\n");
    Err(EIO)
}

/// A page table, and what it takes to measure it.
struct Bench<'a, S: Subject> {
    meter: &'a Meter,
    report: &'a Report<'a>,
    places: Places<'a>,
    subject: &'a mut S,
}

impl<'a, S: Subject> Bench<'a, S> {
    /// Prepares a page table: maps the page that keeps the tables of the region in place.
    fn new(
        meter: &'a Meter,
        report: &'a Report<'a>,
        geometry: &'a Geometry,
        subject: &'a mut S,
    ) -> Result<Self> {
        let places = Places(geometry);

        subject.map_one(places.neighbour(), places.odd_memory(), geometry.small)?;
        Ok(Self {
            meter,
            report,
            places,
            subject,
        })
    }

    /// Measures scattered pages: one call of our library, one call of the kernel's for each page.
    fn scattered(&mut self) -> Result {
        let (region, length) = (self.places.region(), self.places.batch());
        let batch = S::batch(self.places.scattered(), self.places.0.small)?;
        let (mut map, mut unmap) = (self.meter.series()?, self.meter.series()?);

        for _ in 0..ROUNDS {
            map.time(|| self.subject.map(region, &batch))??;
            complete(unmap.time(|| self.subject.unmap(region, length))?, length)?;
        }
        self.report.cost("map-256-scattered", map.typical());
        self.report.cost("unmap-256-scattered", unmap.typical());
        Ok(())
    }

    /// Measures unmapping the same pages where the caller must learn what memory they were, as it
    /// must for pinned memory.
    fn scattered_reading(&mut self) -> Result {
        let Places(&Geometry { small, .. }) = self.places;
        let region = self.places.region();
        let batch = S::batch(self.places.scattered(), small)?;
        let mut found = KBox::new([0; BATCH], GFP_KERNEL)?;
        let mut unmap = self.meter.series()?;

        for _ in 0..ROUNDS {
            self.subject.map(region, &batch)?;
            let unmapped = unmap.time(|| self.subject.unmap_reading(region, small, &mut found))?;

            complete(unmapped, self.places.batch())?;
            if !self.places.scattered().eq(found.iter().copied()) {
                pr_err!("unmapping returned other memory than was mapped\n");
                return Err(EIO);
            }
        }
        self.report.cost("unmap-256-reading", unmap.typical());
        Ok(())
    }

    /// Measures a piece that is mapped in one call and unmapped in one.
    fn single(&mut self, single: &Single) -> Result {
        let (mut map, mut unmap) = (self.meter.series()?, self.meter.series()?);

        for round in 0..ROUNDS {
            let Piece { iova, phys, length } = (single.piece)(&self.places, round);
            let offset = length - self.places.0.small;

            map.time(|| self.subject.map_one(iova, phys, length))??;
            if self.subject.translate(iova + offset) != phys + offset {
                pr_err!(
                    "{}: {:#x} is mapped to other memory\n",
                    single.map,
                    iova + offset
                );
                return Err(EIO);
            }
            complete(unmap.time(|| self.subject.unmap(iova, length))?, length)?;
        }
        self.report.cost(single.map, map.typical());
        self.report.cost(single.unmap, unmap.typical());
        Ok(())
    }

    /// Measures lookups in a small page and in a middle one: alone, and as one lookup of several
    /// during which no table is removed.
    fn lookups(&mut self) -> Result {
        let Places(&Geometry { small, middle, .. }) = self.places;
        let (memory, page) = (self.places.memory(), self.places.empty_region(0));
        let iovas = [self.places.neighbour() + 8, page + small];
        let expected = [self.places.odd_memory() + 8, memory + small];
        let mut alone = [self.meter.series()?, self.meter.series()?];
        let mut again = [self.meter.series()?, self.meter.series()?];

        self.subject.map_one(page, memory, middle)?;
        for _ in 0..ROUNDS {
            let found = lookup(&mut alone, iovas, |iova| self.subject.translate(iova))?;
            let view = self.subject.view();
            let found_again = lookup(&mut again, iovas, |iova| S::translate_in(&view, iova))?;

            if found != expected || found_again != expected {
                pr_err!("lookup: {found:x?}, {found_again:x?} and not {expected:x?}\n");
                return Err(EIO);
            }
        }
        complete(self.subject.unmap(page, middle), middle)?;
        let [small, middle] = alone;
        let [small_again, middle_again] = again;

        self.report.cost("lookup-small", small.typical());
        self.report.cost("lookup-middle", middle.typical());
        self.report
            .cost("lookup-small-again", small_again.typical());
        self.report
            .cost("lookup-middle-again", middle_again.typical());
        Ok(())
    }

    /// Maps and unmaps a whole lowest table again and again.
    ///
    /// Everything that the machine does meanwhile is counted, also the work of RCU that frees our
    /// tables later.
    fn churn(&mut self) -> Result {
        let Places(&Geometry { middle, .. }) = self.places;
        let (iova, memory) = (self.places.empty_region(0), self.places.odd_memory());

        rcu::rcu_barrier();
        let before = table_pages();
        let (result, cost) = once(|| -> Result {
            for _ in 0..CHURN {
                self.subject.map_one(iova, memory, middle)?;
                complete(self.subject.unmap(iova, middle), middle)?;
            }
            Ok(())
        });

        result?;
        self.report.pages("churn-unfreed", table_pages() - before);
        let cost = self.meter.less_overhead(cost).divided_by(CHURN);

        self.report.cost("churn-512", cost);
        Ok(())
    }
}

/// Looks up two IOVAs, each with a series of its own.
#[inline(always)]
fn lookup(
    series: &mut [Series; 2],
    [small, middle]: [u64; 2],
    translate: impl Fn(u64) -> u64,
) -> Result<[u64; 2]> {
    let [small_series, middle_series] = series;

    Ok([
        small_series.time(|| translate(small))?,
        middle_series.time(|| translate(middle))?,
    ])
}

/// Measures all operations on tables that stay.
pub(crate) fn measure<S: Subject>(
    meter: &Meter,
    report: &Report<'_>,
    geometry: &Geometry,
    subject: &mut S,
) -> Result {
    let mut bench = Bench::new(meter, report, geometry, subject)?;

    bench.scattered()?;
    bench.scattered_reading()?;
    for single in &SINGLES {
        bench.single(single)?;
    }
    bench.lookups()?;
    // Last, because generic_pt keeps the tables of this one.
    bench.single(&SMALL_AND_TABLE)
}

/// Measures tables that are made and removed again and again.
pub(crate) fn measure_churn<S: Subject>(
    meter: &Meter,
    report: &Report<'_>,
    geometry: &Geometry,
    subject: &mut S,
) -> Result {
    Bench::new(meter, report, geometry, subject)?.churn()
}
