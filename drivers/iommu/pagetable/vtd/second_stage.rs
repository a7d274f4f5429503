// SPDX-License-Identifier: GPL-2.0

//! VT-d's second-stage tables: from guest-physical addresses (in legacy mode, from any IOVA) to
//! host-physical ones.
//!
//! Entries by level (9.8): SS-PTE 0, SS-PDE 1, SS-PDPE 2, SS-PML4E 3, SS-PML5E 4.

use super::{ADDRESS, IGNORED_MMIO, PAGE_ADDRESS, PAGE_SIZE};
use crate::base::{
    AddressField, CountField, Format, LeafLayout, MemoryKind, Pattern, Permissions, TableLayout,
};

const READ: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
/// The hardware sets it if SSADE is set in the PASID-table entry.
const DIRTY: u64 = 1 << 9;
/// Ignored in SS-PDEs and above.
const IGNORED_VISIBLE: u64 = 1 << 10;
/// All requests through this page snoop the caches.
const SNOOP: u64 = 1 << 11;

/// Second-stage tables of 3, 4 or 5 levels: 39, 48 or 57 bits of IOVA.
pub struct SecondStage<const LEVELS: u32>;

/// The choices of a driver for a whole second-stage table.
#[derive(Clone, Copy, Default, Debug)]
pub struct SecondStageOptions {
    /// Cache coherency is enforced, which needs ECAP_REG.SC.
    pub snoop: bool,
    /// Read-only pages are refused, as in the parent of a nested domain on hardware with erratum
    /// 772415.
    pub writable_only: bool,
}

impl<const LEVELS: u32> TableLayout for SecondStage<LEVELS> {
    const LEVELS: u32 = {
        assert!(LEVELS >= 3 && LEVELS <= 5);
        LEVELS
    };
    const GRANULE_BITS: u32 = 12;
    const INDEX_BITS: u32 = 9;
    const ROOT_BITS: u32 = 9;
    // There is no present bit: an entry that allows neither reads nor writes is not present. Links
    // allow both.
    const LINK_MASK: u64 = PAGE_SIZE | READ | WRITE;
    const LINK_TAG: u64 = READ | WRITE;
    const LINK_FLAGS: u64 = 0;
    const LINK_ADDRESS: u64 = ADDRESS;
    // The hardware ignores 60:52 and 63.
    const COUNT: CountField = CountField {
        low: (52, 9),
        high: (63, 1),
    };
    const VISIBLE: u64 = IGNORED_VISIBLE;
}

impl<const LEVELS: u32> LeafLayout for SecondStage<LEVELS> {
    const OUTPUT_BITS: u32 = 52;
    const LEAF_LEVELS: u32 = 3;
    const ADDRESS: AddressField = PAGE_ADDRESS;
    const ATTRIBUTES: u64 = READ | WRITE | DIRTY | SNOOP | IGNORED_MMIO;
    const PAGE_FLAGS: u64 = 0;
    const LARGE_PAGE_FLAGS: u64 = PAGE_SIZE;
    const MMIO: Pattern = Pattern::set(IGNORED_MMIO);
    const DIRTY: Pattern = Pattern::set(DIRTY);
    const DIRTY_FLAG: u64 = DIRTY;
}

impl<const LEVELS: u32> Format for SecondStage<LEVELS> {
    const NAME: &'static str = match LEVELS {
        3 => "vtd-ss3",
        4 => "vtd-ss4",
        _ => "vtd-ss5",
    };
    type Options = SecondStageOptions;
    const CAN_CUT: bool = true;

    #[inline(always)]
    fn attributes(
        options: SecondStageOptions,
        permissions: Permissions,
        kind: MemoryKind,
    ) -> Option<u64> {
        let Permissions { read, write, .. } = permissions;
        let mut bits = 0;

        if read {
            bits |= READ;
        }
        if write {
            bits |= WRITE;
        }
        if options.snoop {
            bits |= SNOOP;
        }
        if kind == MemoryKind::Mmio {
            bits |= IGNORED_MMIO;
        }
        (write || read && !options.writable_only).then_some(bits)
    }

    fn permissions(leaf: u64) -> Permissions {
        Permissions {
            read: leaf & READ != 0,
            write: leaf & WRITE != 0,
            execute: leaf & READ != 0,
            privileged: false,
        }
    }
}
