// SPDX-License-Identifier: GPL-2.0

//! The formats of Arm's VMSAv8-64 (Arm Architecture Reference Manual, DDI 0487, D8), as the SMMUv3
//! walks them (IHI 0070, 3.4).
//!
//! A format is a stage, a granule and a number of input bits. These decide how many levels there
//! are, at which level a walk starts, and how large the first table is (D8.2). Arm counts levels
//! from the root: its level 3 is level 0 here.
//!
//! [`Vmsa`] is the format of both stages. What only one of them has is in `stage1.rs` and
//! `stage2.rs`: the permissions and the kind of memory, for the most part.

mod stage1;
mod stage2;

pub use stage1::{Stage1, Stage1Options, MAIR};
pub use stage2::{Stage2, Stage2Options};

use crate::base::{
    AddressField, CountField, Format, LeafLayout, MemoryKind, Pattern, Permissions, TableLayout,
    MAX_LEVELS,
};
use core::marker::PhantomData;

/// The size of the smallest page and of a table (D8.2).
pub trait Granule: 'static {
    /// Log2 of the size in bytes.
    const BITS: u32;
    /// The name of the granule in messages and reports.
    const NAME: &'static str;
    /// Log2 of the end of the output addresses. Descriptors keep bits above 47 in another place.
    const OUTPUT_BITS: u32;
    /// The number of levels that can hold pages or blocks, counted from level 0 (D8.3.1).
    const LEAF_LEVELS: u32;
    /// Log2 of the number of entries with the Contiguous bit that form a group, by level (D8.7.1).
    const GROUP_BITS: [u32; 2];
    /// The bits of table descriptors that count the entries of the table.
    ///
    /// The hardware ignores bits 11:2 and 58:51 of table descriptors (D8.3.1) unless it is told to
    /// record accesses to tables in bit 10 (HAFT in a CD, S2HAFT in an STE); a driver must not do
    /// that. Of these bits, `COUNT` has as many as it takes to count more than the entries of a
    /// table.
    const COUNT: CountField;
}

/// The granule of 4 KiB, with blocks of 2 MiB and 1 GiB.
pub struct Granule4K;

/// The granule of 16 KiB, with blocks of 32 MiB.
pub struct Granule16K;

/// The granule of 64 KiB, with blocks of 512 MiB.
pub struct Granule64K;

impl Granule for Granule4K {
    const BITS: u32 = 12;
    const NAME: &'static str = "4k";
    const OUTPUT_BITS: u32 = 48;
    const LEAF_LEVELS: u32 = 3;
    const GROUP_BITS: [u32; 2] = [4, 4];
    const COUNT: CountField = CountField {
        low: (2, 10),
        high: (0, 0),
    };
}

impl Granule for Granule16K {
    const BITS: u32 = 14;
    const NAME: &'static str = "16k";
    const OUTPUT_BITS: u32 = 48;
    const LEAF_LEVELS: u32 = 2;
    const GROUP_BITS: [u32; 2] = [7, 5];
    const COUNT: CountField = CountField {
        low: (2, 10),
        high: (52, 2),
    };
}

impl Granule for Granule64K {
    const BITS: u32 = 16;
    const NAME: &'static str = "64k";
    const OUTPUT_BITS: u32 = 52;
    const LEAF_LEVELS: u32 = 2;
    const GROUP_BITS: [u32; 2] = [5, 5];
    const COUNT: CountField = CountField {
        low: (2, 10),
        high: (52, 4),
    };
}

/// A stage of translation: what its descriptors do not share with those of the other stage.
pub trait Stage: 'static {
    /// The names of the formats of this stage, for granules of 4 KiB, 16 KiB and 64 KiB.
    const NAMES: [&'static str; 3];
    /// Log2 of how many tables may lie side by side as one root.
    const CONCATENATED_BITS: u32;
    /// The attributes that only this stage has.
    const ATTRIBUTES: u64;
    /// The attributes of memory that is mapped as [`MemoryKind::Mmio`].
    const MMIO: Pattern;
    /// The value of [`WRITE_CONTROL`] with which the device may write.
    const WRITABLE: u64;

    /// Choices that a driver makes once for a whole table.
    type Options: Copy + Send + Sync;

    /// Returns whether the SMMU records writes in tables with these options.
    fn tracks_dirty(options: Self::Options) -> bool;

    /// Returns the attributes of normal memory.
    fn normal(options: Self::Options) -> u64;

    /// Returns the attributes for the right to read, to execute, and to do so without privilege.
    fn rights(permissions: Permissions) -> u64;

    /// Returns what the device may do through `leaf`, given whether it may `write`.
    fn permissions(leaf: u64, write: bool) -> Permissions;
}

/// The tables of a stage with a granule and a number of input bits.
///
/// `BBM2` says that the SMMU has SMMU_IDR3.BBML = 2, so that a block in use may be replaced by a
/// table.
pub struct Vmsa<S: Stage, G: Granule, const INPUT_BITS: u32, const BBM2: bool>(PhantomData<(S, G)>);

/// The shape of the first table.
struct Start {
    levels: u32,
    root_bits: u32,
}

impl Start {
    /// Returns the shape with the fewest levels for these input bits.
    ///
    /// The first table is smaller than the others where that is enough. With up to
    /// `1 << concatenated_bits` tables side by side as the root, one level can be saved (D8.2.2).
    const fn new<G: Granule>(input_bits: u32, concatenated_bits: u32) -> Self {
        let index_bits = G::BITS - 3;
        let bits = input_bits - G::BITS;
        let levels = bits.div_ceil(index_bits);
        let root_bits = bits - (levels - 1) * index_bits;
        // With 4 KiB, SL0 has no value for a walk that begins with pages.
        let lowest = if G::BITS == 12 { 2 } else { 1 };

        assert!(input_bits >= 25 && (input_bits <= 48 || G::BITS == 16 && input_bits <= 52));
        if levels > lowest && root_bits <= concatenated_bits {
            Self {
                levels: levels - 1,
                root_bits: root_bits + index_bits,
            }
        } else {
            Self { levels, root_bits }
        }
    }
}

/// A descriptor that the hardware does not ignore.
const VALID: u64 = 1 << 0;
/// A table above level 0, a page at level 0; without it, a block.
const TABLE_OR_PAGE: u64 = 1 << 1;
/// `AP[2]` of stage 1, `S2AP[1]` of stage 2. With [`DBM`], it says whether the page is dirty.
const WRITE_CONTROL: u64 = 1 << 7;
/// Access flag: without it, an access faults.
const ACCESS_FLAG: u64 = 1 << 10;
/// Dirty bit modifier: the hardware may make the page writable on the first write.
const DBM: u64 = 1 << 51;
/// Part of a group of entries that map adjacent memory.
const CONTIGUOUS: u64 = 1 << 52;
/// Ignored in table descriptors.
const IGNORED_VISIBLE: u64 = 1 << 56;
/// Shareability, bits 9:8.
const SHAREABILITY: u64 = 3 << 8;
const OUTER_SHAREABLE: u64 = 2 << 8;
const INNER_SHAREABLE: u64 = 3 << 8;

/// Bits 47:n, which hold the address of a table.
const fn table_address<G: Granule>() -> u64 {
    ((1 << 48) - 1) & !((1 << G::BITS) - 1)
}

/// The bits that hold the address of a page or block.
///
/// With granules of 64 KiB, bits 51:48 of the address are in bits 15:12 (D8.3.1).
const fn page_address<G: Granule>() -> AddressField {
    AddressField {
        own: table_address::<G>(),
        high: if G::OUTPUT_BITS > 48 {
            (12, G::OUTPUT_BITS - 48)
        } else {
            (0, 0)
        },
    }
}

impl<S: Stage, G: Granule, const INPUT_BITS: u32, const BBM2: bool> TableLayout
    for Vmsa<S, G, INPUT_BITS, BBM2>
{
    const LEVELS: u32 = Start::new::<G>(INPUT_BITS, S::CONCATENATED_BITS).levels;
    const GRANULE_BITS: u32 = G::BITS;
    const INDEX_BITS: u32 = G::BITS - 3;
    const ROOT_BITS: u32 = Start::new::<G>(INPUT_BITS, S::CONCATENATED_BITS).root_bits;
    const LINK_MASK: u64 = VALID | TABLE_OR_PAGE;
    const LINK_TAG: u64 = VALID | TABLE_OR_PAGE;
    const LINK_FLAGS: u64 = 0;
    const LINK_ADDRESS: u64 = table_address::<G>();
    const COUNT: CountField = G::COUNT;
    const VISIBLE: u64 = IGNORED_VISIBLE;
}

impl<S: Stage, G: Granule, const INPUT_BITS: u32, const BBM2: bool> LeafLayout
    for Vmsa<S, G, INPUT_BITS, BBM2>
{
    const OUTPUT_BITS: u32 = G::OUTPUT_BITS;
    const LEAF_LEVELS: u32 = G::LEAF_LEVELS;
    const ADDRESS: AddressField = page_address::<G>();
    const ATTRIBUTES: u64 = S::ATTRIBUTES | WRITE_CONTROL | SHAREABILITY | ACCESS_FLAG | DBM;
    const PAGE_FLAGS: u64 = VALID | TABLE_OR_PAGE;
    const LARGE_PAGE_FLAGS: u64 = VALID;
    const GROUP_FLAG: u64 = CONTIGUOUS;
    const GROUP_BITS: [u32; MAX_LEVELS as usize] = [G::GROUP_BITS[0], G::GROUP_BITS[1], 0, 0, 0];
    const MMIO: Pattern = S::MMIO;
    const DIRTY: Pattern = Pattern {
        mask: WRITE_CONTROL | DBM,
        value: S::WRITABLE | DBM,
    };
    const DIRTY_FLAG: u64 = WRITE_CONTROL;
}

impl<S: Stage, G: Granule, const INPUT_BITS: u32, const BBM2: bool> Format
    for Vmsa<S, G, INPUT_BITS, BBM2>
{
    const NAME: &'static str = match G::BITS {
        12 => S::NAMES[0],
        14 => S::NAMES[1],
        _ => S::NAMES[2],
    };
    type Options = S::Options;
    const CAN_CUT: bool = BBM2;

    #[inline(always)]
    fn tracks_dirty(options: S::Options) -> bool {
        S::tracks_dirty(options)
    }

    fn attributes(options: S::Options, permissions: Permissions, kind: MemoryKind) -> Option<u64> {
        let memory = match kind {
            MemoryKind::Normal => S::normal(options) | INNER_SHAREABLE,
            MemoryKind::Mmio => S::MMIO.value | OUTER_SHAREABLE,
        };
        let write = match (permissions.write, S::tracks_dirty(options)) {
            (true, false) => S::WRITABLE,
            // Clean: not writable yet.
            (true, true) => S::WRITABLE ^ WRITE_CONTROL | DBM,
            (false, _) => S::WRITABLE ^ WRITE_CONTROL,
        };

        (permissions.read || permissions.write)
            .then_some(ACCESS_FLAG | memory | write | S::rights(permissions))
    }

    fn permissions(leaf: u64) -> Permissions {
        let write = leaf & WRITE_CONTROL == S::WRITABLE || leaf & DBM != 0;

        S::permissions(leaf, write)
    }
}
