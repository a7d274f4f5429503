// SPDX-License-Identifier: GPL-2.0

//! The shape of a tree of tables, and of the entries that link them.
//!
//! A layout is a type with constants. What follows from them, and what they must keep to, is here
//! too, out of the reach of who writes one: code that is `unsafe` relies on it.
//!
//! Pure: this file is also compiled for the host, with the page tables.

use core::marker::PhantomData;

/// The deepest tree there is.
pub const MAX_LEVELS: u32 = 5;

/// Bits of a link that hold a number, in one piece or two.
#[derive(Clone, Copy, Debug)]
pub struct CountField {
    /// Lowest bit and number of bits of the low part.
    pub low: (u32, u32),
    /// Lowest bit and number of bits of the high part; no bits if one piece is enough.
    pub high: (u32, u32),
}

impl CountField {
    const fn ones(bits: u32) -> u64 {
        (1 << bits) - 1
    }

    /// The largest number that fits.
    pub const fn max(self) -> u64 {
        Self::ones(self.low.1 + self.high.1)
    }

    /// The bits that are used.
    pub const fn mask(self) -> u64 {
        self.put(self.max())
    }

    /// The number in `entry`.
    pub const fn get(self, entry: u64) -> u64 {
        let low = (entry >> self.low.0) & Self::ones(self.low.1);
        let high = (entry >> self.high.0) & Self::ones(self.high.1);

        low | (high << self.low.1)
    }

    /// `entry`, with `count` added to the number in it, which has room for the sum.
    pub(super) const fn raised(self, entry: u64, count: u64) -> u64 {
        if self.high.1 == 0 {
            entry + (count << self.low.0)
        } else {
            entry & !self.mask() | self.put(self.get(entry) + count)
        }
    }

    /// `number` in its place, all other bits zero.
    pub const fn put(self, number: u64) -> u64 {
        let low = number & Self::ones(self.low.1);
        let high = (number >> self.low.1) & Self::ones(self.high.1);

        (low << self.low.0) | (high << self.high.0)
    }
}

/// The shape of a tree and of its links.
///
/// Levels count from the leaves: level 0 holds nothing but leaves, the root has level
/// `LEVELS - 1`. An entry of zero is empty.
pub trait TableLayout {
    /// How many levels there are, at most [`MAX_LEVELS`].
    const LEVELS: u32;
    /// Log2 of the bytes that an entry of level 0 covers.
    const GRANULE_BITS: u32;
    /// Log2 of the entries of a table that is not the root.
    const INDEX_BITS: u32;
    /// Log2 of the entries of the root, which may be larger (concatenated tables) or smaller.
    const ROOT_BITS: u32;
    /// Above level 0, an entry is a link if these bits ...
    const LINK_MASK: u64;
    /// ... have this value, which is not zero.
    const LINK_TAG: u64;
    /// What else is set in every link.
    const LINK_FLAGS: u64;
    /// Where a link holds the address of the table, whose low bits are zero.
    const LINK_ADDRESS: u64;
    /// Where a link counts; the walker ignores these bits.
    const COUNT: CountField;
    /// Set once the walker sees the link, for walkers that are not coherent; ignored by them.
    const VISIBLE: u64;
}

/// What follows from a [`TableLayout`]. Code that is `unsafe` relies on these, so they are the same
/// for all layouts.
pub trait TableShape: TableLayout {
    /// Log2 of the bytes that an entry covers.
    #[inline(always)]
    fn span_bits(level: u32) -> u32 {
        Self::GRANULE_BITS + level * Self::INDEX_BITS
    }

    /// Log2 of the entries of a table.
    #[inline(always)]
    fn entries_bits(level: u32) -> u32 {
        if level == Self::LEVELS - 1 {
            Self::ROOT_BITS
        } else {
            Self::INDEX_BITS
        }
    }

    /// The entry of a table of `level` in which `iova` lies.
    #[inline(always)]
    fn index(level: u32, iova: u64) -> usize {
        let mask = (1usize << Self::entries_bits(level)) - 1;

        (iova >> Self::span_bits(level)) as usize & mask
    }

    /// Does an entry of a table of `level` point to a table?
    #[inline(always)]
    fn is_link(level: u32, entry: u64) -> bool {
        level > 0 && entry & Self::LINK_MASK == Self::LINK_TAG
    }
}

impl<L: TableLayout> TableShape for L {}

/// What the fields of a layout must keep to for this file to be right.
pub(super) struct Checked<L>(PhantomData<L>);

impl<L: TableLayout> Checked<L> {
    pub(super) const LAYOUT: () = {
        let tag = L::LINK_MASK | L::LINK_FLAGS;

        assert!(L::LEVELS >= 1 && L::LEVELS <= MAX_LEVELS);
        assert!(L::LINK_TAG != 0 && L::LINK_TAG & !L::LINK_MASK == 0);
        // A link looks like one.
        assert!(L::LINK_FLAGS & L::LINK_MASK & !L::LINK_TAG == 0);
        assert!(tag & (L::LINK_ADDRESS | L::COUNT.mask() | L::VISIBLE) == 0);
        assert!(L::LINK_ADDRESS & (L::COUNT.mask() | L::VISIBLE) == 0);
        assert!(L::COUNT.mask() & L::VISIBLE == 0);
        // Room for those who are about to write.
        assert!(L::COUNT.max() > 1 << L::INDEX_BITS);
        assert!(L::GRANULE_BITS + (L::LEVELS - 1) * L::INDEX_BITS + L::ROOT_BITS < 64);
    };
}
