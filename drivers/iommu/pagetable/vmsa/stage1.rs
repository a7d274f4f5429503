// SPDX-License-Identifier: GPL-2.0

//! Stage 1: from virtual to intermediate physical addresses, or to physical ones where there is no
//! stage 2 (D8.3.1.2).

use super::{Stage, Vmsa};
use crate::base::{Pattern, Permissions};

/// AttrIndx, bits 4:2: the byte of [`MAIR`] that says how the memory is cached.
const ATTR_INDEX: u64 = 7 << 2;
const ATTR_WRITE_BACK: u64 = 1 << 2;
const ATTR_DEVICE: u64 = 2 << 2;
/// `AP[1]`: unprivileged requests are allowed as well.
const UNPRIVILEGED: u64 = 1 << 6;
/// nG: the translation belongs to one ASID.
const NOT_GLOBAL: u64 = 1 << 11;
/// PXN: privileged requests fetch no instructions from here.
const PRIVILEGED_EXECUTE_NEVER: u64 = 1 << 53;
/// UXN: unprivileged requests fetch no instructions from here. Without it they can, even if
/// `AP[1]` is clear (D8.4).
const UNPRIVILEGED_EXECUTE_NEVER: u64 = 1 << 54;

/// The value that the MAIR field of the context descriptor must have for these tables.
///
/// AttrIndx 0 is normal memory that is not cached, 1 is normal memory with write-back caching, 2 is
/// device memory of the type nGnRE (IHI 0070, 5.4; DDI 0487, MAIR_EL1).
pub const MAIR: u64 = 0x44 | 0xff << 8 | 0x04 << 16;

/// The format of stage 1 tables; see [`Vmsa`] for `BBM2`.
pub type Stage1<G, const INPUT_BITS: u32, const BBM2: bool = false> =
    Vmsa<StageOne, G, INPUT_BITS, BBM2>;

/// Stage 1, as a parameter of [`Vmsa`].
pub struct StageOne;

/// The choices of a driver for a whole stage 1 table.
#[derive(Clone, Copy, Default, Debug)]
pub struct Stage1Options {
    /// Writable pages begin clean, and the SMMU makes them dirty: HA and HD are set in the CD.
    pub track_dirty: bool,
}

impl Stage for StageOne {
    const NAMES: [&'static str; 3] = ["vmsa-s1-4k", "vmsa-s1-16k", "vmsa-s1-64k"];
    const CONCATENATED_BITS: u32 = 0;
    const ATTRIBUTES: u64 = ATTR_INDEX
        | UNPRIVILEGED
        | NOT_GLOBAL
        | PRIVILEGED_EXECUTE_NEVER
        | UNPRIVILEGED_EXECUTE_NEVER;
    const MMIO: Pattern = Pattern {
        mask: ATTR_INDEX,
        value: ATTR_DEVICE,
    };
    /// `AP[2]` forbids writing.
    const WRITABLE: u64 = 0;
    type Options = Stage1Options;

    #[inline(always)]
    fn tracks_dirty(options: Stage1Options) -> bool {
        options.track_dirty
    }

    #[inline(always)]
    fn normal(_options: Stage1Options) -> u64 {
        ATTR_WRITE_BACK
    }

    /// Every page that can be written can be read: the format has no other way.
    #[inline(always)]
    fn rights(permissions: Permissions) -> u64 {
        let mut bits = NOT_GLOBAL;

        if permissions.privileged {
            bits |= UNPRIVILEGED_EXECUTE_NEVER;
        } else {
            bits |= UNPRIVILEGED;
        }
        if !permissions.execute {
            bits |= PRIVILEGED_EXECUTE_NEVER | UNPRIVILEGED_EXECUTE_NEVER;
        }
        bits
    }

    #[inline(always)]
    fn permissions(leaf: u64, write: bool) -> Permissions {
        Permissions {
            read: true,
            write,
            execute: leaf & PRIVILEGED_EXECUTE_NEVER == 0,
            privileged: leaf & UNPRIVILEGED == 0,
        }
    }
}
