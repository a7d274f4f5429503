// SPDX-License-Identifier: GPL-2.0

//! Tables that point to themselves, and tables of random words.
//!
//! Every walk ends, after no more reads than there are levels, and never returns more rights than
//! the entries grant.

use super::{
    super::{
        vmsa::{
            self, FlagUpdates, Granule, Stage1, Stage1Config, Stage2, Stage2Config, TableConfig,
        },
        vtd::{self, FirstStage, FirstStageConfig, SecondStage, SecondStageConfig},
        Access, BusError, Request, Translation, WalkMemory,
    },
    privileged, user, READ,
};

/// Memory in which every word is a function of its address.
struct Everywhere<F> {
    word: F,
    reads: u32,
}

impl<F: Fn(u64) -> u64> WalkMemory for Everywhere<F> {
    fn read(&mut self, addr: u64) -> Result<u64, BusError> {
        assert_eq!(addr % 8, 0);
        self.reads += 1;
        Ok((self.word)(addr))
    }

    fn compare_exchange(
        &mut self,
        addr: u64,
        old: u64,
        _new: u64,
    ) -> Result<Result<(), u64>, BusError> {
        let now = (self.word)(addr);
        Ok(if now == old { Ok(()) } else { Err(now) })
    }
}

fn first_stage(levels: u32) -> FirstStage {
    FirstStage::new(FirstStageConfig {
        root: 0x1000,
        levels,
        host_bits: 52,
        one_gib: true,
        no_execute: true,
        write_protect: false,
        supervisor: true,
        execute: true,
        execution_prevention: true,
        extended_accessed: true,
    })
    .unwrap()
}

fn second_stage(levels: u32) -> SecondStage {
    SecondStage::new(SecondStageConfig {
        root: 0x1000,
        levels,
        guest_bits: 57,
        host_bits: 52,
        two_mib: true,
        one_gib: true,
        snoop_control: true,
        device_tlb: true,
        access_dirty: true,
    })
    .unwrap()
}

fn stage1(granule: Granule) -> Stage1 {
    let table = TableConfig {
        base: 0x1_0000,
        size_offset: 16,
        granule,
        top_byte_ignored: true,
        flat_permissions: false,
    };
    Stage1::new(Stage1Config {
        lower: Some(table),
        upper: Some(table),
        output_bits: 52,
        access_faultless: false,
        updates: FlagUpdates::AccessAndDirty,
        write_xor_execute: true,
        privileged_access_never: true,
    })
    .unwrap()
}

fn stage2(granule: Granule) -> Stage2 {
    Stage2::new(Stage2Config {
        base: 0,
        size_offset: 16,
        start_field: 2,
        granule,
        output_bits: 52,
        system_bits: 52,
        access_faultless: false,
        updates: FlagUpdates::AccessAndDirty,
        execute_by_privilege: true,
    })
    .unwrap()
}

#[test]
fn tables_that_point_to_themselves() {
    // Every entry of the root points to the root, which the last level interprets as a page.
    let mut memory = Everywhere {
        word: |_| 0x1000 | 7,
        reads: 0,
    };
    let found = first_stage(5).translate(&mut memory, 0x8123, READ).unwrap();
    assert_eq!((found.output, memory.reads), (0x1123, 5));

    memory.reads = 0;
    let found = second_stage(5)
        .translate(&mut memory, 0x8123, READ)
        .unwrap();
    assert_eq!((found.output, memory.reads), (0x1123, 5));

    memory.reads = 0;
    let nested = vtd::Nested {
        first: first_stage(5),
        second: second_stage(5),
    };
    nested.translate(&mut memory, 0x8123, READ).unwrap();
    // Five reads; before each of them and of its update, and for the page, five more.
    assert_eq!(memory.reads, 5 + 5 * (5 + 5 + 1));

    let mut memory = Everywhere {
        word: |_| 0x1_0000 | 3 | 1 << 6 | 1 << 10,
        reads: 0,
    };
    let found = stage1(Granule::K4)
        .translate(&mut memory, 0x8123, READ)
        .unwrap();
    assert_eq!((found.output, memory.reads), (0x1_0123, 4));

    memory.reads = 0;
    let found = stage2(Granule::K4)
        .translate(&mut memory, 0x8123, READ)
        .unwrap();
    assert_eq!((found.output, memory.reads), (0x1_0123, 4));

    memory.reads = 0;
    let nested = vmsa::Nested {
        stage1: stage1(Granule::K4),
        stage2: stage2(Granule::K4),
    };
    nested.translate(&mut memory, 0x8123, READ).unwrap();
    assert_eq!(memory.reads, 4 + 4 * 5);
}

/// Returns a word that depends only on the address and the round (splitmix64).
fn noise(addr: u64, round: u64) -> u64 {
    let mut word = addr ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        word = (word ^ (word >> 30)).wrapping_mul(factor);
    }
    word ^ (word >> 31)
}

/// Returns the bits that are set, and those that are clear, in all words of a round.
///
/// Random words hardly ever pass the first check, so some bits are valid most of the time.
fn forced_bits(round: u64) -> (u64, u64) {
    match round % 4 {
        0 => (0, 0),
        1 => (7, 0x000f_ff00_0000_0f80),
        2 => (3 | 1 << 6 | 1 << 10, 0x0000_f000_0000_0000),
        _ => (7 | 1 << 6, 0xffff_ff00_0000_0880),
    }
}

/// Runs every walker, and returns how many of the walks ended well.
fn walk_everything<F: Fn(u64) -> u64>(
    memory: &mut Everywhere<F>,
    granule: Granule,
    iova: u64,
    access: Access,
) -> u32 {
    let mut ended_well = 0;
    let mut run = |walk: &dyn Fn(&mut Everywhere<F>) -> Option<Translation>, most| {
        memory.reads = 0;
        let found = walk(memory);

        assert!(memory.reads <= most);
        if let Some(found) = found {
            ended_well += 1;
            assert!(found.permissions.allow(access));
            assert!(found.output >> 52 == 0 && (12..=48).contains(&found.page_bits));
            assert_eq!(found.output & 0xfff, iova & 0xfff);
        }
    };

    run(&|m| first_stage(4).translate(m, iova, access).ok(), 4);
    run(&|m| first_stage(5).translate(m, iova, access).ok(), 5);
    run(&|m| second_stage(3).translate(m, iova, access).ok(), 3);
    run(&|m| second_stage(5).translate(m, iova, access).ok(), 5);
    run(&|m| stage1(granule).translate(m, iova, access).ok(), 4);
    run(&|m| stage2(granule).translate(m, iova, access).ok(), 4);
    let nested = vtd::Nested {
        first: first_stage(5),
        second: second_stage(5),
    };
    run(&|m| nested.translate(m, iova, access).ok(), 60);
    let nested = vmsa::Nested {
        stage1: stage1(granule),
        stage2: stage2(granule),
    };
    run(&|m| nested.translate(m, iova, access).ok(), 40);
    ended_well
}

#[test]
fn tables_of_noise() {
    let mut ended_well = 0;

    for round in 0..60_000u64 {
        let iova = noise(1, round) >> (noise(2, round) % 64);
        let (set, clear) = forced_bits(round);
        let mut memory = Everywhere {
            word: |addr| (noise(addr, round) | set) & !clear,
            reads: 0,
        };
        let granule = [Granule::K4, Granule::K16, Granule::K64][round as usize % 3];
        let request = [
            Request::Read,
            Request::Write,
            Request::Atomic,
            Request::Execute,
        ][round as usize / 4 % 4];

        for access in [user(request), privileged(request)] {
            ended_well += walk_everything(&mut memory, granule, iova, access);
        }
    }
    assert!(
        ended_well > 1000,
        "{ended_well} walks ended well: the noise is too loud"
    );
}
