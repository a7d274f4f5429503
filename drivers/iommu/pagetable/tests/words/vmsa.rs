// SPDX-License-Identifier: GPL-2.0

//! The descriptors of VMSAv8-64.

use crate::rows::{
    at, compare, mmio, row, ADDRESS_16K, ADDRESS_4K, ADDRESS_64K, GIB, KIB, MIB, PRIVILEGED, RW,
    RWX, RX, WX,
};
use iommu_pagetable::vmsa::{
    Granule16K, Granule4K, Granule64K, Stage1, Stage1Options, Stage2, Stage2Options,
};

/// A descriptor of a table with one entry, which is counted in 11:2.
const ONE: u64 = 0x7;

#[test]
fn stage1_4k() {
    // D8.3.1: AttrIndx 4:2, AP[2:1] 7:6, SH 9:8, AF 10, nG 11, DBM 51, Contiguous 52, PXN 53,
    // UXN 54; links count in 11:2.
    let iova = 0x0000_8080_4060_5000;
    let path = [257, 1, 3, 5];
    let rows = [
        row(
            "page, write-back, for all",
            4 * KIB,
            RWX,
            ONE,
            0x0000_0001_4000_0f47,
        ),
        row("page, PXN and UXN", 4 * KIB, RW, ONE, 0x0060_0001_4000_0f47),
        row(
            "page, AP[2]: read-only",
            4 * KIB,
            RX,
            ONE,
            0x0000_0001_4000_0fc7,
        ),
        row(
            "page, AP[1] clear, UXN",
            4 * KIB,
            PRIVILEGED,
            ONE,
            0x0040_0001_4000_0f07,
        ),
        mmio(row(
            "page, device, outer shareable",
            4 * KIB,
            RWX,
            ONE,
            0x0000_0001_4000_0e4b,
        )),
        at(
            0x0000_ffff_ffff_f000,
            row("the last page", 4 * KIB, RWX, ONE, 0x0000_ffff_ffff_ff47),
        ),
    ];
    compare::<Stage1<Granule4K, 48>>(Stage1Options::default(), iova, ADDRESS_4K, &path, &rows);
    let dirty = Stage1Options { track_dirty: true };
    let rows = [
        row("page, DBM: clean", 4 * KIB, RWX, ONE, 0x0008_0001_4000_0fc7),
        row(
            "page, read-only whatever DBM",
            4 * KIB,
            RX,
            ONE,
            0x0000_0001_4000_0fc7,
        ),
    ];
    compare::<Stage1<Granule4K, 48>>(dirty, iova, ADDRESS_4K, &path, &rows);
}

#[test]
fn stage1_4k_blocks_and_groups() {
    let iova = 0x0000_0040_4060_0000; // entries 257, 3 of a root of 512
    let options = Stage1Options::default();
    let blocks = [row(
        "a block of 2M",
        2 * MIB,
        RWX,
        ONE,
        0x0000_0001_4000_0f45,
    )];
    compare::<Stage1<Granule4K, 39>>(options, iova, ADDRESS_4K, &[257, 3], &blocks);
    let groups = [row("16 pages", 64 * KIB, RWX, 0x43, 0x0010_0001_4000_0f47)];
    compare::<Stage1<Granule4K, 39>>(options, iova, ADDRESS_4K, &[257, 3, 0], &groups);
    let huge = [row("a block of 1G", GIB, RWX, 0, 0x0000_0001_4000_0f45)];
    compare::<Stage1<Granule4K, 39>>(options, 0x0000_0040_4000_0000, ADDRESS_4K, &[257], &huge);
    let groups = [row(
        "16 blocks of 2M",
        32 * MIB,
        RWX,
        0x43,
        0x0010_0001_4000_0f45,
    )];
    compare::<Stage1<Granule4K, 39>>(options, 0x40_4000_0000, ADDRESS_4K, &[257, 0], &groups);
}

#[test]
fn stage1_16k() {
    let options = Stage1Options::default();
    // Entries 1 of 2, 3 of 2048, 5, 7.
    let iova = (1 << 47) + (3 << 36) + (5 << 25) + (7 << 14);
    let rows = [row(
        "page of 16K",
        16 * KIB,
        RWX,
        0x7,
        0x0000_0001_4000_0f47,
    )];
    compare::<Stage1<Granule16K, 48>>(options, iova, ADDRESS_16K, &[1, 3, 5, 7], &rows);
    let iova = (1 << 47) + (3 << 36) + (5 << 25);
    let rows = [
        row("128 pages", 2 * MIB, RWX, 0x203, 0x0010_0001_4000_0f47),
        // A full table of 2048: bit 11 of the number is in bit 53.
        at(
            0x1_4000_4000,
            row(
                "a full table",
                32 * MIB,
                RWX,
                0x0020_0000_0000_0003,
                0x0000_0001_4000_4f47,
            ),
        ),
    ];
    compare::<Stage1<Granule16K, 48>>(options, iova, ADDRESS_16K, &[1, 3, 5, 0], &rows);
    let rows = [row(
        "a block of 32M",
        32 * MIB,
        RWX,
        0x7,
        0x0000_0001_4000_0f45,
    )];
    compare::<Stage1<Granule16K, 48>>(options, iova, ADDRESS_16K, &[1, 3, 5], &rows);
}

#[test]
fn stage1_64k() {
    let options = Stage1Options::default();
    // With 64K, bits 51:48 of an output address are in 15:12.
    let iova = (513 << 42) + (5 << 29) + (7 << 16);
    let rows = [
        row("page of 64K", 64 * KIB, RWX, 0x7, 0x0000_0001_4000_0f47),
        at(
            0x000a_1234_5678_0000,
            row(
                "page above 48 bits",
                64 * KIB,
                RWX,
                0x7,
                0x0000_1234_5678_af47,
            ),
        ),
    ];
    compare::<Stage1<Granule64K, 52>>(options, iova, ADDRESS_64K, &[513, 5, 7], &rows);
    let iova = (63 << 42) + (5 << 29);
    let rows = [
        row("32 pages", 2 * MIB, RWX, 0x83, 0x0010_0001_4000_0f47),
        // A full table of 8192: bit 13 of the number is in bit 55.
        at(
            0x1_4001_0000,
            row(
                "a full table",
                512 * MIB,
                RWX,
                0x0080_0000_0000_0003,
                0x0000_0001_4001_0f47,
            ),
        ),
    ];
    compare::<Stage1<Granule64K, 48>>(options, iova, ADDRESS_64K, &[63, 5, 0], &rows);
    let rows = [at(
        0x0005_0000_2000_0000,
        row(
            "a block of 512M",
            512 * MIB,
            RWX,
            0x7,
            0x0000_0000_2000_5f45,
        ),
    )];
    compare::<Stage1<Granule64K, 48>>(options, iova, ADDRESS_64K, &[63, 5], &rows);
}

#[test]
fn stage2() {
    // D8.3.1: MemAttr 5:2, S2AP 7:6, SH 9:8, AF 10, DBM 51, Contiguous 52, XN 54:53.
    let options = Stage2Options::default();
    // A root of two tables side by side: entry 512 is the first one of the second.
    let iova = 0x80_4060_5000; // entries 513, 3, 5
    let path = [513, 3, 5];
    let rows = [
        row("page, write-back", 4 * KIB, RWX, ONE, 0x0000_0001_4000_07ff),
        row("page, XN[1]", 4 * KIB, RW, ONE, 0x0040_0001_4000_07ff),
        row("page, S2AP 01", 4 * KIB, RX, ONE, 0x0000_0001_4000_077f),
        row("page, S2AP 10", 4 * KIB, WX, ONE, 0x0000_0001_4000_07bf),
        mmio(row(
            "page, device nGnRE",
            4 * KIB,
            RWX,
            ONE,
            0x0000_0001_4000_06c7,
        )),
    ];
    compare::<Stage2<Granule4K, 40>>(options, iova, ADDRESS_4K, &path, &rows);
    let forced = Stage2Options {
        force_write_back: true,
        track_dirty: true,
    };
    let rows = [
        row(
            "page, FWB, DBM: clean",
            4 * KIB,
            RWX,
            ONE,
            0x0008_0001_4000_075b,
        ),
        mmio(row(
            "page, device with FWB",
            4 * KIB,
            RX,
            ONE,
            0x0000_0001_4000_0647,
        )),
    ];
    compare::<Stage2<Granule4K, 40>>(forced, iova, ADDRESS_4K, &path, &rows);
}

#[test]
fn stage2_blocks_and_larger_granules() {
    let options = Stage2Options::default();
    let path = [513, 3];
    let rows = [row(
        "a block of 2M",
        2 * MIB,
        RWX,
        ONE,
        0x0000_0001_4000_07fd,
    )];
    compare::<Stage2<Granule4K, 40>>(options, 0x80_4060_0000, ADDRESS_4K, &path, &rows);
    let rows = [row(
        "page of 16K",
        16 * KIB,
        RWX,
        ONE,
        0x0000_0001_4000_07ff,
    )];
    // 16 tables of 2048 side by side.
    let iova = (32_767 << 25) + (7 << 14);
    compare::<Stage2<Granule16K, 40>>(options, iova, ADDRESS_16K, &[32_767, 7], &rows);
    let rows = [row(
        "page of 64K",
        64 * KIB,
        RWX,
        ONE,
        0x0000_0001_4000_07ff,
    )];
    let iova = (8191 << 29) + (7 << 16);
    compare::<Stage2<Granule64K, 42>>(options, iova, ADDRESS_64K, &[8191, 7], &rows);
}
