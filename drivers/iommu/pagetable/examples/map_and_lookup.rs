// SPDX-License-Identifier: GPL-2.0

//! A page table from its first map to its last flush: Intel VT-d's second stage, 4 levels.
//!
//! In `tools/testing/host`: `cargo run --example map_and_lookup`
//!
//! The tables lie in this program's own memory, which is all that the library asks for; there is no
//! device to walk them, so we say ourselves what it would have to forget.

#![forbid(unsafe_code)]

use iommu_pagetable::{
    memory::HostMemory,
    vtd::{SecondStage, SecondStageOptions},
    Access, Error, Gather, Limits, MemoryKind, PageTable, PhysRun,
};
use std::ops::ControlFlow;

/// The format is a type: another one here, and everything below is compiled for that.
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

/// Prints every page, and how many tables it takes to say so.
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

/// What a driver does with a gather: its device forgets, then tables may be used again.
fn flush(table: &Table, gather: Gather<HostMemory>) {
    gather.flush(&table, |gather| {
        println!(
            "  the IOTLB forgets {:#x?}{}",
            gather.range(),
            if gather.has_tables() {
                ", and which tables there were"
            } else {
                ""
            }
        );
    });
}

fn main() -> Result<(), Error> {
    // What the driver has read in the hardware's capabilities: addresses of 46 bits, no 1 GiB pages.
    let limits = Limits {
        output_bits: 46,
        page_sizes: PAGE | LARGE,
    };
    let table = Table::new(
        HostMemory::default(),
        SecondStageOptions::default(),
        limits,
        (),
    )?;
    let permissions = Access {
        read: true,
        write: true,
    }
    .into();

    // Memory as a user's buffer has it: two pages from anywhere, 4 MiB in one piece, a register page.
    // They follow each other in IOVA, and large pages are used where both addresses allow it.
    let iova = 2 * LARGE - 2 * PAGE;
    let runs = [
        run(0x7000, PAGE, MemoryKind::Normal),
        run(0x3000, PAGE, MemoryKind::Normal),
        run(0x4000_0000, 2 * LARGE, MemoryKind::Normal),
        run(0xfe00_0000, PAGE, MemoryKind::Mmio),
    ];
    let length: u64 = runs.iter().map(|run| run.length as u64).sum();
    let mut gather = Gather::new();

    println!("Mapping four runs at {iova:#x} with one call:");
    table.map(iova, &runs, permissions, (), &mut gather)?;
    flush(&table, gather);
    show(&table);

    for at in [iova + 0x10, iova + 3 * PAGE + 4, iova - 1] {
        match table.translate(at) {
            Some(phys) => println!("{at:#x} leads to {phys:#x}"),
            None => println!("{at:#x} leads nowhere"),
        }
    }

    let mut gather = Gather::new();

    println!("\nMapping over it is refused:");
    let again = table.map(iova + PAGE, &runs[..1], permissions, (), &mut gather);
    println!("  {again:?}\n");
    flush(&table, gather);

    // The page is part of a large one, which is replaced in one step by 512 small ones first. A device
    // that is using the rest of it notices nothing.
    let mut gather = Gather::new();

    println!("Unmapping one page in the middle of a large one:");
    table.unmap(2 * LARGE + 5 * PAGE, PAGE, (), &mut gather, |run| {
        println!("  {:#010x}, {} KiB", run.phys, run.length >> 10);
    })?;
    flush(&table, gather);
    show(&table);

    // Nobody need remember what was mapped where: the table knows.
    let mut gather = Gather::new();

    println!("Unmapping all of it:");
    let bytes = table.unmap(iova, length, (), &mut gather, |run| {
        println!("  {:#010x}, {} KiB", run.phys, run.length >> 10);
    })?;
    println!("  {} KiB in all", bytes >> 10);
    flush(&table, gather);
    show(&table);
    Ok(())
}
