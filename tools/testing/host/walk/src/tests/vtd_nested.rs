// SPDX-License-Identifier: GPL-2.0

//! VT-d's nested translation.

use super::{
    super::{
        vtd::{Cause, FirstStage, FirstStageConfig, Nested, SecondStage, SecondStageConfig},
        Stage,
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
    link: 7,
    offset: OFFSET,
};
const SECOND: Shape = Shape {
    root: 0x2000,
    levels: &[(30, 9), (21, 9), (12, 9)],
    link: 3,
    offset: 0,
};
/// In the second stage.
const R: u64 = 1;
const W: u64 = 2;

/// Both stages, and the addresses of their entries.
struct Setup {
    memory: Memory,
    nested: Nested,
    /// The entries of the first stage, top first.
    first: Vec<u64>,
    /// For each of those, the last entry of the second stage on the path to it; then that of the
    /// page.
    second: Vec<u64>,
}

fn setup() -> Setup {
    let mut memory = Memory::default();
    let first = FIRST.map(&mut memory, IOVA, 4, GUEST_PAGE | 7);
    let mut second = Vec::new();

    for slot in &first {
        let table = slot & !0xfff;
        second.extend(
            SECOND
                .map(&mut memory, table - OFFSET, 3, table | R | W)
                .pop(),
        );
    }
    second.extend(
        SECOND
            .map(&mut memory, GUEST_PAGE, 3, HOST_PAGE | R | W)
            .pop(),
    );

    let nested = Nested {
        first: FirstStage::new(FirstStageConfig {
            root: FIRST.root,
            levels: 4,
            host_bits: 46,
            one_gib: true,
            no_execute: true,
            write_protect: true,
            supervisor: false,
            execute: true,
            execution_prevention: false,
            extended_accessed: false,
        })
        .unwrap(),
        second: second_stage(true),
    };
    Setup {
        memory,
        nested,
        first,
        second,
    }
}

fn second_stage(access_dirty: bool) -> SecondStage {
    SecondStage::new(SecondStageConfig {
        root: SECOND.root,
        levels: 3,
        guest_bits: 48,
        host_bits: 46,
        two_mib: true,
        one_gib: true,
        snoop_control: false,
        device_tlb: false,
        access_dirty,
    })
    .unwrap()
}

#[test]
fn both_stages_translate() {
    let Setup {
        mut memory,
        nested,
        first,
        second,
    } = setup();
    let found = nested.translate(&mut memory, IOVA, WRITE).unwrap();
    assert_eq!(found.output, HOST_PAGE | 0x123);
    assert_eq!(found.page_bits, 12);

    // A and D of the first stage's entries are set, so the pages of the second stage are dirty too.
    let flags: Vec<_> = first.iter().map(|&slot| memory.get(slot) & 0x60).collect();
    assert_eq!(flags, [0x20, 0x20, 0x20, 0x60]);
    assert!(second.iter().all(|&slot| memory.get(slot) & 0x300 == 0x300));

    // If all flags of the first stage are set, its tables are only read.
    for &slot in &second {
        memory.set(slot, memory.get(slot) & !0x300);
    }
    nested.translate(&mut memory, IOVA, WRITE).unwrap();
    let flags: Vec<_> = second
        .iter()
        .map(|&slot| memory.get(slot) & 0x300)
        .collect();
    assert_eq!(flags, [0x100, 0x100, 0x100, 0x100, 0x300]);
}

#[test]
fn the_smaller_page_and_the_common_rights() {
    // The guest maps 2 MiB, the host 4 KiB of it, read-only.
    let Setup {
        mut memory,
        nested,
        first,
        ..
    } = setup();
    memory.set(first[2], 0x0000_0033_3320_0000 | 0x87);
    SECOND.map(&mut memory, 0x0000_0033_333e_f000, 3, HOST_PAGE | R);
    let found = nested.translate(&mut memory, IOVA, READ).unwrap();
    assert_eq!((found.output, found.page_bits), (HOST_PAGE | 0x123, 12));
    assert!(found.permissions.user.read && !found.permissions.user.write);

    // The guest maps 4 KiB, the host 2 MiB around it.
    let Setup {
        mut memory, nested, ..
    } = setup();
    let large = 0x0000_0155_5540_0000 | 0x80 | R | W;
    SECOND.map(&mut memory, GUEST_PAGE, 2, large);
    let found = nested.translate(&mut memory, IOVA, READ).unwrap();
    assert_eq!((found.output, found.page_bits), (0x0000_0155_5553_3123, 12));
}

#[test]
fn the_second_stage_refuses_a_table() {
    for at in 0..4 {
        let level = 4 - at as u32;
        let read = if at == 0 { 0x75 } else { 0x76 };
        // The rights in the second stage, whether the flags of the first are set, the reason.
        for (left, flagged, reason, update) in [
            (0, true, read, false),
            (W, true, read, false),
            (0, false, read, false),
            (R, false, 0x77, true),
            (R, true, 0, false),
        ] {
            let Setup {
                mut memory,
                nested,
                first,
                second,
            } = setup();
            if flagged {
                for &slot in &first {
                    memory.set(slot, memory.get(slot) | 0x60);
                }
            }
            memory.set(second[at], memory.get(second[at]) & !(R | W) | left);
            let Err(fault) = nested.translate(&mut memory, IOVA, READ) else {
                assert_eq!(reason, 0);
                continue;
            };
            assert_eq!(fault.scalable_reason(), reason, "{fault}");
            assert_eq!((fault.stage, fault.level), (Stage::Two, Some(1)));
            assert_eq!(fault.iova, IOVA);
            assert_eq!(fault.ipa, Some(first[at] - OFFSET));
            let visit = fault.table.unwrap();
            assert_eq!(
                (visit.level, visit.top, visit.update),
                (level, at == 0, update)
            );
        }
    }
}

#[test]
fn the_second_stage_refuses_the_page() {
    for (left, access, reason) in [
        (0, READ, 0x79),
        (R, WRITE, 0x85),
        (W, READ, 0x86),
        (W, EXECUTE, 0x86),
    ] {
        let Setup {
            mut memory,
            nested,
            second,
            ..
        } = setup();
        memory.set(second[4], HOST_PAGE | left);
        let fault = nested.translate(&mut memory, IOVA, access).unwrap_err();
        assert_eq!(fault.scalable_reason(), reason);
        assert_eq!((fault.stage, fault.level), (Stage::Two, Some(1)));
        assert_eq!((fault.iova, fault.table), (IOVA, None));
        assert_eq!(fault.ipa, Some(GUEST_PAGE | 0x123));
    }
}

#[test]
fn the_second_stage_itself_is_broken() {
    for at in 0..5 {
        for (depth, reason) in [(0, 0x7b), (1, 0x78), (2, 0x78)] {
            let Setup {
                mut memory,
                nested,
                first,
                ..
            } = setup();
            let ipa = first.get(at).map_or(GUEST_PAGE, |slot| slot - OFFSET);
            let path = SECOND.map(&mut memory, ipa, 3, 0);
            memory.broken.insert(path[depth]);
            let fault = nested.translate(&mut memory, IOVA, READ).unwrap_err();
            assert_eq!(fault.scalable_reason(), reason, "{fault}");
            assert_eq!(fault.level, Some(3 - depth as u32));
        }
        let Setup {
            mut memory,
            nested,
            second,
            ..
        } = setup();
        memory.set(second[at], memory.get(second[at]) | 1 << 50);
        let fault = nested.translate(&mut memory, IOVA, READ).unwrap_err();
        assert_eq!((fault.scalable_reason(), fault.stage), (0x7a, Stage::Two));
        assert_eq!(
            fault.table.map(|visit| 4 - visit.level as usize),
            (at < 4).then_some(at)
        );

        let Setup {
            mut memory,
            nested,
            second,
            ..
        } = setup();
        memory.read_only.insert(second[at]);
        let fault = nested.translate(&mut memory, IOVA, READ).unwrap_err();
        assert_eq!((fault.scalable_reason(), fault.stage), (0x92, Stage::Two));
    }
}

#[test]
fn the_first_stage_faults_as_it_does_alone() {
    for at in 0..4 {
        let level = Some(4 - at as u32);
        for (entry, reason) in [(0, 0x71), (1 << 50 | 7, 0x72)] {
            let Setup {
                mut memory,
                nested,
                first,
                ..
            } = setup();
            memory.set(first[at], entry);
            let fault = nested.translate(&mut memory, IOVA, READ).unwrap_err();
            assert_eq!(fault.scalable_reason(), reason);
            assert_eq!(
                (fault.stage, fault.level, fault.ipa),
                (Stage::One, level, None)
            );
        }
        let Setup {
            mut memory,
            nested,
            first,
            ..
        } = setup();
        memory.broken.insert(first[at]);
        let fault = nested.translate(&mut memory, IOVA, READ).unwrap_err();
        assert_eq!(fault.scalable_reason(), if at == 0 { 0x73 } else { 0x70 });
        assert_eq!(fault.stage, Stage::One);

        let Setup {
            mut memory,
            nested,
            first,
            ..
        } = setup();
        memory.read_only.insert(first[at]);
        let fault = nested.translate(&mut memory, IOVA, READ).unwrap_err();
        assert_eq!((fault.scalable_reason(), fault.level), (0x91, level));
    }
}

#[test]
fn addresses_of_the_guest_beyond_the_second_stage() {
    // A page, then tables, at 2^39, which the host's three levels do not translate.
    let Setup {
        mut memory,
        nested,
        first,
        ..
    } = setup();
    memory.set(first[3], (1 << 39) | 7);
    let fault = nested.translate(&mut memory, IOVA, READ).unwrap_err();
    assert_eq!(
        (fault.cause, fault.scalable_reason()),
        (Cause::BeyondWidth, 0x84)
    );
    assert_eq!((fault.level, fault.ipa), (None, Some((1 << 39) | 0x123)));

    for at in 0..3 {
        let Setup {
            mut memory,
            nested,
            first,
            ..
        } = setup();
        memory.set(first[at], (1 << 39) | 7);
        let fault = nested.translate(&mut memory, IOVA, READ).unwrap_err();
        assert_eq!(
            (fault.cause, fault.scalable_reason()),
            (Cause::BeyondWidth, 0x74)
        );
        assert_eq!(fault.table.map(|visit| visit.level), Some(3 - at as u32));
    }
}

#[test]
fn only_the_final_output_can_be_an_interrupt() {
    let Setup {
        mut memory,
        nested,
        first,
        second,
    } = setup();
    memory.set(first[3], 0xfee0_0000 | 7);
    SECOND.map(&mut memory, 0xfee0_0000, 3, HOST_PAGE | R | W);
    let found = nested.translate(&mut memory, IOVA, WRITE).unwrap();
    assert_eq!(found.output, HOST_PAGE | 0x123);

    memory.set(first[3], GUEST_PAGE | 7);
    memory.set(second[4], 0xfee0_0000 | R | W);
    let fault = nested.translate(&mut memory, IOVA, WRITE).unwrap_err();
    assert_eq!((fault.scalable_reason(), fault.stage), (0x87, Stage::Two));
}

#[test]
fn a_stage_without_flags_needs_no_flags() {
    let Setup {
        mut memory,
        mut nested,
        second,
        ..
    } = setup();
    nested.second = second_stage(false);
    memory.read_only.extend(&second);
    nested.translate(&mut memory, IOVA, WRITE).unwrap();
}

#[test]
fn a_fault_can_be_read() {
    let Setup {
        mut memory,
        nested,
        first,
        second,
    } = setup();
    memory.set(second[2], memory.get(second[2]) & !W);
    let fault = nested.translate(&mut memory, IOVA, READ).unwrap_err();
    assert_eq!(
        fault.to_string(),
        format!(
            "stage 2, level 1, no write permission, IOVA 0x4abcdef123, IPA {:#x}, \
             updating the stage 1 entry of level 2",
            first[2] - OFFSET
        )
    );
}
