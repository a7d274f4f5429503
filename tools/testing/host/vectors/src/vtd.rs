// SPDX-License-Identifier: GPL-2.0

//! The cases for Intel VT-d as QEMU's `intel-iommu` with `aw-bits=48` emulates it.

use crate::{
    case::{hex, Shape, WRITE},
    image::Image,
    populate::{poked, populate, Poke, Table, Targets},
};
use iommu_pagetable::{
    vtd::{FirstStage, SecondStage},
    window::WindowMemory,
    Format, Limits, PageTable,
};
use iommu_walk::vtd as walk;
use serde_json::{json, Value};

const WINDOW: u64 = 0x200_0000;
const WINDOW_BYTES: usize = 4 << 20;
const END: u64 = 0x1_8000_0000;
const HOST_BITS: u32 = 48;

fn targets() -> Targets {
    Targets {
        next: 0x1000_0000,
        large: (0x1_0000_0000, END),
    }
}

/// The IOVA whose entries are changed: a page of level 0 that [`populate`] maps in every table.
fn spoilt<F: Format>() -> u64 {
    (1 << F::INPUT_BITS >> 2) - (1 << F::GRANULE_BITS)
}

pub fn cases() -> Vec<Value> {
    let mut cases = Vec::new();

    for (mode, scalable) in [("vtd-legacy-ss", false), ("vtd-scalable-ss", true)] {
        second_stage::<3>(mode, scalable, &mut cases);
        second_stage::<4>(mode, scalable, &mut cases);
    }
    first_stage(&mut cases);
    cases
}

fn shape<F: Format>(mode: &'static str, root: u64) -> Shape {
    Shape {
        name: format!("{} {mode}", F::NAME),
        mode,
        fields: vec![("levels", json!(F::LEVELS)), ("root", hex(root))],
    }
}

fn second_stage<const LEVELS: u32>(mode: &'static str, scalable: bool, cases: &mut Vec<Value>) {
    let window = WindowMemory::new(WINDOW, WINDOW_BYTES);
    let table: Table<'_, SecondStage<LEVELS>> =
        PageTable::new(&window, Default::default(), Limits::default(), ()).expect("a window");
    let mut probes = populate(&table, &mut targets());
    let image = Image::of(&window, END);
    let shape = shape::<SecondStage<LEVELS>>(mode, table.root());
    let walker = walk::SecondStage::new(walk::SecondStageConfig {
        root: table.root(),
        levels: LEVELS,
        guest_bits: HOST_BITS,
        host_bits: HOST_BITS,
        two_mib: true,
        one_gib: true,
        snoop_control: false,
        device_tlb: false,
        access_dirty: false,
    })
    .expect("a second stage");
    let translate = |image: &mut Image, iova| walker.translate(image, iova, WRITE);
    let fault = |fault: &walk::Fault| {
        let reason = if scalable {
            fault.scalable_reason()
        } else {
            fault.legacy_reason().expect("a second stage")
        };

        json!({ "reason": hex(reason.into()) })
    };

    if LEVELS < 4 {
        probes.push(1 << 39);
    }
    cases.push(shape.case("", &image, &probes, translate, fault));
    let iova = spoilt::<SecondStage<LEVELS>>();

    for poke in SECOND_STAGE {
        let image = poked::<SecondStage<LEVELS>>(&image, table.root(), iova, &poke);
        let variant = format!(", {}", poke.what);

        cases.push(shape.case(&variant, &image, &[iova], translate, fault));
    }
}

const fn poke(what: &'static str, level: u32, set: u64, clear: u64) -> Poke {
    Poke {
        what,
        level,
        set,
        clear,
    }
}

/// 9.8: bits 0 and 1 read and write, 7 page size, 11 reserved above level 0.
const SECOND_STAGE: [Poke; 7] = [
    poke("page not writable", 0, 0, 1 << 1),
    poke("page not present", 0, 0, 3),
    poke("table not writable", 1, 0, 1 << 1),
    poke("table not present", 1, 0, 3),
    poke("reserved bit in a table entry", 1, 1 << 11, 0),
    poke("page beyond the address width", 0, 1 << 50, 0),
    poke("table beyond the address width", 1, 1 << 50, 0),
];

fn first_stage(cases: &mut Vec<Value>) {
    let window = WindowMemory::new(WINDOW, WINDOW_BYTES);
    let table: Table<'_, FirstStage<4>> =
        PageTable::new(&window, Default::default(), Limits::default(), ()).expect("a window");
    let mut probes = populate(&table, &mut targets());
    let image = Image::of(&window, END);
    let shape = shape::<FirstStage<4>>("vtd-scalable-fs", table.root());
    let walker = walk::FirstStage::new(walk::FirstStageConfig {
        root: table.root(),
        levels: 4,
        host_bits: HOST_BITS,
        one_gib: true,
        no_execute: false,
        write_protect: false,
        supervisor: false,
        execute: false,
        execution_prevention: false,
        extended_accessed: false,
    })
    .expect("a first stage");
    let translate = |image: &mut Image, iova| walker.translate(image, iova, WRITE);
    let fault = |fault: &walk::Fault| json!({ "reason": hex(fault.scalable_reason().into()) });

    // Not canonical, and the upper half.
    probes.extend([1 << 47, u64::MAX << 47]);
    cases.push(shape.case("", &image, &probes, translate, fault));
    let iova = spoilt::<FirstStage<4>>();

    for poke in FIRST_STAGE {
        let image = poked::<FirstStage<4>>(&image, table.root(), iova, &poke);
        let variant = format!(", {}", poke.what);

        cases.push(shape.case(&variant, &image, &[iova], translate, fault));
    }
}

/// 9.7: bits 0 present, 1 write, 2 user, 5 accessed, 6 dirty, 7 page size.
const FIRST_STAGE: [Poke; 9] = [
    poke("page not writable", 0, 0, 1 << 1),
    poke("page of the supervisor", 0, 0, 1 << 2),
    poke("page not present", 0, 0, 1),
    poke("table not writable", 1, 0, 1 << 1),
    poke("table of the supervisor", 2, 0, 1 << 2),
    poke("table not present", 1, 0, 1),
    poke("page size where there is none", 3, 1 << 7, 0),
    poke("page beyond the address width", 0, 1 << 50, 0),
    poke("neither accessed nor dirty", 0, 0, 1 << 5 | 1 << 6),
];
