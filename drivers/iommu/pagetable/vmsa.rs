// SPDX-License-Identifier: GPL-2.0

//! The formats of Arm's VMSAv8-64 (Arm Architecture Reference Manual, DDI 0487, D8), as the SMMUv3
//! walks them (IHI 0070, 3.4).
//!
//! A format is a stage, a granule and a number of input bits: those decide how many levels there
//! are, at which level the walk starts, and how large the first table is (D8.2). Arm counts levels
//! from the root; level 3 there is level 0 here.

mod stage1;
mod stage2;

pub use stage1::{Stage1, Stage1Options, MAIR};
pub use stage2::{Stage2, Stage2Options};

use crate::base::{AddressField, CountField, MAX_LEVELS};

/// The size of the smallest page and of a table (D8.2).
pub trait Granule: 'static {
    /// Log2 of the size in bytes.
    const BITS: u32;
    /// Its name, for people.
    const NAME: &'static str;
    /// Log2 of the largest output address; above 48 the descriptors have the top bits elsewhere.
    const OUTPUT_BITS: u32;
    /// How many levels can hold pages or blocks, from level 0 on (D8.3.1).
    const LEAF_LEVELS: u32;
    /// Log2 of the number of entries with the Contiguous bit that make a group, by level (D8.7.1).
    const GROUP_BITS: [u32; 2];
    /// Bits 11:2 and 58:51 of table descriptors are ignored (D8.3.1), unless the hardware is told to
    /// note accesses in bit 10 (HAFT in a CD, S2HAFT in an STE): that must not be. This is what of them
    /// it takes to count to more than the entries of a table.
    const COUNT: CountField;
}

/// 4 KiB; blocks of 2 MiB and 1 GiB.
pub struct Granule4K;

/// 16 KiB; blocks of 32 MiB.
pub struct Granule16K;

/// 64 KiB; blocks of 512 MiB.
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

/// How a walk of so many input bits begins.
struct Start {
    levels: u32,
    root_bits: u32,
}

/// The largest number of second-stage tables that may lie side by side as one root, as log2 (D8.2.2).
const CONCATENATED_BITS: u32 = 4;

impl Start {
    /// For a stage 1: as many levels as it takes, the first one smaller if that is enough.
    const fn stage1<G: Granule>(input_bits: u32) -> Self {
        let index_bits = G::BITS - 3;
        let bits = input_bits - G::BITS;
        let levels = bits.div_ceil(index_bits);

        assert!(input_bits >= 25 && (input_bits <= 48 || G::BITS == 16 && input_bits <= 52));
        Self {
            levels,
            root_bits: bits - (levels - 1) * index_bits,
        }
    }

    /// For a stage 2: up to 16 tables side by side spare a level.
    const fn stage2<G: Granule>(input_bits: u32) -> Self {
        let Self { levels, root_bits } = Self::stage1::<G>(input_bits);

        // With 4 KiB, SL0 has no value for a walk that begins with pages.
        let lowest = if G::BITS == 12 { 2 } else { 1 };

        if levels > lowest && root_bits <= CONCATENATED_BITS {
            Self {
                levels: levels - 1,
                root_bits: root_bits + (G::BITS - 3),
            }
        } else {
            Self { levels, root_bits }
        }
    }
}

/// A descriptor that is not ignored.
const VALID: u64 = 1 << 0;
/// A table above level 0, a page at level 0; without it a block.
const TABLE_OR_PAGE: u64 = 1 << 1;
/// Access flag: an access does not fault for the flag's sake.
const ACCESS_FLAG: u64 = 1 << 10;
/// Dirty bit modifier: the hardware may make the page writable on the first write.
const DBM: u64 = 1 << 51;
/// One of a group of entries for memory side by side.
const CONTIGUOUS: u64 = 1 << 52;
/// Ignored in table descriptors.
const IGNORED_VISIBLE: u64 = 1 << 56;
/// Shareability, bits 9:8.
const OUTER_SHAREABLE: u64 = 2 << 8;
const INNER_SHAREABLE: u64 = 3 << 8;
const SHAREABILITY: u64 = 3 << 8;

/// Bits 47:n, which hold addresses of tables.
const fn table_address<G: Granule>() -> u64 {
    ((1 << 48) - 1) & !((1 << G::BITS) - 1)
}

/// Where a page or block holds its output address: with 64 KiB pages, bits 51:48 stand in 15:12 (D8.3.1).
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

/// The sizes of groups, for all levels that there can be.
const fn group_bits<G: Granule>() -> [u32; MAX_LEVELS as usize] {
    let [pages, blocks] = G::GROUP_BITS;

    [pages, blocks, 0, 0, 0]
}

/// The layout of the tables, the same for both stages but for the size of the root.
macro_rules! table_layout {
    ($stage:ident, $start:ident) => {
        impl<G: Granule, const INPUT_BITS: u32, const BBM2: bool> TableLayout
            for $stage<G, INPUT_BITS, BBM2>
        {
            const LEVELS: u32 = Start::$start::<G>(INPUT_BITS).levels;
            const GRANULE_BITS: u32 = G::BITS;
            const INDEX_BITS: u32 = G::BITS - 3;
            const ROOT_BITS: u32 = Start::$start::<G>(INPUT_BITS).root_bits;
            const LINK_MASK: u64 = VALID | TABLE_OR_PAGE;
            const LINK_TAG: u64 = VALID | TABLE_OR_PAGE;
            const LINK_FLAGS: u64 = 0;
            const LINK_ADDRESS: u64 = table_address::<G>();
            const COUNT: CountField = G::COUNT;
            const VISIBLE: u64 = IGNORED_VISIBLE;
        }
    };
}

use table_layout;
