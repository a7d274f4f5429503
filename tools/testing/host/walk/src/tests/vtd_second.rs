// SPDX-License-Identifier: GPL-2.0

//! VT-d's second stage.

use super::{
    super::{
        vtd::{Cause, ConfigError, SecondStage, SecondStageConfig},
        Permissions, Rights,
    },
    memory::{Memory, Shape},
    privileged, ATOMIC, EXECUTE, READ, WRITE,
};
use crate::Request;
use std::{format, vec, vec::Vec};

const LEVELS: [(u32, u32); 5] = [(48, 9), (39, 9), (30, 9), (21, 9), (12, 9)];
const IOVA: u64 = 0x0000_004a_bcde_f123;
const ROOT: u64 = 0x1000;

/// R, W, A, D, SNP, TM, PS: section 9.8.
const R: u64 = 1;
const W: u64 = 2;
const PS: u64 = 0x80;
const A: u64 = 0x100;
const D: u64 = 0x200;
const SNP: u64 = 0x800;
const TM: u64 = 1 << 62;

fn config(levels: u32) -> SecondStageConfig {
    SecondStageConfig {
        root: ROOT,
        levels,
        guest_bits: 57,
        host_bits: 46,
        two_mib: true,
        one_gib: true,
        snoop_control: true,
        device_tlb: false,
        access_dirty: false,
    }
}

fn stage(config: SecondStageConfig) -> SecondStage {
    SecondStage::new(config).unwrap()
}

fn shape(levels: u32) -> Shape {
    Shape {
        root: ROOT,
        levels: &LEVELS[5 - levels as usize..],
        link: R | W,
        offset: 0,
    }
}

/// Creates a stage with the given levels and a `leaf` at the given level, and returns the addresses
/// of its entries.
fn mapped(levels: u32, level: u32, leaf: u64) -> (Memory, Vec<u64>) {
    let mut memory = Memory::default();
    let depth = (levels - level + 1) as usize;
    let path = shape(levels).map(&mut memory, IOVA, depth, leaf);
    (memory, path)
}

#[test]
fn pages_of_every_size_under_every_depth() {
    for levels in 3..=5 {
        for (level, leaf, output) in [
            (1, 0x0000_0012_3456_7000 | R | W, 0x0000_0012_3456_7123),
            (2, 0x0000_0012_3440_0000 | R | W | PS, 0x0000_0012_345e_f123),
            (3, 0x0000_0012_0000_0000 | R | W | PS, 0x0000_0012_3cde_f123),
        ] {
            let (mut memory, path) = mapped(levels, level, leaf);
            let found = stage(config(levels))
                .translate(&mut memory, IOVA, WRITE)
                .unwrap();

            assert_eq!(found.output, output);
            assert_eq!(found.page_bits, 12 + 9 * (level - 1));
            assert_eq!(found.permissions, Permissions::alike(Rights::ALL));
            assert_eq!(memory.reads, levels - level + 1);
            assert_eq!(memory.get(*path.last().unwrap()), leaf);
        }
    }
}

#[test]
fn every_level_must_allow() {
    // Section 3.7.1: the entry that denies the access, the access, and whether the entry still
    // grants another right.
    for levels in 3..=5 {
        for weak in 0..levels as usize {
            for (rights, access, legacy, scalable) in [
                (R, WRITE, 0x5, 0x85),
                (R, ATOMIC, 0x5, 0x85),
                (W, READ, 0x6, 0x86),
                (W, ATOMIC, 0x6, 0x86),
                (W, EXECUTE, 0x6, 0x86),
                (0, WRITE, 0x5, 0x79),
                (0, ATOMIC, 0x5, 0x79),
                (0, READ, 0x6, 0x79),
                (0, EXECUTE, 0x6, 0x79),
            ] {
                let (mut memory, path) = mapped(levels, 1, 0x7000 | R | W);
                memory.set(path[weak], memory.get(path[weak]) & !(R | W) | rights);
                let fault = stage(config(levels))
                    .translate(&mut memory, IOVA, access)
                    .unwrap_err();

                assert_eq!(fault.legacy_reason(), Some(legacy), "{fault}");
                assert_eq!(fault.scalable_reason(), scalable, "{fault}");
                assert_eq!(fault.cause == Cause::NotPresent, rights == 0);
                let ended = if rights == 0 { levels - weak as u32 } else { 1 };
                assert_eq!(fault.level, Some(ended));
                assert_eq!((fault.iova, fault.ipa), (IOVA, Some(IOVA)));
            }
        }
    }
}

#[test]
fn rights_are_what_all_levels_allow() {
    let (mut memory, path) = mapped(4, 1, 0x7000 | R);
    let found = stage(config(4)).translate(&mut memory, IOVA, READ).unwrap();
    assert!(found.permissions.user.read && !found.permissions.user.write);

    memory.set(path[3], 0x7000 | R | W);
    memory.set(path[1], memory.get(path[1]) & !W);
    let found = stage(config(4))
        .translate(&mut memory, IOVA, EXECUTE)
        .unwrap();
    assert!(found.permissions.privileged.read && !found.permissions.privileged.write);
}

#[test]
fn reserved_bits_of_every_kind_of_entry() {
    // Section 9.8 with a host address width of 46: 51:46 everywhere; 11 and 62 where they are not
    // SNP and TM; 7 in PML4 and PML5 entries; the address bits below a large page.
    const HAW: u64 = 0x000f_c000_0000_0000;

    for (level, page, mask) in [
        (5, false, HAW | TM | SNP | PS),
        (4, false, HAW | TM | SNP | PS),
        (3, false, HAW | TM | SNP),
        (2, false, HAW | TM | SNP),
        (1, true, HAW | TM),
        (2, true, HAW | TM | 0x001f_f000),
        (3, true, HAW | TM | 0x3fff_f000),
    ] {
        for bit in 0..64 {
            let last = if page { level } else { 1 };
            let leaf = R | W | if last > 1 { PS } else { 0 };
            let (mut memory, path) = mapped(5, last, leaf);
            let slot = path[5 - level as usize];
            memory.set(slot, memory.get(slot) ^ (1 << bit));
            let found = stage(config(5)).translate(&mut memory, IOVA, READ);
            let reserved = found.is_err_and(|fault| {
                fault.cause == Cause::Reserved
                    && fault.level == Some(level)
                    && fault.legacy_reason() == Some(0xc)
                    && fault.scalable_reason() == 0x7a
            });
            // Without PS the large page would be an empty table.
            let expected = mask & (1 << bit) != 0;
            assert_eq!(reserved, expected, "level {level}, page {page}, bit {bit}");
        }
    }
}

#[test]
fn capabilities_turn_bits_from_reserved_to_known() {
    let refused = |leaf, level, config| {
        let (mut memory, _) = mapped(4, level, leaf);
        stage(config)
            .translate(&mut memory, IOVA, READ)
            .is_err_and(|fault| fault.cause == Cause::Reserved)
    };
    let with = |change: fn(&mut SecondStageConfig)| {
        let mut config = config(4);
        change(&mut config);
        config
    };

    assert!(!refused(R | SNP, 1, config(4)));
    assert!(refused(
        R | SNP,
        1,
        with(|config| config.snoop_control = false)
    ));
    assert!(refused(R | TM, 1, config(4)));
    assert!(!refused(R | TM, 1, with(|config| config.device_tlb = true)));
    assert!(!refused(R | PS, 2, config(4)));
    assert!(refused(R | PS, 2, with(|config| config.two_mib = false)));
    assert!(!refused(R | PS, 3, config(4)));
    assert!(refused(R | PS, 3, with(|config| config.one_gib = false)));
    for level in [4, 5] {
        let (mut memory, _) = mapped(5, level, R | PS);
        let fault = stage(config(5))
            .translate(&mut memory, IOVA, READ)
            .unwrap_err();
        assert_eq!((fault.cause, fault.level), (Cause::Reserved, Some(level)));
    }
    // An entry that is not present has no reserved bits.
    assert!(!refused(!(R | W), 1, config(4)));
}

#[test]
fn every_bit_of_a_table_address() {
    for bit in 12..46 {
        let (mut memory, path) = mapped(3, 1, 0);
        memory.set(path[0], 1 << bit | R | W);
        memory.broken.insert((1 << bit) + 8 * ((IOVA >> 21) % 512));
        let fault = stage(config(3))
            .translate(&mut memory, IOVA, READ)
            .unwrap_err();
        assert_eq!((fault.cause, fault.level), (Cause::EntryAccess, Some(2)));
    }
}

#[test]
fn memory_that_does_not_answer() {
    for (at, legacy, scalable) in [
        (0, 0x3, 0x7b),
        (1, 0x7, 0x78),
        (2, 0x7, 0x78),
        (3, 0x7, 0x78),
    ] {
        let (mut memory, path) = mapped(4, 1, 0x7000 | R);
        memory.broken.insert(path[at]);
        let fault = stage(config(4))
            .translate(&mut memory, IOVA, READ)
            .unwrap_err();

        assert_eq!(fault.level, Some(4 - at as u32));
        assert_eq!(fault.legacy_reason(), Some(legacy));
        assert_eq!(fault.scalable_reason(), scalable);
    }
}

#[test]
fn addresses_beyond_the_width() {
    for (levels, guest_bits, width) in [(3, 57, 39), (4, 57, 48), (5, 57, 57), (4, 44, 44)] {
        let stage = stage(SecondStageConfig {
            guest_bits,
            ..config(levels)
        });
        let mut memory = Memory::default();
        let inside = stage
            .translate(&mut memory, (1 << width) - 1, READ)
            .unwrap_err();
        assert_eq!(inside.cause, Cause::NotPresent);

        memory.reads = 0;
        for iova in [1 << width, 1 << 63, u64::MAX] {
            let fault = stage.translate(&mut memory, iova, READ).unwrap_err();
            assert_eq!((fault.cause, fault.level), (Cause::BeyondWidth, None));
            assert_eq!(fault.legacy_reason(), Some(0x4));
            assert_eq!(fault.scalable_reason(), 0x84);
        }
        assert_eq!(memory.reads, 0);
    }
}

#[test]
fn flags_are_set_on_the_way_and_at_the_end() {
    let stage = stage(SecondStageConfig {
        access_dirty: true,
        ..config(4)
    });
    for (access, flags) in [(READ, A), (EXECUTE, A), (WRITE, A | D), (ATOMIC, A | D)] {
        let (mut memory, path) = mapped(4, 1, 0x7000 | R | W);
        stage.translate(&mut memory, IOVA, access).unwrap();

        let set: Vec<_> = path
            .iter()
            .map(|&slot| memory.get(slot) & (A | D))
            .collect();
        assert_eq!(set, [A, A, A, flags]);
        // The second walk does not write.
        memory.read_only.extend(&path);
        stage.translate(&mut memory, IOVA, access).unwrap();
    }
}

#[test]
fn a_refused_access_leaves_the_page_clean() {
    let (mut memory, path) = mapped(4, 1, 0x7000 | R);
    let config = SecondStageConfig {
        access_dirty: true,
        ..config(4)
    };
    stage(config)
        .translate(&mut memory, IOVA, WRITE)
        .unwrap_err();
    assert_eq!(memory.get(path[3]), 0x7000 | R);
}

#[test]
fn flags_that_cannot_be_set() {
    let config = SecondStageConfig {
        access_dirty: true,
        ..config(4)
    };
    for at in 0..4 {
        let (mut memory, path) = mapped(4, 1, 0x7000 | R | W);
        memory.read_only.insert(path[at]);
        let fault = stage(config)
            .translate(&mut memory, IOVA, READ)
            .unwrap_err();
        assert_eq!(fault.cause, Cause::UpdateFailed);
        assert_eq!(fault.level, Some(4 - at as u32));
        assert_eq!(
            (fault.scalable_reason(), fault.legacy_reason()),
            (0x92, None)
        );
    }
}

#[test]
fn an_entry_that_changes_under_the_update_is_looked_at_again() {
    let config = SecondStageConfig {
        access_dirty: true,
        ..config(4)
    };
    let (mut memory, path) = mapped(4, 1, 0x7000 | R | W);
    memory.races.insert(path[3], vec![0x9000 | R | W]);
    let found = stage(config).translate(&mut memory, IOVA, WRITE).unwrap();
    assert_eq!(found.output, 0x9123);
    assert_eq!(memory.get(path[3]), 0x9000 | R | W | A | D);

    let (mut memory, path) = mapped(4, 1, 0x7000 | R | W);
    memory.races.insert(path[3], vec![0x7000 | R]);
    let fault = stage(config)
        .translate(&mut memory, IOVA, WRITE)
        .unwrap_err();
    assert_eq!(fault.cause, Cause::NoWrite);
    assert_eq!(memory.get(path[3]), 0x7000 | R);

    // Bit 10 is ignored, so the entry is always valid although it changes.
    let (mut memory, path) = mapped(4, 1, 0x7000 | R | W);
    memory.restless = Some((path[3], 0x400));
    let fault = stage(config)
        .translate(&mut memory, IOVA, WRITE)
        .unwrap_err();
    assert_eq!(fault.cause, Cause::UpdateFailed);
}

#[test]
fn pages_in_the_interrupt_range() {
    for (page, refused) in [
        (0xfedf_f000, false),
        (0xfee0_0000, true),
        (0xfeef_f000, true),
        (0xfef0_0000, false),
        (0x1_fee0_0000, false),
    ] {
        let (mut memory, _) = mapped(4, 1, page | R | W);
        let found = stage(config(4)).translate(&mut memory, IOVA, WRITE);
        assert_eq!(found.is_err(), refused, "{page:#x}");
        if let Err(fault) = found {
            assert_eq!(fault.legacy_reason(), Some(0xe));
            assert_eq!(fault.scalable_reason(), 0x87);
        }
    }
}

#[test]
fn stages_that_cannot_be() {
    for (change, error, legacy, scalable) in [
        (
            (|config| config.levels = 2) as fn(&mut SecondStageConfig),
            ConfigError::Levels,
            0x3,
            0x5b,
        ),
        (|config| config.levels = 6, ConfigError::Levels, 0x3, 0x5b),
        (|config| config.levels = 0, ConfigError::Levels, 0x3, 0x5b),
        (
            |config| config.host_bits = 53,
            ConfigError::Width,
            0x3,
            0x5b,
        ),
        (
            |config| config.host_bits = 31,
            ConfigError::Width,
            0x3,
            0x5b,
        ),
        (
            |config| config.guest_bits = 12,
            ConfigError::Width,
            0x3,
            0x5b,
        ),
        (|config| config.root = 0x1800, ConfigError::Root, 0xb, 0x5a),
        (|config| config.root = 1 << 46, ConfigError::Root, 0xb, 0x5a),
    ] {
        let mut config = config(4);
        change(&mut config);
        let refused = SecondStage::new(config).unwrap_err();
        assert_eq!(refused, error);
        assert_eq!(refused.legacy_reason(), legacy);
        assert_eq!(refused.scalable_reason(), scalable);
    }
    for host_bits in [32, 52] {
        let config = SecondStageConfig {
            host_bits,
            guest_bits: 13,
            ..config(4)
        };
        assert!(SecondStage::new(config).is_ok());
    }
}

#[test]
fn privilege_has_no_effect() {
    let (mut memory, _) = mapped(4, 1, 0x7000 | R);
    let read = privileged(Request::Read);
    assert!(stage(config(4)).translate(&mut memory, IOVA, read).is_ok());
    let write = privileged(Request::Write);
    assert!(stage(config(4))
        .translate(&mut memory, IOVA, write)
        .is_err());
}

#[test]
fn a_fault_can_be_read() {
    let (mut memory, path) = mapped(4, 1, 0);
    memory.set(path[2], 0);
    let fault = stage(config(4))
        .translate(&mut memory, IOVA, READ)
        .unwrap_err();
    assert_eq!(
        format!("{fault}"),
        "stage 2, level 2, entry is not present, IOVA 0x4abcdef123, IPA 0x4abcdef123"
    );
}
