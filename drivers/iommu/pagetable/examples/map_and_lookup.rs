// SPDX-License-Identifier: GPL-2.0

//! All operations on a page table of Intel VT-d's second stage with 4 levels.
//!
//! In `tools/testing/host`: `cargo run --example map_and_lookup`
//!
//! The tables are in the memory of this program. No device walks them, so the program prints the
//! invalidations that a driver would send to the IOMMU.

#![forbid(unsafe_code)]

use iommu_pagetable::{
    memory::HostMemory,
    vtd::{SecondStage, SecondStageOptions},
    Access, Error, Gather, Limits, MemoryKind, PageTable, PhysRun,
};
use std::ops::ControlFlow;

/// The format is a type. With another one here, everything below is compiled for that.
type Table = PageTable<SecondStage<4>, HostMemory>;

const PAGE: u64 = 4 << 10;
const LARGE: u64 = 2 << 20;

fn run(phys: u64, length: u64, kind: MemoryKind) -> PhysRun {
    PhysRun {
        phys,
        length: length as usize,
        kind,
    }
}

/// Prints every page, and the number of tables.
fn show(table: &Table) {
    let mut pages = 0;

    table.for_each(*table.aperture().start(), *table.aperture().end(), |leaf| {
        // A cut leaves 512 small pages behind; the first few are enough.
        if pages < 6 {
            println!(
                "  {:#08x} -> {:#010x}  {:4} KiB  {:?}",
                leaf.iova,
                leaf.phys,
                leaf.size >> 10,
                leaf.kind
            );
        }
        pages += 1;
        ControlFlow::Continue(())
    });
    println!("  {pages} pages, {} tables\n", table.memory().live());
}

/// Does what a driver does with a gather: it invalidates caches, and then tables can be freed.
fn flush(table: &Table, gather: Gather<HostMemory>) {
    gather.flush(table, |gather| {
        println!(
            "  invalidate the IOTLB for {:#x?}{}",
            gather.range(),
            if gather.has_tables() {
                ", and the caches of tables"
            } else {
                ""
            }
        );
    });
}

/// Creates an empty page table.
fn new_table() -> Result<Table, Error> {
    // The capabilities of the hardware: addresses of 46 bits, no pages of 1 GiB.
    let limits = Limits {
        output_bits: 46,
        page_sizes: PAGE | LARGE,
    };

    Table::new(
        HostMemory::default(),
        SecondStageOptions::default(),
        limits,
        (),
    )
}

/// Maps four runs with one call, looks up addresses, and maps a page that is in the way. Returns
/// the number of bytes that are mapped.
fn map_and_translate(table: &Table, iova: u64) -> Result<u64, Error> {
    let permissions = Access {
        read: true,
        write: true,
    }
    .into();

    // Memory as in a buffer of a user: two scattered pages, 4 MiB in one piece, a page of
    // registers. Their IOVAs are adjacent, and large pages are used where both addresses allow it.
    let runs = [
        run(0x7000, PAGE, MemoryKind::Normal),
        run(0x3000, PAGE, MemoryKind::Normal),
        run(0x4000_0000, 2 * LARGE, MemoryKind::Normal),
        run(0xfe00_0000, PAGE, MemoryKind::Mmio),
    ];
    let mut gather = Gather::new();

    println!("Mapping four runs at {iova:#x} with one call:");
    table.map(iova, &runs, permissions, (), &mut gather)?;
    flush(table, gather);
    show(table);

    for at in [iova + 0x10, iova + 3 * PAGE + 4, iova - 1] {
        match table.translate(at) {
            Some(phys) => println!("{at:#x} is translated to {phys:#x}"),
            None => println!("{at:#x} is not mapped"),
        }
    }

    let mut gather = Gather::new();

    println!("\nMapping a page over it is refused:");
    let again = table.map(iova + PAGE, &runs[..1], permissions, (), &mut gather);
    println!("  {again:?}\n");
    flush(table, gather);
    Ok(runs.iter().map(|run| run.length as u64).sum())
}

/// Unmaps `length` bytes and prints the runs that were mapped there. Returns the number of bytes.
fn unmap(table: &Table, iova: u64, length: u64) -> Result<u64, Error> {
    let mut gather = Gather::new();
    let bytes = table.unmap(iova, length, (), &mut gather, |run| {
        println!("  {:#010x}, {} KiB", run.phys, run.length >> 10);
    })?;

    flush(table, gather);
    show(table);
    Ok(bytes)
}

fn main() -> Result<(), Error> {
    let table = new_table()?;
    let iova = 2 * LARGE - 2 * PAGE;
    let length = map_and_translate(&table, iova)?;

    // The page is part of a large one, which is first replaced in one step by 512 small ones. A
    // device can use the rest of it all the time.
    println!("Unmapping one page in the middle of a large one:");
    unmap(&table, 2 * LARGE + 5 * PAGE, PAGE)?;

    // The caller need not remember what was mapped where: unmap() returns it.
    println!("Unmapping all of it:");
    let bytes = unmap(&table, iova, length)?;
    println!("{} KiB in all", bytes >> 10);
    Ok(())
}
