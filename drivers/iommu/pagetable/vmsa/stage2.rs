// SPDX-License-Identifier: GPL-2.0

//! Stage 2: from intermediate physical to physical addresses (D8.3.1.2).

use super::{Stage, Vmsa, WRITE_CONTROL};
use crate::base::{Pattern, Permissions};

/// MemAttr, bits 5:2 (D8.6.5).
const MEM_ATTR: u64 = 0xf << 2;
const MEM_ATTR_WRITE_BACK: u64 = 0xf << 2;
/// The same where S2FWB is set.
const MEM_ATTR_FORCED_WRITE_BACK: u64 = 0x6 << 2;
const MEM_ATTR_DEVICE: u64 = 0x1 << 2;
/// `S2AP[0]`.
const READ: u64 = 1 << 6;
/// `XN[1:0]` = 0b10: no instructions are fetched from here.
const EXECUTE_NEVER: u64 = 2 << 53;

/// The format of stage 2 tables; see [`Vmsa`] for `BBM2`.
pub type Stage2<G, const INPUT_BITS: u32, const BBM2: bool = false> =
    Vmsa<StageTwo, G, INPUT_BITS, BBM2>;

/// Stage 2, as a parameter of [`Vmsa`].
pub struct StageTwo;

/// The choices of a driver for a whole stage 2 table.
#[derive(Clone, Copy, Default, Debug)]
pub struct Stage2Options {
    /// Writable pages begin clean, and the SMMU makes them dirty: S2HA and S2HD are set in the STE.
    pub track_dirty: bool,
    /// S2FWB is set in the STE: normal memory is write-back whatever stage 1 says.
    pub force_write_back: bool,
}

impl Stage for StageTwo {
    const NAMES: [&'static str; 3] = ["vmsa-s2-4k", "vmsa-s2-16k", "vmsa-s2-64k"];
    /// Up to 16 tables (D8.2.2).
    const CONCATENATED_BITS: u32 = 4;
    const ATTRIBUTES: u64 = MEM_ATTR | READ | EXECUTE_NEVER;
    const MMIO: Pattern = Pattern {
        mask: MEM_ATTR,
        value: MEM_ATTR_DEVICE,
    };
    /// `S2AP[1]` allows writing.
    const WRITABLE: u64 = WRITE_CONTROL;
    type Options = Stage2Options;

    #[inline(always)]
    fn tracks_dirty(options: Stage2Options) -> bool {
        options.track_dirty
    }

    #[inline(always)]
    fn normal(options: Stage2Options) -> u64 {
        if options.force_write_back {
            MEM_ATTR_FORCED_WRITE_BACK
        } else {
            MEM_ATTR_WRITE_BACK
        }
    }

    /// Stage 2 does not distinguish privileged requests.
    #[inline(always)]
    fn rights(permissions: Permissions) -> u64 {
        let read = if permissions.read { READ } else { 0 };
        let execute = if permissions.execute {
            0
        } else {
            EXECUTE_NEVER
        };

        read | execute
    }

    #[inline(always)]
    fn permissions(leaf: u64, write: bool) -> Permissions {
        Permissions {
            read: leaf & READ != 0,
            write,
            execute: leaf & EXECUTE_NEVER == 0,
            privileged: false,
        }
    }
}
