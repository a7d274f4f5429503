// SPDX-License-Identifier: GPL-2.0

//! The caches of tables: an operation must request their invalidation if the device may have cached
//! a table that was removed.

#![forbid(unsafe_code)]

use iommu_pagetable::{
    memory::HostMemory,
    vmsa::{Granule4K, Stage2, Stage2Options},
    vtd::SecondStage,
    Error, Format, Gather, Limits, MemoryKind, PageTable, Permissions, PhysRun,
};

const PAGE: u64 = 1 << 12;
const LARGE: u64 = 1 << 21;
const RW: Permissions = Permissions {
    read: true,
    write: true,
    execute: false,
    privileged: false,
};

type Table<F> = PageTable<F, HostMemory>;

fn table<F: Format<Options: Default>>() -> Table<F> {
    PageTable::new(
        HostMemory::default(),
        Default::default(),
        Limits::default(),
        (),
    )
    .expect("memory")
}

fn map<F: Format>(table: &Table<F>, iova: u64, length: u64) -> Result<Gather<HostMemory>, Error> {
    let mut gather = Gather::new();
    let run = PhysRun {
        phys: iova + (1 << 30),
        length: length as usize,
        kind: MemoryKind::Normal,
    };

    table.map(iova, &[run], RW, (), &mut gather)?;
    Ok(gather)
}

fn unmap<F: Format>(table: &Table<F>, iova: u64, length: u64) -> Gather<HostMemory> {
    let mut gather = Gather::new();

    table
        .unmap(iova, length, (), &mut gather, |_| ())
        .expect("no page to cut");
    gather
}

/// The device has cached the table of page 5 when that is removed. Page 6 is mapped in its place
/// before the invalidation, so the range of page 6 must be invalidated too.
#[test]
fn a_page_where_a_table_was() {
    let table = table::<SecondStage<4>>();

    map(&table, 5 * PAGE, PAGE)
        .expect("free")
        .flush(&table, |_| panic!("no invalidation is required"));
    let pending = unmap(&table, 5 * PAGE, PAGE);
    let gather = map(&table, 6 * PAGE, PAGE).expect("free");

    assert!(gather.has_tables());
    assert!(gather.range().contains(&(6 * PAGE)));
    // The same applies to a map below the new table, even though it has not created that table.
    let neighbour = map(&table, 8 * PAGE, PAGE).expect("free");

    assert!(neighbour.has_tables());
    assert!(neighbour.range().contains(&(8 * PAGE)));
    neighbour.flush(&table, |_| ());
    unmap(&table, 8 * PAGE, PAGE).flush(&table, |_| ());
    let mut flushed = 0;

    gather.flush(&table, |_| flushed += 1);
    pending.flush(&table, |_| flushed += 1);
    assert_eq!(flushed, 2);
    // After the flushes, another map requires no invalidation.
    unmap(&table, 6 * PAGE, PAGE).flush(&table, |_| ());
    assert!(map(&table, 7 * PAGE, PAGE).expect("free").is_empty());
}

/// The same for a page as large as the table was.
#[test]
fn a_large_page_where_a_table_was() {
    let table = table::<SecondStage<4>>();

    map(&table, 0, PAGE)
        .expect("free")
        .flush(&table, |_| panic!("no invalidation is required"));
    let pending = unmap(&table, 0, PAGE);
    let gather = map(&table, 0, LARGE).expect("free");

    assert!(gather.has_tables());
    assert_eq!(gather.range(), 0..=LARGE - 1);
    gather.flush(&table, |_| ());
    pending.flush(&table, |_| ());
    unmap(&table, 0, LARGE).flush(&table, |_| ());
    assert!(map(&table, 0, LARGE).expect("free").is_empty());
}

/// A group that already contains a page is not marked, because the device might use that page for
/// all of it.
#[test]
fn no_group_around_another_page() {
    let table = table::<Stage2<Granule4K, 48>>();
    let marked = |table: &Table<Stage2<Granule4K, 48>>| {
        let page = table.unmap(0, PAGE, (), &mut Gather::new(), |_| ());

        page == Err(Error::Indivisible)
    };

    map(&table, 0, 16 * PAGE)
        .expect("free")
        .flush(&table, |_| ());
    assert!(marked(&table));
    unmap(&table, 0, 16 * PAGE).flush(&table, |_| ());

    map(&table, 15 * PAGE, PAGE)
        .expect("free")
        .flush(&table, |_| ());
    assert_eq!(map(&table, 0, 16 * PAGE).err(), Some(Error::Exists));
    map(&table, 0, 15 * PAGE)
        .expect("free")
        .flush(&table, |_| ());
    assert!(!marked(&table));
}

/// No groups are made where writes are tracked, because hardware may record a write to a group in
/// any of its entries.
#[test]
fn no_groups_where_writes_are_tracked() {
    let options = Stage2Options {
        track_dirty: true,
        ..Default::default()
    };
    let table: Table<Stage2<Granule4K, 48>> =
        PageTable::new(HostMemory::default(), options, Limits::default(), ()).expect("memory");

    assert_eq!(table.page_sizes(), 1 << 12 | 1 << 21 | 1 << 30);
    map(&table, 0, 16 * PAGE)
        .expect("free")
        .flush(&table, |_| ());
    assert!(table.mark_dirty(3 * PAGE));
    let mut dirty = Vec::new();

    table
        .read_dirty(0, 16 * PAGE, |iova, size| dirty.push((iova, size)))
        .expect("aligned");
    assert_eq!(dirty, [(3 * PAGE, PAGE)]);
}
