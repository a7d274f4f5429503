// SPDX-License-Identifier: GPL-2.0

//! Both stages of the VMSAv8-64.

use super::{
    super::{
        vmsa::{
            Cause, Class, FlagUpdates, Granule, Nested, Stage1, Stage1Config, Stage2, Stage2Config,
            TableConfig,
        },
        Rights, Stage,
    },
    memory::{Memory, Shape},
    EXECUTE, READ, WRITE,
};
use std::{format, string::ToString, vec::Vec};

const IOVA: u64 = 0x0000_004a_bcde_f123;
const GUEST_PAGE: u64 = 0x0000_0033_3333_3000;
const HOST_PAGE: u64 = 0x0000_0155_5555_5000;
/// The physical address of a table of the guest less its guest-physical address.
const OFFSET: u64 = 1 << 43;

const FIRST: Shape = Shape {
    root: 0x10_0000_0000,
    levels: &[(39, 9), (30, 9), (21, 9), (12, 9)],
    link: 3,
    offset: OFFSET,
};
const SECOND: Shape = Shape {
    root: 0x10_0000,
    levels: &[(30, 10), (21, 9), (12, 9)],
    link: 3,
    offset: 0,
};

const PAGE: u64 = 3;
const AF: u64 = 1 << 10;
const DBM: u64 = 1 << 51;
/// Stage 1: read-only, also for requests without privilege.
const AP1: u64 = 1 << 6;
const AP2: u64 = 1 << 7;
/// Stage 2.
const R: u64 = 1 << 6;
const W: u64 = 1 << 7;

/// Both stages, and the addresses of their entries.
struct Setup {
    memory: Memory,
    nested: Nested,
    /// The entries of stage 1, top first.
    first: Vec<u64>,
    /// For each of those, the last entry of stage 2 on the path to it; then that of the page.
    second: Vec<u64>,
}

fn setup(updates: FlagUpdates) -> Setup {
    let mut memory = Memory::default();
    let first = FIRST.map(&mut memory, IOVA, 4, GUEST_PAGE | PAGE | AF | AP1);
    let mut second = Vec::new();

    for slot in &first {
        let table = slot & !0xfff;
        let leaf = table | PAGE | AF | R | W;
        second.extend(SECOND.map(&mut memory, table - OFFSET, 3, leaf).pop());
    }
    let leaf = HOST_PAGE | PAGE | AF | R | W;
    second.extend(SECOND.map(&mut memory, GUEST_PAGE, 3, leaf).pop());

    let stage1 = Stage1::new(Stage1Config {
        lower: Some(TableConfig {
            base: FIRST.root,
            size_offset: 16,
            granule: Granule::K4,
            top_byte_ignored: false,
            flat_permissions: false,
        }),
        upper: None,
        output_bits: 44,
        access_faultless: false,
        updates,
        write_xor_execute: false,
        privileged_access_never: false,
    });
    let stage2 = Stage2::new(Stage2Config {
        base: SECOND.root,
        size_offset: 24,
        start_field: 1,
        granule: Granule::K4,
        output_bits: 44,
        system_bits: 44,
        access_faultless: false,
        updates,
        execute_by_privilege: false,
    });
    Setup {
        memory,
        nested: Nested {
            stage1: stage1.unwrap(),
            stage2: stage2.unwrap(),
        },
        first,
        second,
    }
}

#[test]
fn both_stages_translate() {
    let Setup {
        mut memory, nested, ..
    } = setup(FlagUpdates::None);
    let found = nested.translate(&mut memory, IOVA, WRITE).unwrap();
    assert_eq!((found.output, found.page_bits), (HOST_PAGE | 0x123, 12));
    assert_eq!(found.permissions.user, Rights::ALL);
    // Four descriptors of stage 1, and three of stage 2 for each and for the page.
    assert_eq!(memory.reads, 4 + 5 * 3);
}

#[test]
fn the_smaller_page_and_the_common_rights() {
    let Setup {
        mut memory,
        nested,
        first,
        ..
    } = setup(FlagUpdates::None);
    memory.set(first[2], 0x0000_0033_3320_0000 | 1 | AF | AP1);
    SECOND.map(
        &mut memory,
        0x0000_0033_333e_f000,
        3,
        HOST_PAGE | PAGE | AF | R,
    );
    let found = nested.translate(&mut memory, IOVA, READ).unwrap();
    assert_eq!((found.output, found.page_bits), (HOST_PAGE | 0x123, 12));
    assert!(found.permissions.user.execute && !found.permissions.user.write);

    let Setup {
        mut memory, nested, ..
    } = setup(FlagUpdates::None);
    SECOND.map(
        &mut memory,
        GUEST_PAGE,
        2,
        0x0000_0155_5540_0000 | 1 | AF | R,
    );
    let found = nested.translate(&mut memory, IOVA, READ).unwrap();
    assert_eq!((found.output, found.page_bits), (0x0000_0155_5553_3123, 12));
}

#[test]
fn every_class_of_fault_at_every_place() {
    // The change of the last entry of stage 2, and the expected result.
    for (change, cause, number) in [
        ((|_| 0) as fn(u64) -> u64, Cause::Translation, 0x10),
        (|entry| entry | 1 << 46, Cause::AddressSize, 0x11),
        (|entry| entry & !AF, Cause::AccessFlag, 0x12),
        (|entry| entry & !(R | W), Cause::Permission, 0x13),
        (|entry| entry & !R, Cause::Permission, 0x13),
    ] {
        for at in 0..5 {
            let Setup {
                mut memory,
                nested,
                first,
                second,
            } = setup(FlagUpdates::None);
            memory.set(second[at], change(memory.get(second[at])));
            let fault = nested.translate(&mut memory, IOVA, READ).unwrap_err();
            let ipa = first
                .get(at)
                .map_or(GUEST_PAGE | 0x123, |slot| slot - OFFSET);

            assert_eq!((fault.cause, fault.stage), (cause, Stage::Two));
            assert_eq!(
                (fault.iova, fault.ipa, fault.level),
                (IOVA, Some(ipa), Some(3))
            );
            let table = fault
                .table
                .map(|visit| (visit.level, visit.top, visit.update));
            assert_eq!(table, (at < 4).then_some((at as u32, at == 0, false)));

            let event = fault.event();
            let class = if at < 4 {
                Class::TranslationTable
            } else {
                Class::Input
            };
            assert_eq!((event.number, event.s2, event.class), (number, true, class));
            assert_eq!((event.input, event.address), (IOVA, ipa));
            assert_eq!(event.table_read, at < 4);
        }
    }
}

#[test]
fn stage_2_is_broken_at_every_level() {
    for at in 0..5 {
        for depth in 0..3 {
            let Setup {
                mut memory,
                nested,
                first,
                ..
            } = setup(FlagUpdates::None);
            let ipa = first.get(at).map_or(GUEST_PAGE, |slot| slot - OFFSET);
            let path = SECOND.map(&mut memory, ipa, 3, 0);
            memory.broken.insert(path[depth]);
            let fault = nested.translate(&mut memory, IOVA, READ).unwrap_err();
            assert_eq!(
                fault.cause,
                Cause::ExternalAbort {
                    fetched: path[depth]
                }
            );
            assert_eq!(fault.level, Some(1 + depth as u32));
            let event = fault.event();
            let class = if at < 4 {
                Class::TranslationTable
            } else {
                Class::Input
            };
            assert_eq!((event.number, event.s2, event.class), (0x0b, true, class));
            assert_eq!(event.address, path[depth]);
        }
    }
}

#[test]
fn stage_1_faults_as_it_does_alone() {
    for (change, cause) in [
        ((|_| 0) as fn(u64) -> u64, Cause::Translation),
        (|entry| entry | 1 << 44, Cause::AddressSize),
    ] {
        for at in 0..4 {
            let Setup {
                mut memory,
                nested,
                first,
                ..
            } = setup(FlagUpdates::None);
            memory.set(first[at], change(memory.get(first[at])));
            let fault = nested.translate(&mut memory, IOVA, READ).unwrap_err();
            assert_eq!((fault.cause, fault.stage), (cause, Stage::One));
            assert_eq!((fault.level, fault.ipa), (Some(at as u32), None));
            assert!(!fault.event().s2);
            assert_eq!(fault.event().class, Class::Input);
        }
    }
    // The address fetched is the physical one.
    let Setup {
        mut memory,
        nested,
        first,
        ..
    } = setup(FlagUpdates::None);
    memory.broken.insert(first[1]);
    let fault = nested.translate(&mut memory, IOVA, READ).unwrap_err();
    assert_eq!(fault.cause, Cause::ExternalAbort { fetched: first[1] });
    assert_eq!((fault.stage, fault.level), (Stage::One, Some(1)));
}

#[test]
fn stage_1_is_refused_before_stage_2_is_asked() {
    let Setup {
        mut memory,
        nested,
        first,
        second,
    } = setup(FlagUpdates::None);
    memory.set(first[3], GUEST_PAGE | PAGE | AF | AP1 | AP2);
    memory.set(second[4], 0);
    let fault = nested.translate(&mut memory, IOVA, WRITE).unwrap_err();
    assert_eq!((fault.cause, fault.stage), (Cause::Permission, Stage::One));

    memory.set(second[4], HOST_PAGE | PAGE | AF | W);
    let fault = nested.translate(&mut memory, IOVA, EXECUTE);
    assert!(fault.is_ok());
    let fault = nested.translate(&mut memory, IOVA, READ).unwrap_err();
    assert_eq!((fault.cause, fault.stage), (Cause::Permission, Stage::Two));
}

#[test]
fn an_ipa_beyond_stage_2() {
    for at in 0..4 {
        let Setup {
            mut memory,
            nested,
            first,
            ..
        } = setup(FlagUpdates::None);
        memory.set(first[at], memory.get(first[at]) | 1 << 40);
        let fault = nested.translate(&mut memory, IOVA, READ).unwrap_err();
        assert_eq!((fault.cause, fault.stage), (Cause::Translation, Stage::Two));
        assert_eq!(fault.level, None);
        assert_eq!(
            fault.table.map(|visit| visit.level),
            (at < 3).then_some(at as u32 + 1)
        );
        assert_eq!(fault.ipa.map(|ipa| ipa >> 40), Some(1));
    }
}

#[test]
fn flags_of_stage_1_are_written_through_stage_2() {
    let clean = GUEST_PAGE | PAGE | AP1 | AP2 | DBM;

    // Stage 2 marks the page of the guest's last table as dirty, and no other page.
    let Setup {
        mut memory,
        nested,
        first,
        second,
    } = setup(FlagUpdates::AccessAndDirty);
    memory.set(first[3], clean);
    for &slot in &second {
        memory.set(slot, memory.get(slot) & !(W | AF) | DBM);
    }
    nested.translate(&mut memory, IOVA, WRITE).unwrap();
    assert_eq!(memory.get(first[3]), clean & !AP2 | AF);
    let flags: Vec<_> = second
        .iter()
        .map(|&slot| memory.get(slot) & (AF | W))
        .collect();
    assert_eq!(flags, [AF, AF, AF, AF | W, AF | W]);

    // Stage 2 does not allow the write.
    let Setup {
        mut memory,
        nested,
        first,
        second,
    } = setup(FlagUpdates::AccessAndDirty);
    memory.set(first[3], clean);
    memory.set(second[3], memory.get(second[3]) & !W);
    let fault = nested.translate(&mut memory, IOVA, READ).unwrap_err();
    assert_eq!((fault.cause, fault.stage), (Cause::Permission, Stage::Two));
    assert!(fault.table.unwrap().update);
    let event = fault.event();
    assert_eq!(
        (event.class, event.table_read),
        (Class::TranslationTable, false)
    );
    assert_eq!(
        fault.to_string(),
        format!(
            "stage 2, level 3, permission fault, IOVA 0x4abcdef123, IPA {:#x}, \
             updating the stage 1 entry of level 3",
            first[3] - OFFSET
        )
    );
    assert_eq!(memory.get(first[3]), clean);
}
