// SPDX-License-Identifier: GPL-2.0

//! VT-d's first stage.

use super::{
    super::{
        vtd::{Cause, ConfigError, FirstStage, FirstStageConfig},
        Access, Request, Rights,
    },
    memory::{Memory, Shape},
    privileged, user, ATOMIC, EXECUTE, READ, WRITE,
};
use std::{vec, vec::Vec};

const LEVELS: [(u32, u32); 5] = [(48, 9), (39, 9), (30, 9), (21, 9), (12, 9)];
/// Canonical with 4 levels and with 5, in the upper half.
const IOVA: u64 = 0xffff_ff4a_bcde_f123;
const ROOT: u64 = 0x1000;

/// P, R/W, U/S, A, D, PS, EA, XD: section 9.7.
const P: u64 = 1;
const W: u64 = 2;
const U: u64 = 4;
const A: u64 = 0x20;
const D: u64 = 0x40;
const PS: u64 = 0x80;
const EA: u64 = 0x400;
const XD: u64 = 1 << 63;

const PAGE: u64 = 0x0000_0012_3456_7000;

fn config(levels: u32) -> FirstStageConfig {
    FirstStageConfig {
        root: ROOT,
        levels,
        host_bits: 46,
        one_gib: true,
        no_execute: true,
        write_protect: true,
        supervisor: true,
        execute: true,
        execution_prevention: false,
        extended_accessed: false,
    }
}

fn stage(config: FirstStageConfig) -> FirstStage {
    FirstStage::new(config).unwrap()
}

/// Creates the same stage with one field changed.
fn with(change: fn(&mut FirstStageConfig)) -> FirstStage {
    let mut config = config(4);
    change(&mut config);
    stage(config)
}

fn mapped(levels: u32, level: u32, leaf: u64) -> (Memory, Vec<u64>) {
    let shape = Shape {
        root: ROOT,
        levels: &LEVELS[5 - levels as usize..],
        link: P | W | U,
        offset: 0,
    };
    let mut memory = Memory::default();
    let path = shape.map(&mut memory, IOVA, (levels - level + 1) as usize, leaf);
    (memory, path)
}

#[test]
fn pages_of_every_size_under_every_depth() {
    for levels in 4..=5 {
        for (level, leaf, output) in [
            (1, PAGE | P | W | U, 0x0000_0012_3456_7123),
            // Bit 12 is PAT.
            (
                2,
                0x0000_0012_3440_1000 | P | W | U | PS,
                0x0000_0012_345e_f123,
            ),
            (
                3,
                0x0000_0012_0000_1000 | P | W | U | PS,
                0x0000_0012_3cde_f123,
            ),
        ] {
            let (mut memory, _) = mapped(levels, level, leaf);
            let found = stage(config(levels))
                .translate(&mut memory, IOVA, WRITE)
                .unwrap();

            assert_eq!(found.output, output);
            assert_eq!(found.page_bits, 12 + 9 * (level - 1));
            assert_eq!(found.permissions.user, Rights::ALL);
            assert_eq!(memory.reads, levels - level + 1);
        }
    }
}

#[test]
fn addresses_must_be_canonical() {
    for (levels, iova, canonical) in [
        (4, 0x0000_7fff_ffff_ffff, true),
        (4, 0x0000_8000_0000_0000, false),
        (4, 0xffff_7fff_ffff_ffff, false),
        (4, 0xffff_8000_0000_0000, true),
        (4, 0x8000_0000_0000_0000, false),
        (5, 0x00ff_ffff_ffff_ffff, true),
        (5, 0x0100_0000_0000_0000, false),
        (5, 0xfeff_ffff_ffff_ffff, false),
        (5, 0xff00_0000_0000_0000, true),
    ] {
        let mut memory = Memory::default();
        let fault = stage(config(levels))
            .translate(&mut memory, iova, READ)
            .unwrap_err();
        let expected = if canonical { 0x71 } else { 0x80 };
        assert_eq!(fault.scalable_reason(), expected, "{iova:#x}");
        assert_eq!(memory.reads, u32::from(canonical));
    }
}

#[test]
fn rights_by_entry_and_privilege() {
    // Section 3.6.1. The bits that all entries but one have, and that one; then the reason by
    // request: user read, write, fetch; supervisor read, write, fetch.
    const OK: u8 = 0;
    const ALL: u64 = P | W | U;
    for (entry, reasons) in [
        (ALL, [OK, OK, OK, OK, OK, OK]),
        (P | W, [0x81, 0x81, 0x81, OK, OK, OK]),
        (P | U, [OK, 0x85, OK, OK, 0x85, OK]),
        (P, [0x81, 0x81, 0x81, OK, 0x85, OK]),
        (ALL | XD, [OK, OK, 0x82, OK, OK, 0x82]),
        (0, [0x71; 6]),
    ] {
        for at in 0..4 {
            let (mut memory, path) = mapped(4, 1, PAGE | ALL);
            memory.set(path[at], memory.get(path[at]) & !ALL | entry);
            let answer = |request: Access| {
                stage(config(4))
                    .translate(&mut memory, IOVA, request)
                    .map_or_else(|fault| fault.scalable_reason(), |_| OK)
            };
            let found = [
                READ,
                WRITE,
                EXECUTE,
                privileged(Request::Read),
                privileged(Request::Write),
                privileged(Request::Execute),
            ]
            .map(answer);
            assert_eq!(found, reasons, "{entry:#x} at {at}");
        }
    }
}

#[test]
fn what_the_pasid_entry_enables() {
    let reason = |stage: FirstStage, leaf, access| {
        let (mut memory, _) = mapped(4, 1, PAGE | leaf);
        stage
            .translate(&mut memory, IOVA, access)
            .map_or_else(|fault| fault.scalable_reason(), |_| 0)
    };
    let supervisor = privileged;

    let no_wpe = with(|config| config.write_protect = false);
    assert_eq!(reason(no_wpe, P | U, supervisor(Request::Write)), 0);
    assert_eq!(reason(no_wpe, P | U, WRITE), 0x85);

    let no_sre = with(|config| config.supervisor = false);
    assert_eq!(reason(no_sre, P | W, supervisor(Request::Read)), 0x5d);
    assert_eq!(reason(no_sre, P | W | U, READ), 0);

    let no_ere = with(|config| config.execute = false);
    assert_eq!(reason(no_ere, P | W | U, EXECUTE), 0x5c);
    assert_eq!(reason(no_ere, P | W | U, ATOMIC), 0);

    let smep = with(|config| config.execution_prevention = true);
    assert_eq!(reason(smep, P | U, supervisor(Request::Execute)), 0x82);
    assert_eq!(reason(smep, P, supervisor(Request::Execute)), 0);
    assert_eq!(reason(smep, P | U, EXECUTE), 0);

    let no_nxe = with(|config| config.no_execute = false);
    assert_eq!(reason(no_nxe, P | U | XD, READ), 0x72);
    assert_eq!(reason(no_nxe, P | U, EXECUTE), 0);
}

#[test]
fn permissions_say_what_would_be_allowed() {
    let (mut memory, _) = mapped(4, 1, PAGE | P | U | XD);
    let found = with(|config| config.write_protect = false)
        .translate(&mut memory, IOVA, READ)
        .unwrap();
    assert_eq!(
        (found.permissions.user, found.permissions.privileged),
        (
            Rights {
                read: true,
                write: false,
                execute: false
            },
            Rights {
                read: true,
                write: true,
                execute: false
            }
        )
    );
    let found = with(|config| config.supervisor = false)
        .translate(&mut memory, IOVA, READ)
        .unwrap();
    assert_eq!(found.permissions.privileged, Rights::NONE);
}

#[test]
fn reserved_bits_of_every_kind_of_entry() {
    // Section 9.7 with a host address width of 46: 51:46 everywhere; 7 in PML4 and PML5 entries;
    // the address bits below a large page except PAT; XD is not reserved in this stage.
    const HAW: u64 = 0x000f_c000_0000_0000;

    for (level, page, mask) in [
        (5, false, HAW | PS),
        (4, false, HAW | PS),
        (3, false, HAW),
        (2, false, HAW),
        (1, true, HAW),
        (2, true, HAW | 0x001f_e000),
        (3, true, HAW | 0x3fff_e000),
    ] {
        for bit in 0..64 {
            let last = if page { level } else { 1 };
            let leaf = P | W | U | if last > 1 { PS } else { 0 };
            let (mut memory, path) = mapped(5, last, leaf);
            let slot = path[5 - level as usize];
            memory.set(slot, memory.get(slot) ^ (1 << bit));
            let found = stage(config(5)).translate(&mut memory, IOVA, READ);
            let reserved = found
                .is_err_and(|fault| fault.scalable_reason() == 0x72 && fault.level == Some(level));
            let expected = mask & (1 << bit) != 0;
            assert_eq!(reserved, expected, "level {level}, page {page}, bit {bit}");
        }
    }

    let (mut memory, _) = mapped(4, 3, P | U | PS);
    let fault = with(|config| config.one_gib = false)
        .translate(&mut memory, IOVA, READ)
        .unwrap_err();
    assert_eq!((fault.cause, fault.level), (Cause::Reserved, Some(3)));
}

#[test]
fn every_bit_of_a_table_address() {
    for bit in 12..46 {
        let (mut memory, path) = mapped(4, 1, 0);
        memory.set(path[0], 1 << bit | P | U);
        memory.broken.insert((1 << bit) + 8 * ((IOVA >> 30) % 512));
        let fault = stage(config(4))
            .translate(&mut memory, IOVA, READ)
            .unwrap_err();
        assert_eq!((fault.cause, fault.level), (Cause::EntryAccess, Some(3)));
    }
}

#[test]
fn memory_that_does_not_answer() {
    for (at, reason) in [(0, 0x73), (1, 0x70), (2, 0x70), (3, 0x70)] {
        let (mut memory, path) = mapped(4, 1, PAGE | P | U);
        memory.broken.insert(path[at]);
        let fault = stage(config(4))
            .translate(&mut memory, IOVA, READ)
            .unwrap_err();
        assert_eq!(fault.level, Some(4 - at as u32));
        assert_eq!(
            (fault.scalable_reason(), fault.legacy_reason()),
            (reason, None)
        );

        let (mut memory, path) = mapped(4, 1, PAGE | P | U);
        memory.read_only.insert(path[at]);
        let fault = stage(config(4))
            .translate(&mut memory, IOVA, READ)
            .unwrap_err();
        assert_eq!(fault.level, Some(4 - at as u32));
        assert_eq!(fault.scalable_reason(), 0x91);
    }
}

#[test]
fn flags_are_set_on_the_way_and_at_the_end() {
    for (extended, seen) in [(false, A), (true, A | EA)] {
        for (request, dirty) in [
            (Request::Read, 0),
            (Request::Execute, 0),
            (Request::Write, D),
            (Request::Atomic, D),
        ] {
            let (mut memory, path) = mapped(4, 1, PAGE | P | W | U);
            let stage = stage(FirstStageConfig {
                extended_accessed: extended,
                ..config(4)
            });
            stage.translate(&mut memory, IOVA, user(request)).unwrap();
            let flags: Vec<_> = path
                .iter()
                .map(|&slot| memory.get(slot) & (A | D | EA))
                .collect();
            assert_eq!(flags, [seen, seen, seen, seen | dirty]);

            memory.read_only.extend(&path);
            stage.translate(&mut memory, IOVA, user(request)).unwrap();
        }
    }
    let (mut memory, path) = mapped(4, 1, PAGE | P | U);
    stage(config(4))
        .translate(&mut memory, IOVA, WRITE)
        .unwrap_err();
    assert_eq!(memory.get(path[3]), PAGE | P | U);
}

#[test]
fn an_entry_that_changes_under_the_update_is_looked_at_again() {
    // Another device's write has set A and D in between.
    let (mut memory, path) = mapped(4, 1, PAGE | P | W | U);
    memory.races.insert(path[3], vec![PAGE | P | W | U | A | D]);
    stage(config(4)).translate(&mut memory, IOVA, READ).unwrap();
    assert_eq!(memory.get(path[3]), PAGE | P | W | U | A | D);

    // The page is unmapped in between: no flag may be set in an entry that is not present.
    let (mut memory, path) = mapped(4, 1, PAGE | P | W | U);
    memory.races.insert(path[3], vec![PAGE]);
    let fault = stage(config(4))
        .translate(&mut memory, IOVA, READ)
        .unwrap_err();
    assert_eq!((fault.cause, fault.level), (Cause::NotPresent, Some(1)));
    assert_eq!(memory.get(path[3]), PAGE);

    // Another writer keeps changing an ignored bit.
    let (mut memory, path) = mapped(4, 1, PAGE | P | W | U);
    memory.restless = Some((path[1], 0x200));
    let fault = stage(config(4))
        .translate(&mut memory, IOVA, READ)
        .unwrap_err();
    assert_eq!((fault.cause, fault.level), (Cause::UpdateFailed, Some(3)));
}

#[test]
fn pages_in_the_interrupt_range() {
    let (mut memory, path) = mapped(4, 1, 0xfee0_0000 | P | W | U);
    let fault = stage(config(4))
        .translate(&mut memory, IOVA, WRITE)
        .unwrap_err();
    assert_eq!(fault.scalable_reason(), 0x87);
    assert_eq!(memory.get(path[3]) & D, 0);
}

#[test]
fn stages_that_cannot_be() {
    for (change, error) in [
        (
            (|config| config.levels = 3) as fn(&mut FirstStageConfig),
            ConfigError::Levels,
        ),
        (|config| config.levels = 6, ConfigError::Levels),
        (|config| config.host_bits = 64, ConfigError::Width),
        (|config| config.root = 0x1008, ConfigError::Root),
        (|config| config.root = 1 << 50, ConfigError::Root),
    ] {
        let mut config = config(4);
        change(&mut config);
        assert_eq!(FirstStage::new(config).unwrap_err(), error);
    }
}
