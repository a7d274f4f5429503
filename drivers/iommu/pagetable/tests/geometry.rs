// SPDX-License-Identifier: GPL-2.0

//! The number of levels and the size of the root of a page table, for every input size.
//!
//! For Arm this is what the tables of DDI 0487 say (D8.2), not what a formula gives: for which
//! input sizes a walk begins at which level, and which is the lowest bit that this level resolves.

#![forbid(unsafe_code)]

use iommu_pagetable::{
    memory::HostMemory,
    vmsa::{Granule16K, Granule4K, Granule64K, Stage1, Stage2},
    vtd::{FirstStage, SecondStage},
    Format, Limits, Mock, PageTable,
};
use std::ops::RangeInclusive;

/// Input sizes in bits, the level at which their walk begins, the lowest bit that it resolves.
type Rows = &'static [(RangeInclusive<u32>, u32, u32)];

/// Stage 1: TCR_ELx.TxSZ, as 64 minus the size.
const STAGE1_4K: Rows = &[(25..=30, 2, 21), (31..=39, 1, 30), (40..=48, 0, 39)];
const STAGE1_16K: Rows = &[
    (25..=25, 3, 14),
    (26..=36, 2, 25),
    (37..=47, 1, 36),
    (48..=48, 0, 47),
];
const STAGE1_64K: Rows = &[(25..=29, 3, 16), (30..=42, 2, 29), (43..=52, 1, 42)];

/// Stage 2: of the values of VTCR_EL2.SL0 that a size allows, the one that begins lowest, with up
/// to 16 tables side by side.
const STAGE2_4K: Rows = &[(25..=34, 2, 21), (35..=43, 1, 30), (44..=48, 0, 39)];
const STAGE2_16K: Rows = &[(25..=29, 3, 14), (30..=40, 2, 25), (41..=48, 1, 36)];
const STAGE2_64K: Rows = &[(25..=33, 3, 16), (34..=46, 2, 29), (47..=52, 1, 42)];

/// The levels of a format, and its entries in the root.
fn found<F: Format>() -> (u32, u32, u32) {
    (F::LEVELS, 1 << F::ROOT_BITS, F::INPUT_BITS)
}

fn expected(rows: Rows, bits: u32) -> (u32, u32, u32) {
    let (_, start, low) = rows
        .iter()
        .find(|(sizes, ..)| sizes.contains(&bits))
        .expect("a size of the tables");

    (4 - start, 1 << (bits - low), bits)
}

/// Compares every input size in the list, of a stage with a granule.
macro_rules! sizes {
    ($stage:ident, $granule:ident, $rows:ident: $($bits:literal)*) => {
        $(
            assert_eq!(
                found::<$stage<$granule, $bits>>(),
                expected($rows, $bits),
                "{} bits of {}",
                $bits,
                <$stage<$granule, $bits>>::NAME
            );
        )*
    };
}

#[test]
fn stage1() {
    sizes!(Stage1, Granule4K, STAGE1_4K:
        25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48);
    sizes!(Stage1, Granule16K, STAGE1_16K:
        25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48);
    sizes!(Stage1, Granule64K, STAGE1_64K:
        25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52);
}

#[test]
fn stage2() {
    sizes!(Stage2, Granule4K, STAGE2_4K:
        25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48);
    sizes!(Stage2, Granule16K, STAGE2_16K:
        25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48);
    sizes!(Stage2, Granule64K, STAGE2_64K:
        25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52);
}

#[test]
fn vtd() {
    // 3.7: 39, 48 and 57 bits. 3.6: the lower half of 48 and 57 bits, sign-extended.
    assert_eq!(found::<SecondStage<3>>(), (3, 512, 39));
    assert_eq!(found::<SecondStage<4>>(), (4, 512, 48));
    assert_eq!(found::<SecondStage<5>>(), (5, 512, 57));
    assert_eq!(found::<FirstStage<4>>(), (4, 512, 47));
    assert_eq!(found::<FirstStage<5>>(), (5, 512, 56));
    assert_eq!(found::<Mock>(), (4, 512, 47));
}

/// A root is aligned to its size, at least to 64 bytes (D8.2.3), and all of it is allocated.
fn root<F: Format>(options: F::Options) {
    let memory: HostMemory = HostMemory::default();
    let table = PageTable::<F, _>::new(memory, options, Limits::default(), ()).expect("new");
    let bytes = 8u64 << F::ROOT_BITS;

    assert_eq!(table.root() % bytes.max(64), 0, "{} bytes", bytes);
    assert_eq!(table.memory().raw(table.root() + bytes - 8), Some(0));
    assert_eq!(table.memory().raw(table.root() + bytes), None);
    assert_eq!(table.aperture(), 0..=(1 << F::INPUT_BITS) - 1);
}

#[test]
fn roots() {
    root::<SecondStage<3>>(Default::default());
    root::<Stage1<Granule4K, 25>>(Default::default());
    root::<Stage1<Granule4K, 31>>(Default::default());
    root::<Stage1<Granule16K, 48>>(Default::default());
    root::<Stage1<Granule64K, 52>>(Default::default());
    root::<Stage2<Granule4K, 43>>(Default::default());
    root::<Stage2<Granule16K, 40>>(Default::default());
    root::<Stage2<Granule64K, 46>>(Default::default());
}

/// Returns the page sizes of a format, or-ed together.
fn page_sizes<F: Format>(options: F::Options) -> u64 {
    let memory: HostMemory = HostMemory::default();

    PageTable::<F, _>::new(memory, options, Limits::default(), ())
        .expect("new")
        .page_sizes()
}

#[test]
fn sizes_of_pages_and_groups() {
    // 3.6, 3.7: 4K, 2M, 1G.
    assert_eq!(
        page_sizes::<SecondStage<4>>(Default::default()),
        0x4020_1000
    );
    assert_eq!(page_sizes::<FirstStage<4>>(Default::default()), 0x4020_1000);
    // D8.2, D8.7.1: 4K, 64K, 2M, 32M, 1G.
    assert_eq!(
        page_sizes::<Stage1<Granule4K, 48>>(Default::default()),
        0x4221_1000
    );
    // 16K, 2M, 32M, 1G.
    assert_eq!(
        page_sizes::<Stage1<Granule16K, 48>>(Default::default()),
        0x4220_4000
    );
    // 64K, 2M, 512M, 16G.
    assert_eq!(
        page_sizes::<Stage2<Granule64K, 48>>(Default::default()),
        0x4_2021_0000
    );
    // No block is larger than what the root covers.
    assert_eq!(
        page_sizes::<Stage1<Granule4K, 30>>(Default::default()),
        0x0221_1000
    );
    assert_eq!(page_sizes::<Mock>(()), 0x2010_0800);
}
