// SPDX-License-Identifier: GPL-2.0

//! The format of no real IOMMU, with pages smaller than the CPU's: for the mock IOMMU and for
//! tests.
//!
//! ```text
//!  63  62   61     52 51                    11 10    6  5    4     3     2     1     0
//! |   | V |  count   |        address         |      | MMIO | D |  W  |  R  | leaf | P |
//! ```
//!
//! Pages of 2 KiB, 1 MiB and 512 MiB; four levels of 512 entries, so 47 bits of IOVA.

use crate::base::{
    AddressField, CountField, Format, LeafLayout, MemoryKind, Pattern, Permissions, TableLayout,
};

const PRESENT: u64 = 1 << 0;
const LEAF: u64 = 1 << 1;
const READ: u64 = 1 << 2;
const WRITE: u64 = 1 << 3;
const DIRTY: u64 = 1 << 4;
const MMIO: u64 = 1 << 5;
const ADDRESS: u64 = ((1 << 52) - 1) & !((1 << 11) - 1);

/// The format of the mock IOMMU.
pub struct Mock;

impl TableLayout for Mock {
    const LEVELS: u32 = 4;
    const GRANULE_BITS: u32 = 11;
    const INDEX_BITS: u32 = 9;
    const ROOT_BITS: u32 = 9;
    const LINK_MASK: u64 = PRESENT | LEAF;
    const LINK_TAG: u64 = PRESENT;
    const LINK_FLAGS: u64 = 0;
    const LINK_ADDRESS: u64 = ADDRESS;
    const COUNT: CountField = CountField {
        low: (52, 10),
        high: (0, 0),
    };
    const VISIBLE: u64 = 1 << 62;
}

impl LeafLayout for Mock {
    const OUTPUT_BITS: u32 = 52;
    const LEAF_LEVELS: u32 = 3;
    const ADDRESS: AddressField = AddressField {
        own: ADDRESS,
        high: (0, 0),
    };
    const ATTRIBUTES: u64 = READ | WRITE | DIRTY | MMIO;
    const PAGE_FLAGS: u64 = PRESENT | LEAF;
    const LARGE_PAGE_FLAGS: u64 = PRESENT | LEAF;
    const MMIO: Pattern = Pattern::set(MMIO);
    const DIRTY: Pattern = Pattern::set(DIRTY);
    const DIRTY_FLAG: u64 = DIRTY;
}

impl Format for Mock {
    const NAME: &'static str = "mock";
    type Options = ();
    const CAN_CUT: bool = true;

    fn attributes((): (), permissions: Permissions, kind: MemoryKind) -> Option<u64> {
        let mut bits = 0;

        if permissions.read {
            bits |= READ;
        }
        if permissions.write {
            bits |= WRITE;
        }
        if kind == MemoryKind::Mmio {
            bits |= MMIO;
        }
        (permissions.read || permissions.write).then_some(bits)
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
