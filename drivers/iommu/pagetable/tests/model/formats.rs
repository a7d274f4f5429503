// SPDX-License-Identifier: GPL-2.0

//! The formats that are tested, their options, and the permissions that they grant.

use super::hardware::{self, Found, Seen};
use iommu_pagetable::{
    vmsa::{Granule, Stage1, Stage1Options, Stage2, Stage2Options},
    vtd::{FirstStage, FirstStageOptions, SecondStage, SecondStageOptions},
    Format, Mock, Permissions, TableLayout,
};
use iommu_walk::Access;

/// A format, and the properties of it that the tests need. Options are bits of a number.
pub trait Tested: Format {
    fn options(bits: u8) -> Self::Options;

    /// Returns what the device may do, or `None` if the format cannot express it.
    fn grants(permissions: Permissions, bits: u8) -> Option<Permissions>;

    fn starts_dirty(_bits: u8) -> bool {
        false
    }

    fn tracks(_bits: u8) -> bool {
        true
    }

    /// Returns whether groups are made in a format that has them. They are not where hardware
    /// records writes.
    fn groups(_bits: u8) -> bool {
        true
    }

    /// The result of an access by hardware, or `None` if there is no walker for the format.
    fn walk(_memory: &mut Seen<'_>, _bits: u8, _iova: u64, _access: Access) -> Option<Found> {
        None
    }

    /// Returns whether hardware takes this output address for memory.
    fn is_memory(_output: u64) -> bool {
        true
    }
}

/// VT-d writes to this range are interrupts, wherever they come from (3.14).
fn is_not_interrupt(output: u64) -> bool {
    output >> 20 != 0xfee
}

/// Returns `None` for permissions that grant no access.
fn some(permissions: Permissions) -> Option<Permissions> {
    (permissions.read || permissions.write).then_some(permissions)
}

impl<const LEVELS: u32> Tested for SecondStage<LEVELS> {
    fn options(bits: u8) -> SecondStageOptions {
        SecondStageOptions {
            snoop: bits & 1 != 0,
            writable_only: bits & 6 == 6,
        }
    }

    fn grants(permissions: Permissions, bits: u8) -> Option<Permissions> {
        let refused = bits & 6 == 6 && !permissions.write;

        some(permissions)
            .filter(|_| !refused)
            .map(|granted| Permissions {
                execute: granted.read,
                privileged: false,
                ..granted
            })
    }

    fn walk(memory: &mut Seen<'_>, _bits: u8, iova: u64, access: Access) -> Option<Found> {
        Some(hardware::second_stage(memory, LEVELS, iova, access))
    }

    fn is_memory(output: u64) -> bool {
        is_not_interrupt(output)
    }
}

impl<const LEVELS: u32> Tested for FirstStage<LEVELS> {
    fn options(bits: u8) -> FirstStageOptions {
        FirstStageOptions {
            no_execute: bits & 1 != 0,
            track_dirty: bits & 2 != 0,
        }
    }

    fn grants(permissions: Permissions, bits: u8) -> Option<Permissions> {
        some(permissions).map(|granted| Permissions {
            read: true,
            execute: granted.execute || bits & 1 == 0,
            ..granted
        })
    }

    fn starts_dirty(bits: u8) -> bool {
        bits & 2 == 0
    }

    fn walk(memory: &mut Seen<'_>, bits: u8, iova: u64, access: Access) -> Option<Found> {
        Some(hardware::first_stage(
            memory,
            LEVELS,
            bits & 1 != 0,
            iova,
            access,
        ))
    }

    fn is_memory(output: u64) -> bool {
        is_not_interrupt(output)
    }
}

impl Tested for Mock {
    fn options(_: u8) {}

    fn grants(permissions: Permissions, _: u8) -> Option<Permissions> {
        some(permissions).map(|granted| Permissions {
            execute: granted.read,
            privileged: false,
            ..granted
        })
    }
}

impl<G: Granule, const BITS: u32, const BBM2: bool> Tested for Stage1<G, BITS, BBM2> {
    fn options(bits: u8) -> Stage1Options {
        Stage1Options {
            track_dirty: bits & 1 != 0,
        }
    }

    fn grants(permissions: Permissions, _: u8) -> Option<Permissions> {
        some(permissions).map(|granted| Permissions {
            read: true,
            ..granted
        })
    }

    fn tracks(bits: u8) -> bool {
        bits & 1 != 0
    }

    fn groups(bits: u8) -> bool {
        bits & 1 == 0
    }

    fn walk(memory: &mut Seen<'_>, bits: u8, iova: u64, access: Access) -> Option<Found> {
        // The walkers do not support more than 48 bits.
        (BITS <= 48).then(|| hardware::stage1::<G>(memory, BITS, bits & 1 != 0, iova, access))
    }
}

impl<G: Granule, const BITS: u32, const BBM2: bool> Tested for Stage2<G, BITS, BBM2> {
    fn options(bits: u8) -> Stage2Options {
        Stage2Options {
            track_dirty: bits & 1 != 0,
            force_write_back: bits & 2 != 0,
        }
    }

    fn grants(permissions: Permissions, _: u8) -> Option<Permissions> {
        some(permissions).map(|granted| Permissions {
            privileged: false,
            ..granted
        })
    }

    fn tracks(bits: u8) -> bool {
        bits & 1 != 0
    }

    fn groups(bits: u8) -> bool {
        bits & 1 == 0
    }

    fn walk(memory: &mut Seen<'_>, bits: u8, iova: u64, access: Access) -> Option<Found> {
        let size = (Self::LEVELS, BITS);

        Some(hardware::stage2::<G>(
            memory,
            size,
            bits & 1 != 0,
            iova,
            access,
        ))
    }
}

/// Calls a macro with the name and the type of every format.
#[macro_export]
macro_rules! for_each_format {
    ($then:ident) => {
        $then! {
            second_stage_3: SecondStage<3>,
            second_stage_4: SecondStage<4>,
            second_stage_5: SecondStage<5>,
            first_stage_4: FirstStage<4>,
            first_stage_5: FirstStage<5>,
            mock: Mock,
            stage1_4k_39: Stage1<Granule4K, 39, true>,
            stage1_4k_48: Stage1<Granule4K, 48>,
            stage1_4k_33: Stage1<Granule4K, 33, true>,
            stage1_16k_48: Stage1<Granule16K, 48, true>,
            stage1_16k_36: Stage1<Granule16K, 36>,
            stage1_64k_48: Stage1<Granule64K, 48>,
            stage1_64k_52: Stage1<Granule64K, 52, true>,
            stage1_64k_30: Stage1<Granule64K, 30, true>,
            stage2_4k_40: Stage2<Granule4K, 40>,
            stage2_4k_43: Stage2<Granule4K, 43, true>,
            stage2_4k_44: Stage2<Granule4K, 44, true>,
            stage2_4k_30: Stage2<Granule4K, 30>,
            stage2_16k_40: Stage2<Granule16K, 40, true>,
            stage2_16k_48: Stage2<Granule16K, 48>,
            stage2_64k_42: Stage2<Granule64K, 42>,
            stage2_64k_46: Stage2<Granule64K, 46, true>,
        }
    };
}
