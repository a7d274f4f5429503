// SPDX-License-Identifier: GPL-2.0

//! A page table of a guest under that of the host, walked as an SMMUv3 does, and the event that the
//! SMMU records after the host has unmapped a page.
//!
//! In `tools/testing/host`: `cargo run --example nested_walk`
//!
//! ```text
//! IOVA --(stage 1 of the guest)--> IPA --(stage 2 of the host)--> physical address
//! ```
//!
//! The physical addresses of the guest are IPAs, including those of its tables. Stage 2 therefore
//! translates the address of each entry of stage 1 before the SMMU reads it.

#![forbid(unsafe_code)]

use iommu_pagetable::{
    vmsa::{Granule4K, Stage1, Stage2},
    window::WindowMemory,
    Error, Format, Gather, Limits, MemoryKind, PageTable, Permissions, PhysRun,
};
use iommu_walk::{vmsa as smmu, Access, BusError, Request, WalkMemory};

/// Both tables have 39 bits and three levels, of which the first is Arm's level 1. The SMMU has
/// BBML 2 (`true`); on others, a page of a group cannot be unmapped alone.
type GuestTable<'w> = PageTable<Stage1<Granule4K, 39>, &'w WindowMemory>;
type HostTable<'w> = PageTable<Stage2<Granule4K, 39, true>, &'w WindowMemory>;

const PAGE: u64 = 4 << 10;
/// The size of the memory for tables, on either side.
const BYTES: u64 = 64 << 10;
/// The address of the tables of the host.
const HOST_TABLES: u64 = 0x1000_0000;
/// The IPA of the tables of the guest, and their physical address.
const GUEST_TABLES: u64 = 0x4000_0000;
const GUEST_TABLES_PHYS: u64 = 0x8_8000_0000;
/// The IOVA, the IPA and the physical address of a page of data.
const IOVA: u64 = 0x12_3456_7000;
const IPA: u64 = 0x4800_0000;
const PHYS: u64 = 0x9_0000_3000;

/// The memory of the machine that contains tables.
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

/// Maps memory in one piece, with all permissions.
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

/// Unmaps a page in the table of the host.
fn unmap_page(table: &HostTable<'_>, ipa: u64) -> Result<(), Error> {
    let mut gather = Gather::new();
    let result = table.unmap(ipa, PAGE, (), &mut gather, |_| ());

    gather.flush(&table, |_| ());
    result.map(|_| ())
}

/// Creates the walker from the fields that a driver writes into the CD and the STE.
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
        // With this granule, 1 means that the walk begins at Arm's level 1.
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

    // The guest maps a page for its device. Its tables contain only IPAs.
    map(&guest, IOVA, IPA, PAGE)?;
    walk("The host has mapped no page");

    map(&host, GUEST_TABLES, GUEST_TABLES_PHYS, BYTES)?;
    walk("The host has mapped the guest's tables");

    map(&host, IPA, PHYS, PAGE)?;
    walk("The host has mapped the page as well");

    unmap_page(&host, guest.root())?;
    walk("The host has unmapped the guest's first table");
    Ok(())
}
