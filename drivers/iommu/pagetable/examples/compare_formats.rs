// SPDX-License-Identifier: GPL-2.0

//! The pages and the number of tables for the same memory in every format.
//!
//! In `tools/testing/host`: `cargo run --example compare_formats`
//!
//! The memory is 1 GiB in one piece, followed by 16 pieces of 64 KiB that are not adjacent.

#![forbid(unsafe_code)]

use iommu_pagetable::{
    memory::HostMemory,
    vmsa::{Granule16K, Granule4K, Granule64K, Stage1, Stage2},
    vtd::{FirstStage, SecondStage},
    Access, Error, Format, Gather, Limits, MemoryKind, Mock, PageTable, PhysRun,
};
use std::{collections::BTreeMap, ops::ControlFlow};

const KIB: u64 = 1 << 10;
const GIB: u64 = 1 << 30;

/// Both addresses are multiples of 1 GiB, so that a page of that size can be used.
const IOVA: u64 = 4 * GIB;
const PHYS: u64 = 8 * GIB;

fn runs() -> Vec<PhysRun> {
    let run = |phys, length| PhysRun {
        phys,
        length: length as usize,
        kind: MemoryKind::Normal,
    };
    let piece = |number: u64| run(2 * PHYS + number * 128 * KIB, 64 * KIB);

    std::iter::once(run(PHYS, GIB))
        .chain((0..16).map(piece))
        .collect()
}

/// Returns a number of bytes as text.
fn size(bytes: u64) -> String {
    match bytes {
        GIB.. => format!("{}G", bytes / GIB),
        0x10_0000.. => format!("{}M", bytes / (KIB * KIB)),
        _ => format!("{}K", bytes / KIB),
    }
}

/// Maps the memory in the format `F`, and prints a line about it.
fn compare<F: Format>(options: F::Options) -> Result<(), Error> {
    let table = PageTable::<F, _>::new(<HostMemory>::default(), options, Limits::default(), ())?;
    let access = Access {
        read: true,
        write: true,
    };
    let mut gather = Gather::new();
    let mapped = table.map(IOVA, &runs(), access.into(), (), &mut gather);
    // The largest pages first.
    let mut pages: BTreeMap<_, usize> = BTreeMap::new();

    gather.flush(&table, |_| ());
    mapped?;
    table.for_each(0, *table.aperture().end(), |leaf| {
        *pages.entry(std::cmp::Reverse(leaf.size)).or_default() += 1;
        ControlFlow::Continue(())
    });
    let pages: Vec<_> = pages
        .iter()
        .map(|(bytes, count)| format!("{count} x {}", size(bytes.0)))
        .collect();
    let tables = table.memory().live() as u64;
    // All tables but the root have the same size.
    let bytes = (8 << F::ROOT_BITS) + (tables - 1) * (8 << F::INDEX_BITS);

    println!(
        "{:12} {:4} {:6} {:7} {:>8} KiB   {}",
        F::NAME,
        F::INPUT_BITS,
        F::LEVELS,
        tables,
        bytes / KIB,
        pages.join(", ")
    );
    Ok(())
}

fn main() -> Result<(), Error> {
    println!("format       bits levels  tables       memory   pages");
    compare::<SecondStage<3>>(Default::default())?;
    compare::<SecondStage<4>>(Default::default())?;
    compare::<SecondStage<5>>(Default::default())?;
    compare::<FirstStage<4>>(Default::default())?;
    compare::<FirstStage<5>>(Default::default())?;
    compare::<Stage1<Granule4K, 39>>(Default::default())?;
    compare::<Stage1<Granule4K, 48>>(Default::default())?;
    compare::<Stage1<Granule16K, 48>>(Default::default())?;
    compare::<Stage1<Granule64K, 48>>(Default::default())?;
    compare::<Stage2<Granule4K, 40>>(Default::default())?;
    compare::<Stage2<Granule16K, 40>>(Default::default())?;
    compare::<Stage2<Granule64K, 44>>(Default::default())?;
    compare::<Mock>(())
}
