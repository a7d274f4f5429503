// SPDX-License-Identifier: GPL-2.0

//! Two threads that change adjacent pages, in every order, under a model checker.
//!
//! The format is the smallest one in which tables are created and removed: three levels of two
//! entries. With
//! `--cfg loom` the words of tables are loom's atomics, and each test runs once for each order of
//! their accesses, and for each value that the memory model lets an access see. What is checked
//! when a table is retired (it is empty, it was not retired before) is in the memory of the tests.

#![cfg(loom)]
#![forbid(unsafe_code)]

use iommu_pagetable::{
    memory::HostMemory, AddressField, CountField, Format, Gather, LeafLayout, Limits, MemoryKind,
    PageTable, Pattern, Permissions, PhysRun, TableLayout,
};
use loom::{
    sync::Arc,
    thread::{self, JoinHandle},
};

const PAGE: u64 = 1 << 12;
const ADDRESS: u64 = (1 << 48) - (1 << 12);
const DIRTY: u64 = 1 << 2;
const MMIO: u64 = 1 << 3;

/// Three levels of two entries: eight pages.
struct Tiny;

impl TableLayout for Tiny {
    const LEVELS: u32 = 3;
    const GRANULE_BITS: u32 = 12;
    const INDEX_BITS: u32 = 1;
    const ROOT_BITS: u32 = 1;
    const LINK_MASK: u64 = 3;
    const LINK_TAG: u64 = 1;
    const LINK_FLAGS: u64 = 0;
    // Tables are smaller than pages here.
    const LINK_ADDRESS: u64 = (1 << 48) - (1 << 6);
    const COUNT: CountField = CountField {
        low: (52, 3),
        high: (0, 0),
    };
    const VISIBLE: u64 = 1 << 62;
}

impl LeafLayout for Tiny {
    const OUTPUT_BITS: u32 = 48;
    const LEAF_LEVELS: u32 = 2;
    const ADDRESS: AddressField = AddressField {
        own: ADDRESS,
        high: (0, 0),
    };
    const ATTRIBUTES: u64 = DIRTY | MMIO;
    const PAGE_FLAGS: u64 = 2;
    const LARGE_PAGE_FLAGS: u64 = 2;
    const MMIO: Pattern = Pattern::set(MMIO);
    const DIRTY: Pattern = Pattern::set(DIRTY);
    const DIRTY_FLAG: u64 = DIRTY;
}

impl Format for Tiny {
    const NAME: &'static str = "tiny";
    type Options = ();
    const CAN_CUT: bool = true;

    fn attributes((): (), _: Permissions, _: MemoryKind) -> Option<u64> {
        Some(0)
    }

    fn permissions(_: u64) -> Permissions {
        RW
    }
}

const RW: Permissions = Permissions {
    read: true,
    write: true,
    execute: false,
    privileged: false,
};

type Table = PageTable<Tiny, HostMemory>;

fn table() -> Arc<Table> {
    let table = Table::new(HostMemory::default(), (), Limits::default(), ());

    Arc::new(table.expect("no error is possible"))
}

/// Returns the physical address of the page with this number.
fn phys(page: u64) -> u64 {
    (page + 0x100) * PAGE
}

fn map(table: &Table, page: u64, pages: u64) {
    let mut gather = Gather::new();
    let run = PhysRun {
        phys: phys(page),
        length: (pages * PAGE) as usize,
        kind: MemoryKind::Normal,
    };

    assert_eq!(table.map(page * PAGE, &[run], RW, (), &mut gather), Ok(()));
    gather.flush(&table, |_| {});
}

fn unmap(table: &Table, page: u64, pages: u64) {
    let mut gather = Gather::new();
    let mut removed = 0;
    let result = table.unmap(page * PAGE, pages * PAGE, (), &mut gather, |run| {
        removed += run.length as u64;
    });

    assert_eq!((result, removed), (Ok(pages * PAGE), pages * PAGE));
    gather.flush(&table, |_| {});
}

fn finds(table: &Table, page: u64) {
    assert_eq!(table.translate(page * PAGE + 5), Some(phys(page) + 5));
}

fn spawn(table: &Arc<Table>, f: impl FnOnce(&Table) + Send + 'static) -> JoinHandle<()> {
    let table = table.clone();

    thread::spawn(move || f(&table))
}

/// Empties the table, in which `left` are mapped, and checks that no table was leaked.
fn ends_with(table: &Table, left: &[u64]) {
    for page in 0..8 {
        assert_eq!(
            table.translate(page * PAGE),
            left.contains(&page).then(|| phys(page))
        );
    }
    for &page in left {
        unmap(table, page, 1);
    }
    table.memory().check_retired();
    assert_eq!(
        table.memory().live(),
        1 + table.memory().retired(),
        "lost tables"
    );
}

/// Runs `f` in every order that this number of preemptions allows.
fn explore(f: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();

    model.preemption_bound = model.preemption_bound.or(Some(4));
    model.check(f);
}

#[test]
fn neighbours_come_and_go() {
    explore(|| {
        let table = table();
        let other = spawn(&table, |table| {
            map(table, 1, 1);
            finds(table, 1);
            unmap(table, 1, 1);
        });

        map(&table, 0, 1);
        finds(&table, 0);
        unmap(&table, 0, 1);
        other.join().expect("join");
        ends_with(&table, &[]);
    });
}

#[test]
fn cousins_come_and_go() {
    explore(|| {
        let table = table();
        let other = spawn(&table, |table| {
            map(table, 2, 1);
            unmap(table, 2, 1);
        });

        map(&table, 0, 1);
        unmap(&table, 0, 1);
        other.join().expect("join");
        ends_with(&table, &[]);
    });
}

#[test]
fn one_comes_as_the_last_one_goes() {
    for neighbour in [1, 2, 4] {
        explore(move || {
            let table = table();

            map(&table, 0, 1);
            let other = spawn(&table, move |table| {
                map(table, neighbour, 1);
                finds(table, neighbour);
            });

            unmap(&table, 0, 1);
            other.join().expect("join");
            ends_with(&table, &[neighbour]);
        });
    }
}

#[test]
fn a_table_is_replaced_by_another_one() {
    explore(|| {
        let table = table();

        map(&table, 0, 1);
        let other = spawn(&table, |table| {
            unmap(table, 0, 1);
            map(table, 0, 1);
        });

        map(&table, 1, 1);
        finds(&table, 1);
        other.join().expect("join");
        ends_with(&table, &[0, 1]);
    });
}

#[test]
fn both_are_the_last_one() {
    for neighbour in [1, 2] {
        explore(move || {
            let table = table();

            map(&table, 0, 1);
            map(&table, neighbour, 1);
            let other = spawn(&table, move |table| unmap(table, neighbour, 1));

            unmap(&table, 0, 1);
            other.join().expect("join");
            ends_with(&table, &[]);
        });
    }
}

#[test]
fn what_stays_is_found_meanwhile() {
    explore(|| {
        let table = table();

        map(&table, 0, 1);
        map(&table, 2, 1);
        let other = spawn(&table, |table| {
            unmap(table, 2, 1);
            map(table, 3, 1);
        });

        finds(&table, 0);
        assert_eq!(table.lookup(0).map(|leaf| leaf.size), Some(PAGE));
        let page = table.translate(2 * PAGE);
        assert!(page.is_none_or(|found| found == phys(2)));
        finds(&table, 0);
        other.join().expect("join");
        ends_with(&table, &[0, 3]);
    });
}

#[test]
fn a_large_page_is_cut_under_a_lookup() {
    explore(|| {
        let table = table();

        map(&table, 0, 2);
        let other = spawn(&table, |table| {
            finds(table, 1);
            map(table, 2, 2);
            finds(table, 1);
        });

        unmap(&table, 0, 1);
        other.join().expect("join");
        ends_with(&table, &[1, 2, 3]);
    });
}

#[test]
fn dirt_is_not_lost() {
    explore(|| {
        let table = table();

        map(&table, 0, 1);
        let other = spawn(&table, |table| {
            // The device tries again until its update succeeds.
            while !table.mark_dirty(0) {}
        });
        let mut gather = Gather::new();
        let mut seen = 0;

        for _ in 0..2 {
            table
                .read_and_clear_dirty(0, PAGE, &mut gather, |_, _| seen += 1)
                .expect("aligned");
        }
        other.join().expect("join");
        table
            .read_dirty(0, PAGE, |_, _| seen += 1)
            .expect("aligned");
        assert_eq!(seen, 1);
        gather.flush(&table, |_| {});
        ends_with(&table, &[0]);
    });
}
