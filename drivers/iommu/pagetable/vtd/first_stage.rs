// SPDX-License-Identifier: GPL-2.0

//! VT-d's first-stage tables, which have the format of the page tables of x86-64 CPUs.
//!
//! Entries by level (9.7): FS-PTE 0, FS-PDE 1, FS-PDPE 2, FS-PML4E 3, FS-PML5E 4. IOVAs are the
//! lower half of the canonical addresses; the upper half is not used.

use super::{ADDRESS, IGNORED_MMIO, PAGE_ADDRESS, PAGE_SIZE};
use crate::base::{
    AddressField, CountField, Format, LeafLayout, MemoryKind, Pattern, Permissions, TableLayout,
};

const PRESENT: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
/// The hardware sets it at every level if it is clear.
const ACCESSED: u64 = 1 << 5;
/// The hardware sets it in pages if it is clear.
const DIRTY: u64 = 1 << 6;
/// Ignored at every level.
const IGNORED_VISIBLE: u64 = 1 << 9;
/// No instructions are fetched from here. It must be 0 unless NXE is set in the PASID-table entry.
const EXECUTE_DISABLE: u64 = 1 << 63;

/// First-stage tables of 4 or 5 levels: 47 or 56 bits of IOVA.
pub struct FirstStage<const LEVELS: u32>;

/// The choices of a driver for a whole first-stage table.
#[derive(Clone, Copy, Default, Debug)]
pub struct FirstStageOptions {
    /// The hardware checks [`Permissions::execute`]: it has ECAP_REG.ERS, and NXE is set.
    pub no_execute: bool,
    /// Pages begin clean. Otherwise they are dirty from the start, and the hardware has no flag to
    /// set.
    pub track_dirty: bool,
}

impl<const LEVELS: u32> TableLayout for FirstStage<LEVELS> {
    const LEVELS: u32 = {
        assert!(LEVELS >= 4 && LEVELS <= 5);
        LEVELS
    };
    const GRANULE_BITS: u32 = 12;
    const INDEX_BITS: u32 = 9;
    const ROOT_BITS: u32 = 9;
    const LINK_MASK: u64 = PRESENT | PAGE_SIZE;
    const LINK_TAG: u64 = PRESENT;
    // ACCESSED is set from the start, so that the hardware never writes to a link.
    const LINK_FLAGS: u64 = WRITE | USER | ACCESSED;
    const LINK_ADDRESS: u64 = ADDRESS;
    // The hardware ignores 62:52.
    const COUNT: CountField = CountField {
        low: (52, 10),
        high: (0, 0),
    };
    const VISIBLE: u64 = IGNORED_VISIBLE;
}

impl<const LEVELS: u32> LeafLayout for FirstStage<LEVELS> {
    const OUTPUT_BITS: u32 = 52;
    const LEAF_LEVELS: u32 = 3;
    const ADDRESS: AddressField = PAGE_ADDRESS;
    const ATTRIBUTES: u64 = WRITE | USER | ACCESSED | DIRTY | EXECUTE_DISABLE | IGNORED_MMIO;
    const PAGE_FLAGS: u64 = PRESENT;
    const LARGE_PAGE_FLAGS: u64 = PRESENT | PAGE_SIZE;
    const MMIO: Pattern = Pattern::set(IGNORED_MMIO);
    const DIRTY: Pattern = Pattern::set(DIRTY);
    const DIRTY_FLAG: u64 = DIRTY;
}

impl<const LEVELS: u32> Format for FirstStage<LEVELS> {
    const NAME: &'static str = match LEVELS {
        4 => "vtd-fs4",
        _ => "vtd-fs5",
    };
    type Options = FirstStageOptions;
    /// Addresses in the upper half of the tables are sign-extended and not mapped.
    const INPUT_BITS: u32 = 11 + 9 * LEVELS;
    const CAN_CUT: bool = true;

    #[inline(always)]
    fn attributes(
        options: FirstStageOptions,
        permissions: Permissions,
        kind: MemoryKind,
    ) -> Option<u64> {
        let mut bits = ACCESSED;

        // Every page that can be written can be read: the format has no other way.
        if permissions.write {
            bits |= WRITE;
            if !options.track_dirty {
                bits |= DIRTY;
            }
        }
        if !permissions.privileged {
            bits |= USER;
        }
        if options.no_execute && !permissions.execute {
            bits |= EXECUTE_DISABLE;
        }
        if kind == MemoryKind::Mmio {
            bits |= IGNORED_MMIO;
        }
        (permissions.read || permissions.write).then_some(bits)
    }

    fn permissions(leaf: u64) -> Permissions {
        Permissions {
            read: true,
            write: leaf & WRITE != 0,
            execute: leaf & EXECUTE_DISABLE == 0,
            privileged: leaf & USER == 0,
        }
    }
}
