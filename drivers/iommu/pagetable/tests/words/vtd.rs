// SPDX-License-Identifier: GPL-2.0

//! VT-d's entries, and those of the mock.

use crate::rows::{
    at, compare, mmio, row, ADDRESS_VTD, GIB, KIB, MIB, PRIVILEGED, RW, RWX, RX, WX,
};
use iommu_pagetable::{
    vtd::{FirstStage, FirstStageOptions, SecondStage, SecondStageOptions},
    Mock,
};

/// A link to a table with one entry. 9.8: R 0, W 1, PS 7, D 9, SNP 11; 61:52 are ignored, and
/// count.
const SS_ONE: u64 = 0x0010_0000_0000_0003;

/// The same. 9.7: P 0, R/W 1, U/S 2, A 5, D 6, PS 7, XD 63; 62:52 are ignored, and count.
const FS_ONE: u64 = 0x0010_0000_0000_0027;

#[test]
fn second_stage() {
    let pages = [
        row(
            "SS-PTE, R and W",
            4 * KIB,
            RWX,
            SS_ONE,
            0x0000_0001_4000_0003,
        ),
        row("SS-PTE, R", 4 * KIB, RX, SS_ONE, 0x0000_0001_4000_0001),
        row("SS-PTE, W", 4 * KIB, WX, SS_ONE, 0x0000_0001_4000_0002),
        at(
            0x000f_ffff_ffff_f000,
            row(
                "SS-PTE, the last page",
                4 * KIB,
                RW,
                SS_ONE,
                0x000f_ffff_ffff_f003,
            ),
        ),
        mmio(row(
            "SS-PTE, MMIO noted in bit 52",
            4 * KIB,
            RW,
            SS_ONE,
            0x0010_0001_4000_0003,
        )),
        at(
            0x1_4000_1000,
            row(
                "SS-PDE, a full table",
                2 * MIB,
                RW,
                0x8000_0000_0000_0003,
                0x1_4000_1003,
            ),
        ),
    ];
    let iova = 0x0000_8080_4060_0000; // entries 257, 1, 3, 0
    compare::<SecondStage<4>>(
        SecondStageOptions::default(),
        iova,
        ADDRESS_VTD,
        &[257, 1, 3, 0],
        &pages,
    );
}

#[test]
fn second_stage_large_pages() {
    let iova = 0x0000_8080_4060_0000;
    let large = [row(
        "SS-PDE, a page of 2M",
        2 * MIB,
        RW,
        SS_ONE,
        0x0000_0001_4000_0083,
    )];
    compare::<SecondStage<4>>(
        SecondStageOptions::default(),
        iova,
        ADDRESS_VTD,
        &[257, 1, 3],
        &large,
    );
    let huge = [row(
        "SS-PDPE, a page of 1G",
        GIB,
        RW,
        SS_ONE,
        0x0000_0001_4000_0083,
    )];
    let iova = 0x0000_8080_4000_0000;
    compare::<SecondStage<4>>(
        SecondStageOptions::default(),
        iova,
        ADDRESS_VTD,
        &[257, 1],
        &huge,
    );
    let huge = [row(
        "SS-PDPE at the root",
        GIB,
        RW,
        0,
        0x0000_0001_4000_0083,
    )];
    compare::<SecondStage<3>>(
        SecondStageOptions::default(),
        0x7f_c000_0000,
        ADDRESS_VTD,
        &[511],
        &huge,
    );
}

#[test]
fn second_stage_snoops() {
    let snoop = SecondStageOptions {
        snoop: true,
        writable_only: false,
    };
    let rows = [row("SNP", 4 * KIB, RW, SS_ONE, 0x0000_0001_4000_0803)];
    compare::<SecondStage<5>>(
        snoop,
        0x0101_8080_4060_5000,
        ADDRESS_VTD,
        &[257, 257, 1, 3, 5],
        &rows,
    );
}

#[test]
fn first_stage() {
    let iova = 0x0000_4040_4060_5000; // entries 128, 257, 3, 5
    let path = [128, 257, 3, 5];
    let untracked = FirstStageOptions::default();
    let rows = [
        row(
            "FS-PTE, dirty from the start",
            4 * KIB,
            RW,
            FS_ONE,
            0x0000_0001_4000_0067,
        ),
        row(
            "FS-PTE, read-only",
            4 * KIB,
            RX,
            FS_ONE,
            0x0000_0001_4000_0025,
        ),
        row(
            "FS-PTE, supervisor",
            4 * KIB,
            PRIVILEGED,
            FS_ONE,
            0x0000_0001_4000_0063,
        ),
        mmio(row(
            "FS-PTE, MMIO noted in bit 52",
            4 * KIB,
            RW,
            FS_ONE,
            0x0010_0001_4000_0067,
        )),
    ];
    compare::<FirstStage<4>>(untracked, iova, ADDRESS_VTD, &path, &rows);
    let rows = [
        row("FS-PTE, clean", 4 * KIB, RWX, FS_ONE, 0x0000_0001_4000_0027),
        row("FS-PTE, XD", 4 * KIB, RW, FS_ONE, 0x8000_0001_4000_0027),
    ];
    let options = FirstStageOptions {
        no_execute: true,
        track_dirty: true,
    };
    compare::<FirstStage<4>>(options, iova, ADDRESS_VTD, &path, &rows);
}

#[test]
fn first_stage_large_pages() {
    let untracked = FirstStageOptions::default();
    let iova = 0x0000_4040_4060_0000;
    let large = [row(
        "FS-PDE, a page of 2M",
        2 * MIB,
        RW,
        FS_ONE,
        0x0000_0001_4000_00e7,
    )];
    compare::<FirstStage<4>>(untracked, iova, ADDRESS_VTD, &[128, 257, 3], &large);
    let huge = [row(
        "FS-PDPE, a page of 1G",
        GIB,
        RW,
        FS_ONE,
        0x0000_0001_4000_00e7,
    )];
    let iova = 0x0080_4040_4000_0000; // entries 128, 128, 257
    compare::<FirstStage<5>>(untracked, iova, ADDRESS_VTD, &[128, 128, 257], &huge);
}

#[test]
fn mock() {
    let rows = [
        row(
            "R and W",
            2 * KIB,
            RW,
            0x0010_0000_0000_0001,
            0x0000_0001_4000_000f,
        ),
        row(
            "R",
            2 * KIB,
            RX,
            0x0010_0000_0000_0001,
            0x0000_0001_4000_0007,
        ),
        mmio(row(
            "MMIO",
            2 * KIB,
            WX,
            0x0010_0000_0000_0001,
            0x0000_0001_4000_002b,
        )),
    ];
    let iova = (257 << 38) + (1 << 29) + (3 << 20) + (5 << 11);
    compare::<Mock>((), iova, 0x000f_ffff_ffff_f800, &[257, 1, 3, 5], &rows);
}
