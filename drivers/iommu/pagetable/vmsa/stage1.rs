// SPDX-License-Identifier: GPL-2.0

//! Stage 1: virtual to intermediate (or, without a stage 2, physical) addresses (D8.3.1.2).

use super::{
    group_bits, page_address, table_address, table_layout, Granule, Start, ACCESS_FLAG, CONTIGUOUS,
    DBM, IGNORED_VISIBLE, INNER_SHAREABLE, OUTER_SHAREABLE, SHAREABILITY, TABLE_OR_PAGE, VALID,
};
use crate::base::{
    AddressField, CountField, DirtyField, Format, LeafLayout, MemoryKind, Permissions, TableLayout,
    MAX_LEVELS,
};
use core::marker::PhantomData;

/// AttrIndx, bits 4:2: which byte of [`MAIR`] says how the memory is cached.
const ATTR_INDEX: u64 = 7 << 2;
const ATTR_WRITE_BACK: u64 = 1 << 2;
const ATTR_DEVICE: u64 = 2 << 2;
/// AP\[1\]: unprivileged requests too.
const UNPRIVILEGED: u64 = 1 << 6;
/// AP\[2\]: not for writing. With DBM: not written yet.
const READ_ONLY: u64 = 1 << 7;
/// Of this ASID only.
const NOT_GLOBAL: u64 = 1 << 11;
/// PXN: no instructions from here for privileged requests.
const PRIVILEGED_EXECUTE_NEVER: u64 = 1 << 53;
/// UXN: no instructions from here for others, who need no AP\[1\] for that (D8.4).
const UNPRIVILEGED_EXECUTE_NEVER: u64 = 1 << 54;

/// What the context descriptor's MAIR has to be for the AttrIndx that these tables use: normal
/// memory non-cacheable, write-back; device memory nGnRE (IHI 0070, 5.4; DDI 0487, MAIR_EL1).
pub const MAIR: u64 = 0x44 | 0xff << 8 | 0x04 << 16;

/// Stage 1 tables. `BBM2` says that the SMMU has SMMU_IDR3.BBML = 2, so that blocks in use may be
/// replaced by tables.
pub struct Stage1<G: Granule, const INPUT_BITS: u32, const BBM2: bool = false>(PhantomData<G>);

/// What a driver decides for a whole stage 1.
#[derive(Clone, Copy, Default, Debug)]
pub struct Stage1Options {
    /// Writable pages begin clean and are made dirty by the SMMU: HA and HD are set in the CD.
    pub track_dirty: bool,
}

table_layout!(Stage1, stage1);

impl<G: Granule, const INPUT_BITS: u32, const BBM2: bool> LeafLayout
    for Stage1<G, INPUT_BITS, BBM2>
{
    const OUTPUT_BITS: u32 = G::OUTPUT_BITS;
    const LEAF_LEVELS: u32 = G::LEAF_LEVELS;
    const ADDRESS: AddressField = page_address::<G>();
    const ATTRIBUTES: u64 = {
        let access = UNPRIVILEGED | READ_ONLY | DBM;
        let execute = PRIVILEGED_EXECUTE_NEVER | UNPRIVILEGED_EXECUTE_NEVER;

        ATTR_INDEX | SHAREABILITY | ACCESS_FLAG | NOT_GLOBAL | access | execute
    };
    const PAGE_FLAGS: u64 = VALID | TABLE_OR_PAGE;
    const LARGE_PAGE_FLAGS: u64 = VALID;
    const GROUP_FLAG: u64 = CONTIGUOUS;
    const GROUP_BITS: [u32; MAX_LEVELS as usize] = group_bits::<G>();
    const DIRTY: DirtyField = DirtyField {
        mask: READ_ONLY | DBM,
        dirty: DBM,
        clean: READ_ONLY | DBM,
    };
}

impl<G: Granule, const INPUT_BITS: u32, const BBM2: bool> Format for Stage1<G, INPUT_BITS, BBM2> {
    const NAME: &'static str = match G::BITS {
        12 => "vmsa-s1-4k",
        14 => "vmsa-s1-16k",
        _ => "vmsa-s1-64k",
    };
    type Options = Stage1Options;
    const CAN_CUT: bool = BBM2;

    fn tracks_dirty(options: Stage1Options) -> bool {
        options.track_dirty
    }

    fn attributes(
        options: Stage1Options,
        permissions: Permissions,
        kind: MemoryKind,
    ) -> Option<u64> {
        let mut bits = ACCESS_FLAG | NOT_GLOBAL;

        bits |= match kind {
            MemoryKind::Normal => ATTR_WRITE_BACK | INNER_SHAREABLE,
            MemoryKind::Mmio => ATTR_DEVICE | OUTER_SHAREABLE,
        };
        // What can be written can be read: the format knows no other way.
        bits |= match (permissions.write, options.track_dirty) {
            (true, false) => 0,
            (true, true) => READ_ONLY | DBM,
            (false, _) => READ_ONLY,
        };
        if permissions.privileged {
            bits |= UNPRIVILEGED_EXECUTE_NEVER;
        } else {
            bits |= UNPRIVILEGED;
        }
        if !permissions.execute {
            bits |= PRIVILEGED_EXECUTE_NEVER | UNPRIVILEGED_EXECUTE_NEVER;
        }
        (permissions.read || permissions.write).then_some(bits)
    }

    fn permissions(leaf: u64) -> Permissions {
        Permissions {
            read: true,
            write: leaf & (READ_ONLY | DBM) != READ_ONLY,
            execute: leaf & PRIVILEGED_EXECUTE_NEVER == 0,
            privileged: leaf & UNPRIVILEGED == 0,
        }
    }

    #[inline(always)]
    fn kind(leaf: u64) -> MemoryKind {
        if leaf & ATTR_INDEX == ATTR_DEVICE {
            MemoryKind::Mmio
        } else {
            MemoryKind::Normal
        }
    }
}
