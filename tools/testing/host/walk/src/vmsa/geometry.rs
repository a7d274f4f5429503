// SPDX-License-Identifier: GPL-2.0

//! The shape of a translation table: the bits of an address that each level uses, and the kinds of
//! descriptors at each level (Arm ARM, D8.2 and D8.3).

use super::{Cause, Illegal};
use crate::bits;

/// The level of the smallest pages.
const LAST_LEVEL: u32 = 3;

/// Descriptor bits 1:0. At the last level `TABLE` is a page and `BLOCK` is reserved.
const KIND: u64 = 0b11;
const TABLE: u64 = 0b11;
const BLOCK: u64 = 0b01;
const CONTIGUOUS: u64 = 1 << 52;

/// The size of the smallest page and of a whole table (TGx, S2TG).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Granule {
    /// 4 KiB.
    K4,
    /// 16 KiB.
    K16,
    /// 64 KiB.
    K64,
}

impl Granule {
    /// Log2 of the size in bytes.
    const fn page_bits(self) -> u32 {
        match self {
            Self::K4 => 12,
            Self::K16 => 14,
            Self::K64 => 16,
        }
    }

    /// The number of address bits that one whole table resolves.
    const fn stride(self) -> u32 {
        self.page_bits() - 3
    }

    /// Log2 of the bytes that a descriptor of this level covers.
    const fn shift(self, level: u32) -> u32 {
        self.page_bits() + self.stride() * (LAST_LEVEL - level)
    }

    /// Log2 of the number of adjacent descriptors that share a contiguous bit (D8.7).
    const fn run_bits(self, level: u32) -> u32 {
        match (self, level) {
            (Self::K4, _) => 4,
            (Self::K16, LAST_LEVEL) => 7,
            (Self::K16, _) | (Self::K64, _) => 5,
        }
    }

    /// The number of bits of an output or table address. Only descriptors of the largest granule
    /// have room for more than 48.
    const fn effective_output_bits(self, output_bits: u32) -> u32 {
        match self {
            Self::K4 | Self::K16 if output_bits > 48 => 48,
            _ => output_bits,
        }
    }
}

/// Returns whether IPS, S2PS and OAS can encode this number of bits.
pub(super) const fn is_output_size(output_bits: u32) -> bool {
    matches!(output_bits, 32 | 36 | 40 | 42 | 44 | 48 | 52)
}

/// The meaning of a descriptor.
pub(super) enum Descriptor {
    /// A table at this address.
    Table(u64),
    /// A page or block.
    Leaf {
        /// The output address, in bytes.
        output: u64,
        /// Log2 of the bytes that may be cached as one page; the contiguous bit increases it.
        page_bits: u32,
    },
}

/// The shape of one translation table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    granule: Granule,
    input_bits: u32,
    output_bits: u32,
    start: u32,
    root: u64,
}

impl Geometry {
    /// Creates the shape of a table whose first lookup is at level `start`.
    ///
    /// The bits of `base` below the table's alignment are ignored, as the architecture defines. The
    /// first lookup may use up to 2^`concatenated` adjacent tables.
    pub(super) const fn new(
        granule: Granule,
        input_bits: u32,
        output_bits: u32,
        start: u32,
        concatenated: u32,
        base: u64,
    ) -> Result<Self, Illegal> {
        if !is_output_size(output_bits) {
            return Err(Illegal::OutputSize);
        }
        let output_bits = granule.effective_output_bits(output_bits);
        if base >> output_bits != 0 {
            return Err(Illegal::Base);
        }
        let shift = granule.shift(start);
        if input_bits <= shift || input_bits > shift + granule.stride() + concatenated {
            return Err(Illegal::StartLevel);
        }
        Ok(Self {
            granule,
            input_bits,
            output_bits,
            start,
            root: base & !bits(0, input_bits - shift + 3),
        })
    }

    /// Returns the lowest level at which a single table resolves all of `input_bits`.
    pub(super) const fn natural_start(granule: Granule, input_bits: u32) -> u32 {
        let mut level = LAST_LEVEL;

        while level > 0 && input_bits > granule.shift(level) + granule.stride() {
            level -= 1;
        }
        level
    }

    pub(super) const fn input_bits(&self) -> u32 {
        self.input_bits
    }

    pub(super) const fn root(&self) -> u64 {
        self.root
    }

    pub(super) const fn start(&self) -> u32 {
        self.start
    }

    /// Returns the address of the descriptor for `input` in a table of this level.
    pub(super) const fn slot(&self, table: u64, level: u32, input: u64) -> u64 {
        let shift = self.granule.shift(level);
        let width = if level == self.start {
            self.input_bits - shift
        } else {
            self.granule.stride()
        };
        table | (((input >> shift) & bits(0, width)) << 3)
    }

    /// Decodes a descriptor of this level for `input`; the last level has no table descriptors.
    pub(super) const fn decode(
        &self,
        descriptor: u64,
        level: u32,
        input: u64,
    ) -> Result<Descriptor, Cause> {
        let page_bits = self.granule.shift(level);
        let table = match (descriptor & KIND, level) {
            (TABLE, LAST_LEVEL) => false,
            (TABLE, _) => true,
            (BLOCK, _) if self.has_blocks(level) => false,
            _ => return Err(Cause::Translation),
        };
        let low = if table {
            self.granule.page_bits()
        } else {
            page_bits
        };
        let address = self.address(descriptor, low);

        if address >> self.output_bits != 0 {
            return Err(Cause::AddressSize);
        }
        if table {
            return Ok(Descriptor::Table(address));
        }
        let page_bits = if descriptor & CONTIGUOUS != 0 {
            page_bits + self.granule.run_bits(level)
        } else {
            page_bits
        };
        Ok(Descriptor::Leaf {
            output: address | (input & bits(0, low)),
            page_bits: if page_bits > self.input_bits {
                self.input_bits
            } else {
                page_bits
            },
        })
    }

    /// Returns whether a descriptor of this level may map a block (D8.3).
    const fn has_blocks(&self, level: u32) -> bool {
        match (self.granule, level) {
            (_, 2) | (Granule::K4, 1) => true,
            (Granule::K64, 1) => self.output_bits > 48,
            _ => false,
        }
    }

    /// Returns the address in a descriptor. Bits 51:48 of a 52-bit address are in 15:12, which are
    /// reserved, and therefore ignored, where addresses are shorter.
    const fn address(&self, descriptor: u64, low: u32) -> u64 {
        let address = descriptor & bits(low, 48);

        if self.output_bits > 48 {
            address | (descriptor & bits(12, 16)) << 36
        } else {
            address
        }
    }
}
