// SPDX-License-Identifier: GPL-2.0

//! Stage 2: intermediate to physical addresses (D8.3.1.2).

use super::{
    group_bits, page_address, table_address, table_layout, Granule, Start, ACCESS_FLAG, CONTIGUOUS,
    DBM, IGNORED_VISIBLE, INNER_SHAREABLE, OUTER_SHAREABLE, SHAREABILITY, TABLE_OR_PAGE, VALID,
};
use crate::base::{
    AddressField, CountField, DirtyField, Format, LeafLayout, MemoryKind, Permissions, TableLayout,
    MAX_LEVELS,
};
use core::marker::PhantomData;

/// MemAttr, bits 5:2 (D8.6.5).
const MEM_ATTR: u64 = 0xf << 2;
const MEM_ATTR_WRITE_BACK: u64 = 0xf << 2;
/// The same where S2FWB is set.
const MEM_ATTR_FORCED_WRITE_BACK: u64 = 0x6 << 2;
const MEM_ATTR_DEVICE: u64 = 0x1 << 2;
/// S2AP\[0\].
const READ: u64 = 1 << 6;
/// S2AP\[1\]. With DBM and without this: not written yet.
const WRITE: u64 = 1 << 7;
/// XN\[1:0\] = 0b10: no instructions from here.
const EXECUTE_NEVER: u64 = 2 << 53;

/// Stage 2 tables. `BBM2` says that the SMMU has SMMU_IDR3.BBML = 2, so that blocks in use may be
/// replaced by tables.
pub struct Stage2<G: Granule, const INPUT_BITS: u32, const BBM2: bool = false>(PhantomData<G>);

/// What a driver decides for a whole stage 2.
#[derive(Clone, Copy, Default, Debug)]
pub struct Stage2Options {
    /// Writable pages begin clean and are made dirty by the SMMU: S2HA and S2HD are set in the STE.
    pub track_dirty: bool,
    /// S2FWB is set in the STE: normal memory is write-back whatever stage 1 says.
    pub force_write_back: bool,
}

table_layout!(Stage2, stage2);

impl<G: Granule, const INPUT_BITS: u32, const BBM2: bool> LeafLayout
    for Stage2<G, INPUT_BITS, BBM2>
{
    const OUTPUT_BITS: u32 = G::OUTPUT_BITS;
    const LEAF_LEVELS: u32 = G::LEAF_LEVELS;
    const ADDRESS: AddressField = page_address::<G>();
    const ATTRIBUTES: u64 = {
        let access = READ | WRITE | DBM | EXECUTE_NEVER;

        MEM_ATTR | SHAREABILITY | ACCESS_FLAG | access
    };
    const PAGE_FLAGS: u64 = VALID | TABLE_OR_PAGE;
    const LARGE_PAGE_FLAGS: u64 = VALID;
    const GROUP_FLAG: u64 = CONTIGUOUS;
    const GROUP_BITS: [u32; MAX_LEVELS as usize] = group_bits::<G>();
    const DIRTY: DirtyField = DirtyField {
        mask: WRITE | DBM,
        dirty: WRITE | DBM,
        clean: DBM,
    };
}

impl<G: Granule, const INPUT_BITS: u32, const BBM2: bool> Format for Stage2<G, INPUT_BITS, BBM2> {
    const NAME: &'static str = match G::BITS {
        12 => "vmsa-s2-4k",
        14 => "vmsa-s2-16k",
        _ => "vmsa-s2-64k",
    };
    type Options = Stage2Options;
    const CAN_CUT: bool = BBM2;

    fn tracks_dirty(options: Stage2Options) -> bool {
        options.track_dirty
    }

    fn attributes(
        options: Stage2Options,
        permissions: Permissions,
        kind: MemoryKind,
    ) -> Option<u64> {
        let mut bits = ACCESS_FLAG;

        bits |= match kind {
            MemoryKind::Normal if options.force_write_back => {
                MEM_ATTR_FORCED_WRITE_BACK | INNER_SHAREABLE
            }
            MemoryKind::Normal => MEM_ATTR_WRITE_BACK | INNER_SHAREABLE,
            MemoryKind::Mmio => MEM_ATTR_DEVICE | OUTER_SHAREABLE,
        };
        if permissions.read {
            bits |= READ;
        }
        if permissions.write {
            bits |= if options.track_dirty { DBM } else { WRITE };
        }
        if !permissions.execute {
            bits |= EXECUTE_NEVER;
        }
        (permissions.read || permissions.write).then_some(bits)
    }

    fn permissions(leaf: u64) -> Permissions {
        Permissions {
            read: leaf & READ != 0,
            write: leaf & (WRITE | DBM) != 0,
            execute: leaf & EXECUTE_NEVER == 0,
            privileged: false,
        }
    }

    #[inline(always)]
    fn kind(leaf: u64) -> MemoryKind {
        if leaf & MEM_ATTR == MEM_ATTR_DEVICE {
            MemoryKind::Mmio
        } else {
            MemoryKind::Normal
        }
    }
}
