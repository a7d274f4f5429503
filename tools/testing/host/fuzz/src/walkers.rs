// SPDX-License-Identifier: GPL-2.0

//! Walks of hardware through tables with arbitrary contents.
//!
//! A walk ends after no more reads than its levels need. A translation allows the request, and is
//! the same for the same memory. Every fault has a code.

#![no_main]

use iommu_walk::{
    vmsa::{self, FlagUpdates, Granule, Stage1, Stage1Config, Stage2, Stage2Config, TableConfig},
    vtd::{self, FirstStage, FirstStageConfig, SecondStage, SecondStageConfig},
    Access, BusError, Request, Translation, WalkMemory,
};
use libfuzzer_sys::fuzz_target;
use std::fmt::Display;

/// The largest number of reads: a nested walk of five levels, with five reads of the second stage
/// for each entry, three times because of updates, and retries.
const READS: u32 = 2_000;

/// Memory in which a few words repeat, so that every table has contents.
#[derive(Clone)]
struct Guest {
    words: Vec<u64>,
    /// Reads of addresses with this value in bits 15:12 fail.
    hole: u64,
    reads: u32,
}

impl Guest {
    fn slot(&mut self, addr: u64) -> Result<&mut u64, BusError> {
        assert_eq!(addr % 8, 0, "not aligned");
        self.reads += 1;
        assert!(self.reads < READS, "a walk does not end");
        if addr >> 12 & 15 == self.hole {
            return Err(BusError);
        }
        // Different tables, and different entries of a table, get different words.
        let index = (addr >> 3 ^ addr >> 12 ^ addr >> 24) as usize % self.words.len();

        self.words.get_mut(index).ok_or(BusError)
    }
}

impl WalkMemory for Guest {
    fn read(&mut self, addr: u64) -> Result<u64, BusError> {
        self.slot(addr).copied()
    }

    fn compare_exchange(
        &mut self,
        addr: u64,
        old: u64,
        new: u64,
    ) -> Result<Result<(), u64>, BusError> {
        let slot = self.slot(addr)?;

        Ok(if *slot == old {
            *slot = new;
            Ok(())
        } else {
            Err(*slot)
        })
    }
}

/// The choices before the walk, from the first bytes.
struct Choice<'d> {
    flags: u16,
    sizes: &'d [u8; 8],
    iova: u64,
    access: Access,
}

impl Choice<'_> {
    fn flag(&self, bit: u32) -> bool {
        self.flags & 1 << bit != 0
    }

    fn size(&self, index: usize, from: u32, choices: u32) -> u32 {
        from + u32::from(self.sizes[index]) % choices
    }

    /// Returns the address of a root, which is valid in most cases.
    fn root(&self, index: usize) -> u64 {
        u64::from(self.sizes[index]) << 16
    }

    fn granule(&self, index: usize) -> Granule {
        match self.sizes[index] >> 6 {
            0 => Granule::K16,
            1 => Granule::K64,
            _ => Granule::K4,
        }
    }

    fn updates(&self) -> FlagUpdates {
        match self.flags & 3 {
            0 => FlagUpdates::None,
            1 => FlagUpdates::Access,
            _ => FlagUpdates::AccessAndDirty,
        }
    }

    fn second_stage(&self) -> Option<SecondStage> {
        SecondStage::new(SecondStageConfig {
            root: self.root(0),
            levels: self.size(1, 2, 5),
            guest_bits: self.size(2, 30, 30),
            host_bits: self.size(3, 30, 24),
            two_mib: self.flag(2),
            one_gib: self.flag(3),
            snoop_control: self.flag(4),
            device_tlb: self.flag(5),
            access_dirty: self.flag(6),
        })
        .ok()
    }

    fn first_stage(&self) -> Option<FirstStage> {
        FirstStage::new(FirstStageConfig {
            root: self.root(4),
            levels: self.size(5, 3, 4),
            host_bits: self.size(6, 30, 24),
            one_gib: self.flag(7),
            no_execute: self.flag(8),
            write_protect: self.flag(9),
            supervisor: self.flag(10),
            execute: self.flag(11),
            execution_prevention: self.flag(12),
            extended_accessed: self.flag(13),
        })
        .ok()
    }

    fn stage1(&self) -> Option<Stage1> {
        let table = |index: usize, there: bool| {
            there.then(|| TableConfig {
                base: self.root(index),
                size_offset: self.size(index, 14, 28),
                granule: self.granule(index),
                top_byte_ignored: self.flag(4),
                flat_permissions: self.flag(5),
            })
        };

        Stage1::new(Stage1Config {
            lower: table(0, !self.flag(6)),
            upper: table(1, !self.flag(7)),
            output_bits: self.size(2, 30, 24),
            access_faultless: self.flag(8),
            updates: self.updates(),
            write_xor_execute: self.flag(9),
            privileged_access_never: self.flag(10),
        })
        .ok()
    }

    fn stage2(&self) -> Option<Stage2> {
        Stage2::new(Stage2Config {
            base: self.root(4),
            size_offset: self.size(5, 10, 32),
            start_field: self.size(6, 0, 4),
            granule: self.granule(5),
            output_bits: self.size(7, 30, 24),
            system_bits: self.size(3, 36, 17),
            access_faultless: self.flag(11),
            updates: self.updates(),
            execute_by_privilege: self.flag(12),
        })
        .ok()
    }
}

/// Walks in two copies of the same memory, and checks the results.
fn twice<F: Display + PartialEq>(
    guest: &mut Guest,
    choice: &Choice<'_>,
    walk: impl Fn(&mut Guest) -> Result<Translation, F>,
    codes: impl Fn(&F),
) {
    let mut copy = guest.clone();
    let result = walk(guest);

    assert!(walk(&mut copy) == result, "another result");
    assert!(copy.words == guest.words, "other flags");
    match result {
        Ok(found) => {
            // The alignment of larger pages depends on the guest, which may set a contiguous bit
            // anywhere.
            let mask = 0xfff;

            assert!(found.permissions.allow(choice.access), "not allowed");
            assert!(found.page_bits >= 12, "less than a page");
            assert_eq!(found.output & mask, choice.iova & mask, "low bits");
            assert!(found.output < 1 << 52, "beyond all addresses");
        }
        Err(fault) => {
            assert!(!fault.to_string().is_empty());
            codes(&fault);
        }
    }
}

fn vtd_codes(fault: &vtd::Fault) {
    assert!((0x1..=0xa8).contains(&fault.scalable_reason()));
    if let Some(reason) = fault.legacy_reason() {
        assert!((0x1..=0xe).contains(&reason));
    }
}

fn vmsa_codes(fault: &vmsa::Fault) {
    // F_UUT is 1, F_WALK_EABT 0x0b, those of translation 0x10 to 0x13.
    assert!(matches!(fault.event().number, 0x0b | 0x10..=0x13));
}

/// Walks twice, unless the fields of the stage are illegal. Returns `None` in that case.
fn walk_vtd(guest: &mut Guest, choice: &Choice<'_>, nested: bool) -> Option<()> {
    let Choice { iova, access, .. } = *choice;

    if nested {
        let nested = vtd::Nested {
            first: choice.first_stage()?,
            second: choice.second_stage()?,
        };
        let walk = |guest: &mut Guest| nested.translate(guest, iova, access);
        twice(guest, choice, walk, vtd_codes);
    } else if choice.flag(14) {
        let stage = choice.first_stage()?;
        let walk = |guest: &mut Guest| stage.translate(guest, iova, access);
        twice(guest, choice, walk, vtd_codes);
    } else {
        let stage = choice.second_stage()?;
        let walk = |guest: &mut Guest| stage.translate(guest, iova, access);
        twice(guest, choice, walk, vtd_codes);
    }
    Some(())
}

/// Does the same for the stages of Arm.
fn walk_vmsa(guest: &mut Guest, choice: &Choice<'_>, nested: bool) -> Option<()> {
    let Choice { iova, access, .. } = *choice;

    if nested {
        let nested = vmsa::Nested {
            stage1: choice.stage1()?,
            stage2: choice.stage2()?,
        };
        let walk = |guest: &mut Guest| nested.translate(guest, iova, access);
        twice(guest, choice, walk, vmsa_codes);
    } else if choice.flag(14) {
        let stage = choice.stage1()?;
        let walk = |guest: &mut Guest| stage.translate(guest, iova, access);
        twice(guest, choice, walk, vmsa_codes);
    } else {
        let stage = choice.stage2()?;
        let walk = |guest: &mut Guest| stage.translate(guest, iova, access);
        twice(guest, choice, walk, vmsa_codes);
    }
    Some(())
}

fn run(data: &[u8]) -> Option<()> {
    let (&[kind, request, flags_low, flags_high], data) = data.split_first_chunk()?;
    let (sizes, data) = data.split_first_chunk()?;
    let (&iova, data) = data.split_first_chunk()?;
    let words: Vec<u64> = data
        .chunks_exact(8)
        .filter_map(|word| word.try_into().ok().map(u64::from_le_bytes))
        .take(64)
        .collect();

    if words.is_empty() {
        return None;
    }
    let choice = Choice {
        flags: u16::from_le_bytes([flags_low, flags_high]),
        sizes,
        iova: u64::from_le_bytes(iova),
        access: Access {
            request: match request & 3 {
                0 => Request::Read,
                1 => Request::Write,
                2 => Request::Atomic,
                _ => Request::Execute,
            },
            privileged: request & 4 != 0,
        },
    };
    let mut guest = Guest {
        words,
        hole: u64::from(request >> 3),
        reads: 0,
    };

    if kind & 1 == 0 {
        walk_vtd(&mut guest, &choice, kind & 2 == 0)
    } else {
        walk_vmsa(&mut guest, &choice, kind & 2 == 0)
    }
}

fuzz_target!(|data: &[u8]| {
    run(data);
});
