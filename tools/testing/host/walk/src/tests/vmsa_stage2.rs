// SPDX-License-Identifier: GPL-2.0

//! Stage 2 of the VMSAv8-64.

use super::{
    super::{
        vmsa::{Cause, Class, FlagUpdates, Granule, Illegal, Stage2, Stage2Config},
        Stage,
    },
    allowed,
    memory::{Memory, Shape},
    ATOMIC, EXECUTE, READ, WRITE,
};
use std::{string::ToString, vec, vec::Vec};

const ROOT: u64 = 0x10_0000;
const IPA: u64 = 0x0000_004a_bcde_f123;

/// Arm ARM, D8.3: kinds and attributes.
const TABLE: u64 = 3;
const PAGE: u64 = 3;
const BLOCK: u64 = 1;
const R: u64 = 1 << 6;
const W: u64 = 1 << 7;
const AF: u64 = 1 << 10;
const DBM: u64 = 1 << 51;
const CONTIGUOUS: u64 = 1 << 52;
const XN0: u64 = 1 << 53;
const XN1: u64 = 1 << 54;

const OPEN: u64 = PAGE | AF | R | W;

/// 40 bits from level 1: two adjacent tables instead of one more level.
const K4_CONCATENATED: &[(u32, u32)] = &[(30, 10), (21, 9), (12, 9)];

fn config() -> Stage2Config {
    Stage2Config {
        base: ROOT,
        size_offset: 24,
        start_field: 1,
        granule: Granule::K4,
        output_bits: 48,
        system_bits: 48,
        access_faultless: false,
        updates: FlagUpdates::None,
        execute_by_privilege: true,
    }
}

fn stage(config: Stage2Config) -> Stage2 {
    Stage2::new(config).unwrap()
}

fn with(change: fn(&mut Stage2Config)) -> Stage2 {
    let mut config = config();
    change(&mut config);
    stage(config)
}

fn mapped_in(
    levels: &'static [(u32, u32)],
    ipa: u64,
    depth: usize,
    leaf: u64,
) -> (Memory, Vec<u64>) {
    let shape = Shape {
        root: ROOT,
        levels,
        link: TABLE,
        offset: 0,
    };
    let mut memory = Memory::default();
    let path = shape.map(&mut memory, ipa, depth, leaf);
    (memory, path)
}

fn mapped(leaf: u64) -> (Memory, Vec<u64>) {
    mapped_in(K4_CONCATENATED, IPA, 3, leaf)
}

type Levels = &'static [(u32, u32)];

/// Granule, S2T0SZ, SL0, the levels, an IPA in the last of the first tables, log2 of the page size.
const CONCATENATIONS: [(Granule, u32, u32, Levels, u64, u32); 11] = [
    (
        Granule::K4,
        24,
        1,
        K4_CONCATENATED,
        0x0000_00ff_ffff_f123,
        12,
    ),
    (
        Granule::K4,
        25,
        1,
        &[(30, 9), (21, 9), (12, 9)],
        0x0000_007f_ffff_f123,
        12,
    ),
    (
        Granule::K4,
        21,
        1,
        &[(30, 13), (21, 9), (12, 9)],
        0x0000_07ff_ffff_f123,
        12,
    ),
    (
        Granule::K4,
        30,
        0,
        &[(21, 13), (12, 9)],
        0x0000_0003_ffff_f123,
        12,
    ),
    (
        Granule::K4,
        16,
        2,
        &[(39, 9), (30, 9), (21, 9), (12, 9)],
        0x0000_ffff_ffff_f123,
        12,
    ),
    (
        Granule::K16,
        16,
        2,
        &[(36, 12), (25, 11), (14, 11)],
        0x0000_ffff_ffff_f123,
        14,
    ),
    (
        Granule::K16,
        24,
        1,
        &[(25, 15), (14, 11)],
        0x0000_00ff_ffff_f123,
        14,
    ),
    (Granule::K16, 39, 0, &[(14, 11)], 0x0000_0000_01ff_f123, 14),
    (
        Granule::K64,
        16,
        2,
        &[(42, 6), (29, 13), (16, 13)],
        0x0000_ffff_ffff_f123,
        16,
    ),
    (
        Granule::K64,
        18,
        1,
        &[(29, 17), (16, 13)],
        0x0000_3fff_ffff_f123,
        16,
    ),
    (Granule::K64, 31, 0, &[(16, 17)], 0x0000_0001_ffff_f123, 16),
];

#[test]
fn concatenated_tables() {
    for (granule, size_offset, start_field, levels, ipa, size) in CONCATENATIONS {
        let stage = stage(Stage2Config {
            granule,
            size_offset,
            start_field,
            ..config()
        });
        let depth = levels.len();
        let (mut memory, _) = mapped_in(levels, ipa, depth, 0x0000_8765_0000_0000 | OPEN);
        let found = stage.translate(&mut memory, ipa, WRITE).unwrap();
        let output = 0x0000_8765_0000_0000 | (ipa & ((1 << size) - 1));
        assert_eq!((found.output, found.page_bits), (output, size));
        assert_eq!(memory.reads as usize, depth);

        let beyond = 1 << (64 - size_offset);
        let fault = stage.translate(&mut memory, beyond, READ).unwrap_err();
        // Addresses beyond IAS do not reach stage 2.
        let (cause, at) = match size_offset {
            16 => (Cause::AddressSize, Stage::One),
            _ => (Cause::Translation, Stage::Two),
        };
        assert_eq!((fault.cause, fault.stage, fault.level), (cause, at, None));
    }
}

#[test]
fn the_base_is_aligned_to_all_first_tables() {
    // Two tables of 4 KiB: bit 12 is ignored.
    let (mut memory, _) = mapped(0x7000 | OPEN);
    let stage = with(|config| config.base |= 0x1fff);
    assert_eq!(
        stage.translate(&mut memory, IPA, READ).unwrap().output,
        0x7123
    );
}

#[test]
fn start_level_and_input_size_must_agree() {
    // Arm ARM, D8.2: the first lookup resolves at least one bit, in at most sixteen tables.
    for (granule, field, sizes) in [
        (Granule::K4, 0, 30..=39),
        (Granule::K4, 1, 21..=33),
        (Granule::K4, 2, 16..=24),
        (Granule::K16, 0, 35..=39),
        (Granule::K16, 1, 24..=38),
        (Granule::K16, 2, 16..=27),
        (Granule::K64, 0, 31..=39),
        (Granule::K64, 1, 18..=34),
        (Granule::K64, 2, 16..=21),
    ] {
        for size_offset in 0..=64 {
            let made = Stage2::new(Stage2Config {
                granule,
                size_offset,
                start_field: field,
                ..config()
            });
            let good = sizes.contains(&size_offset);
            assert_eq!(
                made.is_ok(),
                good,
                "{granule:?} SL0 {field} S2T0SZ {size_offset}"
            );
            if let Err(error) = made {
                let outside = !(16..=39).contains(&size_offset);
                let illegal = if outside {
                    Illegal::InputSize
                } else {
                    Illegal::StartLevel
                };
                assert_eq!((error.stage, error.illegal), (Stage::Two, illegal));
                assert_eq!(error.event_number(), 0x04);
            }
        }
    }
}

#[test]
fn entries_that_cannot_be() {
    for (change, illegal) in [
        (
            (|config| config.start_field = 3) as fn(&mut Stage2Config),
            Illegal::StartLevel,
        ),
        (|config| config.start_field = u32::MAX, Illegal::StartLevel),
        (|config| config.system_bits = 36, Illegal::InputSize),
        (|config| config.output_bits = 41, Illegal::OutputSize),
        (|config| config.base = 1 << 48, Illegal::Base),
        (
            |config| {
                config.output_bits = 40;
                config.base = 1 << 40;
            },
            Illegal::Base,
        ),
    ] {
        let mut config = config();
        change(&mut config);
        assert_eq!(Stage2::new(config).unwrap_err().illegal, illegal);
    }
}

#[test]
fn smmus_that_cannot_be() {
    for system_bits in [0, 39, 49, 64, u32::MAX] {
        let error = Stage2::new(Stage2Config {
            system_bits,
            ..config()
        });
        assert_eq!(error.unwrap_err().illegal, Illegal::OutputSize);
    }
}

#[test]
fn the_topmost_level_exists_from_a_size_on() {
    for (granule, size_offset, exists) in [
        (Granule::K4, 24, [false, false, true]),
        (Granule::K16, 24, [false, true, true]),
        (Granule::K64, 21, [false, false, true]),
    ] {
        let made = [40, 42, 44].map(|system_bits| {
            let config = Stage2Config {
                granule,
                size_offset,
                start_field: 2,
                system_bits,
                ..config()
            };
            Stage2::new(config).is_ok()
        });
        assert_eq!(made, exists, "{granule:?}");
    }
}

#[test]
fn large_addresses_come_in_with_the_largest_granule_only() {
    let wide = Stage2Config {
        size_offset: 12,
        start_field: 2,
        granule: Granule::K64,
        output_bits: 52,
        system_bits: 52,
        ..config()
    };
    assert!(Stage2::new(wide).is_ok());
    // The output size is independent of that.
    assert!(Stage2::new(Stage2Config {
        output_bits: 48,
        ..wide
    })
    .is_ok());
    for granule in [Granule::K4, Granule::K16] {
        assert!(Stage2::new(Stage2Config { granule, ..wide }).is_err());
    }
    assert!(Stage2::new(Stage2Config {
        system_bits: 48,
        ..wide
    })
    .is_err());
}

#[test]
fn descriptors_that_are_none() {
    for at in 0..3 {
        for kind in [0, 2] {
            let (mut memory, path) = mapped(0x7000 | OPEN);
            memory.set(path[at], memory.get(path[at]) & !3 | kind);
            let fault = stage(config())
                .translate(&mut memory, IPA, READ)
                .unwrap_err();
            assert_eq!(
                (fault.cause, fault.level),
                (Cause::Translation, Some(1 + at as u32))
            );
            let event = fault.event();
            assert_eq!(
                (event.number, event.s2, event.class),
                (0x10, true, Class::Input)
            );
            assert_eq!((event.input, event.address), (IPA, IPA));
        }
    }
    let (mut memory, _) = mapped(0x7000 | BLOCK | AF | R);
    let fault = stage(config())
        .translate(&mut memory, IPA, READ)
        .unwrap_err();
    assert_eq!((fault.cause, fault.level), (Cause::Translation, Some(3)));
}

#[test]
fn addresses_that_come_out() {
    // The smaller of S2PS and OAS counts.
    for (output_bits, system_bits) in [(40, 48), (48, 40), (40, 40)] {
        let stage = stage(Stage2Config {
            output_bits,
            system_bits,
            ..config()
        });
        for at in 0..3 {
            for (bit, fits) in [(39, true), (40, false), (47, false)] {
                let (mut memory, path) = mapped(0x7000 | OPEN);
                memory.set(path[at], memory.get(path[at]) | 1 << bit);
                let too_large = stage.translate(&mut memory, IPA, READ).is_err_and(|fault| {
                    fault.cause == Cause::AddressSize
                        && fault.level == Some(1 + at as u32)
                        && fault.event().number == 0x11
                        && fault.event().s2
                });
                assert_eq!(too_large, !fits);
            }
        }
    }
}

#[test]
fn blocks_and_runs() {
    for (depth, leaf, size) in [
        (1, BLOCK, 30),
        (2, BLOCK, 21),
        (3, PAGE, 12),
        (1, BLOCK | CONTIGUOUS, 34),
        (2, BLOCK | CONTIGUOUS, 25),
        (3, PAGE | CONTIGUOUS, 16),
    ] {
        let (mut memory, _) = mapped_in(K4_CONCATENATED, IPA, depth, leaf | AF | R);
        let found = stage(config()).translate(&mut memory, IPA, READ).unwrap();
        assert_eq!(found.page_bits, size);
        assert_eq!(
            found.output,
            IPA & ((1 << K4_CONCATENATED[depth - 1].0) - 1)
        );
    }
}

/// Returns the rights to a page, those without privilege first.
fn rights(stage: &Stage2, page: u64) -> [&'static str; 2] {
    let (mut memory, _) = mapped(0x7000 | PAGE | AF | page);

    allowed(|access| match stage.translate(&mut memory, IPA, access) {
        Ok(_) => true,
        Err(fault) => {
            assert_eq!((fault.cause, fault.level), (Cause::Permission, Some(3)));
            assert_eq!((fault.event().number, fault.event().s2), (0x13, true));
            false
        }
    })
}

#[test]
fn permissions() {
    // Arm ARM, D8.4: S2AP and XN; user, privileged.
    let by_privilege = with(|_| ());
    for (page, expected) in [
        (0, ["--x", "--x"]),
        (R, ["r-x", "r-x"]),
        (W, ["-wx", "-wx"]),
        (R | W, ["rwx", "rwx"]),
        (R | W | XN0, ["rwx", "rw-"]),
        (R | W | XN1, ["rw-", "rw-"]),
        (R | W | XN0 | XN1, ["rw-", "rwx"]),
        // DBM has no effect where the hardware does not manage the dirty state.
        (R | DBM, ["r-x", "r-x"]),
    ] {
        assert_eq!(rights(&by_privilege, page), expected, "{page:#x}");
    }
    let alike = with(|config| config.execute_by_privilege = false);
    for (page, expected) in [
        (R | XN0, ["r-x", "r-x"]),
        (R | XN1, ["r--", "r--"]),
        (R | XN0 | XN1, ["r--", "r--"]),
    ] {
        assert_eq!(rights(&alike, page), expected, "{page:#x}");
    }
}

#[test]
fn access_flags_and_dirty_state() {
    use FlagUpdates::{Access, AccessAndDirty, None};
    let clean = 0x7000 | PAGE | R | DBM;

    for (faultless, updates, access, result) in [
        (false, None, READ, Err(Cause::AccessFlag)),
        (true, None, READ, Ok(clean)),
        (true, None, WRITE, Err(Cause::Permission)),
        (false, Access, READ, Ok(clean | AF)),
        (false, Access, WRITE, Err(Cause::Permission)),
        (false, AccessAndDirty, READ, Ok(clean | AF)),
        (false, AccessAndDirty, EXECUTE, Ok(clean | AF)),
        (false, AccessAndDirty, WRITE, Ok(clean | AF | W)),
        (false, AccessAndDirty, ATOMIC, Ok(clean | AF | W)),
    ] {
        let (mut memory, path) = mapped(clean);
        let stage = stage(Stage2Config {
            access_faultless: faultless,
            updates,
            ..config()
        });
        let found = stage.translate(&mut memory, IPA, access);
        assert_eq!(memory.get(path[2]), result.unwrap_or(clean));
        assert_eq!(found.map_err(|fault| fault.cause).err(), result.err());
    }
    // A page without DBM is read-only, and remains so.
    let (mut memory, path) = mapped(0x7000 | PAGE | R | AF);
    let stage = with(|config| config.updates = AccessAndDirty);
    let fault = stage.translate(&mut memory, IPA, WRITE).unwrap_err();
    assert_eq!(fault.cause, Cause::Permission);
    assert_eq!(memory.get(path[2]), 0x7000 | PAGE | R | AF);
}

#[test]
fn the_order_of_checks() {
    let stage = with(|config| config.output_bits = 40);
    let mut page = 1 << 45;
    for (fix, cause, number) in [
        (0, Cause::Translation, 0x10),
        (PAGE, Cause::AddressSize, 0x11),
        (1 << 45, Cause::AccessFlag, 0x12),
        (AF, Cause::Permission, 0x13),
    ] {
        page ^= fix;
        let (mut memory, _) = mapped(page);
        let fault = stage.translate(&mut memory, IPA, READ).unwrap_err();
        assert_eq!((fault.cause, fault.event().number), (cause, number));
    }
}

#[test]
fn memory_that_does_not_answer() {
    for at in 0..3 {
        let (mut memory, path) = mapped(0x7000 | OPEN);
        memory.broken.insert(path[at]);
        let fault = stage(config())
            .translate(&mut memory, IPA, READ)
            .unwrap_err();
        assert_eq!(fault.cause, Cause::ExternalAbort { fetched: path[at] });
        assert_eq!(fault.level, Some(1 + at as u32));
        let event = fault.event();
        assert_eq!(
            (event.number, event.s2, event.address),
            (0x0b, true, path[at])
        );
    }
}

#[test]
fn a_descriptor_that_changes_under_the_update_is_looked_at_again() {
    let stage = with(|config| config.updates = FlagUpdates::AccessAndDirty);
    let clean = PAGE | AF | R | DBM;

    let (mut memory, path) = mapped(0x7000 | clean);
    memory.races.insert(path[2], vec![0x9000 | clean]);
    let found = stage.translate(&mut memory, IPA, WRITE).unwrap();
    assert_eq!(found.output, 0x9123);
    assert_eq!(memory.get(path[2]), 0x9000 | clean | W);

    let (mut memory, path) = mapped(0x7000 | clean);
    memory.restless = Some((path[2], 1 << 55));
    let fault = stage.translate(&mut memory, IPA, WRITE).unwrap_err();
    assert_eq!(fault.cause, Cause::ExternalAbort { fetched: path[2] });
}

#[test]
fn a_fault_can_be_read() {
    let (mut memory, path) = mapped(0x7000 | OPEN);
    memory.set(path[0], 0);
    let fault = stage(config())
        .translate(&mut memory, IPA, READ)
        .unwrap_err();
    assert_eq!(
        fault.to_string(),
        "stage 2, level 1, translation fault, IOVA 0x4abcdef123, IPA 0x4abcdef123"
    );
}
