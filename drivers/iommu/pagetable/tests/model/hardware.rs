// SPDX-License-Identifier: GPL-2.0

//! The walks of hardware through the tables, with all checks enabled.
//!
//! The walkers share no code with the library that has written the tables.

use super::subject::Subject;
use iommu_pagetable::vmsa::Granule;
use iommu_walk::{
    vmsa::{
        self, FlagUpdates, Stage1 as Stage1Walk, Stage1Config, Stage2 as Stage2Walk, Stage2Config,
        TableConfig,
    },
    vtd::{
        FirstStage as FirstStageWalk, FirstStageConfig, SecondStage as SecondStageWalk,
        SecondStageConfig,
    },
    Access, BusError, Translation, WalkMemory,
};

/// The result of an access by hardware, which is `None` for any fault.
pub type Found = Option<Translation>;

/// Memory as a walker sees it. Updates of flags succeed and are discarded.
pub struct Seen<'s>(pub &'s dyn Subject);

impl WalkMemory for Seen<'_> {
    fn read(&mut self, addr: u64) -> Result<u64, BusError> {
        self.0.seen(addr).ok_or(BusError)
    }

    fn compare_exchange(
        &mut self,
        addr: u64,
        old: u64,
        _new: u64,
    ) -> Result<Result<(), u64>, BusError> {
        let now = self.read(addr)?;

        Ok(if now == old { Ok(()) } else { Err(now) })
    }
}

pub fn second_stage(memory: &mut Seen<'_>, levels: u32, iova: u64, access: Access) -> Found {
    let config = SecondStageConfig {
        root: memory.0.root(),
        levels,
        guest_bits: 57,
        host_bits: 52,
        two_mib: true,
        one_gib: true,
        snoop_control: true,
        device_tlb: false,
        access_dirty: true,
    };
    let stage = SecondStageWalk::new(config).expect("a stage");

    stage.translate(memory, iova, access).ok()
}

pub fn first_stage(
    memory: &mut Seen<'_>,
    levels: u32,
    no_execute: bool,
    iova: u64,
    access: Access,
) -> Found {
    let config = FirstStageConfig {
        root: memory.0.root(),
        levels,
        host_bits: 52,
        one_gib: true,
        no_execute,
        write_protect: true,
        supervisor: true,
        execute: true,
        execution_prevention: false,
        extended_accessed: false,
    };
    let stage = FirstStageWalk::new(config).expect("a stage");

    stage.translate(memory, iova, access).ok()
}

fn granule<G: Granule>() -> vmsa::Granule {
    match G::BITS {
        12 => vmsa::Granule::K4,
        14 => vmsa::Granule::K16,
        _ => vmsa::Granule::K64,
    }
}

fn updates(track_dirty: bool) -> FlagUpdates {
    if track_dirty {
        FlagUpdates::AccessAndDirty
    } else {
        FlagUpdates::None
    }
}

pub fn stage1<G: Granule>(
    memory: &mut Seen<'_>,
    input_bits: u32,
    track_dirty: bool,
    iova: u64,
    access: Access,
) -> Found {
    let config = Stage1Config {
        lower: Some(TableConfig {
            base: memory.0.root(),
            size_offset: 64 - input_bits,
            granule: granule::<G>(),
            top_byte_ignored: false,
            flat_permissions: false,
        }),
        upper: None,
        output_bits: G::OUTPUT_BITS,
        access_faultless: false,
        updates: updates(track_dirty),
        write_xor_execute: false,
        privileged_access_never: false,
    };
    let stage = Stage1Walk::new(config).expect("a stage");

    stage.translate(memory, iova, access).ok()
}

pub fn stage2<G: Granule>(
    memory: &mut Seen<'_>,
    (levels, input_bits): (u32, u32),
    track_dirty: bool,
    iova: u64,
    access: Access,
) -> Found {
    let start = 4 - levels;
    let config = Stage2Config {
        base: memory.0.root(),
        size_offset: 64 - input_bits,
        // SL0 counts from level 2 with 4 KiB, from level 3 with the others.
        start_field: if G::BITS == 12 { 2 - start } else { 3 - start },
        granule: granule::<G>(),
        output_bits: G::OUTPUT_BITS,
        system_bits: 52,
        access_faultless: false,
        updates: updates(track_dirty),
        execute_by_privilege: true,
    };
    let stage = Stage2Walk::new(config).expect("a stage");

    stage.translate(memory, iova, access).ok()
}
