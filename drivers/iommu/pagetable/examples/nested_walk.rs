// SPDX-License-Identifier: GPL-2.0

//! A guest's page table under its host's, walked as an SMMUv3 does it; and what the SMMU records when
//! the host takes a page away.
//!
//! In `tools/testing/host`: `cargo run --example nested_walk`
//!
//! ```text
//! IOVA ──stage 1, the guest's──► IPA ──stage 2, the host's──► physical address
//! ```
//!
//! What a guest takes for physical addresses are IPAs, those of its tables too. So each entry of stage
//! 1 that the SMMU reads is itself first looked up in stage 2.

#![forbid(unsafe_code)]

use iommu_pagetable::{
    vmsa::{Granule4K, Stage1, Stage2},
    window::WindowMemory,
    Error, Format, Gather, Limits, MemoryKind, PageTable, Permissions, PhysRun,
};
use iommu_walk::{vmsa as smmu, Access, BusError, Request, WalkMemory};

/// 39 bits each: three levels, the first one being Arm's level 1. The host's SMMU has BBML 2 (`true`);
/// on others a page that was mapped as one of a row cannot be taken away alone.
type GuestTable<'w> = PageTable<Stage1<Granule4K, 39>, &'w WindowMemory>;
type HostTable<'w> = PageTable<Stage2<Granule4K, 39, true>, &'w WindowMemory>;

const PAGE: u64 = 4 << 10;
/// How much of it there is of tables, on either side.
const BYTES: u64 = 64 << 10;
/// Where the host has its tables.
const HOST_TABLES: u64 = 0x1000_0000;
/// Where the guest believes to have its tables, and where they really are.
const GUEST_TABLES: u64 = 0x4000_0000;
const GUEST_TABLES_PHYS: u64 = 0x8_8000_0000;
/// A page of data: for the device, for the guest, and really.
const IOVA: u64 = 0x12_3456_7000;
const IPA: u64 = 0x4800_0000;
const PHYS: u64 = 0x9_0000_3000;

/// The memory of the machine, as far as there are tables in it.
struct Machine<'w> {
    host: &'w WindowMemory,
    guest: &'w WindowMemory,
}

impl WalkMemory for Machine<'_> {
    fn read(&mut self, addr: u64) -> Result<u64, BusError> {
        let guests = addr
            .wrapping_sub(GUEST_TABLES_PHYS)
            .wrapping_add(GUEST_TABLES);
        let word = self.host.word(addr).or_else(|| self.guest.word(guests));

        word.map(|word| word.load()).ok_or(BusError)
    }
}

/// Maps memory in one piece, for everything.
fn map<F: Format>(
    table: &PageTable<F, &WindowMemory>,
    from: u64,
    to: u64,
    length: u64,
) -> Result<(), Error> {
    let run = PhysRun {
        phys: to,
        length: length as usize,
        kind: MemoryKind::Normal,
    };
    let all = Permissions {
        read: true,
        write: true,
        execute: true,
        privileged: false,
    };
    let mut gather = Gather::new();
    let result = table.map(from, &[run], all, (), &mut gather);

    gather.flush(&table, |_| ());
    result
}

/// Takes a page out of the host's table.
fn take_away(table: &HostTable<'_>, ipa: u64) -> Result<(), Error> {
    let mut gather = Gather::new();
    let result = table.unmap(ipa, PAGE, (), &mut gather, |_| ());

    gather.flush(&table, |_| ());
    result.map(|_| ())
}

/// The SMMU, with the fields that a driver writes into the CD and the STE for these tables.
fn walker(guest: &GuestTable<'_>, host: &HostTable<'_>) -> Result<smmu::Nested, smmu::ConfigError> {
    let stage1 = smmu::Stage1::new(smmu::Stage1Config {
        lower: Some(smmu::TableConfig {
            base: guest.root(),
            size_offset: 64 - 39,
            granule: smmu::Granule::K4,
            top_byte_ignored: false,
            flat_permissions: false,
        }),
        upper: None,
        output_bits: 44,
        access_faultless: false,
        updates: smmu::FlagUpdates::None,
        write_xor_execute: false,
        privileged_access_never: false,
    })?;
    let stage2 = smmu::Stage2::new(smmu::Stage2Config {
        base: host.root(),
        size_offset: 64 - 39,
        // With this granule 1 says that the walk begins at Arm's level 1.
        start_field: 1,
        granule: smmu::Granule::K4,
        output_bits: 44,
        system_bits: 44,
        access_faultless: false,
        updates: smmu::FlagUpdates::None,
        execute_by_privilege: false,
    })?;

    Ok(smmu::Nested { stage1, stage2 })
}

fn main() -> Result<(), Error> {
    let host_memory = WindowMemory::new(HOST_TABLES, BYTES as usize);
    let guest_memory = WindowMemory::new(GUEST_TABLES, BYTES as usize);
    let host = HostTable::new(&host_memory, Default::default(), Limits::default(), ())?;
    let guest = GuestTable::new(&guest_memory, Default::default(), Limits::default(), ())?;
    let smmu = walker(&guest, &host).expect("the fields fit the tables");
    let walk = |what: &str| {
        let mut machine = Machine {
            host: &host_memory,
            guest: &guest_memory,
        };
        let write = Access {
            request: Request::Write,
            privileged: false,
        };

        println!("{what}, the device writes to {:#x}:", IOVA + 0x10);
        match smmu.translate(&mut machine, IOVA + 0x10, write) {
            Ok(found) => println!(
                "  {:#x}, which may be cached for {} KiB\n",
                found.output,
                (1u64 << found.page_bits) >> 10
            ),
            Err(fault) => println!("  {fault}\n  {:#x?}\n", fault.event()),
        }
    };

    // The guest maps a page for its device, and writes IPAs only.
    map(&guest, IOVA, IPA, PAGE)?;
    walk("The host has mapped nothing");

    map(&host, GUEST_TABLES, GUEST_TABLES_PHYS, BYTES)?;
    walk("The host has mapped the guest's tables");

    map(&host, IPA, PHYS, PAGE)?;
    walk("The host has mapped the page as well");

    take_away(&host, guest.root())?;
    walk("The host has taken away the guest's first table");
    Ok(())
}
