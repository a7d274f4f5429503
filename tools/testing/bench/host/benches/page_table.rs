// SPDX-License-Identifier: GPL-2.0

//! The cost of the page tables on the host, in time, for each format.
//!
//! The operations are those of `tools/testing/bench/operations.rs`. The words of tables are atomics
//! of the standard library, readers are counted instead of using RCU, and tables come from the
//! allocator of the host. The figures can be compared with each other, but not with those of a
//! kernel.

#![forbid(unsafe_code)]

use criterion::{criterion_group, criterion_main, Criterion};
use iommu_pagetable::{
    bench_memory::BenchMemory,
    vmsa::{Granule4K, Stage1, Stage2},
    vtd::{FirstStage, SecondStage},
    Format, Gather, Limits, MemoryKind, Mock, PageTable, Permissions, PhysRun,
};
use std::{hint::black_box, time::Duration};

/// The number of pages in a batch.
const BATCH: u64 = 256;

/// A page table, and the runs that are mapped into it.
struct Subject<F: Format, const COHERENT: bool> {
    table: PageTable<F, BenchMemory<COHERENT>>,
}

impl<F: Format<Options: Default>, const COHERENT: bool> Subject<F, COHERENT> {
    const SMALL: u64 = 1 << F::GRANULE_BITS;
    const MIDDLE: u64 = Self::SMALL << F::INDEX_BITS;
    const LARGE: u64 = Self::MIDDLE << F::INDEX_BITS;
    /// A range that one lowest table translates, and whose last page keeps the table in place.
    const REGION: u64 = 5 * Self::LARGE;
    const NEIGHBOUR: u64 = Self::REGION + Self::MIDDLE - Self::SMALL;
    /// Memory at which a page of any size can begin. One page further, only the smallest can.
    const MEMORY: u64 = 1 << 36;

    fn new() -> Self {
        let memory = BenchMemory::default();
        let table = PageTable::new(memory, F::Options::default(), Limits::default(), ());
        let subject = Self {
            table: table.expect("there is memory"),
        };

        subject.map(
            Self::NEIGHBOUR,
            &[run(Self::MEMORY + Self::SMALL, Self::SMALL)],
        );
        subject
    }

    #[inline(never)]
    fn map(&self, iova: u64, runs: &[PhysRun]) {
        let permissions = black_box(Permissions {
            read: true,
            write: true,
            execute: true,
            privileged: false,
        });
        let mut gather = Gather::new();
        let result = self.table.map(iova, runs, permissions, (), &mut gather);

        gather.flush(&self.table, |_| ());
        result.expect("it is free");
    }

    #[inline(never)]
    fn unmap(&self, iova: u64, length: u64) {
        let mut gather = Gather::new();
        let result = self.table.unmap(iova, length, (), &mut gather, |run| {
            black_box(run.phys);
        });

        gather.flush(&self.table, |_| ());
        assert_eq!(result, Ok(length));
    }

    #[inline(never)]
    fn translate(&self, iova: u64) -> Option<u64> {
        self.table.translate(iova)
    }
}

fn run(phys: u64, length: u64) -> PhysRun {
    PhysRun {
        phys,
        length: usize::try_from(length).expect("64 bits"),
        kind: MemoryKind::Normal,
    }
}

/// Measures a map and the unmap of the same range together, because the clock is too coarse for one
/// of them.
fn map_and_unmap<F: Format<Options: Default>, const COHERENT: bool>(
    c: &mut Criterion,
    name: &str,
    iova: u64,
    runs: &[PhysRun],
) {
    let subject = Subject::<F, COHERENT>::new();
    let length = runs.iter().map(|run| run.length as u64).sum();

    c.bench_function(name, |b| {
        b.iter(|| {
            subject.map(iova, runs);
            subject.unmap(iova, length);
        });
    });
}

fn format<F: Format<Options: Default>, const COHERENT: bool>(c: &mut Criterion) {
    let small = Subject::<F, COHERENT>::SMALL;
    let middle = Subject::<F, COHERENT>::MIDDLE;
    let region = Subject::<F, COHERENT>::REGION;
    let memory = Subject::<F, COHERENT>::MEMORY;
    let odd = memory + small;
    let scattered: Vec<_> = (0..BATCH)
        .map(|page| run(odd + page * 37 % BATCH * 2 * small, small))
        .collect();

    let walker = if COHERENT { "coherent" } else { "incoherent" };
    let name = |what| format!("{} {walker}: {what}", F::NAME);

    for (what, iova, runs) in [
        ("map and unmap 256 scattered", region, &scattered[..]),
        (
            "map and unmap 256 contiguous",
            region,
            &[run(odd, BATCH * small)],
        ),
        ("map and unmap one page", region, &[run(odd, small)]),
        (
            "map and unmap a page of level 1",
            region + middle,
            &[run(memory, middle)],
        ),
        (
            "map and unmap one page and its table",
            region + middle,
            &[run(odd, small)],
        ),
    ] {
        map_and_unmap::<F, COHERENT>(c, &name(what), iova, runs);
    }
    let subject = Subject::<F, COHERENT>::new();
    let page = black_box(Subject::<F, COHERENT>::NEIGHBOUR);

    c.bench_function(&name("lookup"), |b| b.iter(|| subject.translate(page)));
}

fn formats(c: &mut Criterion) {
    format::<SecondStage<4>, true>(c);
    format::<SecondStage<4>, false>(c);
    format::<FirstStage<4>, true>(c);
    format::<Stage1<Granule4K, 48>, true>(c);
    format::<Stage2<Granule4K, 48>, true>(c);
    format::<Mock, true>(c);
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    targets = formats
}
criterion_main!(benches);
