// SPDX-License-Identifier: GPL-2.0

//! Stage 1 of the VMSAv8-64.

use super::{
    super::{
        vmsa::{Cause, Class, FlagUpdates, Granule, Illegal, Stage1, Stage1Config, TableConfig},
        Stage,
    },
    memory::{Memory, Shape},
    READ, WRITE,
};
use std::{string::ToString, vec, vec::Vec};

const ROOT: u64 = 0x1_0000;

/// Arm ARM, D8.3: kinds and attributes.
const TABLE: u64 = 3;
pub(super) const PAGE: u64 = 3;
const BLOCK: u64 = 1;
pub(super) const AP1: u64 = 1 << 6;
pub(super) const AP2: u64 = 1 << 7;
pub(super) const AF: u64 = 1 << 10;
pub(super) const DBM: u64 = 1 << 51;
const CONTIGUOUS: u64 = 1 << 52;

/// A page that may be read and written without privilege.
pub(super) const OPEN: u64 = PAGE | AF | AP1;

/// 48 bits with each granule. Fewer bits use the last elements.
pub(super) const K4: &[(u32, u32)] = &[(39, 9), (30, 9), (21, 9), (12, 9)];
const K16: &[(u32, u32)] = &[(47, 1), (36, 11), (25, 11), (14, 11)];
const K64: &[(u32, u32)] = &[(42, 6), (29, 13), (16, 13)];

/// An address that also fits into 39 bits.
pub(super) const IOVA: u64 = 0x0000_004a_bcde_f123;

fn table(granule: Granule, size_offset: u32) -> TableConfig {
    TableConfig {
        base: ROOT,
        size_offset,
        granule,
        top_byte_ignored: false,
        flat_permissions: false,
    }
}

fn config(granule: Granule, size_offset: u32) -> Stage1Config {
    Stage1Config {
        lower: Some(table(granule, size_offset)),
        upper: None,
        output_bits: 48,
        access_faultless: false,
        updates: FlagUpdates::None,
        write_xor_execute: false,
        privileged_access_never: false,
    }
}

fn stage(config: Stage1Config) -> Stage1 {
    Stage1::new(config).unwrap()
}

/// Creates a stage with four levels of 4 KiB and one field changed.
pub(super) fn with(change: fn(&mut Stage1Config)) -> Stage1 {
    let mut config = config(Granule::K4, 16);
    change(&mut config);
    stage(config)
}

pub(super) fn mapped(levels: &'static [(u32, u32)], depth: usize, leaf: u64) -> (Memory, Vec<u64>) {
    let shape = Shape {
        root: ROOT,
        levels,
        link: TABLE,
        offset: 0,
    };
    let mut memory = Memory::default();
    let path = shape.map(&mut memory, IOVA, depth, leaf);
    (memory, path)
}

#[test]
fn pages_and_blocks_of_every_granule() {
    // Granule, TxSZ, its levels, how deep the leaf is, log2 of its size; `None`: no such block.
    for (granule, size_offset, levels, depth, size) in [
        (Granule::K4, 16, K4, 1, None),
        (Granule::K4, 16, K4, 2, Some(30)),
        (Granule::K4, 16, K4, 3, Some(21)),
        (Granule::K4, 16, K4, 4, Some(12)),
        (Granule::K4, 25, &K4[1..], 1, Some(30)),
        (Granule::K4, 25, &K4[1..], 3, Some(12)),
        (Granule::K16, 16, K16, 1, None),
        (Granule::K16, 16, K16, 2, None),
        (Granule::K16, 16, K16, 3, Some(25)),
        (Granule::K16, 16, K16, 4, Some(14)),
        (Granule::K16, 17, &K16[1..], 3, Some(14)),
        (Granule::K64, 16, K64, 1, None),
        (Granule::K64, 16, K64, 2, Some(29)),
        (Granule::K64, 16, K64, 3, Some(16)),
        (Granule::K64, 22, &K64[1..], 2, Some(16)),
    ] {
        let last = depth == levels.len();
        let kind = if last { PAGE } else { BLOCK };
        let (mut memory, _) = mapped(levels, depth, 0x0000_8765_0000_0000 | kind | AF | AP1);
        memory.reads = 0;
        let found = stage(config(granule, size_offset)).translate(&mut memory, IOVA, WRITE);
        assert_eq!(memory.reads as usize, depth);
        match size {
            Some(size) => {
                let found = found.unwrap();
                let output = 0x0000_8765_0000_0000 | (IOVA & ((1 << size) - 1));
                assert_eq!((found.output, found.page_bits), (output, size));
            }
            None => {
                let fault = found.unwrap_err();
                let level = 4 - levels.len() + depth - 1;
                assert_eq!(
                    (fault.cause, fault.level),
                    (Cause::Translation, Some(level as u32))
                );
            }
        }
    }
}

#[test]
fn inputs_of_every_size() {
    // TxSZ by granule, and the level at which the walk begins (Arm ARM, D8.2).
    for (granule, first_level) in [
        (
            Granule::K4,
            (16..=39).map(|size| (size - 16) / 9).collect::<Vec<_>>(),
        ),
        (
            Granule::K16,
            (16..=39)
                .map(|size: u32| if size == 16 { 0 } else { 1 + (size - 17) / 11 })
                .collect(),
        ),
        (
            Granule::K64,
            (16..=39)
                .map(|size: u32| if size < 22 { 1 } else { 2 + (size - 22) / 13 })
                .collect(),
        ),
    ] {
        for (size_offset, level) in (16..=39).zip(first_level) {
            let stage = stage(config(granule, size_offset));
            let mut memory = Memory::default();
            let last = u64::MAX >> size_offset;
            let fault = stage.translate(&mut memory, last, READ).unwrap_err();
            assert_eq!(fault.level, Some(level), "{granule:?} {size_offset}");
            let fault = stage.translate(&mut memory, last + 1, READ).unwrap_err();
            assert_eq!((fault.cause, fault.level), (Cause::Translation, None));
            assert_eq!(memory.reads, 1);
        }
    }
}

#[test]
fn lower_and_upper_table() {
    let mut both = config(Granule::K4, 16);
    both.upper = Some(TableConfig {
        base: 0x8_0000,
        ..table(Granule::K64, 22)
    });
    let found = |config: Stage1Config, iova| {
        let mut memory = Memory::default();
        memory.broken.extend((0..0x200).map(|at| ROOT + 8 * at));
        memory
            .broken
            .extend((0..0x2000).map(|at| 0x8_0000 + 8 * at));
        match stage(config)
            .translate(&mut memory, iova, READ)
            .unwrap_err()
            .cause
        {
            Cause::ExternalAbort { fetched } => Some(fetched),
            _ => None,
        }
    };

    assert_eq!(found(both, 0), Some(ROOT));
    assert_eq!(found(both, 0x0000_ffff_ffff_ffff), Some(ROOT + 0xff8));
    assert_eq!(found(both, 0x0001_0000_0000_0000), None);
    assert_eq!(found(both, 0xffff_fbff_ffff_ffff), None);
    assert_eq!(found(both, 0xffff_fc00_0000_0000), Some(0x8_0000));
    assert_eq!(found(both, u64::MAX), Some(0x8_fff8));
    assert_eq!(found(both, 0x5500_0000_0000_0000), None);

    let disabled = Stage1Config {
        lower: None,
        ..both
    };
    assert_eq!(found(disabled, 0), None);
    assert_eq!(found(disabled, u64::MAX), Some(0x8_fff8));

    let tagged = Stage1Config {
        lower: both.lower.map(|table| TableConfig {
            top_byte_ignored: true,
            ..table
        }),
        ..both
    };
    assert_eq!(found(tagged, 0x5500_0000_0000_0000), Some(ROOT));
    assert_eq!(found(tagged, 0x5501_0000_0000_0000), None);
    // Bit 55 selects the table, and the top byte is ignored only if that table says so.
    assert_eq!(found(tagged, 0x55ff_fc00_0000_0000), None);
}

#[test]
fn the_base_is_aligned_to_the_table() {
    // 2^(42 - 39) entries: 64 bytes.
    let mut config = config(Granule::K4, 22);
    config.lower = config.lower.map(|table| TableConfig {
        base: 0x1_007f,
        ..table
    });
    let mut memory = Memory::default();
    memory.broken.insert(0x1_0040);
    let fault = stage(config).translate(&mut memory, 0, READ).unwrap_err();
    assert_eq!(fault.cause, Cause::ExternalAbort { fetched: 0x1_0040 });
}

#[test]
fn descriptors_that_are_none() {
    for at in 0..4 {
        for kind in [0, 2] {
            let (mut memory, path) = mapped(K4, 4, 0x7000 | OPEN);
            memory.set(path[at], memory.get(path[at]) & !3 | kind);
            let fault = stage(config(Granule::K4, 16))
                .translate(&mut memory, IOVA, READ)
                .unwrap_err();
            assert_eq!(
                (fault.cause, fault.level),
                (Cause::Translation, Some(at as u32))
            );
            let event = fault.event();
            assert_eq!(
                (event.number, event.s2, event.class),
                (0x10, false, Class::Input)
            );
            assert_eq!((event.input, event.address), (IOVA, 0));
        }
    }
    // A block in the last level is reserved.
    let (mut memory, _) = mapped(K4, 4, 0x7000 | BLOCK | AF | AP1);
    let fault = stage(config(Granule::K4, 16))
        .translate(&mut memory, IOVA, READ)
        .unwrap_err();
    assert_eq!((fault.cause, fault.level), (Cause::Translation, Some(3)));
}

#[test]
fn addresses_that_come_out() {
    for output_bits in [32, 36, 40, 42, 44, 48] {
        let mut config = config(Granule::K4, 16);
        config.output_bits = output_bits;
        for at in 0..4 {
            for (bit, fits) in [(output_bits - 1, true), (output_bits, output_bits == 48)] {
                let (mut memory, path) = mapped(K4, 4, 0x7000 | OPEN);
                memory.set(path[at], memory.get(path[at]) | 1 << bit);
                let found = stage(config).translate(&mut memory, IOVA, READ);
                let too_large = found.is_err_and(|fault| {
                    fault.cause == Cause::AddressSize
                        && fault.level == Some(at as u32)
                        && fault.event().number == 0x11
                });
                assert_eq!(too_large, !fits, "bit {bit} of {output_bits} at {at}");
            }
        }
    }
}

#[test]
fn addresses_of_52_bits() {
    let (mut memory, path) = mapped(K64, 3, 0x7_0000 | 0xf000 | OPEN);
    let mut config = config(Granule::K64, 16);
    let short = stage(config).translate(&mut memory, IOVA, READ).unwrap();
    assert_eq!(short.output, 0x7_f123);

    config.output_bits = 52;
    let long = stage(config).translate(&mut memory, IOVA, READ).unwrap();
    assert_eq!(long.output, 0x000f_0000_0007_f123);
    // Blocks of 4 TiB exist with such addresses only.
    memory.set(path[0], BLOCK | AF | AP1 | 0x1000);
    let block = stage(config).translate(&mut memory, IOVA, READ).unwrap();
    assert_eq!(
        (block.output, block.page_bits),
        (0x0001_0000_0000_0000 | IOVA, 42)
    );

    // Descriptors of smaller granules have no room for the upper bits, and those bits are ignored.
    let (mut memory, _) = mapped(K4, 4, 0x000f_0000_0000_7000 & !DBM | OPEN);
    let narrow = with(|config| config.output_bits = 52);
    assert_eq!(
        narrow.translate(&mut memory, IOVA, READ).unwrap().output,
        0x7123
    );
}

#[test]
fn access_flags() {
    use FlagUpdates::{Access, AccessAndDirty, None};

    for (faultless, updates, fault, after) in [
        (false, None, true, 0),
        (true, None, false, 0),
        (false, Access, false, AF),
        (true, Access, false, AF),
        (false, AccessAndDirty, false, AF),
    ] {
        let (mut memory, path) = mapped(K4, 4, 0x7000 | OPEN & !AF);
        let mut config = config(Granule::K4, 16);
        config.access_faultless = faultless;
        config.updates = updates;
        let found = stage(config).translate(&mut memory, IOVA, READ);
        assert_eq!(found.is_err(), fault);
        if let Err(fault) = found {
            assert_eq!((fault.cause, fault.level), (Cause::AccessFlag, Some(3)));
            assert_eq!(fault.event().number, 0x12);
        }
        assert_eq!(memory.get(path[3]) & AF, after);
    }
}

#[test]
fn the_order_of_checks() {
    let stage = with(|config| config.output_bits = 40);
    // All fields are illegal at first; then they are corrected one after the other.
    let mut page = 1 << 45;
    for (fix, cause) in [
        (0, Cause::Translation),
        (PAGE, Cause::AddressSize),
        (1 << 45, Cause::AccessFlag),
        (AF, Cause::Permission),
    ] {
        page ^= fix;
        let (mut memory, _) = mapped(K4, 4, page);
        let fault = stage.translate(&mut memory, IOVA, READ).unwrap_err();
        assert_eq!(fault.cause, cause);
    }
}

#[test]
fn runs_of_contiguous_pages() {
    // Arm ARM, D8.7: the depth, and log2 of the run.
    for (granule, levels, depth, size) in [
        (Granule::K4, K4, 2, 34),
        (Granule::K4, K4, 3, 25),
        (Granule::K4, K4, 4, 16),
        (Granule::K16, K16, 3, 30),
        (Granule::K16, K16, 4, 21),
        (Granule::K64, K64, 2, 34),
        (Granule::K64, K64, 3, 21),
    ] {
        let kind = if depth == levels.len() { PAGE } else { BLOCK };
        let (mut memory, _) = mapped(levels, depth, kind | AF | AP1 | CONTIGUOUS);
        let found = stage(config(granule, 16))
            .translate(&mut memory, IOVA, READ)
            .unwrap();
        assert_eq!(found.page_bits, size);
        assert_eq!(found.output, IOVA & ((1 << levels[depth - 1].0) - 1));
    }
    // A run is not larger than the input range.
    let (mut memory, path) = mapped(&K4[1..], 1, BLOCK | AF | AP1 | CONTIGUOUS);
    memory.set(ROOT, memory.get(path[0]));
    let found = stage(config(Granule::K4, 31))
        .translate(&mut memory, 0x123, READ)
        .unwrap();
    assert_eq!(found.page_bits, 33);
}

#[test]
fn every_bit_of_a_table_address() {
    for (granule, levels, lowest) in [
        (Granule::K4, K4, 12),
        (Granule::K16, K16, 14),
        (Granule::K64, K64, 16),
    ] {
        let (shift, width) = levels[1];
        for bit in lowest..48 {
            let (mut memory, path) = mapped(levels, 1, 1 << bit | TABLE);
            // Bits below the granule do not belong to the address.
            memory.set(path[0], memory.get(path[0]) | ((1 << lowest) - 1));
            let next = (1 << bit) + 8 * ((IOVA >> shift) % (1 << width));
            memory.broken.insert(next);
            let fault = stage(config(granule, 16))
                .translate(&mut memory, IOVA, READ)
                .unwrap_err();
            assert_eq!(fault.cause, Cause::ExternalAbort { fetched: next });
        }
    }
}

#[test]
fn memory_that_does_not_answer() {
    for at in 0..4 {
        let (mut memory, path) = mapped(K4, 4, 0x7000 | OPEN);
        memory.broken.insert(path[at]);
        let fault = with(|_| ()).translate(&mut memory, IOVA, READ).unwrap_err();
        assert_eq!(fault.cause, Cause::ExternalAbort { fetched: path[at] });
        assert_eq!((fault.stage, fault.level), (Stage::One, Some(at as u32)));
        let event = fault.event();
        assert_eq!(
            (event.number, event.s2, event.class),
            (0x0b, false, Class::Input)
        );
        assert_eq!(event.address, path[at]);
    }
    // Without hardware updates the entry is not written; with them a clear flag must be set.
    let (mut memory, path) = mapped(K4, 4, 0x7000 | OPEN & !AF);
    memory.read_only.extend(&path);
    let stage = with(|config| config.updates = FlagUpdates::Access);
    let fault = stage.translate(&mut memory, IOVA, READ).unwrap_err();
    assert_eq!(fault.cause, Cause::ExternalAbort { fetched: path[3] });
}

#[test]
fn a_descriptor_that_changes_under_the_update_is_looked_at_again() {
    let stage = with(|config| config.updates = FlagUpdates::AccessAndDirty);

    let (mut memory, path) = mapped(K4, 4, 0x7000 | OPEN | AP2 | DBM);
    memory.races.insert(path[3], vec![0]);
    let fault = stage.translate(&mut memory, IOVA, WRITE).unwrap_err();
    assert_eq!(fault.cause, Cause::Translation);
    assert_eq!(memory.get(path[3]), 0);

    let (mut memory, path) = mapped(K4, 4, 0x7000 | OPEN | AP2 | DBM);
    memory
        .races
        .insert(path[3], vec![0x9000 | OPEN | AP2 | DBM]);
    let found = stage.translate(&mut memory, IOVA, WRITE).unwrap();
    assert_eq!(found.output, 0x9123);
    assert_eq!(memory.get(path[3]), 0x9000 | OPEN | DBM);

    let (mut memory, path) = mapped(K4, 4, 0x7000 | OPEN | AP2 | DBM);
    memory.restless = Some((path[3], 1 << 55));
    let fault = stage.translate(&mut memory, IOVA, WRITE).unwrap_err();
    assert_eq!(fault.cause, Cause::ExternalAbort { fetched: path[3] });
}

#[test]
fn contexts_that_cannot_be() {
    for (change, illegal) in [
        (
            (|table| table.size_offset = 15) as fn(&mut TableConfig),
            Illegal::InputSize,
        ),
        (|table| table.size_offset = 40, Illegal::InputSize),
        (|table| table.size_offset = 0, Illegal::InputSize),
        (|table| table.size_offset = u32::MAX, Illegal::InputSize),
        (|table| table.base = 1 << 48, Illegal::Base),
    ] {
        for upper in [false, true] {
            let mut bad = table(Granule::K4, 16);
            change(&mut bad);
            let mut config = config(Granule::K4, 16);
            if upper {
                config.upper = Some(bad);
            } else {
                config.lower = Some(bad);
            }
            let error = Stage1::new(config).unwrap_err();
            assert_eq!((error.stage, error.illegal), (Stage::One, illegal));
            assert_eq!(error.event_number(), 0x0a);
        }
    }
    for output_bits in [0, 31, 33, 47, 51, 53, 64, u32::MAX] {
        let mut config = config(Granule::K64, 16);
        config.output_bits = output_bits;
        assert_eq!(
            Stage1::new(config).unwrap_err().illegal,
            Illegal::OutputSize
        );
    }
}

#[test]
fn a_fault_can_be_read() {
    let (mut memory, path) = mapped(K4, 4, 0x7000 | OPEN);
    memory.set(path[1], 0);
    let fault = with(|_| ()).translate(&mut memory, IOVA, READ).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "stage 1, level 1, translation fault, IOVA 0x4abcdef123"
    );
}
