// SPDX-License-Identifier: GPL-2.0

//! The cases for Arm's SMMUv3 as QEMU emulates it.

use crate::{
    case::{hex, Shape, WRITE},
    image::Image,
    populate::{map, poked, populate, run, Poke, Table, Targets},
};
use iommu_pagetable::{
    vmsa::{Granule, Granule16K, Granule4K, Granule64K, Stage1, Stage2},
    window::WindowMemory,
    Format, Gather, Limits, PageTable, Permissions, TableLayout,
};
use iommu_walk::vmsa as walk;
use serde_json::{json, Value};

/// The address of the tables of a stage that the SMMU reads directly.
const WINDOW: u64 = 0x4200_0000;
/// The addresses of the tables of a guest: guest-physical, and in memory, where the pages are in
/// the opposite order.
const GUEST_IPA: u64 = 0x1_2000_0000;
const GUEST_PHYS: u64 = 0x4600_0000;
const WINDOW_BYTES: usize = 16 << 20;
const END: u64 = 0x1_4000_0000;
/// IDR5.OAS of the emulation.
const SYSTEM_BITS: u32 = 44;

fn targets() -> Targets {
    Targets {
        next: 0x5000_0000,
        large: (0x6000_0000, END),
    }
}

pub fn cases() -> Vec<Value> {
    let mut cases = Vec::new();

    stage1::<Granule4K, 48>(&mut cases);
    stage1::<Granule4K, 39>(&mut cases);
    stage1::<Granule4K, 32>(&mut cases);
    stage1::<Granule16K, 48>(&mut cases);
    stage1::<Granule16K, 36>(&mut cases);
    stage1::<Granule64K, 48>(&mut cases);
    stage1::<Granule64K, 42>(&mut cases);
    stage2::<Granule4K, 44>(&mut cases);
    stage2::<Granule4K, 39>(&mut cases);
    stage2::<Granule16K, 44>(&mut cases);
    stage2::<Granule64K, 42>(&mut cases);
    nested::<Granule4K, 48, Granule4K, 39>(&mut cases);
    nested::<Granule4K, 39, Granule64K, 42>(&mut cases);
    nested::<Granule16K, 48, Granule4K, 44>(&mut cases);
    nested::<Granule64K, 48, Granule16K, 44>(&mut cases);
    cases
}

fn granule<G: Granule>() -> walk::Granule {
    match G::BITS {
        12 => walk::Granule::K4,
        14 => walk::Granule::K16,
        _ => walk::Granule::K64,
    }
}

/// Returns the level at which the walk starts, as Arm counts.
fn start_level<F: Format>() -> u32 {
    4 - F::LEVELS
}

fn stage1_walker<G: Granule, const BITS: u32>(root: u64) -> walk::Stage1 {
    walk::Stage1::new(walk::Stage1Config {
        lower: Some(walk::TableConfig {
            base: root,
            size_offset: 64 - BITS,
            granule: granule::<G>(),
            top_byte_ignored: false,
            flat_permissions: false,
        }),
        upper: None,
        output_bits: SYSTEM_BITS,
        access_faultless: false,
        updates: walk::FlagUpdates::None,
        write_xor_execute: false,
        privileged_access_never: false,
    })
    .expect("a stage 1")
}

fn stage2_walker<G: Granule, const BITS: u32>(root: u64) -> walk::Stage2 {
    let lowest = if G::BITS == 12 { 2 } else { 3 };

    walk::Stage2::new(walk::Stage2Config {
        base: root,
        size_offset: 64 - BITS,
        start_field: lowest - start_level::<Stage2<G, BITS>>(),
        granule: granule::<G>(),
        output_bits: SYSTEM_BITS,
        system_bits: SYSTEM_BITS,
        access_faultless: false,
        updates: walk::FlagUpdates::None,
        execute_by_privilege: false,
    })
    .expect("a stage 2")
}

/// Returns the event for a fault.
fn event(fault: &walk::Fault) -> Value {
    event_in(fault, 0x1000)
}

/// Returns the event for a fault where tables of stage 1 have `size` bytes.
///
/// If stage 2 refuses the access to one of them, the emulation records the address of the table,
/// not that of the entry.
fn event_in(fault: &walk::Fault, size: u64) -> Value {
    let event = fault.event();
    let page = if fault.table.is_some() { size } else { 0x1000 };

    json!({
        "event": hex(event.number.into()),
        "s2": event.s2,
        "class": event.class as u8,
        "ipa": event.s2.then(|| format!("{:#x}", event.address & !(page - 1))),
    })
}

const fn poke(what: &'static str, level: u32, set: u64, clear: u64) -> Poke {
    Poke {
        what,
        level,
        set,
        clear,
    }
}

/// D8.3: bits 1:0 the type, 10 the access flag, 47:44 beyond the output size of the SMMU.
const BOTH_STAGES: [Poke; 5] = [
    poke("page of a reserved type", 0, 0, 1 << 1),
    poke("page not valid", 0, 0, 1),
    poke("table not valid", 1, 0, 1),
    poke("access flag clear", 0, 0, 1 << 10),
    poke("page beyond the output size", 0, 1 << 45, 0),
];
/// AP\[2\] in bit 7. (The emulation ignores AP\[1\], in bit 6.)
const STAGE1: [Poke; 1] = [poke("page read-only", 0, 1 << 7, 0)];
/// S2AP in bits 7:6.
const STAGE2: [Poke; 1] = [poke("page not writable", 0, 0, 1 << 7)];

/// The IOVA whose entries are changed: a page of level 0 that [`populate`] maps in every table.
fn spoilt<F: Format>() -> u64 {
    (1 << F::INPUT_BITS >> 2) - (1 << F::GRANULE_BITS)
}

fn stage1<G: Granule, const BITS: u32>(cases: &mut Vec<Value>) {
    let window = WindowMemory::new(WINDOW, WINDOW_BYTES);
    let table: Table<'_, Stage1<G, BITS>> =
        PageTable::new(&window, Default::default(), Limits::default(), ()).expect("a window");
    let mut probes = populate(&table, &mut targets());
    let image = Image::of(&window, END);
    let walker = stage1_walker::<G, BITS>(table.root());
    let translate = |image: &mut Image, iova| walker.translate(image, iova, WRITE);
    let shape = Shape {
        name: format!("{}, {BITS} bits", Stage1::<G, BITS>::NAME),
        mode: "smmu-s1",
        fields: stage1_fields::<G, BITS>(table.root()),
    };

    // Neither half.
    probes.push(1 << BITS);
    cases.push(shape.case("", &image, &probes, translate, event));
    let iova = spoilt::<Stage1<G, BITS>>();

    for poke in BOTH_STAGES.iter().chain(&STAGE1) {
        let image = poked::<Stage1<G, BITS>>(&image, table.root(), iova, poke);
        let variant = format!(", {}", poke.what);

        cases.push(shape.case(&variant, &image, &[iova], translate, event));
    }
}

fn stage1_fields<G: Granule, const BITS: u32>(root: u64) -> Vec<(&'static str, Value)> {
    vec![
        ("granule", json!(G::BITS)),
        ("ia_bits", json!(BITS)),
        ("root", hex(root)),
    ]
}

fn stage2_fields<G: Granule, const BITS: u32>(root: u64) -> Vec<(&'static str, Value)> {
    vec![
        ("s2_granule", json!(G::BITS)),
        ("s2_ia_bits", json!(BITS)),
        ("s2_start_level", json!(start_level::<Stage2<G, BITS>>())),
        ("s2_root", hex(root)),
    ]
}

fn stage2<G: Granule, const BITS: u32>(cases: &mut Vec<Value>) {
    let window = WindowMemory::new(WINDOW, WINDOW_BYTES);
    let table: Table<'_, Stage2<G, BITS>> =
        PageTable::new(&window, Default::default(), Limits::default(), ()).expect("a window");
    let mut probes = populate(&table, &mut targets());
    let image = Image::of(&window, END);
    let walker = stage2_walker::<G, BITS>(table.root());
    let translate = |image: &mut Image, iova| walker.translate(image, iova, WRITE);
    let shape = Shape {
        name: format!("{}, {BITS} bits", Stage2::<G, BITS>::NAME),
        mode: "smmu-s2",
        fields: stage2_fields::<G, BITS>(table.root()),
    };

    if BITS < SYSTEM_BITS {
        probes.push(1 << BITS);
    }
    cases.push(shape.case("", &image, &probes, translate, event));
    let iova = spoilt::<Stage2<G, BITS>>();

    for poke in BOTH_STAGES.iter().chain(&STAGE2) {
        let image = poked::<Stage2<G, BITS>>(&image, table.root(), iova, poke);
        let variant = format!(", {}", poke.what);

        cases.push(shape.case(&variant, &image, &[iova], translate, event));
    }
}

const ALL: Permissions = Permissions {
    read: true,
    write: true,
    execute: true,
    privileged: false,
};

/// Returns the physical address of the page of a guest's table at `ipa`.
///
/// The pages are in the opposite order, so that a missing translation is noticed. (Pages of stage 2
/// that are smaller than a table of stage 1 stay together: the emulation translates the address of
/// a table, not those of its entries.)
fn guest_phys(ipa: u64, page: u64) -> u64 {
    let offset = ipa - GUEST_IPA;
    let last = WINDOW_BYTES as u64 - page;

    GUEST_PHYS + (last - (offset & !(page - 1))) + (offset & (page - 1))
}

/// Maps in stage 2 the guest's tables, page by page, and the output of stage 1: the small pages one
/// to one, and the large ones too, with holes.
fn map_guest<F: Format>(table: &Table<'_, F>, page: u64) {
    let runs: Vec<_> = (GUEST_IPA..GUEST_IPA + WINDOW_BYTES as u64)
        .step_by(page as usize)
        .map(|ipa| run(guest_phys(ipa, page), page))
        .collect();

    map(table, GUEST_IPA, &runs, ALL);
    let targets = targets();

    map(table, targets.next, &[run(targets.next, 8 << 20)], ALL);
    map(
        table,
        targets.large.0,
        &[run(targets.large.0, 0x4000_0000)],
        ALL,
    );
}

fn nested<G1: Granule, const BITS1: u32, G2: Granule, const BITS2: u32>(cases: &mut Vec<Value>) {
    let (host, guest) = (
        WindowMemory::new(WINDOW, WINDOW_BYTES),
        WindowMemory::new(GUEST_IPA, WINDOW_BYTES),
    );
    let outer: Table<'_, Stage2<G2, BITS2>> =
        PageTable::new(&host, Default::default(), Limits::default(), ()).expect("a window");
    let inner: Table<'_, Stage1<G1, BITS1>> =
        PageTable::new(&guest, Default::default(), Limits::default(), ()).expect("a window");
    let probes = populate(&inner, &mut targets());
    let cd = GUEST_IPA + WINDOW_BYTES as u64 - 0x10000;
    let page = 1u64 << G1::BITS.max(G2::BITS);

    map_guest(&outer, page);
    let mut fields = stage1_fields::<G1, BITS1>(inner.root());

    fields.extend(stage2_fields::<G2, BITS2>(outer.root()));
    fields.extend([("cd_ipa", hex(cd)), ("cd_phys", hex(guest_phys(cd, page)))]);
    let shape = Shape {
        name: format!(
            "{}, {BITS1} bits, under {}, {BITS2} bits",
            Stage1::<G1, BITS1>::NAME,
            Stage2::<G2, BITS2>::NAME
        ),
        mode: "smmu-nested",
        fields,
    };
    let walker = walk::Nested {
        stage1: stage1_walker::<G1, BITS1>(inner.root()),
        stage2: stage2_walker::<G2, BITS2>(outer.root()),
    };
    let translate = |image: &mut Image, iova| walker.translate(image, iova, WRITE);
    let event = |fault: &walk::Fault| event_in(fault, 1 << G1::BITS);
    let whole = |host: &WindowMemory| {
        let mut image = Image::of(host, END);

        image.add(&guest, |ipa| Some(guest_phys(ipa, page)));
        image
    };

    cases.push(shape.case("", &whole(&host), &probes, translate, event));
    // Then the pages with the guest's tables are unmapped, one by one, from the last one used.
    let iova = spoilt::<Stage1<G1, BITS1>>();
    let mut gather = Gather::new();

    for level in 0..Stage1::<G1, BITS1>::LEVELS {
        let table =
            inner_table::<Stage1<G1, BITS1>>(&guest, inner.root(), iova, level) & !(page - 1);

        // A page that is larger than the tables in it may have been unmapped before.
        let _ = outer.unmap(table, page, (), &mut gather, |_| ());
        let variant = format!(", guest's table of level {level} gone");

        cases.push(shape.case(&variant, &whole(&host), &[iova], translate, event));
    }
    gather.flush(&outer, |_| ());
}

/// Returns the IPA of the table of `level` for `iova`.
fn inner_table<F: Format>(guest: &WindowMemory, root: u64, iova: u64, level: u32) -> u64 {
    let image = Image::of(guest, u64::MAX);

    crate::populate::entry_of::<F>(&image, root, iova, level)
}
