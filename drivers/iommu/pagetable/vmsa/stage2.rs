// SPDX-License-Identifier: GPL-2.0

//! Stage 2: intermediate to physical addresses (D8.3.1.2).

use super::{
    get_phys, leaf_type, put_phys, table_address, table_layout, Granule, Start, ACCESS_FLAG,
    CONTIGUOUS, DBM, IGNORED_VISIBLE, INNER_SHAREABLE, OUTER_SHAREABLE, SHAREABILITY,
    TABLE_OR_PAGE, VALID,
};
use crate::base::{CountField, Format, MemoryKind, Permissions, TableLayout};
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

impl<G: Granule, const INPUT_BITS: u32, const BBM2: bool> Format for Stage2<G, INPUT_BITS, BBM2> {
    const NAME: &'static str = match G::BITS {
        12 => "vmsa-s2-4k",
        14 => "vmsa-s2-16k",
        _ => "vmsa-s2-64k",
    };
    type Options = Stage2Options;
    const OUTPUT_BITS: u32 = G::OUTPUT_BITS;
    const LEAF_LEVELS: u32 = G::LEAF_LEVELS;
    const CAN_CUT: bool = BBM2;

    fn tracks_dirty(options: Stage2Options) -> bool {
        options.track_dirty
    }

    #[inline(always)]
    fn group_bits(level: u32) -> u32 {
        G::GROUP_BITS.get(level as usize).copied().unwrap_or(0)
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

    #[inline(always)]
    fn leaf(level: u32, phys: u64, attributes: u64) -> u64 {
        put_phys::<G>(phys) | attributes | leaf_type(level)
    }

    #[inline(always)]
    fn grouped(leaf: u64) -> u64 {
        leaf | CONTIGUOUS
    }

    #[inline(always)]
    fn is_grouped(leaf: u64) -> bool {
        leaf & CONTIGUOUS != 0
    }

    #[inline(always)]
    fn phys(leaf: u64) -> u64 {
        get_phys::<G>(leaf)
    }

    fn attributes_of(leaf: u64) -> u64 {
        let access = READ | WRITE | DBM | EXECUTE_NEVER;

        leaf & (MEM_ATTR | SHAREABILITY | ACCESS_FLAG | access)
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

    #[inline(always)]
    fn is_dirty(leaf: u64) -> bool {
        leaf & (WRITE | DBM) == WRITE | DBM
    }

    fn cleaned(leaf: u64) -> u64 {
        leaf & !WRITE
    }

    fn dirtied(leaf: u64) -> u64 {
        leaf | WRITE
    }
}
